"""`framework report` and `framework completion`: what they write, what they say, and what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from told_runs import make_run, write_bars

from framework.cli import main
from framework.cli.app import VERBS


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The run of told_runs, without a report."""
    write_bars(tmp_path)
    made = make_run(tmp_path, "run")
    capsys.readouterr()
    return made


def test_a_report_that_was_left_out_is_made_from_the_run_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same bytes as that of a run that wrote it at once."""
    assert not (run / "report.html").exists()
    assert main(["report", str(run), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"run": str(run), "report": str(run / "report.html"), "is_rebuilt": True, "differences": []}
    assert main(["backtest", str(run.parent / "hand.toml"), "--out", str(run.parent / "whole")]) == 0
    assert (run / "report.html").read_bytes() == (run.parent / "whole" / "report.html").read_bytes()
    assert not list(run.glob(".report*"))


def test_a_report_that_is_there_is_shown_and_made_again_only_when_asked(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--open hands its address to the browser."""
    (run / "report.html").write_text("kept")
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    assert main(["report", str(run), "--open"]) == 0
    assert capsys.readouterr().out == f"report  {run / 'report.html'}\n"
    assert (run / "report.html").read_text() == "kept"
    assert shown == [(run / "report.html").resolve().as_uri()]
    assert main(["report", str(run), "--rebuild"]) == 0
    assert (run / "report.html").read_text() != "kept"


def test_a_repetition_that_differs_writes_no_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording whose trades were changed by hand is not the run of its configuration."""
    trades = pl.read_parquet(run / "trades.parquet")
    trades.with_columns(pl.col("pnl") + 1.0).write_parquet(run / "trades.parquet")
    assert main(["report", str(run)]) == 1
    assert "differs from the recording in trades" in capsys.readouterr().err
    assert not (run / "report.html").exists()


def test_what_is_no_run_folder_is_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a run, a misspelt one, and a run.json that is none."""
    assert main(["report", str(run.parent / "ran")]) == 2
    assert "did you mean 'run'?" in capsys.readouterr().err
    (run / "run.json").write_text("{")
    assert main(["report", str(run)]) == 2
    assert "cannot read" in capsys.readouterr().err
    (run / "run.json").write_text('{"seed": 1}')
    assert main(["report", str(run)]) == 2
    assert "it lacks config, versions" in capsys.readouterr().err


def test_a_run_in_the_folder_of_runs_is_found_by_its_name(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `framework backtest` without --out puts it there."""
    (run.parent / "runs").mkdir()
    run.rename(run.parent / "runs" / "one")
    monkeypatch.chdir(run.parent)
    assert main(["report", "one", "--data-folder", "."]) == 0
    assert capsys.readouterr().out == "report  runs/one/report.html (made again)\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_names_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """click's own script, with our variable in it."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_FRAMEWORK_COMPLETE" in script
    assert "framework" in script


def test_the_shell_is_told_the_verbs_that_begin_alike() -> None:
    """What the script asks the command when somebody types `framework re` and the tab key."""
    command = str(Path(sys.executable).parent / "framework")
    ask = {**os.environ, "_FRAMEWORK_COMPLETE": "bash_complete", "COMP_WORDS": "framework re", "COMP_CWORD": "1"}
    done = subprocess.run([command], env=ask, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    offered = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert offered == [name for name in VERBS if name.startswith("re")]


def test_a_shell_that_is_not_known_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that are."""
    assert main(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err
