"""What happened, one row each: the trades with their exits beneath, what is open, and what was refused."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from framework.backtest.metrics import FEW_TRADES
from framework.backtest.tables import money, number_of, percent, price, row, short_time, table, text
from framework.model.enums import Reason

if TYPE_CHECKING:
    import polars as pl

    from framework.backtest.result import Result

TRADES_LISTED = 200

TRADE_HEADS = (
    "Entry",
    "Exit",
    "Symbol",
    "Strategy",
    "Side",
    "Reason",
    "Quantity",
    "Entry price",
    "Exit price",
    "Return",
    "P&amp;L",
    "Fees",
)
TEXT_COLUMNS = 6


def trade_list_section(result: Result) -> str:
    """Return the first trades in order of exit, the total of all and a count of those left out."""
    trades = result.records.trades
    if not len(trades):
        return "<section><h2>Trades</h2><p>No trade was closed.</p></section>"
    shown = min(TRADES_LISTED, len(trades))
    parts = exits_by_trade(result, shown)
    lines = [trade_row(values, "exit") + exit_rows(parts.get(values["id"], []))
             for values in result.trades.head(shown).iter_rows(named=True)]
    foot = row(
        [
            f"All {len(trades):,}",
            *[""] * 9,
            money(float(trades["pnl"].sum()), signed=True),
            money(float(trades["fees"].sum())),
        ],
        numeric_from=TEXT_COLUMNS,
    )
    caption = (
        f"The first {shown:,} of {len(trades):,} trades; {len(trades) - shown:,} are left out here and are in "
        "trades.parquet. Totals are of all."
        if shown < len(trades)
        else f"All {shown:,} closed trades."
    )
    few = f" Fewer than {FEW_TRADES}: their averages say little." if len(trades) < FEW_TRADES else ""
    return (
        "<section><h2>Trades</h2>"
        + table(TRADE_HEADS, lines, foot, caption + few + " Times in UTC, P&amp;L after fees.", TEXT_COLUMNS)
        + "</section>"
    )


def open_trades_section(result: Result) -> str:
    """Return the positions still open at the end, marked."""
    trades = result.records.open_trades
    if not len(trades):
        return ""
    heads = ["Entry", "Marked", *TRADE_HEADS[2:5], "", "Quantity", "Entry price", "Mark price", *TRADE_HEADS[9:]]
    shown = min(TRADES_LISTED, len(trades))
    lines = [trade_row(values, "mark") for values in result.open_trades.head(shown).iter_rows(named=True)]
    foot = row(
        [
            f"All {len(trades):,}",
            *[""] * 9,
            money(float(trades["pnl"].sum()), signed=True),
            money(float(trades["fees"].sum())),
        ],
        numeric_from=TEXT_COLUMNS,
    )
    rest = f" The first {shown:,} are listed." if shown < len(trades) else ""
    return (
        "<section><h2>Open at the end</h2>"
        + table(
            heads,
            lines,
            foot,
            f"Marked at the last close; part of equity, not of the statistics of trades.{rest}",
            TEXT_COLUMNS,
        )
        + "</section>"
    )


def trade_row(values: dict[str, object], end: str) -> str:
    """Return one trade. end: "exit" for a closed one, "mark" for an open one."""

    def number(name: str) -> float:
        return number_of(values[name])

    return row(
        [
            short_time(values["entry_time"]),
            short_time(values[f"{end}_time"]),
            text(values["symbol"]),
            text(values["strategy"]),
            text(values["side"]),
            text(values["exit_reason"]),
            price(number("qty")),
            price(number("entry_price")),
            price(number(f"{end}_price")),
            percent(number("return"), signed=True),
            money(number("pnl"), signed=True),
            money(number("fees")),
        ],
        numeric_from=TEXT_COLUMNS,
    )


def exits_by_trade(result: Result, shown: int) -> dict[object, list[dict[str, object]]]:
    """Return the exits of those of the first `shown` trades that were left in more than one part, by the trade's id."""
    import polars as pl

    if not len(result.exits):
        return {}
    found = result.exits.filter(pl.col("trade").is_in(result.trades["id"].head(shown).implode()))
    found = found.filter(pl.len().over("trade") > 1)
    groups: dict[object, list[dict[str, object]]] = {}
    for values in found.iter_rows(named=True):
        groups.setdefault(values["trade"], []).append(values)
    return groups


def exit_rows(exits: list[dict[str, object]]) -> str:
    """Return the parts in which a trade was left, to stand beneath it."""
    lines = (
        row(["", short_time(values["time"]), "", "", "", text(values["reason"]), price(number_of(values["qty"])), "",
             price(number_of(values["price"])), "", "", money(number_of(values["fee"]))], numeric_from=TEXT_COLUMNS)
        for values in exits
    )
    return "".join(line.replace("<tr>", '<tr class="part">', 1) for line in lines)


def refusals_section(result: Result) -> str:
    """Return what was refused or reduced, counted by rule, with the first example of each."""
    if not len(result.records.refusals):
        return "<section><h2>Refusals</h2><p>No order was refused or reduced.</p></section>"
    lines = [refusal_row(name, group) for name, group in by_rule(result)]
    total = len(result.records.refusals)
    return (
        "<section><h2>Refusals by rule</h2>"
        + table(
            ["Rule", "Refused", "Reduced", "First", "Symbol", "Measured", "Limit"],
            lines,
            caption=f"{total:,} in all; each one with its values is in refusals.parquet.",
        )
        + "</section>"
    )


def by_rule(result: Result) -> list[tuple[str, pl.DataFrame]]:
    """Return (rule, its refusals in order of time), the most frequent rule first."""
    reasons = result.records.refusals["reason"]
    found, counts = np.unique(reasons, return_counts=True)
    frame = result.refusals
    groups = []
    for index in np.argsort(-counts, kind="stable"):
        rows = np.flatnonzero(reasons == found[index])
        name = frame["rule"][int(rows[0])] or f"reason {int(found[index])}"
        kind = "rule" if found[index] >= Reason.RULE else "core"
        groups.append((f"{escape(name)} <span class='soft small'>{kind}</span>", frame[rows]))
    return groups


def refusal_row(name: str, group: pl.DataFrame) -> str:
    """Return one rule: how often it refused and reduced, and its first case."""
    reduced = int((group["allowed"].fill_null(0.0) > 0.0).sum())
    first = group.row(0, named=True)
    return row(
        [
            name,
            f"{len(group) - reduced:,}",
            f"{reduced:,}",
            short_time(first["time"]),
            text(first["symbol"]),
            price(first["value"]),
            price(first["limit"]),
        ]
    )
