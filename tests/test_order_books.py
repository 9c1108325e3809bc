"""Order books beside bars: read, checked, kept, cut and asked like the bars themselves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import framework
from framework import ConfigError, DataError, Instrument, Tape
from framework.data import BarSeries, Catalogue, build_tape, from_frame, load_tape, resample, tape_from_frames
from framework.data.book import BOOK_FIELDS, book_faults
from framework.indicators import (
    Bars,
    Expression,
    Ohlcv,
    Stream,
    evaluate,
    first_ready,
    imbalance,
    microprice,
    order_flow_imbalance,
    spread_bps,
)
from framework.testing import synthetic_market
from framework.testing.columns import ColumnChecks, depth_of
from framework.testing.markets import change_future

HOUR = 3_600_000_000_000
BARS = Bars()
FLOW = order_flow_imbalance(BARS.bid(), BARS.bid_size(), BARS.ask(), BARS.ask_size(), 2)


def rows(count: int = 3, **columns: list[float | None]) -> dict[str, Any]:
    """Return a table of hourly bars at 100 with a book of two levels, some columns of it replaced."""
    times = [f"2024-01-01 {hour:02d}:00" for hour in range(count)]
    book: dict[str, Any] = {"bid_1": [99.0] * count, "bid_size_1": [5.0] * count, "ask_1": [101.0] * count,
                            "ask_size_1": [4.0] * count, "bid_2": [98.0] * count, "bid_size_2": [7.0] * count,
                            "ask_2": [103.0] * count, "ask_size_2": [6.0] * count}
    prices = {name: [100.0] * count for name in ("open", "high", "low", "close", "volume")}
    return {"open_time": times, **prices, **book, **columns}


@pytest.fixture
def tape() -> Tape:
    """Two symbols with three levels."""
    return synthetic_market(120, ("AAA", "BBB"), "1h", levels=3)


def test_a_file_brings_its_book(tmp_path: Path) -> None:
    """CSV and Parquet, in any letter case; an empty cell is no level, an empty row is nothing known."""
    table = pl.DataFrame(rows(bid_2=[98.0, None, None], bid_size_2=[7.0, None, None], bid_1=[99.0, 99.0, None],
                              bid_size_1=[5.0, 5.0, None], ask_1=[101.0, 101.0, None], ask_size_1=[4.0, 4.0, None],
                              ask_2=[103.0, 103.0, None], ask_size_2=[6.0, 6.0, None]))
    table.write_csv(tmp_path / "A.csv")
    table.rename({"bid_1": "Bid 1", "ask_size_2": "ASK-SIZE-2"}).write_parquet(tmp_path / "A.parquet")
    for name in ("csv", "parquet"):
        read = load_tape(name, {"path": f"A.{name}"}, folder=tmp_path)
        assert np.array_equal(read.book["bid_1"], [99.0, 99.0, np.nan], equal_nan=True)
        assert np.array_equal(read.book["bid_size_2"], [7.0, 0.0, np.nan], equal_nan=True)
        assert np.array_equal(evaluate(BARS.bid_depth(2), read, 0), [12.0, 5.0, np.nan], equal_nan=True)
    mapped = table.rename({"bid_1": "best"})
    assert from_frame(mapped, columns={"bid_1": "best"}).book["bid_1"][0] == 99.0
    with pytest.raises(DataError, match="an order book without bid_1"):
        from_frame(mapped)


@pytest.mark.parametrize(("columns", "rule"), [
    ({"bid_1": [99.0, 101.0, 99.0]}, "the best bid is below the best ask"),
    ({"bid_1": [99.0, 102.0, 99.0]}, "the best bid is below the best ask"),
    ({"bid_2": [98.0, 99.0, 98.0]}, "bids fall and asks rise"),
    ({"ask_2": [103.0, 100.5, 103.0]}, "bids fall and asks rise"),
    ({"bid_size_1": [5.0, -1.0, 5.0]}, "finite and not negative"),
    ({"ask_1": [101.0, float("inf"), 101.0]}, "finite and not negative"),
    ({"bid_2": [98.0, 0.0, 98.0]}, "above zero"),
    ({"bid_size_1": [5.0, 0.0, 5.0]}, "a price and a size above zero, or neither"),
    ({"bid_2": [98.0, None, 98.0]}, "a price and a size above zero, or neither"),
    ({"bid_1": [99.0, None, 99.0], "bid_size_1": [5.0, None, 5.0]}, "without a hole"),
])
def test_a_book_that_cannot_be_is_refused_or_left_out(columns: dict[str, Any], rule: str) -> None:
    """With row, values and mend; with repair = "book" its bar stays, and the count says so."""
    with pytest.raises(DataError, match=f"(?s)1 of 3 rows refused; rule: .*{rule}.*row 2: .*bid_1.*repair = \"book\""):
        from_frame(rows(**columns))
    mended = from_frame(rows(**columns), repair="book")
    assert len(mended) == 3
    assert mended.report.books == 1
    assert "books 1" in str(mended.report)
    assert all(np.isnan(column[1]) and not np.isnan(column[0]) for column in mended.book.values())
    raw = from_frame(rows()).book | {name: np.array(column, float) for name, column in columns.items()}
    with pytest.raises(DataError, match=rule):
        build_tape([BarSeries(mended.instrument, "1h", mended.open_time, mended.close_time, *mended.columns.values(),
                              book=raw)])


@pytest.mark.parametrize(("missing", "told"), [
    (["ask_2", "ask_size_2"], "without ask_2, ask_size_2"), (["bid_1"], "without bid_1"),
    (["bid_size_2"], "without bid_size_2"), (["bid_1", "ask_1", "bid_size_1", "ask_size_1"], "without bid_1, ask_1"),
])
def test_columns_that_make_no_book_are_refused(missing: list[str], told: str) -> None:
    """Each level from the first on needs both sides, and sizes of all or of none."""
    table = {name: column for name, column in rows().items() if name not in missing}
    with pytest.raises(DataError, match=told):
        from_frame(table)


def test_quotes_without_sizes_are_a_book() -> None:
    """The spread of 99 and 101 is 200 basis points of 100; sizes are refused by name."""
    table = {name: column for name, column in rows().items() if "size" not in name}
    quoted = tape_from_frames(table)
    assert evaluate(spread_bps(BARS.bid(), BARS.ask()), quoted, 0).tolist() == [200.0] * 3
    with pytest.raises(DataError, match="reads bid_size_1 of ASSET"):
        evaluate(BARS.bid_size(), quoted, 0)


def test_a_hand_worked_book() -> None:
    """Sizes 5 and 4 at 99 and 101: the microprice is (99 * 4 + 101 * 5) / 9; depths 12 and 10: 2 / 22."""
    made = tape_from_frames(rows())
    best = microprice(BARS.bid(), BARS.bid_size(), BARS.ask(), BARS.ask_size())
    assert evaluate(best, made, 0).tolist() == pytest.approx([901.0 / 9.0] * 3)
    leaning = evaluate(imbalance(BARS.bid_depth(2), BARS.ask_depth(2)), made, 0)
    assert leaning.tolist() == pytest.approx([1.0 / 11.0] * 3)


def test_order_flow_imbalance_of_the_paper_by_hand() -> None:
    """Bid 99 with 5: 99 with 8 (+3), 99.5 with 2 (+2), 99 with 6 (-2). Ask 101 with 4: 101 with 1 (-3, so +3),
    102 with 7 (the 1 is gone: +1), 101.5 with 9 (9 came: -9). Changes 6, 3, -11; of two: 9, -8.
    """
    made = tape_from_frames(rows(4, bid_1=[99.0, 99.0, 99.5, 99.0], bid_size_1=[5.0, 8.0, 2.0, 6.0],
                                 ask_1=[101.0, 101.0, 102.0, 101.5], ask_size_1=[4.0, 1.0, 7.0, 9.0]))
    column = evaluate(FLOW, made, 0)
    assert np.array_equal(column, [np.nan, np.nan, 9.0, -8.0], equal_nan=True)
    assert first_ready(FLOW, made, 0) == 2


def test_a_tape_without_a_book_refuses_what_reads_one_and_holds_nothing_for_it(tape: Tape) -> None:
    """By symbol and column; one symbol without a book among others counts too, where it is asked."""
    plain = synthetic_market(120, ("AAA",), "1h")
    assert plain.book == {}
    with pytest.raises(DataError, match="reads bid_size_2 of AAA.*no order book"):
        evaluate(BARS.bid_size(2), plain, 0)
    with pytest.raises(DataError, match="reads ask_4 of AAA, BBB.*3 levels"):
        evaluate(BARS.ask(4), tape, None)
    bare = {name: column for name, column in rows().items() if name not in BOOK_FIELDS}
    mixed = build_tape([from_frame(rows(), "A"), from_frame(bare, "B")])
    assert evaluate(BARS.bid(), mixed, 0).tolist() == [99.0] * 3
    with pytest.raises(DataError, match="of B"):
        evaluate(BARS.bid(), mixed, None)
    with pytest.raises(ConfigError, match="whole numbers from 1, the best, to 10"):
        BARS.bid(0)
    with pytest.raises(ConfigError, match="whole numbers from 1"):
        BARS.bid_depth(11)


def test_the_book_is_part_of_the_fingerprint_and_of_what_is_cut(tape: Tape) -> None:
    """One size changed is other data; a cut tape has the beginning of the book."""
    sizes = tape.book["bid_size_1"].copy()
    sizes[-1] += 1.0
    other = attrs.evolve(tape, book={**tape.book, "bid_size_1": sizes})
    assert other.fingerprint != tape.fingerprint
    assert attrs.evolve(tape, book=dict(tape.book)).fingerprint == tape.fingerprint
    short = tape.truncate(int(tape.close_time[60]))
    kept = short.rows(1)
    assert np.array_equal(short.book["ask_2"][kept], tape.book["ask_2"][tape.rows(1)][: kept.stop - kept.start])
    assert short.book["ask_2"].flags.writeable is False
    assert tape.bars("BBB")["bid_1"].to_list() == tape.book_of(1)["bid_1"].tolist()


def test_a_longer_bar_has_the_book_of_its_last_bar(tape: Tape) -> None:
    """Of four hours the last one's, seen when they are over; a resampled series has the same."""
    column = evaluate(BARS.timeframe("4h").bid_size(), tape, 0)
    own = tape.book_of(0)["bid_size_1"]
    assert column[3] == own[3]
    assert column[6] == own[3]
    assert column[7] == own[7]
    of = tape.rows(0)
    series = BarSeries(Instrument("AAA"), "1h", tape.open_time[of], tape.close_time[of],
                       *(getattr(tape, name)[of] for name in ("open", "high", "low", "close", "volume")),
                       book=tape.book_of(0))
    assert resample(series, "4h").book["bid_size_1"].tolist() == own[3::4].tolist()


def test_filled_gaps_know_nothing_of_the_book_and_a_catalogue_keeps_it(tmp_path: Path) -> None:
    """The missing third hour has a bar and no book."""
    table = {name: [*column[:2], column[3]] for name, column in rows(4).items()}
    series = from_frame(table, "A", gaps="fill")
    assert np.array_equal(series.book["ask_1"], [101.0, 101.0, np.nan, 101.0], equal_nan=True)
    kept = Catalogue(tmp_path / "catalogue")
    (entry,) = kept.add([(series, "here")])
    read = kept.read(entry)
    assert all(np.array_equal(read.book[name], column, equal_nan=True) for name, column in series.book.items())


@pytest.mark.parametrize("expression", [FLOW, imbalance(BARS.bid_depth(3), BARS.ask_depth(3)),
                                        spread_bps(BARS.timeframe("4h").bid(), BARS.timeframe("4h").ask())], ids=repr)
def test_columns_of_the_book_are_causal_and_equal_one_bar_at_a_time(tape: Tape, expression: Expression) -> None:
    """By the conformance kit, whose other future has another book."""
    checks = ColumnChecks({"it": expression}, {"a market": tape})
    checks.causal()
    checks.incremental()
    assert depth_of([expression]) in (1, 3)
    cut = int(tape.close_time[50])
    assert not np.array_equal(evaluate(expression, change_future(tape, cut), 0), evaluate(expression, tape, 0),
                              equal_nan=True)


def test_a_live_bar_carries_the_book_under_the_same_names() -> None:
    """And one without it is refused by the name that is missing."""
    stream = Stream([imbalance(BARS.bid_size(), BARS.ask_size())])
    bar = SimpleNamespace(open=1.0, high=1.0, low=1.0, close=1.0, volume=1.0, bid_size_1=3.0, ask_size_1=1.0)
    assert stream.push(bar) == (0.5,)
    with pytest.raises(ConfigError, match="a pushed bar has no bid_size_1"):
        stream.push(Ohlcv(1.0, 1.0, 1.0, 1.0))


@given(st.integers(1, 10), st.integers(0, 2**20), st.floats(0.0, 1.0))
def test_a_synthetic_book_is_a_book_and_leaves_the_bars_as_they_are(levels: int, seed: int, signal: float) -> None:
    """No rule is broken, fewer bars have the beginning of the book of more, and the bars are those without a book."""
    options = {"bars": 40, "seed": seed, "levels": levels, "book_signal": signal}
    made, shorter = (load_tape("synthetic", {**options, "bars": bars}) for bars in (40, 25))
    assert not any(fault.mask.any() for fault in book_faults(made.book))
    assert len(made.book) == 4 * levels
    assert all(np.array_equal(column[:25], shorter.book[name]) for name, column in made.book.items())
    plain = load_tape("synthetic", {"bars": 40, "seed": seed})
    assert np.array_equal(plain.close, made.close)
    assert np.array_equal(plain.volume, made.volume)


def test_the_synthetic_book_tells_as_much_of_the_next_move_as_is_asked() -> None:
    """The correlation of the imbalance with the next log return is near the signal, and near zero without one."""
    def correlation(signal: float) -> float:
        made = load_tape("synthetic", {"bars": 4_000, "levels": 5, "book_signal": signal}, timeframe="1h")
        leaning = evaluate(imbalance(BARS.bid_depth(5), BARS.ask_depth(5)), made, 0)
        return float(np.corrcoef(np.arctanh(leaning[:-1]), np.diff(np.log(made.close)))[0, 1])

    assert correlation(0.0) == pytest.approx(0.0, abs=0.05)
    assert correlation(0.5) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("options", [{"levels": 11}, {"levels": -1}, {"book_signal": 1.5}, {"spread_bps": 0.0}])
def test_a_synthetic_book_out_of_bounds_is_refused(options: dict[str, Any]) -> None:
    """By the rule of the option."""
    with pytest.raises(ConfigError, match=next(iter(options))):
        load_tape("synthetic", options)


def test_the_engine_is_handed_nothing_of_a_book(tape: Tape) -> None:
    """The same bars with and without a book give the same run, and a strategy that reads none pays nothing for it."""
    bare = attrs.evolve(tape, book={}, booked=())
    with_book, without = (framework.backtest(data=data, strategy="ma_cross", params={"fast": 3, "slow": 8})
                          for data in (tape, bare))
    assert with_book.fills.equals(without.fills)
    assert repr(with_book.stats) == repr(without.stats)
