"""What the reports of research are made of: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from framework.backtest.page import page_html

NUMBER = re.compile(r"[-\u2212+]?[\d,]*\.?\d+(e[-+]?\d+)?( ?%)?")
NOT_DEFINED = ("", "n/a", "flat")
"""What a cell of a number says where there is none."""

LINE = 24
"""Characters of a text that stand on one line of a table."""


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
    """Return a table of texts under their names: numbers to the right, others to the left, long ones wrapped."""
    lines = [tuple(row) for row in rows]
    kinds = [' class="n"' if is_of_numbers([row[place] for row in lines]) else "" for place in range(len(names))]
    top = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(names, kinds, strict=True))
    body = "".join("<tr>" + "".join(f"<td{kind or wrapped(cell)}>{escape(cell)}</td>"
                                    for cell, kind in zip(row, kinds, strict=True)) + "</tr>" for row in lines)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def is_of_numbers(cells: Sequence[str]) -> bool:
    """Return whether a column shows numbers, all but cells that say that there is none.

    >>> is_of_numbers(["1,024", "n/a", "-0.5 %"]), is_of_numbers(["2020-01-01"]), is_of_numbers(["n/a"])
    (True, False, False)
    """
    told = [cell for cell in cells if cell not in NOT_DEFINED]
    return bool(told) and all(NUMBER.fullmatch(cell) for cell in told)


def wrapped(cell: str) -> str:
    """Return the class of a text that is too long for one line."""
    return ' class="long"' if len(cell) > LINE else ""


def listed(sentences: Iterable[str]) -> str:
    """Return sentences as a list; nothing without any."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def definitions(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and what stands behind them."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows) + "</dl>"
