"""Longer bars from shorter ones: scheduled ends, visibility, and that no bin sees the future."""

import attrs
import numpy as np
import pytest
from data_cases import DAY, HOUR, LAW, MINUTE, ns, series_at
from hypothesis import given
from hypothesis import strategies as st

from framework.data import BarSeries, bins, build_tape, load_tape, resample
from framework.data.resample import series_bins
from framework.data.tape import BAR_COLUMNS
from framework.data.timeframe import format_timeframe, parse_timeframe
from framework.errors import ConfigError, DataError
from framework.model import Instrument

HAND = BarSeries(
    Instrument("A"),
    "1h",
    np.arange(6) * HOUR,
    np.arange(1, 7) * HOUR,
    open=[10, 11, 12, 13, 14, 15],
    high=[11, 15, 13, 14, 15, 16],
    low=[9, 10, 8, 12, 13, 14],
    close=[11, 12, 13, 14, 15, 15],
    volume=[1, 2, 3, 4, 5, 6],
)


def test_four_hour_bins_by_hand():
    # Bars 0-3 make up 0:00-4:00; the bin 4:00-8:00 has bars 4 and 5 only and has not ended.
    longer = bins(build_tape([HAND]), 0, "4h")
    assert [getattr(longer, name).tolist() for name in ("open_time", "end_time", "first_bar", "last_bar")] == [
        [0],
        [4 * HOUR],
        [0],
        [3],
    ]
    values = [getattr(longer, name).tolist() for name in ("open", "high", "low", "close", "volume")]
    assert values == [[10.0], [15.0], [8.0], [14.0], [10.0]]  # volume 1 + 2 + 3 + 4
    assert longer.visible_from_bar.tolist() == [-1, -1, -1, 0, 0, 0]


def test_a_bin_matched_by_its_open_time_would_show_three_bars_early():
    longer = bins(build_tape([HAND]), 0, "4h")
    by_open = np.searchsorted(longer.open_time, HAND.close_time, side="right") - 1
    assert by_open.tolist() == [0, 0, 0, 0, 0, 0]
    assert longer.visible_from_bar.tolist() != by_open.tolist()


def test_the_same_timeframe_is_the_bars_themselves():
    same = bins(build_tape([HAND]), 0, "60m")
    assert same.close.tolist() == HAND.close.tolist()
    assert same.visible_from_bar.tolist() == list(range(6))


def test_a_bin_whose_last_bars_are_missing_shows_with_the_next_bar():
    hours = np.array([0, 1, 2, 6, 7])  # 3, 4 and 5 o'clock are missing
    longer = bins(build_tape([series_at(hours * HOUR)]), 0, "4h")
    assert longer.end_time.tolist() == [4 * HOUR, 8 * HOUR]
    assert longer.last_bar.tolist() == [2, 4]
    assert longer.visible_from_bar.tolist() == [-1, -1, -1, 0, 1]


def test_data_that_begin_inside_a_bin_leave_it_out():
    longer = bins(build_tape([series_at(np.arange(1, 8) * HOUR)]), 0, "4h")
    assert longer.open_time.tolist() == [4 * HOUR]
    assert longer.visible_from_bar.tolist() == [-1, -1, -1, -1, -1, -1, 0]


def test_a_bin_in_which_nothing_traded_is_left_out():
    longer = bins(build_tape([series_at(np.array([0, 1, 2, 3, 8, 9, 10, 11]) * HOUR)]), 0, "4h")
    assert longer.open_time.tolist() == [0, 8 * HOUR]
    assert longer.visible_from_bar.tolist() == [-1, -1, -1, 0, 0, 0, 0, 1]


def test_half_past_one_to_four_is_a_short_bin_on_new_york():
    # 2024-03-08 in UTC: session 14:30-21:00, so 4h bins 14:30-18:30 and 18:30-21:00.
    tape = load_tape("synthetic", {"exchange": "XNYS", "bars": 13, "start": "2024-03-08"}, ["A"], "30m")
    longer = bins(tape, 0, "4h")
    assert longer.open_time.tolist() == [ns("2024-03-08T14:30"), ns("2024-03-08T18:30")]
    assert longer.end_time.tolist() == [ns("2024-03-08T18:30"), ns("2024-03-08T21:00")]
    assert longer.visible_from_bar.tolist() == [-1] * 7 + [0] * 5 + [1]


def test_an_early_close_ends_the_bin_of_its_session():
    # 2024-07-03 closed at 17:00 UTC: seven bars of 30 minutes, one 4h bin of three and a half hours.
    tape = load_tape("synthetic", {"exchange": "XNYS", "bars": 8, "start": "2024-07-03"}, ["A"], "30m")
    longer = bins(tape, 0, "4h")
    assert longer.end_time.tolist() == [ns("2024-07-03T17:00")]
    assert longer.visible_from_bar.tolist() == [-1] * 6 + [0, 0]


def test_a_week_ends_with_its_last_session_even_before_a_holiday():
    # Good Friday 2024-03-29 was closed: the week ended on Thursday, at 20:00 UTC.
    tape = load_tape("synthetic", {"exchange": "XNYS", "bars": 5, "start": "2024-03-25"}, ["A"], "1d")
    week = bins(tape, 0, "1w")
    assert week.open_time.tolist() == [ns("2024-03-25T13:30")]
    assert week.end_time.tolist() == [ns("2024-03-28T20:00")]
    assert week.visible_from_bar.tolist() == [-1, -1, -1, 0, 0]


def test_weeks_of_coins_begin_on_monday():
    tape = build_tape([series_at(ns("2024-03-01") + np.arange(20) * DAY, "1d")])  # a Friday
    week = bins(tape, 0, "1w")
    assert week.open_time.tolist() == [ns("2024-03-04"), ns("2024-03-11")]


def test_bins_of_coins_begin_anew_each_day():
    tape = build_tape([series_at(np.arange(30) * HOUR)])
    assert (bins(tape, 0, "7h").end_time // HOUR).tolist() == [7, 14, 21, 24]


def test_days_of_an_exchange_with_a_lunch_break_hold_both_halves():
    # Tokyo 2024-03-08 in UTC: 0:00-2:30 and 3:30-6:00; hourly bars lie on the grid from 0:00, the break lies between.
    tape = load_tape("synthetic", {"exchange": "XTKS", "bars": 6, "start": "2024-03-08"}, ["A"], "1h")
    day = bins(tape, 0, "1d")
    assert day.open_time.tolist() == [ns("2024-03-08T00:00")]
    assert day.end_time.tolist() == [ns("2024-03-08T06:00")]


def naive_bins(series: BarSeries, length: int):
    """Walk the bars of a 24/7 series one by one and collect what has ended by each of them."""
    done, running, visible = [], None, []
    for i in range(len(series)):
        start = int(series.open_time[i]) // DAY * DAY
        start += (int(series.open_time[i]) - start) // length * length
        end = min(start + length, start // DAY * DAY + DAY)
        if running is not None and running["open_time"] != start:
            done.append(running)
            running = None
        if running is None:
            running = {
                "open_time": start,
                "end_time": end,
                "open": series.open[i],
                "high": series.high[i],
                "low": series.low[i],
                "close": series.close[i],
                "volume": series.volume[i],
                "first_bar": i,
                "last_bar": i,
            }
        else:
            running |= {
                "high": max(running["high"], series.high[i]),
                "low": min(running["low"], series.low[i]),
                "close": series.close[i],
                "volume": running["volume"] + series.volume[i],
                "last_bar": i,
            }
        if series.close_time[i] >= end:
            done.append(running)
            running = None
        whole = [one for one in done if one["first_bar"] > 0 or one["open_time"] == series.open_time[0]]
        visible.append(len([one for one in whole if one["end_time"] <= series.close_time[i]]) - 1)
    return whole, visible


holes = st.lists(st.integers(1, 4), min_size=1, max_size=80)


@LAW
@given(holes, st.sampled_from(["10m", "15m", "1h", "4h", "7h", "1d"]), st.integers(0, 300))
def test_bins_equal_a_walk_over_the_bars_bit_for_bit(steps, timeframe, start):
    series = series_at((start + np.cumsum(steps)) * 5 * MINUTE, "5m")
    longer = series_bins(series, timeframe)
    expected, visible = naive_bins(series, parse_timeframe(timeframe))
    for name in ("open_time", "end_time", "first_bar", "last_bar", "open", "high", "low", "close", "volume"):
        assert getattr(longer, name).tolist() == [one[name] for one in expected], name
    assert longer.visible_from_bar.tolist() == visible


@LAW
@given(holes, st.sampled_from(["15m", "4h", "1d", "1w"]), st.integers(1, 100))
def test_bins_of_the_first_bars_are_a_prefix_of_the_bins_of_all(steps, timeframe, percent):
    series = series_at(np.cumsum(steps) * 5 * MINUTE, "5m")
    count = max(1, len(series) * percent // 100)
    part = attrs.evolve(series, **{name: getattr(series, name)[:count] for name in BAR_COLUMNS})
    short, long = series_bins(part, timeframe), series_bins(series, timeframe)
    for name in ("end_time", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(short, name), getattr(long, name)[: len(short)])
    assert np.array_equal(short.visible_from_bar, long.visible_from_bar[:count])


def test_a_visible_bin_has_ended_and_holds_only_bars_that_have_closed():
    tape = load_tape("synthetic", {"exchange": "XNYS", "bars": 3000, "start": "2024-06-24"}, ["A"], "5m")
    for timeframe in ("15m", "4h", "1d", "1w"):
        longer = bins(tape, 0, timeframe)
        seen = longer.visible_from_bar >= 0
        assert seen.any()
        assert np.all(longer.end_time[longer.visible_from_bar[seen]] <= tape.close_time[seen])
        assert np.all(longer.last_bar[longer.visible_from_bar[seen]] <= np.flatnonzero(seen))


def test_resampled_bars_are_a_series_that_makes_a_tape():
    tape = build_tape([resample(HAND, "2h")])
    assert tape.timeframes == ("2h",)
    assert tape.close.tolist() == [12.0, 14.0, 15.0]
    with pytest.raises(DataError, match="hold no complete bar of 1d"):
        resample(HAND, "1d")


def test_a_symbol_without_bars_has_no_bins():
    tape = build_tape([series_at([0], symbol="A"), series_at([DAY], symbol="B")]).truncate(HOUR)
    assert len(bins(tape, 1, "4h")) == 0


@pytest.mark.parametrize(
    ("base", "timeframe", "rule"),
    [
        ("1h", "30m", "not shorter"),
        ("1h", "90m", "a multiple"),
        ("2d", "1w", "a multiple"),
        ("1d", "4h", "not shorter"),
    ],
)
def test_a_timeframe_that_the_bars_cannot_make_up_is_refused(base, timeframe, rule):
    with pytest.raises(DataError, match=rule):
        series_bins(series_at([0], base), timeframe)


def test_bars_across_the_edge_of_a_bin_are_refused():
    on_the_hour = series_at([ns("2024-03-08T15:00"), ns("2024-03-08T18:00")], "1h", "A", "XNYS")
    with pytest.raises(DataError, match="the bar 2024-03-08 18:00:00Z to 2024-03-08 19:00:00Z lies across the edge"):
        series_bins(on_the_hour, "4h")


@pytest.mark.parametrize("text", ["", "h", "0m", "-5m", "1.5h", "5", "5 m", "1M", "5min", 60, None, "100000m"])
def test_a_malformed_timeframe_is_refused(text):
    with pytest.raises(ConfigError, match="rule: a whole number and a unit"):
        parse_timeframe(text)


@LAW
@given(st.integers(1, 9999), st.sampled_from("smhdw"))
def test_the_text_of_a_timeframe_and_its_length_say_the_same(count, unit):
    assert parse_timeframe(format_timeframe(parse_timeframe(f"{count}{unit}"))) == parse_timeframe(f"{count}{unit}")


def test_a_length_of_no_whole_seconds_has_no_text():
    with pytest.raises(ConfigError, match="a positive whole number of seconds"):
        format_timeframe(1)
