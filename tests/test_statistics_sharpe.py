"""Probabilistic and deflated Sharpe ratio, effective trials, minimum backtest length: published examples and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from framework.errors import DataError
from framework.research.sharpe import (
    Moments,
    deflated,
    deflated_sharpe_ratio,
    effective_trials,
    expected_maximum,
    minimum_backtest_length,
    moments,
    probabilistic_sharpe_ratio,
    probability_above,
    sharpe_ratios,
)


def noise(trials: int, days: int, seed: int = 1) -> np.ndarray:
    """Return daily returns without any edge."""
    return np.random.default_rng(seed).normal(0.0, 0.01, (trials, days))


# --- the probabilistic Sharpe ratio -----------------------------------------------------------------------------------


def test_the_example_of_bailey_and_lopez_de_prado_2012_is_reproduced() -> None:
    """24 months, Sharpe ratio 0.458 a month: 0.982 if normal, 0.913 with skew -2.448 and kurtosis 10.164."""
    assert probability_above(Moments(24, 0.458), 0.0) == pytest.approx(0.982, abs=5e-4)
    assert probability_above(Moments(24, 0.458, -2.448, 10.164), 0.0) == pytest.approx(0.913, abs=5e-4)


def test_moments_are_those_of_scipy() -> None:
    returns = np.random.default_rng(2).standard_t(4, 777) * 0.01 + 0.001
    found = moments(returns)
    assert found.days == 777
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-12)
    assert found.skew == pytest.approx(stats.skew(returns), rel=1e-9)
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-9)


def test_half_of_normal_samples_without_an_edge_have_a_probability_above_one_half() -> None:
    """And a tenth one above 90 %: the ratio is a probability, not a score."""
    values = np.array([probabilistic_sharpe_ratio(row).value for row in noise(2_000, 250)])
    for level in (0.1, 0.5, 0.9):
        assert np.mean(values <= level) == pytest.approx(level, abs=3 * math.sqrt(level * (1 - level) / 2_000))


def test_returns_that_do_not_vary_have_no_probability() -> None:
    for returns in ([], [0.01], [0.0] * 50, [0.001] * 50):
        found = probabilistic_sharpe_ratio(returns)
        assert math.isnan(found.value)
        assert "do not vary" in found.sentence


def test_ratios_of_trials_are_those_of_one_by_one_and_nan_where_flat() -> None:
    returns = noise(5, 100)
    returns[2] = 0.0
    ratios = sharpe_ratios(returns)
    assert math.isnan(ratios[2])
    assert ratios[[0, 1, 3, 4]] == pytest.approx([moments(returns[i]).sharpe for i in (0, 1, 3, 4)], rel=1e-12)


# --- the deflated Sharpe ratio ----------------------------------------------------------------------------------------

PUBLISHED = Moments(1250, 2.5 / math.sqrt(250), -3.0, 10.0)
"""Bailey & Lopez de Prado (2014), "A numerical example": annual Sharpe ratio 2.5 over five years of 250 days."""
VARIANCE = 0.5 / 250
"""Of the trials' Sharpe ratios there: 1/2 a year."""


def test_the_example_of_bailey_and_lopez_de_prado_2014_is_reproduced() -> None:
    """100 trials: threshold 0.1132 a day, DSR 0.9004.  46 trials: 0.9505.  88 trials of normal returns: 0.9505."""
    found = deflated(PUBLISHED, VARIANCE, 100, 100.0)
    assert found.threshold == pytest.approx(0.1132, abs=5e-5)
    assert found.value == pytest.approx(0.9004, abs=5e-5)
    assert deflated(PUBLISHED, VARIANCE, 46, 46.0).value == pytest.approx(0.9505, abs=5e-5)
    assert deflated(Moments(1250, PUBLISHED.sharpe), VARIANCE, 88, 88.0).value == pytest.approx(0.9505, abs=5e-5)


def test_one_trial_is_not_deflated() -> None:
    returns = noise(1, 500)[0] + 0.0005
    alone = deflated_sharpe_ratio(returns, [moments(returns).sharpe])
    assert alone.threshold == 0.0
    assert alone.value == probabilistic_sharpe_ratio(returns).value


def test_expected_maximum_is_that_of_simulated_normal_numbers() -> None:
    rng = np.random.default_rng(3)
    for trials in (10, 100, 1_000):
        simulated = rng.standard_normal((4_000, trials)).max(axis=1)
        assert expected_maximum(trials) == pytest.approx(simulated.mean(), rel=0.03)
    assert expected_maximum(1) == 0.0


@given(st.integers(2, 5_000), st.floats(1e-6, 1e-2), st.floats(0.01, 0.3))
def test_more_trials_never_raise_the_deflated_ratio(trials: int, variance: float, sharpe: float) -> None:
    of = Moments(1_000, sharpe)
    fewer, more = deflated(of, variance, trials, trials), deflated(of, variance, 2 * trials, trials)
    assert more.value <= fewer.value <= probability_above(of, 0.0)
    assert more.value <= more.value_effective == fewer.value


def test_undefined_trials_count_and_have_no_part_in_the_variance() -> None:
    returns = noise(1, 300)[0]
    found = deflated_sharpe_ratio(returns, [0.1, 0.0, math.nan, -0.1])
    assert found.trials == 4
    assert found.variance == pytest.approx(0.01)
    assert deflated_sharpe_ratio(returns, [0.1, 0.0, -0.1], trials=4) == found


def test_impossible_numbers_of_trials_are_refused() -> None:
    returns = noise(1, 100)[0]
    with pytest.raises(DataError, match="0 trials with 0 Sharpe ratios"):
        deflated_sharpe_ratio(returns, [])
    with pytest.raises(DataError, match="1 trials with 2"):
        deflated_sharpe_ratio(returns, [0.1, 0.2], trials=1)
    for effective in (0.5, 3.0, math.nan):
        with pytest.raises(DataError, match="effective of 2 trials"):
            deflated_sharpe_ratio(returns, [0.1, 0.2], effective=effective)


def test_wrong_shapes_and_values_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(2, 3\)"):
        moments(np.zeros((2, 3)))
    with pytest.raises(DataError, match="finite"):
        moments([0.1, math.nan])
    with pytest.raises(DataError, match=r"\(trials, days\)"):
        sharpe_ratios([0.1, 0.2])
    with pytest.raises(DataError, match="finite"):
        sharpe_ratios([[0.1, math.inf]])


# --- effective trials -------------------------------------------------------------------------------------------------


def test_effective_trials_follow_the_mean_correlation() -> None:
    """rho + (1 - rho) * N with numpy's correlations."""
    common = noise(1, 400, 5)
    returns = 0.6 * common + noise(12, 400, 6)
    correlation = np.corrcoef(returns)
    mean = correlation[~np.eye(12, dtype=bool)].mean()
    assert effective_trials(returns) == pytest.approx(mean + (1.0 - mean) * 12, rel=1e-9)


def test_copies_of_one_trial_are_one_trial() -> None:
    assert effective_trials(np.repeat(noise(1, 100), 50, axis=0)) == pytest.approx(1.0)


def test_opposed_trials_are_no_more_than_there_are() -> None:
    one = noise(1, 100)
    assert effective_trials(np.concatenate((one, -one))) == 2.0


def test_flat_trials_are_no_trials_of_their_own() -> None:
    assert effective_trials(np.zeros((7, 50))) == 1.0


# --- the minimum backtest length --------------------------------------------------------------------------------------


def test_five_years_allow_45_trials_as_published() -> None:
    """Bailey et al. (2014): with five years of data no more than 45 configurations should be tried."""
    assert minimum_backtest_length(45, 1.0).years == pytest.approx(5.0, abs=0.05)
    assert minimum_backtest_length(44, 1.0, 5.0).is_long_enough
    assert not minimum_backtest_length(47, 1.0, 5.0).is_long_enough


@given(st.integers(2, 100_000), st.floats(0.1, 5.0))
def test_the_length_is_below_the_published_bound(trials: int, sharpe: float) -> None:
    """2 * ln(N) / SR^2."""
    assert 0.0 <= minimum_backtest_length(trials, sharpe).years < 2.0 * math.log(trials) / sharpe**2


def test_a_ratio_that_is_not_positive_needs_no_explanation() -> None:
    for sharpe in (0.0, -1.0, math.nan):
        found = minimum_backtest_length(10, sharpe, 3.0)
        assert math.isnan(found.years)
        assert not found.is_long_enough
        assert "Without a positive Sharpe ratio" in found.sentence
