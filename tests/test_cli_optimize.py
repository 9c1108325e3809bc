"""`framework optimize`: what it prints and writes, and that neither Ctrl-C nor SIGKILL loses a finished trial."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import framework
from framework.cli import main
from framework.research.journal import NAME, Journal

CONFIG = """
[data]
source = "synthetic"
symbols = ["A"]
timeframe = "1h"
bars = {bars}
seed = 4
[strategy]
name = "ma_cross"
[optimize]
constraints = ["fast < slow"]
executor = "local"
[optimize.space]
fast = {{ low = 3, high = {high} }}
slow = [10, 20, 40]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with 8 * 3 - 1 = 23 points."""
    path = tmp_path / "run.toml"
    path.write_text(CONFIG.format(bars=1_000, high=10))
    return path


TRIALS = 7 + 17 + 37
"""Pairs in order of lengths from 3 to 200 and the lengths 10, 20 and 40."""


WHOLE = "from framework.cli import main; raise SystemExit(main())"
"""A command line as a program."""

ENDED = """
import os, sys
from framework.cli import main
from framework.research import journal, study

append = journal.Journal.append

def append_and_end(self, outcomes):
    append(self, outcomes)
    if len(self.outcomes()) >= {after}:
        journal.Journal.append = append
        os.kill(os.getpid(), {ending})

study.FLUSH_SECONDS = 0.0
journal.Journal.append = append_and_end
sys.exit(main())
"""
"""A command line that commits every trial at once and sends itself a signal when so many are in the journal."""


def ended(arguments: list[str], folder: Path, ending: signal.Signals, after: int) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own that is ended in the middle of its search."""
    return command(["-c", ENDED.format(after=after, ending=int(ending)), *arguments], folder)


def command(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python."""
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120,
                          check=False)


def count(path: Path) -> int:
    """Return the number of trials that a journal holds while somebody writes it."""
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            return int(database.execute("select count(*) from trials").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def ledger(folder: Path) -> list[tuple[Any, ...]]:
    """Return the ledger of a folder."""
    journal = Journal.open(folder / NAME)
    try:
        return journal.ledger()
    finally:
        journal.close()


def test_a_search_prints_its_best_and_writes_a_folder(config: Path, capsys: pytest.CaptureFixture[str],
                                                      tmp_path: Path) -> None:
    assert main(["optimize", str(config), "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    told = capsys.readouterr()
    assert "23 trials on 1 worker, about" in told.err
    assert "* 23 trials, 23 with a value" in told.out
    assert str(tmp_path / "out" / "best.toml") in told.out
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        NAME, "best.toml", "optimize.json", "trials.parquet", "report.html"}
    document = json.loads((tmp_path / "out" / "optimize.json").read_text())
    best = framework.backtest(tmp_path / "out" / "best.toml")
    assert document["best"]["value"] == best.stats["Sharpe Ratio"]


def test_json_is_one_document_with_the_best_and_the_number_of_trials(config: Path, tmp_path: Path,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["optimize", str(config), "--json", "--no-report", "--out", str(tmp_path / "out"), "--sampler",
                 "random", "--trials", "7", "--seed", "3"]
    assert main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["trials"] == 7
    assert set(answer["best"]["params"]) == {"fast", "slow"}
    assert answer["run"] == str(tmp_path / "out")
    assert answer["seed"] == 3
    assert answer["statistics"]["neighbourhood"]["verdict"]
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_forecast_alone_writes_nothing(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["optimize", str(config), "--forecast", "--json", "--out", str(tmp_path / "out")]) == 0
    ahead = json.loads(capsys.readouterr().out)["forecast"]
    assert ahead["trials"] == 23
    assert ahead["columns"] == 10
    assert not (tmp_path / "out").exists()


def test_a_forecast_counts_an_average_that_both_parameters_use_once(config: Path,
                                                                   capsys: pytest.CaptureFixture[str]) -> None:
    """Lengths 3..9 and 10 of `fast` and 10, 20, 40 of `slow` are ten averages; (10, 10) is not in order."""
    assert main(["optimize", str(config), "--forecast"]) == 0
    assert "10 indicator columns" in capsys.readouterr().out


def test_a_forecast_of_a_search_that_is_continued_is_of_what_is_left(config: Path, tmp_path: Path,
                                                                     capsys: pytest.CaptureFixture[str]) -> None:
    """The last two of 23 points are (10, 20) and (10, 40): three averages; then none is left."""
    out = tmp_path / "out"
    assert main(["optimize", str(config), "--out", str(out), "--no-report"]) == 0
    with sqlite3.connect(out / NAME) as database:
        for table in ("trials", "returns"):
            database.execute(f"delete from {table} where number >= 21")
    ask = ["optimize", str(config), "--workers", "2", "--resume", str(out)]
    capsys.readouterr()
    assert main([*ask, "--forecast", "--json"]) == 0
    ahead = json.loads(capsys.readouterr().out)["forecast"]
    assert (ahead["trials"], ahead["done"], ahead["columns"]) == (23, 21, 3)
    assert ahead["seconds"] == pytest.approx((2 * ahead["trial_seconds"] + 3 * ahead["column_seconds"])
                                             / ahead["workers"])
    assert count(out / NAME) == 21, "a forecast runs nothing that is kept"
    assert main([*ask, "--no-report"]) == 0
    told = capsys.readouterr()
    assert "2 of 23 trials left to run on 2 workers" in told.err
    assert "21 were there already" in told.out
    assert main([*ask, "--no-report"]) == 0
    assert "all 23 trials are there already" in capsys.readouterr().err
    assert main([*ask, "--forecast", "--set", "strategy.params.fast=4", "--set", "fees.taker_bps=1"]) == 2
    assert "another study" in capsys.readouterr().err


@pytest.mark.parametrize(("changes", "message"), [
    (["--sampler", "gird"], "did you mean 'grid'?"),
    (["--set", 'optimize.constraints=["fast > 90"]'], "contradict each other or the space"),
    (["--set", "optimize.space={}", "--set", "optimize.constraints=[]", "--set", "strategy.name=nothing"], "nothing"),
    (["--resume", "nowhere"], "nothing to resume"),
    (["--resume", "x", "--out", "y"], "leave --out away"),
    (["--trials", "0"], "a whole number from 1"),
])
def test_bad_input_is_one_message_and_exit_code_2(changes: list[str], message: str, config: Path,
                                                  capsys: pytest.CaptureFixture[str], tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["optimize", str(config), *changes]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.toml"]


def test_a_folder_that_is_there_is_not_written_over(config: Path, tmp_path: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    assert main(["optimize", str(config), "--out", str(tmp_path / "out")]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_a_search_that_is_killed_or_interrupted_is_resumed_to_the_same_ledger(ending: signal.Signals, code: int,
                                                                            tmp_path: Path) -> None:
    """Only what was not yet in the journal is run again."""
    path = tmp_path / "run.toml"
    path.write_text(CONFIG.format(bars=200_000, high=200))
    arguments = ["optimize", str(path), "--no-report", "--workers", "2"]
    part = ended([*arguments, "--out", "part"], tmp_path, ending, after=5)
    assert part.returncode == code, part.stderr
    saved = count(tmp_path / "part" / NAME)
    assert 5 <= saved < TRIALS
    if ending == signal.SIGINT:
        assert f"interrupted with {saved} of" in part.stderr
        assert "--resume part" in part.stderr
    rest = command(["-c", WHOLE, *arguments, "--resume", "part", "--json"], tmp_path)
    assert rest.returncode == 0, rest.stderr
    work = json.loads(rest.stdout)["work"]
    assert work["resumed"] == saved
    assert work["ran"] == TRIALS - saved
    assert main(["optimize", str(path), "--no-report", "--workers", "1", "--out", str(tmp_path / "whole")]) == 0
    assert ledger(tmp_path / "part") == ledger(tmp_path / "whole")
