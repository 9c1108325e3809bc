"""Markets and oracles for the tests of indicators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import talib
from hypothesis import strategies as st

from framework.data import BarSeries, Tape, build_tape
from framework.indicators import (
    Bars,
    Expression,
    adx,
    atr,
    bollinger,
    ema,
    highest,
    lowest,
    macd,
    roc,
    rsi,
    sma,
    std,
    zscore,
)
from framework.model.instrument import Instrument

HOUR = 3_600_000_000_000
START = 1_700_006_400_000_000_000  # 2023-11-15 00:00 UTC, a whole day


@attrs.frozen(eq=False)
class Market:
    """Bars as five arrays."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray

    def __len__(self) -> int:
        return len(self.close)


@attrs.frozen(eq=False)
class Case:
    """One indicator with what TA-Lib calls it: expression outputs and the oracle's arrays, in the same order."""

    name: str
    outputs: Callable[[Bars, int], list[Expression]]
    oracle: Callable[[Market, int], list[np.ndarray]]
    shortest: int = 2


def _zscore(x: np.ndarray, length: int) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return (x - talib.SMA(x, length)) / talib.STDDEV(x, length)


def _outputs(application: Any) -> list[Expression]:
    return [getattr(application, name) for name in application.indicator.outputs]


CASES = [
    Case("sma", lambda b, n: [sma(b.close, n)], lambda m, n: [talib.SMA(m.close, n)]),
    Case("ema", lambda b, n: [ema(b.close, n)], lambda m, n: [talib.EMA(m.close, n)]),
    Case("rsi", lambda b, n: [rsi(b.close, n)], lambda m, n: [talib.RSI(m.close, n)]),
    Case("macd", lambda b, n: _outputs(macd(b.close, n, n + 3, n)),
         lambda m, n: list(talib.MACD(m.close, n, n + 3, n))),
    Case("bollinger", lambda b, n: _outputs(bollinger(b.close, n, 1.5)),
         lambda m, n: list(talib.BBANDS(m.close, n, 1.5, 1.5))),
    Case("atr", lambda b, n: [atr(b, n)], lambda m, n: [talib.ATR(m.high, m.low, m.close, n)], shortest=1),
    Case("adx", lambda b, n: _outputs(adx(b, n)),
         lambda m, n: [f(m.high, m.low, m.close, n) for f in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)]),
    Case("highest", lambda b, n: [highest(b.high, n)], lambda m, n: [talib.MAX(m.high, n)]),
    Case("lowest", lambda b, n: [lowest(b.low, n)], lambda m, n: [talib.MIN(m.low, n)]),
    Case("std", lambda b, n: [std(b.close, n)], lambda m, n: [talib.STDDEV(m.close, n)]),
    Case("zscore", lambda b, n: [zscore(b.close, n)],
         lambda m, n: [_zscore(m.close, n)]),
    Case("roc", lambda b, n: [roc(b.close, n)], lambda m, n: [talib.ROC(m.close, n)], shortest=1),
]
CASE_NAMES = [case.name for case in CASES]


def walk(n: int, seed: int = 1, step: float = 0.01, cents: bool = False) -> Market:
    """Return a random walk around 100 whose bars have ranges; in whole cents when asked, so that bars repeat."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(size=n)) * step)
    before = np.concatenate(([100.0], close[:-1]))[:n]
    open_ = before * (1.0 + rng.normal(size=n) * step / 4)
    high = np.maximum(open_, close) * (1.0 + np.abs(rng.normal(size=n)) * step)
    low = np.minimum(open_, close) / (1.0 + np.abs(rng.normal(size=n)) * step)
    columns = [np.round(x, 2) for x in (open_, high, low, close)] if cents else [open_, high, low, close]
    return Market(*columns, np.floor(rng.gamma(2.0, 500.0, size=n)) + 1.0)


def tape_of(markets: dict[str, tuple[Market, str, int, int]]) -> Tape:
    """Return a tape of name -> (market, timeframe, its length in ns, start in ns), bars without gaps."""
    series = []
    for symbol, (market, timeframe, length_ns, start_ns) in markets.items():
        open_time = start_ns + np.arange(len(market)) * length_ns
        series.append(BarSeries(Instrument(symbol), timeframe, open_time, open_time + length_ns, market.open,
                                market.high, market.low, market.close, market.volume))
    return build_tape(series)


def hourly(market: Market) -> Tape:
    """Return a tape of one symbol, AAA, with hourly bars."""
    return tape_of({"AAA": (market, "1h", HOUR, START)})


def same_bits(left: Any, right: Any) -> bool:
    """Return whether two arrays are equal bit for bit, NaN being one value."""
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    if left.shape != right.shape:
        return False
    defined = ~np.isnan(left)
    return bool(np.array_equal(defined, ~np.isnan(right))
                and np.array_equal(left[defined].view(np.int64), right[defined].view(np.int64)))


@st.composite
def markets(draw: st.DrawFn, max_bars: int = 120) -> Market:
    """Draw bars of every kind: calm, wild, flat, whole cents, tiny and huge prices, none at all."""
    n = draw(st.integers(0, max_bars))
    market = walk(n, draw(st.integers(0, 2**32)), draw(st.sampled_from([0.0, 1e-3, 0.02, 0.3])), draw(st.booleans()))
    scale = draw(st.sampled_from([1.0, 1e-6, 1e9]))
    flat = draw(st.integers(0, n))
    columns = [x * scale for x in (market.open, market.high, market.low, market.close)]
    for column in columns:
        column[flat:] = columns[3][flat] if flat < n else 0.0
    return Market(*columns, market.volume)
