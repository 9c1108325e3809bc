"""`framework new KIND NAME`: a complete package, or a refusal that leaves nothing behind."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from plugin_dist import strategy_source, write_distribution

from framework import plugins
from framework.cli import main, scaffold
from framework.errors import ConfigError
from framework.plugins import Registry
from framework.testing import check_plugin

KINDS = sorted(scaffold.MODULES)
CLASSES = {"strategy": "Strategy", "slippage": "SlippageModel", "risk": "RiskRule", "broker": "Broker"}


def files_of(kind: str) -> list[str]:
    """Return the files of a package called my_own."""
    source = f"src/framework_{kind}_my_own"
    modules = ("__init__.py", "py.typed", *scaffold.MODULES[kind])
    return sorted(["README.md", "pyproject.toml", "tests/test_my_own.py", *(f"{source}/{name}" for name in modules)])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, and a process that has discovered nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_current", [])
    monkeypatch.delenv(plugins.ALLOW, raising=False)
    return tmp_path


def files_below(folder: Path) -> list[str]:
    """Return every file below a folder, hidden ones included."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", KINDS)
def test_a_complete_package_is_written(here: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    assert main(["new", kind, "my_own"]) == 0
    assert files_below(here / "my_own") == files_of(kind)
    assert "next: pip install -e my_own && framework plugins check my_own" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_as_json_names_folder_and_files(
    here: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert main(["new", kind, "my_own", "--out", "deep/er", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "run": "deep/er", "kind": kind, "name": "my_own", "files": files_of(kind),
    }  # fmt: skip
    assert files_below(here / "deep" / "er") == files_of(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_package_is_valid_python_and_toml_and_names_its_entry_point(here: Path, kind: str) -> None:
    main(["new", kind, "my_own"])
    for path in (here / "my_own").rglob("*.py"):
        ast.parse(path.read_text())
        assert max(map(len, path.read_text().splitlines()), default=0) <= 120
    for path in (here / "my_own").rglob("*"):
        assert not path.is_file() or not re.search(r"@\w+@", path.read_text())
    project = tomllib.loads((here / "my_own" / "pyproject.toml").read_text())["project"]
    assert project["name"] == f"trading-framework-{kind}-my-own"
    assert project["entry-points"] == {"framework": {"my_own": f"framework_{kind}_my_own"}}


@pytest.mark.parametrize("kind", KINDS)
def test_the_package_is_clean_under_ruff(here: Path, kind: str) -> None:
    main(["new", kind, "my_own"])
    rules = ["--line-length", "120", "--select", "E,F,W,I,B,UP"]
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", *rules, "."]
    done = subprocess.run(ruff, capture_output=True, text=True, cwd="my_own")
    assert done.stdout.strip() == "All checks passed!"


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_found_when_it_is_installed_and_passes_its_kit(
    here: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Interpreted: that all of it compiles is what the package's own test says, and takes its time."""
    main(["new", kind, "my_own"])
    source = here / "my_own" / "src"
    distribution = f"trading-framework-{kind}-my-own"
    write_distribution(source, distribution, {}, entry_points={"my_own": f"framework_{kind}_my_own"})
    monkeypatch.syspath_prepend(source)
    found = Registry([distribution]).find(kind, "my_own")
    assert (found.__name__, [base.__name__ for base in found.__bases__]) == ("MyOwn", [CLASSES[kind]])
    report = check_plugin(found, interpreted=True)
    assert report.passed, str(report)
    forget(f"framework_{kind}_my_own")


def test_the_tests_of_the_packages_promise_what_they_do(here: Path) -> None:
    for kind in KINDS:
        main(["new", kind, f"own_{kind}"])
    sources = os.pathsep.join(str(here / f"own_{kind}" / "src") for kind in KINDS)
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not conformance"]
    done = subprocess.run([*pytest_, *(f"own_{kind}/tests" for kind in KINDS)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": sources})
    assert done.returncode == 0, done.stdout
    assert f"passed, {len(KINDS)} deselected" in done.stdout


def forget(package: str) -> None:
    """Take a package out of this process."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("MyBreakout", "did you mean 'my_breakout'?"),
        ("my-breakout", "did you mean 'my_breakout'?"),
        ("my breakout!", "did you mean 'my_breakout'?"),
        ("2fast", "is no name for a strategy"),
        ("_x", "did you mean 'x'?"),
        ("x__y", "did you mean 'x_y'?"),
        ("../evil", "did you mean 'evil'?"),
        ("", "is no name for a strategy"),
        ("ünder", "is no name for a strategy"),
        ("x" * 51, "at most 50 characters"),
        ("lambda", "is a word of Python"),
        ("x\n", "is no name for a strategy"),
    ],
)
def test_a_bad_name_is_refused_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert main(["new", "strategy", name]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert list(here.iterdir()) == []


def test_a_folder_that_exists_is_refused_and_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "my_breakout").mkdir()
    (here / "my_breakout" / "precious").write_text("mine")
    assert main(["new", "strategy", "my_breakout"]) == 2
    assert "'my_breakout' exists already; choose another name or another folder with --out" in capsys.readouterr().err
    assert files_below(here) == ["my_breakout/precious"]


def test_a_dangling_link_counts_as_existing(here: Path) -> None:
    (here / "my_breakout").symlink_to(here / "nowhere")
    with pytest.raises(ConfigError, match="exists already"):
        scaffold.write_package("strategy", "my_breakout", here / "my_breakout")


def test_a_place_that_cannot_be_written_is_refused(here: Path) -> None:
    (here / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        scaffold.write_package("strategy", "my_breakout", here / "file" / "x")


def test_a_write_that_fails_half_way_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(self: Path, *arguments: Any, **options: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(ConfigError, match="cannot write 'my_breakout': No space left on device"):
        scaffold.write_package("strategy", "my_breakout", Path("my_breakout"))
    assert list(here.iterdir()) == []


def test_a_name_that_is_installed_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = here / "site"
    site.mkdir()
    write_distribution(site, "good-dist", {"good_plugin": strategy_source("quiet")})
    monkeypatch.syspath_prepend(site)
    assert main(["new", "strategy", "quiet"]) == 2
    assert "strategy 'quiet' is already installed by good-dist; choose another name" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "said"), [("slippage", "is no name for a slippage model"),
                                            ("risk", "is no name for a risk rule"),
                                            ("broker", "is no name for a broker")])
def test_a_bad_name_is_refused_in_the_words_of_its_kind(
    here: Path, capsys: pytest.CaptureFixture[str], kind: str, said: str
) -> None:
    assert main(["new", kind, "My Own"]) == 2
    assert said in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_a_broker_cannot_be_called_paper(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "broker", "paper"]) == 2
    assert "broker 'paper' is the framework's own; choose another name" in capsys.readouterr().err


def test_a_rule_of_the_framework_cannot_be_written_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "risk", "drawdown"]) == 2
    assert "risk 'drawdown' is already installed by trading-framework" in capsys.readouterr().err


def test_a_kind_that_does_not_exist_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "indicator", "x"]) == 2
    assert "indicator" in capsys.readouterr().err
