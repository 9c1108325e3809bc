"""The tables of the report, as HTML: statistics, months and attribution, and the cells that all tables are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from framework.backtest.attribution import Share
from framework.backtest.charts import MONTHS, minus
from framework.backtest.metrics import monthly_returns
from framework.backtest.stats import GRADES, Value, format_time, format_value

if TYPE_CHECKING:

    from framework.backtest.result import Result

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
            "Post-tax Return [%]",
            "Exposure Time [%]",
            "Avg. Exposure [%]",
            "Max. Exposure [%]",
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
            "Alpha",
            "Beta",
            "Max. Drawdown [%]",
            "Avg. Drawdown [%]",
            "Max. Drawdown Duration",
            "Avg. Drawdown Duration",
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
            "Max. Trade Duration",
            "Avg. Trade Duration",
            "Max. Consecutive Wins",
            "Max. Consecutive Losses",
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
        ("Turnover", "Fees", "Slippage cost", "Cash flows", "Tax", "Ambiguous bars", "Gapped entries",
         "Rejected orders"),
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


def number_of(value: object) -> float:
    """Return a number of a frame, NaN for none."""
    return float(value) if isinstance(value, int | float) else math.nan


def text(value: object) -> str:
    """Return a name as HTML; empty for none."""
    return "" if value is None else escape(str(value))


def short_time(value: object) -> str:
    """Return a time of a frame as text; empty for none."""
    from datetime import datetime

    return format_time(value) if isinstance(value, datetime) else ""


def whole_section(title: str, body: str) -> str:
    """Return a section that a printer keeps on one page."""
    return f'<section class="whole"><h2>{title}</h2>{body}</section>'


# --- sections ---------------------------------------------------------------------------------------------------------


def statistics_section(result: Result) -> str:
    """Return all statistics in groups."""
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
        '<p class="soft small">Names with [%] are percentages; Alpha (per year), MAE, MFE and Kelly fractions; '
        f"turnover multiples of mean equity per year; money in {escape(result.currency)}; n/a is not defined.</p>"
        "</section>"
    )


def statistic_row(name: str, value: Value) -> str:
    """Return the row of one statistic: name and value."""
    return f'<tr><th scope="row">{escape(name)}</th><td class="n">{shown_value(name, value)}</td></tr>'


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
    caption = "Per cent of the equity at the end of the month before; the first month against the capital."
    return whole_section(
        "Monthly returns",
        f'<div class="scroll"><table class="months"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody>'
        f'</table></div><p class="soft small">{caption}</p>',
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
    """Return the closed P&L by symbol, side, strategy and exit reason; regimes have a section of their own."""
    if not len(result.records.trades):
        return ""
    parts = [share_table(title, shares) for title, shares in result.attribution().items() if title != "regime"]
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
