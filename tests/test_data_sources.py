"""The built-in sources, the tables they read, and every door of bad input."""

import builtins
import datetime
import gzip

import numpy as np
import polars as pl
import pytest
from bokeh_sampledata import stocks
from data_cases import DAY, HOUR, LAW, ns, series_at
from hypothesis import given
from hypothesis import strategies as st

from framework.data import DataSource, Request, from_frame, load_tape
from framework.data.sources.sample import adjust
from framework.data.tape import BAR_COLUMNS
from framework.errors import ConfigError, DataError

# --- sample -----------------------------------------------------------------------------------------------------------


def test_the_sample_has_real_adjusted_bars_on_the_sessions_of_new_york():
    tape = load_tape("sample", symbols=["IBM", "AAPL"])
    assert tape.symbols == ("IBM", "AAPL")
    assert tape.account_calendar == "XNYS"
    assert tape.timeframes == ("1d", "1d")
    apple = tape.rows(1)
    assert np.array_equal(tape.close[apple], np.array(stocks.AAPL["adj_close"], dtype=float))
    assert tape.account_day[apple].tolist() == np.array(stocks.AAPL["date"], dtype="datetime64[D]").astype(int).tolist()
    assert tape.open_time[apple][0] == ns("2000-03-01T14:30")
    instrument = tape.instruments[1]
    assert (instrument.is_adjusted, instrument.tick, instrument.lot, instrument.exchange) == (True, 0.0, 1.0, "XNYS")


def test_the_sample_knows_the_early_close_of_2000_07_03():
    tape = load_tape("sample", symbols=["IBM"])
    day = ns("2000-07-03") // DAY
    row = int(np.flatnonzero(tape.account_day == day)[0])
    assert tape.close_time[row] == ns("2000-07-03T17:00")  # 13:00 in New York


def test_money_traded_and_the_shape_of_bars_survive_adjustment():
    tape = load_tape("sample")
    assert tape.n_symbols == 5
    for index, symbol in enumerate(tape.symbols):
        raw, rows = getattr(stocks, symbol), tape.rows(index)
        money = np.array(raw["close"]) * np.array(raw["volume"], dtype=float)
        assert np.allclose(tape.close[rows] * tape.volume[rows], money, rtol=1e-12)
        for name in ("open", "high", "low"):
            raw_ratio = np.array(raw[name]) / np.array(raw["close"])
            assert np.allclose(getattr(tape, name)[rows] / tape.close[rows], raw_ratio, rtol=1e-12)


@LAW
@given(st.lists(st.tuples(st.floats(0.01, 1e4), st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 2)), min_size=1))
def test_adjusted_bars_are_valid_to_the_last_bit(rows):
    low, up, at, factor = (np.array(column) for column in zip(*rows, strict=True))
    high = low * (1 + up)
    close = np.clip(low + (high - low) * at, low, high)
    open_, new_high, new_low, new_close, volume = adjust(high, high, low, close, np.ones_like(low), close * factor)
    assert np.all((new_low <= open_) & (open_ <= new_high) & (new_low <= new_close) & (new_close <= new_high))
    assert np.allclose(volume * new_close, close, rtol=1e-12)


def test_the_sample_refuses_what_it_does_not_have():
    with pytest.raises(DataError, match=r"no symbol 'APPL'; did you mean 'AAPL'\?; there are: AAPL, FB"):
        load_tape("sample", symbols=["APPL"])
    with pytest.raises(DataError, match="its bars are daily"):
        load_tape("sample", timeframe="1h")
    with pytest.raises(ConfigError, match="unknown option 'path'"):
        load_tape("sample", {"path": "x"})


def test_without_its_package_the_sample_names_the_extra(monkeypatch):
    original = builtins.__import__

    def without_samples(name, *arguments, **keywords):
        if name.startswith("bokeh_sampledata"):
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_samples)
    with pytest.raises(DataError, match=r"trading-framework\[demo\]"):
        load_tape("sample")


# --- synthetic --------------------------------------------------------------------------------------------------------


def test_one_seed_gives_one_market_whatever_else_is_asked_for():
    alone = load_tape("synthetic", {"bars": 50, "seed": 7}, ["B"], "1h")
    among = load_tape("synthetic", {"bars": 80, "seed": 7}, ["A", "B"], "1h")
    for name in BAR_COLUMNS:
        assert np.array_equal(getattr(alone, name), getattr(among, name)[80:130])
    assert not np.array_equal(among.close[:50], among.close[80:130])
    assert not np.array_equal(load_tape("synthetic", {"bars": 50, "seed": 8}, ["B"], "1h").close, alone.close)


@LAW
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 5.0, 1000.0]), st.sampled_from([-50.0, 0.0, 50.0, 1e6]))
def test_synthetic_prices_are_always_valid(seed, volatility, drift):
    options = {"bars": 300, "seed": seed, "volatility": volatility, "drift": drift}
    assert load_tape("synthetic", options, ["A"], "1d").n_bars == 300


def test_synthetic_volatility_and_drift_are_those_asked_for():
    tape = load_tape("synthetic", {"bars": 35_000, "volatility": 1.5, "drift": 0.5, "start": "1990-01-01"}, ["A"], "1d")
    returns = np.diff(np.log(tape.close))
    assert np.std(returns) * np.sqrt(365.25) == pytest.approx(1.5, rel=0.02)
    # the log price drifts by 0.5 - 1.5**2 / 2 = -0.625 a year; over 95.8 years the standard error is 0.153
    assert np.mean(returns) * 365.25 == pytest.approx(-0.625, abs=0.46)


def test_a_market_without_noise_stays_valid_to_the_last_bit():
    tape = load_tape("synthetic", {"bars": 5_000, "volatility": 0.0, "drift": 0.37}, ["A"], "1h")
    assert np.all(tape.high == np.maximum(tape.open, tape.close))
    assert np.all(tape.low == np.minimum(tape.open, tape.close))


def test_synthetic_bars_of_tokyo_leave_the_lunch_break_out():
    # 9:00-11:30 and 12:30-15:00 in Tokyo are 0:00-2:30 and 3:30-6:00 UTC: 60 bars of five minutes a day.
    tape = load_tape("synthetic", {"bars": 61, "exchange": "XTKS", "start": "2024-03-08"}, ["A"], "5m")
    assert tape.open_time[[0, 29, 30, 59]].tolist() == [
        ns(f"2024-03-08T{clock}") for clock in ("00:00", "02:25", "03:30", "05:55")
    ]
    assert tape.open_time[60] == ns("2024-03-11T00:00")


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"bars": 0}, "bars = 0"),
        ({"bars": 1.5}, "bars = 1.5"),
        ({"bars": True}, "bars = True"),
        ({"seed": -1}, "seed = -1"),
        ({"volatility": -0.1}, "volatility = -0.1"),
        ({"price": 0}, "price = 0"),
        ({"volatility": float("nan")}, "volatility = nan"),
        ({"drift": "up"}, "drift = 'up'"),
        ({"start": "soon"}, "start = 'soon'"),
        ({"start": 2020}, "start = 2020"),
        ({"seeed": 1}, "unknown option 'seeed'; did you mean 'seed'"),
        ({"symbol": "A"}, "unknown option 'symbol'; did you mean 'symbols'"),
    ],
)
def test_options_of_the_synthetic_market_are_checked(options, rule):
    with pytest.raises(ConfigError, match=rule):
        load_tape("synthetic", options)


def test_an_exchange_that_is_seldom_open_gets_all_its_bars():
    tape = load_tape("synthetic", {"bars": 3_000, "exchange": "XNYS"}, ["A"], "1h")  # five years; three of hours
    assert tape.n_bars == 3_000


def test_a_synthetic_market_ends_before_the_calendar_does():
    with pytest.raises(DataError, match="do not fit before the end of the calendar"):
        load_tape("synthetic", {"bars": 40_000, "start": "2000-01-01"}, ["A"], "1d")


@pytest.mark.parametrize(
    "start", ["2024-03-08", datetime.date(2024, 3, 8), datetime.datetime(2024, 3, 8), "2024-03-08T01:00+01:00"]
)
def test_a_start_is_a_text_a_date_or_a_time(start):
    assert load_tape("synthetic", {"bars": 1, "start": start}).open_time[0] == ns("2024-03-08")


# --- files ------------------------------------------------------------------------------------------------------------

HEADER = "Datetime,Open,HIGH,low,Close,Volume\n"
ROWS = [
    "2024-01-01 00:00:00,10,12,9,11,100",
    "2024-01-01 01:00:00,11,13,10,12,200",
    "2024-01-01 02:00:00,12,14,11,13,300",
]
ONE_HOUR = {"stamp": "open"}


def write(folder, text, name="A.csv"):
    (folder / name).write_text(text)
    return folder


def load_text(folder, text, **options):
    write(folder, text)
    return load_tape("csv", {"path": "A.csv", **ONE_HOUR, **options}, folder=folder)


def test_a_csv_file_by_its_open_stamps(tmp_path):
    tape = load_text(tmp_path, HEADER + "\n".join(ROWS))
    assert tape.symbols == ("A",)
    assert tape.timeframes == ("1h",)
    assert tape.open_time.tolist() == [ns(f"2024-01-01T0{hour}:00") for hour in range(3)]
    assert tape.close_time.tolist() == [ns(f"2024-01-01T0{hour}:00") for hour in range(1, 4)]
    assert tape.close.tolist() == [11.0, 12.0, 13.0]
    assert tape.volume.tolist() == [100.0, 200.0, 300.0]


def test_the_same_file_by_its_close_stamps_lies_one_bar_earlier(tmp_path):
    tape = load_text(tmp_path, HEADER + "\n".join(ROWS), stamp="close")
    assert tape.close_time.tolist() == [ns(f"2024-01-01T0{hour}:00") for hour in range(3)]
    assert tape.open_time[0] == ns("2023-12-31T23:00")


def test_a_stamp_that_nothing_tells_is_refused_with_the_mend(tmp_path):
    write(tmp_path, HEADER + "\n".join(ROWS))
    with pytest.raises(DataError, match='mend: stamp = "open" or stamp = "close"'):
        load_tape("csv", {"path": "A.csv"}, folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "first_open"), [("open_time", "2024-01-01T00:00"), ("Close Time", "2023-12-31T23:00")]
)
def test_a_column_called_open_time_or_close_time_tells_the_stamp(tmp_path, name, first_open):
    write(tmp_path, HEADER.replace("Datetime", name) + "\n".join(ROWS))
    assert load_tape("csv", {"path": "A.csv"}, folder=tmp_path).open_time[0] == ns(first_open)
    other = {"open_time": "close", "Close Time": "open"}[name]
    with pytest.raises(ConfigError, match=f'stamp = "{other}", but the column'):
        load_tape("csv", {"path": "A.csv", "stamp": other}, folder=tmp_path)


def test_rows_of_ccxt_need_no_header_and_no_stamp(tmp_path):
    start = ns("2024-01-01") // 10**6
    write(tmp_path, "\n".join(f"{start + i * 3_600_000},10,12,9,11,{i}" for i in range(3)))
    tape = load_tape("csv", {"path": "A.csv"}, folder=tmp_path)
    assert tape.open_time[1] == ns("2024-01-01T01:00")
    assert tape.volume.tolist() == [0.0, 1.0, 2.0]
    write(tmp_path, f"{start},10,12,9\n")
    with pytest.raises(DataError, match="4 columns without a header"):
        load_tape("csv", {"path": "A.csv"}, folder=tmp_path)


@pytest.mark.parametrize("unit", [10**9, 10**6, 10**3, 1])
def test_counts_since_1970_show_their_unit_by_their_size(tmp_path, unit):
    lines = [f"{ns('2024-01-01') // unit + i * (HOUR // unit)},10,12,9,11,5" for i in range(3)]
    tape = load_text(tmp_path, HEADER + "\n".join(lines))
    assert tape.open_time.tolist() == [ns(f"2024-01-01T0{hour}:00") for hour in range(3)]


def test_counts_of_two_units_are_refused(tmp_path):
    frame = {
        "timestamp": [1_704_067_200, 1_704_070_800_000],
        **{name: [1.0, 1.0] for name in ("open", "high", "low", "close")},
        "volume": [1.0, 1.0],
    }
    with pytest.raises(DataError, match="are not times of one unit"):
        from_frame(frame, stamp="open")


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M:%S",
        "%Y/%m/%d %H:%M:%S",
        "%Y.%m.%d %H:%M",
        "%Y-%m-%d %H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S.000+00:00",
        "%Y%m%d %H:%M:%S",
    ],
)
def test_times_are_read_in_the_usual_forms(tmp_path, form):
    times = [datetime.datetime(2024, 1, 1, hour).strftime(form) for hour in range(3)]
    tape = load_text(tmp_path, HEADER + "\n".join(f"{time},10,12,9,11,5" for time in times))
    assert tape.open_time.tolist() == [ns(f"2024-01-01T0{hour}:00") for hour in range(3)]


def test_days_written_as_numbers_are_days(tmp_path):
    lines = [f"2024010{day},10,12,9,11,5" for day in (1, 2, 3)]
    tape = load_text(tmp_path, HEADER + "\n".join(lines))
    assert tape.open_time.tolist() == [ns(f"2024-01-0{day}") for day in (1, 2, 3)]
    frame = pl.read_csv(tmp_path / "A.csv")
    assert frame["Datetime"].dtype == pl.Int64
    frame.write_parquet(tmp_path / "A.parquet")
    again = load_tape("parquet", {"path": "A.parquet"}, folder=tmp_path)
    assert again.open_time.tolist() == tape.open_time.tolist()


def test_a_column_of_dates_names_days(tmp_path):
    lines = [f"2024-01-0{day},10,12,9,11,5" for day in (1, 2, 3)]
    write(tmp_path, HEADER + "\n".join(lines))
    pl.read_csv(tmp_path / "A.csv", try_parse_dates=True).write_parquet(tmp_path / "A.parquet")
    assert load_tape("parquet", {"path": "A.parquet"}, folder=tmp_path).open_time[0] == ns("2024-01-01")


def test_a_format_that_is_none_is_refused(tmp_path):
    with pytest.raises((ConfigError, DataError), match=r"time_format = '%Q'|the time can be read"):
        load_text(tmp_path, HEADER + "\n".join(ROWS), time_format="%Q")


def test_a_date_and_a_time_column_are_read_together(tmp_path):
    lines = [f"2024.01.01\t0{hour}:00\t10\t12\t9\t11\t5" for hour in range(3)]
    tape = load_text(tmp_path, "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\n" + "\n".join(lines))
    assert tape.open_time[2] == ns("2024-01-01T02:00")


def test_day_first_dates_need_a_format(tmp_path):
    lines = [f"0{day}/02/2024,10,12,9,11,5" for day in (1, 2, 3)]
    with pytest.raises(DataError, match=r"row 1: Datetime '01/02/2024'[\s\S]*time_format"):
        load_text(tmp_path, HEADER + "\n".join(lines))
    assert load_text(tmp_path, HEADER + "\n".join(lines), time_format="%d/%m/%Y").open_time[0] == ns("2024-02-01")


def test_a_bare_date_names_the_day_of_its_bar(tmp_path):
    lines = [f"2024-01-0{day},10,12,9,11,5" for day in (1, 2, 3)]
    write(tmp_path, HEADER + "\n".join(lines))
    tape = load_tape("csv", {"path": "A.csv"}, folder=tmp_path)
    assert (tape.open_time[0], tape.close_time[0]) == (ns("2024-01-01"), ns("2024-01-02"))


def test_compressed_files_and_other_separators_are_read(tmp_path):
    (tmp_path / "A.csv.gz").write_bytes(gzip.compress((HEADER + "\n".join(ROWS)).replace(",", ";").encode()))
    tape = load_tape("csv", {"path": "A.csv.gz", **ONE_HOUR}, folder=tmp_path)
    assert (tape.symbols, tape.n_bars) == (("A",), 3)


def test_a_folder_a_pattern_and_a_column_of_symbols_hold_several(tmp_path):
    for symbol in ("A", "B"):
        write(tmp_path, HEADER + "\n".join(ROWS), f"{symbol}.csv")
    folder = {"path": ".", **ONE_HOUR}
    assert load_tape("csv", folder, folder=tmp_path).symbols == ("A", "B")
    assert load_tape("csv", folder, ["B"], folder=tmp_path).symbols == ("B",)
    assert load_tape("csv", {"path": "{symbol}.csv", **ONE_HOUR}, ["B", "A"], folder=tmp_path).symbols == ("B", "A")
    lines = [f"{symbol},{row}" for row in ROWS for symbol in ("Y", "X")]
    write(tmp_path, "Ticker," + HEADER + "\n".join(lines), "all.csv")
    together = load_tape("csv", {"path": "all.csv", **ONE_HOUR}, folder=tmp_path)
    assert (together.symbols, together.n_bars) == (("Y", "X"), 6)
    with pytest.raises(DataError, match="no file for symbol 'C' in folder"):
        load_tape("csv", folder, ["C"], folder=tmp_path)
    with pytest.raises(DataError, match="no symbol 'x'; did you mean 'X'"):
        load_tape("csv", {"path": "all.csv", **ONE_HOUR}, ["x"], folder=tmp_path)
    with pytest.raises(DataError, match="needs symbols"):
        load_tape("csv", {"path": "{symbol}.csv", **ONE_HOUR}, folder=tmp_path)
    with pytest.raises(DataError, match="without a column of symbols"):
        load_tape("csv", {"path": "A.csv", **ONE_HOUR}, ["A", "B"], folder=tmp_path)
    with pytest.raises(DataError, match=r"no files \*\.parquet"):
        load_tape("parquet", {"path": "."}, folder=tmp_path)


def test_rows_of_a_shared_file_are_numbered_by_the_file(tmp_path):
    lines = [f"{symbol},{row}" for row in ROWS for symbol in ("Y", "X")]
    lines[3] = lines[3].replace(",13,", ",-13,")  # the second row of X, the fourth of the file
    write(tmp_path, "Ticker," + HEADER + "\n".join(lines), "all.csv")
    with pytest.raises(DataError, match=r"all\.csv, X: 1 of 3 rows refused[\s\S]*row 4: 2024-01-01 01:00:00Z"):
        load_tape("csv", {"path": "all.csv", **ONE_HOUR}, folder=tmp_path)


def test_parquet_keeps_its_types(tmp_path):
    frame = pl.DataFrame(
        {
            "time": [datetime.datetime(2024, 1, 1, hour) for hour in range(3)],
            "open": [10, 11, 12],
            "high": [12.0, 13.0, 14.0],
            "low": [9.0, 10.0, 11.0],
            "close": [11.0, 12.0, 13.0],
            "vol": [1, 2, 3],
        }
    )
    frame.write_parquet(tmp_path / "A.parquet")
    tape = load_tape("parquet", {"path": "A.parquet", **ONE_HOUR}, folder=tmp_path)
    assert tape.open.tolist() == [10.0, 11.0, 12.0]
    assert tape.close_time[2] == ns("2024-01-01T03:00")


@pytest.mark.parametrize(
    ("source", "content", "rule"),
    [
        ("csv", b"", "cannot be read as csv: empty"),
        ("csv", b"\x1f\x8b\x00nonsense", "cannot be read|no column for"),
        ("csv", bytes(range(256)), "cannot be read as csv|no column for"),
        ("csv", HEADER.encode(), "no rows"),
        ("csv", b"a,b\n1,2\n", "no column for time, open"),
        ("parquet", b"PAR1 nonsense PAR1", "cannot be read as parquet"),
        ("parquet", b"", "cannot be read as parquet"),
        ("csv", (HEADER + ROWS[0] + ",7,8").encode(), "cannot be read as csv"),
        ("csv", (HEADER + ROWS[0] + "\n2024-01-01 01:00:00,11").encode(), "finite"),
    ],
)
def test_files_that_are_no_tables_of_bars_are_refused(tmp_path, source, content, rule):
    (tmp_path / f"A.{source}").write_bytes(content)
    with pytest.raises(DataError, match=rule):
        load_tape(source, {"path": f"A.{source}", **ONE_HOUR}, timeframe="1h", folder=tmp_path)


def test_a_damaged_gzip_file_is_refused(tmp_path):
    (tmp_path / "A.csv.gz").write_bytes(gzip.compress((HEADER + "\n".join(ROWS)).encode())[:40])
    with pytest.raises(DataError, match="cannot be read as csv"):
        load_tape("csv", {"path": "A.csv.gz", **ONE_HOUR}, folder=tmp_path)


def test_a_missing_file_and_a_missing_path_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no file .*nowhere\.csv"):
        load_tape("csv", {"path": "nowhere.csv"}, folder=tmp_path)
    with pytest.raises(ConfigError, match="option 'path' is missing"):
        load_tape("csv", {})
    with pytest.raises(ConfigError, match="path = 5"):
        load_tape("csv", {"path": 5})


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"stamp": "opne"}, "stamp = 'opne'; did you mean 'open'"),
        ({"gaps": "skip"}, "gaps = 'skip'; rule: one of refuse"),
        ({"repair": "srot"}, "unknown repair 'srot'; did you mean 'sort'"),
        ({"repair": 5}, "repair = 5"),
        ({"repair": ["none", "sort"]}, '"none" stands alone'),
        ({"timezone": "Mars/Base"}, "unknown timezone 'Mars/Base'"),
        ({"columns": {"hihg": "x"}}, "did you mean 'high'"),
        ({"columns": {"high": "x"}}, "there is no such column"),
        ({"exchange": "XNYSE"}, "unknown exchange 'XNYSE'; did you mean 'XNYS'"),
        ({"time_format": 5}, "time_format = 5"),
        ({"timezon": "UTC"}, "unknown option 'timezon'; did you mean 'timezone'"),
    ],
)
def test_options_of_files_are_checked(tmp_path, options, rule):
    with pytest.raises(ConfigError, match=rule):
        load_text(tmp_path, HEADER + "\n".join(ROWS), **options)


def test_two_columns_of_one_meaning_are_refused_until_one_is_chosen(tmp_path):
    lines = [f"2024-01-01 0{hour}:00,10,12,9,11,5,6" for hour in range(3)]
    text = "time,open,high,low,close,volume,Vol\n" + "\n".join(lines)
    with pytest.raises(DataError, match="'volume', 'Vol' all mean volume"):
        load_text(tmp_path, text)
    assert load_text(tmp_path, text, columns={"volume": "Vol"}).volume[0] == 6.0


# --- the door of plug-ins ---------------------------------------------------------------------------------------------


class Constant(DataSource):
    """A source as a plug-in would bring it."""

    name = "constant"

    def load(self, request: Request):
        """Return the same three bars for each symbol."""
        return [series_at([0, HOUR, 2 * HOUR], symbol=symbol) for symbol in request.symbols]


def test_a_source_of_a_plugin_is_found_by_name():
    tape = load_tape("constant", symbols=["A"], sources={"constant": Constant})
    assert tape.n_bars == 3
    with pytest.raises(ConfigError, match=r"unknown data source 'constnat'; did you mean 'constant'"):
        load_tape("constnat", sources={"constant": Constant})


def test_what_a_run_sets_of_an_instrument_goes_before_what_the_source_says():
    tape = load_tape("synthetic", {"bars": 2}, ["A"], instruments={"A": {"tick": 0.01, "lot": 0.1}})
    assert (tape.instruments[0].tick, tape.instruments[0].lot) == (0.01, 0.1)
    with pytest.raises(ConfigError, match="unknown field 'tik'; did you mean 'tick'"):
        load_tape("synthetic", {"bars": 2}, ["A"], instruments={"A": {"tik": 0.01}})
    with pytest.raises(ConfigError, match=r"\[instruments\.B\]: no such symbol"):
        load_tape("synthetic", {"bars": 2}, ["A"], instruments={"B": {"tick": 0.01}})
