"""The tape: the order of events, the calendar columns, truncation, and what it refuses."""

import tracemalloc

import attrs
import numpy as np
import polars as pl
import pytest
from data_cases import DAY, HOUR, LAW, MINUTE, ns, prices, series_at, series_lists
from hypothesis import given
from hypothesis import strategies as st

from framework.data import BarSeries, build_tape, load_tape
from framework.data.tape import BAR_COLUMNS, CLOCK_COLUMNS
from framework.errors import ConfigError, DataError
from framework.model import EventKind, Instrument

CLOSE, OPEN = EventKind.CLOSE, EventKind.OPEN


def events(tape):
    return list(
        zip(
            tape.event_time.tolist(),
            tape.event_kind.tolist(),
            tape.event_symbol.tolist(),
            tape.event_bar.tolist(),
            strict=True,
        )
    )


def test_two_symbols_of_different_timeframes_share_one_order_of_events():
    # A: hourly bars at 0:00 and 1:00; B: one bar of two hours at 0:00.  Rows: A has 0 and 1, B has 2.
    a, b = series_at([0, HOUR], "1h", "A"), series_at([0], "2h", "B")
    expected = [
        (0, OPEN, 0, 0),
        (0, OPEN, 1, 2),
        (HOUR, CLOSE, 0, 0),
        (HOUR, OPEN, 0, 1),
        (2 * HOUR, CLOSE, 0, 1),
        (2 * HOUR, CLOSE, 1, 2),
    ]
    assert events(build_tape([a, b])) == expected


def test_at_one_instant_closes_come_before_opens_and_symbols_in_the_given_order():
    z, a = series_at([0, HOUR], "1h", "Z"), series_at([0, HOUR], "1h", "A")
    at_one = [event[1:3] for event in events(build_tape([z, a])) if event[0] == HOUR]
    assert at_one == [(CLOSE, 0), (CLOSE, 1), (OPEN, 0), (OPEN, 1)]


@LAW
@given(series_lists())
def test_events_are_sorted_complete_and_point_at_their_bars(series):
    tape = build_tape(series)
    keys = [event[:3] for event in events(tape)]
    assert keys == sorted(keys)
    for kind, time in ((OPEN, tape.open_time), (CLOSE, tape.close_time)):
        chosen = tape.event_kind == kind
        assert sorted(tape.event_bar[chosen].tolist()) == list(range(tape.n_bars))
        assert np.array_equal(time[tape.event_bar[chosen]], tape.event_time[chosen])
    symbol_of_bar = np.searchsorted(tape.series, tape.event_bar, side="right") - 1
    assert np.array_equal(symbol_of_bar, tape.event_symbol)


@LAW
@given(series_lists(), st.integers(0, 100))
def test_truncating_equals_building_from_the_bars_that_had_closed(series, step):
    tape = build_tape(series)
    until = int(tape.event_time[step * (tape.n_events - 1) // 100])
    short = tape.truncate(until)
    kept = [s for s in series if s.close_time[0] <= until]
    assert short.n_bars == sum(int((s.close_time <= until).sum()) for s in series)
    if not kept:
        return
    cut = [attrs.evolve(s, **{name: getattr(s, name)[s.close_time <= until] for name in BAR_COLUMNS}) for s in kept]
    rebuilt = build_tape(cut, tape.account_calendar)
    for name in (*BAR_COLUMNS, *CLOCK_COLUMNS, "event_time", "event_kind", "event_bar"):
        assert np.array_equal(getattr(short, name), getattr(rebuilt, name)), name


@LAW
@given(series_lists(), st.integers(0, 100))
def test_the_bars_of_a_truncated_symbol_are_a_prefix_of_its_bars(series, step):
    tape = build_tape(series)
    short = tape.truncate(int(tape.event_time[step * (tape.n_events - 1) // 100]))
    for index in range(tape.n_symbols):
        rows, all_rows = short.rows(index), tape.rows(index)
        for name in (*BAR_COLUMNS, *CLOCK_COLUMNS):
            part = getattr(short, name)[rows]
            assert np.array_equal(part, getattr(tape, name)[all_rows][: len(part)])


@LAW
@given(series_lists(), st.integers(0, 2**20))
def test_the_tape_of_some_bars_has_those_bars_and_their_events_in_order(series, drawn):
    tape = build_tape(series)
    keep = np.array([drawn >> row % 20 & 1 for row in range(tape.n_bars)], bool)
    some = tape.only(keep)
    assert np.diff(some.series).tolist() == [int(keep[tape.rows(s)].sum()) for s in range(tape.n_symbols)]
    for name in (*BAR_COLUMNS, *CLOCK_COLUMNS):
        assert np.array_equal(getattr(some, name), getattr(tape, name)[keep]), name
    assert some.event_time.tolist() == [t for t, bar in zip(tape.event_time, tape.event_bar, strict=True) if keep[bar]]
    assert np.array_equal(np.where(some.event_kind == EventKind.OPEN, some.open_time[some.event_bar],
                                   some.close_time[some.event_bar]), some.event_time)
    assert np.array_equal(some.event_symbol, np.searchsorted(some.series, some.event_bar, side="right") - 1)


def test_truncated_exchange_days_keep_their_columns():
    tape = load_tape("synthetic", {"exchange": "XNYS", "bars": 400, "start": "2024-10-28"}, ["A"], "30m")
    short = tape.truncate(int(tape.close_time[200]))
    assert short.n_bars == 201
    for name in CLOCK_COLUMNS:
        assert np.array_equal(getattr(short, name), getattr(tape, name)[:201])


def test_all_arrays_are_contiguous_vectors_of_their_types_that_cannot_be_written():
    tape = build_tape([series_at([0, HOUR])])
    types = {
        "series": "int64",
        "open_time": "int64",
        "close_time": "int64",
        "open": "float64",
        "high": "float64",
        "low": "float64",
        "close": "float64",
        "volume": "float64",
        "event_time": "int64",
        "event_kind": "uint8",
        "event_symbol": "int32",
        "event_bar": "int64",
        "account_day": "int32",
        "local_minute": "int16",
        "weekday": "int8",
        "bars_in_session": "int32",
        "minutes_to_close": "int32",
    }
    for one in (tape, tape.truncate(HOUR)):
        for name, dtype in types.items():
            array = getattr(one, name)
            assert (array.dtype.name, array.ndim, array.flags.c_contiguous) == (dtype, 1, True), name
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1


def test_the_tape_does_not_see_later_changes_of_the_arrays_it_was_built_from():
    series = series_at([0, HOUR])
    tape = build_tape([series])
    before = tape.close[0]
    series.close[0] = 1e9
    assert tape.close[0] == before


def test_the_fingerprint_sees_every_change_and_nothing_else():
    def built(**changes):
        return build_tape([attrs.evolve(series_at([0, HOUR]), **changes)]).fingerprint

    base = built()
    assert base == built()
    assert len(base) == 64
    changed = series_at([0, HOUR])
    others = [
        built(instrument=Instrument("B")),
        built(instrument=Instrument("A", tick=0.01)),
        built(timeframe="30m"),
        built(volume=changed.volume + 1e-12),
        built(high=changed.high + 1e-9),
        built(open_time=[0, HOUR + 1]),
    ]
    assert len({base, *others}) == 7


def test_bars_gives_a_frame_of_one_symbol_with_times_in_utc():
    tape = build_tape([series_at([0, HOUR], symbol="A"), series_at([HOUR], symbol="B", seed=3)])
    frame = tape.bars("B")
    assert frame.columns == list(BAR_COLUMNS)
    assert frame["close_time"].dtype == pl.Datetime("ns", "UTC")
    assert frame["close_time"].dt.timestamp("ns").to_list() == [2 * HOUR]
    assert frame["close"].to_list() == [tape.close[2]]
    with pytest.raises(DataError, match=r"no symbol 'b'.*did you mean 'B'"):
        tape.bars("b")


# --- calendar columns -------------------------------------------------------------------------------------------------


def test_around_the_clock_a_close_at_midnight_belongs_to_the_day_that_ends():
    tape = build_tape([series_at(np.arange(3) * 12 * HOUR, "12h")])
    assert tape.account_day.tolist() == [0, 0, 1]
    assert tape.bars_in_session.tolist() == [1, 2, 1]
    assert tape.minutes_to_close.tolist() == [720, 0, 720]
    assert tape.local_minute.tolist() == [720, 0, 720]
    assert tape.weekday.tolist() == [3, 4, 4]  # 1970-01-01 was a Thursday; midnight is the clock of Friday


def test_minutes_to_close_is_zero_only_on_the_bar_that_ends_with_its_session():
    tape = build_tape([series_at([DAY - 60 * 10**9, DAY - 30 * 10**9], "30s")])
    assert tape.minutes_to_close.tolist() == [1, 0]


def test_daylight_saving_moves_the_session_but_not_the_local_clock():
    # The US changed to summer time on Sunday 2024-03-10: XNYS opens at 14:30 UTC on Friday, at 13:30 UTC on Monday.
    tape = load_tape("synthetic", {"exchange": "XNYS", "bars": 2, "start": "2024-03-08"}, ["A"], "1d")
    assert tape.open_time.tolist() == [ns("2024-03-08T14:30"), ns("2024-03-11T13:30")]
    assert tape.close_time.tolist() == [ns("2024-03-08T21:00"), ns("2024-03-11T20:00")]
    assert tape.local_minute.tolist() == [960, 960]
    assert tape.weekday.tolist() == [4, 0]
    assert tape.account_day.tolist() == [ns("2024-03-08") // DAY, ns("2024-03-11") // DAY]


def test_the_last_bar_before_an_early_close_knows_that_it_is_the_last():
    # XNYS closed at 13:00, 17:00 UTC, on 2024-07-03: hourly bars at 9:30, 10:30, 11:30, and 12:30 to 13:00.
    tape = load_tape("synthetic", {"exchange": "XNYS", "bars": 5, "start": "2024-07-03"}, ["A"], "1h")
    assert tape.close_time[:4].tolist() == [ns(f"2024-07-03T{clock}") for clock in ("14:30", "15:30", "16:30", "17:00")]
    assert tape.minutes_to_close.tolist() == [150, 90, 30, 0, 330]
    assert tape.bars_in_session.tolist() == [1, 2, 3, 4, 1]
    assert tape.local_minute.tolist() == [630, 690, 750, 780, 630]
    assert tape.open_time[4] == ns("2024-07-05T13:30")


def test_the_account_calendar_is_that_of_the_instruments_unless_they_differ():
    stock = series_at([ns("2024-03-08T14:30")], "1d", "S", "XNYS", [ns("2024-03-08T21:00")])
    coin = series_at([ns("2024-03-09T00:00")], "1d", "C")
    assert build_tape([stock]).account_calendar == "XNYS"
    assert build_tape([coin]).account_calendar == "24/7"
    assert build_tape([stock, coin]).account_calendar == "24/7"


def test_on_a_stock_calendar_the_weekend_of_a_coin_counts_towards_monday():
    coin = series_at([ns("2024-03-08"), ns("2024-03-09")], "1d", "C")  # close on Saturday 0:00 and on Sunday 0:00
    tape = build_tape([coin], account_calendar="XNYS")
    assert tape.account_day.tolist() == [ns("2024-03-11") // DAY] * 2


def test_an_unknown_exchange_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"unknown exchange 'XNYSE'; did you mean 'XNYS'"):
        build_tape([series_at([0])], account_calendar="XNYSE")


def test_a_calendar_is_cut_to_the_years_that_its_package_knows():
    tape = load_tape("synthetic", {"exchange": "XBOM", "bars": 3, "start": "1998-01-01"}, ["A"], "1d")
    assert tape.n_bars == 3
    with pytest.raises(DataError, match="no sessions of XBOM"):
        load_tape("synthetic", {"exchange": "XBOM", "bars": 3, "start": "1960-01-01"}, ["A"], "1d")


# --- refusals ---------------------------------------------------------------------------------------------------------


def broken(change):
    """Return a valid series of ten bars after a change of its columns."""
    series = series_at(np.arange(10) * HOUR)
    columns = {name: getattr(series, name).copy() for name in BAR_COLUMNS}
    change(columns)
    return attrs.evolve(series, **columns)


def put(name, row, value):
    def change(columns):
        columns[name][row] = value

    return change


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (put("open", 3, np.nan), "finite"),
        (put("volume", 3, np.inf), "finite"),
        (put("high", 3, -np.inf), "finite"),
        (put("low", 3, 0.0), "above zero"),
        (put("close", 3, -5.0), "above zero"),
        (put("volume", 3, -1.0), "volume is not negative"),
        (put("high", 3, 1.0), "high is not below low"),
        (put("close", 3, 1e6), "between low and high"),
        (put("open", 3, 1e-6), "between low and high"),
        (put("open_time", 3, HOUR), "in order of time"),
        (put("open_time", 3, 2 * HOUR), "one row a time"),
        (put("open_time", 3, 3 * HOUR - 1), "when the one before has closed"),
        (put("close_time", 3, 3 * HOUR), "closes after it opens"),
        (put("close_time", 3, 2**62), "lie between"),
    ],
)
def test_a_bar_that_cannot_be_is_refused_with_its_row_values_rule_and_mend(change, rule):
    with pytest.raises(DataError) as caught:
        build_tape([broken(change)])
    message = str(caught.value)
    assert rule in message
    assert "A: 1 of 10 rows refused" in message or "A: 2 of 10" in message
    assert "row 4" in message
    assert "mend: " in message


def test_the_first_five_rows_are_shown_and_the_rest_counted():
    with pytest.raises(DataError) as caught:
        build_tape([broken(put("volume", slice(2, 10), -1.0))])
    message = str(caught.value)
    assert [f"row {i}:" in message for i in (2, 3, 7, 8)] == [False, True, True, False]
    assert "and 3 more" in message
    assert "volume -1.0" in message


def test_nothing_is_no_tape():
    with pytest.raises(DataError, match="no symbols"):
        build_tape([])
    with pytest.raises(DataError, match="no bars"):
        build_tape([series_at([])])


def test_a_symbol_comes_once():
    with pytest.raises(DataError, match="more than once: A"):
        build_tape([series_at([0]), series_at([HOUR])])


def test_columns_are_vectors_of_one_length_and_times_are_times():
    with pytest.raises(DataError, match="vectors of one length"):
        BarSeries(Instrument("A"), "1h", [0], [HOUR], *prices(2))
    with pytest.raises(DataError, match="bar times of type float64"):
        BarSeries(Instrument("A"), "1h", [0.5], [HOUR], *prices(1))
    with pytest.raises(ConfigError, match="timeframe 'hourly'"):
        BarSeries(Instrument("A"), "hourly", [0], [HOUR], *prices(1))


@pytest.mark.parametrize(
    ("timeframe", "opens", "closes", "rule"),
    [
        ("1h", "2024-03-08T13:30", "2024-03-08T14:30", "within one session"),
        ("1h", "2024-03-09T15:30", "2024-03-09T16:30", "within one session"),
        ("1h", "2024-03-08T20:30", "2024-03-08T21:30", "within one session"),
        ("1d", "2024-03-08T00:00", "2024-03-09T00:00", "opens and closes with sessions"),
        ("1d", "2024-03-08T14:30", "2024-03-08T20:59", "opens and closes with sessions"),
    ],
)
def test_bars_of_an_exchange_lie_within_its_sessions(timeframe, opens, closes, rule):
    with pytest.raises(DataError, match=rule):
        build_tape([series_at([ns(opens)], timeframe, "A", "XNYS", [ns(closes)])])


# --- cost -------------------------------------------------------------------------------------------------------------


def peak_bytes(count):
    series = [series_at(np.arange(count) * MINUTE, "1m", symbol) for symbol in ("A", "B")]
    tracemalloc.start()
    try:
        build_tape(series)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_linearly_with_bars():
    peak_bytes(1_000)
    small, large = peak_bytes(10_000), peak_bytes(100_000)
    assert large < 11 * small
    assert large < 400 * 200_000  # bytes a bar, of which the tape itself holds 110
