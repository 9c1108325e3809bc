"""The report: one file without network, nothing left out unsaid, small at any size; charts keep extremes."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.backtest import charts, tables
from framework.backtest.attribution import Share
from framework.backtest.charts import Frame, envelope
from framework.backtest.report import buy_and_hold_curve, in_words, report_html
from framework.backtest.result import Records
from tests.sample_result import START, sample_result

DAY_NS = 86_400_000_000_000


@pytest.fixture(scope="module")
def page():
    return report_html(sample_result())


class Balance(HTMLParser):
    """Fails on a tag that is closed out of order."""

    EMPTY = frozenset({"meta", "br", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def balanced(text: str) -> bool:
    parser = Balance()
    parser.feed(text)
    return not parser.open


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.split("</style>")[-1]))


def test_the_report_is_one_file_that_asks_for_nothing(page):
    assert page.startswith("<!DOCTYPE html>")
    assert "http" not in page
    assert not re.search(r"<script|<link|<img|@import|url\(", page)
    assert balanced(page)


def test_the_report_says_what_was_run(page):
    text = text_of(page)
    for part in (
        "ema_cross on AAPL, GOOG, IBM, MSFT",
        "2020-01-01 to 2022-09-27",
        "100,000 USD",
        "fast 12, slow 26",
        "5f70bf18a086",
        "taker_bps 5",
        "fixed (bps 2)",
        "portfolio_heat (max_heat 0.3)",
        "intrabar worst",
        "filled from the next bar's open",
        "252 days a year",
        "trading-framework 0.1.0",
    ):
        assert part in text.replace("&#x27;", "'"), part


def test_the_report_shows_every_statistic_and_the_grades(page):
    text = text_of(page).replace("&amp;", "&")
    for name in sample_result().stats:
        assert name in text, name
    for thresholds in ("1 / 2", "1.5 / 3", "20 / 10", "50 / 60", "1.5 / 2.5", "2 / 5"):
        assert thresholds in text


def test_the_report_has_every_section(page):
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "What was run",
        "Equity and drawdown",
        "Statistics",
        "Monthly returns",
        "Trades on price",
        "Where the closed P&amp;L came from",
        "Trades",
        "Open at the end",
        "Refusals by rule",
        "Provenance",
    ]


def test_equal_runs_give_equal_reports(page):
    assert report_html(sample_result()) == page


def test_trades_left_out_are_counted_and_the_totals_are_of_all():
    run = sample_result(("A", "B"), bars=1_000, per_slot=150)
    page = text_of(report_html(run))
    assert "The first 200 of 300 trades; 100 are left out here and are in trades.parquet" in page
    assert tables.money(float(run.records.trades["pnl"].sum())).lstrip("−") in page


def test_markers_left_out_are_counted():
    page = text_of(report_html(sample_result(("A",), bars=2_000, per_slot=900)))
    assert "900 trades" in page
    assert "400 of them drawn, evenly chosen" in page


def test_symbols_left_out_are_counted():
    run = sample_result(tuple(f"S{i}" for i in range(30)), bars=60, per_slot=3)
    page = text_of(report_html(run))
    assert "The 12 symbols with the most trades are drawn; 18 symbols with 54 trades are not" in page
    assert re.search(r"6 between", page)


def test_a_long_attribution_is_shortened_and_its_total_is_of_all():
    shares = [Share(f"S{i}", 2, 1, 10.0 * i, -5.0, 10.0 * i - 5.0, 1.0, 0.0) for i in range(40)]
    text = text_of(tables.share_table("symbol", shares))
    # the 12 best and the 12 worst of 40; S12 to S27 between: sum of 10 i - 5 is 10 * 312 - 80 = 3,040
    assert "16 between 32 50.00% +3,040.00" in text
    # all: 10 * 780 - 200 = 7,600
    assert "Total 80 50.00% +7,600.00 7,800.00 −200.00" in text


def test_hostile_names_are_escaped():
    evil = "<script>alert(1)</script>"
    page = report_html(
        sample_result(
            (evil, "B"),
            bars=60,
            per_slot=3,
            notes=[evil],
            data={evil: evil},
            rule_names=(evil,),
            slots=[(evil, evil), (evil, "B")],
            config={"fees": {"a": evil}},
        )
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert balanced(page)


def test_a_run_without_anything_still_has_a_report():
    page = report_html(sample_result(("A",), bars=20, per_slot=1, records=Records(), config={}))
    text = text_of(page)
    for part in ("never marked", "No trade was closed", "No order was refused", "n/a"):
        assert part in text, part
    assert balanced(page)
    assert not re.search(r"\b(nan|inf)\b", text)


def test_a_run_without_prices_has_no_price_charts():
    page = report_html(sample_result(bars=60, per_slot=3, prices=None))
    assert "Trades on price" not in page
    assert "Buy and hold, equal weights" not in page


def test_a_million_bars_make_a_small_report():
    run = sample_result(("BTCUSDT",), bars=1_000_000, per_slot=5_000, bar_ns=60_000_000_000)
    assert len(report_html(run)) < 1_000_000


def test_refusals_are_counted_by_rule():
    run = sample_result(bars=300, per_slot=20)
    text = text_of(tables.refusals_section(run))
    for name in ("portfolio_heat", "no_buying_power"):
        count = len(run.refusals.filter(run.refusals["rule"] == name))
        assert re.search(rf"{name}\s+(rule|core)\s+({count} 0|0 {count})", text), (name, text)


def test_buy_and_hold_starts_at_the_capital_and_ends_at_its_return():
    run = sample_result(bars=300, per_slot=5)
    curve = buy_and_hold_curve(run, run.records.marks["time"])
    assert curve[0] == pytest.approx(run.capital)
    assert curve[-1] == pytest.approx(run.capital * (1.0 + run.buy_and_hold))


# --- charts -----------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 50))
def test_an_envelope_keeps_every_extreme_and_few_points(values, columns):
    value = np.array(values)
    time = np.arange(len(value), dtype=np.int64) * 7
    line = envelope(time, value, value, 0, int(time[-1]), columns)
    assert line.value.min() == value.min()
    assert line.value.max() == value.max()
    assert len(line.time) <= 2 * columns + 2
    assert np.all(np.diff(line.time) >= 0)


def test_each_column_of_an_envelope_has_the_extremes_of_its_bars():
    # ten columns of a thousand bars each, lows below highs
    rng = np.random.default_rng(5)
    time, low = np.arange(10_000, dtype=np.int64), rng.normal(0.0, 1.0, 10_000)
    line = envelope(time, low, low + 0.5, 0, 10_000, columns=10)
    pairs = np.sort(line.value.reshape(-1, 2), axis=1)
    assert pairs[:, 0].tolist() == low.reshape(10, 1_000).min(axis=1).tolist()
    assert pairs[:, 1].tolist() == (low + 0.5).reshape(10, 1_000).max(axis=1).tolist()
    assert line.time.tolist() == np.repeat(time[::1_000], 2).tolist()


def test_an_envelope_of_few_points_is_the_points():
    time, value = np.array([1, 2, 3]), np.array([5.0, 6.0, 5.5])
    line = envelope(time, value, value, 0, 4)
    assert (line.time.tolist(), line.value.tolist()) == ([1, 2, 3], [5.0, 6.0, 5.5])


def test_an_envelope_leaves_out_what_is_not_finite_and_outside():
    time, value = np.array([1, 2, 3, 9]), np.array([1.0, math.nan, 3.0, 4.0])
    assert envelope(time, value, value, 0, 5).value.tolist() == [1.0, 3.0]
    assert len(envelope(time, value, value, 20, 30).time) == 0


def test_a_frame_maps_its_corners():
    frame = Frame(100, 200, -1.0, 3.0)
    assert frame.x(np.array([100, 200])).tolist() == [0.0, charts.COLUMNS]
    assert frame.y(np.array([3.0, -1.0])).tolist() == [0.0, charts.ROWS]


def test_a_flat_line_still_has_a_frame():
    frame = Frame.around(0, 0, np.array([5.0, 5.0]))
    assert frame.top > 5.0 > frame.bottom
    assert frame.end > frame.start


def test_value_ticks_are_round_and_inside():
    assert charts.value_ticks(96.0, 147.0) == [100.0, 120.0, 140.0]
    assert charts.value_ticks(-0.063, 0.0) == [-0.06, -0.04, -0.02, 0.0]
    assert charts.value_ticks(1.0, 1.0) == []


def test_number_labels_are_short_and_tell_neighbours_apart():
    assert charts.number_label(100_000.0, 20_000.0) == "100k"
    assert charts.number_label(100_500.0, 500.0) == "100.5k"
    assert charts.number_label(-2_500_000.0, 500_000.0) == "−2.5M"
    assert charts.number_label(0.25, 0.05) == "0.25"
    assert charts.number_label(0.0, 20_000.0) == "0"
    assert charts.number_label(3.2e13, 1e13) == "3.2e+13"


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("start", "end", "labels"),
    [
        (at(2015, 3, 1), at(2020, 3, 1), ["2016", "2017", "2018", "2019", "2020"]),
        (at(2020, 1, 1), at(2020, 12, 31), ["Jan 2020", "Mar 2020", "May 2020", "Jul 2020", "Sep 2020", "Nov 2020"]),
        (at(2020, 1, 1), at(2020, 1, 7), ["1 Jan", "2 Jan", "3 Jan", "4 Jan", "5 Jan", "6 Jan", "7 Jan"]),
        (
            at(2020, 1, 1, 9),
            at(2020, 1, 1, 14),
            ["1 Jan 09:00", "1 Jan 10:00", "1 Jan 11:00", "1 Jan 12:00", "1 Jan 13:00", "1 Jan 14:00"],
        ),
    ],
)
def test_time_ticks_stand_on_round_times(start, end, labels):
    assert [label for _, label in charts.time_ticks(start, end)] == labels


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(START, START + 40 * 365 * DAY_NS), st.integers(1, 60 * 365 * DAY_NS))
def test_time_ticks_are_few_and_inside(start, length):
    ticks = charts.time_ticks(start, start + length)
    assert len(ticks) <= 9
    assert all(start - 1_000 <= time <= start + length for time, _ in ticks)


# --- words ------------------------------------------------------------------------------------------------------------


def test_configured_values_read_as_words():
    assert in_words([{"name": "heat", "params": {"max_heat": 0.3}}, {"name": "loss"}]) == "heat (max_heat 0.3); loss"
    assert in_words({"shorts": True, "leverage": 1.0, "limit": None, "capital": 100000}) == (
        "shorts yes, leverage 1, capital 100,000"
    )
    assert in_words(None) == ""


def test_prices_keep_the_digits_that_matter():
    assert tables.price(12_345.678) == "12,345.68"
    assert tables.price(0.0000123456) == "0.0000123456"
    assert tables.price(1.5) == "1.50"
    assert tables.price(99.87654321) == "99.8765"
    assert tables.price(250.0) == "250"
    assert tables.price(None) == "n/a"
    assert tables.price(math.nan) == "n/a"


def test_money_and_percentages_are_signed_where_asked():
    assert tables.money(-1234.5) == "−1,234.50"
    assert tables.money(12.0, signed=True) == '<span class="gain">+12.00</span>'
    assert tables.money(-0.001, signed=True) == "0.00"
    assert tables.percent(-0.0123, signed=True) == "−1.23%"
    assert tables.percent(None) == "n/a"


def test_the_figure_for_notebooks_has_equity_drawdown_and_trades():
    pytest.importorskip("plotly")
    figure = sample_result(bars=200, per_slot=5).plot()
    assert [trace.name for trace in figure.data[:2]] == ["Equity", "Drawdown"]
    assert {"AAPL", "entry", "exit"} <= {trace.name for trace in figure.data}
