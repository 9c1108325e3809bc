"""Built wheels are complete: installed into a clean environment, `framework demo` runs from an empty directory.

Everything that they depend on is installed by their own declarations, in the versions of constraints.txt.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.wheelhouse import ROOT, Environment, build_wheel, clean_environment

PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/*/pyproject.toml"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheels of the framework and of every plug-in package."""
    folder = tmp_path_factory.mktemp("wheels")
    return [build_wheel(source, folder / source.name) for source in (ROOT, *PLUGINS)]


@pytest.fixture(scope="module")
def environment(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with all of them and what they ask for."""
    made = clean_environment(tmp_path_factory.mktemp("clean"), None)
    command = ["-m", "pip", "--disable-pip-version-check", "install", "-q", "-c", str(ROOT / "constraints.txt")]
    made.run(*command, f"{wheels[0]}[demo]", *map(str, wheels[1:]))
    return made


def test_the_frameworks_wheel_holds_its_data_and_its_types(wheels: list[Path]) -> None:
    """And neither tests nor plug-ins."""
    names = set(zipfile.ZipFile(wheels[0]).namelist())
    assert {"framework/py.typed", "framework/cli/demo.toml", "framework/backtest/report.html",
            "framework/cli/templates/broker/broker.py.tmpl"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"framework"}


def test_each_plugins_wheel_has_types_and_an_entry_point(wheels: list[Path]) -> None:
    """One package each, typed."""
    for wheel in wheels[1:]:
        names = zipfile.ZipFile(wheel).namelist()
        assert any(name.endswith("/py.typed") for name in names), wheel.name
        assert any(name.endswith("/entry_points.txt") for name in names), wheel.name


def test_the_demo_runs_from_an_empty_directory(environment: Environment) -> None:
    """It prints the statistics, and writes a run with trades and a report."""
    assert not any(environment.here.iterdir())
    where = environment.run("-c", "import framework; print(framework.__file__)").stdout
    assert str(environment.python.parent.parent) in where
    answer = json.loads(environment.framework("demo", "--json").stdout)
    folder = environment.here / answer["run"]
    assert answer["trades"] > 100
    assert answer["stats"]["# Trades"] == answer["trades"]
    assert {path.name for path in folder.iterdir()} >= {"run.json", "stats.json", "trades.parquet", "orders.parquet",
                                                       "equity.parquet", "report.html"}
    shutil.rmtree(environment.here / "runs")
    told = environment.framework("demo").stdout
    assert "Sharpe Ratio" in told
    report = told.split()[-1]
    assert (environment.here / report).is_file()


def test_a_second_demo_gives_the_same_bytes(environment: Environment) -> None:
    """The statistics and the tables; run.json carries the time."""
    for name in ("one", "two"):
        environment.framework("demo", "--out", name, "--no-report")
    for file in ("stats.json", "trades.parquet", "orders.parquet", "equity.parquet"):
        assert (environment.here / "one" / file).read_bytes() == (environment.here / "two" / file).read_bytes(), file
