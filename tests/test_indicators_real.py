"""Indicators on real bars: daily stocks against the named oracles, and sessions of a real calendar."""

from __future__ import annotations

import functools

import indicator_oracles as oracles
import numpy as np
import pytest
import talib
from indicator_cases import CASES, Case, Market, same_bits

from framework.data import BarSeries, Tape, build_tape, load_tape
from framework.data.schedule import schedule_around
from framework.indicators import Bars, ColumnCache, Stream, anchored_vwap, beta, evaluate, highest, hurst, session_vwap
from framework.indicators.live import Ohlcv
from framework.model.instrument import Instrument

BARS = Bars()
NANOSECONDS_A_DAY = 86_400_000_000_000


@functools.cache
def sample(symbol: str) -> tuple[Tape, Market]:
    """Return the real daily bars of a stock."""
    tape = load_tape("sample", symbols=[symbol])
    return tape, Market(tape.open, tape.high, tape.low, tape.close, tape.volume)


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "session_vwap"], ids=lambda case: case.name)
@pytest.mark.parametrize("symbol", ["AAPL", "IBM"])
def test_equals_its_oracle_to_1e_9_on_real_daily_bars(case: Case, symbol: str) -> None:
    """Thirteen years; relative to the value, or to the scale of what crosses zero.

    Left out are bars at which TA-Lib's own deviation cancels, and windows with equal typical prices that the adjustment
    has made unequal by 1e-14 of themselves, which TA-Lib takes for movement.
    """
    tape, market = sample(symbol)
    cache, length = ColumnCache(), 14
    for output, expected in zip(case.outputs(BARS, length), case.oracle(market, length), strict=True):
        actual = evaluate(output, tape, 0, cache)
        known = ~np.isnan(expected)
        assert known.sum() > 3000
        assert not np.isnan(actual[known]).any()
        if case.name in ("std", "zscore", "bollinger"):
            known &= talib.STDDEV(market.close, length) > 1e-3 * market.close
        if case.name == "mfi":
            typical = sum(market.prices) / 3
            change = np.abs(np.diff(typical, prepend=0.0)) / typical
            known &= np.convolve((change > 0.0) & (change < 1e-12), np.ones(length))[:len(known)] == 0
            assert known.sum() > 3100
        error = np.abs(actual[known] - expected[known])
        assert (error <= 1e-9 * np.maximum(np.abs(expected[known]), case.size(market))).all()


def test_beta_of_daily_returns_is_ta_libs_beta_of_prices() -> None:
    """TA-Lib takes the one-bar returns itself: of its first series as the market, of its second as the stock."""
    (tape, apple), (_, other) = sample("AAPL"), sample("IBM")
    stock, market = (m.close[1:] / m.close[:-1] - 1 for m in (apple, other))
    expected = talib.BETA(np.ascontiguousarray(other.close), np.ascontiguousarray(apple.close), 60)[61:]
    actual = beta.compute(stock, market, length=60)[60:]
    assert np.abs(actual - expected).max() <= 1e-9
    returns = BARS.close / BARS.close.shift(1)
    assert np.nanmax(np.abs(evaluate(beta(returns, returns, 20), tape, 0) - 1.0)) <= 1e-12


def intraday(days: int) -> tuple[Tape, np.ndarray]:
    """Return half-hourly bars on the sessions of New York around the short day of 2023-11-24, and their sessions."""
    first = int(np.datetime64("2023-11-20").astype("datetime64[D]").astype(np.int64)) * NANOSECONDS_A_DAY
    schedule = schedule_around("XNYS", "30m", first, first + days * NANOSECONDS_A_DAY)
    chosen = [k for k in range(len(schedule.sessions.open)) if first <= schedule.sessions.open[k]][:days]
    half_hour = 30 * 60 * 10**9
    opens, sessions = [], []
    for k in chosen:
        times = np.arange(schedule.sessions.open[k], schedule.sessions.close[k], half_hour)
        opens.append(times)
        sessions.append(np.full(len(times), k))
    opened = np.concatenate(opens)
    rng = np.random.default_rng(4)
    close = 100 + np.cumsum(rng.normal(size=len(opened)))
    bars = BarSeries(Instrument("ABC", exchange="XNYS"), "30m", opened, opened + half_hour, close - 0.25, close + 1,
                     close - 1, close, np.floor(rng.random(len(opened)) * 100) + 1)
    return build_tape([bars]), np.concatenate(sessions)


def test_session_vwap_begins_with_each_session_of_the_exchange_short_days_included() -> None:
    """Turnover over volume by session, summed by pandas; the session of 2023-11-24 has seven half hours, not thirteen.

    Hourly bins of a session that begins at 9:30 end at its scheduled end, so that seven hours make a day.
    """
    tape, session = intraday(6)
    assert np.unique(session, return_counts=True)[1].tolist() == [13, 13, 13, 7, 13, 13]
    place = np.concatenate([np.arange(n) for n in (13, 13, 13, 7, 13, 13)])
    expected = oracles.session_vwap(tape.high, tape.low, tape.close, tape.volume, place)
    actual = evaluate(session_vwap(BARS), tape, 0)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    starts = np.flatnonzero(place == 0)
    typical = (tape.high + tape.low + tape.close) / 3
    np.testing.assert_allclose(actual[starts], typical[starts], rtol=1e-15)
    hourly = BARS.timeframe("1h")
    places = evaluate(hourly.bars_in_session, tape, 0)
    assert places[1:13:2].tolist() == [1, 2, 3, 4, 5, 6]
    assert places[12] == 7.0
    assert places[13] == 7.0  # the first half hour of the second day still sees the last bin of the first
    assert places[14] == 1.0
    vwap = evaluate(session_vwap(hourly), tape, 0)
    assert vwap[1] == pytest.approx((max(tape.high[:2]) + min(tape.low[:2]) + tape.close[1]) / 3, rel=1e-15)


def test_session_vwap_bar_by_bar_equals_the_column_and_needs_the_place_of_the_bar() -> None:
    """A bar that does not say where it stands in its session has no value, rather than a wrong one."""
    tape, _ = intraday(6)
    stream = Stream([session_vwap(BARS)])
    rows = zip(tape.open, tape.high, tape.low, tape.close, tape.volume, tape.bars_in_session, strict=True)
    live = [(stream.push(Ohlcv(*map(float, row))) or (0.0,))[0] for row in rows]
    assert same_bits(live, evaluate(session_vwap(BARS), tape, 0))
    assert np.isnan(stream.push(Ohlcv(1.0, 1.0, 1.0, 1.0, 1.0)) or (0.0,)).all()


def test_anchored_vwap_begins_where_its_anchor_leaves_zero() -> None:
    """Anchored at each bar that makes the highest close of fifty: TA-Lib's VWAP from there on, no value before."""
    tape, market = sample("IBM")
    above = BARS.close - highest(BARS.close, 50).shift(1)
    anchor = (above * above / above + above) / 2.0  # the rise above the old high is above 0 only when there is one
    reached = evaluate(anchor, tape, 0)
    column = evaluate(anchored_vwap(BARS, anchor), tape, 0)
    known = ~np.isnan(reached)
    kept = [x[known] for x in (market.high, market.low, market.close, market.volume)]
    expected = oracles.anchored_vwap(*kept, reached[known])
    assert np.isnan(expected[:10]).sum() + len(expected) > 3000
    assert np.array_equal(np.isnan(column[known]), np.isnan(expected))
    np.testing.assert_allclose(column[known], expected, rtol=1e-9)


def test_anchored_vwap_by_hand() -> None:
    """Typical prices 2, 4, 6, 8 with volumes 1, 1, 3, 1; anchors at bars 1 and 3: none, 4, (4 + 18) / 4, 8."""
    price, volume = np.array([2.0, 4.0, 6.0, 8.0]), np.array([1.0, 1.0, 3.0, 1.0])
    actual = anchored_vwap.compute(price, price, price, volume, np.array([0.0, 1.0, 0.0, -1.0]))
    assert np.isnan(actual[0])
    assert actual[1:].tolist() == [4.0, 5.5, 8.0]


def test_hurst_tells_a_walk_from_a_trend_and_from_noise() -> None:
    """The theory: 1 for a straight line, 0.5 for independent steps, near 0 for independent values."""
    rng = np.random.default_rng(11)
    noise = rng.normal(size=8192)
    assert hurst.compute(np.arange(200.0), length=128)[-1] == pytest.approx(1.0, abs=1e-12)
    assert hurst.compute(noise.cumsum(), length=8192)[-1] == pytest.approx(0.5, abs=0.05)
    assert abs(hurst.compute(noise, length=8192)[-1]) < 0.02
