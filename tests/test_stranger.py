"""A stranger's plug-in: built as a wheel, installed beside the framework's wheel, used, and gone after uninstalling.

The environment is new and holds nothing but two wheels; third-party dependencies are borrowed from this interpreter.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wheelhouse import ROOT, Environment, build_wheel, clean_environment, install

PLUGIN = "trading-framework-strategy-my-breakout"
OTHERS = {"slippage": "my_costs", "risk": "my_limit", "broker": "my_venue"}
"""Of every other kind, the name of a plug-in."""

pytestmark = pytest.mark.slow


def distribution_of(kind: str) -> str:
    """Return the distribution of a plug-in of one kind."""
    return f"trading-framework-{kind}-{OTHERS[kind].replace('_', '-')}"


def installed(environment: Environment, kind: str) -> dict[str, dict[str, Any]]:
    """Return what is installed of one kind by name."""
    rows = json.loads(environment.framework("plugins", "--json").stdout)
    return {row["name"]: row for row in rows if row["kind"] == kind}


def strategies(environment: Environment) -> dict[str, dict[str, Any]]:
    """Return the installed strategies by name."""
    return installed(environment, "strategy")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the framework's wheel."""
    made = clean_environment(tmp_path_factory.mktemp("stranger"), [PLUGIN, *map(distribution_of, OTHERS)])
    install(made, build_wheel(ROOT, made.here.parent / "framework"))
    return made


def test_a_strangers_plugin_appears_runs_and_is_gone_after_uninstalling(environment: Environment) -> None:
    where = environment.run("-c", "import framework; print(framework.__file__)").stdout
    assert str(environment.python.parent.parent) in where
    assert strategies(environment) == {}

    environment.framework("new", "strategy", "my_breakout")
    install(environment, build_wheel(environment.here / "my_breakout", environment.here / "dist"))
    row = strategies(environment)["my_breakout"]
    assert (row["distribution"], row["version"], row["state"]) == (PLUGIN, "0.1.0", "ok")

    environment.framework("plugins", "check", "my_breakout")
    (environment.here / "run.toml").write_text(
        '[data]\nsource = "synthetic"\nsymbols = ["A", "B"]\nbars = 2_000\n[strategy]\nname = "my_breakout"\n'
    )
    answer = json.loads(environment.framework("backtest", "run.toml", "--json").stdout)
    assert answer["trades"] > 0
    assert (environment.here / answer["run"] / "report.html").exists()

    environment.run("-m", "pip", "uninstall", "-q", "-y", PLUGIN)
    assert strategies(environment) == {}
    gone = environment.framework("backtest", "run.toml", check=False)
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "unknown strategy 'my_breakout'" in gone.stderr


@pytest.mark.parametrize("kind", OTHERS)
def test_a_strangers_package_of_any_kind_appears_passes_its_kit_and_is_gone(
    environment: Environment, kind: str
) -> None:
    name, before = OTHERS[kind], installed(environment, kind)
    environment.framework("new", kind, name)
    install(environment, build_wheel(environment.here / name, environment.here / f"dist-{kind}"))
    row = installed(environment, kind)[name]
    assert (row["distribution"], row["version"], row["state"]) == (distribution_of(kind), "0.1.0", "ok")

    checked = json.loads(environment.framework("plugins", "check", name, "--json").stdout)
    assert checked["passed"], checked
    assert len(checked["checks"]) > 8
    environment.run("-m", "pip", "uninstall", "-q", "-y", distribution_of(kind))
    assert installed(environment, kind) == before
