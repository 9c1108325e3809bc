"""The volume impact model, by hand, by the laws that it must keep, and in a run."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from framework_slippage_volume_impact import register_slippage_models
from framework_slippage_volume_impact.model import VolumeImpact
from hypothesis import given, settings
from hypothesis import strategies as st

import framework
from framework import ConfigError
from framework.testing import check_plugin

sizes = st.floats(1e-6, 1e9)


def price(qty: float, volume: float = 10_000.0, volatility: float = 0.02, reference: float = 100.0,
          **params: float) -> float:
    """Return the price of one fill."""
    return VolumeImpact.price(SimpleNamespace(reference=reference, qty=qty, mean_volume=volume, volatility=volatility,
                                              p=SimpleNamespace(**VolumeImpact(**params).values())))


def test_the_square_root_law_by_hand() -> None:
    # 100 of 10,000 is a share of 0.01, its root 0.1; 0.02 * 0.1 = 0.002 of 100 = 0.2
    assert price(100.0) == pytest.approx(100.2, rel=1e-14)
    assert price(-100.0) == pytest.approx(99.8, rel=1e-14)


def test_four_times_the_order_moves_the_price_twice_as_far() -> None:
    assert price(400.0) - 100.0 == pytest.approx(2.0 * (price(100.0) - 100.0), rel=1e-12)


@pytest.mark.parametrize(("duration", "normalized", "bps"), [(0.1, 0.142, 22), (0.2, 0.094, 15), (0.5, 0.054, 8)])
def test_the_temporary_impact_of_almgren_et_al_for_their_example_of_ibm(
    duration: float, normalized: float, bps: int
) -> None:
    """A tenth of a day's volume traded over a part of the day, at a volatility of 1.57 % a day.

    Their table has the impact in volatilities, rounded to a thousandth, and in basis points, rounded to one.
    """
    paid = price(0.1 / duration, 1.0, 0.0157, coefficient=0.142, exponent=0.6) / 100.0 - 1.0
    assert round(paid / 0.0157, 3) == normalized
    assert round(paid * 1e4) == bps


def test_half_a_spread_is_paid_besides() -> None:
    assert price(100.0, half_spread_bps=5) == pytest.approx(100.25, rel=1e-14)  # 0.2 + 0.05
    assert price(-100.0, half_spread_bps=5) == pytest.approx(99.75, rel=1e-14)


def test_the_most_that_impact_costs_is_paid_beyond_it_and_where_no_volume_is_known() -> None:
    assert price(1e9, max_impact_bps=100) == pytest.approx(101.0)
    assert price(1.0, 0.0, max_impact_bps=100) == pytest.approx(101.0)


def test_without_volatility_only_the_spread_is_paid() -> None:
    assert price(100.0, volatility=0.0, half_spread_bps=5) == pytest.approx(100.05)


@given(sizes, sizes, st.floats(0.0, 1.0), st.floats(0.0, 2.0), st.floats(0.0, 10.0))
@settings(deadline=None)
def test_a_larger_order_never_pays_less_a_share_and_both_sides_pay_alike(
    one: float, other: float, volatility: float, exponent: float, coefficient: float
) -> None:
    params = {"exponent": exponent, "coefficient": coefficient}
    small, large = sorted((one, other))
    assert 100.0 <= price(small, volatility=volatility, **params) <= price(large, volatility=volatility, **params)
    buy, sell = price(small, volatility=volatility, **params), price(-small, volatility=volatility, **params)
    assert buy - 100.0 == pytest.approx(100.0 - sell, rel=1e-9, abs=1e-9)


@given(sizes, st.floats(1.0, 1e6), st.floats(1e-5, 0.01), st.floats(1.0, 10_000.0))
@settings(deadline=None)
def test_the_square_root_law_does_not_depend_on_the_length_of_the_bars(
    qty: float, volume: float, volatility: float, times: float
) -> None:
    """Bars `times` as long have that times the volume and its root times the volatility."""
    longer = price(qty, volume * times, volatility * math.sqrt(times))
    assert longer == pytest.approx(price(qty, volume, volatility), rel=1e-9)


def test_a_run_pays_by_the_trailing_means_of_bars_that_had_closed() -> None:
    """Each market fill at an open is worked again from the tape: 20 closed bars before it, nothing of its own."""
    window = 20
    settings_: dict[str, Any] = {"fills": {"volume_window": window}, "slippage": {"name": "volume_impact"},
                                 "sizing": {"name": "percent_of_equity", "percent": 50}}
    result = framework.backtest(data={"source": "synthetic", "bars": 600, "symbols": ["AAA"], "seed": 4},
                                strategy="ma_cross", params={"fast": 3, "slow": 9}, **settings_)
    tape = result.prices
    assert tape is not None
    rows = result.records.fills
    assert rows.size > 20
    for row in rows:
        last = int(np.searchsorted(tape.open_time, row["time"])) - 1
        closes, volumes = tape.close[: last + 1], tape.volume[: last + 1]
        volatility = float(np.std(np.diff(np.log(closes))[-window:]))
        share = row["qty"] / float(np.mean(volumes[-window:]))
        expected = row["reference"] * (1.0 + row["side"] * volatility * math.sqrt(share))
        assert row["price"] == pytest.approx(expected, rel=1e-12)


def test_it_passes_the_conformance_kit() -> None:
    report = check_plugin(VolumeImpact)
    assert report.passed, str(report)


def test_parameters_are_bounded_and_the_package_registers_it() -> None:
    with pytest.raises(ConfigError, match="out of bounds"):
        VolumeImpact(exponent=3)
    assert register_slippage_models() == [VolumeImpact]
