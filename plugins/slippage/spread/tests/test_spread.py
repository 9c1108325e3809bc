"""The spread model, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from framework_slippage_spread import register_slippage_models
from framework_slippage_spread.model import Spread

import framework
from framework import ConfigError, Instrument
from framework.testing import check_plugin


def price(reference: float, qty: float, tick: float = 0.0, **params: float) -> float:
    """Return the price of one fill."""
    values = Spread(**params).values()
    fill = SimpleNamespace(reference=reference, qty=qty, instrument=SimpleNamespace(tick=tick),
                           p=SimpleNamespace(**values))
    return Spread.price(fill)


def test_half_a_spread_is_paid_on_either_side() -> None:
    assert price(50.0, 3.0, half_spread_bps=20) == pytest.approx(50.1, rel=1e-15)  # 50 + 50 * 20 / 10,000
    assert price(50.0, -3.0, half_spread_bps=20) == pytest.approx(49.9, rel=1e-15)  # 50 - 50 * 20 / 10,000


def test_ticks_are_the_least_that_is_paid() -> None:
    assert price(50.0, 1.0, 0.01, half_spread_bps=1, half_spread_ticks=0.5) == 50.005  # both are 0.005
    assert price(50.0, 1.0, 0.01, half_spread_bps=1, half_spread_ticks=2) == 50.02  # 2 * 0.01 > 0.005
    assert price(500.0, -1.0, 0.01, half_spread_bps=1, half_spread_ticks=2) == 499.95  # 500 / 10,000 = 0.05 > 0.02


def test_quantity_does_not_matter() -> None:
    assert price(50.0, 1e-8) == price(50.0, 1e8)


def test_no_spread_costs_nothing() -> None:
    assert price(123.45, 1.0, half_spread_bps=0) == 123.45


def test_ticks_are_refused_where_there_is_no_tick() -> None:
    with_tick = Instrument("A", tick=0.01)
    assert Spread(half_spread_ticks=1).lacks(with_tick) == ""
    assert Spread().lacks(Instrument("B")) == ""
    assert "half_spread_ticks = 1.0 needs a tick" in Spread(half_spread_ticks=1).lacks(Instrument("B"))


def run(**settings: Any) -> Any:
    """Return a run on made-up bars."""
    return framework.backtest(data={"source": "synthetic", "bars": 300, "symbols": ["AAA"], "seed": 4},
                              strategy="ma_cross", params={"fast": 3, "slow": 9}, **settings)


def test_a_run_with_ticks_on_a_symbol_without_one_is_refused_before_it_starts() -> None:
    with pytest.raises(ConfigError, match=r"\[slippage\] spread: AAA: half_spread_ticks = 1.0 needs a tick"):
        run(slippage={"name": "spread", "half_spread_ticks": 1})


def test_every_market_fill_of_a_run_pays_the_same_share() -> None:
    fills = run(slippage={"name": "spread", "half_spread_bps": 4}).fills
    assert fills.height > 10
    paid = (fills["price"] / fills["reference"] - 1.0).abs()
    assert paid.to_list() == pytest.approx([4e-4] * fills.height, rel=1e-9)


def test_it_passes_the_conformance_kit() -> None:
    report = check_plugin(Spread)
    assert report.passed, str(report)


def test_parameters_are_bounded_and_the_package_registers_it() -> None:
    with pytest.raises(ConfigError, match="out of bounds"):
        Spread(half_spread_bps=-1)
    assert register_slippage_models() == [Spread]
