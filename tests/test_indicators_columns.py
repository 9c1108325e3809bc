"""Columns: computed once, read-only, aligned, and blind to the future."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from indicator_cases import CASE_NAMES, CASES, HOUR, START, Case, hourly, same_bits, tape_of, walk

from framework.data import Tape
from framework.data.resample import bins
from framework.errors import ConfigError, FrameworkError
from framework.indicators import (
    Bars,
    ColumnCache,
    Expression,
    adx,
    atr,
    bollinger,
    ema,
    evaluate,
    first_ready,
    highest,
    macd,
    rsi,
    sma,
    std,
    zscore,
)

BARS = Bars()
FOUR = BARS.timeframe("4h")
OTHER = BARS.symbol("BBB")


def two_symbols(bars: int = 200, seed: int = 1) -> Tape:
    """AAA with hourly bars from midnight, BBB with half-hourly ones from 04:00."""
    return tape_of({"AAA": (walk(bars, seed), "1h", HOUR, START),
                    "BBB": (walk(bars, seed + 1), "30m", HOUR // 2, START + 4 * HOUR)})


COMPOSED: list[Expression] = [
    BARS.close.shift(3),
    FOUR.close,
    ema(FOUR.close, 5),
    ema(FOUR.close, 5).shift(1),
    atr(FOUR, 3) / BARS.close,
    sma(BARS.close - FOUR.close, 6),
    OTHER.close,
    rsi(OTHER.close, 7),
    OTHER.timeframe("2h").high - BARS.high,
    ema(BARS.close / OTHER.timeframe("1h").close, 4).shift(2),
    highest(FOUR.high, 3) - FOUR.timeframe("1d").low,
    -zscore(ema(macd(BARS.close, 3, 6, 2).histogram, 4), 5),
    adx(OTHER.timeframe("4h"), 3).minus_di,
    -FOUR.close.shift(1) + 2 * FOUR.open,
]


# --- once -------------------------------------------------------------------------------------------------------------


def test_equal_expressions_are_computed_once_and_shared() -> None:
    """Two strategies that ask for the same average get the same memory."""
    tape, cache = hourly(walk(100)), ColumnCache()
    first = evaluate(ema(BARS.close, 12), tape, 0, cache)
    again = evaluate(ema(Bars().close, 12), tape, 0, cache)
    assert np.shares_memory(first, again)
    assert (cache.computed, cache.reused) == (1, 1)
    evaluate(ema(BARS.close, 12) - ema(BARS.close, 26), tape, 0, cache)
    assert cache.computed == 3  # the second average and the difference


def test_outputs_of_one_indicator_are_one_computation() -> None:
    """Three bands, one pass."""
    tape, cache = hourly(walk(100)), ColumnCache()
    bands = bollinger(BARS.close, 20, 2.0)
    for band in (bands.upper, bands.middle, bands.lower):
        evaluate(band, tape, 0, cache)
    assert cache.computed == 1


def test_496_pairs_of_averages_are_32_computations() -> None:
    """Every pair of 32 lengths, as in a search."""
    tape, cache = hourly(walk(300)), ColumnCache()
    lengths = range(2, 34)
    for slow in lengths:
        for fast in range(2, slow):
            evaluate(sma(BARS.close, fast), tape, 0, cache)
            evaluate(sma(BARS.close, slow), tape, 0, cache)
    assert cache.computed == 32
    assert cache.reused == 2 * 496 - 32


def test_a_series_of_another_symbol_is_computed_where_it_belongs_and_shared_with_it() -> None:
    """BBB's own RSI and the RSI of BBB that AAA looks at are one column; only its alignment is new."""
    tape, cache = two_symbols(), ColumnCache()
    evaluate(rsi(BARS.close, 7), tape, 1, cache)
    before = cache.computed
    evaluate(rsi(OTHER.close, 7), tape, 0, cache)
    assert cache.computed == before + 1


def test_columns_of_different_data_are_kept_apart() -> None:
    """The fingerprint of the tape is part of the key."""
    cache = ColumnCache()
    left = evaluate(sma(BARS.close, 5), hourly(walk(50, seed=1)), 0, cache)
    right = evaluate(sma(BARS.close, 5), hourly(walk(50, seed=2)), 0, cache)
    assert not np.array_equal(left, right, equal_nan=True)
    assert cache.computed == 2


def test_tapes_of_equal_data_share_their_columns_and_one_tape_is_never_hashed() -> None:
    """The fingerprint is read when a second tape appears; a tape that is gone leaves no key to others."""
    cache = ColumnCache()
    first, twin, other = hourly(walk(50, seed=1)), hourly(walk(50, seed=1)), hourly(walk(50, seed=2))
    column = evaluate(sma(BARS.close, 5), first, 0, cache)
    assert "fingerprint" not in vars(first)
    assert np.shares_memory(evaluate(sma(BARS.close, 5), twin, 0, cache), column)
    assert not np.shares_memory(evaluate(sma(BARS.close, 5), other, 0, cache), column)
    assert cache.computed == 2
    del first, twin, other
    for seed in range(2, 12):
        market = walk(50, seed=seed)
        fresh = evaluate(sma(BARS.close, 5), hourly(market), 0, cache)
        assert same_bits(fresh, sma.compute(market.close, length=5))


def test_an_empty_cache_is_as_true_as_a_full_one() -> None:
    """`cache or ColumnCache()` must not put an empty shared cache aside."""
    assert ColumnCache()


def test_memory_budget_puts_the_least_recently_used_out() -> None:
    """Room for two columns of 800 bytes: the third puts out the one not touched since."""
    tape, cache = hourly(walk(100)), ColumnCache(budget_bytes=1700)
    evaluate(sma(BARS.close, 2), tape, 0, cache)
    evaluate(sma(BARS.close, 3), tape, 0, cache)
    evaluate(sma(BARS.close, 2), tape, 0, cache)
    evaluate(sma(BARS.close, 4), tape, 0, cache)
    assert (cache.held, cache.bytes, cache.computed) == (2, 1600, 3)
    evaluate(sma(BARS.close, 2), tape, 0, cache)
    assert cache.computed == 3
    evaluate(sma(BARS.close, 3), tape, 0, cache)
    assert cache.computed == 4
    cache.clear()
    assert (cache.held, cache.bytes) == (0, 0)


def test_a_column_larger_than_the_budget_is_given_but_not_kept() -> None:
    """The caller holds it; the cache does not."""
    tape, cache = hourly(walk(100)), ColumnCache(budget_bytes=10)
    assert len(evaluate(sma(BARS.close, 2), tape, 0, cache)) == 100
    assert (cache.held, cache.bytes) == (0, 0)
    with pytest.raises(ConfigError, match="must not be negative"):
        ColumnCache(budget_bytes=-1)


def test_threads_wait_for_a_column_that_another_is_computing() -> None:
    """Eight threads, one computation; an error reaches all of them and is not kept."""
    cache = ColumnCache()
    calls = []

    def slow() -> np.ndarray:
        calls.append(1)
        time.sleep(0.05)
        return np.zeros(3)

    results: list[Any] = []

    def ask() -> None:
        results.append(cache.get("k", slow, lambda a: a.nbytes))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert all(result is results[0] for result in results)

    def fails() -> np.ndarray:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            cache.get("other", fails, lambda a: a.nbytes)
    assert cache.get("other", lambda: np.ones(1), lambda a: a.nbytes)[0] == 1.0


# --- form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", [*COMPOSED, BARS.open, BARS.close * 0 + 1, sma(BARS.close, 5)], ids=repr)
def test_columns_are_contiguous_read_only_and_as_long_as_the_symbols_bars(tree: Expression) -> None:
    """Safe to hand to compiled code and to share."""
    tape = two_symbols()
    column = evaluate(tree, tape, 0)
    assert column.dtype == np.float64
    assert column.flags.c_contiguous
    assert not column.flags.writeable
    assert len(column) == 200


def test_arithmetic_is_that_of_the_columns() -> None:
    """Division by zero has no value, neither has anything made of it."""
    market = walk(50)
    tape = hourly(market)
    np.testing.assert_array_equal(evaluate(2 * -BARS.close + BARS.high / 4 - 1, tape, 0),
                                  2 * -market.close + market.high / 4 - 1)
    assert np.isnan(evaluate(BARS.close / (BARS.high - BARS.high), tape, 0)).all()
    assert np.isnan(evaluate(1 / (BARS.high - BARS.high) + 1, tape, 0)).all()
    assert evaluate(1 / BARS.close, tape, 0)[7] == 1 / market.close[7]
    shifted = evaluate(BARS.close.shift(4), tape, 0)
    assert same_bits(shifted[4:], market.close[:-4])
    assert np.isnan(shifted[:4]).all()
    assert np.isnan(evaluate(BARS.close.shift(60), tape, 0)).all()


def test_a_number_alone_is_a_constant_column() -> None:
    """And is ready at once."""
    tape = hourly(walk(5))
    assert evaluate(7, tape, 0).tolist() == [7.0] * 5  # type: ignore[arg-type]
    assert first_ready(7, tape, 0) == 0  # type: ignore[arg-type]


def test_an_unknown_symbol_or_a_timeframe_that_cannot_be_formed_is_refused() -> None:
    """With the names that exist."""
    tape = two_symbols()
    with pytest.raises(ConfigError, match="unknown symbol 'BBC' in an indicator; did you mean 'BBB'"):
        evaluate(BARS.symbol("BBC").close, tape, 0)
    for timeframe in ("5x", "10m"):
        with pytest.raises(FrameworkError, match=timeframe):
            evaluate(BARS.timeframe(timeframe).close, tape, 0)


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_higher_timeframe_appears_when_its_bin_has_ended_and_not_before() -> None:
    """Hourly bars from midnight: the first four-hour bin ends with bar 3, so bars 0 to 2 see nothing.

    Bar 6 closes at 07:00 inside the second bin and still sees the first; bar 7 closes at 08:00 and sees the second.
    The flaw this holds off is to match bins by their open time, by which bar 4 would know the close of 08:00.
    """
    market = walk(12)
    column = evaluate(FOUR.close, hourly(market), 0)
    assert np.isnan(column[:3]).all()
    assert column[3:7].tolist() == [market.close[3]] * 4
    assert column[7:11].tolist() == [market.close[7]] * 4
    assert column[11] == market.close[11]
    assert evaluate(FOUR.high, hourly(market), 0)[6] == market.high[:4].max()


def test_an_indicator_of_a_higher_timeframe_moves_once_a_bin() -> None:
    """EMA(3) of four-hour closes is TA-Lib's over every fourth close, each held for four hours."""
    market = walk(60)
    column = evaluate(ema(FOUR.close, 3), hourly(market), 0)
    expected = talib.EMA(np.ascontiguousarray(market.close[3::4]), 3)
    np.testing.assert_allclose(column[3:60], np.repeat(expected, 4)[:57], rtol=1e-12)
    shifted = evaluate(FOUR.close.shift(1), hourly(market), 0)
    assert shifted[7] == market.close[3]


def test_the_symbols_own_timeframe_is_its_own_bars() -> None:
    """Asking for 1h bars of hourly data, or for one's own symbol by name, changes nothing."""
    tape = two_symbols()
    own = evaluate(ema(BARS.close, 5), tape, 0)
    assert same_bits(evaluate(ema(BARS.timeframe("1h").close, 5), tape, 0), own)
    assert same_bits(evaluate(ema(BARS.symbol("AAA").close, 5), tape, 0), own)
    assert first_ready(ema(BARS.symbol("AAA").timeframe("1h").close, 5), tape, 0) == 4


def test_another_symbol_shows_its_latest_bar_closed_by_this_close() -> None:
    """BBB's bars close at 04:30, 05:00, ...: AAA's bar of 04:00 to 05:00 sees the second, matched by time not index."""
    tape = two_symbols()
    column = evaluate(OTHER.close, tape, 0)
    other = tape.close[tape.rows(1)]
    assert np.isnan(column[:4]).all()
    assert column[4] == other[1]
    assert column[5] == other[3]
    reverse = evaluate(BARS.symbol("AAA").close, tape, 1)  # BBB's bar that closes at 04:30 sees AAA's of 04:00
    own = tape.close[tape.rows(0)]
    assert reverse[:4].tolist() == [own[3], own[4], own[4], own[5]]


def test_series_of_different_clocks_meet_on_the_own_bars() -> None:
    """The difference of an hourly and a four-hour close changes at every hour, and its mean counts hours."""
    market = walk(30)
    difference = evaluate(BARS.close - FOUR.close, hourly(market), 0)
    held = np.concatenate((np.full(3, np.nan), np.repeat(market.close[3::4], 4)))[:30]
    assert same_bits(difference, market.close - held)
    mean = evaluate(sma(BARS.close - FOUR.close, 6), hourly(market), 0)
    assert mean[8] == pytest.approx(difference[3:9].mean(), rel=1e-12)


@pytest.mark.parametrize("symbol", [0, 1])
@pytest.mark.parametrize("tree", [*COMPOSED, *(case.outputs(BARS, 6)[0] for case in CASES)], ids=repr)
def test_first_ready_is_the_first_bar_with_a_value(tree: Expression, symbol: int) -> None:
    """On data without holes the declared lookback is exact, whatever clocks it crosses; bars is never."""
    tape = two_symbols()
    known = np.flatnonzero(~np.isnan(evaluate(tree, tape, symbol)))
    assert first_ready(tree, tape, symbol) == (known[0] if len(known) else 200)
    short = two_symbols(bars=3)
    assert first_ready(tree, short, symbol) == min(first_ready(tree, tape, symbol), 3)


@pytest.mark.parametrize("case", CASES, ids=CASE_NAMES)
@settings(deadline=None, max_examples=15, derandomize=True)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 150), length=st.integers(2, 15))
def test_a_column_over_truncated_data_is_the_prefix_of_the_column(case: Case, seed: int, cut: int, length: int) -> None:
    """What was known at a bar never depends on later bars: for each indicator, on each clock."""
    tape = two_symbols(150, seed)
    until = START + cut * HOUR
    part = tape.truncate(until)
    for bars in (BARS, FOUR, OTHER, OTHER.timeframe("2h")):
        for tree in case.outputs(bars, length):
            for symbol in (0, 1):
                prefix = evaluate(tree, part, symbol)
                assert same_bits(prefix, evaluate(tree, tape, symbol)[:len(prefix)])


@settings(deadline=None, max_examples=40, derandomize=True)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 400), tree=st.sampled_from(COMPOSED))
def test_composed_columns_over_truncated_data_are_prefixes(seed: int, cut: int, tree: Expression) -> None:
    """Shifts, timeframes and symbols mixed; cuts at every quarter of an hour."""
    tape = two_symbols(100, seed)
    part = tape.truncate(START + cut * HOUR // 4)
    for symbol in (0, 1):
        prefix = evaluate(tree, part, symbol)
        assert same_bits(prefix, evaluate(tree, tape, symbol)[:len(prefix)])


def test_a_series_that_peeks_fails_the_prefix_law() -> None:
    """The law can fail: bins matched by their open time see the future at bar 4."""
    tape = hourly(walk(24))
    part = tape.truncate(START + 6 * HOUR)

    def by_open_time(some: Tape) -> np.ndarray:
        longer = bins(some, 0, "4h")
        seen = np.searchsorted(longer.open_time, some.open_time, side="right") - 1
        return longer.close[seen]

    assert not same_bits(by_open_time(part), by_open_time(tape)[:6])


def test_a_value_does_not_depend_on_how_much_history_a_window_was_given() -> None:
    """The seed's flaw: indicators over a capped window. A window's mean and deviation are the same from any start."""
    market = walk(400)
    late = slice(137, None)
    for indicator in (sma, std, zscore, highest):
        whole = indicator.compute(market.close, length=20)[late][19:]
        np.testing.assert_allclose(indicator.compute(market.close[late], length=20)[19:], whole, rtol=1e-9, atol=1e-12)
