"""The report of a search: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from html import escape

from framework.research.search import Search


def search_html(search: Search) -> str:
    """Return the report of a search as the text of one HTML file."""
    return f"<!DOCTYPE html><html><body><pre>{escape(repr(search))}</pre></body></html>"
