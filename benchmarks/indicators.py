"""Time each indicator's column, and one live bar, against TA-Lib's batch function in one run.

    python benchmarks/indicators.py [--bars 1000000] [--only NAME ...] [--json]

A ratio below 1 means faster than TA-Lib; there is none where TA-Lib has no such function. Ours and TA-Lib alternate on
one core, in processor time of this thread, and each of these figures is the median of the runs: a neighbour on the
machine weighs little.  A live bar costs a microsecond, so that a core that slows down shows; its figure is the least of
the runs, as `timeit` advises.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import talib

from framework.indicators import Bars, Ohlcv, Stream, registered
from framework.indicators.definition import frozen

LIVE_BARS = 20_000


Oracle = Callable[[dict[str, np.ndarray]], object]


def of_bars(*fields: str) -> Callable[..., Oracle]:
    """Return what makes TA-Lib's call on some fields of the bars from its function and parameters."""

    def made(function: Callable[..., object], *parameters: float) -> Oracle:
        return lambda bars: function(*(bars[name] for name in fields), *parameters)

    return made


close = of_bars("close")
range_ = of_bars("high", "low")
hlc = of_bars("high", "low", "close")
ohlc = of_bars("open", "high", "low", "close")
hlcv = of_bars("high", "low", "close", "volume")


def every(*calls: Oracle) -> Oracle:
    """Return several calls of TA-Lib, for an indicator with as many outputs."""
    return lambda bars: [call(bars) for call in calls]


def _zscore(x: np.ndarray) -> np.ndarray:
    return (x - talib.SMA(x, 20)) / talib.STDDEV(x, 20)


LENGTH: dict[str, Any] = {"length": 20}
CASES: dict[str, tuple[dict[str, Any], Oracle | None]] = {
    "sma": (LENGTH, close(talib.SMA, 20)),
    "ema": (LENGTH, close(talib.EMA, 20)),
    "rsi": ({}, close(talib.RSI, 14)),
    "macd": ({}, close(talib.MACD)),
    "bollinger": ({}, close(talib.BBANDS, 20, 2.0, 2.0)),
    "atr": ({}, hlc(talib.ATR, 14)),
    "adx": ({}, every(hlc(talib.ADX, 14), hlc(talib.PLUS_DI, 14), hlc(talib.MINUS_DI, 14))),
    "highest": (LENGTH, close(talib.MAX, 20)),
    "lowest": (LENGTH, close(talib.MIN, 20)),
    "std": (LENGTH, close(talib.STDDEV, 20)),
    "zscore": (LENGTH, lambda bars: _zscore(bars["close"])),
    "roc": (LENGTH, close(talib.ROC, 20)),
    "wma": (LENGTH, close(talib.WMA, 20)),
    "hma": (LENGTH, close(talib.HMA, 20)),
    "dema": (LENGTH, close(talib.DEMA, 20)),
    "tema": (LENGTH, close(talib.TEMA, 20)),
    "trix": (LENGTH, close(talib.TRIX, 20)),
    "t3": ({}, close(talib.T3, 5, 0.7)),
    "kama": ({}, close(talib.KAMA, 10)),
    "rma": ({}, close(talib.RMA, 14)),
    "vwma": (LENGTH, of_bars("close", "volume")(talib.VWMA, 20)),
    "keltner": ({}, hlc(talib.KC, 20, 10, 2.0)),
    "donchian": ({}, range_(talib.DONCHIAN, 20)),
    "supertrend": ({}, hlc(talib.SUPERTREND, 10, 3.0)),
    "sar": ({}, range_(talib.SAR)),
    "ichimoku": ({}, None),
    "aroon": ({}, every(range_(talib.AROON, 14), range_(talib.AROONOSC, 14))),
    "momentum": (LENGTH, close(talib.MOM, 20)),
    "cmo": ({}, close(talib.CMO, 14)),
    "ppo": ({}, close(talib.PPO, 12, 26, 1)),
    "cci": ({}, hlc(talib.CCI, 20)),
    "williams_r": ({}, hlc(talib.WILLR, 14)),
    "stochastic": ({}, hlc(talib.STOCH, 14, 3, 0, 3, 0)),
    "ultimate": ({}, hlc(talib.ULTOSC)),
    "balance_of_power": ({}, ohlc(talib.BOP)),
    "obv": ({}, of_bars("close", "volume")(talib.OBV)),
    "ad_line": ({}, hlcv(talib.AD)),
    "chaikin_oscillator": ({}, hlcv(talib.ADOSC)),
    "chaikin_money_flow": ({}, hlcv(talib.CMF, 20)),
    "mfi": ({}, hlcv(talib.MFI, 14)),
    "volume_zscore": ({}, lambda bars: _zscore(bars["volume"])),
    "session_vwap": ({}, None),
    "anchored_vwap": ({}, hlcv(talib.VWAP)),
    "imbalance": ({}, None),
    "spread_bps": ({}, None),
    "microprice": ({}, None),
    "order_flow_imbalance": ({}, None),
    "rolling_sum": (LENGTH, close(talib.SUM, 20)),
    "linreg": (LENGTH, every(*(close(f, 20) for f in (talib.LINEARREG, talib.LINEARREG_SLOPE,
                                                      talib.LINEARREG_INTERCEPT, talib.TSF)),
                             lambda bars: talib.CORREL(bars["close"], bars["place"], 20) ** 2)),
    "correlation": (LENGTH, of_bars("close", "open")(talib.CORREL, 20)),
    "beta": (LENGTH, of_bars("close", "open")(talib.BETA, 20)),
    "percentile_rank": ({}, close(talib.PERCENTRANK, 100)),
    "quantile": (LENGTH, close(talib.PERCENTILE, 20, 50.0)),
    "hurst": ({}, None),
    "true_range": ({}, hlc(talib.TRANGE)),
    "natr": ({}, hlc(talib.NATR, 14)),
    "realised_volatility": ({}, None),
    "historical_volatility": ({}, None),
    "parkinson": ({}, None),
    "garman_klass": ({}, None),
    "rogers_satchell": ({}, None),
    "yang_zhang": ({}, None),
    "typical_price": ({}, hlc(talib.TYPPRICE)),
    "median_price": ({}, range_(talib.MEDPRICE)),
    "weighted_close": ({}, hlc(talib.WCLPRICE)),
    "average_price": ({}, ohlc(talib.AVGPRICE)),
    "log": ({}, close(talib.LN)),
}
"""Per indicator its parameters and TA-Lib's way to the same values, None where it has none."""

SERIES = {"x": "close", "y": "open", "market": "open", "volume": "volume", "anchor": "anchor", "bid": "low",
          "ask": "high", "bid_size": "volume", "ask_size": "close", "bids": "volume", "asks": "close"}
"""Which column stands for an input that is any series."""


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time that one call takes."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def microseconds_live(one: Any, parameters: dict[str, Any], n_bars: int) -> float:
    """Return what one of some pushed bars costs from Python."""
    bars = Bars()
    series = {"anchor": bars.bars_in_session}
    inputs = [bars] if one.bar_inputs else []
    inputs += [series[name] if name in series else getattr(bars, SERIES[name]) for name in one.inputs]
    built = one(*inputs, **parameters)
    stream = Stream([getattr(built, one.outputs[0]) if len(one.outputs) > 1 else built])
    walk = np.random.default_rng(1).normal(size=n_bars).cumsum() * 0.01 + 100.0
    pushed = [Ohlcv(x, x + 1.0, x - 1.0, x + 0.5, 1.0, 1.0) for x in walk.tolist()]

    def push_all() -> None:
        for bar in pushed:
            stream.push(bar)

    return min(seconds(push_all) for _ in range(9)) / n_bars * 1e6


def market(n_bars: int) -> dict[str, np.ndarray]:
    """Return the columns of a random walk."""
    rng = np.random.default_rng(1)
    close = 100.0 * np.exp(np.cumsum(rng.normal(size=n_bars)) * 1e-3)
    opened = np.concatenate(([100.0], close[:-1])) * (1.0 + rng.normal(size=n_bars) * 1e-4)
    return {"open": opened, "high": np.maximum(opened, close) * (1.0 + rng.random(n_bars) * 1e-3),
            "low": np.minimum(opened, close) * (1.0 - rng.random(n_bars) * 1e-3), "close": close,
            "volume": np.floor(rng.gamma(2.0, 500.0, size=n_bars)) + 1.0,
            "bars_in_session": np.arange(n_bars) % 390 + 1.0, "anchor": np.ones(n_bars),
            "place": np.arange(n_bars) * 1.0}


def measure(n_bars: int, names: list[str], repeats: int = 15) -> list[dict[str, Any]]:
    """Return one row an indicator: ms a million bars of ours and TA-Lib's, their ratio, us a live bar."""
    bars = market(n_bars)
    rows = []
    for name in names:
        one, (parameters, oracle) = registered()[name], CASES[name]
        inputs = tuple(frozen(bars[field]) for field in (*one.bar_inputs, *(SERIES[x] for x in one.inputs)))
        first_use = seconds(lambda one=one: one.column)
        pairs = [(seconds(lambda one=one, i=inputs, p=parameters: one.compute(*i, **p)),
                  seconds(lambda oracle=oracle: oracle(bars)) if oracle else 0.0) for _ in range(repeats + 1)][1:]
        ours, theirs = (statistics.median(pair[k] for pair in pairs) / n_bars * 1e9 for k in (0, 1))
        ratio = statistics.median(ours / theirs for ours, theirs in pairs) if oracle else None
        rows.append({"indicator": one.name, "ms_per_million": round(ours, 3),
                     "talib_ms_per_million": round(theirs, 3) if oracle else None,
                     "ratio": None if ratio is None else round(ratio, 3),
                     "live_us": round(microseconds_live(one, parameters, min(n_bars, LIVE_BARS)), 2),
                     "first_use_s": round(first_use, 3)})
    return rows


def main() -> None:
    """Print the table, or the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=sorted(CASES), default=list(CASES), metavar="NAME")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.bars, options.only)
    ratios = [row["ratio"] for row in rows if row["ratio"] is not None]
    summary = {"shared": len(ratios), "as_fast": sum(ratio <= 1.0 for ratio in ratios), "worst": max(ratios, default=0),
               "slowest_live": sorted(((row["live_us"], row["indicator"]) for row in rows), reverse=True)[:5]}
    if options.json:
        print(json.dumps({"bars": options.bars, **summary, "indicators": rows}))
        return
    print(f"{'indicator':<24}{'ms/million':>12}{'TA-Lib':>10}{'ratio':>8}{'live us':>10}{'first use s':>13}")
    for row in rows:
        theirs, ratio = ("-" if row[key] is None else f"{row[key]:.2f}" for key in ("talib_ms_per_million", "ratio"))
        print(f"{row['indicator']:<24}{row['ms_per_million']:>12.2f}{theirs:>10}{ratio:>8}{row['live_us']:>10.2f}"
              f"{row['first_use_s']:>13.2f}")
    print(f"{summary['as_fast']} of {summary['shared']} shared with TA-Lib are at least as fast, the slowest takes "
          f"{summary['worst']:.2f} times its time")
    print("the slowest live bars: " + ", ".join(f"{name} {us:.2f} us" for us, name in summary["slowest_live"]))


if __name__ == "__main__":
    main()
