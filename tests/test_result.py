"""Results and the folders they are written to: names in frames, statistics by name, equal bytes, all or nothing."""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

import framework
from framework.backtest import frames, write
from framework.backtest.plain import plain
from framework.backtest.result import Records, Regimes
from framework.backtest.tax import Tax
from framework.backtest.write import write_run
from framework.errors import ConfigError
from framework.model.enums import OrderStatus, Reason, Role, Side, Status
from framework.model.records import DAY, FILL, MARK, ORDER, REFUSAL, TRADE, UNSET
from tests.sample_result import START, sample_result

TABLES = ("trades", "open_trades", "equity", "orders", "fills", "refusals", "exits", "cash_flows")


@pytest.fixture(scope="module")
def result():
    return sample_result(bars=300, per_slot=20)


# --- statistics -------------------------------------------------------------------------------------------------------


def test_statistics_carry_every_promised_name(result):
    promised = {
        "Start",
        "End",
        "Duration",
        "Exposure Time [%]",
        "Equity Final",
        "Equity Peak",
        "Return [%]",
        "Buy & Hold Return [%]",
        "Return (Ann.) [%]",
        "CAGR [%]",
        "Volatility (Ann.) [%]",
        "Sharpe Ratio",
        "Sortino Ratio",
        "Calmar Ratio",
        "Alpha",
        "Beta",
        "Tax",
        "Post-tax Return [%]",
        "Max. Drawdown [%]",
        "Avg. Drawdown [%]",
        "Max. Drawdown Duration",
        "Recovery Factor",
        "# Trades",
        "Win Rate [%]",
        "Best Trade [%]",
        "Worst Trade [%]",
        "Avg. Trade [%]",
        "MAE",
        "MFE",
        "Profit Factor",
        "Expectancy",
        "SQN",
        "Kelly Criterion",
        "Turnover",
        "Fees",
        "Slippage cost",
        "Ambiguous bars",
        "Gapped entries",
        "Rejected orders",
    }
    assert promised <= set(result.stats)


def test_statistics_print_as_an_aligned_table_with_the_notes_beneath(result):
    lines = str(result.stats).splitlines()
    table = [line for line in lines if not line.startswith("*")]
    assert len({len(line) for line in table}) == 1
    assert "Sharpe Ratio" in str(result)
    assert "annualized with 252 days a year, risk-free rate 0.00%" in lines[-1]


def test_equity_and_trades_agree_in_the_statistics(result):
    stats, closed = result.stats, result.records.trades["pnl"].sum()
    assert stats["Equity Final"] == pytest.approx(result.capital + closed)
    assert stats["Return [%]"] == pytest.approx(100 * closed / result.capital)
    assert stats["# Trades"] == len(result.trades) == 80


def test_buy_and_hold_is_the_mean_over_symbols():
    # 100 to 150 is 50 %, 200 to 180 is -10 %: mean 20 %; a symbol without a price does not count
    run = sample_result(
        ("A", "B", "C"), bars=50, per_slot=2, first_close=[100.0, 200.0, math.nan], last_close=[150.0, 180.0, 1.0]
    )
    assert run.stats["Buy & Hold Return [%]"] == pytest.approx(20.0)


def test_the_window_starts_at_the_first_mark_unless_told():
    run = sample_result(bars=50, per_slot=2, start=None)
    assert run.window.start == run.records.marks["time"][0]
    assert sample_result(bars=50, per_slot=2).window.start == START


def test_few_trades_short_history_and_ruin_are_said():
    notes = " ".join(sample_result(("A",), bars=40, per_slot=3, status=Status.RUINED).stats.footnotes)
    assert "3 closed trades: fewer than 30" in notes
    assert "40 days of history" in notes
    assert "ruined" in notes
    assert "fewer than 30" not in " ".join(sample_result(bars=300, per_slot=20).stats.footnotes)


def test_a_run_without_bars_or_trades_has_statistics_and_says_why_they_are_empty():
    run = sample_result(("A",), bars=50, per_slot=2, records=Records())
    assert run.stats["# Trades"] == 0
    assert run.stats["Equity Final"] == run.capital
    assert math.isnan(run.stats["Sharpe Ratio"])
    assert "0 closed trades" in " ".join(run.stats.footnotes)
    assert all(len(getattr(run, name)) == 0 for name in TABLES)


def test_equity_that_never_moves_has_no_ratios_and_says_so():
    marks, days = np.zeros(90, MARK), np.zeros(90, DAY)
    marks["equity"] = days["equity"] = 100_000.0
    marks["time"] = START + np.arange(90)
    run = sample_result(("A",), bars=50, per_slot=2, records=Records(marks=marks, days=days))
    assert math.isnan(run.stats["Sharpe Ratio"])
    assert "equity did not vary" in " ".join(run.stats.footnotes)


def test_a_table_of_another_layout_is_refused():
    with pytest.raises(TypeError, match=r"records\.fills has the layout"):
        Records(fills=np.empty(0, ORDER))


def test_attribution_sums_to_the_closed_profit_in_every_split(result):
    closed = result.records.trades["pnl"].sum()
    splits = result.attribution()
    assert list(splits) == ["symbol", "side", "strategy", "exit reason"]
    for shares in splits.values():
        assert sum(share.pnl for share in shares) == pytest.approx(closed)
    assert {share.name for share in splits["side"]} == {"long", "short"}


# --- frames -----------------------------------------------------------------------------------------------------------


def test_frames_have_utc_nanoseconds_and_names(result):
    assert result.trades.schema["entry_time"] == pl.Datetime("ns", "UTC")
    assert result.fills.schema["time"] == pl.Datetime("ns", "UTC")
    assert set(result.trades["side"]) == {"long", "short"}
    assert set(result.fills["side"]) == {"buy", "sell"}
    assert set(result.orders["status"]) == {"filled"}
    assert set(result.orders["kind"]) == {"market", "stop"}
    assert set(result.trades["exit_reason"]) <= {"exit", "stop", "target", "trail"}
    assert set(result.trades["symbol"]) == {"AAPL", "GOOG", "IBM", "MSFT"}
    assert set(result.trades["strategy"]) == {"ema_cross"}
    assert len(result.equity) == 300
    assert result.equity.columns == ["time", "equity", "cash", "exposure", "drawdown"]


def test_refusals_carry_rule_value_and_limit(result):
    row = result.refusals.filter(pl.col("rule") == "portfolio_heat").row(0, named=True)
    assert (row["value"], row["limit"], row["allowed"], row["verb"]) == (0.34, 0.30, 0.0, "order")
    assert set(result.refusals["rule"]) == {"portfolio_heat", "no_buying_power"}


def test_a_trade_return_is_its_profit_over_the_value_entered():
    table = np.zeros(1, TRADE)
    table["qty"], table["entry_price"], table["pnl"] = 10.0, 50.0, 100.0
    # 100 / (10 * 50 * 2) = 0.1
    assert frames.trade_returns(table, np.array([2.0])) == pytest.approx([0.1])


def one_order(**values):
    table = np.zeros(1, ORDER)
    for name, value in values.items():
        table[name] = value
    return table


def test_absent_prices_times_slots_and_tags_are_null():
    orders = one_order(
        price=UNSET,
        stop=math.nan,
        target=5.0,
        ended_time=0,
        placed_time=START,
        slot=-1,
        symbol=0,
        tag=-1,
        side=Side.SELL,
        status=OrderStatus.POSITION_CLOSED,
        role=Role.TRAIL,
    )
    row = sample_result(("A",), bars=20, per_slot=1, records=Records(orders=orders)).orders.row(0, named=True)
    assert (row["price"], row["stop"], row["target"]) == (None, None, 5.0)
    assert (row["ended_time"], row["placed_time"]) == (None, datetime(2020, 1, 1, tzinfo=UTC))
    assert (row["strategy"], row["symbol"], row["tag"]) == (None, "A", None)
    assert (row["side"], row["status"], row["role"]) == ("sell", "position_closed", "trail")


def test_tags_are_those_of_the_slot():
    orders = np.concatenate([one_order(slot=0, tag=1), one_order(slot=1, tag=1), one_order(slot=1, tag=2)])
    changes = {"slots": [("x", "A"), ("y", "A")], "records": Records(orders=orders)}
    assert sample_result(("A",), bars=20, per_slot=1, tags=[["a", "b"], ["", "c"]], **changes).orders[
        "tag"
    ].to_list() == ["b", "c", None]
    assert sample_result(("A",), bars=20, per_slot=1, tags=["a", "b", "c"], **changes).orders["tag"].to_list() == [
        "b",
        "b",
        "c",
    ]


def test_every_reason_of_the_core_and_of_rules_has_a_name():
    reasons = np.array(
        [*[reason for reason in Reason if reason < Reason.RULE], Reason.RULE, Reason.RULE + 1, Reason.RULE + 2]
    )
    names = frames.reason_column(reasons, ("heat", "drawdown")).to_list()
    assert names == [*[reason.name.lower() for reason in Reason if reason < Reason.RULE], "heat", "drawdown", None]


def test_open_positions_are_listed_apart_from_trades(result):
    assert result.open_trades["exit_reason"].to_list() == [None]
    assert "mark_price" in result.open_trades.columns
    assert result.stats["# Open Trades"] == 1


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_run_folder_holds_every_file(result, tmp_path):
    folder = write_run(result, tmp_path / "run", command=["framework", "backtest", "x.toml"])
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["run.json", "stats.json", "analysis.json", "report.html", *[f"{name}.parquet" for name in TABLES]]
    )
    run = json.loads((folder / "run.json").read_text())
    assert run["command"] == ["framework", "backtest", "x.toml"]
    assert (run["seed"], run["fingerprint"], run["slots"][0]) == (
        1,
        result.fingerprint,
        {"strategy": "ema_cross", "symbol": "AAPL"},
    )
    assert run["config"]["risk"] == [{"name": "portfolio_heat", "params": {"max_heat": 0.3}}]
    assert pl.read_parquet(folder / "trades.parquet").equals(result.trades)
    assert not [path for path in tmp_path.iterdir() if path != folder]


def test_equal_runs_give_equal_bytes(tmp_path):
    for name in "ab":
        write_run(sample_result(bars=200, per_slot=10, seed=4), tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        if path.name != "run.json":
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    assert write_run(sample_result(bars=200, per_slot=10, seed=5), tmp_path / "c") / "stats.json"
    assert (tmp_path / "a/stats.json").read_bytes() != (tmp_path / "c/stats.json").read_bytes()


def test_run_json_is_equal_when_the_time_is(tmp_path):
    created = datetime(2024, 1, 1, tzinfo=UTC)
    for name in "ab":
        write_run(sample_result(bars=50, per_slot=2), tmp_path / name, report=False, created=created)
    assert (tmp_path / "a/run.json").read_bytes() == (tmp_path / "b/run.json").read_bytes()


def refuse_constant(name):
    raise AssertionError(f"{name} in JSON")


def test_json_never_holds_nan_or_infinity(tmp_path):
    run = sample_result(("A",), bars=50, per_slot=2, records=Records(), data={"x": math.inf, "y": np.float64("nan")})
    folder = write_run(run, tmp_path / "run")
    for name in ("stats.json", "run.json"):
        json.loads((folder / name).read_text(), parse_constant=refuse_constant)
    stats = json.loads((folder / "stats.json").read_text())
    assert stats["Profit Factor"] is None
    assert json.loads((folder / "run.json").read_text())["data"] == {"x": None, "y": None}


def test_a_finished_run_is_done_and_a_ruined_one_ruined(tmp_path):
    for status, word in ((Status.RUNNING, "done"), (Status.RUINED, "ruined")):
        folder = write_run(sample_result(bars=50, per_slot=2, status=status), tmp_path / word, report=False)
        assert json.loads((folder / "run.json").read_text())["status"] == word


def test_the_analysis_holds_what_the_report_says(tmp_path):
    run = sample_result(bars=300, per_slot=20, tax=Tax(rate=0.3),
                        regimes=Regimes(("calm", "wild"), np.tile([0, 1, -1], 400)))
    found = json.loads((write_run(run, tmp_path / "run", report=False) / "analysis.json").read_text())
    assert found["intervals"]["Sharpe Ratio"]["low"] == run.intervals["Sharpe Ratio"].low
    assert found["grades"]["Win Rate [%]"] in ("below", "target", "excellent")
    assert sum(share["pnl"] for share in found["attribution"]["regime"]) == pytest.approx(run.trades["pnl"].sum())
    assert found["drawdowns"][0]["depth"] == pytest.approx(run.drawdowns.deepest)
    assert len(found["drawdowns"]) == len(run.drawdowns.depth)
    assert sum(map(sum, (rule.values() for rule in found["refusals"].values()))) == len(run.refusals)
    assert found["regimes"] == {"calm": 400, "wild": 400}
    assert sum(year["tax"] for year in found["tax_years"]) == pytest.approx(run.stats["Tax"])
    assert len(found["months"]) == 10


def test_a_trade_counts_for_the_regime_of_the_bar_before_its_first_fill():
    run = sample_result(("A",), bars=50, per_slot=5)
    bars = run.records.fills["bar"][::2]
    place = np.full(50, 1)
    place[bars - 1] = [0, 0, 2, -1, 2]
    held = sample_result(("A",), bars=50, per_slot=5, regimes=Regimes(("a", "b", "c"), place))
    assert {share.name: share.trades for share in held.attribution()["regime"]} == {"a": 2, "c": 2, "not known": 1}


def test_the_report_can_be_left_out(result, tmp_path):
    assert not (write_run(result, tmp_path / "run", report=False) / "report.html").exists()


def test_an_existing_folder_is_refused_and_untouched(result, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="exists already"):
        write_run(result, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_a_parent_that_is_a_file_is_a_clear_error(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write the run folder"):
        write_run(result, tmp_path / "file" / "run")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_when_writing_fails_half_way(result, tmp_path, monkeypatch, failure):
    whole, calls = write.write_table, []

    def failing(path, frame):
        calls.append(path)
        if len(calls) == 3:
            raise failure
        whole(path, frame)

    monkeypatch.setattr(write, "write_table", failing)
    expected = ConfigError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="No space left" if isinstance(failure, OSError) else None):
        write_run(result, tmp_path / "run")
    assert len(calls) == 3
    assert list(tmp_path.iterdir()) == []


def test_the_folder_has_the_permissions_of_any_new_folder(result, tmp_path):
    folder = write_run(result, tmp_path / "run", report=False)
    (tmp_path / "other").mkdir()
    assert folder.stat().st_mode == (tmp_path / "other").stat().st_mode
    assert os.access(folder / "stats.json", os.R_OK)


def test_values_become_plain_for_json():
    assert plain({"a": np.int64(3), 1: (Side.BUY, {2.0}), "t": datetime(2024, 1, 2, tzinfo=UTC), "f": UNSET}) == {
        "a": 3,
        "1": ["buy", [2.0]],
        "t": "2024-01-02T00:00:00+00:00",
        "f": UNSET,
    }


def test_the_empty_tables_keep_their_columns(tmp_path):
    run = sample_result(
        ("A",), bars=20, per_slot=1, records=Records(fills=np.empty(0, FILL), refusals=np.empty(0, REFUSAL))
    )
    folder = write_run(run, tmp_path / "run", report=False)
    assert pl.read_parquet(folder / "fills.parquet").schema == sample_result(bars=50, per_slot=2).fills.schema


def test_rejected_orders_are_named_by_reason_with_their_counts() -> None:
    """Three for the first rule, one for buying power; a reduction is none. A run of the engine counts the same."""
    refusals = np.zeros(5, REFUSAL)
    refusals["reason"] = [Reason.NO_BUYING_POWER, Reason.RULE, Reason.RULE, Reason.RULE + 1, Reason.RULE]
    refusals["allowed"] = [0.0, 0.0, 0.0, 2.0, 0.0]
    assert frames.refusal_notes(refusals, ("leverage", "drawdown")) == [
        "4 rejected orders, by reason: leverage 3, no_buying_power 1"]
    assert frames.refusal_notes(refusals[:1], ()) == ["1 rejected order, by reason: no_buying_power 1"]
    assert frames.refusal_notes(refusals[3:4], ("leverage", "drawdown")) == []
    run = framework.backtest({"data": {"source": "synthetic", "symbols": ["A"], "bars": 600, "seed": 4},
                              "strategy": {"name": "ma_cross"}, "risk": {"order_validation": {"max_price": 1.0}}})
    (note,) = [note for note in run.stats.footnotes if "rejected order" in note]
    count = run.stats["Rejected orders"]
    assert count == len(run.refusals.filter(pl.col("allowed").fill_null(0.0) == 0.0)) > 0
    assert note.startswith(
        f"no trade: not one order came through; {count} rejected orders, by reason: order_validation {count}; ")
