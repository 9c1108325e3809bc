"""Tables in memory: every kind gives the same bars, and what is no table is refused."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from data_cases import ns

from framework.data import build_tape, from_frame, tape_from_frames
from framework.data.tape import BAR_COLUMNS
from framework.errors import DataError

TIMES = [datetime.datetime(2024, 1, 1, hour) for hour in range(3)]
VALUES = {
    "Open": [10.0, 11.0, 12.0],
    "High": [12.0, 13.0, 14.0],
    "Low": [9.0, 10.0, 11.0],
    "Close": [11.0, 12.0, 13.0],
    "Volume": [1, 2, 3],
}
MILLIS = [ns("2024-01-01") // 10**6 + hour * 3_600_000 for hour in range(3)]


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame(VALUES, index=pd.DatetimeIndex(TIMES)),
        pd.DataFrame(VALUES, index=pd.DatetimeIndex(TIMES, tz="UTC").tz_convert("Asia/Tokyo")),
        pd.DataFrame(VALUES, index=pd.PeriodIndex(TIMES, freq="h")),
        pd.DataFrame({"Date": TIMES, **VALUES}),
        pd.DataFrame({"Date": [str(t) for t in TIMES], **VALUES}),
        pd.DataFrame({"Date": pd.Series(TIMES, dtype=object), **VALUES}),
        pd.DataFrame({"ts": MILLIS, **VALUES, "Volume": pd.array([1, 2, 3], dtype="Int64")}),
        pl.DataFrame({"Date": TIMES, **VALUES}),
        pl.LazyFrame({"Date": TIMES, **VALUES}),
        pa.table({"Date": TIMES, **VALUES}),
        {"Date": TIMES, **VALUES},
        {
            "time": np.array(TIMES, dtype="datetime64[s]"),
            **{name: np.array(v, dtype=float) for name, v in VALUES.items()},
        },
        [[t, *row] for t, row in zip(MILLIS, zip(*VALUES.values(), strict=True), strict=True)],
        np.array([[t, *row] for t, row in zip(MILLIS, zip(*VALUES.values(), strict=True), strict=True)]),
    ],
    ids=[
        "index",
        "zoned",
        "period",
        "column",
        "text",
        "objects",
        "nullable",
        "polars",
        "lazy",
        "arrow",
        "dict",
        "arrays",
        "rows",
        "matrix",
    ],
)
def test_every_kind_of_table_gives_the_same_bars(data):
    expected = from_frame({"Date": TIMES, **VALUES}, stamp="open")
    for tape in (
        build_tape([from_frame(data, stamp="open")]),
        tape_from_frames(data, stamp="open"),
        tape_from_frames({"ASSET": data}, stamp="open"),
    ):
        assert tape.symbols == ("ASSET",)
        for name in BAR_COLUMNS:
            assert np.array_equal(getattr(tape, name), getattr(expected, name)), name


def test_tables_by_symbol_make_one_tape():
    frame = pl.DataFrame({"Date": TIMES, **VALUES})
    tape = tape_from_frames({"A": frame, "B": frame}, ["B"], stamp="open", instruments={"B": {"tick": 0.5}})
    assert (tape.symbols, tape.instruments[0].tick) == (("B",), 0.5)
    assert tape_from_frames(tape) is tape
    series = from_frame(frame, "C", stamp="open")
    assert tape_from_frames(series).symbols == tape_from_frames([series]).symbols == ("C",)
    with pytest.raises(DataError, match="no table for D; there are: A, B"):
        tape_from_frames({"A": frame, "B": frame}, ["D"], stamp="open")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (5, "cannot read bars from int"),
        ("bars", "cannot read bars from str"),
        ([], "no rows"),
        ({}, "no column for time"),
        ([[1, 2]], r"rows of \[2\] values"),
        ({"time": TIMES, "open": [1.0]}, "columns of different lengths"),
        (pl.DataFrame({"Date": TIMES, **VALUES}).clear(), "no rows"),
        (pd.DataFrame(VALUES, index=pd.MultiIndex.from_product([["a"], TIMES])), "several levels"),
        (pl.DataFrame({"Date": [True, False, True], **VALUES}), "times of type Boolean"),
        ({"Date": [None, None, None], **VALUES}, "times of type|the time can be read"),
        (pl.DataFrame({"Date": TIMES, **VALUES}).with_columns(Open=pl.lit([1.0])), "column 'Open' is of type List"),
        (pl.DataFrame({"Date": TIMES, **VALUES, "symbol": ["A", None, "A"]}), "1 rows of 3 without a symbol"),
    ],
)
def test_what_is_no_table_of_bars_is_refused(data, rule):
    with pytest.raises(DataError, match=rule):
        tape_from_frames(data, stamp="open")
