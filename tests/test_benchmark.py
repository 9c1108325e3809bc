"""Buy and hold, alpha and beta: hand-worked, and equal to quantstats and to a least-squares line."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.backtest.benchmark import Growth, growth_returns, held_growth
from framework.backtest.metrics import alpha_and_beta
from tests.sample_result import Prices, sample_result


def prices_of(*closes: tuple[list[int], list[float]]) -> Prices:
    """Return bars of symbols A, B, ... given as (times, closes)."""
    lengths = np.array([0, *[len(times) for times, _ in closes]])
    time = np.concatenate([np.array(times, np.int64) for times, _ in closes])
    close = np.concatenate([np.array(values, np.float64) for _, values in closes])
    return Prices(tuple("ABCDE"[: len(closes)]), np.cumsum(lengths), time, close, close, close)


# --- growth -----------------------------------------------------------------------------------------------------------


def test_equal_weights_by_hand_with_bars_at_different_times():
    # A: 100, 110, 120 at 1, 2, 4. B: 50, 40 at 2, 3, and ends there at 0.8
    prices = prices_of(([1, 2, 4], [100.0, 110.0, 120.0]), ([2, 3], [50.0, 40.0]))
    growth = held_growth(prices, np.array([100.0, 50.0]), "AB", "AB", 0)
    # at 1: (1 + 1) / 2; at 2: (1.1 + 1) / 2; at 3: (1.1 + 0.8) / 2; at 4: (1.2 + 0.8) / 2
    time, value = growth.curve()
    assert time.tolist() == [1, 2, 3, 4]
    assert value == pytest.approx([1.0, 1.05, 0.95, 1.0])
    assert growth.at(np.array([0, 1, 2, 3, 9])) == pytest.approx([1.0, 1.0, 1.05, 0.95, 1.0])


def test_one_symbol_is_its_price_over_the_first():
    prices = prices_of(([1, 2, 3], [100.0, 150.0, 80.0]), ([1, 2, 3], [7.0, 8.0, 9.0]))
    growth = held_growth(prices, np.array([100.0, 7.0]), "AB", "A", 0)
    assert growth.curve()[1].tolist() == [1.0, 1.5, 0.8]
    assert growth.at(np.array([0, 1, 2, 5])).tolist() == [1.0, 1.0, 1.5, 0.8]


SERIES = st.dictionaries(st.integers(0, 40), st.floats(0.1, 10.0), min_size=1, max_size=12)


@given(st.lists(SERIES, min_size=1, max_size=5))
def test_the_curve_is_the_value_at_every_time_at_which_it_changes(series):
    growth = Growth(tuple((np.array(sorted(part)), np.array([part[time] for time in sorted(part)])) for part in series))
    time, value = growth.curve()
    assert time.tolist() == sorted(set().union(*series))
    assert value == pytest.approx(growth.at(time))


def test_bars_before_the_start_and_symbols_without_a_price_do_not_count():
    prices = prices_of(([1, 2, 3], [100.0, 200.0, 300.0]), ([1, 2, 3], [7.0, 8.0, 9.0]))
    growth = held_growth(prices, np.array([200.0, math.nan]), "AB", "AB", 2)
    assert [part.tolist() for part in growth.curve()] == [[2, 3], [1.0, 1.5]]
    assert held_growth(prices, np.array([math.nan, math.nan]), "AB", "AB", 0) is None
    assert held_growth(prices, np.array([200.0, 7.0]), "AB", "AB", 9) is None


def test_returns_of_the_benchmark_are_against_the_time_before():
    growth = Growth(((np.array([10, 20]), np.array([1.1, 0.99])),))
    # 1.1 / 1, 1.1 / 1.1, 0.99 / 1.1
    assert growth_returns(growth, np.array([10, 15, 20])) == pytest.approx([0.1, 0.0, -0.1])


# --- alpha and beta ---------------------------------------------------------------------------------------------------


def test_alpha_and_beta_by_hand():
    # y: mean 0.01, deviations 0.01, -0.02, 0.01: var 0.0002. x = 0.5 y + 0.001: cov 0.0001, beta 0.5
    # alpha = (0.006 - 0.5 * 0.01) * 252 = 0.252
    reference = np.array([0.02, -0.01, 0.02])
    alpha, beta = alpha_and_beta(0.5 * reference + 0.001, reference, 252.0)
    assert (alpha, beta) == (pytest.approx(0.252), pytest.approx(0.5))


@pytest.mark.parametrize("periods", [252.0, 365.0])
def test_alpha_and_beta_equal_quantstats_and_a_least_squares_line(periods):
    from quantstats import stats as oracle

    rng = np.random.default_rng(4)
    reference = rng.normal(0.0004, 0.011, 600)
    returns = 0.0002 + 0.7 * reference + rng.normal(0.0, 0.008, 600)
    alpha, beta = alpha_and_beta(returns, reference, periods)
    index = pd.date_range("2020-01-01", periods=600, freq="D")
    theirs = oracle.greeks(pd.Series(returns, index), pd.Series(reference, index), periods, prepare_returns=False)
    assert (alpha, beta) == (pytest.approx(theirs["alpha"], rel=1e-9), pytest.approx(theirs["beta"], rel=1e-9))
    slope, intercept = np.polyfit(reference, returns, 1)
    assert (alpha, beta) == (pytest.approx(intercept * periods), pytest.approx(slope))


def test_the_risk_free_rate_is_taken_off_both_sides():
    # rate 1.0001 ** 252 - 1 is 0.0001 a day: alpha falls by (1 - beta) * 0.0001 * 252
    rng = np.random.default_rng(4)
    reference, returns = rng.normal(0.0, 0.01, 50), rng.normal(0.0, 0.01, 50)
    plain, beta = alpha_and_beta(returns, reference, 252.0)
    excess, same = alpha_and_beta(returns, reference, 252.0, 1.0001**252 - 1.0)
    assert same == pytest.approx(beta)
    assert excess == pytest.approx(plain - (1.0 - beta) * 0.0001 * 252.0)


def test_a_benchmark_that_does_not_vary_or_is_not_known_has_neither():
    assert all(map(math.isnan, alpha_and_beta(np.array([0.1, 0.2]), np.zeros(2), 252.0)))
    assert all(map(math.isnan, alpha_and_beta(np.array([0.1, 0.2]), np.empty(0), 252.0)))


@given(st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=40), st.floats(-3.0, 3.0))
def test_a_run_that_is_a_multiple_of_its_benchmark_has_that_beta_and_no_alpha(values, multiple):
    reference = np.round(np.array(values), 4)
    alpha, beta = alpha_and_beta(multiple * reference, reference, 252.0)
    if math.isfinite(beta):
        assert beta == pytest.approx(multiple, abs=1e-9)
        assert alpha == pytest.approx(0.0, abs=1e-9)


# --- results ----------------------------------------------------------------------------------------------------------


def test_a_run_is_measured_against_equal_weights_or_the_symbol_named():
    run, one = sample_result(bars=300, per_slot=20), sample_result(bars=300, per_slot=20, benchmark="IBM")
    changes = run.last_close / run.first_close - 1.0
    assert run.stats["Buy & Hold Return [%]"] == pytest.approx(100.0 * changes.mean())
    assert one.stats["Buy & Hold Return [%]"] == pytest.approx(100.0 * changes[2])
    closes = run.prices.close.reshape(4, 300)
    days = closes[2, 1:] / closes[2, :-1] - 1.0
    returns = np.diff(run.records.days["equity"], prepend=run.capital)
    returns = returns / np.concatenate(([run.capital], run.records.days["equity"][:-1]))
    alpha, beta = alpha_and_beta(returns, np.concatenate(([0.0], days)), 252.0)
    assert (one.stats["Alpha"], one.stats["Beta"]) == (pytest.approx(alpha), pytest.approx(beta))
    assert one.stats["Beta"] != run.stats["Beta"]


def test_a_run_without_prices_has_no_alpha_and_no_beta():
    stats = sample_result(bars=60, per_slot=3, prices=None).stats
    assert math.isnan(stats["Alpha"])
    assert math.isnan(stats["Beta"])
