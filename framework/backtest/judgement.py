"""The parts of the report that judge a run: grades with intervals, drawdowns, distributions, costs, regimes, taxes."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from framework.backtest.charts import Frame, bars_path, chart, histogram, marker_path
from framework.backtest.intervals import Interval
from framework.backtest.metrics import daily_returns
from framework.backtest.stats import GRADES, format_duration, format_time, format_value, moment, span
from framework.backtest.tables import grade_chip, money, percent, row, shown_value, table, whole_section
from framework.backtest.tax import INDIA_CESS, INDIA_CRYPTO
from framework.model.enums import CashKind

if TYPE_CHECKING:
    from framework.backtest.result import Result

Floats = NDArray[np.float64]

DRAWDOWNS_LISTED = 10

JUDGED = ("Return [%]", "Return (Ann.) [%]", *GRADES)
"""The statistics of the table of grades and intervals."""


# --- grades and intervals ---------------------------------------------------------------------------------------------


def judgement_section(result: Result) -> str:
    """Return the graded statistics with their thresholds and the intervals that say how far to believe them."""
    found = result.intervals
    lines = []
    for name in JUDGED:
        value = result.stats[name]
        grade = GRADES.get(name)
        thresholds = [f"{grade.target:g}", f"{grade.excellent:g}"] if grade else ["", ""]
        lines.append(row([escape(name), shown_value(name, value), interval_text(name, found.get(name)),
                          grade_chip(name, value), *thresholds]))
    level = next((f"{interval.level:.0%}" for interval in found.values()), "95%")
    heads = ["", "Value", f"{level} interval", "Grade", "Target", "Excellent"]
    return whole_section("How good, and how sure", table(heads, lines, caption=interval_words(found)))


def interval_text(name: str, interval: Interval | None) -> str:
    """Return an interval as text; empty without one."""
    if interval is None:
        return ""
    low, high = (format_value(name, end).replace("-", "−") for end in (interval.low, interval.high))
    return f"{low} to {high}"


def interval_words(found: dict[str, Interval]) -> str:
    """Return what the intervals say, in words."""
    if not found:
        return "No intervals: the run is too short, or its equity did not vary."
    sharpe = found.get("Sharpe Ratio")
    said = ""
    if sharpe is not None and sharpe.low <= 0.0 <= sharpe.high:
        said = "<strong>The interval of the Sharpe ratio holds 0: these days do not tell it from luck.</strong> "
    return (
        f"{said}Intervals by the stationary bootstrap of daily returns. For return and Sharpe ratio: where the true "
        "value lies. For the drawdown: between which depths another run, as long and from the same market, would fall."
    )


# --- drawdowns --------------------------------------------------------------------------------------------------------


def drawdowns_section(result: Result) -> str:
    """Return the deepest drawdowns with their dates, deepest first."""
    found = result.drawdowns
    count = len(found.depth)
    if not count:
        return ""
    lines = []
    for place, i in enumerate(np.argsort(-found.depth, kind="stable")[:DRAWDOWNS_LISTED].tolist(), 1):
        begin, trough, end = int(found.begin[i]), int(found.trough[i]), int(found.end[i])
        recovered = date(end) if found.is_recovered[i] else "not yet"
        lines.append(row([str(place), percent(-float(found.depth[i])), date(begin), date(trough), recovered,
                          days(trough - begin), days(end - trough) if found.is_recovered[i] else "",
                          days(end - begin)]))
    heads = ["", "Depth", "Peak", "Trough", "Recovered", "Down", "Up again", "In all"]
    listed = min(count, DRAWDOWNS_LISTED)
    caption = f"The {listed} deepest of {count:,}." if count > listed else f"All {count:,}."
    return whole_section("Drawdowns", table(heads, lines, caption=caption + " Over every mark of the account."))


def date(time_ns: int) -> str:
    """Return the day of a time."""
    return format_time(moment(time_ns))[:10]


def days(duration_ns: int) -> str:
    """Return a duration to the day, or to the second when it is shorter than one."""
    whole = span(duration_ns)
    return f"{round(whole.total_seconds() / 86_400):,} d" if whole.days else format_duration(whole)


# --- distributions ----------------------------------------------------------------------------------------------------


def distributions_section(result: Result) -> str:
    """Return the distributions of daily returns and of trade returns."""
    daily = daily_returns(result.records.days["equity"], result.capital)
    figures = [
        histogram_figure("Daily returns", "day", daily),
        histogram_figure("Trade returns", "trade", result.trade_returns),
    ]
    if not any(figures):
        return ""
    note = '<p class="soft small">Every bar that holds anything is drawn at least a hair high.</p>'
    return whole_section("Distributions", '<div class="duo">' + "".join(figures) + "</div>" + note)


def histogram_figure(title: str, unit: str, values: Floats) -> str:
    """Return the histogram of returns (fractions) with their quartiles in words; empty below two values."""
    values = values[np.isfinite(values)]
    changes = values[values != 0.0]
    if len(changes) < 2:
        return ""
    edges, counts = histogram(changes)
    frame = Frame(float(edges[0]), float(edges[-1]), 0.0, float(counts.max()) * 1.06)
    low, middle, high = (percent(float(value), signed=True) for value in np.quantile(values, (0.05, 0.5, 0.95)))
    words = f"{len(values):,} {unit}s: 5% below {low}, half below {middle}, 5% above {high}"
    still = len(values) - len(changes)
    words += f"; {still:,} without change are not drawn" if still else ""
    paths = [bars_path(frame, edges, np.where(edges[:-1] < 0.0, counts, 0), "bar lost"),
             bars_path(frame, edges, np.where(edges[:-1] < 0.0, 0, counts), "bar won")]
    return (f'<figure><h3>{title} <span class="soft small">{words}</span></h3>'
            + chart(frame, paths, title, "mid", across="percent") + "</figure>")


def excursions_section(result: Result) -> str:
    """Return, per closed trade, how far the price went against it and for it beside what came of it."""
    trades, returns = result.records.trades, result.trade_returns
    if len(trades) < 2:
        return ""
    figures = [excursion_figure("Worst excursion (MAE)", trades["mae"], returns, trades["pnl"] > 0.0),
               excursion_figure("Best excursion (MFE)", trades["mfe"], returns, trades["pnl"] > 0.0)]
    note = (
        '<p class="soft small">Across: how far the price went against the trade, or for it, from its entry price. '
        "Upwards: its return. Winners that had been deep under water would not survive a nearer stop; losers that had "
        "been far ahead ask for a nearer target or trail.</p>"
    )
    return whole_section("Excursions", '<div class="duo">' + "".join(figures) + "</div>" + note)


def excursion_figure(title: str, excursion: Floats, returns: Floats, won: NDArray[np.bool_]) -> str:
    """Return a scatter chart of excursions (fractions) against returns."""
    known = np.isfinite(excursion) & np.isfinite(returns)
    excursion, returns, won = np.asarray(excursion[known]), returns[known], won[known]
    if not len(excursion):
        return ""
    room = 0.03 * float(np.ptp(excursion)) or 0.001
    frame = Frame.around(float(excursion.min()) - room, float(excursion.max()) + room, returns)
    dense = " dense" if len(returns) > 150 else ""
    paths = [marker_path(frame, excursion[mask], returns[mask], style + dense)
             for mask, style in ((~won, "lost"), (won, "won"))]
    means = ", ".join(f"{word} {percent(float(excursion[mask].mean()), signed=True)}"
                      for word, mask in (("winners", won), ("losers", ~won)) if mask.any())
    return (f'<figure><h3>{title} <span class="soft small">mean of {means}</span></h3>'
            + chart(frame, paths, title, "mid", percent=True, across="percent") + "</figure>")


# --- money ------------------------------------------------------------------------------------------------------------


FLOW_NAMES = {CashKind.TDS: "Tax withheld"}
"""What the report calls a kind of cash flow whose own name says too little."""


def costs_section(result: Result) -> str:
    """Return the way from what prices alone would have given to what is left after costs and taxes."""
    fills, stats = result.records.fills, result.stats
    if not len(fills):
        return ""
    fees, slippage = float(fills["fee"].sum()), float(fills["slippage"].sum())
    final = result.window.final(result.records.marks)
    net = final - result.capital
    flows = result.records.cash_flows
    moved = [(FLOW_NAMES.get(kind, kind.name.capitalize()), float(flows["amount"][flows["kind"] == kind].sum()))
             for kind in CashKind if kind in flows["kind"]]
    before = net + fees + slippage - math.fsum(amount for _, amount in moved)
    steps: list[tuple[str, float]] = [("At reference prices", before), ("Slippage", -slippage), ("Fees", -fees),
                                      *moved, ("Profit", net)]
    if result.tax is not None and not result.tax.in_equity:
        steps += [("Taxes", -result.tax_cost), ("After taxes", net - result.tax_cost)]
    lines = [row([name, money(value, signed=True), percent(value / result.capital, signed=True)])
             for name, value in steps]
    traded = f"{len(fills):,} fills, turnover {format_value('Turnover', stats['Turnover'])} times mean equity a year."
    return whole_section("Costs", table(["", escape(result.currency), "Of the capital"], lines, caption=traded))


def regimes_section(result: Result) -> str:
    """Return how often each regime of the sizing rule held, and what the trades made that began in it."""
    regimes = result.regimes
    if regimes is None:
        return ""
    bars, shares = regimes.bars, {share.name: share for share in result.attribution()["regime"]}
    total = sum(bars.values())
    lines = []
    for name in (*regimes.names, *(["not known"] if "not known" in shares else [])):
        share = shares.get(name)
        held = bars.get(name)
        lines.append(row([
            escape(name),
            "" if held is None else f"{held:,}",
            "" if held is None or not total else percent(held / total),
            f"{share.trades if share else 0:,}",
            percent(share.win_rate) if share else "n/a",
            money(share.pnl if share else 0.0, signed=True),
        ]))
    heads = ["Regime", "Bars", "Held", "Trades begun", "Win rate", "P&amp;L"]
    caption = "Bars of all symbols; a trade counts by the regime that was known before its first fill."
    return whole_section("Regimes", table(heads, lines, caption=caption))


def tax_section(result: Result) -> str:
    """Return the tax of each year and of all."""
    tax, years = result.tax, result.tax_years
    if tax is None:
        return ""
    names = ("gains", "losses", "carried", "taxable", "tax", "withheld", "balance")
    needed = {"carried": tax.offset_losses, "withheld": tax.tds > 0.0, "balance": tax.tds > 0.0}
    shown = [name for name in names if needed.get(name, True)]
    lines = [row([year_label(year.year, tax.first_month), *(money(getattr(year, name)) for name in shown)])
             for year in years]
    foot = row(["Total", *(money(math.fsum(getattr(year, name) for year in years)) for name in shown)])
    heads = ["Tax year", *(TAX_HEADS[name] for name in shown)]
    return whole_section("Taxes", table(heads, lines, foot, tax_words(result)))


TAX_HEADS = {"gains": "Gains", "losses": "Losses", "carried": "Carried in", "taxable": "Taxable", "tax": "Tax",
             "withheld": "Withheld", "balance": "Balance"}


def year_label(year: int, first_month: int) -> str:
    """Return the name of a tax year: `2021`, or `2021-22` when it does not begin in January."""
    return str(year) if first_month == 1 else f"{year}-{(year + 1) % 100:02d}"


def tax_words(result: Result) -> str:
    """Return the rules that the taxes follow, in words."""
    tax = result.tax
    assert tax is not None
    base = "net gains, losses carried forward" if tax.offset_losses else "each gain, no loss set off"
    words = [f"{100.0 * tax.rate:g}% of {base}"]
    if tax.cess:
        words.append(f"a cess of {100.0 * tax.cess:g}% of the tax")
    elif tax.mode == INDIA_CRYPTO:
        words.append(f"no cess, though the law adds one of {100.0 * INDIA_CESS:g}% of the tax: [tax] cess = "
                     f"{INDIA_CESS:g} counts it")
    if tax.tds:
        credited = "and credited" if tax.credit_tds else "and not credited"
        words.append(f"{100.0 * tax.tds:g}% of every sale withheld {credited}")
    counted = "gains after fees" if tax.deduct_fees else "gains before fees"
    words.append(counted if tax.count_cash_flows else f"{counted}, cash flows apart")
    left = shown_value("Post-tax Return [%]", result.stats["Post-tax Return [%]"])
    taken = ("the tax was paid inside the run, so that its equity is what is left after tax" if tax.in_equity
             else "nothing was taken from the equity of the run")
    return f"{'; '.join(words)}. Open positions are not taxed, and {taken}. Return after tax: {left}%."


