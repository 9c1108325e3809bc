"""The sections of a seed's risk_limits.toml under [risk.*], and what is wrong with keys that are not right."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from framework import ConfigError
from framework.backtest.config import config_from_dict
from framework.backtest.run import make, run
from framework.errors import PluginNotFound
from framework.model.enums import Reason
from framework.risk import RiskRule, SizingRule
from framework.rules import RULES

NAMED = {rule.name: rule for rule in RULES}

HEAD = """
[data]
source = "synthetic"
bars = 700
symbols = ["AAA", "BBB"]
timeframe = "1h"
[strategy]
name = "ma_cross"
params = { fast = 5, slow = 15 }
[sizing]
name = "percent_of_equity"
percent = 5
"""

PASTED = """
[risk.position_limits]
max_shares = 1000
max_notional_per_position = 10000.0
max_total_exposure = 50000.0
max_open_positions = 5
max_concentration_percent = 25.0

[risk.loss_limits]
max_loss_per_trade = 500.0
max_daily_loss = 5000.0
max_weekly_loss = 15000.0
max_monthly_loss = 50000.0
drawdown_threshold_percent = 10.0

[risk.stop_loss]
default_stop_loss_percent = 2.0
min_stop_loss_percent = 0.5
max_stop_loss_percent = 10.0
enable_trailing_stop = true
trailing_stop_percent = 1.5
trailing_activation_percent = 2.0

[risk.take_profit]
default_take_profit_percent = 5.0
min_risk_reward_ratio = 2.0
enable_partial_profit = true
partial_profit_percent = 50.0
first_target_percent = 3.0
second_target_percent = 5.0

[risk.circuit_breaker]
enabled = true
daily_loss_threshold = 5000.0
max_consecutive_losses = 5
max_trades_per_day = 50
cooldown_minutes = 60
auto_resume = false

[risk.order_validation]
min_order_size = 1
max_order_size = 1000
max_order_value = 10000.0
min_price = 0.01
max_price = 10000.0
max_slippage_percent = 0.5

[risk.leverage]
allow_leverage = false
max_leverage = 1.0
min_margin_percent = 100.0

[risk.volatility]
max_atr_percent = 5.0
reduce_on_high_volatility = true
enable_volatility_scaling = true
base_volatility_percent = 2.0

[risk.time_restrictions]
enforce_market_hours = true
allow_premarket = false
allow_afterhours = false
blackout_periods = [
    "09:30-09:45",  # the open
    "15:45-16:00"   # the close
]

[risk.correlation]
max_position_correlation = 0.7
enforce_correlation_check = true
correlation_lookback_days = 30

[risk.monitoring]
position_limit_alert_threshold = 80.0
loss_limit_alert_threshold = 80.0
email_notifications = false
sms_notifications = false
alert_webhook_url = ""

[risk.metadata]
version = "1.0.0"
last_updated = "2025-10-21"
description = "limits"
"""

OF_THE_OTHER_SEED = """
[risk.drawdown]
drawdown_warning = 0.10
drawdown_warning_multiplier = 0.50
drawdown_critical = 0.15
drawdown_critical_multiplier = 0.25
max_drawdown = 0.20
[risk.loss_streak]
consecutive_loss_limit = 3
multiplier = 0.75
[risk.portfolio_heat]
max_heat = 0.30
"""


def test_pasted_sections_are_rules_in_their_order_with_the_defaults_of_the_seed() -> None:
    config = config_from_dict(tomllib.loads(HEAD + PASTED + OF_THE_OTHER_SEED))
    assert [use.name for use in config.risk] == [
        "position_limits", "loss_limits", "stop_loss", "take_profit", "circuit_breaker", "order_validation", "leverage",
        "volatility", "time_restrictions", "correlation", "alerts", "drawdown", "loss_streak", "portfolio_heat"]
    for use in config.risk:
        assert NAMED[use.name](**use.params).values() == NAMED[use.name]().values(), use.name
    assert config_from_dict(config.to_dict()) == config


def test_a_pasted_configuration_runs_and_its_rules_bite() -> None:
    result = run(config_from_dict(tomllib.loads(HEAD + PASTED + OF_THE_OTHER_SEED)))
    bites = result.records.refusals["reason"] - int(Reason.RULE)
    assert result.rule_names[2] == "stop_loss"
    assert len(result.trades) > 5
    assert {"correlation", "loss_streak"} <= {result.rule_names[bite] for bite in bites if bite >= 0}
    assert any(note.startswith("circuit_breaker: 5 times at 80% of a limit or beyond") for note in result.notes)


@pytest.mark.parametrize("basis", ["mean", "bar"])
def test_a_run_says_that_its_fills_saw_what_nobody_knew(basis: str) -> None:
    result = run(config_from_dict(tomllib.loads(HEAD + f'[fills]\nvolume_basis = "{basis}"\n')))
    told = [note for note in result.notes if "the volume of their own bar, which nobody knew then" in note]
    assert len(told) == (1 if basis == "bar" else 0)


@pytest.mark.parametrize(("hours", "told"), [
    ("00:00-24:00", r"no trade: not one order came through; \d+ rejected orders, by reason: time_restrictions (\d+); "),
    ("00:00-12:00", None),
])
def test_a_run_says_that_rules_let_nothing_through(hours: str, told: str | None) -> None:
    text = f'[risk.position_limits]\n[risk.time_restrictions]\nblackout_periods = ["{hours}"]\n'
    result = run(config_from_dict(tomllib.loads(HEAD + text)))
    notes = [note for note in result.stats.footnotes if "not one order came through" in note]
    assert (len(result.fills) == 0) == (told is not None)
    assert len(notes) == (told is not None)
    if told is not None:
        found = re.match(told, notes[0])
        assert found is not None
        assert found[1] == str(len(result.refusals))
        assert sum("time_restrictions" in note for note in result.stats.footnotes) == 1


def test_a_rule_that_is_not_enabled_is_left_out() -> None:
    text = PASTED.replace("enabled = true", "enabled = false")
    names = [use.name for use in config_from_dict(tomllib.loads(HEAD + text)).risk]
    assert "circuit_breaker" not in names


@pytest.mark.parametrize("rule", RULES)
def test_every_key_that_is_misspelt_is_refused_with_the_nearest(rule: Any) -> None:
    for name, param in rule.params().items():
        wrong = name[:-1] + "x" if len(name) < 8 else name[:-2] + name[-1]
        if wrong in rule.params():
            continue
        with pytest.raises(ConfigError, match=f"unknown parameter '{wrong}'") as error:
            rule(**{wrong: param.default})
        assert f"did you mean {name!r}" in str(error.value) or "did you mean" in str(error.value)


@pytest.mark.parametrize("rule", RULES)
def test_every_key_refuses_what_is_not_of_its_kind(rule: Any) -> None:
    for name, param in rule.params().items():
        bad: list[Any] = [None, [1]] if param.type is not tuple else [None, 5, "09:30-09:45"]
        bad += ["2 %"] if param.type in (int, float) else []
        bad += [float("nan"), float("inf"), True] if param.type in (int, float) else []
        bad += [1] if param.type is bool else []
        for value in bad:
            with pytest.raises(ConfigError, match=name):
                rule(**{name: value})


@pytest.mark.parametrize(("name", "key", "value", "told"), [
    ("drawdown", "max_drawdown", 20, "it is a fraction: 0.25 means 25 %"),
    ("drawdown", "drawdown_warning_multiplier", 50, "it is a fraction"),
    ("portfolio_heat", "max_heat", 30, "it is a fraction"),
    ("risk_per_trade", "risk", 2.0, "it is a fraction"),
    ("kelly", "cap", 25, "it is a fraction"),
    ("loss_limits", "drawdown_threshold_percent", 0.1, "it is in percent: 25 means 25 %"),
    ("alerts", "position_limit_alert_threshold", 0.8, "it is in percent"),
    ("leverage", "min_margin_percent", 0.5, "it is in percent"),
    ("take_profit", "partial_profit_percent", 0.5, "it is in percent"),
    ("order_validation", "max_slippage_percent", 500, "it is in percent"),
    ("order_validation", "max_slippage_percent", 0.005, "0 or 0.01 <= value <= 100; it is in percent"),
    ("stop_loss", "default_stop_loss_percent", 0.02, "default_stop_loss_percent = 0.02; rule: .* they are in percent"),
    ("stop_loss", "min_stop_loss_percent", 0.005, "0 or 0.01 <= value <= 99; it is in percent"),
    ("stop_loss", "max_stop_loss_percent", 0.10, "it is in percent"),
    ("stop_loss", "trailing_stop_percent", 0.015, "it is in percent"),
    ("stop_loss", "trailing_activation_percent", 0.02, "it is in percent"),
    ("take_profit", "default_take_profit_percent", 0.05, "it is in percent"),
    ("take_profit", "first_target_percent", 0.03, "it is in percent"),
    ("take_profit", "second_target_percent", 0.05, "it is in percent"),
    ("volatility", "max_atr_percent", 0.05, "it is in percent"),
    ("volatility", "base_volatility_percent", 0.02, "it is in percent"),
    ("volatility_target", "daily_volatility_percent", 0.01, "it is in percent"),
    ("portfolio_heat", "max_heat", 2, "it is a fraction"),
    ("risk_per_trade", "risk", 0.5, "it is a fraction"),
    ("regime", "risk", 1, "it is a fraction"),
    ("kelly", "risk", 1, "it is a fraction"),
    ("kelly", "cap", 5, "it is a fraction"),
])
def test_a_value_in_the_wrong_unit_is_refused_and_the_unit_said(name: str, key: str, value: float, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        NAMED[name](**{key: value})


@pytest.mark.parametrize(("section", "told"), [
    ("[risk.monitoring]\nemail_notifications = true", "alerts: email_notifications = True is not available"),
    ("[risk.monitoring]\nalert_webhook_url = \"https://example.org\"", "alert_webhook_url = 'https://example.org'"),
    ("[risk.monitoring]\nsms_notifications = 0", "sms_notifications = 0 is not available"),
    ("[risk.monitoring]\nposition_limit_alert = 80", "did you mean 'position_limit_alert_threshold'"),
    ("[risk.circuit_braker]\ncooldown_minutes = 5", "did you mean 'circuit_breaker'"),
])
def test_a_section_that_is_not_right_is_refused(section: str, told: str) -> None:
    config = config_from_dict(tomllib.loads(HEAD + section))
    with pytest.raises((ConfigError, PluginNotFound), match=told):
        make("risk", config.risk[0], RiskRule)


@pytest.mark.parametrize(("section", "told"), [
    ("[risk.monitoring]\n[risk.alerts]", r"\[risk.alerts\] is there twice"),
    ("[risk.metadata]\nverson = \"1\"", "unknown key 'verson'; did you mean 'version'"),
    ("[risk.metadata]\nversion = 1", "must be a text or a date"),
    ("[risk.monitoring]\nwebhook_token = \"abc\"", "looks like a secret"),
])
def test_what_a_section_may_not_hold_is_refused_at_once(section: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        config_from_dict(tomllib.loads(HEAD + section))


def test_sizing_rules_are_chosen_by_name() -> None:
    names = [name for name, rule in NAMED.items() if issubclass(rule, SizingRule)]
    assert names == ["percent_of_equity", "risk_per_trade", "regime", "fixed_qty", "fixed_notional",
                     "volatility_target", "kelly"]
    for name in names:
        config = config_from_dict(tomllib.loads(HEAD.replace("percent_of_equity", name).replace("percent = 5", "")))
        assert isinstance(make("sizing", config.sizing, SizingRule), NAMED[name])
