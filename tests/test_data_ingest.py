"""From a table to valid bars: order, zones, the schedule of exchanges, gaps and values, refused or repaired by name."""

import datetime
import re

import numpy as np
import pandas as pd
import pytest
from data_cases import HOUR, LAW, ns
from hypothesis import given
from hypothesis import strategies as st

from framework.data import from_frame, resample, tape_from_frames
from framework.data.gaps import missing_before
from framework.errors import DataError


def table(times, **columns):
    """Return a dict of valid columns with some replaced."""
    count = len(times)
    base = {
        "open": [10.0] * count,
        "high": [12.0] * count,
        "low": [9.0] * count,
        "close": [11.0] * count,
        "volume": [5.0] * count,
    }
    return {"datetime": list(times), **base, **columns}


def hours(*numbers):
    return [f"2024-01-01 {number:02d}:00:00" for number in numbers]


def opens(series):
    """Return the hours of the day at which the bars of a series open."""
    return [int(time - ns("2024-01-01")) // HOUR for time in series.open_time]


def load(data, **options):
    return from_frame(data, "A", options.pop("timeframe", "1h"), **{"stamp": "open", **options})


# --- order ------------------------------------------------------------------------------------------------------------


def test_rows_out_of_order_are_refused_or_sorted():
    data = table(hours(0, 2, 1, 3), volume=[0.0, 2.0, 1.0, 3.0])
    with pytest.raises(
        DataError, match=r"1 of 4 rows refused; rule: rows are in order[\s\S]*row 3:[\s\S]*repair = \"sort\""
    ):
        load(data)
    series = load(data, repair="sort")
    assert series.volume.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert (series.report.sorted, str(series.report)) == (1, "A: sorted 1")


def test_rows_of_one_time_are_refused_or_the_last_stays():
    data = table(hours(0, 1, 1, 2), volume=[0.0, 1.0, 1.5, 2.0])
    with pytest.raises(DataError, match=r"2 of 4 rows refused; rule: one row a time[\s\S]*row 2:[\s\S]*row 3:"):
        load(data)
    series = load(data, repair="duplicates")
    assert series.volume.tolist() == [0.0, 1.5, 2.0]
    assert series.report.duplicates == 1


def test_repairs_combine_and_each_is_counted():
    data = table(hours(3, 1, 1, 2, 0), close=[11.0, 11.0, 11.0, 50.0, float("nan")], volume=[3.0, 1.0, 1.5, 2.0, 0.0])
    series = load(data, repair=["sort", "duplicates", "drop", "widen"])
    assert series.volume.tolist() == [1.5, 2.0, 3.0]
    assert series.high.tolist() == [12.0, 50.0, 12.0]
    report = series.report
    assert (report.sorted, report.duplicates, report.dropped, report.widened, report.filled) == (4, 1, 1, 1, 0)


@LAW
@given(st.permutations(range(8)), st.lists(st.integers(0, 7), max_size=4))
def test_sorting_and_dropping_doubles_gives_every_time_once_with_its_last_row(order, again):
    rows = [*order, *again]
    series = load(table(hours(*rows), volume=[float(i) for i in range(len(rows))]), repair=["sort", "duplicates"])
    assert opens(series) == list(range(8))
    last = {hour: float(i) for i, hour in enumerate(rows)}
    assert series.volume.tolist() == [last[hour] for hour in range(8)]
    assert series.report.duplicates == len(again)


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("open", float("nan"), "finite"),
        ("high", float("inf"), "finite"),
        ("low", 0.0, "above zero"),
        ("close", -1.0, "above zero"),
        ("volume", -5.0, "volume is not negative"),
        ("high", 1.0, "high is not below low"),
        ("close", 13.0, "between low and high"),
        ("volume", None, "finite"),
    ],
)
def test_an_impossible_row_is_refused_or_dropped(column, value, rule):
    good = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 5.0}[column]
    data = table(hours(0, 1, 2), **{column: [good, value, good]})
    with pytest.raises(
        DataError, match=rf"1 of 3 rows refused; rule: .*{rule}[\s\S]*row 2: 2024-01-01 01:00:00Z, open"
    ):
        load(data)
    series = load(data, repair="drop")
    assert opens(series) == [0, 2]
    assert (series.report.dropped, series.report.missing) == (1, 1)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("open", "ten"),
        ("volume", "1,000"),
        ("datetime", "yesterday"),
        ("datetime", "2024-13-01 00:00:00"),
        ("datetime", "1066-10-14 09:00:00"),
        ("datetime", None),
    ],
)
def test_text_that_cannot_be_read_is_refused_with_the_text_or_dropped(column, value):
    data = {name: [str(one) for one in values] for name, values in table(hours(0, 1, 2)).items()}
    data[column][1] = value
    with pytest.raises(DataError, match=rf"row 2: {column} {value!r}"):
        load(data)
    series = load(data, repair="drop", gaps="allow") if column == "datetime" else load(data, repair="drop")
    assert opens(series) == [0, 2]


def test_widening_moves_high_and_low_only_as_far_as_open_and_close():
    series = load(table(hours(0, 1), open=[10.0, 8.5], close=[12.5, 11.0]), repair="widen")
    assert (series.high.tolist(), series.low.tolist()) == ([12.5, 12.0], [9.0, 8.5])
    assert series.report.widened == 2


def test_widening_does_not_excuse_a_high_below_the_low():
    with pytest.raises(DataError, match="high is not below low"):
        load(table(hours(0), high=[1.0]), repair="widen")


def test_when_no_row_is_left_that_is_said():
    with pytest.raises(DataError, match=r"no rows left after \{'dropped': 2\}"):
        load(table(hours(0, 1), open=[float("nan")] * 2), repair="drop")


# --- timeframe, overlap, gaps -----------------------------------------------------------------------------------------


def test_the_timeframe_is_the_most_common_spacing():
    assert load(table(hours(0, 1, 2, 5, 6)), timeframe=None, gaps="allow").timeframe == "1h"
    with pytest.raises(DataError, match="cannot be told from their spacing"):
        load(table(hours(0)), timeframe=None)
    with pytest.raises(DataError, match=r"spacing of 2678400\.0 s"):
        load(table(["2024-01-01", "2024-02-01"]), timeframe=None)


def test_a_bar_that_opens_within_the_one_before_is_refused_or_dropped():
    times = [*hours(0, 1, 2, 3), "2024-01-01 03:30:00"]
    with pytest.raises(DataError, match=r"1 of 5 rows refused; rule: a bar opens when the one before has closed"):
        load(table(times))
    kept = load(table(times), repair="drop")
    assert (opens(kept), kept.report.dropped) == ([0, 1, 2, 3], 1)


@pytest.mark.parametrize("options", [{}, {"repair": "drop"}, {"gaps": "allow"}])
@pytest.mark.parametrize(
    ("times", "exchange", "asked", "own"),
    [
        (hours(*range(24)), "24/7", "4h", "1h"),
        (hours(*range(24)), "24/7", "1d", "1h"),
        ([f"2024-01-{day:02d}" for day in range(1, 29)], "24/7", "1w", "1d"),
        ([f"2024-01-0{day}" for day in (2, 3, 4, 5, 8, 9)], "XNYS", "1w", "1d"),
        ([f"2024-01-0{day} {hour:02d}:30:00-05:00" for day in (2, 3) for hour in range(9, 16)], "XNYS", "1d", "1h"),
        ([f"2024-01-0{day} {hour:02d}:30:00-05:00" for day in (2, 3, 4) for hour in (9, 13)], "XNYS", "1d", "4h"),
    ],
)
def test_rows_of_a_shorter_timeframe_than_the_one_named_are_refused_with_the_ways_out(
    times, exchange, asked, own, options
):
    """No repair makes longer bars of shorter ones: "drop" would keep the first row of each and call it a bar."""
    with pytest.raises(DataError) as caught:
        load(table(times), timeframe=asked, exchange=exchange, **options)
    told = str(caught.value)
    assert f'timeframe = "{asked}", but the rows are {own} apart' in told
    assert f'mend: timeframe = "{own}"' in told
    assert f'detail_timeframe = "{own}"' in told
    assert "drop" not in told


def test_the_ways_out_of_a_file_that_is_finer_work():
    """Four hours in one bar: its open is the first one's, its close the last one's, its volume the sum."""
    data = table(hours(*range(8)), close=[11.0, 11.1, 11.2, 11.3, 11.4, 11.5, 11.6, 11.7])
    longer = resample(load(data, timeframe="1h"), "4h")
    assert (longer.close.tolist(), longer.volume.tolist()) == ([11.3, 11.7], [20.0, 20.0])
    tape = tape_from_frames(data, timeframe="4h", detail_timeframe="1h", stamp="open")
    assert (tape.close.tolist(), len(tape.details)) == ([11.3, 11.7], 8)


@pytest.mark.parametrize("closes", [("13:30", "16:00"), ("12:30", "15:30", "16:00")])
def test_short_last_bars_of_sessions_are_not_taken_for_a_finer_file(closes):
    """In bars of 4h of New York every other one lasts two hours and a half, in bars of 3h every third half an hour."""
    times = [f"2024-01-0{day} {close}:00" for day in (2, 3, 4, 5) for close in closes]
    timeframe = "4h" if len(closes) == 2 else "3h"
    series = load(table(times), timeframe=timeframe, stamp="close", exchange="XNYS", timezone="exchange")
    assert len(series) == len(times)


# --- every rule that is broken is told --------------------------------------------------------------------------------


def test_every_rule_that_is_broken_is_told_with_its_own_rows():
    """Each rule has a row of its own; nothing that one of them is taken out for is told again as a hole or a number."""
    data = table(
        ["2024-01-01 00:00:00", "nonsense", *hours(2, 3, 5, 4, 4, 6, 7, 8, 9, 12)],
        open=["10", "10", "ten", *["10"] * 4, "-1", "10", "10", "10", "10"],
        high=[12.0] * 8 + [8.0, 10.5, 12.0, 12.0],
        low=[9.0] * 7 + [-2.0] + [9.0] * 4,
        volume=[5.0] * 3 + [float("nan")] + [5.0] * 6 + [-5.0, 5.0],
    )
    with pytest.raises(DataError) as caught:
        load(data)
    told = [(fault.partition("rule: ")[2].partition("\n")[0], re.findall(r"row (\d+):", fault))
            for fault in caught.value.faults]
    assert told == [
        ("the time can be read and lies between 1900 and 2100", ["2"]),
        ("open is a number", ["3"]),
        ("rows are in order of time", ["6", "7"]),
        ("one row a time", ["6", "7"]),
        ("every scheduled bar of 1h on 24/7 is there, but 2 before these are not", ["12"]),
        ("prices and volume are finite numbers", ["4"]),
        ("prices are above zero", ["8"]),
        ("volume is not negative", ["11"]),
        ("high is not below low", ["9"]),
        ("open and close lie between low and high", ["10"]),
    ]
    assert str(caught.value).startswith("frame of A: 10 rules are broken\n")
    assert all(fault in str(caught.value) for fault in caught.value.faults)


def test_what_ends_the_reading_of_times_does_not_hide_the_numbers():
    with pytest.raises(DataError) as caught:
        load(table(hours(0, 1, 2), close=[11.0, 0.0, 11.0], low=[9.0, 0.0, 9.0]), stamp=None)
    assert len(caught.value.faults) == 2
    assert "open or the close of bars" in caught.value.faults[0]
    assert "rule: prices are above zero" in caught.value.faults[1]


def test_a_table_whose_rows_are_all_refused_is_told_for_its_rows_alone():
    with pytest.raises(DataError) as caught:
        load(table(["a", "b"]))
    assert len(caught.value.faults) == 1
    assert "2 of 2 rows refused; rule: the time can be read" in str(caught.value)


def test_the_faults_of_every_symbol_of_a_table_are_told():
    data = {**table([*hours(0, 1), *hours(0, 1)], high=[12.0, 8.0, 8.0, 12.0]), "symbol": ["A", "A", "B", "B"]}
    with pytest.raises(DataError, match=r"(?s)2 rules are broken.*A: 1 of 2 rows.*row 2:.*B: 1 of 2 rows.*row 3:"):
        tape_from_frames(data, timeframe="1h", stamp="open")


def test_a_missing_bar_is_refused_allowed_or_filled():
    data = table(hours(0, 1, 4, 5), close=[11.0, 11.5, 11.0, 11.0])
    with pytest.raises(DataError, match=r"2 before these are not\n  row 3: 2 missing from 2024-01-01 02:00:00Z to "):
        load(data)
    allowed = load(data, gaps="allow")
    assert (opens(allowed), allowed.report.missing) == ([0, 1, 4, 5], 2)
    filled = load(data, gaps="fill")
    assert opens(filled) == [0, 1, 2, 3, 4, 5]
    for name in ("open", "high", "low", "close"):
        assert getattr(filled, name)[2:4].tolist() == [11.5, 11.5]
    assert filled.volume[2:4].tolist() == [0.0, 0.0]
    assert (filled.report.filled, filled.report.missing) == (2, 0)


def test_bars_off_the_grid_are_compared_with_the_bar_before():
    data = table([f"2024-01-01 0{hour}:07:00" for hour in (0, 1, 4)])
    filled = load(data, gaps="fill")
    assert (filled.open_time - ns("2024-01-01T00:07")).tolist() == [0, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR]


def test_filling_stops_before_a_wrong_timeframe_fills_the_memory():
    with pytest.raises(DataError, match="would put 86399 bars of 1s among 2"):
        load(table(["2024-01-01 00:00:00", "2024-01-02 00:00:00"]), timeframe="1s", gaps="fill")


@LAW
@given(st.lists(st.integers(1, 3), min_size=1, max_size=30))
def test_filling_leaves_no_gap_and_keeps_every_bar(steps):
    numbers = np.cumsum(steps)
    times = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=int(number)) for number in numbers]
    data = table(times, volume=[float(number) for number in numbers])
    filled = load(data, gaps="fill")
    assert np.all(np.diff(filled.open_time) == HOUR)
    assert filled.volume[filled.volume > 0].tolist() == numbers.astype(float).tolist()
    assert filled.report.filled == sum(steps[1:]) - len(steps) + 1
    assert not missing_before("24/7", "1h", filled.open_time, filled.close_time).any()


# --- time zones -------------------------------------------------------------------------------------------------------


def test_naive_times_are_utc_around_the_clock_unless_a_zone_is_named():
    assert load(table(hours(9, 10))).open_time[0] == ns("2024-01-01T09:00")
    assert load(table(hours(9, 10)), timezone="Asia/Tokyo").open_time[0] == ns("2024-01-01T00:00")


def test_offsets_of_daylight_saving_need_the_zone_they_belong_to():
    # New York: 1:00 is -05:00, 3:00 is -04:00; one hour lies between.
    data = table(["2024-03-10 01:00:00-05:00", "2024-03-10 03:00:00-04:00"])
    with pytest.raises(DataError, match=r"all rows have one UTC offset[\s\S]*row 2:[\s\S]*America/New_York"):
        load(data)
    series = load(data, timezone="America/New_York")
    assert series.open_time.tolist() == [ns("2024-03-10T06:00"), ns("2024-03-10T07:00")]
    with pytest.raises(DataError, match=r"the UTC offset of each row is that of Europe/Paris"):
        load(data, timezone="Europe/Paris")
    believed = load(data, repair="zones")
    assert (believed.open_time.tolist(), believed.report.zones) == (series.open_time.tolist(), 1)


def test_rows_with_and_without_a_zone_are_never_mixed():
    data = table(["2024-01-01 00:00:00Z", "2024-01-01 01:00:00"])
    for repair in ("none", ["drop", "zones"]):
        with pytest.raises(DataError, match="all rows say their zone, or none does"):
            load(data, repair=repair)


def test_pandas_columns_of_mixed_zones_are_refused():
    mixed = [pd.Timestamp("2024-01-01 00:00", tz="UTC"), pd.Timestamp("2024-01-01 10:00", tz="Asia/Tokyo")]
    data = pd.DataFrame(table(mixed))
    data["datetime"] = pd.Series(mixed, dtype=object)
    with pytest.raises(DataError, match="all rows have one UTC offset"):
        load(data)


@pytest.mark.parametrize(
    ("times", "rule"),
    [
        (["2024-03-10 01:30:00", "2024-03-10 02:30:00"], "row 2"),  # does not exist
        (["2024-11-03 00:30:00", "2024-11-03 01:30:00"], "row 2"),
    ],
)  # exists twice
def test_local_times_that_daylight_saving_skips_or_repeats_are_refused_or_dropped(times, rule):
    with pytest.raises(DataError, match=rf"a local time of America/New_York exists, and only once[\s\S]*{rule}"):
        load(table(times), timezone="America/New_York")
    assert len(load(table(times), timezone="America/New_York", repair="drop")) == 1


# --- exchanges --------------------------------------------------------------------------------------------------------

NEW_YORK = {"exchange": "XNYS", "timezone": "exchange", "stamp": None}


def clock(day, *times):
    return [f"{day} {time}:00" for time in times]


def utc(series):
    return [
        [str(np.datetime64(int(t), "ns"))[11:16] for t in (a, b)]
        for a, b in zip(series.open_time, series.close_time, strict=True)
    ]


HALF_HOUR_SESSION = ("09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30")


def test_hourly_bars_of_new_york_by_their_opens_end_with_the_session():
    series = load(table(clock("2024-03-08", *HALF_HOUR_SESSION)), **NEW_YORK)
    assert utc(series)[0] == ["14:30", "15:30"]
    assert utc(series)[-1] == ["20:30", "21:00"]


def test_hourly_bars_of_new_york_by_their_closes_are_the_same_bars():
    closes = (*HALF_HOUR_SESSION[1:], "16:00")
    by_open = load(table(clock("2024-03-08", *HALF_HOUR_SESSION)), **NEW_YORK)
    by_close = load(table(clock("2024-03-08", *closes)), **NEW_YORK)  # 16:00 tells that these are closes
    assert utc(by_close) == utc(by_open)


def test_bars_on_the_full_hour_begin_with_a_short_one():
    closes = ("10:00", "11:00", "12:00", "13:00", "14:00", "15:00", "16:00")
    series = load(table(clock("2024-03-08", *closes)), **NEW_YORK)
    assert utc(series)[0] == ["14:30", "15:00"]
    assert utc(series)[-1] == ["20:00", "21:00"]
    assert series.report.missing == 0
    two_days = [
        *clock("2024-03-07", *closes),
        *clock("2024-03-08", *closes[1:]),
    ]  # a night is no gap, nor 9:30 to 10:00
    assert load(table(two_days), **NEW_YORK).report.missing == 0


def test_intraday_stamps_that_touch_no_edge_of_a_session_are_ambiguous():
    with pytest.raises(DataError, match='mend: stamp = "open"'):
        load(table(clock("2024-03-08", "10:30", "11:30")), **NEW_YORK)


def test_naive_intraday_times_on_an_exchange_need_a_zone():
    with pytest.raises(DataError, match=r"on XNYS it is not guessed.*America/New_York"):
        load(table(clock("2024-03-08", "09:30", "10:30")), exchange="XNYS")


def test_bars_before_the_open_and_on_holidays_are_refused_or_dropped():
    times = [*clock("2024-03-08", "08:30", "09:30"), *clock("2024-03-09", "09:30")]
    with pytest.raises(DataError, match=r"2 of 3 rows refused; rule: a bar lies within one session of XNYS"):
        load(table(times), **NEW_YORK)
    series = load(table(times), **NEW_YORK, repair="drop")
    assert utc(series) == [["14:30", "15:30"]]


def test_bars_of_two_sessions_leave_no_gap_overnight():
    times = [*clock("2024-03-08", *HALF_HOUR_SESSION), *clock("2024-03-11", *HALF_HOUR_SESSION)]
    series = load(table(times), **NEW_YORK)
    assert (len(series), series.report.missing) == (14, 0)
    assert utc(series)[7] == ["13:30", "14:30"]  # summer time began in between


def test_a_hole_over_night_is_filled_session_by_session():
    times = [*clock("2024-07-02", *HALF_HOUR_SESSION[:6]), *clock("2024-07-05", "10:30")]
    with pytest.raises(DataError, match="6 missing"):
        load(table(times), **NEW_YORK)
    # 15:30 of July 2; the four bars of July 3, which closed at 13:00; July 4 was a holiday; 9:30 of July 5.
    filled = load(table(times), **NEW_YORK, gaps="fill")
    assert utc(filled)[6:12] == [
        ["19:30", "20:00"],
        ["13:30", "14:30"],
        ["14:30", "15:30"],
        ["15:30", "16:30"],
        ["16:30", "17:00"],
        ["13:30", "14:30"],
    ]


def test_the_lunch_break_of_tokyo_is_no_gap():
    minutes = [*range(0, 150, 30), *range(210, 360, 30)]
    start = datetime.datetime(2024, 3, 8, 0, 0)
    times = [start + datetime.timedelta(days=day, minutes=minute) for day in (0, 3) for minute in minutes]
    tokyo = {"exchange": "XTKS", "timezone": "UTC", "timeframe": "30m", "stamp": None}
    assert load(table(times), **tokyo).report.missing == 0
    holed = [time for time in times if time.hour != 2]  # 2:00 before the break, on both days
    assert load(table(holed), **tokyo, gaps="allow").report.missing == 2
    assert len(load(table(holed), **tokyo, gaps="fill")) == len(times)


def test_bars_end_where_the_lunch_break_begins():
    times = [
        datetime.datetime(2024, 3, 8, 0) + datetime.timedelta(minutes=minute) for minute in (0, 60, 120, 210, 270, 330)
    ]
    by_open = load(table(times), exchange="XTKS", timezone="UTC", stamp="open")
    assert utc(by_open)[2:4] == [["02:00", "02:30"], ["03:30", "04:30"]]
    assert by_open.report.missing == 0
    closes = [datetime.datetime(2024, 3, 8, 4, 0), datetime.datetime(2024, 3, 8, 5, 0)]
    assert utc(load(table(closes), exchange="XTKS", timezone="UTC", stamp="close"))[0] == ["03:30", "04:00"]


@pytest.mark.parametrize(
    "times",
    [
        ["2024-07-02", "2024-07-03", "2024-07-05"],
        ["2024-07-02 00:00:00", "2024-07-03 00:00:00", "2024-07-05 00:00:00"],
        ["2024-07-02T00:00:00Z", "2024-07-03T00:00:00Z", "2024-07-05T00:00:00Z"],
        ["2024-07-02T04:00:00Z", "2024-07-03T04:00:00Z", "2024-07-05T04:00:00Z"],  # midnight in New York
        ["2024-07-02T13:30:00Z", "2024-07-03T13:30:00Z", "2024-07-05T13:30:00Z"],  # the opens
        ["2024-07-02T20:00:00Z", "2024-07-03T17:00:00Z", "2024-07-05T20:00:00Z"],  # the closes
        [datetime.date(2024, 7, 2), datetime.date(2024, 7, 3), datetime.date(2024, 7, 5)],
    ],
)
def test_a_daily_stamp_of_an_exchange_names_its_session(times):
    series = load(table(times), timeframe="1d", exchange="XNYS", stamp=None)
    assert series.open_time.tolist() == [ns(f"2024-07-0{day}T13:30") for day in (2, 3, 5)]
    assert series.close_time.tolist() == [
        ns(f"2024-07-0{day}T{end}") for day, end in ((2, "20:00"), (3, "17:00"), (5, "20:00"))
    ]


@pytest.mark.parametrize(
    ("times", "rule"),
    [
        (["2024-07-03", "2024-07-04"], r"a date of a bar of 1d names a session of XNYS[\s\S]*row 2: 2024-07-04"),
        (["2024-07-02T13:30:00Z", "2024-07-03T12:00:00Z"], r"midnight, or the open of a session of XNYS[\s\S]*row 2"),
        (["2024-07-02T12:00:00Z", "2024-07-03T12:00:00Z"], "nothing tells whether"),
    ],
)
def test_a_daily_stamp_that_names_no_session_is_refused_or_dropped(times, rule):
    with pytest.raises(DataError, match=rule):
        load(table(times), timeframe="1d", exchange="XNYS", stamp=None)
    if "row 2" in rule:
        assert len(load(table(times), timeframe="1d", exchange="XNYS", stamp=None, repair="drop")) == 1


def test_a_missing_session_is_a_gap():
    with pytest.raises(DataError, match="1 before these are not"):
        load(table(["2024-07-02", "2024-07-05"]), timeframe="1d", exchange="XNYS", stamp=None)
    filled = load(table(["2024-07-02", "2024-07-05"]), timeframe="1d", exchange="XNYS", stamp=None, gaps="fill")
    assert filled.close_time[1] == ns("2024-07-03T17:00")


def test_weekly_dates_of_an_exchange_name_their_week():
    # The weeks of 2024-03-25 (which ended on Thursday) and 2024-04-01, each named by its Friday.
    series = load(table(["2024-03-29", "2024-04-05"]), timeframe=None, exchange="XNYS", stamp=None)
    assert series.timeframe == "1w"
    assert series.close_time.tolist() == [ns("2024-03-28T20:00"), ns("2024-04-05T20:00")]
    again = table(["2024-03-25", "2024-03-29", "2024-04-05"], volume=[1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="one row a time"):
        load(again, timeframe="1w", exchange="XNYS", stamp=None)
    assert load(again, timeframe="1w", exchange="XNYS", stamp=None, repair="duplicates").volume.tolist() == [2.0, 3.0]


def test_the_bars_of_five_minutes_of_a_quarter_have_no_gap_by_schedule():
    from framework.data import load_tape

    tape = load_tape("synthetic", {"exchange": "XNYS", "bars": 5_000, "start": "2024-10-15"}, ["A"], "5m")
    assert not missing_before("XNYS", "5m", tape.open_time, tape.close_time).any()
    keep = np.ones(5_000, dtype=bool)
    keep[[10, 11, 400, 4_000]] = False
    missing = missing_before("XNYS", "5m", tape.open_time[keep], tape.close_time[keep])
    assert missing[missing > 0].tolist() == [2, 1, 1]
