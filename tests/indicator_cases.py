"""Markets and oracles for the tests of indicators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import indicator_oracles as oracles
import numpy as np
import talib
from hypothesis import strategies as st

from framework import indicators as ind
from framework.data import BarSeries, Tape, build_tape
from framework.indicators import Bars, Expression
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

    @property
    def bars_in_session(self) -> np.ndarray:
        """The place of each hour in its day, when the first bar opens at midnight."""
        return np.arange(len(self)) % 24 + 1.0

    @property
    def prices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """High, low and close."""
        return self.high, self.low, self.close

    @property
    def ohlc(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Open, high, low and close."""
        return self.open, self.high, self.low, self.close


@attrs.frozen(eq=False)
class Case:
    """One indicator: its expression outputs and the oracle's arrays, in the same order, for a length.

    scale   what differences are measured against when it is larger than the value itself, for a value that crosses
            zero: a number, or the largest "price", "volume" or "turnover"; 0 measures against the value alone
    """

    name: str
    outputs: Callable[[Bars, int], list[Expression]]
    oracle: Callable[[Market, int], list[np.ndarray]]
    shortest: int = 2
    scale: float | str = 0.0

    def size(self, market: Market) -> float:
        """Return the scale as a number."""
        known = {"price": market.high, "volume": market.volume, "turnover": market.high * market.volume}
        return float(known[self.scale].max()) if isinstance(self.scale, str) else self.scale


def _outputs(application: Any) -> list[Expression]:
    return [getattr(application, name) for name in application.indicator.outputs]


def _zscore(x: np.ndarray, length: int) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return (x - talib.SMA(x, length)) / talib.STDDEV(x, length)


def _ppo(x: np.ndarray, n: int) -> list[np.ndarray]:
    line = talib.PPO(x, n, n + 3, 1)
    signal = talib.EMA(line, n)
    return [line, signal, line - signal]


def _stochastic(m: Market, n: int) -> list[np.ndarray]:
    k = talib.STOCH(*m.prices, n, 3, 0, 1, 0)[0]
    return [k, talib.STOCH(*m.prices, n, 3, 0, 2, 0)[1]]


def _beta(m: Market, n: int) -> list[np.ndarray]:
    return [oracles.beta(m.close, m.open, n)]


CASES = [
    Case("sma", lambda b, n: [ind.sma(b.close, n)], lambda m, n: [talib.SMA(m.close, n)]),
    Case("ema", lambda b, n: [ind.ema(b.close, n)], lambda m, n: [talib.EMA(m.close, n)]),
    Case("rsi", lambda b, n: [ind.rsi(b.close, n)], lambda m, n: [talib.RSI(m.close, n)]),
    Case("macd", lambda b, n: _outputs(ind.macd(b.close, n, n + 3, n)),
         lambda m, n: list(talib.MACD(m.close, n, n + 3, n)), scale=1.0),
    Case("bollinger", lambda b, n: _outputs(ind.bollinger(b.close, n, 1.5)),
         lambda m, n: list(talib.BBANDS(m.close, n, 1.5, 1.5))),
    Case("atr", lambda b, n: [ind.atr(b, n)], lambda m, n: [talib.ATR(*m.prices, n)], shortest=1),
    Case("adx", lambda b, n: _outputs(ind.adx(b, n)),
         lambda m, n: [f(*m.prices, n) for f in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)], scale=100.0),
    Case("highest", lambda b, n: [ind.highest(b.high, n)], lambda m, n: [talib.MAX(m.high, n)]),
    Case("lowest", lambda b, n: [ind.lowest(b.low, n)], lambda m, n: [talib.MIN(m.low, n)]),
    Case("std", lambda b, n: [ind.std(b.close, n)], lambda m, n: [talib.STDDEV(m.close, n)]),
    Case("zscore", lambda b, n: [ind.zscore(b.close, n)], lambda m, n: [_zscore(m.close, n)], scale=1.0),
    Case("roc", lambda b, n: [ind.roc(b.close, n)], lambda m, n: [talib.ROC(m.close, n)], shortest=1, scale=1.0),

    Case("wma", lambda b, n: [ind.wma(b.close, n)], lambda m, n: [talib.WMA(m.close, n)]),
    Case("hma", lambda b, n: [ind.hma(b.close, n)], lambda m, n: [talib.HMA(m.close, n)]),
    Case("dema", lambda b, n: [ind.dema(b.close, n)], lambda m, n: [talib.DEMA(m.close, n)]),
    Case("tema", lambda b, n: [ind.tema(b.close, n)], lambda m, n: [talib.TEMA(m.close, n)]),
    Case("trix", lambda b, n: [ind.trix(b.close, n)], lambda m, n: [talib.TRIX(m.close, n)], scale=1.0),
    Case("t3", lambda b, n: [ind.t3(b.close, n)], lambda m, n: [talib.T3(m.close, n, 0.7)]),
    Case("kama", lambda b, n: [ind.kama(b.close, n)], lambda m, n: [talib.KAMA(m.close, n)]),
    Case("rma", lambda b, n: [ind.rma(b.close, n)], lambda m, n: [talib.RMA(m.close, n)]),
    Case("vwma", lambda b, n: [ind.vwma(b.close, b.volume, n)], lambda m, n: [talib.VWMA(m.close, m.volume, n)]),

    Case("keltner", lambda b, n: _outputs(ind.keltner(b, n, n + 1, 1.5)),
         lambda m, n: oracles.keltner(*m.prices, n, n + 1, 1.5)),
    Case("donchian", lambda b, n: _outputs(ind.donchian(b, n)), lambda m, n: list(talib.DONCHIAN(m.high, m.low, n))),
    Case("supertrend", lambda b, n: _outputs(ind.supertrend(b, n, 2.0)),
         lambda m, n: oracles.supertrend(*m.prices, n, 2.0)),
    Case("sar", lambda b, n: [ind.sar(b, 0.01 * n, 0.05 * n)],
         lambda m, n: [talib.SAR(m.high, m.low, 0.01 * n, 0.05 * n)]),
    Case("ichimoku", lambda b, n: _outputs(ind.ichimoku(b, n, 2 * n, 3 * n, n + 1)),
         lambda m, n: oracles.ichimoku(m.high, m.low, n, 2 * n, 3 * n, n + 1)),
    Case("aroon", lambda b, n: _outputs(ind.aroon(b, n)),
         lambda m, n: [*talib.AROON(m.high, m.low, n)[::-1], talib.AROONOSC(m.high, m.low, n)]),

    Case("momentum", lambda b, n: [ind.momentum(b.close, n)], lambda m, n: [talib.MOM(m.close, n)]),
    Case("cmo", lambda b, n: [ind.cmo(b.close, n)], lambda m, n: [talib.CMO(m.close, n)], scale=100.0),
    Case("ppo", lambda b, n: _outputs(ind.ppo(b.close, n, n + 3, n)), lambda m, n: _ppo(m.close, n), scale=1.0),
    Case("cci", lambda b, n: [ind.cci(b, n)], lambda m, n: [talib.CCI(*m.prices, n)], scale=100.0),
    Case("williams_r", lambda b, n: [ind.williams_r(b, n)], lambda m, n: [talib.WILLR(*m.prices, n)], scale=100.0),
    Case("stochastic", lambda b, n: _outputs(ind.stochastic(b, n, 3, 2)), _stochastic, scale=100.0),
    Case("ultimate", lambda b, n: [ind.ultimate(b, n, n + 2, 2 * n)],
         lambda m, n: [talib.ULTOSC(*m.prices, n, n + 2, 2 * n)], scale=100.0),
    Case("balance_of_power", lambda b, n: [ind.balance_of_power(b)], lambda m, n: [talib.BOP(*m.ohlc)]),

    Case("obv", lambda b, n: [ind.obv(b)], lambda m, n: [talib.OBV(m.close, m.volume)]),
    Case("ad_line", lambda b, n: [ind.ad_line(b)], lambda m, n: [talib.AD(*m.prices, m.volume)], scale="volume"),
    Case("chaikin_oscillator", lambda b, n: [ind.chaikin_oscillator(b, n, n + 7)],
         lambda m, n: [talib.ADOSC(*m.prices, m.volume, n, n + 7)], scale="volume"),
    Case("chaikin_money_flow", lambda b, n: [ind.chaikin_money_flow(b, n)],
         lambda m, n: [talib.CMF(*m.prices, m.volume, n)], scale=1.0),
    Case("mfi", lambda b, n: [ind.mfi(b, n)], lambda m, n: [talib.MFI(*m.prices, m.volume, n)], scale=100.0),
    Case("volume_zscore", lambda b, n: [ind.volume_zscore(b, n)],
         lambda m, n: [oracles.zscore(m.volume, n)], scale=1.0),
    Case("session_vwap", lambda b, n: [ind.session_vwap(b)],
         lambda m, n: [oracles.session_vwap(*m.prices, m.volume, m.bars_in_session)]),
    Case("anchored_vwap", lambda b, n: [ind.anchored_vwap(b, b.bars_in_session - b.bars_in_session + 1)],
         lambda m, n: [talib.VWAP(*m.prices, m.volume)]),

    Case("imbalance", lambda b, n: [ind.imbalance(b.volume, b.close)],
         lambda m, n: [(m.volume - m.close) / (m.volume + m.close)], scale=1.0),
    Case("spread_bps", lambda b, n: [ind.spread_bps(b.low, b.high)],
         lambda m, n: [20_000.0 * (m.high - m.low) / (m.high + m.low)], scale=1.0),
    Case("microprice", lambda b, n: [ind.microprice(b.low, b.volume, b.high, b.close)],
         lambda m, n: [m.low + (m.high - m.low) * m.volume / (m.volume + m.close)]),
    Case("order_flow_imbalance", lambda b, n: [ind.order_flow_imbalance(b.low, b.volume, b.high, b.open, n)],
         lambda m, n: [oracles.order_flow_imbalance(m.low, m.volume, m.high, m.open, n)], scale="turnover"),

    Case("rolling_sum", lambda b, n: [ind.rolling_sum(b.close, n)], lambda m, n: [talib.SUM(m.close, n)]),
    Case("linreg", lambda b, n: _outputs(ind.linreg(b.close, n)), lambda m, n: oracles.linreg(m.close, n), scale=1.0),
    Case("correlation", lambda b, n: [ind.correlation(b.close, b.volume, n)],
         lambda m, n: [oracles.correlation(m.close, m.volume, n)], scale=1.0),
    Case("beta", lambda b, n: [ind.beta(b.close, b.open, n)], _beta, scale=1.0),
    Case("percentile_rank", lambda b, n: [ind.percentile_rank(b.close, n)],
         lambda m, n: [oracles.percentile_rank(m.close, n)]),
    Case("quantile", lambda b, n: [ind.quantile(b.close, n, 0.3)], lambda m, n: [oracles.quantile(m.close, n, 0.3)]),
    Case("hurst", lambda b, n: [ind.hurst(b.close, n + 14)], lambda m, n: [oracles.hurst(m.close, n + 14)], scale=1.0),

    Case("true_range", lambda b, n: [ind.true_range(b)], lambda m, n: [talib.TRANGE(*m.prices)]),
    Case("natr", lambda b, n: [ind.natr(b, n)], lambda m, n: [talib.NATR(*m.prices, n)]),
    Case("realised_volatility", lambda b, n: [ind.realised_volatility(b.close, n, 252)],
         lambda m, n: [oracles.mean_root(oracles.log_returns(m.close) ** 2, n, 252)]),
    Case("historical_volatility", lambda b, n: [ind.historical_volatility(b.close, n, 252)],
         lambda m, n: [oracles.historical(m.close, n, 252)]),
    Case("parkinson", lambda b, n: [ind.parkinson(b, n, 252)],
         lambda m, n: [oracles.parkinson(m.high, m.low, n, 252)]),
    Case("garman_klass", lambda b, n: [ind.garman_klass(b, n, 252)],
         lambda m, n: [oracles.garman_klass(*m.ohlc, n, 252)]),
    Case("rogers_satchell", lambda b, n: [ind.rogers_satchell(b, n, 252)],
         lambda m, n: [oracles.rogers_satchell(*m.ohlc, n, 252)]),
    Case("yang_zhang", lambda b, n: [ind.yang_zhang(b, n, 252)], lambda m, n: [oracles.yang_zhang(*m.ohlc, n, 252)]),

    Case("typical_price", lambda b, n: [ind.typical_price(b)], lambda m, n: [talib.TYPPRICE(*m.prices)]),
    Case("median_price", lambda b, n: [ind.median_price(b)], lambda m, n: [talib.MEDPRICE(m.high, m.low)]),
    Case("weighted_close", lambda b, n: [ind.weighted_close(b)], lambda m, n: [talib.WCLPRICE(*m.prices)]),
    Case("average_price", lambda b, n: [ind.average_price(b)], lambda m, n: [talib.AVGPRICE(*m.ohlc)]),
    Case("log", lambda b, n: [ind.log(b.close)], lambda m, n: [talib.LN(m.close)]),
]
CASE_NAMES = [case.name for case in CASES]


SERIES = {"x": "close", "y": "open", "market": "open", "bid": "low", "ask": "high", "bid_size": "volume",
          "ask_size": "close", "bids": "volume", "asks": "close"}
"""Which column of a market stands for an input that is any series; the others are called as they are."""


def arrays_of(indicator: Any, market: Any) -> list[np.ndarray]:
    """Return the input columns of an indicator from a market; an anchor is at the first bar."""
    names = (*indicator.bar_inputs, *(SERIES.get(name, name) for name in indicator.inputs))
    return [np.ones(len(market.close)) if name == "anchor" else getattr(market, name) for name in names]


def parameters_of(indicator: Any, length: int) -> dict[str, Any]:
    """Return valid parameters around a length: the next one a bar longer, real ones as they are by default."""
    return {name: max(length + i, int(one.low or 0)) if one.kind is int else one.default
            for i, (name, one) in enumerate(indicator.parameters.items())}


def built_in() -> dict[str, Any]:
    """Return the indicators that come with the framework, by name."""
    return {name: one for name, one in ind.registered().items() if one.__module__.startswith("framework.indicators.")}


def walk(n: int, seed: int = 1, step: float = 0.01, cents: bool = False) -> Market:
    """Return a random walk around 100 whose bars have ranges; in whole cents when asked, so that bars repeat."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(size=n)) * step)
    before = np.concatenate(([100.0], close[:-1]))[:n]
    open_ = before * (1.0 + rng.normal(size=n) * step / 4)
    high = np.maximum(open_, close) * (1.0 + np.abs(rng.normal(size=n)) * step)
    low = np.minimum(open_, close) / (1.0 + np.abs(rng.normal(size=n)) * step)
    columns = [open_, high, low, close]
    if cents:
        columns = [np.maximum(np.round(x, 2), 0.01) for x in columns]
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
