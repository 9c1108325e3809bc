"""A seeded, internally consistent run for the tests of results, reports and files: no engine involved."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.backtest.result import Counters, Records, Result
from framework.model.enums import OrderKind, OrderStatus, Reason, Role, Verb
from framework.model.records import DAY, FILL, MARK, ORDER, REFUSAL, TRADE, UNSET

DAY_NS = 86_400_000_000_000
START = 1_577_836_800_000_000_000
"""2020-01-01T00:00:00Z"""


@attrs.frozen(eq=False)
class Prices:
    """Bars for the charts of a report."""

    symbols: tuple[str, ...]
    series: NDArray[np.int64]
    close_time: NDArray[np.int64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]


def random_prices(symbols: tuple[str, ...], bars: int, bar_ns: int, seed: int) -> Prices:
    """Return geometric random walks of equal length, bars closing every bar_ns from START on."""
    rng = np.random.default_rng(seed)
    scale = (bar_ns / DAY_NS) ** 0.5
    close = [100.0 * np.exp(np.cumsum(rng.normal(0.0004 * scale**2, 0.015 * scale, bars))) for _ in symbols]
    joined = np.concatenate(close)
    spread = 1.0 + np.abs(rng.normal(0.0, 0.006 * scale, len(joined)))
    times = START + bar_ns * np.arange(1, bars + 1, dtype=np.int64)
    return Prices(
        symbols,
        np.arange(len(symbols) + 1, dtype=np.int64) * bars,
        np.tile(times, len(symbols)),
        joined * spread,
        joined / spread,
        joined,
    )


def random_trades(prices: Prices, slots: list[tuple[str, str]], per_slot: int, seed: int) -> NDArray[np.void]:
    """Return non-overlapping round trips per slot at closing prices, 0.1 % of the value paid in fees."""
    rng = np.random.default_rng(seed)
    rows = []
    for slot, (_, symbol) in enumerate(slots):
        index = prices.symbols.index(symbol)
        first, last = prices.series[index], prices.series[index + 1]
        if 2 * per_slot > last - first - 1:
            per_slot = int(last - first - 1) // 2
        bars = np.sort(rng.choice(np.arange(first, last - 1), 2 * per_slot, replace=False))
        for entry, leave in bars.reshape(-1, 2):
            side = 1 if rng.random() < 0.7 else -1
            qty = round(10_000.0 / prices.close[entry], 2)
            fees = 0.001 * qty * prices.close[entry]
            change = prices.close[leave] / prices.close[entry] - 1.0
            pnl = side * qty * (prices.close[leave] - prices.close[entry]) - fees
            rows.append(
                (
                    0,
                    slot,
                    index,
                    side,
                    int(rng.integers(1, 5)),
                    int(leave - entry),
                    2,
                    prices.close_time[entry],
                    prices.close_time[leave],
                    qty,
                    prices.close[entry],
                    prices.close[leave],
                    pnl,
                    fees,
                    0.4 * fees,
                    0.0,
                    min(0.0, side * change) - 0.01,
                    max(0.0, side * change) + 0.01,
                )
            )
    table = np.array(rows, TRADE) if rows else np.empty(0, TRADE)
    table = table[np.argsort(table["exit_time"], kind="stable")]
    table["id"] = np.arange(len(table))
    return table


def marks_of(trades: NDArray[np.void], prices: Prices, capital: float) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return MARK and DAY rows: the capital and the closed P&L at every distinct bar close."""
    times = np.unique(prices.close_time)
    marks = np.zeros(len(times), MARK)
    marks["time"] = times
    closed = np.concatenate(([0.0], np.cumsum(trades["pnl"])))
    marks["equity"] = capital + closed[np.searchsorted(trades["exit_time"], times, "right")]
    opened = np.searchsorted(np.sort(trades["entry_time"]), times, "right")
    held = opened - np.searchsorted(trades["exit_time"], times, "right")
    marks["exposure"] = 10_000.0 * held
    marks["cash"] = marks["equity"] - marks["exposure"]
    day = (times - 1) // DAY_NS
    last = np.append(np.flatnonzero(np.diff(day)), len(day) - 1)
    days = np.zeros(len(last), DAY)
    days["day"], days["time"] = day[last], times[last]
    days["equity"], days["exposure"] = marks["equity"][last], marks["exposure"][last]
    return marks, days


def orders_and_fills(trades: NDArray[np.void], prices: Prices) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return one market entry and one exit order and fill per trade."""
    orders, fills = np.zeros(2 * len(trades), ORDER), np.zeros(2 * len(trades), FILL)
    for part, (time, price, sign) in enumerate((("entry_time", "entry_price", 1), ("exit_time", "exit_price", -1))):
        rows = slice(part, None, 2)
        role = np.where(part, trades["exit_role"], Role.ENTRY)
        for table in (orders[rows], fills[rows]):
            table["slot"], table["symbol"], table["role"] = trades["slot"], trades["symbol"], role
            table["side"], table["qty"], table["tag"] = sign * trades["side"], trades["qty"], -1
        orders["kind"][rows] = np.where(np.isin(role, (Role.STOP, Role.TRAIL)), OrderKind.STOP, OrderKind.MARKET)
        orders["placed_time"][rows], orders["ended_time"][rows] = trades[time] - DAY_NS, trades[time]
        orders["filled"][rows], orders["average_price"][rows] = trades["qty"], trades[price]
        fills["time"][rows], fills["price"][rows], fills["reference"][rows] = trades[time], trades[price], trades[price]
        fills["fee"][rows], fills["slippage"][rows] = trades["fees"] / 2, trades["slippage"] / 2
        for symbol, first in enumerate(prices.series[:-1].tolist()):
            own = np.flatnonzero(trades["symbol"] == symbol)
            times = prices.close_time[first : prices.series[symbol + 1]]
            fills["bar"][2 * own + part] = first + np.searchsorted(times, trades[time][own])
    fills["position"][::2] = trades["side"] * trades["qty"]
    orders["id"] = fills["id"] = fills["order_id"] = np.arange(len(orders))
    orders["parent"], orders["status"] = -1, OrderStatus.FILLED
    for name in ("price", "stop", "target"):
        orders[name] = UNSET
    return orders, fills


def random_refusals(trades: NDArray[np.void], seed: int) -> NDArray[np.void]:
    """Return one refusal per third trade: reduced by buying power, or refused by the first rule."""
    rng = np.random.default_rng(seed)
    table = np.zeros(len(trades) // 3, REFUSAL)
    of = trades[::3][: len(table)]
    ruled = rng.random(len(table)) < 0.6
    table["time"], table["slot"], table["symbol"], table["side"] = (
        of["entry_time"],
        of["slot"],
        of["symbol"],
        of["side"],
    )
    table["verb"] = Verb.ORDER
    table["reason"] = np.where(ruled, Reason.RULE, Reason.NO_BUYING_POWER)
    table["asked"], table["allowed"] = of["qty"], np.where(ruled, 0.0, of["qty"] / 2)
    table["value"], table["limit"] = np.where(ruled, 0.34, 12_000.0), np.where(ruled, 0.30, 10_000.0)
    return table


def sample_result(
    symbols: tuple[str, ...] = ("AAPL", "GOOG", "IBM", "MSFT"),
    bars: int = 1_000,
    per_slot: int = 40,
    bar_ns: int = DAY_NS,
    seed: int = 1,
    **changes: Any,
) -> Result:
    """Return a run of `ema_cross` on every symbol; equal arguments give an equal run."""
    capital = 100_000.0
    slots = [("ema_cross", symbol) for symbol in symbols]
    prices = random_prices(symbols, bars, bar_ns, seed)
    trades = random_trades(prices, slots, per_slot, seed + 1)
    marks, days = marks_of(trades, prices, capital)
    orders, fills = orders_and_fills(trades, prices)
    open_trades = trades[-1:].copy()
    open_trades["exit_role"], open_trades["exit_time"] = -1, marks["time"][-1]
    records = Records(
        orders=orders,
        fills=fills,
        trades=trades,
        refusals=random_refusals(trades, seed + 2),
        marks=marks,
        days=days,
        open_trades=open_trades,
    )
    first, last = prices.close[prices.series[:-1]], prices.close[prices.series[1:] - 1]
    values: dict[str, Any] = {
        "config": {
            "run": {"capital": capital, "seed": seed},
            "data": {"source": "sample", "symbols": list(symbols)},
            "strategy": [{"name": "ema_cross", "params": {"fast": 12, "slow": 26, "stop_atr": 2.0}}],
            "fills": {"intrabar": "worst", "participation": 0.1},
            "fees": {"taker_bps": 5.0},
            "slippage": {"name": "fixed", "params": {"bps": 2.0}},
            "sizing": {"name": "percent_of_equity"},
            "risk": [{"name": "portfolio_heat", "params": {"max_heat": 0.30}}],
            "account": {"leverage": 1.0, "shorts": True},
        },
        "symbols": symbols,
        "slots": slots,
        "tags": ("first", "second"),
        "capital": capital,
        "annualization": 252.0,
        "fingerprint": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        "seed": seed,
        "records": records,
        "first_close": first,
        "last_close": last,
        "positions": np.zeros(len(symbols)),
        "cash": float(marks["cash"][-1]),
        "versions": {"trading-framework": "0.1.0", "numpy": "2.4.6"},
        "rule_names": ("portfolio_heat",),
        "counters": Counters(
            ambiguous_bars=7,
            gapped_entries=2,
            rejected_orders=int(len(trades) // 3),
            events=2 * bars * len(symbols),
            bars=bars * len(symbols),
        ),
        "data": {"source": "sample", "timeframe": "1d", "bars": bars * len(symbols), "account_calendar": "24/7"},
        "start": START,
        "prices": prices,
    }
    return Result(**(values | changes))
