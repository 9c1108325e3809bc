"""Walk-forward: windows by the calendar, training that cannot see a test bar, seams that are flat and paid for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest

import framework
from framework.backtest.api import settle
from framework.backtest.config import config_from_dict
from framework.backtest.duration import Duration, nanoseconds, parse_duration
from framework.backtest.run import load
from framework.cli.app import run
from framework.data.tape import Tape
from framework.errors import ConfigError
from framework.indicators import ColumnCache
from framework.research.stability import acceptance, steadiness
from framework.research.study import prepare
from framework.research.walk_forward import Forward, walk_forward, windows_of
from framework.research.window import run_window, stitch

DOCUMENT: dict[str, Any] = {
    "data": {"source": "synthetic", "symbols": ["A", "B"], "timeframe": "4h", "bars": 1_100, "seed": 4},
    "strategy": {"name": "ma_cross"},
    "fees": {"taker_bps": 5},
    "optimize": {"space": {"fast": [4, 8, 12], "slow": [20, 30]}, "executor": "local", "workers": 1},
    "walk_forward": {"train": "60d", "test": "30d"},
}


def document(**sections: Any) -> dict[str, Any]:
    """Return DOCUMENT with other sections."""
    return {**DOCUMENT, **sections}


@pytest.fixture(scope="module")
def tape() -> Tape:
    """The bars of DOCUMENT."""
    return load(config_from_dict(DOCUMENT))


@pytest.fixture(scope="module")
def found() -> Forward:
    """The walk-forward of DOCUMENT."""
    return walk_forward(DOCUMENT)


def poisoned(tape: Tape, from_ns: int) -> Tape:
    """Return the tape with every bar that closes at a time or later changed beyond recognition."""
    bad = tape.close_time >= from_ns
    wave = 50.0 + 40.0 * np.sin(np.arange(tape.n_bars))
    prices = {name: np.where(bad, wave, getattr(tape, name)) for name in ("open", "close")}
    prices["high"] = np.where(bad, wave * 1.5, tape.high)
    prices["low"] = np.where(bad, wave * 0.5, tape.low)
    prices["volume"] = np.where(bad, 1e9, tape.volume)
    return attrs.evolve(tape, **prices)


def test_months_are_months_of_the_calendar() -> None:
    """24 months after 29 February 2000 is 28 February 2002; 90 days are 90 times 24 hours."""
    assert parse_duration("x", "24mo").after(datetime(2000, 2, 29)) == datetime(2002, 2, 28)
    assert parse_duration("x", "90d").after(datetime(2001, 1, 1)) == datetime(2001, 4, 1)
    assert parse_duration("x", "1y") == Duration(months=12)
    assert Duration(months=1).times(3).after(datetime(2021, 1, 31)) == datetime(2021, 4, 30)


@pytest.mark.parametrize("text", ["6 months", "0d", "-1mo", "1.5y", "mo", ""])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The message shows the key, the value and an example."""
    with pytest.raises(ConfigError, match=r"(?s)\[walk_forward\] train.*(90d|text)"):
        config_from_dict(document(walk_forward={"train": text, "test": "30d"}))


@pytest.mark.parametrize("anchored", [False, True])
def test_legs_follow_each_other_by_step(tape: Tape, anchored: bool) -> None:
    """Train 60 days, test 30, step 20: the third leg trains from day 40 (or day 0) to day 100 and tests to 130."""
    config = config_from_dict(document(walk_forward={"train": "60d", "test": "30d", "step": "20d",
                                                     "anchored": anchored}))
    assert config.walk_forward is not None
    study = prepare(config, tape)
    windows, left = windows_of(config.walk_forward, study)
    begin = windows[0].train_start
    assert (begin.hour, begin.minute) == (0, 0)
    assert study.config.run.start is not None
    assert timedelta(0) <= begin - study.config.run.start < timedelta(days=1)
    third = windows[2]
    assert third.train_start == begin + timedelta(days=0 if anchored else 40)
    assert third.test_start == begin + timedelta(days=100)
    assert third.stitch_end == begin + timedelta(days=120)
    assert third.test_end == begin + timedelta(days=130)
    assert windows[-1].test_end <= datetime.fromtimestamp(tape.close_time.max() / 1e9, UTC) + timedelta(days=1)
    assert timedelta(days=10) <= left < timedelta(days=31)


def test_no_test_bar_is_seen_in_training(tape: Tape, found: Forward) -> None:
    """All bars from a leg's first test bar on are replaced: what it chose, and all its trials' figures, stay."""
    changed = 0
    for leg in found.legs:
        other = walk_forward(DOCUMENT, data=poisoned(tape, nanoseconds(leg.window.test_start)))
        mine = other.legs[leg.window.number - 1]
        assert mine.params == leg.params
        assert mine.value == leg.value
        assert repr(mine.inside) == repr(leg.inside)
        changed += repr(mine.outside) != repr(leg.outside)
    assert changed == len(found.legs), "the poison reached the tests"


def test_a_leg_is_the_search_over_its_training_window(tape: Tape, found: Forward) -> None:
    """`framework.optimize` over a tape that ends before the test finds the same parameters and the same value."""
    leg = found.legs[1]
    known = tape.truncate(nanoseconds(leg.window.test_start) - 1)
    section = {key: value for key, value in DOCUMENT.items() if key != "walk_forward"}
    search = framework.optimize(section, data=known, start=leg.window.train_start, end=leg.window.test_start)
    assert search.best.params == leg.params
    assert search.best.values == (leg.value,)


def test_each_leg_begins_with_what_the_one_before_left_and_ends_flat(found: Forward) -> None:
    """Equity = capital + P&L of closed trades at every seam; no trade spans one; the fees of the seams are paid."""
    result = found.out
    marks, trades = result.records.marks, result.records.trades
    seams = [nanoseconds(leg.window.test_start) for leg in found.legs[1:]]
    for seam in seams:
        assert not np.any((trades["entry_time"] < seam) & (trades["exit_time"] >= seam))
        before = marks[marks["time"] < seam][-1]
        closed = trades["pnl"][trades["exit_time"] < seam].sum()
        assert before["equity"] == pytest.approx(result.capital + closed, rel=1e-12)
        assert before["exposure"] == pytest.approx(0.0, abs=1e-6)
    assert len(result.records.open_trades) == 0
    assert np.all(trades["fees"] > 0.0)
    assert marks["equity"][-1] == pytest.approx(result.capital + trades["pnl"].sum(), rel=1e-12)
    assert np.all(np.diff(marks["time"]) > 0)
    assert np.all(np.diff(result.records.days["day"]) > 0)
    assert marks["time"][0] >= nanoseconds(found.legs[0].window.test_start)


def test_the_last_position_of_a_window_is_closed_at_its_last_open_with_costs() -> None:
    """The fifth bar is still running at the end; the fourth is the last whole one, and 13 its open.

    Bought at 11, the open after the first close: (13 - 11) * 10 less 1 % of 110 and of 130.
    """

    class Hold(framework.Strategy):
        """Buy once and hold."""

        name = "hold_for_ever"

        @staticmethod
        def decide(now: Any) -> None:
            if now.position.qty == 0.0:
                framework.buy(now, qty=10.0)

    days = [datetime(2020, 1, day, tzinfo=UTC) for day in range(1, 9)]
    opens = [10.0, 11.0, 12.0, 13.0, 14.0, 99.0, 99.0, 99.0]
    frame = pl.DataFrame({"time": days, "open": opens, "high": [x + 0.5 for x in opens],
                          "low": [x - 0.5 for x in opens], "close": opens, "volume": [1e6] * 8})
    window = {"start": "2020-01-02", "end": datetime(2020, 1, 5, 12, tzinfo=UTC)}
    settings = {"stamp": "open", "timeframe": "1d", "fees": {"taker_bps": 100}, **window}
    config, tape = settle(None, {"X": frame}, Hold, settings)
    assert tape is not None
    result = run_window(config, tape)
    trade, = result.records.trades
    assert (trade["entry_price"], trade["exit_price"]) == (11.0, 13.0)
    assert trade["pnl"] == pytest.approx(2.0 * 10.0 - 1.10 - 1.30)
    idle = run_window(config, tape, idle=True)
    assert len(idle.records.orders) == 0
    assert len(idle.records.marks) == len(result.records.marks) > 0


def test_a_shorter_step_takes_the_first_part_of_each_test(tape: Tape) -> None:
    """Train 120, test 30, step 10: the stitched run covers each day once, a leg's own test three times as many."""
    shorter = {"train": "120d", "test": "30d", "step": "10d"}
    found = walk_forward(document(walk_forward=shorter), data=tape)
    result = found.out
    days = result.records.days["day"]
    assert np.array_equal(np.unique(np.diff(days)), [1])
    first, last = found.legs[0].window, found.legs[-1].window
    assert len(days) == pytest.approx((last.stitch_end - first.test_start).days, abs=1)
    outside = found.legs[0].outside
    assert outside is not None
    assert outside["Duration"] == timedelta(days=30)


def test_cash_flows_of_the_legs_are_numbered_on(tape: Tape) -> None:
    """Interest of every night, leg after leg: no number twice, in the order of time."""
    found = walk_forward(document(account={"interest_percent": 3.65}), data=tape)
    flows = found.out.records.cash_flows
    assert flows["id"].tolist() == list(range(1, len(flows) + 1))
    assert np.all(np.diff(flows["time"]) > 0)
    assert len(flows) > 30 * len(found.legs) - 10
    first = flows[0]
    assert first["amount"] == pytest.approx(first["base"] * 0.0365 / 365.0)


def test_only_a_walk_forward_without_any_trade_says_that_nothing_was_traded() -> None:
    """One leg of two is idle; then both, and the note names no folder that could not be explained."""

    class Once(framework.Strategy):
        """Buy and close at every other bar."""

        name = "once"

        @staticmethod
        def decide(now: Any) -> None:
            if now.position.qty == 0.0:
                framework.buy(now, qty=1.0)
            else:
                framework.close_position(now)

    data = {"source": "synthetic", "symbols": ["A"], "timeframe": "1d", "bars": 30, "seed": 4}
    config, _ = settle(None, data, Once, {})
    tape, parts = load(config), []
    for first, last, idle in (("2020-01-05", "2020-01-12", False), ("2020-01-12", "2020-01-20", True)):
        window = attrs.evolve(config.run, start=datetime.fromisoformat(first + "T00:00Z"),
                              end=datetime.fromisoformat(last + "T00:00Z"))
        parts.append(run_window(attrs.evolve(config, run=window), tape, idle=idle))
    whole, flat = stitch(config, tape, parts), stitch(config, tape, parts[1:])
    assert (len(whole.records.trades) > 0, len(flat.records.orders)) == (True, 0)
    assert not [note for note in whole.stats.footnotes if "never bought" in note or "no trade" in note]
    (note,) = [note for note in flat.stats.footnotes if "never bought" in note]
    assert note == ("no decision in the whole run: once never bought or sold; check conditions, parameters and [run] "
                    "start and end")


def test_a_leg_without_a_value_stays_flat(tape: Tape) -> None:
    """No trial has so many trades: that leg holds nothing, its days count, and all legs being so is an error."""
    one = {**DOCUMENT["optimize"], "space": {"fast": [12], "slow": [30]}}
    some = walk_forward(document(optimize={**one, "min_trades": 13}), data=tape)
    flat = [leg for leg in some.legs if leg.params is None]
    assert 0 < len(flat) < len(some.legs)
    trades, marks = some.out.records.trades, some.out.records.marks
    for leg in flat:
        begin, end = nanoseconds(leg.window.test_start), nanoseconds(leg.window.stitch_end)
        assert not np.any((trades["entry_time"] >= begin) & (trades["entry_time"] < end))
        assert np.any((marks["time"] >= begin) & (marks["time"] < end))
    none = walk_forward(document(optimize={**DOCUMENT["optimize"], "min_trades": 10_000}), data=tape)
    with pytest.raises(ConfigError, match="no trial of any"):
        _ = none.stats


@pytest.mark.parametrize(("section", "told"), [
    ({"train": "24mo", "test": "6mo"}, "longer than the time there is"),
    ({"train": "60d", "test": "1h", "step": "1h"}, "bars close in its test window"),
    ({"train": "60d"}, "test is missing"),
    ({"train": "60d", "test": "30d", "step": "40d"}, "longer than test"),
    ({"train": "60d", "test": "30d", "steps": "40d"}, "did you mean 'step'"),
    ({"train": "60d", "test": "30d", "folds": 5}, "folds does not belong"),
    ({"method": "purged_kfold", "train": "60d"}, "train does not belong"),
    ({"method": "cpcv", "folds": 4, "test_folds": 4}, "nothing to train on"),
    ({"method": "walk_foward", "train": "60d", "test": "30d"}, "did you mean 'walk_forward'"),
    (None, "section .walk_forward. is missing"),
])
def test_bad_windows_are_refused_with_a_mend(section: dict[str, Any] | None, told: str, tape: Tape) -> None:
    """Before anything runs."""
    sections = {key: value for key, value in DOCUMENT.items() if key != "walk_forward"}
    with pytest.raises(ConfigError, match=told):
        walk_forward({**sections, **({} if section is None else {"walk_forward": section})}, data=tape)


def test_acceptance_is_the_table_of_five() -> None:
    """Drawdown 15.1 is beyond 150 % of 10; win rate 41 is within 10 points of (30 * 60 + 10 * 20) / 40 = 50."""
    out = {"Sharpe Ratio": 1.1, "Return [%]": 5.0, "Max. Drawdown [%]": -15.1, "Win Rate [%]": 41.0}
    inside = [{"Max. Drawdown [%]": -10.0, "# Trades": 30, "Win Rate [%]": 60.0},
              {"Max. Drawdown [%]": -8.0, "# Trades": 10, "Win Rate [%]": 20.0}]
    table = acceptance(out, inside, 24)
    rows = {one.name: one.passed for one in table}
    assert rows == {"Sharpe Ratio": True, "Return [%]": True, "Max. Drawdown [%]": False, "Win Rate [%]": True,
                    "Windows": True}
    depth = next(one for one in table if one.name == "Max. Drawdown [%]")
    assert (depth.value, depth.rule) == (-15.1, ">= -15.00: 150 % of the deepest in-sample one, -10.00")
    worse = {"Sharpe Ratio": 1.0, "Return [%]": 0.0, "Max. Drawdown [%]": -15.0, "Win Rate [%]": 39.9}
    assert [one.passed for one in acceptance(worse, inside, 23)] == [False, False, True, False, False]
    undefined = {**out, "Sharpe Ratio": None}
    assert acceptance(undefined, inside, 24)[0].value is None


def test_stability_counts_choices_and_their_spread(tape: Tape) -> None:
    """4, 8, 8, 12: mostly 8 (half), two changes, deviation 2.83 over that of {4, 8, 12}, 3.27."""
    study = prepare(config_from_dict(DOCUMENT), tape)
    fast, slow = steadiness(study.space, [{"fast": value, "slow": 20} for value in (4, 8, 8, 12)])
    assert (fast.common, fast.share, fast.changes) == (8, 0.5, 2)
    assert fast.spread == pytest.approx(np.sqrt(8.0) / np.sqrt(32.0 / 3.0))
    assert (slow.share, slow.changes, slow.spread) == (1.0, 0, 0.0)
    assert steadiness(study.space, []) == []


def test_columns_of_tests_are_shared(tape: Tape) -> None:
    """The indicators of all test windows are computed once for the whole tape."""
    config = config_from_dict({key: value for key, value in DOCUMENT.items() if key != "optimize"})
    cache = ColumnCache()
    config = attrs.evolve(config, run=attrs.evolve(config.run, start=datetime(2020, 3, 1, tzinfo=UTC),
                                                   end=datetime(2020, 4, 1, tzinfo=UTC)))
    run_window(config, tape, cache)
    before = cache.computed
    run_window(attrs.evolve(config, run=attrs.evolve(config.run, end=datetime(2020, 5, 1, tzinfo=UTC))), tape, cache)
    assert cache.computed == before


def test_the_command_writes_a_folder_with_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json answers one document; report.html asks nothing of the network."""
    import tomli_w

    path = tmp_path / "wf.toml"
    path.write_text(tomli_w.dumps(DOCUMENT), encoding="utf-8")
    assert run(["walk-forward", str(path), "--json", "--out", str(tmp_path / "out")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["run"] == str(tmp_path / "out")
    assert len(answer["legs"]) > 2
    assert {one["criterion"] for one in answer["acceptance"]} == {"Sharpe Ratio", "Return [%]", "Max. Drawdown [%]",
                                                                  "Win Rate [%]", "Windows"}
    assert answer["accepted"] == all(one["passed"] for one in answer["acceptance"])
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    acceptance = page[page.index("<h2>Acceptance</h2>"):]
    verdict = acceptance.index(">Not accepted: ")
    assert acceptance.index("</table>") < verdict < acceptance.index("<h2>How far to believe it</h2>")
    assert "http" not in page
    for sentence in answer["sentences"]:
        assert f"<li>{escape(sentence)}</li>" in page
    told = " ".join(answer["sentences"])
    for statistic in ("Out of sample", "deflated Sharpe ratio", "training windows of", "probability of overfitting",
                      "reality check"):
        assert statistic in told, statistic
    for leg in answer["legs"]:
        assert leg["evidence"]["trials"] == 6
        assert f"<td class=\"n\">{leg['evidence']['deflated_sharpe_ratio']:.1%}</td>" in page
    assert pl.read_parquet(tmp_path / "out" / "legs.parquet").height == len(answer["legs"])
    assert (tmp_path / "out" / "legs" / "001" / "best.toml").is_file()
    assert run(["walk-forward", str(path), "--out", str(tmp_path / "out")]) == 2
    assert run(["walk-forward", str(path), "--out", str(tmp_path / "two"), "--no-report"]) == 0
    lines = capsys.readouterr().out.splitlines()
    order = [next(at for at, line in enumerate(lines) if line.startswith(begin))
             for begin in ("out of sample", "Windows", "verdict", "* fast: mostly", "run ")]
    assert order == sorted(order)
    assert order[2] == order[1] + 1, "the verdict follows its table"
    failed = [one["criterion"] for one in answer["acceptance"] if not one["passed"]]
    assert failed
    assert lines[order[2]] == f"verdict not accepted: {', '.join(failed)} failed"
    assert not (tmp_path / "two" / "report.html").exists()
