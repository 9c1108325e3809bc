"""The conformance kit on slippage models, sizing rules and risk rules: the honest pass, every cheat is named."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest
from framework_slippage_fixed.model import Fixed

from framework import Param, RiskRule, SizingRule, SlippageModel
from framework.boundary.jit import JIT
from framework.errors import ConfigError
from framework.indicators import Bars, Expression, ema
from framework.risk import UNSET, reduce, refuse
from framework.rules import RULES
from framework.testing import check_plugin, synthetic_market

MARKET = synthetic_market(300, ("AAA", "BBB"), kind="gappy")
HIGHS, TIMES = MARKET.high.copy(), MARKET.open_time.copy()
"""What a model may not know: the highs of all bars, by the time at which they open."""

needs_compiler = pytest.mark.skipif(not JIT, reason="the compiler is switched off")


def failures(cls: Any, **options: Any) -> dict[str, str]:
    """Return the messages of the failed checks by name."""
    return {check.name: check.message for check in check_plugin(cls, **options).failures}


def model(price: Any, doc: str = "A model.", **members: Any) -> Any:
    """Return a slippage model with this function."""
    return type("Model", (SlippageModel,), {"__doc__": doc, "name": "model", "price": staticmethod(price), **members})


def risk(check: Any, **members: Any) -> Any:
    """Return a risk rule with this function."""
    return type("Rule", (RiskRule,), {"__doc__": "A rule.", "name": "rule", "check": staticmethod(check), **members})


def sizing(size: Any, **members: Any) -> Any:
    """Return a sizing rule with this function."""
    return type("Rule", (SizingRule,), {"__doc__": "A rule.", "name": "rule", "size": staticmethod(size), **members})


@pytest.mark.parametrize("cls", [Fixed, *RULES])
def test_what_is_installed_passes(cls: Any) -> None:
    report = check_plugin(cls)
    assert report.passed, str(report)


# --- slippage models --------------------------------------------------------------------------------------------------


def test_a_model_that_holds_the_filling_bars_is_caught_and_a_fill_named() -> None:
    def price(fill: Any) -> float:
        for i in range(len(TIMES)):
            if TIMES[i] == fill.bar.close_time and fill.qty > 0:
                return HIGHS[i]  # type: ignore[no-any-return]
        return fill.reference  # type: ignore[no-any-return]

    told = failures(model(price))["reads only what it is shown"]
    assert "the model reads TIMES (ndarray), HIGHS (ndarray) past its argument" in told
    assert "that may hold the filling bar or any later one" in told
    assert "it prices by it: buying " in told
    assert "after the bar that closed at 2020-" in told


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_a_price_that_is_none_is_caught(bad: float) -> None:
    def price(fill: Any) -> float:
        return bad if fill.mean_volume == 0.0 else fill.reference  # type: ignore[no-any-return]

    assert f"gets {bad!r} with" in failures(model(price))["prices are finite and above zero"]


def test_a_bound_at_which_prices_break_is_caught() -> None:
    def price(fill: Any) -> float:
        return fill.reference * (1.0 + math.copysign(fill.p.share, fill.qty))  # type: ignore[no-any-return]

    broken = failures(model(price, share=Param(0.01, low=0.0, high=1.0)))["prices are finite and above zero"]
    assert "selling " in broken
    assert "gets 0.0 with {'share': 1.0}" in broken
    assert failures(model(price, share=Param(0.01, low=0.0, high=0.5))) == {}


def test_a_model_that_improves_a_price_is_caught() -> None:
    def price(fill: Any) -> float:
        return fill.reference * 0.999  # type: ignore[no-any-return]

    told = failures(model(price))["does not improve a price"]
    assert told.startswith("in 64 of 128 fills with {} it is better than the reference, at which the step fills then: "
                           "buying 1e-08")


def test_a_price_that_a_bound_improves_is_caught() -> None:
    def price(fill: Any) -> float:
        return fill.reference * (1.0 + (fill.p.cost if fill.qty > 0.0 else -fill.p.cost))  # type: ignore[no-any-return]

    told = failures(model(price, cost=Param(0.0, low=-0.001, high=0.0)))["does not improve a price"]
    assert "with {'cost': -0.001} it is better" in told


def test_bounds_of_a_model_that_contradict_each_other_are_left_out() -> None:
    """With low = 0.02 the default of high, 0.01, is refused: that is no instance, and no failure."""
    def price(fill: Any) -> float:
        return fill.reference * (1.0 + math.copysign(fill.p.low, fill.qty))  # type: ignore[no-any-return]

    def __init__(self: Any, **params: Any) -> None:
        SlippageModel.__init__(self, **params)
        if self.low > self.high:
            raise ConfigError(f"low = {self.low} is above high = {self.high}")

    bounds = {"low": Param(0.005, low=0.0, high=0.02), "high": Param(0.01, low=0.001, high=0.02)}
    pair = model(price, **bounds, __init__=__init__)
    assert failures(pair) == {}
    report = check_plugin(pair)
    (told,) = [check.message for check in report.checks if check.name == "prices are finite and above zero"]
    assert told.startswith("3 sets of parameters")


def test_a_model_that_divides_by_no_volume_is_caught() -> None:
    def price(fill: Any) -> float:
        return fill.reference * (1.0 + 1e-9 * abs(fill.qty) / fill.mean_volume)  # type: ignore[no-any-return]

    told = failures(model(price))["prices are finite and above zero"]
    assert "it raised ZeroDivisionError" in told
    assert "reference 1e-06" in told


@needs_compiler
def test_a_model_whose_last_bit_depends_on_the_compiler_is_told_where_to_look() -> None:
    def price(fill: Any) -> float:
        return fill.reference + float(str(fill.reference)[0]) * 1e-9  # type: ignore[no-any-return]

    found = failures(model(price))
    told = found.get("compiled equals interpreted", "") + found.get("compiles", "")
    assert "compiled" in told or "does not compile" in told
    assert "compiles" not in failures(model(price), interpreted=True)


def test_a_misspelt_field_and_a_missing_bound_of_a_model_are_told() -> None:
    def price(fill: Any) -> float:
        return fill.referense  # type: ignore[no-any-return]

    assert "fill has no 'referense'; did you mean 'reference'?" in failures(model(price))["names"]
    missing = model(lambda fill: fill.reference, bps=Param(1.0))
    assert failures(missing)["contract"].startswith("parameter bps has no low bound")


# --- risk rules -------------------------------------------------------------------------------------------------------


def test_a_rule_cannot_raise_a_quantity() -> None:
    def check(order: Any) -> None:
        order.allowed = 2.0 * order.qty

    assert "order.allowed is written" in failures(risk(check))["names"]

    def hidden(order: Any) -> None:
        setattr(order, "allowed", 2.0 * order.qty)  # noqa: B010

    told = failures(risk(hidden), interpreted=True)["never raises a quantity"]
    assert told.startswith("it allows ")


def test_a_rule_with_memory_elsewhere_is_caught() -> None:
    asked: list[float] = []

    def check(order: Any) -> None:
        asked.append(order.qty)
        if len(asked) % 3 == 0:
            refuse(order, order.qty, 0.0)

    found = failures(risk(check), interpreted=True)
    assert found["reads only what it is shown"].startswith("check reads asked (list) past its argument")
    assert "first: " in found["the same twice"]


def test_a_rule_with_state_and_a_watch_passes() -> None:
    def check(order: Any) -> None:
        if order.state.lowest < order.p.floor:
            reduce(order, order.qty * 0.5, order.state.lowest, order.p.floor)

    def watch(order: Any) -> None:
        order.state.lowest = min(order.state.lowest, order.account.equity)

    members: dict[str, Any] = {"floor": Param(1e5, low=0.0), "state": {"lowest": 1e300}, "watch": staticmethod(watch)}
    assert failures(risk(check, **members)) == {}


def test_a_rule_that_raises_names_the_order() -> None:
    def check(order: Any) -> None:
        if order.stop == UNSET:
            raise ValueError("no stop")

    told = failures(risk(check), interpreted=True)["never raises a quantity"]
    assert told.startswith("it raised ValueError: no stop for allowed ")


# --- sizing rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qty", [-1.0, math.inf, math.nan])
def test_a_quantity_that_is_none_is_caught(qty: float) -> None:
    def size(order: Any) -> float:
        return qty if order.side < 0 else 1.0

    assert f"it sizes {qty!r}" in failures(sizing(size))["quantities are finite and not negative"]


def test_a_quantity_may_be_missing_while_an_indicator_is() -> None:
    class Trending(SizingRule):
        """Size by the slope of an average."""

        name = "trending"
        length = Param(20, low=2, high=50)
        state: ClassVar[Any] = {}

        def indicators(self, bars: Bars) -> dict[str, Expression]:
            return {"average": ema(bars.close, self.length)}

        @staticmethod
        def size(order: Any) -> float:
            return 100.0 / order.ind.average  # type: ignore[no-any-return]

    report = check_plugin(Trending)
    assert report.passed, str(report)


def test_the_rules_of_the_kit_may_be_run_on_a_given_market() -> None:
    assert check_plugin(RULES[0], params={"percent": 5.0}, market=synthetic_market(60)).passed
