"""Batch functions and TA-Lib's as indicators: equal to the function, causal or refused, the same bar by bar."""

from __future__ import annotations

import math
import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from indicator_cases import hourly, markets, same_bits, walk
from test_indicators_live import bar_of, pushed

from framework.errors import ConfigError, StrategyError
from framework.indicators import (
    Bars,
    BatchIndicator,
    Stream,
    batch_indicator,
    ema,
    evaluate,
    first_ready,
    length,
    number,
    sma,
    talib_indicator,
)
from framework.indicators.batch import CHECKED_BARS

BARS = Bars()


@batch_indicator(inputs=("x",), parameters={"length": length(3, 5)}, lookback=lambda p: p.length - 1, source="pandas")
def skewed(x: np.ndarray, length: int) -> np.ndarray:
    """Skewness of the last `length` values."""
    return np.asarray(pd.Series(x).rolling(length).skew())


@batch_indicator(bar_inputs=("high", "low"), inputs=("x",), outputs=("above", "below"), source="this test",
                 parameters={"scale": number(default=2.0)}, lookback=lambda p: (0, 1))
def reach(high: np.ndarray, low: np.ndarray, x: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """How far a series is from both ends of the bars."""
    return (high - x) * scale, (x - low) * scale


def declared(function: Any, lookback: int = 0, **options: Any) -> BatchIndicator:
    """Declare a function of one series under a name of its own."""
    function.__name__ = function.__qualname__ = f"batch_{function.__code__.co_firstlineno}"
    return batch_indicator(inputs=("x",), lookback=lambda p: lookback, source="this test", **options)(function)


def test_a_batch_function_is_an_indicator_like_any_other() -> None:
    """Expressions, lookback, outputs, columns, arithmetic."""
    market = walk(200)
    tape = hourly(market)
    tree = skewed(BARS.close, 10)
    shown = repr(tree), tree.lookback, skewed.summary
    assert shown == ("skewed(close, 10)", 9, "Skewness of the last `length` values.")
    expected = np.asarray(pd.Series(market.close).rolling(10).skew())
    assert same_bits(evaluate(tree, tape, 0), expected)
    assert first_ready(ema(tree, 3), tape, 0) == 11
    both = reach(BARS, sma(BARS.close, 2), 3.0)
    assert repr(both) == "reach(bars, sma(close, 2), 3)"
    above = evaluate(both.above, tape, 0)
    assert np.isnan(above[0])
    assert same_bits(above[1:], ((market.high - sma.compute(market.close, length=2)) * 3.0)[1:])
    assert np.isnan(evaluate(both.below, tape, 0)[:2]).all()
    assert not skewed.is_compiled


def test_missing_values_are_passed_over() -> None:
    """As for steps: the function never sees them, and those bars have no value."""
    close = walk(80).close
    holes = np.isin(np.arange(80), [0, 1, 30, 79])
    actual = skewed.compute(np.where(holes, math.inf, close), length=5)
    assert np.isnan(actual[holes]).all()
    assert same_bits(actual[~holes], skewed.compute(close[~holes], length=5))
    assert np.isnan(skewed.compute(np.full(9, math.nan), length=5)).all()
    assert skewed.compute(np.empty(0), length=5).shape == (0,)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(market=markets(60), n=st.integers(3, 12))
def test_bar_by_bar_and_over_truncated_data_it_is_the_column_bit_for_bit(market: Any, n: int) -> None:
    """pandas and TA-Lib, on calm, wild, flat, tiny and huge prices."""
    if not len(market):
        return
    tape = hourly(market)
    trees = [skewed(BARS.close, n), reach(BARS, BARS.close).below, talib_indicator("EMA")(BARS.close, n),
             talib_indicator("STOCH")(BARS, n).slowd, talib_indicator("CDLENGULFING")(BARS)]
    live = pushed(Stream(trees), market)
    part = tape.truncate(int(tape.close_time[len(market) // 2]))
    for row, tree in zip(live, trees, strict=True):
        column = evaluate(tree, tape, 0)
        assert same_bits(row, column)
        assert same_bits(evaluate(tree, part, 0), column[:len(market) // 2 + 1])


def test_a_snapshot_carries_the_bars_seen() -> None:
    """Saved half way and restored, it continues bit for bit; one cut short is refused and changes nothing."""
    market = walk(150)
    trees = [skewed(BARS.close, 5), sma(BARS.close, 3), talib_indicator("RSI")(BARS.close, 7)]
    whole, stream = pushed(Stream(trees), market), Stream(trees)
    for i in range(100):
        stream.push(bar_of(market, i))
    snapshot = stream.snapshot()
    fresh = Stream(trees)
    fresh.push(bar_of(market, 3))
    fresh.restore(snapshot)
    assert fresh.snapshot() == snapshot
    assert same_bits(pushed(fresh, market, 100), whole[:, 100:])
    kept = fresh.snapshot()
    for wrong in (snapshot[:-1], snapshot + b"\0", snapshot[:100], b""):
        with pytest.raises(ConfigError, match="does not belong to a stream of skewed"):
            fresh.restore(wrong)
    assert fresh.snapshot() == kept


@pytest.mark.parametrize(("step", "bar"), [
    (lambda x: x - x.mean(), 0),
    (lambda x: np.concatenate((x[1:], x[-1:])), 0),
    (lambda x: np.asarray(pd.Series(x).rolling(5, center=True, min_periods=1).mean()), 0),
    (lambda x: np.where(np.arange(len(x)) < 900, x, x / x[-1]), 900),
])
def test_a_function_that_reads_the_future_is_refused(step: Any, bar: int) -> None:
    """The mean of all data, the next bar, a centred window, and one that only looks ahead late."""
    peeks = declared(lambda x: step(x))
    with pytest.raises(StrategyError, match=rf"sees the future: its output value at bar {bar}|sees the future") as told:
        peeks.compute(walk(2000).close)
    assert peeks.name in str(told.value)


def test_causality_is_checked_once_for_each_set_of_parameters_and_on_bounded_data() -> None:
    """Half a dozen beginnings of at most a thousand bars, then only the data themselves."""
    lengths: list[int] = []

    def counted(x: np.ndarray) -> np.ndarray:
        lengths.append(len(x))
        return x

    one = declared(counted)
    close = walk(5000).close
    one.compute(close)
    assert sorted(lengths)[-2:] == [CHECKED_BARS, 5000]
    assert 7 <= len(lengths) <= 10
    lengths.clear()
    one.compute(close[:300])
    assert lengths == [300]


def test_a_sum_in_another_order_passes_with_a_stated_tolerance() -> None:
    """A causal function whose last bit depends on how much follows: refused as it is, accepted within 1e-12."""

    def shaky(x: np.ndarray) -> np.ndarray:
        return x * (1.0 + 1e-15 * (len(x) % 7))

    def shaky_too(x: np.ndarray) -> np.ndarray:
        return x * (1.0 + 1e-15 * (len(x) % 7))

    with pytest.raises(StrategyError, match="sees the future"):
        declared(shaky).compute(walk(500).close)
    assert len(declared(shaky_too, tolerance=1e-12).compute(walk(500).close)) == 500


@pytest.mark.parametrize(("step", "lookback", "message"), [
    (lambda x: x[1:], 0, r"answered arrays of the shapes \[\(99,\)\] on 100 bars; rule: 1 of \(100,\)"),
    (lambda x: np.asarray(pd.Series(x).rolling(5).mean()), 2, "first known after 4 bars; it declares a lookback of 2"),
    (lambda x: 1 / 0, 0, "raised ZeroDivisionError: division by zero, on 100 bars"),
])
def test_a_wrong_answer_names_the_function_and_the_rule(step: Any, lookback: int, message: str) -> None:
    """A StrategyError, as for a step that raises."""
    with pytest.raises(StrategyError, match=message):
        declared(lambda x: step(x), lookback).compute(walk(100).close)


def test_a_declaration_that_does_not_fit_its_function_is_refused() -> None:
    """Parameters by name, inputs in order."""
    with pytest.raises(ConfigError, match=r"its function must take \(x, length\), not \(x\)"):
        declared(lambda x: x, parameters={"length": length()})


# --- TA-Lib -----------------------------------------------------------------------------------------------------------


def test_ta_libs_functions_bring_their_parameters_outputs_and_lookback() -> None:
    """The same numbers as the function itself."""
    market = walk(300)
    tape = hourly(market)
    stochastic = talib_indicator("STOCH")
    assert repr(stochastic) == ("<indicator STOCH(bars, fastk_period=5, slowk_period=3, slowk_matype=0, "
                                "slowd_period=3, slowd_matype=0)>")
    both = stochastic(BARS, 9)
    assert (both.slowk.lookback, both.slowd.lookback) == (12, 12)
    for output, expected in zip((both.slowk, both.slowd), talib.STOCH(*market.prices, 9, 3, 0, 3, 0), strict=True):
        assert same_bits(evaluate(output, tape, 0), expected)
    assert same_bits(evaluate(talib_indicator("OBV")(BARS), tape, 0), talib.OBV(market.close, market.volume))
    correlated = talib_indicator("CORREL")(BARS.close, BARS.volume, 20)
    assert same_bits(evaluate(correlated, tape, 0), talib.CORREL(market.close, market.volume, 20))
    assert same_bits(evaluate(talib_indicator("CDLDOJI")(BARS), tape, 0)[10:],
                     talib.CDLDOJI(*market.ohlc)[10:].astype(float))
    assert stochastic.source == "TA-Lib STOCH"


def test_an_indicator_of_ta_lib_is_one_object_and_can_be_sent_to_another_process() -> None:
    """Equal expressions stay equal."""
    tree = talib_indicator("KAMA")(BARS.close, 12)
    assert talib_indicator("KAMA") is talib_indicator("KAMA")
    assert pickle.loads(pickle.dumps(tree)) == tree


@pytest.mark.parametrize("name", [name for name in talib.get_functions() if name != "MAVP"])
def test_every_function_of_ta_lib_can_be_used_and_passes_the_check_of_causality(name: str) -> None:
    """With its defaults, on a random walk scaled into the range of arc functions."""
    one = talib_indicator(name)
    market = walk(400)
    arrays = [getattr(market, field) for field in one.bar_inputs] or [market.close, market.volume][:len(one.inputs)]
    if name in ("ACOS", "ASIN", "COSH", "SINH", "EXP"):
        arrays = [x / 1000.0 for x in arrays]
    defaults = one.validate({key: parameter.default for key, parameter in one.parameters.items()})
    values = np.atleast_2d(one.compute(*arrays))
    for row, lookback in zip(values, one.lookbacks(defaults), strict=True):
        assert np.isnan(row[:lookback]).all()
        assert np.isfinite(row[lookback:]).all()


def test_mistakes_with_ta_lib_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown function, a parameter out of TA-Lib's own range, a misspelt one, a package that is not there."""
    with pytest.raises(ConfigError, match="TA-Lib has no function 'EMAA'; did you mean 'EMA'"):
        talib_indicator("EMAA")
    with pytest.raises(ConfigError, match="EMA: TA-Lib does not accept timeperiod = -3"):
        talib_indicator("EMA")(BARS.close, -3)
    with pytest.raises(ConfigError, match="did you mean 'timeperiod'"):
        talib_indicator("EMA")(BARS.close, timeperoid=3)
    talib_indicator.cache_clear()
    monkeypatch.setitem(sys.modules, "talib", None)
    with pytest.raises(ConfigError, match="TA-Lib cannot be imported .* pip install TA-Lib"):
        talib_indicator("TEMA")
