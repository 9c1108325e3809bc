"""Purged folds: hand-worked splits and paths, laws on random ones, and choices that cannot see tested days."""

from __future__ import annotations

import json
from itertools import pairwise
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.backtest import metrics
from framework.backtest.config import config_from_dict
from framework.cli.app import run
from framework.errors import ConfigError
from framework.research.folds import Validation, choices, cpcv, cross_validate, measure, paths_of, purged_kfold
from framework.research.objective import Objective
from tests.test_research_report import Page, sections

DOCUMENT: dict[str, Any] = {
    "data": {"source": "synthetic", "symbols": ["A"], "timeframe": "4h", "bars": 900, "seed": 4},
    "strategy": {"name": "ma_cross"},
    "fees": {"taker_bps": 5},
    "optimize": {"space": {"fast": [4, 8, 12], "slow": [20, 30]}, "executor": "local", "workers": 1},
    "walk_forward": {"method": "cpcv", "folds": 4, "test_folds": 2, "purge": "2d", "embargo": "3d"},
}
SHARPE = Objective(("Sharpe Ratio",), ("maximize",))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Validation:
    """The cross-validation of DOCUMENT."""
    return cross_validate(config_from_dict(DOCUMENT), tmp_path_factory.mktemp("folds") / "run")


def test_training_days_next_to_a_test_are_purged_and_embargoed() -> None:
    """Ten days, five folds, one day of purge, two of embargo: testing 4 and 5 leaves 0 to 2 and 8 on."""
    splits = purged_kfold(np.arange(10), 5, 1, 2)
    assert splits[2].test.tolist() == [4, 5]
    assert splits[2].train.tolist() == [0, 1, 2, 8, 9]
    assert splits[0].train.tolist() == [4, 5, 6, 7, 8, 9]
    assert splits[4].train.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_six_folds_of_which_two_are_tested_make_five_paths() -> None:
    """The example of Lopez de Prado (2018, 12.4): 15 splits, 5 paths; the first is (1, 1, 2, 3, 4, 5), from 1 on."""
    splits = cpcv(np.arange(60), 6, 2)
    paths = paths_of(splits, 6)
    assert len(splits) == 15
    assert len(paths) == 5
    assert [number + 1 for number in paths[0]] == [1, 1, 2, 3, 4, 5]
    assert [number + 1 for number in paths[4]] == [5, 9, 12, 14, 15, 15]


@settings(max_examples=60, deadline=None)
@given(days=st.integers(12, 200), folds=st.integers(3, 6), tested=st.integers(1, 2), purge=st.integers(0, 3),
       embargo=st.integers(0, 3), seed=st.integers(0, 100))
def test_no_training_day_is_within_a_gap_of_a_tested_one(days: int, folds: int, tested: int, purge: int, embargo: int,
                                                         seed: int) -> None:
    """For any times; each fold is tested equally often, and each path takes each fold from a split that tests it."""
    time = np.cumsum(np.random.default_rng(seed).integers(1, 4, days))
    try:
        splits = cpcv(time, folds, tested, purge, embargo)
    except ConfigError:
        return
    assert len(splits) == comb(folds, tested)
    for split in splits:
        apart = time[split.train][:, None] - time[split.test][None, :]
        assert not np.any((apart <= 0) & (apart >= -purge))
        assert not np.any((apart >= 0) & (apart <= embargo))
    times_tested = np.bincount(np.concatenate([split.test for split in splits]), minlength=days)
    assert set(times_tested) == {comb(folds - 1, tested - 1)}
    paths = paths_of(splits, folds)
    for path in paths:
        assert all(fold in splits[number].groups for fold, number in enumerate(path))
    assert all(a != b for a, b in pairwise(paths))


def test_a_choice_does_not_look_at_days_that_do_not_train() -> None:
    """Every day that is tested or in a gap is poisoned: choice and value stay; a poisoned training day changes them."""
    rng = np.random.default_rng(1)
    matrix = 0.001 + 0.01 * rng.standard_normal((20, 100))
    splits = cpcv(np.arange(100), 5, 2, 2, 3)
    for split, best, value in choices(splits, matrix, SHARPE, 252.0, 0.0):
        poisoned = rng.standard_normal(matrix.shape)
        poisoned[:, split.train] = matrix[:, split.train]
        (_, again, same), = choices([split], poisoned, SHARPE, 252.0, 0.0)
        assert (again, same) == (best, value)
        assert value == max(metrics.sharpe_ratio(row[split.train], 252.0) for row in matrix)


def test_measures_of_daily_returns_are_hand_worked() -> None:
    """+10 %, -20 %, +10 %: 1.1 * 0.8 * 1.1 - 1 = -3.2 %; from 1.1 to 0.88 is a drawdown of 20 %."""
    returns = np.array([0.1, -0.2, 0.1])
    assert measure("Return [%]", returns, 252.0, 0.0) == pytest.approx(-3.2)
    assert measure("Max. Drawdown [%]", returns, 252.0, 0.0) == pytest.approx(-20.0)
    assert measure("Max. Drawdown [%]", -returns[:1], 252.0, 0.0) == pytest.approx(-10.0)


def test_paths_hold_the_returns_of_what_was_chosen(found: Validation) -> None:
    """Four folds, two tested: six splits, three paths; each fold of each path is that of its split's best point."""
    assert len(found.folds) == 6
    assert found.paths.shape == (3, len(found.time))
    parts = np.array_split(np.arange(len(found.time)), 4)
    splits = [fold.split for fold in found.folds]
    for path, numbers in zip(found.paths, paths_of(splits, 4), strict=True):
        for part, number in zip(parts, numbers, strict=True):
            np.testing.assert_array_equal(path[part], found.folds[number].returns[part])
    best = found.search.best
    assert any(fold.params == best.params for fold in found.folds)
    assert (found.purge.days, found.embargo.days) == (2, 3)


@pytest.mark.parametrize(("sections", "told"), [
    ({"optimize": {**DOCUMENT["optimize"], "objective": "Profit Factor"}}, "one statistic of daily returns"),
    ({"walk_forward": {"method": "purged_kfold", "purge": "1000d"}}, "leave 0 days to train on"),
    ({"optimize": {"sampler": "random", "trials": 2_500}}, "2,500 trials: the daily returns of at most 2,000"),
    ({"walk_forward": {"method": "purged_kfold", "folds": 900}}, "at least a day a fold"),
    ({"walk_forward": {"train": "60d", "test": "30d"}}, "to cross-validate"),
])
def test_folds_that_cannot_be_are_refused(sections: dict[str, Any], told: str, tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(ConfigError, match=told):
        cross_validate(config_from_dict({**DOCUMENT, **sections}), tmp_path / "run")


def test_the_command_cross_validates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document on stdout; the folder holds the journal and the paths."""
    import tomli_w

    path = tmp_path / "folds.toml"
    path.write_text(tomli_w.dumps({**DOCUMENT, "walk_forward": {"method": "purged_kfold", "folds": 3}}),
                    encoding="utf-8")
    assert run(["walk-forward", str(path), "--json", "--out", str(tmp_path / "out")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["method"] == "purged_kfold"
    assert [one["tested"] for one in answer["splits"]] == [[1], [2], [3]]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    checked = Page(page)
    assert (checked.open, checked.links) == ([], [])
    assert sections(page) == ["How far to believe it", "The paths", "Path by path", "Split by split",
                              "Stability of the parameters", "To do it again"]
    assert "Counting all 6 trials" in page
    for fold in answer["splits"]:
        assert f"<td class=\"n\">{fold['out']:,.2f}</td>" in page
    assert run(["walk-forward", str(path), "--out", str(tmp_path / "bare"), "--no-report"]) == 0
    assert not (tmp_path / "bare" / "report.html").exists()
    assert len(answer["paths"]) == 1
    assert (tmp_path / "out" / "paths.parquet").is_file()
    assert run(["walk-forward", str(path), "--out", str(tmp_path / "two")]) == 0
    assert "path 1: Sharpe Ratio" in capsys.readouterr().out
