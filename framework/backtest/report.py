"""The report of a run: one HTML file that needs no network, no script and no other file.

It holds no wall-clock time, so equal runs give equal bytes.  Whatever is left out, because a page is finite, is counted
in words where it is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from framework.backtest import judgement, listings, tables
from framework.backtest.charts import (
    Envelope,
    Frame,
    area_path,
    chart,
    envelope,
    line_path,
    link_path,
    marker_path,
)
from framework.backtest.metrics import exposure_of_equity
from framework.backtest.page import page_html
from framework.backtest.plain import plain
from framework.backtest.stats import NOT_AVAILABLE, Value, format_time, moment

if TYPE_CHECKING:
    from framework.backtest.result import Result

SYMBOLS_DRAWN = 12
LINKED_TRADES = 150
"""Trades per symbol up to which entry and exit are joined by a line; beyond, markers alone are legible."""

TRADES_MARKED = 400
"""Trades per symbol that are drawn, evenly chosen beside the best and the worst: more would hide the price."""

TILES = (
    "Return [%]",
    "CAGR [%]",
    "Sharpe Ratio",
    "Sortino Ratio",
    "Max. Drawdown [%]",
    "# Trades",
    "Win Rate [%]",
    "Profit Factor",
)


MORE = "<!-- more -->"
"""Where sections come that are made when the run is over."""


def report_html(result: Result) -> str:
    """Return the whole report of a run as the text of one HTML file."""
    parts: tuple[Callable[[Result], str], ...] = (
        header,
        equity_section,
        judgement.judgement_section,
        lambda result: MORE,
        run_section,
        tables.statistics_section,
        tables.months_section,
        judgement.drawdowns_section,
        judgement.distributions_section,
        trades_section,
        judgement.excursions_section,
        tables.attribution_section,
        judgement.costs_section,
        judgement.regimes_section,
        judgement.tax_section,
        listings.trade_list_section,
        listings.open_trades_section,
        listings.refusals_section,
        provenance_section,
    )
    body = "\n".join(text for text in (part(result) for part in parts) if text)
    return page_html(f"{title(result)} · backtest", body, "framework.backtest", "report.css")


def with_section(page: str, name: str, content: str) -> str:
    """Return a report with a section of that name: in place of one that is there, else where more sections belong.

    content: HTML without a section in it.
    """
    section = f'<section id="{name}">{content}</section>'
    there = re.compile(rf'<section id="{re.escape(name)}">.*?</section>', re.DOTALL)
    if there.search(page):
        return there.sub(lambda _: section, page, count=1)
    before = MORE if MORE in page else "</main>"
    return page.replace(before, f"{section}\n{before}", 1)


# --- what was run -----------------------------------------------------------------------------------------------------


def listed(names: list[str], most: int = 6) -> str:
    """Return names joined by commas, those beyond `most` counted."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def title(result: Result) -> str:
    """Return what was run in one line."""
    strategies = list(dict.fromkeys(strategy for strategy, _ in result.slots))
    return f"{listed(strategies, 3)} on {listed(list(result.symbols), 4)}"


def header(result: Result) -> str:
    """Return the title, the key figures and the notes."""
    stats = result.stats
    period = f"{format_time(moment(result.window.start))} to {format_time(moment(result.window.end))}"
    tiles = "".join(tile(name, stats[name]) for name in TILES)
    notes = "".join(f"<li>{escape(note[:1].upper() + note[1:])}.</li>" for note in stats.footnotes)
    return (
        f'<header><h1>{escape(title(result))}</h1><p class="soft">Backtest, {period}, starting with '
        f'{result.capital:,.0f} {escape(result.currency)}</p><div class="tiles">{tiles}</div>'
        f'<ul class="notes">{notes}</ul></header>'
    )


def run_section(result: Result) -> str:
    """Return what was run on what, under which assumptions."""
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in facts_of(result) if text)
    return f"<section><h2>What was run</h2><dl>{facts}</dl></section>"


def tile(name: str, value: Value) -> str:
    """Return one key figure with its grade; the unit moves from the name to the value."""
    label, shown = name.removesuffix(" [%]"), tables.shown_value(name, value)
    if label != name and shown != NOT_AVAILABLE:
        shown += "%"
    chip = tables.grade_chip(name, value)
    return f'<div class="tile"><span>{escape(label)}</span><strong>{shown}</strong>{chip}</div>'


def facts_of(result: Result) -> list[tuple[str, str]]:
    """Return (name, HTML) of what was run: strategies, symbols, data, costs and assumptions, as configured."""
    config = result.config
    chosen = config.get("strategy", config.get("strategies"))
    if chosen is None:
        chosen = list(dict.fromkeys(strategy for strategy, _ in result.slots))
    return [
        ("Strategies", described(chosen)),
        ("Symbols", escape(listed(list(result.symbols), 40))),
        ("Data", described(data_of(result))),
        ("Fingerprint", f"<code>{escape(result.fingerprint)}</code>"),
        ("Fees", described(config.get("fees")) or "none"),
        ("Slippage", described(config.get("slippage")) or "none"),
        ("Fills", described(config.get("fills"))),
        ("Sizing", described(config.get("sizing"))),
        ("Risk rules", described(config.get("risk")) or "none"),
        ("Account", described(config.get("account"))),
        ("Assumptions", escape(assumptions(result))),
    ]


def data_of(result: Result) -> dict[str, object]:
    """Return the summary of the data without what stands in rows of its own, and each timeframe once."""
    own = {name: value for name, value in result.data.items() if name not in ("symbols", "fingerprint")}
    frames = own.get("timeframes")
    if isinstance(frames, list | tuple):
        own["timeframes"] = list(dict.fromkeys(frames))
    return own


def described(value: object) -> str:
    """Return a configured value as HTML in words: `fixed (bps 2)`, `taker_bps 5, minimum 0`; empty for nothing."""
    return escape(in_words(plain(value)))


def in_words(value: object) -> str:
    """Return a plain value as text; a table with a name leads with it."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        rest = {
            key: item for key, item in value.items() if key not in ("name", "params") and item not in (None, "", [], {})
        }
        params = value.get("params")
        inner = ", ".join(
            f"{key} {in_words(item)}"
            for key, item in [*(params.items() if isinstance(params, Mapping) else ()), *rest.items()]
        )
        if "name" in value:
            return f"{value['name']} ({inner})" if inner else str(value["name"])
        return inner
    if isinstance(value, list):
        return "; ".join(text for text in map(in_words, value) if text)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.10g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def assumptions(result: Result) -> str:
    """Return the rules of the simulation that every figure rests on."""
    fills = result.config.get("fills")
    intrabar = fills.get("intrabar", "worst") if isinstance(fills, Mapping) else "worst"
    order = (
        "where a bar touches both stop and target, the stop is taken"
        if intrabar == "worst"
        else f"inside a bar: {intrabar}"
    )
    return (
        f"Decided at a bar's close, filled from the next bar's open on; {order}; a gap fills at the open, never at a "
        f"price that did not trade. Ratios use daily returns and {result.annualization:g} days a year, the risk-free "
        f"rate is {result.risk_free_rate:.2%}; drawdown and exposure use every mark. Buy and hold is "
        + ("the equal-weighted mean over the symbols" if result.benchmark is None else f"that of {result.benchmark}")
        + ", without costs."
    )


def provenance_section(result: Result) -> str:
    """Return the seed, the versions and the whole configuration."""
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    config = escape(json.dumps(plain(result.config), indent=2, ensure_ascii=False))
    counters = result.counters
    return (
        f"<section><h2>Provenance</h2><dl><dt>Seed</dt><dd>{result.seed}</dd><dt>Versions</dt><dd>{escape(versions)}"
        f"</dd><dt>Processed</dt><dd>{counters.bars:,} bars, {counters.events:,} events</dd></dl>"
        f"<details><summary>Configuration</summary><pre>{config}</pre></details></section>"
    )


# --- curves -----------------------------------------------------------------------------------------------------------


def equity_section(result: Result) -> str:
    """Return the charts of equity, with buy and hold beside it, and of drawdown."""
    marks, window = result.records.marks, result.window
    if not len(marks):
        return "<section><h2>Equity</h2><p>The account was never marked: the run had no bars.</p></section>"
    line = envelope(marks["time"], marks["equity"], marks["equity"], window.start, window.end)
    growth = result.benchmark_growth(window.start)
    held = Envelope(np.empty(0, np.int64), np.empty(0))
    if growth is not None:
        time, value = growth.curve()
        held = envelope(time, result.capital * value, result.capital * value, window.start, window.end)
    frame = Frame.around_prices(window.start, window.end, line.value, np.array([result.capital]), held.value)
    capital = Envelope(np.array([window.start, window.end]), np.full(2, result.capital))
    paths = [line_path(frame, capital, "base"), line_path(frame, held, "reference"), line_path(frame, line, "equity")]
    legend = '<span><i style="color:var(--accent)"></i>Equity</span>'
    if growth is not None:
        name = "equal weights" if result.benchmark is None else escape(result.benchmark)
        legend += f'<span><i style="color:var(--soft);border-top-style:dashed"></i>Buy and hold, {name}</span>'
    legend += "<span>log scale</span>" if frame.is_log else ""
    return (
        f'<section><h2>Equity, drawdown and exposure</h2><div class="keep"><div class="legend">{legend}</div>'
        + chart(frame, paths, f"Equity from {result.capital:,.0f} to {line.value[-1]:,.0f}", "tall")
        + drawdown_chart(result) + exposure_chart(result) + "</div></section>"
    )


def drawdown_chart(result: Result) -> str:
    """Return the chart of the drawdown at every mark."""
    window, fraction = result.window, -result.drawdowns.fraction
    depth = envelope(result.records.marks["time"], fraction, fraction, window.start, window.end)
    lowest = min(float(depth.value.min(initial=0.0)), -0.001) * 1.08
    under = Frame(window.start, max(window.end, window.start + 1), lowest, 0.0)
    return ('<h3 class="soft small">Drawdown</h3>'
            + chart(under, [area_path(under, depth, 0.0, "under")], "Drawdown below the running peak", "flat", True))


def exposure_chart(result: Result) -> str:
    """Return the chart of gross exposure over equity at every mark; empty when there never was any."""
    marks, window = result.records.marks, result.window
    share = exposure_of_equity(marks["exposure"], marks["equity"])
    line = envelope(marks["time"], share, share, window.start, window.end)
    highest = float(line.value.max(initial=0.0))
    if highest <= 0.0:
        return ""
    frame = Frame(window.start, max(window.end, window.start + 1), 0.0, highest * 1.08)
    return ('<h3 class="soft small">Gross exposure, of equity</h3>'
            + chart(frame, [area_path(frame, line, 0.0, "over")], "Gross exposure over equity", "flat", True))


def trades_section(result: Result) -> str:
    """Return a chart per symbol of its prices and the entries and exits of its trades, for the most traded symbols."""
    trades, prices = result.records.trades, result.prices
    if prices is None or not len(trades):
        return ""
    counts = np.bincount(trades["symbol"], minlength=len(result.symbols))
    order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] and result.symbols[i] in prices.symbols]
    drawn = sorted(order[:SYMBOLS_DRAWN])
    figures = "".join(symbol_figure(result, trades[trades["symbol"] == i], i) for i in drawn)
    left_out = int(counts.sum() - counts[drawn].sum())
    note = (
        (
            f'<p class="soft small">The {len(drawn)} symbols with the most trades are drawn; {len(order) - len(drawn)} '
            f"symbols with {left_out:,} trades are not.</p>"
        )
        if len(order) > len(drawn)
        else ""
    )
    legend = (
        '<div class="legend"><span><i class="round" style="color:var(--accent)"></i>Long entry</span>'
        '<span><i class="round" style="color:var(--short)"></i>Short entry</span>'
        '<span><i class="round full" style="color:var(--gain)"></i>Exit with a profit</span>'
        '<span><i class="round full" style="color:var(--loss)"></i>Exit with a loss</span></div>'
    )
    return f"<section><h2>Trades on price</h2>{legend}{figures}{note}</section>"


def symbol_figure(result: Result, trades: NDArray[np.void], index: int) -> str:
    """Return the chart of one symbol. trades: its TRADE rows. index: of the symbol."""
    prices, window, symbol = result.prices, result.window, result.symbols[index]
    assert prices is not None
    row = prices.symbols.index(symbol)
    bars = slice(int(prices.series[row]), int(prices.series[row + 1]))
    time, close = prices.close_time[bars], prices.close[bars]
    line = envelope(time, close, close, window.start, window.end)
    if len(time) > len(line.time):
        line = envelope(time, prices.low[bars], prices.high[bars], window.start, window.end)
    every, pnl = len(trades), float(trades["pnl"].sum())
    if every > TRADES_MARKED:
        even = np.linspace(0, every - 1, TRADES_MARKED - 2).astype(np.int64)
        trades = trades[np.union1d(even, [int(np.argmin(trades["pnl"])), int(np.argmax(trades["pnl"]))])]
    frame = Frame.around_prices(window.start, window.end, line.value, trades["entry_price"], trades["exit_price"])
    won, is_long = trades["pnl"] > 0.0, trades["side"] > 0
    paths = [line_path(frame, line, "price")]
    if len(trades) <= LINKED_TRADES:
        for mask, style in ((won, "link won"), (~won, "link lost")):
            some = trades[mask]
            paths.append(
                link_path(frame, some["entry_time"], some["entry_price"], some["exit_time"], some["exit_price"], style)
            )
    size = "" if len(trades) <= LINKED_TRADES else " dense"
    for mask, style in ((is_long, "long"), (~is_long, "short")):
        paths.append(marker_path(frame, trades["entry_time"][mask], trades["entry_price"][mask], style + size))
    paths.append(marker_path(frame, trades["entry_time"], trades["entry_price"], "hole" + size))
    for mask, style in ((~won, "lost"), (won, "won")):
        paths.append(marker_path(frame, trades["exit_time"][mask], trades["exit_price"][mask], style + size))
    chosen = f", {len(trades):,} of them drawn: the best, the worst and others evenly chosen"
    part = (chosen if len(trades) < every else "") + (", log scale" if frame.is_log else "")
    return (
        f'<figure><h3>{escape(symbol)} <span class="soft small">{every:,} trade{"" if every == 1 else "s"}, '
        f"{tables.money(pnl, signed=True)} {escape(result.currency)}{part}</span></h3>"
        + chart(frame, paths, f"{symbol}: price and {len(trades)} trades", "mid")
        + "</figure>"
    )
