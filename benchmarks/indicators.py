"""Time each indicator's column, and one live bar, against TA-Lib's batch function in one run.

    python benchmarks/indicators.py [--bars 1000000] [--json]

A ratio below 1 means faster than TA-Lib. Times are the best of several runs, alternating, on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import talib

from framework.indicators import (
    Bars,
    Ohlcv,
    Stream,
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
from framework.indicators.definition import frozen

LIVE_BARS = 20_000


def cases(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> list[tuple[Any, ...]]:
    """Return (indicator, its arrays, its parameters, TA-Lib's way to the same values)."""
    bars = high, low, close
    return [
        (sma, (close,), {"length": 20}, lambda: talib.SMA(close, 20)),
        (ema, (close,), {"length": 20}, lambda: talib.EMA(close, 20)),
        (rsi, (close,), {"length": 14}, lambda: talib.RSI(close, 14)),
        (macd, (close,), {}, lambda: talib.MACD(close)),
        (bollinger, (close,), {}, lambda: talib.BBANDS(close, 20, 2.0, 2.0)),
        (atr, bars, {}, lambda: talib.ATR(*bars, 14)),
        (adx, bars, {}, lambda: [f(*bars, 14) for f in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)]),
        (highest, (close,), {"length": 20}, lambda: talib.MAX(close, 20)),
        (lowest, (close,), {"length": 20}, lambda: talib.MIN(close, 20)),
        (std, (close,), {"length": 20}, lambda: talib.STDDEV(close, 20)),
        (zscore, (close,), {"length": 20}, lambda: (close - talib.SMA(close, 20)) / talib.STDDEV(close, 20)),
        (roc, (close,), {"length": 20}, lambda: talib.ROC(close, 20)),
    ]


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def microseconds_live(one: Any, parameters: dict[str, int]) -> float:
    """Return what one pushed bar costs from Python."""
    bars = Bars()
    built = one(bars if one.bar_inputs else bars.close, **parameters)
    stream = Stream([getattr(built, one.outputs[0]) if len(one.outputs) > 1 else built])
    bar = Ohlcv(100.0, 101.0, 99.0, 100.5, 1.0)

    def push_all() -> None:
        for _ in range(LIVE_BARS):
            stream.push(bar)

    return min(seconds(push_all) for _ in range(3)) / LIVE_BARS * 1e6


def measure(n_bars: int, repeats: int = 7) -> list[dict[str, Any]]:
    """Return one row an indicator: ms a million bars of ours and TA-Lib's, their ratio, us a live bar."""
    rng = np.random.default_rng(1)
    close = 100.0 * np.exp(np.cumsum(rng.normal(size=n_bars)) * 1e-3)
    high, low = close * (1.0 + rng.random(n_bars) * 1e-3), close * (1.0 - rng.random(n_bars) * 1e-3)
    rows = []
    for one, inputs, parameters, oracle in cases(high, low, close):
        inputs = tuple(frozen(x) for x in inputs)
        first_use = seconds(lambda one=one: one.column)
        pairs = [(seconds(lambda one=one, i=inputs, p=parameters: one.compute(*i, **p)), seconds(oracle))
                 for _ in range(repeats)]
        ours, theirs = (min(pair[k] for pair in pairs) / n_bars * 1e9 for k in (0, 1))
        rows.append({"indicator": one.name, "ms_per_million": round(ours, 3), "talib_ms_per_million": round(theirs, 3),
                     "ratio": round(ours / theirs, 3), "live_us": round(microseconds_live(one, parameters), 2),
                     "first_use_s": round(first_use, 3)})
    return rows


def main() -> None:
    """Print the table, or the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.bars)
    if options.json:
        print(json.dumps({"bars": options.bars, "indicators": rows}))
        return
    print(f"{'indicator':<12}{'ms/million':>12}{'TA-Lib':>10}{'ratio':>8}{'live us':>10}{'first use s':>13}")
    for row in rows:
        print(f"{row['indicator']:<12}{row['ms_per_million']:>12.2f}{row['talib_ms_per_million']:>10.2f}"
              f"{row['ratio']:>8.2f}{row['live_us']:>10.2f}{row['first_use_s']:>13.2f}")


if __name__ == "__main__":
    main()
