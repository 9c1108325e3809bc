"""The contract of a broker: its messages, its verbs, its parameters and secrets, and [broker] of a configuration."""

from __future__ import annotations

import inspect
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import framework
from framework import plugins
from framework.backtest.write import write_run
from framework.broker import (
    KINDS,
    STATUSES,
    TERMINAL,
    TIMES_IN_FORCE,
    Broker,
    Capabilities,
    Execution,
    OrderRequest,
    Param,
    VenueOrder,
    exact,
)
from framework.errors import ConfigError, PluginError, PluginNotFound

ASYNC = ["connect", "close", "submit", "cancel", "replace", "find_order", "open_orders", "positions", "account",
         "fills", "subscribe"]
PRICES = {"limit_price": "10", "stop_price": "9", "trail": "1"}


class Nowhere(Broker):
    """A venue that nobody reaches."""

    name = "nowhere_of_this_test"
    timeout_s = Param(10.0, low=0.1, high=120.0)
    secrets = ("NOWHERE_KEY",)

    async def _no(self, *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError

    connect = close = submit = cancel = replace = find_order = _no
    open_orders = positions = account = fills = subscribe = events = _no  # type: ignore[assignment]


def request(**changes: Any) -> OrderRequest:
    """Return a market order, changed."""
    values = {"client_order_id": "c-1", "symbol": "AAPL", "side": "buy", "kind": "market", "qty": 1}
    return OrderRequest(**{**values, **changes})


# --- the class --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ASYNC)
def test_a_broker_answers_asynchronously_and_must_implement_every_verb(method: str) -> None:
    assert inspect.iscoroutinefunction(getattr(Broker, method))
    assert method in Broker.__abstractmethods__


def test_a_broker_that_implements_nothing_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        type("Empty", (Broker,), {"name": "empty"})()


def test_parameters_of_a_broker_are_checked_as_those_of_a_strategy() -> None:
    assert Nowhere(timeout_s=3).values() == {"timeout_s": 3.0}
    with pytest.raises(ConfigError, match="unknown parameter 'timeout'; did you mean 'timeout_s'"):
        Nowhere(timeout=3)
    with pytest.raises(ConfigError, match="out of bounds"):
        Nowhere(timeout_s=0)


def test_a_secret_is_read_from_the_environment_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE_KEY", raising=False)
    broker = Nowhere()
    with pytest.raises(ConfigError, match="needs the environment variable NOWHERE_KEY; set it"):
        broker.secret("NOWHERE_KEY")
    monkeypatch.setenv("NOWHERE_KEY", "hush")
    assert broker.secret("NOWHERE_KEY") == "hush"
    with pytest.raises(ConfigError, match="'NOWHERE_KEI' is not one of its secrets; did you mean 'NOWHERE_KEY'"):
        broker.secret("NOWHERE_KEI")


def test_the_text_of_a_broker_is_its_parameters_and_nothing_that_it_holds() -> None:
    broker = Nowhere()
    broker.key = "hush"  # type: ignore[attr-defined]
    assert repr(broker) == "<broker nowhere_of_this_test {'timeout_s': 10.0}>"


# --- its messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_has_the_prices_of_its_kind_and_no_other(kind: str) -> None:
    needed = {name: PRICES[name] for name in KINDS[kind]}
    order = request(kind=kind, **needed)
    assert {name: getattr(order, name) for name in needed} == {name: Decimal(PRICES[name]) for name in needed}
    for name in PRICES:
        wrong = {key: value for key, value in needed.items() if key != name} if name in needed \
            else {**needed, name: PRICES[name]}
        with pytest.raises(ConfigError, match=rf"order 'c-1': a {kind} order has .*; given: "):
            request(kind=kind, **wrong)


@pytest.mark.parametrize("qty", [0, -1, "nan", float("inf"), "ten", None, True])
def test_a_quantity_is_a_finite_number_above_zero(qty: Any) -> None:
    with pytest.raises(ConfigError, match="qty"):
        request(qty=qty)


def test_words_that_do_not_exist_are_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="side is 'buys'; it must be 'buy' or 'sell'; did you mean 'buy'"):
        request(side="buys")
    with pytest.raises(ConfigError, match="did you mean 'stop_limit'"):
        request(kind="stoplimit")
    with pytest.raises(ConfigError, match="did you mean 'market'"):
        Capabilities(order_kinds={"limit", "markt"})


def test_only_a_gtd_order_expires() -> None:
    assert request(time_in_force="gtd", expires_ns=5).expires_ns == 5
    for changes in ({"time_in_force": "gtd"}, {"expires_ns": 5}):
        with pytest.raises(ConfigError, match="a gtd order has it and no other"):
            request(**changes)


@given(st.decimals(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_digit_of_their_text(number: Decimal, approximate: float) -> None:
    assert exact(str(number)) == exact(number) == number
    assert float(exact(approximate)) == approximate
    assert exact(0.1) == Decimal("0.1")


def test_sums_of_executions_are_exact() -> None:
    parts = [Execution("x", "c", "v", "AAPL", "buy", 0.1, "0.2", 1) for _ in range(3)]
    assert sum(part.qty * part.price for part in parts) == Decimal("0.06")


def test_an_order_of_unknown_status_still_counts_as_working() -> None:
    for status in STATUSES:
        order = VenueOrder("c", "v", "AAPL", "buy", "market", status, 1)
        assert order.is_working == (status not in TERMINAL)
    assert "unknown" not in TERMINAL


def test_a_venue_can_do_little_unless_it_says_so() -> None:
    able = Capabilities()
    assert (able.order_kinds, able.times_in_force, able.channels) == ({"market", "limit"}, {"gtc"}, frozenset())
    assert not any((able.can_short, able.can_replace, able.can_reduce_only, able.is_paper))
    assert able.lacks(request()) == ""


@pytest.mark.parametrize(("changes", "said"), [
    ({"kind": "stop", "stop_price": 9}, "stop orders; it takes limit, market"),
    ({"time_in_force": "ioc"}, "time_in_force ioc; it takes gtc"),
    ({"reduce_only": True}, "reduce_only orders"),
    ({"client_order_id": "c" * 37}, "a client_order_id of 37 characters; it takes 36"),
])
def test_what_a_venue_lacks_is_said(changes: dict[str, Any], said: str) -> None:
    assert Capabilities().lacks(request(**changes)) == said
    everything = Capabilities(order_kinds=KINDS, times_in_force=TIMES_IN_FORCE, can_reduce_only=True,
                              longest_client_order_id=128)
    assert everything.lacks(request(**changes)) == ""


# --- [broker] ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that knows the broker of this test, for a moment."""
    monkeypatch.setattr(plugins, "_current", [])
    plugins.registry().add("broker", Nowhere)


def backtest(broker: Any) -> Any:
    """Return the result of a small run with this [broker]."""
    return framework.backtest(data={"source": "synthetic", "bars": 120, "symbols": ["AAA"]},
                              strategy="ma_cross", params={"fast": 3, "slow": 9}, broker=broker)


def test_the_broker_of_a_run_is_recorded_with_all_its_parameters(registered: None, tmp_path: Path) -> None:
    result = backtest({"name": "nowhere_of_this_test"})
    write_run(result, tmp_path / "run", report=False)
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["config"]["broker"] == {"name": "nowhere_of_this_test", "params": {"timeout_s": 10.0}}
    assert result.config["broker"]["params"] == {"timeout_s": 10.0}


def test_without_a_broker_section_it_is_paper() -> None:
    assert backtest("paper").config["broker"] == {"name": "paper", "params": {}}


def test_a_broker_can_be_given_as_an_instance_in_a_notebook(registered: None) -> None:
    assert backtest(Nowhere(timeout_s=2)).config["broker"]["params"] == {"timeout_s": 2.0}


@pytest.mark.parametrize(("broker", "error", "said"), [
    ({"name": "nowhere_of_this_tst"}, PluginNotFound, "did you mean 'nowhere_of_this_test'"),
    ({"name": "papr"}, PluginNotFound, "did you mean 'paper'"),
    ({"name": "ma_cross"}, PluginNotFound, r"\[broker\]: unknown broker 'ma_cross'"),
    ({"name": "paper", "timeout_s": 3}, ConfigError, "paper: unknown parameter 'timeout_s'; it has none"),
    ({"name": "nowhere_of_this_test", "timeout": 3}, ConfigError, "did you mean 'timeout_s'"),
    ({"name": "nowhere_of_this_test", "timeout_s": "x"}, ConfigError, "must be a number"),
    ({"name": "nowhere_of_this_test", "api_key": "hush"}, ConfigError, "secrets come from the environment only"),
])
def test_a_broker_section_that_is_wrong_stops_the_run(
    registered: None, broker: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        backtest(broker)


def test_the_name_paper_is_the_frameworks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_current", [])
    monkeypatch.setattr(Nowhere, "name", "paper")
    with pytest.raises(PluginError, match="'paper'"):
        plugins.registry().add("broker", Nowhere)
