"""Indicators: expressions over bars, each a step function that gives a column or one live value, bit for bit equal.

expression  what a strategy asks for: a frozen tree of series, arithmetic, shifts and indicators
definition  `@indicator`: the declaration of a step function, for us and for anybody
loop        the one loop that runs a step over a column
rolling, smoothing   the steps that come with the framework
condition   comparisons of expressions: where a strategy has to be asked
columns     evaluate an expression over a tape, each once; `truth` evaluates a condition
live        the same values one bar at a time
"""

from framework.indicators.columns import ColumnCache, evaluate, first_ready
from framework.indicators.condition import Condition
from framework.indicators.definition import Indicator, Parameter, indicator, length, number, registered
from framework.indicators.expression import Bars, Expression, crossed_above, crossed_below
from framework.indicators.live import Ohlcv, Stream
from framework.indicators.rolling import bollinger, highest, lowest, roc, sma, std, zscore
from framework.indicators.smoothing import adx, atr, ema, macd, rsi
from framework.indicators.truth import truth

__all__ = [
    "Bars", "ColumnCache", "Condition", "Expression", "Indicator", "Ohlcv", "Parameter", "Stream", "adx", "atr",
    "bollinger", "crossed_above", "crossed_below", "ema", "evaluate", "first_ready", "highest", "indicator",
    "length", "lowest", "macd", "number", "registered", "roc", "rsi", "sma", "std", "truth", "zscore",
]
