"""Walk-forward that is interrupted: nothing that was finished runs again, and the end is the same as without it."""

from __future__ import annotations

import json
import shlex
import signal
import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest
import tomli_w

from framework.backtest.config import config_from_dict
from framework.cli.app import run
from framework.errors import ConfigError, Interrupted
from framework.research.folds import cross_validate
from framework.research.journal import NAME, Journal
from framework.research.study import Progress
from framework.research.walk_forward import STUDY, forward, walk_forward
from tests.test_cli_optimize import ended

DOCUMENT: dict[str, Any] = {
    "data": {"source": "synthetic", "symbols": ["A"], "timeframe": "4h", "bars": 1_200, "seed": 4},
    "strategy": {"name": "ma_cross"},
    "fees": {"taker_bps": 5},
    "optimize": {"space": {"fast": [4, 8, 12], "slow": [20, 30]}, "executor": "local", "workers": 1},
    "walk_forward": {"train": "60d", "test": "30d"},
}
TRIALS = 6


def ledgers(folder: Path) -> list[list[tuple[Any, ...]]]:
    """Return the ledger of every leg."""
    found = []
    for path in sorted(folder.glob(f"legs/*/{NAME}")):
        journal = Journal.open(path)
        found.append(journal.ledger())
        journal.close()
    return found


def interrupted(document: dict[str, Any], folder: Path, leg: int, after: int) -> None:
    """Run a walk-forward until a leg has so many trials."""
    def watch(number: int, legs: int, now: Progress) -> None:
        if (number, now.done) == (leg, after):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=f"interrupted with {after} of {TRIALS} trials"):
        forward(config_from_dict(document), folder, watch=watch)


@pytest.mark.parametrize(("leg", "after"), [(1, 1), (2, 4), (3, 6)])
def test_an_interrupted_walk_forward_is_resumed_to_the_same_end(leg: int, after: int, tmp_path: Path) -> None:
    """Of the legs before, and of this one the trials that were finished, none is run again."""
    config = config_from_dict(DOCUMENT)
    whole = forward(config, tmp_path / "whole")
    interrupted(DOCUMENT, tmp_path / "part", leg, after)
    resumed = forward(config, tmp_path / "part", resume=True)
    assert [one.resumed for one in resumed.legs] == [TRIALS] * (leg - 1) + [after] + [0] * (len(whole.legs) - leg)
    assert ledgers(tmp_path / "part") == ledgers(tmp_path / "whole")
    for name in ("stats.json", "legs.parquet", "trades.parquet", "equity.parquet"):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert [one.params for one in resumed.legs] == [one.params for one in whole.legs]


def test_a_leg_that_was_only_about_to_begin_is_begun(tmp_path: Path) -> None:
    """A process killed while it makes a journal leaves a file without tables."""
    config = config_from_dict(DOCUMENT)
    interrupted(DOCUMENT, tmp_path / "part", 1, 3)
    (tmp_path / "part" / "legs" / "002").mkdir()
    sqlite3.connect(tmp_path / "part" / "legs" / "002" / NAME).close()
    (tmp_path / "part" / "legs" / "002" / NAME).touch()
    assert not Journal.is_begun(tmp_path / "part" / "legs" / "002" / NAME)
    resumed = forward(config, tmp_path / "part", resume=True)
    assert [one.resumed for one in resumed.legs[:3]] == [3, 0, 0]


@pytest.mark.parametrize(("change", "told"), [
    ({"walk_forward": {"train": "60d", "test": "20d"}}, r"another study: \[walk_forward\] was .*'30d'.*'20d'"),
    ({"fees": {"taker_bps": 6}}, r"another study: \[fees\]"),
    ({"data": {**DOCUMENT["data"], "seed": 5}}, "another study: fingerprint"),
])
def test_another_walk_forward_is_not_continued(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    """Before anything runs."""
    interrupted(DOCUMENT, tmp_path / "part", 1, 2)
    with pytest.raises(ConfigError, match=told):
        forward(config_from_dict({**DOCUMENT, **change}), tmp_path / "part", resume=True)
    assert [len(one) for one in ledgers(tmp_path / "part")] == [2]


def test_there_is_nothing_to_resume_in_another_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"nothing to resume: .*{STUDY}"):
        forward(config_from_dict(DOCUMENT), tmp_path, resume=True)
    with pytest.raises(ConfigError, match="resume=True needs out="):
        walk_forward(DOCUMENT, resume=True)


def test_an_interrupted_cross_validation_is_resumed(tmp_path: Path) -> None:
    """The study of all folds is one search."""
    config = config_from_dict({**DOCUMENT, "walk_forward": {"method": "purged_kfold", "folds": 4}})
    whole = cross_validate(config, tmp_path / "whole")

    def watch(now: Progress) -> None:
        if now.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        cross_validate(config, tmp_path / "part", watch=watch)
    found = cross_validate(config, tmp_path / "part", resume=True)
    assert found.search.work.resumed == 2
    assert found.of_paths == whole.of_paths


def test_the_command_says_how_to_go_on_and_does(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGINT ends with 130 and the command line that continues; flags choose who runs."""
    path = tmp_path / "wf.toml"
    space = {"fast": {"low": 2, "high": 60}, "slow": {"low": 61, "high": 160}}
    path.write_text(tomli_w.dumps({**DOCUMENT, "data": {**DOCUMENT["data"], "bars": 4_000, "timeframe": "1h"},
                                   "optimize": {"space": space}}))
    changed = ["--set", "run.capital=50_000", "--set", 'run.name="two words"']
    changed += ["--interpreted", "--no-report"]
    part = ended(["walk-forward", str(path), "--out", "part", *changed], tmp_path, signal.SIGINT, after=5)
    assert part.returncode == 130, part.stderr
    told = shlex.split(part.stderr[part.stderr.index("continue with: ") :].splitlines()[0])[2:]
    assert told == ["framework", "walk-forward", str(path), "--resume", "part", *changed]
    monkeypatch.chdir(tmp_path)
    assert run(["walk-forward", str(path), "--resume", "part", "--out", "other"]) == 2
    assert "leave --out away" in capsys.readouterr().err


def test_flags_choose_who_runs_and_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As those of `framework optimize`."""
    path = tmp_path / "wf.toml"
    path.write_text(tomli_w.dumps(DOCUMENT))
    flags = ["--sampler", "random", "--trials", "3", "--executor", "local", "--workers", "2", "--no-report", "--json"]
    assert run(["walk-forward", str(path), *flags, "--out", str(tmp_path / "out")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {leg["trials"] for leg in answer["legs"]} == {3}
    assert run(["walk-forward", str(path), "--executor", "locale"]) == 2
    assert "did you mean 'local'" in capsys.readouterr().err


def test_a_cluster_is_kept_for_all_legs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ray's processes are started once, not leg by leg."""
    from framework.research import optimize

    begun: list[str] = []

    class Kept:
        """Stands for the connection."""

        def __enter__(self) -> None:
            begun.append("kept")

        def __exit__(self, *error: Any) -> None:
            begun.append("left")

    class Threads(optimize.LocalExecutor):
        """Stands for Ray's executor."""

        def __init__(self, setup: Any, *rest: Any) -> None:
            from framework.indicators import ColumnCache

            begun.append("leg")
            super().__init__(setup, ColumnCache(), 1)

    pytest.importorskip("ray")
    from framework.research import ray_cluster

    monkeypatch.setattr(ray_cluster, "kept_connection", lambda *rest: Kept())
    monkeypatch.setattr(ray_cluster, "RayExecutor", Threads)
    document = {**DOCUMENT, "optimize": {**DOCUMENT["optimize"], "executor": "ray"}}
    found = forward(attrs.evolve(config_from_dict(document)), tmp_path / "run", write=False)
    assert begun == ["kept", *["leg"] * len(found.legs), "left"]
