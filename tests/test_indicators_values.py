"""Indicators are right: TA-Lib, exact arithmetic and hand-worked numbers as oracles."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from indicator_cases import (
    CASE_NAMES,
    CASES,
    Case,
    Market,
    arrays_of,
    built_in,
    hourly,
    markets,
    parameters_of,
    same_bits,
    walk,
)

from framework.boundary.jit import JIT
from framework.indicators import (
    Bars,
    ColumnCache,
    adx,
    atr,
    bollinger,
    ema,
    evaluate,
    first_ready,
    highest,
    lowest,
    macd,
    mfi,
    roc,
    rsi,
    sma,
    std,
    zscore,
)

BARS = Bars()


def assert_near(actual: np.ndarray, expected: np.ndarray, scale: float = 0.0) -> None:
    """Both are known at the same bars and differ by 1e-9 of the expected value, or of `scale` where that is larger."""
    assert np.array_equal(np.isnan(actual), np.isnan(expected))
    known = ~np.isnan(expected)
    allowed = 1e-9 * np.maximum(np.abs(expected[known]), scale)
    assert (np.abs(actual[known] - expected[known]) <= allowed).all()


def test_each_built_in_indicator_has_an_oracle_here() -> None:
    """A new indicator without a case fails."""
    assert set(built_in()) == set(CASE_NAMES)


@pytest.mark.parametrize("case", CASES, ids=CASE_NAMES)
@pytest.mark.parametrize("length", [2, 14, 50])
@pytest.mark.parametrize("cents", [False, True])
def test_equals_its_oracle_to_1e_9_on_a_realistic_series(case: Case, length: int, cents: bool) -> None:
    """Relative to the value itself; only what crosses zero is measured against the size of its parts."""
    market = walk(1000, seed=length, cents=cents)
    tape, cache = hourly(market), ColumnCache()
    for output, expected in zip(case.outputs(BARS, length), case.oracle(market, length), strict=True):
        actual = evaluate(output, tape, 0, cache)
        if case.name == "macd" and output.index == 0:  # TA-Lib hides the line until the signal is known
            expected = np.where(np.isnan(expected) & ~np.isnan(actual), actual, expected)
        if case.name == "std" or (case.name in ("zscore", "bollinger") and length == 2):
            expected, actual = _where_ta_lib_can_tell(market, length, expected, actual)
        assert_near(actual, expected, case.size(market))


def _where_ta_lib_can_tell(market: Market, length: int, expected: np.ndarray,
                           actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out the bars at which E[x^2] - E[x]^2 cancels in TA-Lib: a deviation below 1e-3 of the price."""
    windows = np.lib.stride_tricks.sliding_window_view(market.close, length)
    clear = np.full(len(market), False)
    clear[length - 1:] = windows.std(axis=1) > 1e-3 * windows[:, 0]
    return np.where(clear, expected, np.nan), np.where(clear, actual, np.nan)


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in ("std", "zscore", "bollinger", "mfi")],
                         ids=lambda case: case.name)
@settings(deadline=None, max_examples=30, derandomize=True)
@given(market=markets(), length=st.integers(2, 25))
def test_equals_its_oracle_on_calm_wild_flat_tiny_and_huge_prices(case: Case, market: Market, length: int) -> None:
    """Differences are measured against the largest price, or 100 where the unit is percent.

    Prices of 1e-6 are left out where TA-Lib takes movement below 1e-14 for none; rolling deviations, where it
    cancels, and the money flow index, whose TA-Lib form drifts, have an exact oracle below.
    """
    if len(market) <= 1 or (case.name in ("rsi", "adx") and market.close[0] < 1e-3):
        return
    tape, cache = hourly(market), ColumnCache()
    scale = max(100.0 if case.name in ("rsi", "adx", "roc") else float(market.high.max()), case.size(market))
    for output, expected in zip(case.outputs(BARS, length), case.oracle(market, length), strict=True):
        actual = evaluate(output, tape, 0, cache)
        known = ~np.isnan(expected)
        assert not np.isnan(actual[known]).any()
        assert (np.abs(actual[known] - expected[known]) <= 1e-9 * scale).all()


wild_numbers = st.one_of(st.floats(-1e3, 1e3), st.floats(-1e15, 1e15), st.sampled_from([0.0, 1.0, 1e15, -1e15, 1e-9]))


@settings(deadline=None, max_examples=200, derandomize=True)
@given(values=st.lists(wild_numbers, min_size=1, max_size=80), length=st.integers(2, 20))
def test_mean_and_deviation_equal_exact_arithmetic_however_wild_the_series(values: list[float], length: int) -> None:
    """Rational arithmetic over each window is the oracle: what left the window leaves no trace."""
    mean, deviation = sma.compute(np.array(values), length=length), std.compute(np.array(values), length=length)
    for i in range(length - 1, len(values)):
        window = [Fraction(x) for x in values[i - length + 1:i + 1]]
        exact = sum(window) / length
        spread = math.sqrt(sum((x - exact) ** 2 for x in window) / length)
        assert abs(mean[i] - float(exact)) <= 1e-13 * max(abs(float(x)) for x in window)
        assert abs(deviation[i] - spread) <= 1e-9 * spread


@settings(deadline=None, max_examples=100, derandomize=True)
@given(cents=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)),
                      min_size=1, max_size=60), length=st.integers(2, 12))
def test_money_flow_index_equals_exact_arithmetic_in_whole_cents(cents: list[tuple[int, ...]], length: int) -> None:
    """Rational arithmetic is the oracle: typical prices that are equal in cents are no movement, however they round."""
    low, close, high, volume = (np.array(x, float) for x in zip(
        *((low, low + up, low + up + more, units) for low, up, more, units in cents), strict=True))
    actual = mfi.compute(high / 100, low / 100, close / 100, volume, length=length)
    typical = [(Fraction(h) + Fraction(x) + Fraction(c)) / 300 for h, x, c in zip(high, low, close, strict=True)]
    for i in range(length, len(cents)):
        moves = [(typical[k] - typical[k - 1], typical[k] * Fraction(volume[k])) for k in range(i - length + 1, i + 1)]
        up, down = (sum(turnover for move, turnover in moves if move * sign > 0) for sign in (1, -1))
        assert actual[i] == pytest.approx(float(100 * up / (up + down)) if up + down else 0.0, rel=1e-12, abs=1e-12)


def test_a_constant_series_after_huge_values_deviates_by_exactly_nothing() -> None:
    """1e15 and then 0.1 for ever: once the window holds only 0.1, std is 0, where a running sum would keep noise."""
    values = np.concatenate(([1e15, -7e14, 3e15], np.full(40, 0.1)))
    settled = slice(3 + 9, None)
    assert (std.compute(values, length=10)[settled] == 0.0).all()
    assert (zscore.compute(values, length=10)[settled] == 0.0).all()
    assert (bollinger.compute(values, length=10, width=2.0)[:, settled] == 0.1).all()
    np.testing.assert_allclose(sma.compute(values, length=10)[settled], 0.1, rtol=1e-15)


@pytest.mark.parametrize("price", [0.1, 1e-12, 98765.4321, 1e15])
def test_a_constant_series_has_no_movement_anywhere(price: float) -> None:
    """Averages are the price, everything that measures movement is exactly 0, as in TA-Lib."""
    flat = np.full(60, price)
    assert (ema.compute(flat, length=7)[6:] == price).all()
    assert (highest.compute(flat, length=7)[6:] == price).all()
    assert (lowest.compute(flat, length=7)[6:] == price).all()
    for zero in (rsi.compute(flat, length=7)[7:], std.compute(flat, length=7)[6:], roc.compute(flat, length=7)[7:],
                 atr.compute(flat, flat, flat, length=7)[7:], adx.compute(flat, flat, flat, length=7)[:, 13:],
                 macd.compute(flat)[:, 33:]):
        assert zero.size > 0
        assert (zero == 0.0).all()


@pytest.mark.skipif(not JIT, reason="a million bars without the compiler take a minute")
def test_a_rolling_window_does_not_drift_over_a_million_bars() -> None:
    """Drift: after a million steps the window of a running mean still equals a fresh one to the last digits."""
    values = walk(1_000_000, seed=3, step=0.02).close
    fresh = values[-50:].mean()
    assert abs(sma.compute(values, length=50)[-1] - fresh) <= 1e-13 * fresh
    assert abs(std.compute(values, length=50)[-1] - values[-50:].std()) <= 1e-12 * values[-50:].std()


def test_rsi_by_hand() -> None:
    """Length 2 over 10, 11, 10, 12: first the means of +1 and -1, then half way to the gain of 2.

    Bar 2: gain 1/2, loss 1/2: 50. Bar 3: gain (0.5 + 2)/2 = 1.25, loss 0.25: 100 * 1.25 / 1.5 = 83.33.
    """
    actual = rsi.compute(np.array([10.0, 11.0, 10.0, 12.0]), length=2)
    assert np.isnan(actual[:2]).all()
    assert actual[2:] == pytest.approx([50.0, 100.0 * 1.25 / 1.5], rel=1e-15)


def test_ema_by_hand() -> None:
    """Length 3, share 1/2: the mean of 1, 2, 6 is 3, then half way to 5 is 4."""
    actual = ema.compute(np.array([1.0, 2.0, 6.0, 5.0]), length=3)
    assert actual[2:].tolist() == [3.0, 4.0]


def test_atr_by_hand() -> None:
    """Length 2: ranges 2 (high to the close before), 3 (low to the close before): mean 2.5, then (2.5 + 1)/2."""
    high, low, close = np.array([10.0, 11, 10, 9]), np.array([9.0, 10, 8, 8]), np.array([9.0, 11, 9, 9])
    actual = atr.compute(high, low, close, length=2)
    assert np.isnan(actual[:2]).all()
    assert actual[2:].tolist() == [2.5, 1.75]


@pytest.mark.parametrize("case", CASES, ids=CASE_NAMES)
@settings(deadline=None, max_examples=40, derandomize=True)
@given(market=markets(80), length=st.integers(2, 12))
def test_every_value_before_the_declared_lookback_is_nan_and_every_later_one_is_known(
        case: Case, market: Market, length: int) -> None:
    """Short series included: nothing is ever known early."""
    if not len(market):
        return
    tape = hourly(market)
    for output in case.outputs(BARS, length):
        column = evaluate(output, tape, 0)
        assert first_ready(output, tape, 0) == min(output.lookback, len(market))
        assert np.isnan(column[:output.lookback]).all()
        assert np.isfinite(column[output.lookback:]).all()


def test_an_indicator_of_an_indicator_starts_at_its_first_value() -> None:
    """TA-Lib starts there as well: EMA(5) of RSI(7) is first known at bar 7 + 4."""
    market = walk(300)
    tape = hourly(market)
    nested = ema(rsi(BARS.close, 7), 5)
    assert nested.lookback == 11
    assert_near(evaluate(nested, tape, 0), talib.EMA(talib.RSI(market.close, 7), 5))
    deeper = std(sma(roc(BARS.close, 3), 4), 6)
    expected = talib.STDDEV(talib.SMA(talib.ROC(market.close, 3), 4), 6)
    assert_near(evaluate(deeper, tape, 0), expected, scale=0.1)


@pytest.mark.parametrize("case", CASES, ids=CASE_NAMES)
@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_a_bar_without_a_value_is_passed_over(case: Case, missing: float) -> None:
    """NaN and infinity, leading and in the middle: that bar has no value, the others are as if it were not there."""
    indicator = case.outputs(BARS, 5)[0].application.indicator
    parameters = dict(zip(indicator.parameters, case.outputs(BARS, 5)[0].application.parameters, strict=True))
    market = walk(90)
    inputs = arrays_of(indicator, market)
    holes = np.isin(np.arange(90), [0, 1, 2, 30, 31, 57, 89])
    holed = [np.where(holes, missing, x) for x in inputs]
    actual = np.atleast_2d(indicator.compute(*holed, **parameters))
    assert np.isnan(actual[:, holes]).all()
    assert same_bits(actual[:, ~holes], np.atleast_2d(indicator.compute(*[x[~holes] for x in inputs], **parameters)))
    if len(inputs) > 1:
        only_the_last = [*inputs[:-1], holed[-1]]
        assert same_bits(np.atleast_2d(indicator.compute(*only_the_last, **parameters)), actual)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(values=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60), length=st.integers(2, 9))
def test_no_series_whatever_makes_a_step_raise(values: list[float], length: int) -> None:
    """Any float at all: denormals, the largest, NaN, infinity."""
    column = np.array(values, dtype=np.float64)
    for indicator in built_in().values():
        shuffled = [np.roll(column, i) for i in range(len(indicator.arrays))]
        for inputs in ([column] * len(shuffled), shuffled):
            answer = np.atleast_2d(indicator.compute(*inputs, **parameters_of(indicator, length)))
            assert answer.shape == (len(indicator.outputs), len(values))
