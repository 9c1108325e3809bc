"""The spread model, by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from framework_slippage_spread import register_slippage_models
from framework_slippage_spread.estimators import close_against_middles, high_low_spread
from framework_slippage_spread.model import ESTIMATORS, Spread

import framework
from framework import ConfigError, Instrument
from framework.testing import check_plugin


def price(reference: float, qty: float, tick: float = 0.0, estimate: float = 0.0, **params: Any) -> float:
    """Return the price of one fill."""
    model = Spread(**params)
    values = {name: param.stored(getattr(model, name)) for name, param in Spread.params().items()}
    fill = SimpleNamespace(reference=reference, qty=qty, instrument=SimpleNamespace(tick=tick),
                           p=SimpleNamespace(**values), ind=SimpleNamespace(estimate=estimate))
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


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_it_passes_the_conformance_kit(estimator: str) -> None:
    report = check_plugin(Spread, params={"estimator": estimator})
    assert report.passed, str(report)


# --- estimated from bars ----------------------------------------------------------------------------------------------


def test_abdi_and_ranaldo_by_hand() -> None:
    """Middles in logs are 0 and 0.01, the close between them is at 0.02: 0.02 * 0.01; its root is half the spread."""
    high, low = np.exp([0.03, 0.04]), np.exp([-0.03, -0.02])
    products = close_against_middles.compute(high, low, np.exp([0.02, 0.0]))
    assert np.isnan(products[0])
    assert products[1] == pytest.approx(2e-4, rel=1e-12)
    paid = price(100.0, 1.0, estimate=products[1], estimator="abdi_ranaldo")
    assert paid == pytest.approx(100.0 + 100.0 * math.sqrt(2e-4), rel=1e-12)


def test_corwin_and_schultz_by_hand() -> None:
    """Two bars of one range: beta = 2 r^2 and gamma = r^2, so alpha = r (2 - sqrt 2) / (3 - 2 sqrt 2) - r (1 + sqrt 2).

    As 1 / (3 - 2 sqrt 2) = (1 + sqrt 2)^2, alpha = r (1 + sqrt 2) ((2 - sqrt 2)(1 + sqrt 2) - 1) = r (1 + sqrt 2)
    (sqrt 2 - 1) = r: ranges that do not grow with time are all spread.
    """
    r = 0.02
    spread = high_low_spread.compute(np.exp([r, r]), np.ones(2), np.exp([r / 2, r / 2]))
    expected = 2.0 * (math.exp(r) - 1.0) / (math.exp(r) + 1.0)
    assert spread[1] == pytest.approx(expected, rel=1e-9)
    assert price(100.0, -1.0, estimate=spread[1], estimator="corwin_schultz") == pytest.approx(100 - 50 * expected)


def test_a_gap_between_two_bars_is_no_range() -> None:
    """The second bar opens 9 above the close before and is moved back by it, onto the range of the first."""
    high, low, close = np.array([1003.0, 1012.0]), np.array([1001.0, 1010.0]), np.array([1001.0, 1011.0])
    moved = high_low_spread.compute(np.array([1003.0, 1003.0]), np.array([1001.0, 1001.0]), close)
    assert high_low_spread.compute(high, low, close)[1] == pytest.approx(moved[1], rel=0.05)
    assert moved[1] == pytest.approx(math.log(1003 / 1001), rel=1e-3)


def test_bars_whose_joint_range_is_wide_have_no_negative_spread() -> None:
    spread = high_low_spread.compute(np.array([101.0, 105.0]), np.array([100.0, 101.5]), np.array([101.0, 105.0]))
    assert spread[1] == 0.0


@pytest.mark.parametrize(("estimator", "true"), [
    ("abdi_ranaldo", 0.005), ("abdi_ranaldo", 0.01), ("abdi_ranaldo", 0.03), ("corwin_schultz", 0.01),
    ("corwin_schultz", 0.03),
])
def test_the_spread_of_a_simulated_market_is_found(estimator: str, true: float) -> None:
    """390 trades a day at bid or ask of a random walk of 1 % a day, as in both papers' simulations."""
    rng = np.random.default_rng(7)
    days, trades = 3_000, 390
    walk = np.cumsum(rng.normal(0.0, 0.01 / math.sqrt(trades), days * trades)).reshape(days, trades)
    prices = np.exp(walk) * (1.0 + 0.5 * true * rng.choice([-1.0, 1.0], (days, trades)))
    bars = prices.max(1), prices.min(1), prices[:, -1]
    step = close_against_middles if estimator == "abdi_ranaldo" else high_low_spread
    mean = float(np.nanmean(step.compute(*bars)))
    paid = price(100.0, 1.0, estimate=mean, estimator=estimator, half_spread_bps=0) - 100.0
    assert paid == pytest.approx(50.0 * true, rel=0.1)


def test_what_is_given_is_the_least_and_half_of_the_price_the_most() -> None:
    assert price(100.0, 1.0, estimate=1e-12, estimator="abdi_ranaldo", half_spread_bps=3) == pytest.approx(100.03)
    assert price(100.0, -1.0, estimate=9.0, estimator="corwin_schultz") == 50.0


def test_before_the_estimate_is_known_what_is_given_is_paid() -> None:
    assert price(100.0, 1.0, estimate=math.nan, estimator="abdi_ranaldo") == pytest.approx(100.01)


@pytest.mark.parametrize("estimator", ESTIMATORS[1:])
def test_a_run_pays_by_bars_that_had_closed(estimator: str) -> None:
    """Each fill is worked again in numpy from the bars before its open."""
    window = 30
    result = run(slippage={"name": "spread", "estimator": estimator, "window": window, "half_spread_bps": 0})
    tape, rows = result.prices, result.records.fills
    assert rows.size > 10
    for row in rows:
        last = int(np.searchsorted(tape.open_time, row["time"]))
        high, low, close = (column[max(0, last - window - 1): last] for column in (tape.high, tape.low, tape.close))
        half = 0.0 if last <= window else by_numpy(estimator, high, low, close)
        assert row["price"] == pytest.approx(row["reference"] * (1.0 + row["side"] * half), rel=1e-12)


def by_numpy(estimator: str, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> float:
    """Return half of the relative spread over these bars, straight from the papers' formulas."""
    if estimator == "abdi_ranaldo":
        middle, last = (np.log(high) + np.log(low)) / 2, np.log(close)
        return math.sqrt(max(0.0, 4 * np.mean((last - middle)[:-1] * (last[:-1] - middle[1:])))) / 2
    gap = np.maximum(0, close[:-1] - high[1:]) + np.minimum(0, close[:-1] - low[1:])
    beta = np.log(high / low)[:-1] ** 2 + np.log(high / low)[1:] ** 2
    gamma = np.log(np.maximum(high[1:] + gap, high[:-1]) / np.minimum(low[1:] + gap, low[:-1])) ** 2
    k = 3 - 2 * math.sqrt(2)
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
    return float(np.mean(np.maximum(0, 2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha))))) / 2


def test_parameters_are_bounded_and_the_package_registers_it() -> None:
    with pytest.raises(ConfigError, match="out of bounds"):
        Spread(half_spread_bps=-1)
    assert register_slippage_models() == [Spread]
