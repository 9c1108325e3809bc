"""`framework new strategy NAME`: a complete package, or a refusal that leaves nothing behind."""

from __future__ import annotations

import ast
import json
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

FILES = ["README.md", "pyproject.toml", "src/framework_strategy_my_breakout/__init__.py",
         "src/framework_strategy_my_breakout/py.typed", "src/framework_strategy_my_breakout/strategy.py",
         "tests/test_my_breakout.py"]


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


def test_a_complete_package_is_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "strategy", "my_breakout"]) == 0
    assert files_below(here / "my_breakout") == FILES
    assert "next: pip install -e my_breakout && framework plugins check my_breakout" in capsys.readouterr().out


def test_the_answer_as_json_names_folder_and_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "strategy", "my_breakout", "--out", "deep/er", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "run": "deep/er", "kind": "strategy", "name": "my_breakout", "files": FILES,
    }  # fmt: skip
    assert files_below(here / "deep" / "er") == FILES


def test_the_package_is_valid_python_and_toml_and_names_its_entry_point(here: Path) -> None:
    main(["new", "strategy", "my_breakout"])
    for path in (here / "my_breakout").rglob("*.py"):
        ast.parse(path.read_text())
        assert max(map(len, path.read_text().splitlines()), default=0) <= 120
    project = tomllib.loads((here / "my_breakout" / "pyproject.toml").read_text())["project"]
    assert project["name"] == "trading-framework-strategy-my-breakout"
    assert project["entry-points"] == {"framework": {"my_breakout": "framework_strategy_my_breakout"}}


def test_the_package_is_clean_under_ruff(here: Path) -> None:
    main(["new", "strategy", "my_breakout"])
    rules = ["--line-length", "120", "--select", "E,F,W,I,B,UP"]
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", *rules, "."]
    done = subprocess.run(ruff, capture_output=True, text=True, cwd="my_breakout")
    assert done.stdout.strip() == "All checks passed!"


def test_the_strategy_is_found_when_its_package_is_installed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main(["new", "strategy", "my_breakout"])
    source = here / "my_breakout" / "src"
    write_distribution(source, "trading-framework-strategy-my-breakout", {},
                       entry_points={"my_breakout": "framework_strategy_my_breakout"})
    monkeypatch.syspath_prepend(source)
    found = Registry(["trading-framework-strategy-my-breakout"]).find("strategy", "my_breakout")
    assert (found.__name__, found.params()["length"].default) == ("MyBreakout", 50)
    assert set(found().indicators(_bars())) == {"close", "average", "atr"}


def _bars() -> Any:
    from framework.indicators import Bars

    return Bars()


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
        scaffold.write_strategy("my_breakout", here / "my_breakout")


def test_a_place_that_cannot_be_written_is_refused(here: Path) -> None:
    (here / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        scaffold.write_strategy("my_breakout", here / "file" / "x")


def test_a_write_that_fails_half_way_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(self: Path, *arguments: Any, **options: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(ConfigError, match="cannot write 'my_breakout': No space left on device"):
        scaffold.write_strategy("my_breakout", Path("my_breakout"))
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
