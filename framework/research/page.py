"""What the reports of research are made of: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from framework.backtest.page import page_html


def page(title: str, parts: Iterable[str]) -> str:
    """Return a whole report; parts that are empty are left out."""
    return page_html(title, "\n".join(part for part in parts if part), "framework.research", "charts.css")


def section(title: str, *parts: str) -> str:
    """Return a section, or nothing when it has no content."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>" if any(parts) else ""


def head(title: str, told: str, figures: Iterable[tuple[str, str]], note: str = "") -> str:
    """Return the top of a report: what was done, its main figures as tiles, and what must be known."""
    tiles = "".join(f'<div class="tile"><span>{escape(label)}</span><strong>{escape(value)}</strong></div>'
                    for label, value in figures)
    marked = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<header><h1>{escape(title)}</h1>{soft(told)}<div class="tiles">{tiles}</div>{marked}</header>'


def soft(text: str) -> str:
    """Return a paragraph of explanation; nothing without a text."""
    return f'<p class="soft">{escape(text)}</p>' if text else ""


def rows_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts under their names."""
    top = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def listed(sentences: Iterable[str]) -> str:
    """Return sentences as a list; nothing without any."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def definitions(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and what stands behind them."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows) + "</dl>"
