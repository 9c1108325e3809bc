"""Conditions: comparisons of expressions over the bars of a tape."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data import build_tape, from_frame, load_tape
from framework.errors import ConfigError
from framework.indicators import (
    Bars,
    ColumnCache,
    atr,
    crossed_above,
    crossed_below,
    ema,
    evaluate,
    first_ready,
    highest,
    macd,
    ready_rows,
    roc,
    sma,
    truth,
)

BARS = Bars()


def tape_of(closes):
    """Return a tape of daily bars with these closes and opens of 10."""
    times = np.datetime64("2024-01-01", "ns") + np.arange(len(closes)) * np.timedelta64(1, "D")
    closes = np.asarray(closes, float)
    opens = np.full(len(closes), 10.0)
    frame = {"time": times, "open": opens, "high": np.maximum(opens, closes), "low": np.minimum(opens, closes),
             "close": closes, "volume": np.ones(len(closes))}
    return build_tape([from_frame(frame, symbol="A", timeframe="1d", stamp="open")])


def holds(condition, closes):
    """Return where a condition holds, as a text of zeros and ones."""
    values = truth(condition, tape_of(closes), 0, ColumnCache())
    assert values.dtype == np.bool_
    assert not values.flags.writeable
    return "".join("01"[int(value)] for value in values)


@pytest.mark.parametrize(("condition", "expected"), [
    (BARS.close > 10, "0010"),
    (BARS.close >= 10, "0110"),
    (BARS.close < BARS.open, "1001"),
    (BARS.close <= BARS.open, "1101"),
    ((BARS.close > 9) & (BARS.close < 11), "0100"),
    ((BARS.close < 9.5) | (BARS.close > 10.5), "1011"),
    (~(BARS.close > 10), "1101"),
    ((BARS.close > 9).begins(), "0100"),
    (crossed_above(BARS.close, 10), "0010"),
    (crossed_below(BARS.close, BARS.open), "0001"),
])
def test_a_condition_holds_where_the_comparison_does(condition, expected):
    assert holds(condition, [9, 10, 11, 8]) == expected


def test_a_comparison_with_a_missing_value_is_false_and_so_is_its_opposite():
    average = sma(BARS.close, 3)
    assert holds(average > 0, [9, 10, 11, 8]) == "0011"
    assert holds(average <= 0, [9, 10, 11, 8]) == "0000"
    assert holds(~(average > 0), [9, 10, 11, 8]) == "1100"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(5, 15), min_size=2, max_size=40), st.integers(6, 14))
def test_a_cross_is_above_now_and_not_before(closes, level):
    expected = "0" + "".join("01"[now > level >= before] for before, now in pairwise(closes))
    assert holds(crossed_above(BARS.close, level), closes) == expected


def test_what_is_compared_is_computed_once_and_what_comes_of_it_is_not_kept():
    tape, cache = tape_of([9, 10, 11, 8]), ColumnCache()
    first = truth(roc(BARS.close, 1) > 0, tape, 0, cache)
    computed, held = cache.computed, cache.bytes
    assert truth(roc(BARS.close, 1) > 0, tape, 0, cache).tolist() == first.tolist() == [False, True, True, False]
    assert (cache.computed, cache.bytes) == (computed, held) == (1, 4 * 8)


@pytest.mark.parametrize(("wrong", "told"), [
    (lambda: (BARS.close > 1) and (BARS.close < 2), "join conditions by & | ~"),
    (lambda: 1 < BARS.close < 2, "join conditions by & | ~"),
    (lambda: (BARS.close > 1) & BARS.close, "not a condition"),
    (lambda: (BARS.close > 1) | True, "not a condition"),
    (lambda: BARS.close > "1", "neither an expression nor a number"),
    (lambda: BARS.close > float("nan"), "finite"),
])
def test_what_is_no_condition_is_refused_with_what_to_write(wrong, told):
    with pytest.raises(ConfigError, match=told.replace("|", r"\|")):
        wrong()


SEVERAL = [
    BARS.close, BARS.close.shift(3) - BARS.open, sma(BARS.close, 5), ema(BARS.close.shift(2), 4) / 2.0, atr(BARS, 3),
    macd(BARS.close, 3, 5, 2).signal, sma(BARS.timeframe("1h").close, 3), BARS.symbol("B").close - BARS.close,
    ema(BARS.symbol("B").close, 4) + highest(BARS.high, 7),
]


@pytest.mark.kernels
@pytest.mark.parametrize("expression", SEVERAL, ids=repr)
def test_a_column_of_all_symbols_is_that_of_each(expression):
    tape = load_tape("synthetic", {"bars": 90, "seed": 5}, ["A", "B", "C"], "15m")
    whole, rows = evaluate(expression, tape, None), tape.series.tolist()
    for symbol, (first, last) in enumerate(pairwise(rows)):
        alone = evaluate(expression, tape, symbol)
        assert whole[first:last].tobytes() == alone.tobytes()
        assert ready_rows([expression], tape, ColumnCache())[symbol] == first + first_ready(expression, tape, symbol)


def test_a_condition_of_all_symbols_is_that_of_each():
    tape = load_tape("synthetic", {"bars": 60, "seed": 6}, ["A", "B"], "15m")
    condition = crossed_above(BARS.close, sma(BARS.close, 4)) | (BARS.close > BARS.close.shift(1)).begins()
    whole = truth(condition, tape, None, ColumnCache())
    each = [truth(condition, tape, symbol, ColumnCache()) for symbol in range(2)]
    assert whole.any()
    assert np.array_equal(whole, np.concatenate(each))


def test_where_a_condition_begins_is_known_beside_a_symbol_that_has_no_bar_yet():
    """As in the beginning of data whose last symbol is listed later."""
    both = build_tape([from_frame({"time": [f"2024-01-0{day}" for day in days], "open": [10.0] * 3, "high": [12.0] * 3,
                                   "low": [9.0] * 3, "close": [9.0, 11.0, 9.0], "volume": [1.0] * 3}, name)
                       for name, days in (("OLD", (1, 2, 3)), ("NEW", (7, 8, 9)))])
    early = both.truncate(int(both.close_time[2]))
    assert early.series.tolist() == [0, 3, 3]
    assert truth((BARS.close > 10).begins(), early, None, ColumnCache()).tolist() == [False, True, False]
    assert truth((BARS.close > 10).begins(), both, None, ColumnCache()).tolist() == [False, True, False] * 2
