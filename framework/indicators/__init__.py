"""Indicators: expressions over bars, each a step function that gives a column or one live value, bit for bit equal.

expression  what a strategy asks for: a frozen tree of series, arithmetic, shifts and indicators
definition  `@indicator`: the declaration of a step function, for us and for anybody
batch       functions of whole arrays as indicators, and those of TA-Lib
loop        the one loop that runs a step over a column
blocks      what steps share: sums, extremes and moments over a window, averages that fade
rolling, smoothing, averages, trend, oscillators, volume, statistics, volatility, prices, order_flow   the steps of the
            framework
condition   comparisons of expressions: where a strategy has to be asked
columns     evaluate an expression over a tape, each once; `truth` evaluates a condition
live        the same values one bar at a time
"""

from framework.indicators.averages import dema, hma, kama, rma, t3, tema, trix, vwma, wma
from framework.indicators.batch import BatchIndicator, batch_indicator, talib_indicator
from framework.indicators.columns import ColumnCache, evaluate, first_ready, ready_rows
from framework.indicators.condition import Condition
from framework.indicators.definition import Indicator, Parameter, Place, indicator, length, number, registered
from framework.indicators.expression import Bars, Expression, crossed_above, crossed_below
from framework.indicators.live import Ohlcv, Stream
from framework.indicators.order_flow import imbalance, microprice, order_flow_imbalance, spread_bps
from framework.indicators.oscillators import balance_of_power, cci, cmo, momentum, ppo, stochastic, ultimate, williams_r
from framework.indicators.prices import average_price, log, median_price, typical_price, weighted_close
from framework.indicators.rolling import bollinger, highest, lowest, roc, sma, std, zscore
from framework.indicators.smoothing import adx, atr, ema, macd, rsi
from framework.indicators.statistics import beta, correlation, hurst, linreg, percentile_rank, quantile, rolling_sum
from framework.indicators.trend import aroon, donchian, ichimoku, keltner, sar, supertrend
from framework.indicators.truth import truth
from framework.indicators.volatility import (
    garman_klass,
    historical_volatility,
    natr,
    parkinson,
    realised_volatility,
    rogers_satchell,
    true_range,
    yang_zhang,
)
from framework.indicators.volume import (
    ad_line,
    anchored_vwap,
    chaikin_money_flow,
    chaikin_oscillator,
    mfi,
    obv,
    session_vwap,
    volume_zscore,
)

__all__ = [
    "Bars", "BatchIndicator", "ColumnCache", "Condition", "Expression", "Indicator", "Ohlcv", "Parameter", "Place",
    "Stream", "ad_line", "adx", "anchored_vwap", "aroon", "atr", "average_price", "balance_of_power", "batch_indicator",
    "beta", "bollinger", "cci", "chaikin_money_flow", "chaikin_oscillator", "cmo", "correlation", "crossed_above",
    "crossed_below", "dema", "donchian", "ema", "evaluate", "first_ready", "garman_klass", "highest",
    "historical_volatility", "hma", "hurst", "ichimoku", "imbalance", "indicator", "kama", "keltner", "length",
    "linreg", "log", "lowest", "macd", "median_price", "mfi", "microprice", "momentum", "natr", "number", "obv",
    "order_flow_imbalance", "parkinson", "percentile_rank", "ppo", "quantile", "ready_rows", "realised_volatility",
    "registered", "rma", "roc", "rogers_satchell", "rolling_sum", "rsi", "sar", "session_vwap", "sma", "spread_bps",
    "std", "stochastic", "supertrend", "t3", "talib_indicator", "tema", "trix", "true_range", "truth", "typical_price",
    "ultimate", "volume_zscore", "vwma", "weighted_close", "williams_r", "wma", "yang_zhang", "zscore",
]
