"""Intervals: arch as the oracle of blocks and resamples, coverage of a known truth, and what has no interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.backtest import intervals as module
from framework.backtest.intervals import (
    deepest,
    expanded_tail,
    intervals,
    mean_block_length,
    resampled_days,
    resampled_statistics,
    student_quantile,
)
from framework.backtest.metrics import annualized_return, daily_returns, drawdowns, sharpe_ratio
from framework.backtest.result import Records
from tests.sample_result import sample_result

MEAN, DEVIATION = 0.0006, 0.012
"""Of the daily returns of every synthetic law."""


def independent(rng: np.random.Generator, runs: int, days: int) -> np.ndarray:
    return MEAN + DEVIATION * rng.standard_normal((runs, days))


def heavy_tailed(rng: np.random.Generator, runs: int, days: int) -> np.ndarray:
    # Student's t of 5 degrees of freedom has the variance 5 / 3
    return MEAN + DEVIATION * rng.standard_t(5, (runs, days)) / math.sqrt(5.0 / 3.0)


def trending(rng: np.random.Generator, runs: int, days: int) -> np.ndarray:
    """Each day keeps a tenth of the one before: x = 0.1 x' + e, of variance 1 / (1 - 0.01)."""
    shock = rng.standard_normal((runs, days + 30))
    value = np.zeros_like(shock)
    for day in range(1, days + 30):
        value[:, day] = 0.1 * value[:, day - 1] + shock[:, day]
    return MEAN + DEVIATION * math.sqrt(0.99) * value[:, 30:]


def clustered(rng: np.random.Generator, runs: int, days: int) -> np.ndarray:
    """Calm and wild times: GARCH(1, 1) with variance 0.05 + 0.08 x'^2 + 0.87 h', 1 in the mean."""
    shock, value, variance = rng.standard_normal((runs, days + 100)), np.empty((runs, days + 100)), np.ones(runs)
    for day in range(days + 100):
        value[:, day] = np.sqrt(variance) * shock[:, day]
        variance = 0.05 + 0.08 * value[:, day] ** 2 + 0.87 * variance
    return MEAN + DEVIATION * value[:, 100:]


def returns_of(seed: int, days: int = 500) -> np.ndarray:
    return heavy_tailed(np.random.default_rng(seed), 1, days)[0]


# --- coverage ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("law", [independent, heavy_tailed, trending, clustered])
def test_intervals_cover_the_truth_in_93_to_97_percent_of_1000_runs(law):
    """The truth of return and Sharpe ratio is that of the law; of the drawdown, another run of it."""
    rng = np.random.default_rng(11)
    runs, others = law(rng, 1_000, 400), law(rng, 1_000, 400)
    growth = 100.0 * math.expm1(252.0 * float(np.log1p(law(rng, 4_000, 400)).mean()))
    sharpe = MEAN / DEVIATION * math.sqrt(252.0)
    depths = -100.0 * deepest(others)
    covered = dict.fromkeys(("Return (Ann.) [%]", "Sharpe Ratio", "Max. Drawdown [%]"), 0)
    for number, returns in enumerate(runs):
        found = intervals(returns, 252.0, seed=number, resamples=600)
        truth = {"Return (Ann.) [%]": growth, "Sharpe Ratio": sharpe, "Max. Drawdown [%]": depths[number]}
        for name, value in truth.items():
            covered[name] += found[name].low <= value <= found[name].high
    assert all(930 <= count <= 970 for count in covered.values()), covered


def test_intervals_cover_the_truth_most_of_the_time():
    """The same on a hundred runs: below 87 of them has a chance of one in a thousand at 95 %."""
    rng = np.random.default_rng(3)
    runs, depths = independent(rng, 100, 120), -100.0 * deepest(independent(rng, 100, 120))
    covered = np.zeros(2, np.int64)
    for number, returns in enumerate(runs):
        found = intervals(returns, 252.0, seed=number, resamples=200)
        sharpe, depth = found["Sharpe Ratio"], found["Max. Drawdown [%]"]
        covered += (sharpe.low <= MEAN / DEVIATION * math.sqrt(252.0) <= sharpe.high,
                    depth.low <= depths[number] <= depth.high)
    assert np.all((covered >= 87) & (covered < 100)), covered


# --- oracles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [independent, heavy_tailed, trending, clustered])
@pytest.mark.parametrize("days", [40, 250, 1_500])
def test_the_block_length_equals_that_of_arch(law, days):
    from arch.bootstrap import optimal_block_length

    returns = law(np.random.default_rng(days), 1, days)[0]
    assert mean_block_length(returns) == pytest.approx(max(1.0, optimal_block_length(returns)["stationary"].iloc[0]))


def test_a_long_memory_makes_long_blocks_as_in_arch():
    from arch.bootstrap import optimal_block_length

    walk = np.cumsum(np.random.default_rng(1).standard_normal(400)) * 0.001
    theirs = optimal_block_length(walk)["stationary"].iloc[0]
    assert mean_block_length(walk) == pytest.approx(theirs)
    assert theirs > 20


def test_resamples_equal_those_of_arch_draw_by_draw(monkeypatch):
    """Also when they do not fit into memory at once."""
    from arch.bootstrap import StationaryBootstrap

    monkeypatch.setattr(module, "ELEMENTS", 7 * 500)
    returns = returns_of(5)
    bootstrap = StationaryBootstrap(7.5, returns, seed=np.random.default_rng(8))
    theirs = bootstrap.apply(lambda r: np.array([np.log1p(r).mean(), r.mean() / r.std(ddof=1)]), 100)
    growth, sharpe, _ = resampled_statistics(returns, returns, 7.5, np.random.default_rng(8), 100)
    assert growth == pytest.approx(theirs[:, 0], rel=1e-12, abs=1e-15)
    assert sharpe == pytest.approx(theirs[:, 1], rel=1e-12, abs=1e-15)


def test_percentile_intervals_equal_those_of_arch_at_the_expanded_tail():
    from arch.bootstrap import StationaryBootstrap

    returns = returns_of(2)
    block = max(mean_block_length(returns), 500 ** (1 / 3))
    size = 1.0 - 2.0 * expanded_tail(0.95, 500, block)
    bootstrap = StationaryBootstrap(block, returns, seed=np.random.default_rng(4))
    theirs = bootstrap.conf_int(lambda r: r.mean() / r.std(ddof=1) * math.sqrt(252), 1_000, "percentile", size)
    ours = intervals(returns, 252.0, seed=4)["Sharpe Ratio"]
    # arch interpolates between other neighbours of a thousand sorted values
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.ravel()), abs=0.02)


def test_student_quantiles_equal_scipy():
    from scipy.stats import t

    for freedom, close in ((4.0, 1e-2), (20.0, 1e-4), (500.0, 1e-9)):
        for probability in (0.005, 0.025, 0.05, 0.25):
            assert student_quantile(probability, freedom) == pytest.approx(t.ppf(probability, freedom), rel=close)


def test_the_tail_of_independent_days_is_that_of_hesterberg():
    """Phi(sqrt(n / (n - 1)) * t(2.5 %, n - 1)); for n = 30: t = -2.04523, * 1.01709 = -2.08019, Phi = 0.018754."""
    assert expanded_tail(0.95, 30, 1.0) == pytest.approx(0.018754, rel=1e-3)
    assert expanded_tail(0.95, 10**7, 1.0) == pytest.approx(0.025, rel=1e-5)
    assert expanded_tail(0.95, 500, 8.0) < expanded_tail(0.95, 500, 4.0) < 0.025


# --- what is resampled ------------------------------------------------------------------------------------------------


def test_a_block_goes_on_until_the_next_one_begins():
    index = resampled_days(np.random.default_rng(0), 1_000, 10.0, 200)
    goes_on = (np.diff(index, axis=1) - 1) % 1_000 == 0
    # a new block begins with the chance 1 / 10 and hits the next day with 1 / 1000
    assert goes_on.mean() == pytest.approx(0.9 + 0.1 / 1_000, abs=0.003)
    assert np.bincount(index.ravel(), minlength=1_000).min() > 0


def test_blocks_of_one_day_are_the_plain_draws():
    rng = np.random.default_rng(6)
    assert resampled_days(np.random.default_rng(6), 50, 1.0, 1)[0].tolist() == rng.integers(50, size=50).tolist()


@settings(max_examples=60)
@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=30))
def test_the_drawdown_of_a_resample_is_that_of_its_equity(returns):
    equity = 100.0 * np.cumprod(1.0 + np.array(returns))
    expected = drawdowns(equity, np.arange(len(equity)), 100.0, 0).deepest
    assert deepest(np.array([returns]))[0] == pytest.approx(expected, abs=1e-12)


def test_the_drawdown_takes_into_account_that_the_mean_is_uncertain():
    """Moving the mean as well makes a wider range than resampling alone."""
    returns = returns_of(9)
    index = resampled_days(np.random.default_rng(1), 500, 8.0, 1_000)
    _, _, moved = resampled_statistics(returns, returns, 8.0, np.random.default_rng(1), 1_000)
    plain = deepest(returns[index])
    assert np.ptp(np.quantile(moved, [0.025, 0.975])) > 1.1 * np.ptp(np.quantile(plain, [0.025, 0.975]))


# --- results ----------------------------------------------------------------------------------------------------------


def test_an_interval_holds_its_statistic_and_more_days_make_it_narrower():
    short, long = (intervals(returns_of(1, days), 252.0) for days in (250, 2_500))
    for returns, found in ((returns_of(1, 250), short), (returns_of(1, 2_500), long)):
        sharpe, growth = found["Sharpe Ratio"], found["Return (Ann.) [%]"]
        assert sharpe.low < sharpe_ratio(returns, 252.0) < sharpe.high
        assert growth.low < 100.0 * annualized_return(returns, 252.0) < growth.high
        assert found["Max. Drawdown [%]"].low < found["Max. Drawdown [%]"].high <= 0.0
    for name in ("Sharpe Ratio", "Return (Ann.) [%]"):
        assert long[name].high - long[name].low < 0.5 * (short[name].high - short[name].low)


def test_equal_seeds_give_equal_intervals_and_others_others():
    returns = returns_of(3)
    assert intervals(returns, 252.0, seed=1) == intervals(returns, 252.0, seed=1)
    assert intervals(returns, 252.0, seed=1) != intervals(returns, 252.0, seed=2)


def test_how_many_resamples_are_held_at_a_time_changes_nothing(monkeypatch):
    whole = intervals(returns_of(3), 252.0)
    monkeypatch.setattr(module, "ELEMENTS", 3 * 500)
    parts = intervals(returns_of(3), 252.0)
    for name, interval in whole.items():
        assert (interval.low, interval.high) == pytest.approx((parts[name].low, parts[name].high), rel=1e-12)


def test_the_risk_free_rate_lowers_the_sharpe_ratio_alone():
    returns = returns_of(3)
    without, beside = intervals(returns, 252.0), intervals(returns, 252.0, 0.05)
    assert beside["Sharpe Ratio"].high < without["Sharpe Ratio"].high
    assert beside["Return [%]"] == without["Return [%]"]


def test_a_higher_level_is_wider():
    narrow, wide = (intervals(returns_of(3), 252.0, level=level)["Sharpe Ratio"] for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide.level == 0.99


def test_few_days_and_constant_returns_have_no_interval():
    assert intervals(returns_of(1, 29), 252.0) == {}
    assert intervals(np.full(100, 0.01), 252.0) == {}
    assert intervals(np.empty(0), 252.0) == {}


def test_days_that_hardly_ever_change_have_no_interval_of_the_sharpe_ratio():
    """Among a thousand resamples of 60 days, three of them not zero, some have none of the three."""
    returns = np.zeros(60)
    returns[[5, 20, 41]] = 0.01, -0.02, 0.015
    for rate in (0.0, 0.05):
        assert set(intervals(returns, 252.0, rate)) == {"Return [%]", "Return (Ann.) [%]", "Max. Drawdown [%]"}


def test_after_a_day_that_lost_everything_everything_may_be_lost():
    found = intervals(np.append(returns_of(1, 100), -1.2), 252.0)
    assert found["Return [%]"].low == found["Max. Drawdown [%]"].low == -100.0
    assert found["Return [%]"].high > -100.0
    assert math.isfinite(found["Sharpe Ratio"].low)


def test_a_result_has_the_intervals_of_its_days():
    run = sample_result(bars=300, per_slot=20)
    returns = daily_returns(run.records.days["equity"], run.capital)
    assert run.intervals == intervals(returns, 252.0, 0.0, seed=run.seed)
    assert sample_result(("A",), bars=50, per_slot=2, records=Records()).intervals == {}
