"""The tables of the report, as HTML: statistics with grades, months, attribution, trades and refusals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from framework.backtest.attribution import Share
from framework.backtest.charts import MONTHS, minus
from framework.backtest.metrics import FEW_TRADES, monthly_returns
from framework.backtest.stats import GRADES, Value, format_time, format_value
from framework.model.enums import Reason

if TYPE_CHECKING:
    import polars as pl

    from framework.backtest.result import Result

TRADES_LISTED = 200
SHARES_LISTED = 25

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Account",
        (
            "Start",
            "End",
            "Duration",
            "Equity Final",
            "Equity Peak",
            "Return [%]",
            "Buy & Hold Return [%]",
            "Return (Ann.) [%]",
            "CAGR [%]",
            "Exposure Time [%]",
            "# Open Trades",
            "Open P&L",
        ),
    ),
    (
        "Risk",
        (
            "Volatility (Ann.) [%]",
            "Sharpe Ratio",
            "Sortino Ratio",
            "Calmar Ratio",
            "Max. Drawdown [%]",
            "Avg. Drawdown [%]",
            "Max. Drawdown Duration",
            "Recovery Factor",
        ),
    ),
    (
        "Trades",
        (
            "# Trades",
            "Win Rate [%]",
            "Best Trade [%]",
            "Worst Trade [%]",
            "Avg. Trade [%]",
            "MAE",
            "MFE",
            "Profit Factor",
            "Expectancy",
            "Expectancy [%]",
            "SQN",
            "Kelly Criterion",
        ),
    ),
    (
        "Costs and execution",
        ("Turnover", "Fees", "Slippage cost", "Ambiguous bars", "Gapped entries", "Rejected orders"),
    ),
)
"""The order of the statistics on the page."""


# --- cells ------------------------------------------------------------------------------------------------------------


def money(value: float, signed: bool = False) -> str:
    """Return an amount with two decimals, coloured by its sign if asked."""
    if not math.isfinite(value):
        return "n/a"
    text = minus(f"{value:+,.2f}" if signed else f"{value:,.2f}")
    if not signed or round(value, 2) == 0:
        return text.lstrip("+−") if round(value, 2) == 0 else text
    return f'<span class="{"gain" if value > 0 else "loss"}">{text}</span>'


def percent(fraction: float | None, signed: bool = False) -> str:
    """Return a fraction as a percentage with two decimals."""
    if fraction is None or not math.isfinite(fraction):
        return "n/a"
    return minus(f"{100 * fraction:+.2f}%" if signed else f"{100 * fraction:.2f}%")


def price(value: float | None) -> str:
    """Return a price or quantity: two decimals from 100 on, six significant digits below."""
    if value is None or not math.isfinite(value):
        return "n/a"
    if abs(value) >= 100 or value == 0:
        return minus(f"{value:,.2f}".removesuffix(".00") if value == int(value) else f"{value:,.2f}")
    digits = min(10, max(2, 5 - math.floor(math.log10(abs(value)))))
    whole, _, rest = f"{value:.{digits}f}".partition(".")
    rest = rest.rstrip("0")
    return minus(f"{whole}.{rest.ljust(2, '0')}" if rest else whole)


def grade_chip(name: str, value: Value) -> str:
    """Return the grade of a statistic with its thresholds as a small label; empty for one without grades."""
    if name not in GRADES or not isinstance(value, int | float):
        return ""
    grade = GRADES[name]
    word = grade.of(float(value))
    style = "none" if word == "n/a" else word
    said = {"below": "below target", "n/a": "not graded"}.get(word, word)
    return f'<span class="grade {style}">{said}</span>'


def row(cells: Iterable[str], tag: str = "td", numeric_from: int = 1) -> str:
    """Return a table row; cells from `numeric_from` on align right."""
    return (
        "<tr>"
        + "".join(
            f'<{tag} class="n">{cell}</{tag}>' if i >= numeric_from else f"<{tag}>{cell}</{tag}>"
            for i, cell in enumerate(cells)
        )
        + "</tr>"
    )


def table(heads: Sequence[str], body: Iterable[str], foot: str = "", caption: str = "", numeric_from: int = 1) -> str:
    """Return a table that scrolls sideways where the page is narrow, with a caption beneath."""
    return (
        f'<div class="scroll"><table><thead>{row(heads, "th", numeric_from)}</thead><tbody>{"".join(body)}</tbody>'
        + (f"<tfoot>{foot}</tfoot>" if foot else "")
        + "</table></div>"
        + (f'<p class="soft small">{caption}</p>' if caption else "")
    )


# --- sections ---------------------------------------------------------------------------------------------------------


def statistics_section(result: Result) -> str:
    """Return all statistics in groups, with the thresholds of the graded ones beside them."""
    stats = result.stats
    grouped = {name for _, names in GROUPS for name in names}
    groups = [*GROUPS, ("Other", tuple(name for name in stats if name not in grouped))]
    parts = []
    for title, names in groups:
        lines = [statistic_row(name, stats[name]) for name in names if name in stats]
        if lines:
            parts.append(
                f'<div><h3>{title}</h3><div class="scroll"><table><tbody>{"".join(lines)}</tbody></table></div></div>'
            )
    return (
        '<section><h2>Statistics</h2><div class="groups">' + "".join(parts) + "</div>"
        '<p class="soft small">Names with [%] are percentages, MAE, MFE and Kelly fractions, turnover multiples of '
        f"mean equity per year, money in {escape(result.currency)}; n/a is not defined. Grades: target / excellent."
        "</p></section>"
    )


def statistic_row(name: str, value: Value) -> str:
    """Return the row of one statistic: name, value, thresholds and grade."""
    beside = ""
    if name in GRADES:
        grade = GRADES[name]
        beside = f'<span class="soft small">{grade.target:g} / {grade.excellent:g}</span> {grade_chip(name, value)}'
    return (
        f'<tr><th scope="row">{escape(name)}</th><td class="n">{beside}</td>'
        f'<td class="n">{shown_value(name, value)}</td></tr>'
    )


def shown_value(name: str, value: Value) -> str:
    """Return a statistic as text with a typographic minus; dates keep their hyphens."""
    shown = format_value(name, value)
    return minus(shown) if isinstance(value, int | float) else shown


def months_section(result: Result) -> str:
    """Return the table of monthly returns with the year's total, shaded by size."""
    returns = monthly_returns(result.records.days, result.capital)
    if not returns:
        return ""
    largest = max((abs(value) for value in returns.values() if math.isfinite(value)), default=0.0) or 1.0
    lines = []
    for year in range(min(returns)[0], max(returns)[0] + 1):
        values = [returns.get((year, month)) for month in range(1, 13)]
        whole = math.prod(1.0 + value for value in values if value is not None) - 1.0
        lines.append(
            f'<tr><th scope="row">{year}</th>'
            + "".join(month_cell(value, largest) for value in values)
            + f"<td>{short_percent(whole)}</td></tr>"
        )
    heads = "".join(f"<th>{name}</th>" for name in ("", *MONTHS, "Year"))
    return (
        '<section><h2>Monthly returns</h2><div class="scroll"><table class="months">'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        '<p class="soft small">Per cent of the equity at the end of the month before; the first month against the '
        "capital.</p></section>"
    )


def month_cell(value: float | None, largest: float) -> str:
    """Return the cell of one month, shaded by its share of the largest one."""
    if value is None:
        return "<td></td>"
    if not math.isfinite(value):
        return "<td>n/a</td>"
    strength = 6 + round(44 * min(1.0, abs(value) / largest))
    return f'<td class="{"up" if value >= 0 else "down"}" style="--a:{strength}%">{short_percent(value)}</td>'


def short_percent(fraction: float) -> str:
    """Return a fraction as a number of per cent with one decimal, without a sign for zero."""
    if not math.isfinite(fraction):
        return "n/a"
    text = f"{100 * fraction:.1f}"
    return minus("0.0" if text == "-0.0" else text)


def attribution_section(result: Result) -> str:
    """Return the closed P&L by symbol, side, strategy and exit reason."""
    if not len(result.records.trades):
        return ""
    parts = [share_table(title, shares) for title, shares in result.attribution().items()]
    return (
        '<section><h2>Where the closed P&amp;L came from</h2><div class="pair">' + "".join(parts) + "</div></section>"
    )


def share_table(title: str, shares: list[Share]) -> str:
    """Return one split of the closed P&L, largest gain first, with its total."""
    ordered = sorted(shares, key=lambda share: -share.pnl)
    listed, rest = ordered, []
    if len(ordered) > SHARES_LISTED:
        half = SHARES_LISTED // 2
        listed, rest = ordered[:half] + ordered[-half:], ordered[half:-half]
    lines = [share_row(escape(str(share.name)), [share]) for share in listed]
    if rest:
        lines.insert(SHARES_LISTED // 2, share_row(f"{len(rest):,} between", rest))
    return (
        "<div>"
        + table(
            [f"By {title}", "Trades", "Win rate", "P&amp;L", "Profit", "Loss"], lines, foot=share_row("Total", shares)
        )
        + "</div>"
    )


def share_row(name: str, shares: list[Share]) -> str:
    """Return the sum of some shares as a row."""
    count, wins = sum(share.trades for share in shares), sum(share.wins for share in shares)
    total = {
        field: math.fsum(getattr(share, field) for share in shares) for field in ("gross_profit", "gross_loss", "pnl")
    }
    return row(
        [
            name,
            f"{count:,}",
            percent(wins / count if count else None),
            money(total["pnl"], signed=True),
            money(total["gross_profit"]),
            money(total["gross_loss"]),
        ]
    )


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
    lines = [trade_row(values, "exit") for values in result.trades.head(shown).iter_rows(named=True)]
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
        found = values[name]
        return float(found) if isinstance(found, int | float) else math.nan

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


def text(value: object) -> str:
    """Return a name as HTML; empty for none."""
    return "" if value is None else escape(str(value))


def short_time(value: object) -> str:
    """Return a time of a frame as text; empty for none."""
    from datetime import datetime

    return format_time(value) if isinstance(value, datetime) else ""


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
