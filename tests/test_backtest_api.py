"""`framework.backtest(...)`: every form of data, strategy and setting becomes the configuration a file would give."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import framework
from framework import plugins
from framework.backtest import api
from framework.backtest.config import Config, StrategyUse, Use, config_from_dict
from framework.data.tape import Tape
from framework.errors import ConfigError, DataError, PluginError
from framework.rules import PositionLimits

MINIMAL = {"data": {"source": "sample", "symbols": ["AAPL"]}, "strategy": {"name": "ema_cross"}}


class Quiet(framework.Strategy):
    """A strategy that never trades."""

    name = "quiet_of_this_test"
    length = framework.Param(20, low=2, high=100)


class Free(framework.SlippageModel):
    """A model that costs nothing."""

    name = "free_of_this_test"


@attrs.define
class Asked:
    """What the run was asked last."""

    config: Config | None = None
    tape: Tape | None = None
    options: tuple[Any, ...] = ()


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Stand in for `framework.backtest.run`, which would take seconds."""
    seen = Asked()

    def run(config: Config, tape: Tape | None = None, progress: Any = None, interpreted: bool = False) -> Any:
        seen.config, seen.tape, seen.options = config, tape, (progress, interpreted)
        return "the result"

    module = ModuleType("framework.backtest.run")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "framework.backtest.run", module)
    monkeypatch.setattr(plugins, "_current", [])
    return seen


def bars(n: int = 30) -> dict[str, Any]:
    """Return daily bars as a dict of arrays."""
    close = 100.0 + np.arange(n)
    return {
        "date": np.datetime64("2020-01-01", "ns") + np.arange(n) * np.timedelta64(1, "D"),
        "open": close, "high": close + 1.0, "low": close - 1.0, "close": close, "volume": np.full(n, 1e6),
    }  # fmt: skip


def test_the_package_is_also_the_function(asked: Asked) -> None:
    assert framework.backtest(MINIMAL) == "the result"
    assert asked.config == config_from_dict(MINIMAL)
    assert framework.backtest.config.Config is Config


def test_help_tells_how_it_is_called() -> None:
    told = pydoc.render_doc(framework.backtest, renderer=pydoc.plaintext)
    assert "framework.backtest - From a configuration to a result" in told
    assert "framework.backtest(config=None, data=None, strategy=None, *, progress=None, interpreted=False, **" in told
    for line in (api.backtest.__doc__ or "").splitlines():
        assert line.strip() in told
    assert inspect.signature(framework.backtest) == inspect.signature(api.backtest)


@pytest.mark.parametrize("first", ["import framework.backtest.config", "framework.backtest", "import framework.cli"])
def test_it_can_be_called_whatever_was_imported_first(first: str) -> None:
    program = (
        f"import framework; {first}; assert callable(framework.backtest);"
        "import framework.backtest.config; assert callable(framework.backtest); framework.backtest.config.Config"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mapping_a_config_and_a_file_give_the_same_run(asked: Asked, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('run.name = "x"\n[data]\nsource = "sample"\nsymbols = ["AAPL"]\n[strategy]\nname = "ema_cross"\n')
    expected = config_from_dict({**MINIMAL, "run": {"name": "x"}})
    for config in (path, str(path), expected, expected.to_dict()):
        framework.backtest(config)
        assert asked.config == expected


def test_names_and_settings_become_sections(asked: Asked) -> None:
    framework.backtest(data="sample", symbols=["AAPL"], strategy="ema_cross", params={"fast": 5}, capital=7, seed=3,
                       slippage="fixed", fees={"taker_bps": 5}, risk={"drawdown": {"max_drawdown": 0.1}},
                       sizing={"name": "percent_of_equity", "percent": 20})
    config = asked.config
    assert config is not None
    assert (config.data.source, config.data.symbols) == ("sample", ("AAPL",))
    assert config.strategies == (StrategyUse("ema_cross", {"fast": 5}),)
    assert (config.run.capital, config.run.seed, config.fees.taker_bps) == (7.0, 3, 5.0)
    assert (config.slippage, config.sizing) == (Use("fixed"), Use("percent_of_equity", {"percent": 20}))
    assert config.risk == (Use("drawdown", {"max_drawdown": 0.1}),)


def test_settings_change_only_what_they_name(asked: Asked) -> None:
    base = {**MINIMAL, "run": {"capital": 5, "seed": 2}, "fees": {"taker_bps": 1, "per_order": 2}}
    framework.backtest(base, seed=9, fees={"taker_bps": 3}, params={"fast": 5})
    config = asked.config
    assert config is not None
    assert (config.run.capital, config.run.seed) == (5.0, 9)
    assert (config.fees.taker_bps, config.fees.per_order) == (3.0, 2.0)
    assert config.strategies[0].params == {"fast": 5}
    assert base["run"] == {"capital": 5, "seed": 2}


@pytest.mark.parametrize("strategy", [Quiet, Quiet(length=20), {"name": "quiet_of_this_test"}, [Quiet]])
def test_a_class_or_an_instance_is_known_to_this_session(asked: Asked, strategy: Any) -> None:
    plugins.registry().add("strategy", Quiet)
    framework.backtest(data="sample", strategy=strategy)
    assert asked.config is not None
    assert asked.config.strategies[0].name == "quiet_of_this_test"
    assert plugins.find("strategy", "quiet_of_this_test") is Quiet


def test_an_instance_brings_its_parameters(asked: Asked) -> None:
    framework.backtest(data="sample", strategy=[Quiet(length=30), "ema_cross"], slippage=Free())
    assert asked.config is not None
    assert asked.config.strategies == (StrategyUse("quiet_of_this_test", {"length": 30}), StrategyUse("ema_cross"))
    assert asked.config.slippage == Use("free_of_this_test", {})
    assert plugins.find("slippage", "free_of_this_test") is Free


def test_rules_may_be_a_list_of_classes_and_names(asked: Asked) -> None:
    rule = type("Rule", (framework.RiskRule,), {"name": "rule_of_this_test"})
    framework.backtest(data="sample", strategy="ema_cross", risk=[rule, "drawdown"])
    assert asked.config is not None
    assert asked.config.risk == (Use("rule_of_this_test"), Use("drawdown"))


@pytest.mark.parametrize("given", [PositionLimits, PositionLimits(max_shares=5)])
def test_a_class_that_is_installed_may_be_handed_over(asked: Asked, given: Any) -> None:
    framework.backtest(data="sample", strategy=plugins.find("strategy", "ema_cross")(fast=5), risk=[given])
    assert asked.config is not None
    assert asked.config.strategies[0].params["fast"] == 5
    assert [rule.name for rule in asked.config.risk] == ["position_limits"]
    assert asked.config.risk[0].params.get("max_shares", 5) == 5
    assert plugins.find("risk", "position_limits") is PositionLimits
    assert not plugins.registry().added


def test_another_class_of_an_installed_name_is_refused() -> None:
    other = type("Other", (framework.RiskRule,), {"name": "position_limits"})
    with pytest.raises(PluginError, match="already installed by trading-framework; give your class another name"):
        framework.backtest(data="sample", strategy="ema_cross", risk=[other])


def test_params_add_to_those_of_an_instance_and_of_a_file(asked: Asked) -> None:
    framework.backtest(data="sample", strategy=Quiet(length=30), params={"other": 3})
    assert asked.config is not None
    assert asked.config.strategies[0].params == {"length": 30, "other": 3}
    base = {**MINIMAL, "strategy": [{"name": "ema_cross", "params": {"fast": 3, "slow": 99}}]}
    framework.backtest(base, params={"fast": 5})
    assert asked.config.strategies[0].params == {"fast": 5, "slow": 99}
    assert base["strategy"] == [{"name": "ema_cross", "params": {"fast": 3, "slow": 99}}]


def test_rules_of_a_mapping_are_added_and_those_of_a_list_are_all(asked: Asked) -> None:
    base = {**MINIMAL, "risk": {"drawdown": {"max_drawdown": 0.1}, "portfolio_heat": {"max_heat": 0.2}}}
    framework.backtest(base, risk={"alerts": {}, "drawdown": {"halt_days": 3}, "portfolio_heat": {"enabled": False}})
    assert asked.config is not None
    assert asked.config.risk == (Use("drawdown", {"max_drawdown": 0.1, "halt_days": 3}), Use("alerts"))
    framework.backtest(base, risk=["alerts", {"name": "position_limits", "max_shares": 5}])
    assert asked.config.risk == (Use("alerts"), Use("position_limits", {"max_shares": 5}))


def test_a_mapping_changes_the_same_plug_in_and_another_takes_its_place(asked: Asked) -> None:
    base = {**MINIMAL, "sizing": {"name": "percent_of_equity", "percent": 20, "other": 1}}
    for change, expected in (({"percent": 30}, {"percent": 30, "other": 1}),
                             ({"name": "percent_of_equity", "params": {"percent": 30}}, {"percent": 30, "other": 1})):
        framework.backtest(base, sizing=change)
        assert asked.config is not None
        assert asked.config.sizing == Use("percent_of_equity", expected)
    framework.backtest(base, sizing={"name": "risk_per_trade", "risk": 0.01})
    assert asked.config is not None
    assert asked.config.sizing == Use("risk_per_trade", {"risk": 0.01})


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_every_kind_of_frame_becomes_the_same_tape(asked: Asked, kind: Any) -> None:
    framework.backtest(data=kind(bars()), strategy="ema_cross", stamp="open")
    first = asked.tape
    framework.backtest(data={"ASSET": kind(bars())}, strategy="ema_cross", stamp="open")
    assert first is not None
    assert asked.tape is not None
    assert first.n_bars == 30
    assert first.fingerprint == asked.tape.fingerprint
    assert asked.config is not None
    assert (asked.config.data.source, asked.config.data.symbols) == ("frame", first.symbols)


def test_frames_of_several_symbols_keep_their_order_and_instruments(asked: Asked) -> None:
    framework.backtest(data={"B": bars(), "A": bars()}, strategy="ema_cross", stamp="open", symbols=["A", "B"],
                       instruments={"A": {"lot": 0.5}})
    assert asked.tape is not None
    assert asked.tape.symbols == ("A", "B")
    assert [instrument.lot for instrument in asked.tape.instruments] == [0.5, 1e-8]


def test_a_tape_is_taken_as_it_is(asked: Asked) -> None:
    tape = framework.data.tape_from_frames(bars(), stamp="open")
    framework.backtest(data=tape, strategy="ema_cross")
    assert asked.tape is tape


def test_progress_and_interpreted_reach_the_run(asked: Asked) -> None:
    def progress(done: int, total: int) -> None:
        """Nothing."""

    framework.backtest(MINIMAL, progress=progress, interpreted=True)
    assert asked.options == (progress, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "ema_cross"}, r"the section \[data\] is missing"),
        ({"data": "sample"}, "no strategy is named"),
        ({"data": "sample", "strategy": 3}, r"strategy is int; it must be a name, a class, an instance or a mapping"),
        ({"data": "sample", "strategy": int}, "strategy is type; it must be a name"),
        ({"data": "sample", "strategy": "x", "capitol": 3}, "unknown setting 'capitol'; did you mean 'capital'"),
        ({"data": "sample", "strategy": "x", "capital": "lots"}, r"\[run\] capital = 'lots'"),
        ({"data": "sample", "strategy": ["x", "y"], "params": {"fast": 1}}, "params= goes with one strategy"),
        ({"data": "sample", "strategy": "x", "fees": 5}, r"\[fees\] = 5"),
        ({"data": "sample", "strategy": "x", "slippage": 5}, "slippage is int; it must be a name"),
        ({"data": "sample", "strategy": "x", "walk_forward": {}}, "train is missing"),
        ({"data": "sample", "strategy": "x", "risk": ["alerts", "alerts"]}, "risk has the rule 'alerts' twice; keep"),
        ({"data": "sample", "strategy": "x", "risk": [{"max_shares": 5}]}, r"\[risk\]: name is missing"),
        ({"data": "sample", "strategy": "x", "params": 5}, r"\[strategy\] params = 5"),
        ({"config": {**MINIMAL, "strategy": "x"}, "params": {}}, r"\[strategy\] = 'x'"),
        ({"config": 3}, "config is int; it must be a path, a mapping or a Config"),
        ({"config": "no_such_file.toml"}, "no configuration file at 'no_such_file.toml'"),
    ],
)
def test_bad_arguments_are_refused_with_the_rule(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        framework.backtest(**arguments)


@pytest.mark.parametrize("arguments", [
    {"data": "sample", "symbols": []}, {"data": {"source": "sample", "symbols": []}}, {"data": bars(), "symbols": ()},
])
def test_an_empty_list_of_symbols_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"symbols = \[\] names no symbol"):
        framework.backtest(strategy="ma_cross", **arguments)


def test_data_that_is_no_table_is_refused() -> None:
    with pytest.raises(DataError):
        framework.backtest(data=object(), strategy="ema_cross")


def test_a_class_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(PluginError, match=r"must return a list of subclasses of framework\.Strategy|is a .* plug-in"):
        framework.backtest(data="sample", strategy=Free)


def test_the_allow_list_of_a_configuration_holds_for_its_run_only(asked: Asked) -> None:
    framework.backtest({**MINIMAL, "plugins": {"allow": ["some-dist"]}})
    assert plugins.registry().allow == {"some-dist"}
    framework.backtest(MINIMAL)
    assert plugins.registry().allow is None


def test_the_example_in_the_docstring_holds() -> None:
    with pytest.raises(ConfigError) as caught:
        api.backtest(strategy="ema_cross", capitol=1)
    assert f"{type(caught.value).__module__}.ConfigError: {caught.value}" in (api.backtest.__doc__ or "")
