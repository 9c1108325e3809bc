"""Built wheels are complete: installed into a clean environment, `framework demo` runs from an empty directory.

Everything that they depend on is installed by their own declarations, in the versions of constraints.txt.  Each package
of a plug-in is installed alone beside the framework as well, used, and uninstalled again.
"""

from __future__ import annotations

import json
import shutil
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from framework.packages import PACKAGES
from tests.wheelhouse import ROOT, Environment, build_wheel, clean_environment, install

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
    assert {"framework/py.typed", "framework/cli/demo.toml", "framework/backtest/page.html",
            "framework/backtest/report.css", "framework/research/charts.css",
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


# --- each package alone -----------------------------------------------------------------------------------------------

SHORT = {"sample": {"run": {"start": "2005-01-01", "end": "2006-12-31"}}, "synthetic": {"data": {"bars": 1_000}}}
"""What shortens an example, by the source of its data; besides, it gets two symbols."""

CHURN = """
import sys
import framework
from framework.testing.probes import Churn
data = {"source": "synthetic", "symbols": ["A"], "bars": 200}
print(framework.backtest(data=data, strategy=Churn, slippage=sys.argv[1]).stats["Slippage cost"])
"""
"""Trade with a slippage model, by a strategy of the framework's own."""


@pytest.fixture(scope="module")
def alone(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the framework's wheel; third-party packages are borrowed, and the compiler is off: short runs
    need none, and what is tested here is what a package brings with it.
    """
    made = clean_environment(tmp_path_factory.mktemp("alone"), [])
    del made.variables["FRAMEWORK_PLUGINS"]
    install(made, wheels[0])
    made.variables["NUMBA_DISABLE_JIT"] = "1"
    return made


def example_of(strategy: str) -> dict[str, Any]:
    """Return the example of a strategy, shortened and without the slippage model that another package brings."""
    for path in sorted((ROOT / "examples").glob("*.toml")):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        sections, source = document["strategy"], document["data"]["source"]
        chosen = [one for one in (sections if isinstance(sections, list) else [sections]) if one["name"] == strategy]
        if chosen and source in SHORT:
            document.pop("slippage", None)
            document["strategy"] = chosen
            document["data"]["symbols"] = document["data"]["symbols"][:2]
            for name, values in SHORT[source].items():
                document[name] = {**document.get(name, {}), **values}
            return document
    raise AssertionError(f"no example of {strategy}")


def listed(environment: Environment, distribution: str) -> dict[str, str]:
    """Return name -> state of what `framework plugins` lists of a distribution."""
    rows = json.loads(environment.framework("plugins", "--json").stdout)
    return {row["name"]: row["state"] for row in rows if row["distribution"] == distribution}


@pytest.mark.parametrize("source", PLUGINS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_each_package_installs_alone_runs_and_is_missed_when_it_is_gone(
        source: Path, alone: Environment, wheels: list[Path]) -> None:
    """Its plug-ins are listed and used with nothing else installed; then the error names the package to install."""
    kind = "strategy" if source.parent.name == "strategies" else "slippage"
    distribution = f"trading-framework-{kind}-{source.name.replace('_', '-')}"
    wheel = next(path for path in wheels[1:] if path.parent.name == source.name)
    names = [name for (of, name), package in PACKAGES.items() if (of, package) == (kind, distribution)]
    install(alone, wheel)
    assert listed(alone, distribution) == dict.fromkeys(names, "ok")
    for name in names:
        if kind == "slippage":
            assert float(alone.run("-c", CHURN, name).stdout) > 0.0
            continue
        (alone.here / f"{name}.toml").write_text(tomli_w.dumps(example_of(name)))
        answer = json.loads(alone.framework("backtest", f"{name}.toml", "--json").stdout)
        assert answer["trades"] > 0
        assert (alone.here / answer["run"] / "report.html").is_file()
    alone.run("-m", "pip", "uninstall", "-q", "-y", distribution)
    assert listed(alone, distribution) == {}
    gone = alone.run("-c", CHURN, names[0], check=False) if kind == "slippage" else alone.framework(
        "backtest", f"{names[0]}.toml", check=False)
    assert gone.returncode == (1 if kind == "slippage" else 2)
    assert f"unknown {kind} '{names[0]}'" in gone.stderr
    assert f"pip install {distribution}" in gone.stderr
