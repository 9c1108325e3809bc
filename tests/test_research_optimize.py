"""Searches over parameters: trials equal backtests, ledgers do not depend on who runs, nothing finished is lost."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

import framework
import framework.research.trial
from framework import Param, Strategy, buy, close_position
from framework.backtest.run import load, run
from framework.errors import ConfigError, Interrupted
from framework.indicators import ColumnCache, sma
from framework.research.forecast import forecast
from framework.research.journal import NAME, Journal
from framework.research.neighbourhood import neighbourhood
from framework.research.objective import FROM_MARKS, FROM_TABLES, make_objective, number_of
from framework.research.optimize import run_study, search
from framework.research.search import Search, Work
from framework.research.space import Dimension, Space
from framework.research.study import Driver, prepare
from framework.research.trial import COMPLETE, FAILED, FEW_TRADES, UNDEFINED, Outcome, Stage, Trial
from tests.search_cases import BARS, config_of, ledger_of, local, study_of

SPACE = {"fast": [3, 5, 8, 13], "slow": [10, 20, 40]}
GRID = {"sampler": "grid", "space": SPACE, "constraints": ["fast < slow"]}
POINTS = 11
"""4 * 3 pairs, of which (13, 10) is not in order."""


# --- a trial is a backtest --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sections", [
    {},
    {"strategy": {"name": "ema_cross"}, "slippage": {"name": "fixed", "bps": 3}, "risk": {"drawdown": {}},
     "data": {"source": "synthetic", "symbols": ["A", "B"], "timeframe": "1h", "bars": 700, "seed": 2}},
], ids=["one symbol", "two symbols, rules, slippage"])
def test_every_statistic_of_a_trial_is_that_of_the_backtest(sections: dict[str, Any],
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, whether it is computed from tables, from marks summed up in chunks or from the whole result."""
    monkeypatch.setattr(framework.research.trial, "CHUNK_EVENTS", 200)
    point = {"fast": 5, "slow": 20}
    study = study_of({"space": {name: [value] for name, value in point.items()}}, **sections)
    expected = run(study.subject.configured(point), study.tape).stats
    assert set(FROM_TABLES) | set(FROM_MARKS) < set(expected)
    stages: dict[str, Stage] = {}
    for name in expected:
        if name in ("Start", "End"):
            continue
        setup = attrs.evolve(study.setup, objective=make_objective(name, None, 0, expected))
        stage = stages.setdefault(setup.objective.mode, Stage(setup, study.cache))
        stage.setup = setup
        outcome = stage.run(Trial(0, point))
        assert outcome.state in (COMPLETE, UNDEFINED), (name, outcome)
        value = number_of(expected[name])
        assert outcome.values == (value,) or (math.isnan(value) and outcome.state == UNDEFINED), name
    assert set(stages) == {"light", "marks", "full"}


@pytest.mark.parametrize("space", [
    {"fast": [3, 8], "slippage": {"bps": [0, 50]}, "risk": {"drawdown": {"max_drawdown": [0.004, 0.9]}}},
    {"fast": [3, 8]},
], ids=["everything varies", "the rule does not vary"])
def test_a_stage_used_before_gives_what_a_new_one_gives(space: dict[str, Any]) -> None:
    """Parameters, columns, rules' and slippage's memory are all put back."""
    sections = {"strategy": {"name": "ema_cross"}, "slippage": {"name": "fixed"},
                "risk": {"drawdown": {"max_drawdown": 0.004, "drawdown_warning": 0.001, "drawdown_critical": 0.002}}}
    study = study_of({"space": space}, **sections)
    points = list(study.space.grid())
    used = Stage(study.setup, study.cache)
    once = [used.run(Trial(0, point)).statistics for point in [*points, *points[::-1]]][len(points):]
    fresh = [Stage(study.setup, study.cache).run(Trial(0, point)).statistics for point in points[::-1]]
    assert once == fresh
    assert len({str(one) for one in once}) == len(points)


LARGE = {"min_order_size": 0, "max_order_size": 1e9, "max_order_value": 1e12, "max_price": 1e9}


@pytest.mark.parametrize(("space", "sections"), [
    ({"risk": {"order_validation": {"max_slippage_percent": [0.1, 5.0]}}},
     {"slippage": {"name": "fixed", "params": {"bps": 100}}, "risk": {"order_validation": LARGE}}),
    ({"sizing": {"trades": [30, 40, 60]}},
     {"sizing": {"name": "kelly", "params": {"without_stop": True}},
      "strategy": {"name": "ema_cross", "params": {"fast": 2, "slow": 4}}, "fees": {}}),
], ids=["how far fills may slip", "how much of the past is shown"])
def test_what_rules_ask_of_the_core_follows_their_parameters(space: dict[str, Any], sections: dict[str, Any]) -> None:
    """A stage used with other values of a rule before gives what a new one gives, whichever came first."""
    study = study_of({"space": space, "min_trades": 0}, **sections)
    points = list(study.space.grid())
    used = Stage(study.setup, study.cache)
    seen = []
    for point in [*points, *points[::-1]]:
        used.run(Trial(0, point))
        assert used._simulation is not None
        seen.append(used._simulation.state.settings[["trip_window", "max_slippage"]][0].item())
        fresh = Stage(study.setup, study.cache)
        fresh.run(Trial(0, point))
        assert fresh._simulation is not None
        assert seen[-1] == fresh._simulation.state.settings[["trip_window", "max_slippage"]][0].item()
        assert used.run(Trial(0, point)).statistics == fresh.run(Trial(0, point)).statistics
    assert len(set(seen)) == len(points)


def test_a_strategy_whose_indicators_depend_on_a_parameter_is_put_together_again() -> None:
    class Either(Strategy):
        """Reads one average or two, by a parameter."""

        name = "either_for_search"
        kind = Param("one", choices=("one", "two"))

        def indicators(self, bars: Any) -> Any:
            """Return one average or two."""
            both = {"fast": sma(bars.close, 5), "slow": sma(bars.close, 20)}
            return both if self.kind == "two" else {"fast": both["fast"]}

        @staticmethod
        def decide(now: Any) -> None:
            """Follow the fast average."""
            if now.position.qty == 0 and now.bar.close > now.ind.fast:
                buy(now)
            elif now.position.qty > 0 and now.bar.close < now.ind.fast:
                close_position(now)

    framework.plugins.registry().add("strategy", Either)
    study = study_of({"space": {"kind": ["one", "two"]}}, strategy={"name": Either.name})
    stage = Stage(study.setup, study.cache)
    told = [stage.run(Trial(0, {"kind": kind})) for kind in ("one", "two", "one")]
    assert [one.state for one in told] == [COMPLETE] * 3
    assert told[0].values == told[1].values == told[2].values


# --- ledgers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", [
    GRID,
    {**GRID, "trials": 5},
    {"sampler": "random", "trials": 30, "space": {"fast": {"low": 2, "high": 15}, "slow": {"low": 5, "high": 60}},
     "constraints": ["fast < slow"]},
    {"sampler": "tpe", "trials": 30, "batch": 8, "space": {"fast": {"low": 2, "high": 15}, "slow": [10, 20, 40]},
     "constraints": ["fast < slow"]},
    {"sampler": "cma-es", "trials": 20, "batch": 6, "space": {"fast": {"low": 2, "high": 15},
                                                             "slow": {"low": 5, "high": 60}}},
    {"sampler": "nsga2", "trials": 20, "batch": 6, "objective": ["Sharpe Ratio", "# Trades"], "space": SPACE},
], ids=lambda section: f"{section['sampler']} {section.get('trials', 'all')}")
def test_the_ledger_does_not_depend_on_the_number_of_threads(section: dict[str, Any], tmp_path: Path) -> None:
    if section["sampler"] in ("tpe", "cma-es", "nsga2"):
        pytest.importorskip("optuna")
    one, *others = (ledger_of(study_of(section), tmp_path / f"{n}.sqlite", n) for n in (1, 2, 3))
    assert [row[0] for row in one] == list(range(len(one)))
    assert len(one) == min(section.get("trials", POINTS), 1_000)
    assert all(other == one for other in others)
    other_seed = ledger_of(study_of(section, run={"seed": 2}), tmp_path / "seed.sqlite")
    assert (other_seed == one) is (section["sampler"] == "grid")


def test_a_grid_with_fewer_trials_takes_them_from_the_whole_of_it() -> None:
    points = list(study_of({**GRID, "trials": 4}).sampler().points())
    everything = list(study_of(GRID).sampler().points())
    assert len(points) == 4
    assert [everything.index(point) for point in points] == [0, 3, 6, 9]


def test_random_points_are_different_and_end_when_the_space_does() -> None:
    sampler = study_of({**GRID, "sampler": "random", "trials": 500}).sampler()
    points = [tuple(point.values()) for point in sampler.points()]
    assert sampler.total == len(points) == len(set(points)) == POINTS


def test_tpe_learns_from_what_it_is_told() -> None:
    """Half of its later proposals lie in the best fifth of the range; even draws would put a fifth there."""
    pytest.importorskip("optuna")
    study = study_of({"sampler": "tpe", "trials": 96, "batch": 16, "space": {"fast": {"low": 2, "high": 200}}})
    sampler = study.sampler()
    points = sampler.points()
    proposed: list[int] = []
    for first in range(0, 96, 16):
        asked = [next(points) for _ in range(16)]
        values = [float(-abs(int(point["fast"]) - 150)) for point in asked]
        sampler.tell([Outcome(first + i, point, COMPLETE, (value,))
                      for i, (point, value) in enumerate(zip(asked, values, strict=True))])
        proposed += [int(point["fast"]) for point in asked]
    assert np.mean(np.abs(np.array(proposed[48:]) - 150) <= 20) > 0.5


# --- columns ----------------------------------------------------------------------------------------------------------


def test_every_column_is_computed_once_however_many_trials_share_it(tmp_path: Path) -> None:
    """4 lengths of `fast` and 3 of `slow` are 7 averages for 11 trials; what trials compare is not kept."""
    study = study_of(GRID)
    assert len(ledger_of(study, tmp_path / "a.sqlite", 2)) == POINTS
    assert study.cache.computed == 7


def test_a_budget_too_small_for_the_columns_costs_recomputation_and_nothing_else(tmp_path: Path) -> None:
    """The budget holds two columns of the seven."""
    study = study_of(GRID)
    tight = attrs.evolve(study, cache=ColumnCache(2 * 8 * BARS))
    assert ledger_of(tight, tmp_path / "tight.sqlite") == ledger_of(study, tmp_path / "wide.sqlite")
    assert tight.cache.computed > study.cache.computed
    assert tight.cache.bytes <= 2 * 8 * BARS


# --- the common window ------------------------------------------------------------------------------------------------


def test_all_trials_begin_after_the_longest_warm_up() -> None:
    """A cross asks at the bar behind the first value of its longest average: bar 40 of 0, 1, ... for a length of 40."""
    study = study_of(GRID)
    assert study.config.run.start_ns == study.tape.close_time[40]


def test_a_later_start_of_the_configuration_stays() -> None:
    late = study_of(GRID, run={"start": "2020-02-01"})
    assert late.config.run.start is not None
    assert late.config.run.start.isoformat() == "2020-02-01T00:00:00+00:00"


def test_a_trial_that_needs_more_warm_up_than_the_window_leaves_is_refused() -> None:
    study = study_of(GRID)
    outcome = Stage(study.setup, study.cache).run(Trial(0, {"fast": 5, "slow": 300}))
    assert outcome.state == FAILED
    assert "after the common window began" in outcome.error


def test_too_few_bars_for_the_space_are_said() -> None:
    with pytest.raises(ConfigError, match="the data is too short for the space: with fast = 3, slow = 400"):
        study_of({"space": {"fast": [3], "slow": [10, 400]}},
                 data={"source": "synthetic", "symbols": ["A"], "timeframe": "1h", "bars": 300})


# --- interrupted and resumed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe"])
@pytest.mark.parametrize("after", [0, 1, 7])
def test_an_interrupted_study_is_resumed_to_the_same_ledger(sampler: str, after: int, tmp_path: Path) -> None:
    if sampler == "tpe":
        pytest.importorskip("optuna")
    section = {**GRID, "sampler": sampler, "trials": 10, "batch": 4}
    expected = ledger_of(study_of(section), tmp_path / "whole.sqlite")
    study = study_of(section)
    journal = Journal.create(tmp_path / "part.sqlite", study.document())
    executor = local(study)

    def interrupt(progress: Any) -> None:
        if progress.done > after:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=f"interrupted with {after + 1} of 10 trials, all of them saved"):
        Driver(study, journal, executor, interrupt).run()
    assert len(journal.ledger()) == after + 1
    journal.close()
    again = Journal.open(tmp_path / "part.sqlite")
    work, _ = run_study(study, again, 0.0, None)
    assert (work.resumed, work.ran) == (after + 1, 10 - after - 1)
    assert again.ledger() == expected
    again.close()


def test_more_trials_are_added_to_a_finished_search(tmp_path: Path) -> None:
    section = {**GRID, "sampler": "random"}
    first = search(config_of({**section, "trials": 4}), tmp_path / "run")
    more = search(config_of({**section, "trials": 9}), tmp_path / "run", resume=True)
    assert (more.work.resumed, more.work.ran) == (4, 5)
    assert [one.values for one in more.outcomes[:4]] == [one.values for one in first.outcomes]


@pytest.mark.parametrize(("change", "message"), [
    ({"optimize": {**GRID, "constraints": []}}, "space was"),
    ({"optimize": {**GRID, "objective": "Return [%]"}}, "objective was"),
    ({"data": {"source": "synthetic", "symbols": ["A"], "timeframe": "1h", "bars": BARS, "seed": 5}},
     "fingerprint was"),
    ({"fees": {"taker_bps": 3}}, r"\[fees\] was"),
    ({"run": {"seed": 9}}, r"\[run\] was"),
])
def test_a_journal_is_not_continued_by_another_study(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    search(config_of(GRID), tmp_path / "run")
    section = change.pop("optimize", GRID)
    with pytest.raises(ConfigError, match=f"belongs to another study: {message}"):
        search(config_of(section, **change), tmp_path / "run", resume=True)


def test_a_changed_version_is_named_before_anything_is_continued(tmp_path: Path) -> None:
    search(config_of(GRID), tmp_path / "run")
    journal = Journal.open(tmp_path / "run" / NAME)
    document = journal.document
    document["versions"]["numpy"] = "1.0"
    journal.replace_document(document)
    journal.close()
    with pytest.raises(ConfigError, match="versions was.*'numpy': '1.0'"):
        search(config_of(GRID), tmp_path / "run", resume=True)


def test_a_changed_trial_in_the_journal_is_noticed(tmp_path: Path) -> None:
    study = study_of(GRID)
    journal = Journal.create(tmp_path / "a.sqlite", study.document())
    journal.append([Outcome(3, {"fast": 99, "slow": 100}, COMPLETE, (1.0,))])
    with pytest.raises(ConfigError, match="the journal's trial 3 tried"):
        run_study(study, journal, 0.0, None)
    journal.close()


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to resume"):
        search(config_of(GRID), tmp_path, resume=True)
    (tmp_path / NAME).write_text("no database")
    with pytest.raises(ConfigError, match="cannot be read as the journal"):
        search(config_of(GRID), tmp_path, resume=True)


def test_daily_returns_are_kept_for_all_trials_of_a_small_study(tmp_path: Path) -> None:
    found = search(config_of(GRID), tmp_path / "run")
    assert sorted(found.returns) == list(range(POINTS))
    stats = [one.statistics for one in found.outcomes]
    for one, returns in zip(stats, found.returns.values(), strict=True):
        assert len(returns) == one["days"]
        assert np.prod(1.0 + returns) - 1.0 == pytest.approx(one["Return [%]"] / 100.0, abs=1e-12)


# --- objectives -------------------------------------------------------------------------------------------------------


def test_directions_are_what_is_usual_unless_named() -> None:
    known = dict.fromkeys(["Sharpe Ratio", "Turnover", "Max. Drawdown [%]"], 0.0)
    usual = make_objective(list(known), (), 1, known)
    assert usual.directions == ("maximize", "minimize", "maximize")
    assert usual.losses((1.0, 2.0, -3.0)) == (-1.0, 2.0, 3.0)
    assert make_objective("Turnover", "maximize", 1, known).losses((5.0,)) == (-5.0,)


def test_durations_count_in_seconds() -> None:
    assert number_of(timedelta(minutes=2)) == 120.0


@pytest.mark.parametrize(("section", "message"), [
    ({"objective": "Sharp Ratio"}, "'Sharp Ratio' is no statistic of a run; did you mean 'Sharpe Ratio'?"),
    ({"objective": "Start"}, "is a time of day"),
    ({"objective": []}, "name one statistic or several different ones"),
    ({"objective": ["Fees", "Fees"]}, "several different ones"),
    ({"direction": "up"}, "direction = 'up'"),
    ({"direction": ["maximize", "minimize"]}, "2 directions for 1 objectives"),
    ({"sampler": "cma-es", "objective": ["Fees", "Turnover"]}, "searches by one objective"),
    ({"sampler": "cma-es"}, "needs ranges, and fast lists its values"),
    ({"sampler": "gird"}, "did you mean 'grid'?"),
    ({"executor": "local", "address": "auto"}, "names a Ray cluster and executor = 'local'"),
    ({"trials": 0}, "a whole number from 1"),
    ({"min_trade": 3}, "unknown key 'min_trade'; did you mean 'min_trades'?"),
])
def test_a_bad_section_is_refused_before_anything_runs(section: dict[str, Any], message: str) -> None:
    if section.get("sampler") == "cma-es":
        pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match=re.escape(message)):
        study_of({**GRID, **section})


def test_trials_with_few_trades_do_not_count() -> None:
    study = study_of({**GRID, "min_trades": 40})
    outcomes = [Stage(study.setup, study.cache).run(Trial(0, point)) for point in study.space.grid()]
    states = {one.state for one in outcomes}
    assert states == {COMPLETE, FEW_TRADES}
    assert all((one.statistics["# Trades"] >= 40) is (one.state == COMPLETE) for one in outcomes)
    assert all(one.values is None for one in outcomes if one.state == FEW_TRADES)


def test_an_objective_that_is_never_defined_is_an_error_and_the_trials_stay(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no trial has a value for Sharpe Ratio \(11 few trades\)") as error:
        search(config_of({**GRID, "min_trades": 10_000}), tmp_path / "run")
    assert "min_trades = 10000" in str(error.value)
    assert str(tmp_path / "run") in str(error.value)
    journal = Journal.open(tmp_path / "run" / NAME)
    assert len(journal.ledger()) == POINTS
    journal.close()


def test_a_strategy_that_raises_makes_failed_trials_and_the_others_go_on(tmp_path: Path) -> None:
    class Raises(Strategy):
        """Divides by a parameter."""

        name = "raises_for_search"
        by = Param(1, low=0, high=3)

        @staticmethod
        def decide(now: Any) -> None:
            """Buy, close, and divide."""
            if now.position.qty == 0:
                buy(now, qty=float(10 // now.p.by))
            else:
                close_position(now)

    framework.plugins.registry().add("strategy", Raises)
    found = search(config_of({"space": {"by": [0, 1, 2]}}, strategy={"name": Raises.name}), tmp_path / "run",
                   report=False)
    assert [one.state for one in found.outcomes] == [FAILED, COMPLETE, COMPLETE]
    assert "ZeroDivisionError" in found.outcomes[0].error


# --- what a search leaves ---------------------------------------------------------------------------------------------


def outcome(number: int, *values: float, **params: Any) -> Outcome:
    """Return a complete trial."""
    return Outcome(number, params, COMPLETE, values, {"# Trades": 50})


def found_of(study: Any, outcomes: list[Outcome]) -> Search:
    """Return a search that ended with these trials."""
    return Search(study=study, outcomes=tuple(outcomes), work=Work("local", 1, 0.0, 0, 0, 0))


def test_the_best_is_the_earliest_of_equal_ones() -> None:
    study = study_of(GRID)
    found = found_of(study, [outcome(0, 1.0, fast=3, slow=10), outcome(1, 2.0, fast=3, slow=20),
                             outcome(2, 2.0, fast=3, slow=40)])
    assert found.best.number == 1


def test_the_front_has_what_no_other_trial_beats_in_everything() -> None:
    """(3, 9) beats (2, 9) and (3, 8); (1, 10) and (5, 1) each lead in one; the second (3, 9) is the same."""
    study = study_of({**GRID, "objective": ["Sharpe Ratio", "# Trades"]})
    pairs = [(2.0, 9.0), (3.0, 9.0), (3.0, 8.0), (1.0, 10.0), (5.0, 1.0), (3.0, 9.0)]
    found = found_of(study, [outcome(i, *pair, fast=3, slow=10) for i, pair in enumerate(pairs)])
    assert [one.number for one in found.front] == [4, 1, 3]
    assert found.best.number == 4


LINE = Space((Dimension("x", (1, 2, 3, 4, 5, 6, 7)),))


@pytest.mark.parametrize(("values", "verdict", "kept"), [
    ((0.0, 0.0, 0.8, 1.0, 0.6, 0.0, 0.0), "plateau", 0.7),
    ((0.0, 0.0, 0.1, 1.0, 0.1, 0.0, 0.0), "spike", 0.1),
    ((0.0, 0.0, 0.3, 1.0, 0.3, 0.0, 0.0), "slope", 0.3),
])
def test_neighbours_tell_a_plateau_from_a_spike(values: tuple[float, ...], verdict: str, kept: float) -> None:
    """Most trials have 0, so that the middle is 0; the point before and the one behind were tried twice."""
    study = study_of(GRID)
    outcomes = [outcome(i, value, x=i + 1) for i, value in enumerate(values)]
    outcomes += [outcome(7, values[2], x=3), outcome(8, 0.0, x=7), outcome(9, 0.0, x=7), outcome(10, values[4], x=5)]
    told = neighbourhood(LINE, study.objective, outcomes, outcomes[3], True)
    assert told.numbers == (2, 4, 7, 10)
    assert (told.verdict, told.middle) == (verdict, 0.0)
    assert told.kept == pytest.approx(kept)


def test_too_few_neighbours_say_nothing() -> None:
    study = study_of(GRID)
    outcomes = [outcome(i, float(i), x=i + 1) for i in range(7)]
    assert neighbourhood(LINE, study.objective, outcomes, outcomes[6], True).verdict == "unknown"


def test_the_best_configuration_gives_the_best_value_again(tmp_path: Path) -> None:
    found = search(config_of(GRID), tmp_path / "run")
    again = framework.backtest(tmp_path / "run" / "best.toml")
    assert found.best.values == (again.stats["Sharpe Ratio"],)
    assert again.config["strategy"][0]["params"] == found.best.params  # type: ignore[index]
    assert found.backtest().stats["Sharpe Ratio"] == again.stats["Sharpe Ratio"]


def test_a_notebook_gets_trials_and_best_without_a_folder() -> None:
    frame = load(config_of(GRID)).bars("A")
    found = framework.optimize(data=frame, strategy="ma_cross", space=SPACE, constraints=["fast < slow"],
                               objective="Return [%]", executor="local", fees={"taker_bps": 2})
    assert len(found.trials) == POINTS
    assert found.folder is None
    assert found.best.values is not None
    assert found.trials["Return [%]"].max() == found.best.values[0]
    assert {"trial", "state", "fast", "slow", "Return [%]", "# Trades", "error"} <= set(found.trials.columns)
    assert "11 trials" in repr(found)


def test_the_best_configuration_of_all_symbols_can_be_loaded(tmp_path: Path) -> None:
    """A file says that all symbols are meant by naming none; an empty list would be refused."""
    rows = ["time,open,high,low,close,volume", *(f"2024-01-{day:02},10,12,9,{9 + day % 3},5" for day in range(1, 31))]
    (tmp_path / "A.csv").write_text("\n".join(rows) + "\n")
    framework.optimize(data={"source": "csv", "path": str(tmp_path / "A.csv")}, strategy="ema_cross", min_trades=0,
                       space={"fast": [2, 3], "slow": [5]}, sampler="grid", objective="Return [%]", out=tmp_path / "s")
    assert "symbols" not in (tmp_path / "s" / "best.toml").read_text()
    assert framework.load_config(tmp_path / "s" / "best.toml").data.symbols == ()


def test_a_strategy_that_does_not_compile_is_named_once_with_the_reason(tmp_path: Path) -> None:
    """Every trial of such a search is slower: it is said before the start, in the result, its file and its report."""
    class Wordy(Strategy):
        name = "wordy"
        days = Param(3, low=1, high=9)

        @staticmethod
        def decide(now):  # type: ignore[no-untyped-def]
            if json.dumps({"qty": now.position.qty}) == '{"qty": 0.0}':
                buy(now, qty=1.0)
            elif now.position.qty > 0.0:
                close_position(now)

    found = framework.optimize(data={"source": "synthetic", "bars": 60}, symbols=["A", "B"], strategy=Wordy,
                               space={"days": [2, 3]}, sampler="grid", min_trades=0, objective="Return [%]",
                               out=tmp_path / "s")
    (note,) = found.notes
    assert note.startswith("wordy.decide runs interpreted: Unknown attribute 'dumps'")
    assert str(found).count(note) == 1
    assert json.loads((tmp_path / "s" / "optimize.json").read_text())["notes"] == [note]
    assert "wordy.decide runs interpreted" in (tmp_path / "s" / "report.html").read_text()
    assert str(forecast(found.study, 1)).endswith(f"\n* {note}")
    asked = framework.optimize(data={"source": "synthetic", "bars": 60}, symbols=["A"], strategy=Wordy,
                               space={"days": [2, 3]}, sampler="grid", min_trades=0, objective="Return [%]",
                               interpreted=True)
    assert asked.notes == ()


def test_the_section_of_a_configuration_is_kept_as_plain_values() -> None:
    config = config_of({**GRID, "objective": ["Fees", "Turnover"]})
    again = framework.backtest.config.config_from_dict(config.to_dict())  # type: ignore[attr-defined]
    assert again == config
    assert prepare(again).space.described() == prepare(config).space.described()


# --- how far to believe it --------------------------------------------------------------------------------------------


def test_the_evidence_counts_all_trials_and_those_of_earlier_searches(tmp_path: Path) -> None:
    """The first search and its repetition are 11 trials; another one tries 9 points of its own."""
    first = search(config_of(GRID), tmp_path / "first", report=False)
    again = search(config_of(GRID), tmp_path / "again", report=False)
    other = search(config_of({"space": {"fast": [4, 6, 7], "slow": [15, 25, 35]}}), tmp_path / "other", report=False)
    elsewhere = search(config_of(GRID, data={"source": "synthetic", "symbols": ["A"], "timeframe": "1h", "bars": 900}),
                       tmp_path / "elsewhere", report=False)
    assert first.earlier == again.earlier == ()
    assert len(other.earlier) == POINTS
    assert elsewhere.earlier == ()
    assert other.evidence is not None
    told = other.evidence.to_dict()
    assert told["trials"] == 9 + POINTS
    assert told["daily_sharpe"] == pytest.approx(other.best.statistics["sharpe_daily"])
    assert told["skew"] == pytest.approx(other.best.statistics["skew"])
    assert told["kurtosis"] == pytest.approx(other.best.statistics["kurtosis"])


def test_one_trial_alone_has_no_evidence(tmp_path: Path) -> None:
    assert search(config_of({"space": {"fast": [5]}}), tmp_path / "run").evidence is None
