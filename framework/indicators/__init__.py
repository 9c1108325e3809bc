"""Indicators: expressions over bars, each a step function that gives a column or one live value, bit for bit equal.

expression  what a strategy asks for: a frozen tree of series, arithmetic, shifts and indicators
definition  `@indicator`: the declaration of a step function, for us and for anybody
loop        the one loop that runs a step over a column
rolling, smoothing   the steps that come with the framework
columns     evaluate an expression over a tape, each once
live        the same values one bar at a time
"""

from framework.indicators.columns import ColumnCache, evaluate, first_ready
from framework.indicators.definition import Indicator, Parameter, indicator, length, number, registered
from framework.indicators.expression import Bars, Expression
from framework.indicators.live import Ohlcv, Stream
from framework.indicators.rolling import bollinger, highest, lowest, roc, sma, std, zscore
from framework.indicators.smoothing import adx, atr, ema, macd, rsi

__all__ = [
    "Bars", "ColumnCache", "Expression", "Indicator", "Ohlcv", "Parameter", "Stream", "adx", "atr", "bollinger",
    "ema", "evaluate", "first_ready", "highest", "indicator", "length", "lowest", "macd", "number",
    "registered", "roc", "rsi", "sma", "std", "zscore",
]
