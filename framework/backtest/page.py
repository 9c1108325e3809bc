"""What every report is: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template


def page_html(title: str, body: str, package: str, style: str) -> str:
    """Return a whole page.  package, style: where the rules of style of its own stand, besides those of all pages."""
    template = files("framework.backtest").joinpath("page.html").read_text(encoding="utf-8")
    own = files(package).joinpath(style).read_text(encoding="utf-8")
    return Template(template).substitute(title=escape(title), style=own.rstrip(), body=body)
