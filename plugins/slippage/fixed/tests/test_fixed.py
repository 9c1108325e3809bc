"""The fixed slippage model, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from framework_slippage_fixed import register_slippage_models
from framework_slippage_fixed.model import Fixed

from framework import ConfigError, SlippageModel


def fill(reference: float, qty: float, bps: float) -> SimpleNamespace:
    """Return what the model sees of one fill."""
    return SimpleNamespace(reference=reference, qty=qty, p=SimpleNamespace(bps=bps))


def test_a_buy_fills_above_and_a_sell_below_the_reference() -> None:
    assert Fixed.price(fill(100.0, 5.0, 20.0)) == pytest.approx(100.2, rel=1e-15)  # 100 * (1 + 20 / 10,000)
    assert Fixed.price(fill(100.0, -5.0, 20.0)) == pytest.approx(99.8, rel=1e-15)  # 100 * (1 - 20 / 10,000)


def test_no_basis_points_cost_nothing() -> None:
    assert Fixed.price(fill(123.45, 1.0, 0.0)) == 123.45


def test_basis_points_are_bounded() -> None:
    assert Fixed(bps=0).values() == {"bps": 0.0}
    for bps in (-1, 1_001):
        with pytest.raises(ConfigError, match="out of bounds"):
            Fixed(bps=bps)


def test_the_package_registers_it() -> None:
    assert register_slippage_models() == [Fixed]
    assert issubclass(Fixed, SlippageModel)
