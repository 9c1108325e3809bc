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

from framework.backtest import charts, judgement, listings, tables
from framework.backtest.attribution import Share
from framework.backtest.charts import Frame, envelope
from framework.backtest.intervals import Interval
from framework.backtest.report import in_words, report_html
from framework.backtest.result import Records, Regimes
from framework.backtest.tax import TAX_DEFAULTS, Tax
from framework.model.records import DAY, FILL, MARK, TRADE
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
    rows = re.findall(r"<tr>(.*?)</tr>", page.split("How good, and how sure")[1].split("</section>")[0])
    cells = [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row)] for row in rows[1:]]
    assert [(row[0], *row[4:]) for row in cells[2:]] == [
        ("Sharpe Ratio", "1", "2"), ("Sortino Ratio", "1.5", "3"), ("Max. Drawdown [%]", "20", "10"),
        ("Win Rate [%]", "50", "60"), ("Profit Factor", "1.5", "2.5"), ("Recovery Factor", "2", "5")]
    assert [bool(row[2]) for row in cells] == [True, True, True, False, True, False, False, False]


def test_the_report_has_every_section(page):
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "Equity, drawdown and exposure",
        "How good, and how sure",
        "What was run",
        "Statistics",
        "Monthly returns",
        "Drawdowns",
        "Distributions",
        "Trades on price",
        "Excursions",
        "Where the closed P&amp;L came from",
        "Costs",
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
    assert "400 of them drawn: the best, the worst and others evenly chosen" in page


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
    text = text_of(listings.refusals_section(run))
    for name in ("portfolio_heat", "no_buying_power"):
        count = len(run.refusals.filter(run.refusals["rule"] == name))
        assert re.search(rf"{name}\s+(rule|core)\s+({count} 0|0 {count})", text), (name, text)


def test_buy_and_hold_starts_at_one_and_ends_at_its_return():
    run = sample_result(bars=300, per_slot=5)
    curve = run.benchmark_growth(run.window.start).at(run.records.marks["time"])
    assert curve[0] == pytest.approx(1.0)
    assert curve[-1] == pytest.approx(1.0 + run.buy_and_hold)


# --- judgement, money, taxes, regimes ---------------------------------------------------------------------------------


def rows_of(section: str) -> list[list[str]]:
    """Return the cells of every row of a section, without tags."""
    return [[text_of(cell).strip() for cell in re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row)]
            for row in re.findall(r"<tr.*?>(.*?)</tr>", section)]


def test_an_interval_that_holds_zero_is_said_to_be_luck():
    noise = sample_result(bars=300, per_slot=20)
    assert noise.intervals["Sharpe Ratio"].low < 0.0 < noise.intervals["Sharpe Ratio"].high
    assert "do not tell it from luck" in judgement.judgement_section(noise)
    assert "luck" not in judgement.interval_words({"Sharpe Ratio": Interval(0.1, 1.0)})
    assert "No intervals" in judgement.judgement_section(sample_result(("A",), bars=20, per_slot=2))


def test_the_deepest_drawdowns_are_listed_with_their_dates():
    equity = [110.0, 99.0, 104.5, 110.0, 121.0, 60.5, 84.7]
    marks, days = np.zeros(7, MARK), np.zeros(7, DAY)
    marks["equity"], marks["time"] = equity, START + DAY_NS * np.arange(7)
    days["equity"], days["time"] = equity, marks["time"]
    run = sample_result(("A",), bars=20, per_slot=1, capital=100.0, records=Records(marks=marks, days=days))
    # peaks on 1 and 5 January: down a day and up again in two; down a day, and not up again by the 7th
    assert rows_of(judgement.drawdowns_section(run))[1:] == [
        ["1", "−50.00%", "2020-01-05", "2020-01-06", "not yet", "1 d", "", "2 d"],
        ["2", "−10.00%", "2020-01-01", "2020-01-02", "2020-01-04", "1 d", "2 d", "3 d"]]


def test_costs_lead_from_reference_prices_to_what_is_left():
    run = sample_result(bars=300, per_slot=20, tax=Tax(rate=0.25))
    fees, slippage = run.fills["fee"].sum(), run.fills["slippage"].sum()
    profit = run.stats["Equity Final"] - run.capital
    rows = rows_of(judgement.costs_section(run))[1:]
    amounts = {row[0]: float(row[1].replace("−", "-").replace(",", "")) for row in rows}
    assert amounts == {
        "At reference prices": pytest.approx(profit + fees + slippage, abs=0.01),
        "Slippage": pytest.approx(-slippage, abs=0.01), "Fees": pytest.approx(-fees, abs=0.01),
        "Profit": pytest.approx(profit, abs=0.01), "Taxes": pytest.approx(-run.tax_cost, abs=0.01),
        "After taxes": pytest.approx(profit - run.tax_cost, abs=0.01)}


def test_the_table_of_taxes_names_its_years_and_rules():
    run = sample_result(bars=300, per_slot=20, tax=Tax(mode="india_crypto", **TAX_DEFAULTS["india_crypto"], cess=0.04))
    section = judgement.tax_section(run)
    rows = rows_of(section)
    assert rows[0] == ["Tax year", "Gains", "Losses", "Taxable", "Tax", "Withheld", "Balance"]
    assert [row[0] for row in rows[1:]] == ["2019-20", "2020-21", "Total"]
    assert float(rows[-1][4].replace(",", "")) == pytest.approx(run.tax_cost, abs=0.01)
    for words in ("30% of each gain, no loss set off", "a cess of 4% of the tax", "1% of every sale withheld"):
        assert words in section
    assert "no cess" not in section
    bare = judgement.tax_section(sample_result(tax=Tax(mode="india_crypto", **TAX_DEFAULTS["india_crypto"])))
    assert "no cess, though the law adds one of 4% of the tax: [tax] cess = 0.04 counts it" in bare
    plain = judgement.tax_section(sample_result(bars=300, per_slot=20, tax=Tax(rate=0.25)))
    assert rows_of(plain)[0] == ["Tax year", "Gains", "Losses", "Carried in", "Taxable", "Tax"]
    assert "25% of net gains, losses carried forward; gains after fees" in plain
    assert "cess" not in plain


def test_regimes_are_shown_with_their_bars_and_trades():
    place = np.tile([0, 0, 1, -1], 300)
    run = sample_result(bars=300, per_slot=20, regimes=Regimes(("calm", "wild", "never"), place))
    rows = {row[0]: row[1:] for row in rows_of(judgement.regimes_section(run))[1:]}
    assert rows["calm"][:2] == ["600", "66.67%"]
    assert rows["wild"][:2] == ["300", "33.33%"]
    assert rows["never"][:4] == ["0", "0.00%", "0", "n/a"]
    assert sum(int(row[2]) for row in rows.values()) == 80
    assert judgement.regimes_section(sample_result(bars=60, per_slot=3)) == ""


def test_the_parts_in_which_a_trade_was_left_stand_beneath_it():
    trades, fills = np.zeros(2, TRADE), np.zeros(5, FILL)
    trades["id"], trades["side"], trades["qty"], trades["entry_price"] = [1, 2], 1, 10.0, 50.0
    trades["entry_time"], trades["exit_time"] = START, START + DAY_NS * np.array([2, 4])
    fills["side"], fills["qty"], fills["position"] = [1, -1, -1, 1, -1], [10, 4, 6, 10, 10], [10, 6, 0, 10, 0]
    fills["time"], fills["price"], fills["role"] = START + DAY_NS * np.arange(5), [50, 55, 60, 50, 40], [0, 3, 2, 0, 1]
    run = sample_result(("A",), bars=20, per_slot=1, records=Records(trades=trades, fills=fills))
    rows = rows_of(listings.trade_list_section(run))[1:-1]
    assert len(rows) == 4
    assert [(row[1], row[5], row[6], row[8]) for row in rows[1:3]] == [
        ("2020-01-02", "target", "4", "55"), ("2020-01-03", "stop", "6", "60")]


def test_the_best_and_the_worst_trade_are_always_drawn():
    run = sample_result(("A",), bars=2_000, per_slot=900)
    trades = run.records.trades
    for place, price in ((int(np.argmin(trades["pnl"])), 1e6), (int(np.argmax(trades["pnl"])), 1e7)):
        trades["exit_price"][place] = price
        page = report_html(run).split("Trades on price")[1].split("Excursions")[0]
        top = max(float(y) for path in re.findall(r'class="dot (?:won|lost).*?d="(.*?)"', page)
                  for y in re.findall(r"M[\d.]+ ([\d.]+)h", path) if float(y) > 0)
        highest = min(float(y) for path in re.findall(r'class="dot (?:won|lost).*?d="(.*?)"', page)
                      for y in re.findall(r"M[\d.]+ ([\d.]+)h", path))
        assert highest < 0.1 * charts.ROWS < top


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


def test_log_ticks_are_round_and_few():
    assert charts.log_ticks(45.0, 420.0) == [50.0, 70.0, 100.0, 200.0, 300.0]
    assert charts.log_ticks(0.8, 120.0) == [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
    assert charts.log_ticks(0.008, 12_000.0) == [0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0]


def test_a_series_that_grows_many_times_is_drawn_on_a_log_scale():
    frame = Frame.around_prices(0, 10, np.array([1.0, 10.0, 100.0]))
    assert frame.is_log
    low, middle, high = frame.y(np.array([1.0, 10.0, 100.0])).tolist()
    assert low - middle == pytest.approx(middle - high)
    assert not Frame.around_prices(0, 10, np.array([20.0, 100.0])).is_log
    assert not Frame.around_prices(0, 10, np.array([-1.0, 100.0])).is_log


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(-0.9, 5.0).map(lambda value: round(value, 6)), min_size=2, max_size=300))
def test_a_histogram_counts_every_value_and_splits_at_zero(values):
    edges, counts = charts.histogram(np.array(values))
    assert counts.sum() == len(values)
    assert len(edges) == len(counts) + 1 <= 64
    assert edges[0] <= min(values)
    assert edges[-1] >= max(values)
    assert counts[edges[:-1] < -1e-12].sum() == sum(value < 0.0 for value in values)


def test_every_bar_of_a_histogram_that_holds_anything_can_be_seen():
    frame = Frame(0.0, 2.0, 0.0, 1e6)
    path = charts.bars_path(frame, np.array([0.0, 1.0, 2.0]), np.array([1, 1_000_000]), "bar")
    tops = [float(y) for y in re.findall(r"V([\d.]+)H", path)]
    assert tops == [charts.ROWS - charts.LEAST_BAR, 0.0]
    assert charts.bars_path(frame, np.array([0.0, 1.0]), np.array([0]), "bar") == ""


def test_very_many_markers_are_thinned_and_keep_the_outermost():
    rng = np.random.default_rng(2)
    x, y = rng.random(50_000), rng.random(50_000)
    frame = Frame(0.0, 1.0, 0.0, 1.0)
    path = charts.marker_path(frame, x, y, "won")
    found = np.array([[float(a), float(b)] for a, b in re.findall(r"M([\d.]+) ([\d.]+)h", path)])
    assert 500 < len(found) <= charts.MOST_MARKERS
    assert np.ptp(found[:, 0]) > 0.95 * charts.COLUMNS
    assert np.ptp(found[:, 1]) > 0.95 * charts.ROWS


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
    assert {"Buy and hold", "AAPL", "entry", "exit"} <= {trace.name for trace in figure.data}
