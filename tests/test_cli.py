"""The command line: verbs, flags, exit codes, what stands on stdout and stderr, and what is left on disk."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from plugin_dist import strategy_source, write_distribution
from sample_result import sample_result

from framework import plugins
from framework.cli import app, execute, main, progress, state
from framework.errors import ConfigError, DataError, Interrupted, StrategyError

CONFIG = """
[data]
source = "sample"
symbols = ["AAPL"]
[strategy]
name = "ema_cross"
"""


@attrs.define
class Run:
    """Stands in for `framework.backtest.run`: remembers what it was asked and returns a ready result, or raises."""

    raises: BaseException | None = None
    configs: list[Any] = attrs.field(factory=list)
    interpreted: list[bool] = attrs.field(factory=list)

    def run(self, config: Any, tape: Any = None, progress: Any = None, interpreted: bool = False) -> Any:
        self.configs.append(config)
        self.interpreted.append(interpreted)
        if self.raises is not None:
            raise self.raises
        return sample_result()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with a configuration, and a process that has discovered nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_current", [])
    monkeypatch.delenv(plugins.ALLOW, raising=False)
    (tmp_path / "run.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def stand_in(here: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that costs nothing."""
    fake = Run()
    module = ModuleType("framework.backtest.run")
    module.run = fake.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "framework.backtest.run", module)
    return fake


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command and return its exit code, stdout and stderr."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_help_names_every_verb_and_imports_none_of_them(here: Path) -> None:
    program = (
        "import sys; from framework.cli import main; code = main(['--help']);"
        "heavy = {'numba', 'polars', 'pandas', 'plotly', 'rich', 'exchange_calendars'} & set(sys.modules);"
        "print(code, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    for verb in app.VERBS:
        assert re.search(rf"^  {verb} ", done.stdout, re.MULTILINE)


def test_help_answers_in_less_than_four_tenths_of_a_second(here: Path) -> None:
    command = [sys.executable, "-c", "from framework.cli import main; main(['--help'])"]

    def seconds() -> float:
        before = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        return time.perf_counter() - before

    assert min(seconds() for _ in range(5)) < 0.4


@pytest.mark.parametrize("verb", app.VERBS)
def test_every_verb_has_the_help_that_the_list_of_verbs_promises(verb: str, call: Any) -> None:
    code, out, _ = call(verb, "--help")
    assert code == 0
    assert app.VERBS[verb] in out or app.VERBS[verb].split()[0] in out
    assert "--help" in out


@pytest.mark.parametrize("verb", ["backtest", "demo"])
def test_verbs_that_run_take_all_shared_flags(verb: str, call: Any) -> None:
    _, out, _ = call(verb, "--help")
    for flag in ("--json", "--out", "--set", "--seed", "--verbose", "--interpreted"):
        assert flag in out


def test_the_version_is_that_of_the_distribution(call: Any) -> None:
    code, out, _ = call("--version")
    assert code == 0
    assert re.fullmatch(r"framework, version \d+\.\d+\.\d+\n", out)


def test_an_unknown_verb_is_bad_input_and_proposes_the_nearest(here: Path, call: Any) -> None:
    code, out, err = call("backtset")
    assert (code, out) == (2, "")
    assert "no such command 'backtset'; did you mean 'backtest'?" in err


def test_an_unknown_flag_is_bad_input(here: Path, call: Any) -> None:
    code, _, err = call("demo", "--sed", "3")
    assert code == 2
    assert "--sed" in err
    assert "Traceback" not in err


def test_no_verb_at_all_shows_the_help(here: Path, call: Any) -> None:
    code, out, err = call()
    assert code == 2
    assert "Commands:" in out + err


def test_a_verb_of_a_package_is_listed_and_runs_and_its_exit_code_counts(
    here: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        import click
        from framework import hookimpl

        @click.command("venue-ping", help="Ask the venue for its time.")
        def ping():
            click.echo("pong")
            return 1

        @hookimpl
        def register_commands():
            return [ping]
    """
    write_distribution(here, "verb-dist", {"verb_plugin": source})
    monkeypatch.syspath_prepend(here)
    assert "Ask the venue for its time." in call("--help")[1]
    assert call("venue-ping")[:2] == (1, "pong\n")


# --- exit codes -------------------------------------------------------------------------------------------------------


def test_a_run_that_ends_well_answers_zero_and_writes_its_folder(stand_in: Run, call: Any, here: Path) -> None:
    code, out, _ = call("backtest", "run.toml", "--no-report")
    assert code == 0
    folder = Path(re.search(r"^run +(\S+)$", out, re.MULTILINE)[1])
    assert re.fullmatch(r"\d{8}-\d{6}-run", folder.name)
    assert folder.parent == Path("runs")
    assert {"run.json", "stats.json", "trades.parquet", "equity.parquet"} <= {p.name for p in folder.iterdir()}
    assert "Sharpe Ratio" in out
    assert "report" not in out


def test_the_report_is_written_and_its_path_shown(stand_in: Run, call: Any, here: Path) -> None:
    code, out, _ = call("backtest", "run.toml", "--out", "mine")
    assert code == 0
    assert "report  mine/report.html" in out
    assert (here / "mine" / "report.html").stat().st_size > 0


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (ConfigError("[run] capital = 0; it must be > 0"), 2, "framework: [run] capital = 0; it must be > 0"),
        (DataError("no rows"), 2, "framework: no rows"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (Interrupted("stopped at bar 7"), 130, "stopped at bar 7"),
        (ZeroDivisionError("division by zero"), 1, "unexpected ZeroDivisionError: division by zero. Please report"),
        (MemoryError(), 1, "unexpected MemoryError"),
    ],
)
def test_an_error_becomes_a_message_and_an_exit_code_and_leaves_no_folder(
    stand_in: Run, call: Any, here: Path, raised: BaseException, code: int, said: str
) -> None:
    stand_in.raises = raised
    answered, out, err = call("backtest", "run.toml")
    assert (answered, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
    assert sorted(path.name for path in here.iterdir()) == ["run.toml"]


def test_the_authors_traceback_is_always_shown(stand_in: Run, call: Any) -> None:
    stand_in.raises = StrategyError("ema_cross.decide raised for AAPL", details="  File 'mine.py', line 3")
    code, _, err = call("backtest", "run.toml")
    assert code == 2
    assert "File 'mine.py', line 3" in err
    assert "ema_cross.decide raised for AAPL" in err


def test_verbose_shows_the_traceback_of_what_was_unexpected(stand_in: Run, call: Any) -> None:
    stand_in.raises = ZeroDivisionError("division by zero")
    code, _, err = call("backtest", "run.toml", "-v")
    assert code == 1
    assert "Traceback (most recent call last)" in err


def test_with_json_an_error_is_a_document_too(stand_in: Run, call: Any) -> None:
    stand_in.raises = ConfigError("wrong")
    code, out, err = call("backtest", "run.toml", "--json")
    assert code == 2
    assert json.loads(out) == {"error": "wrong", "exit_code": 2}
    assert "wrong" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backtest", "none.toml"], "no configuration file at 'none.toml'; did you mean 'run.toml'?"),
        (["backtest", "."], "is a folder"),
        (["backtest"], "CONFIG"),
        (["backtest", "run.toml", "--set", "run.capitol=1"], "did you mean 'capital'?"),
        (["backtest", "run.toml", "--set", "nonsense"], "is not of the form key=value"),
        (["backtest", "run.toml", "--seed", "-1"], "-1 is not in the range"),
        (["backtest", "run.toml", "--seed", "x"], "'x' is not a valid integer"),
        (["backtest", "run.toml", "--out", "run.toml"], "exists already"),
        (["demo", "extra"], "extra"),
        (["plugins", "check", "no_such_thing"], "unknown plug-in 'no_such_thing'"),
        (["plugins", "chek"], "chek"),
        (["new", "strategi", "x"], "strategi"),
        (["new", "strategy"], "NAME"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_two(
    stand_in: Run, call: Any, here: Path, arguments: list[str], said: str
) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert stand_in.configs == []
    assert sorted(path.name for path in here.iterdir()) == ["run.toml"]


# --- flags ------------------------------------------------------------------------------------------------------------


def test_flags_reach_the_configuration_and_the_seed_comes_last(stand_in: Run, call: Any) -> None:
    code, _, _ = call("backtest", "run.toml", "--set", "run.seed=3", "--set", "run.capital=7", "--seed", "9",
                      "--interpreted", "--no-report")
    assert code == 0
    config = stand_in.configs[0]
    assert (config.run.seed, config.run.capital, stand_in.interpreted) == (9, 7.0, [True])


def test_json_is_one_document_and_nothing_else(stand_in: Run, call: Any, here: Path) -> None:
    code, out, _ = call("backtest", "run.toml", "--json", "--no-report", "--out", "mine")
    answer = json.loads(out)
    assert code == 0
    assert (answer["run"], answer["name"], answer["report"]) == ("mine", "run", None)
    assert answer["stats"] == json.loads((here / "mine" / "stats.json").read_text())
    assert answer["trades"] == answer["stats"]["# Trades"]


def test_an_output_folder_that_exists_is_refused_before_the_run(stand_in: Run, call: Any, here: Path) -> None:
    (here / "mine").mkdir()
    code, _, err = call("backtest", "run.toml", "--out", "mine")
    assert code == 2
    assert "'mine' exists already; name another one with --out or remove it" in err
    assert stand_in.configs == []


def test_run_folders_of_one_second_get_numbers(here: Path) -> None:
    now = datetime(2024, 3, 1, 14, 30, 5)
    first = execute.run_folder(None, "my run/../x", now)
    assert first == Path("runs/20240301-143005-my-run-..-x")
    first.mkdir(parents=True)
    assert execute.run_folder(None, "my run/../x", now) == Path("runs/20240301-143005-my-run-..-x-2")


@pytest.mark.parametrize(("name", "label"), [("...", "run"), ("übung", "bung"), ("x" * 200, "x" * 80)])
def test_any_name_makes_a_folder_name(here: Path, name: str, label: str) -> None:
    assert execute.run_folder(None, name, datetime(2024, 3, 1)).name == f"20240301-000000-{label}"


def test_no_progress_bar_is_drawn_when_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "is_terminal", lambda: False)
    with progress.progress_bar("x") as told:
        assert told is None


def test_a_progress_bar_takes_events_done_and_in_all(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(progress, "is_terminal", lambda: True)
    with progress.progress_bar("x") as told:
        told(5, 10)
    assert capsys.readouterr().out == ""


def test_a_configuration_with_an_allow_list_is_run_under_it(stand_in: Run, call: Any, here: Path) -> None:
    (here / "run.toml").write_text(CONFIG + '[plugins]\nallow = ["some-dist"]\n')
    assert call("backtest", "run.toml", "--no-report")[0] == 0
    assert plugins.registry().allow == {"some-dist"}


def test_observers_hear_of_a_run_and_of_its_result(stand_in: Run, call: Any, here: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        from framework import hookimpl

        @hookimpl
        def session_started(session):
            print("started", session.driver, session.name, session.config["run"]["seed"])

        @hookimpl
        def session_finished(session, result):
            print("finished", session.name, type(result).__name__)
    """
    write_distribution(here, "watch-dist", {"watch_plugin": source})
    monkeypatch.syspath_prepend(here)
    _, out, _ = call("backtest", "run.toml", "--no-report", "--seed", "4")
    assert out.startswith("started backtest run 4\nfinished run Result\n")


# --- demo -------------------------------------------------------------------------------------------------------------


def test_the_demo_runs_its_configuration(stand_in: Run, call: Any) -> None:
    code, _, _ = call("demo", "--no-report")
    config = stand_in.configs[0]
    assert code == 0
    assert (config.name, config.data.source, config.data.symbols) == ("demo", "sample", ("AAPL", "GOOG", "IBM", "MSFT"))
    assert (config.strategies[0].name, config.slippage.name) == ("ema_cross", "fixed")


def test_the_demo_shows_a_configuration_that_can_be_run(stand_in: Run, call: Any, here: Path) -> None:
    code, out, _ = call("demo", "--show")
    assert (code, stand_in.configs) == (0, [])
    (here / "mine.toml").write_text(out)
    assert call("backtest", "mine.toml", "--no-report")[0] == 0
    assert stand_in.configs[0].name == "mine"


# --- plugins ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path, the only one whose distributions are allowed besides those of the framework."""
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv(plugins.ALLOW, "good-dist,bad-dist,other-dist")
    before = set(sys.modules)
    yield here
    for name in set(sys.modules) - before:
        if name.endswith("_plugin"):
            del sys.modules[name]


def test_plugins_are_listed_as_json(site: Path, call: Any) -> None:
    write_distribution(site, "good-dist", {"good_plugin": strategy_source("quiet")}, version="1.2")
    code, out, _ = call("plugins", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {"kind": "strategy", "name": "quiet", "distribution": "good-dist", "version": "1.2", "state": "ok"} in rows
    assert all({"kind", "name", "distribution", "version", "state"} <= set(row) for row in rows)
    assert call("plugins", "list", "--json")[1] == call("plugins", "--json", "list")[1] == out


def test_a_broken_plugin_is_listed_with_its_traceback_and_exit_code_one(site: Path, call: Any) -> None:
    write_distribution(site, "good-dist", {"good_plugin": strategy_source("quiet")})
    write_distribution(site, "bad-dist", {"bad_plugin": "raise RuntimeError('no licence')"})
    code, out, _ = call("plugins", "list")
    assert code == 1
    assert re.search(r"^strategy +quiet +good-dist +1\.0 +ok$", out, re.MULTILINE)
    assert re.search(r"^plugin +bad_plugin +bad-dist +1\.0 +broken$", out, re.MULTILINE)
    assert "RuntimeError: no licence" in out
    assert "Traceback (most recent call last)" in out
    rows = {row["distribution"]: row for row in json.loads(call("plugins", "--json")[1])}
    assert "no licence" in rows["bad-dist"]["traceback"]
    assert "error" not in rows["good-dist"]


def test_doubled_names_are_listed_and_exit_code_one(site: Path, call: Any) -> None:
    write_distribution(site, "good-dist", {"good_plugin": strategy_source("quiet")})
    write_distribution(site, "other-dist", {"other_plugin": strategy_source("quiet")})
    code, out, _ = call("plugins")
    assert code == 1
    assert "'quiet' is registered by good-dist 1.0 and other-dist 1.0" in out


@attrs.frozen
class Check:
    name: str
    passed: bool
    message: str


@attrs.frozen
class Report:
    passed: bool

    @property
    def checks(self) -> list[Check]:
        return [Check("causality", self.passed, "sees the next bar" if not self.passed else "")]

    def __str__(self) -> str:
        return "causality: passed" if self.passed else "causality: FAILED, sees the next bar"


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_check_answers_by_its_exit_code(site: Path, call: Any, monkeypatch: pytest.MonkeyPatch, passed: bool,
                                        code: int) -> None:
    asked = []
    module = ModuleType("framework.testing")
    module.check_plugin = lambda value: asked.append(value) or Report(passed)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "framework.testing", module)
    write_distribution(site, "good-dist", {"good_plugin": strategy_source("quiet")})
    answered, out, _ = call("plugins", "check", "quiet")
    assert (answered, out) == (code, f"{Report(passed)}\n")
    assert [value.name for value in asked] == ["quiet"]
    document = json.loads(call("plugins", "check", "quiet", "--json")[1])
    checks = [{"name": "causality", "passed": passed, "message": Report(passed).checks[0].message}]
    assert document == {"name": "quiet", "passed": passed, "checks": checks}


# --- doctor -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "machine", "word"),
    [("Linux", "x86_64", "tested"), ("Linux", "aarch64", "expected to work"), ("Darwin", "arm64", "expected to work"),
     ("Windows", "AMD64", "expected to work"), ("Darwin", "x86_64", "unknown"), ("Linux", "riscv64", "unknown"),
     ("FreeBSD", "amd64", "unknown")],
)
def test_doctor_says_how_well_a_platform_is_known(system: str, machine: str, word: str) -> None:
    assert state.platform_support(system, machine) == word


def test_doctor_says_versions_platform_cache_engine_and_plugins(site: Path, call: Any,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    write_distribution(site, "good-dist", {"good_plugin": strategy_source("quiet")})
    monkeypatch.setenv("FRAMEWORK_CACHE_DIR", str(site / "cache"))
    monkeypatch.setattr(state, "platform_support", lambda system, machine: state.TESTED)
    code, out, _ = call("doctor", "--json")
    found = json.loads(out)
    assert (code, found["problems"]) == (0, [])
    assert found["cache"] == {"folder": str(site / "cache"), "writable": True, "bytes": 0}
    assert found["engine"]["compiled"] is False
    assert found["versions"]["numpy"]
    assert {"kind": "strategy", "name": "quiet", "distribution": "good-dist", "version": "1.0", "state": "ok"} in found[
        "plugins"
    ]
    code, out, _ = call("doctor")
    assert code == 0
    assert "not compiled yet; the first run does it" in out
    assert out.endswith("all well\n")


def test_doctor_answers_one_when_a_plugin_is_broken(site: Path, call: Any) -> None:
    write_distribution(site, "bad-dist", {"bad_plugin": "raise RuntimeError('no licence')"})
    code, out, _ = call("doctor")
    assert code == 1
    assert "problem   plugin bad_plugin of bad-dist" in out


def test_doctor_says_when_the_cache_cannot_be_written(site: Path, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "file").write_text("")
    monkeypatch.setenv("FRAMEWORK_CACHE_DIR", str(site / "file" / "cache"))
    code, out, _ = call("doctor")
    assert code == 1
    assert "cannot be written: every run compiles anew; set FRAMEWORK_CACHE_DIR" in out


def test_the_first_compile_is_announced_and_later_ones_are_not(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRAMEWORK_CACHE_DIR", str(here / "cache"))
    progress.announce_compiling()
    assert "compiling the engine, once for this installation" in capsys.readouterr().err
    state.engine_folder().mkdir(parents=True)
    (state.engine_folder() / "loop.nbc").write_text("")
    progress.announce_compiling()
    assert capsys.readouterr().err == ""
