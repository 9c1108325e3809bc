"""The report of an audit: what was looked at, what was found, and the figures behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from framework.backtest.plain import plain
from framework.research.page import definitions, head, listed, page, rows_table, section, soft

if TYPE_CHECKING:
    from framework.backtest.config import Config
    from framework.research.audit import Audit, Look

MEANING = {
    "look-ahead": "Columns and decisions on all bars equal those on data that ends, or goes on otherwise, at cuts.",
    "repaint": "What an indicator shows live, one bar at a time, is what its column shows afterwards.",
    "history": "A column that begins later soon agrees with one that began earlier.",
    "costs": "The result survives twice its costs.",
    "cliffs": "A small step of a parameter does not undo the result.",
}
"""What each check asks."""


def audit_html(found: Audit, config: Config) -> str:
    """Return the whole report as the text of one HTML file."""
    parts = [header(found, config), *(look_section(look) for look in found.looks), provenance(config)]
    return page(f"{config.name} · audit", parts)


def header(found: Audit, config: Config) -> str:
    """The verdict, check by check."""
    count = len(found.findings)
    figures = [(look.name, f"{len(look.findings)} found" if look.findings else "nothing found") for look in found.looks]
    told = ("What the backtest of this configuration could be fooling its user with. Nothing found is no proof: a "
            "strategy that was chosen on all of its data passes.")
    return head(f"{config.name}: audit", told, [("Verdict", "passed" if found.passed else f"{count} found"), *figures])


def look_section(look: Look) -> str:
    """One check: its question, what it looked at, its findings, and its figures."""
    findings = listed(f"{one.subject}: {one.message}" for one in look.findings)
    figures: list[Any] = [plain(dict(one)) for one in look.figures]
    names = list(figures[0]) if figures else []
    table = rows_table(names, ([cell(one.get(name)) for name in names] for one in figures)) if figures else ""
    verdict = "" if look.findings else "<p>Nothing found.</p>"
    return section(look.name, soft(f"{MEANING[look.name]} Looked at: {look.looked_at}."), findings, verdict, table)


def cell(value: Any) -> str:
    """Return a figure for a table."""
    if value is None:
        return "n/a"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def provenance(config: Config) -> str:
    """What is needed to do it again."""
    document: Mapping[str, Any] = config.to_dict()
    strategies = "; ".join(f"{use['name']} {use.get('params', {})}" for use in document["strategy"])
    return section("To do it again", definitions([("strategies", strategies), ("data", str(document["data"]))]))
