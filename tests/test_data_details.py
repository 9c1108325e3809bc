"""Finer bars inside the bars of a tape: where they come from, what is refused, how they travel, what runs tell."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest
from data_cases import HOUR, LAW, MINUTE, ns, series_at
from hypothesis import given
from hypothesis import strategies as st

import framework
from framework.backtest.config import config_from_dict
from framework.backtest.explain import explain
from framework.backtest.write import write_run
from framework.data import BarSeries, Catalogue, build_tape, from_frame, load_tape, resample, tape_from_frames
from framework.data.details import DETAIL_COLUMNS
from framework.data.resample import detailed_tape
from framework.data.tape import BAR_COLUMNS, CLOCK_COLUMNS, EVENT_COLUMNS
from framework.errors import ConfigError, DataError
from framework.strategy import Strategy, buy


def write_bars(path: Path, minutes: int, count: int, seed: int = 1) -> None:
    """Write bars of so many minutes from 2024-01-01 on, a random walk on a grid of quarters."""
    rng = np.random.default_rng(seed)
    close = 100 + np.cumsum(rng.integers(-3, 4, count)) / 4
    open_ = np.concatenate(([100.0], close[:-1]))
    spread = rng.integers(0, 4, (2, count)) / 4
    frame = pl.DataFrame({"time": np.datetime64("2024-01-01", "ms") + np.arange(count) * np.timedelta64(minutes, "m"),
                          "open": open_, "high": np.maximum(open_, close) + spread[0],
                          "low": np.minimum(open_, close) - spread[1], "close": close,
                          "volume": np.full(count, 10.0)})  # fmt: skip
    frame.write_csv(path)


def from_csv(folder: Path, timeframe: str | None, detail: str | None):
    """Return the tape of A.csv in a folder."""
    options = {"path": "{symbol}.csv", "stamp": "open"}
    return load_tape("csv", options, ["A"], timeframe, detail_timeframe=detail, folder=folder)


# --- what they are ----------------------------------------------------------------------------------------------------

holes = st.lists(st.integers(1, 4), min_size=1, max_size=120)


@LAW
@given(st.lists(holes, min_size=1, max_size=3),
       st.sampled_from([("1h", "5m"), ("1h", "20m"), ("7h", "1h"), ("1d", "4h")]))
def test_bars_and_finer_bars_are_those_that_resampling_makes(steps, frames):
    series = [series_at(i * HOUR + np.cumsum(step) * 5 * MINUTE, "5m", f"S{i}", seed=i) for i, step in enumerate(steps)]
    timeframe, detail = frames
    try:
        bars = [resample(one, timeframe) for one in series]
    except DataError:
        return
    tape = detailed_tape(series, timeframe, detail)
    plain = build_tape(bars)
    for name in (*BAR_COLUMNS, *CLOCK_COLUMNS, *EVENT_COLUMNS, "series"):
        assert np.array_equal(getattr(tape, name), getattr(plain, name)), name
    for number, (one, bar_series) in enumerate(zip(series, bars, strict=True)):
        finer = resample(one, detail)
        for row, begin, end in zip(range(*tape.series[number : number + 2]), bar_series.open_time,
                                   bar_series.close_time, strict=True):  # fmt: skip
            inside = (finer.open_time >= begin) & (finer.close_time <= end)
            for name, values in tape.details.of_rows(slice(row, row + 1)).items():
                assert np.array_equal(values, getattr(finer, name)[inside]), name


def test_the_finer_bars_of_a_session_end_with_it():
    # 2024-07-03 closed at 13:00 in New York: one 4h bar of three and a half hours, three whole hours and a half one.
    tape = load_tape("synthetic", {"exchange": "XNYS", "bars": 4, "start": "2024-07-03"}, ["A"], "4h",
                     detail_timeframe="1h")  # fmt: skip
    assert tape.n_bars == 1
    assert tape.details.open_time.tolist() == [ns(f"2024-07-03T{hour}:30") for hour in (13, 14, 15, 16)]
    assert tape.details.close_time[-1] == ns("2024-07-03T17:00")


def test_files_may_hold_bars_that_are_finer_still(tmp_path):
    write_bars(tmp_path / "A.csv", 1, 600)
    tape = from_csv(tmp_path, "1h", "5m")
    assert (tape.n_bars, len(tape.details), tape.timeframes) == (10, 120, ("1h",))
    minutes = from_csv(tmp_path, None, None)
    assert tape.details.high[0] == minutes.high[:5].max()
    assert tape.high[0] == minutes.high[:60].max()


def test_a_catalogue_gives_the_longest_bars_that_serve(tmp_path):
    kept = Catalogue(tmp_path / "catalogue")
    for minutes in (1, 5, 15):
        write_bars(tmp_path / "A.csv", minutes, 600 // minutes)
        kept.add([(series_of(from_csv(tmp_path, None, None)), "A.csv")])
    for detail, closes in (("5m", 120), ("15m", 40), ("10m", 60)):
        tape = load_tape("catalogue", {"path": "catalogue"}, ["A"], "1h", detail_timeframe=detail, folder=tmp_path)
        assert len(tape.details) == closes


def test_frames_take_finer_bars_as_files_do(tmp_path):
    write_bars(tmp_path / "A.csv", 5, 240)
    frame = pl.read_csv(tmp_path / "A.csv", try_parse_dates=True)
    tape = tape_from_frames({"A": frame}, timeframe="1h", detail_timeframe="5m", stamp="open")
    assert tape.fingerprint == from_csv(tmp_path, "1h", "5m").fingerprint
    assert tape_from_frames(tape, detail_timeframe="5m") is tape


# --- determinism ------------------------------------------------------------------------------------------------------


def test_the_fingerprint_knows_the_finer_bars(tmp_path):
    write_bars(tmp_path / "A.csv", 5, 240)
    tape, again, coarser = (from_csv(tmp_path, "1h", detail) for detail in ("5m", "5m", "15m"))
    assert tape.fingerprint == again.fingerprint != coarser.fingerprint
    swapped = pl.read_csv(tmp_path / "A.csv")
    order = [0, *range(2, 11), 1, *range(11, 240)]  # bars inside the first hour change places, the hour stays as it is
    prices = swapped.select("open", "high", "low", "close", "volume")[order]
    swapped.with_columns(prices.get_columns()).write_csv(tmp_path / "A.csv")
    other = from_csv(tmp_path, "1h", "5m")
    assert all(np.array_equal(getattr(tape, name), getattr(other, name)) for name in BAR_COLUMNS)
    assert tape.fingerprint != other.fingerprint
    assert build_tape([resample(series_of(tape), "1h")]).fingerprint != tape.fingerprint


def series_of(tape):
    """Return the first series of a tape."""
    return BarSeries(tape.instruments[0], tape.timeframes[0],
                                    *(getattr(tape, name)[tape.rows(0)] for name in BAR_COLUMNS))  # fmt: skip


@pytest.fixture
def tape():
    """Two symbols of hours with finer bars of five minutes."""
    return load_tape("synthetic", {"bars": 600, "start": "2024-01-01"}, ["A", "B"], "1h", detail_timeframe="5m")


def test_a_truncated_tape_keeps_the_finer_bars_of_the_bars_it_keeps(tape):
    until = int(tape.close_time[20])
    short = tape.truncate(until)
    assert short.n_bars == 2 * 21
    assert len(short.details) == 12 * short.n_bars
    assert np.array_equal(short.details.close[:252], tape.details.close[:252])
    assert short.details.close_time.max() == until
    later = tape.only(tape.open_time >= until)
    assert np.array_equal(later.details.low[-12:], tape.details.low[-12:])
    assert later.details.open_time.min() == until
    assert tape.truncate(0).n_bars == len(tape.truncate(0).details) == 0


def test_other_bars_are_joined_anew_with_the_same_finer_ones(tape):
    higher = attrs.evolve(tape, high=tape.high + 1)
    assert np.array_equal(higher.joined["high"][: tape.n_bars], tape.high + 1)
    assert np.array_equal(higher.details.high, tape.details.high)


def test_a_tape_travels_with_one_copy_of_its_prices(tape):
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(tape, protocol=5, buffer_callback=buffers.append)
    held = sum(tape.joined[name].nbytes for name in ("detail", *DETAIL_COLUMNS))
    held += sum(getattr(tape, name).nbytes for name in ("series", "volume", *CLOCK_COLUMNS, *EVENT_COLUMNS))
    assert sum(buffer.raw().nbytes for buffer in buffers) == held
    there = pickle.loads(data, buffers=[bytes(buffer.raw()) for buffer in buffers])
    assert there.fingerprint == tape.fingerprint
    for name in DETAIL_COLUMNS:
        assert np.shares_memory(getattr(there, name), there.joined[name])
        assert np.shares_memory(getattr(there.details, name), there.joined[name])
        assert not there.joined[name].flags.writeable
    assert pickle.loads(pickle.dumps(tape)).close.flags.writeable is False


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeframe", "detail", "told"),
    [
        ("1h", "1h", ['detail_timeframe = "1h" with timeframe = "1h"', "finer than the bars", "a shorter"]),
        ("5m", "1h", ['detail_timeframe = "1h" with timeframe = "5m"', "finer than the bars"]),
        ("1h", "7m", ['detail_timeframe = "7m" with timeframe = "1h"', "it divides", "of which 1h"]),
        ("1w", "2d", ['detail_timeframe = "2d" with timeframe = "1w"', "it divides"]),
        (None, "5m", ['detail_timeframe = "5m" without a timeframe', 'such as timeframe = "1h"']),
        ("1h", "5x", ["timeframe '5x'", "a whole number and a unit"]),
    ],
)
def test_a_detail_timeframe_that_cannot_be_inside_is_refused(timeframe, detail, told):
    data: dict[str, Any] = {"source": "sample", "timeframe": timeframe, "detail_timeframe": detail}
    with pytest.raises(ConfigError) as one:
        config_from_dict({"data": data, "strategy": {"name": "x"}})
    with pytest.raises(ConfigError) as other:
        load_tape("sample", {}, ["AAPL"], timeframe, detail_timeframe=detail)
    assert str(one.value) == str(other.value)
    assert all(words in str(one.value) for words in told)


def test_files_of_longer_bars_are_refused(tmp_path):
    write_bars(tmp_path / "A.csv", 60, 48)
    with pytest.raises(DataError) as error:
        from_csv(tmp_path, "4h", "5m")
    assert 'A: detail_timeframe = "5m" asked of bars of 1h' in str(error.value)
    assert "mend: load bars of 5m, or leave detail_timeframe out" in str(error.value)


def test_finer_bars_that_are_not_a_multiple_of_those_in_the_files_are_refused(tmp_path):
    write_bars(tmp_path / "A.csv", 2, 300)
    with pytest.raises(DataError, match="timeframe 5m asked of bars of 2m; rule: it is a multiple"):
        from_csv(tmp_path, "1h", "5m")


def test_a_tape_that_is_made_already_gets_no_finer_bars():
    made = load_tape("synthetic", {"bars": 50}, ["A"], "1h")
    with pytest.raises(ConfigError, match='detail_timeframe = "5m" asked of a tape that is made already'):
        tape_from_frames(made, detail_timeframe="5m")


def test_bars_that_finer_ones_do_not_make_up_are_refused():
    hours = series_at(np.arange(4) * HOUR)
    halves = series_at(np.arange(8) * HOUR // 2, "30m", seed=1)
    with pytest.raises(DataError, match="A: bar 1 of 1h is not made up of the bars of 30m inside it"):
        build_tape([hours], finer=[halves])
    with pytest.raises(DataError, match="bar 4 of 1h is not made up"):
        build_tape([resample(halves, "1h")], finer=[series_at(np.arange(6) * HOUR // 2, "30m", seed=1)])


def test_the_key_in_the_wrong_section_is_told_where_it_belongs():
    with pytest.raises(ConfigError, match=r"\[fills\]: unknown key 'detail_timeframe'; it belongs in \[data\]"):
        config_from_dict({"data": {"source": "sample"}, "strategy": {"name": "x"}, "fills": {"detail_timeframe": "5m"}})


# --- a run ------------------------------------------------------------------------------------------------------------


class Bracketed(Strategy):
    """Enters at every chance, with a stop and a target near by."""

    name = "bracketed_of_this_test"

    @staticmethod
    def decide(now):
        if now.position.qty == 0:
            buy(now, qty=1, stop_offset=0.75, target_offset=0.75)


@pytest.fixture
def runs(tmp_path):
    """A run with finer bars and one without, of the same file."""
    write_bars(tmp_path / "A.csv", 5, 12 * 24 * 20)
    data = {"source": "csv", "path": str(tmp_path / "A.csv"), "symbols": ["A"], "stamp": "open", "timeframe": "1h"}
    with_finer = framework.backtest(data={**data, "detail_timeframe": "5m"}, strategy=Bracketed)
    frame = {"A": pl.read_csv(tmp_path / "A.csv", try_parse_dates=True)}
    bars = build_tape([resample(from_frame(frame["A"], "A", stamp="open"), "1h")])
    return with_finer, framework.backtest(data=bars, strategy=Bracketed)


def test_a_run_with_finer_bars_says_so_and_has_fewer_ambiguous_bars(runs, tmp_path):
    finer, plain = runs
    assert 0 < finer.counters.ambiguous_bars < plain.counters.ambiguous_bars / 3
    assert finer.fingerprint != plain.fingerprint
    assert len(finer.equity) == len(plain.equity)
    write_run(finer, tmp_path / "run", report=False)
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["config"]["data"]["detail_timeframe"] == "5m"
    assert (told["data"]["timeframes"], told["data"]["detail_timeframe"]) == (["1h"], "5m")
    assert told["data"]["detail_bars"] == 12 * told["data"]["bars"]
    assert len(told["data"]["series"][0]["details"]) == 64


def test_explain_tells_a_fill_inside_a_bar_with_its_time(runs, tmp_path):
    finer, _ = runs
    folder = tmp_path / "run"
    write_run(finer, folder, report=False)
    exit_ = next(row for row in finer.trades.iter_rows(named=True) if row["exit_time"].minute not in (0,))
    told = explain(folder, "A", exit_["exit_time"].strftime("%Y-%m-%d %H:%M"))
    assert told["is_faithful"]
    (slot,) = told["slots"]
    assert any(exit_["exit_time"].strftime("%H:%M") in fill["time"] and fill["phase"] == "range"
               for fill in slot["fills"])  # fmt: skip
