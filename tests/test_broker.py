"""The contract of a broker: what an order may say, and that a class must implement all of it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from framework.broker import Broker, Capabilities, OrderRequest
from framework.errors import ConfigError

ASYNC = ["connect", "close", "submit", "cancel", "replace", "open_orders", "positions", "account", "fills", "subscribe"]


def request(**changes: Any) -> OrderRequest:
    """Return a market order, changed."""
    values = {"client_order_id": "c-1", "symbol": "AAPL", "side": "buy", "kind": "market", "qty": 1.0}
    return OrderRequest(**{**values, **changes})


@pytest.mark.parametrize("method", ASYNC)
def test_a_broker_answers_asynchronously_and_must_implement_every_verb(method: str) -> None:
    assert inspect.iscoroutinefunction(getattr(Broker, method))
    assert method in Broker.__abstractmethods__


def test_a_broker_that_implements_nothing_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        type("Empty", (Broker,), {"name": "empty"})()


def test_a_venue_can_do_little_unless_it_says_so() -> None:
    assert Broker.capabilities == Capabilities()
    assert Capabilities().order_kinds == {"market", "limit"}
    assert not Capabilities().can_short


def test_a_market_order_has_no_price_and_every_other_one() -> None:
    assert request().price is None
    assert request(kind="limit", price=10.0).price == 10.0
    for changes in ({"price": 10.0}, {"kind": "limit"}, {"kind": "stop"}):
        with pytest.raises(ConfigError, match="a market order has none and every other order has one"):
            request(**changes)


@pytest.mark.parametrize("qty", [0.0, -1.0, float("nan"), float("inf")])
def test_a_quantity_is_a_finite_number_above_zero(qty: float) -> None:
    with pytest.raises(ConfigError, match="it must be a finite number > 0"):
        request(qty=qty)


def test_a_side_is_buy_or_sell() -> None:
    with pytest.raises(ConfigError, match="side is 'long'; it must be 'buy' or 'sell'"):
        request(side="long")
