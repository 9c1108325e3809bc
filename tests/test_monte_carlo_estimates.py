"""Estimates of a simulation: hand-worked quantiles and tails, laws, and intervals that cover."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from framework.research.estimates import (
    Estimate,
    Figure,
    expected_shortfall,
    mean,
    quantile,
    share,
    traced,
    value_at_risk,
)

returns = arrays(np.float64, st.integers(2, 400), elements=st.floats(-1.0, 10.0)).map(np.sort)


def test_value_at_risk_and_shortfall_of_a_hundred_returns_by_hand() -> None:
    """Returns -100 .. -1: the five worst are -100 .. -96, so VaR 95 = 96 and CVaR 95 = (100 + .. + 96) / 5 = 98."""
    ordered = np.arange(-100.0, 0.0)
    assert quantile(ordered, 0.05).value == -96.0
    assert value_at_risk(ordered, 0.95).value == 96.0
    assert expected_shortfall(ordered, 0.95).value == 98.0
    assert value_at_risk(ordered, 0.99).value == expected_shortfall(ordered, 0.99).value == 100.0
    assert quantile(ordered, 0.5).value == -51.0


def test_a_return_at_the_edge_counts_with_its_part_of_the_tail() -> None:
    """The tail of 5 % of 50 returns is 2.5 of them: (50 + 49 + 48 / 2) / 2.5 = 49.2."""
    ordered = np.arange(-50.0, 0.0)
    assert expected_shortfall(ordered, 0.95).value == pytest.approx(49.2)
    assert value_at_risk(ordered, 0.95).value == 48.0


def test_quantiles_are_those_of_numpy() -> None:
    ordered = np.sort(np.random.default_rng(1).normal(size=1_237))
    for part in (0.01, 0.05, 0.5, 0.95, 0.99):
        assert quantile(ordered, part).value == np.quantile(ordered, part, method="inverted_cdf")


@given(returns)
def test_a_rarer_loss_is_never_smaller_and_a_shortfall_never_below_its_value_at_risk(ordered: np.ndarray) -> None:
    risk, tail = ([figure(ordered, level).value for level in (0.90, 0.95, 0.99)]
                  for figure in (value_at_risk, expected_shortfall))
    assert risk == sorted(risk)
    assert all(b >= a - 1e-12 * max(1.0, abs(a)) for a, b in pairwise(tail))
    assert all(deep >= value for deep, value in zip(tail, risk, strict=True))
    assert max(tail) <= -ordered[0] + 1e-12


@given(returns)
def test_a_value_at_risk_is_its_signed_quantile_turned_round_and_lies_in_its_interval(ordered: np.ndarray) -> None:
    loss, signed = value_at_risk(ordered, 0.95), quantile(ordered, 0.05)
    assert (loss.value, loss.low, loss.high) == (-signed.value, -signed.high, -signed.low)
    assert loss.low <= loss.value <= loss.high


@given(arrays(np.bool_, st.integers(1, 300)))
def test_a_share_lies_in_its_interval_and_that_within_zero_and_one(is_true: np.ndarray) -> None:
    found = share(is_true)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    wilson = stats.binomtest(int(is_true.sum()), len(is_true)).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=1e-9)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """1,000 normal samples of 2,000: each of the intervals covers in 95 % of them, within three errors."""
    rng = np.random.default_rng(2)
    normal = stats.norm()
    truth = {
        "mean": 0.0, "var95": -normal.ppf(0.05), "var99": -normal.ppf(0.01), "median": 0.0,
        "cvar95": normal.pdf(normal.ppf(0.05)) / 0.05, "cvar99": normal.pdf(normal.ppf(0.01)) / 0.01,
        "loss": 0.5,
    }
    covered = dict.fromkeys(truth, 0)
    for _ in range(1_000):
        ordered = np.sort(rng.standard_normal(2_000))
        found = {
            "mean": mean(ordered), "var95": value_at_risk(ordered, 0.95), "var99": value_at_risk(ordered, 0.99),
            "median": quantile(ordered, 0.5), "cvar95": expected_shortfall(ordered, 0.95),
            "cvar99": expected_shortfall(ordered, 0.99), "loss": share(ordered < 0.0),
        }
        for name, figure in found.items():
            covered[name] += figure.low <= truth[name] <= figure.high
    for name, count in covered.items():
        floor = 0.90 if name == "cvar99" else 0.93
        assert floor < count / 1_000 < 0.985, f"{name}: {count}; a tail of 20 values is short for its own error"


def test_an_estimate_is_traced_over_parts_of_the_paths_and_says_whether_it_has_settled() -> None:
    found = traced(80, lambda count: {"x": Figure(float(count), count - 1.0, count + 1.0)})["x"]
    assert found == Estimate(80.0, 79.0, 81.0, ((10, 10.0), (20, 20.0), (40, 40.0), (80, 80.0)))
    assert found.has_settled
    assert not Estimate(1.0, 0.9, 1.1, ()).has_settled
    assert Estimate(0.0, -0.02, 0.02, ()).has_settled
    assert math.isclose(Estimate(1.0, 0.95, 1.05, ()).value, 1.0)
