"""Monte Carlo: closed forms, plain numpy and arch as oracles; what no number of threads changes; what is refused."""

from __future__ import annotations

import math
import tracemalloc

import attrs
import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from scipy import stats

from framework.backtest.monte_carlo_section import METHODS, MonteCarlo
from framework.errors import ConfigError, DataError
from framework.research.history import History
from framework.research.monte_carlo import MonteCarloResult, Paths, simulate

RETURNS = np.random.default_rng(1).standard_t(4, 500) * 0.01 + 0.0005
PNL = np.random.default_rng(2).normal(100.0, 1_500.0, 60)


def history(**changes: object) -> History:
    """Return a run of 500 days and 60 trades."""
    values = {"returns": RETURNS, "pnl": PNL, "capital": 100_000.0, "equity": 100_000.0 + PNL.sum()} | changes
    return History(**values)  # type: ignore[arg-type]


def settings(method: str = "block_bootstrap", **changes: object) -> MonteCarlo:
    """Return settings for quick tests."""
    return MonteCarlo(**({"method": method, "horizon": 60} | changes))


def within(found: MonteCarloResult, name: str, truth: float, widths: float = 2.0) -> bool:
    """Return whether a truth, in per cent, lies within some widths of the interval of an estimate."""
    one = found.estimates[name]
    middle, half = (one.low + one.high) / 2, (one.high - one.low) / 2
    return abs(truth - middle) <= widths * half


# --- closed forms -----------------------------------------------------------------------------------------------------


def test_terminal_moments_of_brownian_paths_are_the_closed_form() -> None:
    """E = exp(mu T), Var = exp(2 mu T) (exp(sigma^2 T) - 1); mean and variance within four standard errors."""
    count, steps = 200_000, 252
    found = simulate(RETURNS, MonteCarlo(method="gbm", paths=count, horizon=steps), seed=3)
    mu, sigma = found.model["mu"], found.model["sigma"]
    growth = np.log1p(RETURNS)
    assert (mu - sigma**2 / 2, sigma) == pytest.approx((growth.mean(), growth.std(ddof=1)), rel=1e-12)
    wealth = found.paths.terminal + 1.0
    expected = math.exp(mu * steps)
    variance = math.exp(2 * mu * steps) * (math.exp(sigma**2 * steps) - 1.0)
    assert wealth.mean() == pytest.approx(expected, abs=4 * math.sqrt(variance / count))
    error = np.std((wealth - expected) ** 2) / math.sqrt(count)
    assert np.mean((wealth - expected) ** 2) == pytest.approx(variance, abs=4 * error)
    normal = stats.norm(growth.mean() * steps, sigma * math.sqrt(steps))
    assert stats.kstest(np.log(wealth[:20_000]), normal.cdf).pvalue > 0.01


def test_value_at_risk_of_brownian_paths_is_the_closed_form() -> None:
    found = simulate(RETURNS, MonteCarlo(method="gbm", paths=50_000, horizon=100), seed=4)
    drift, sigma = found.model["log_drift"], found.model["sigma"]
    for label, days in (("1-Day", 1), ("Horizon", 100)):
        for level in (95, 99):
            point = stats.norm.ppf(1 - level / 100)
            quantile = math.expm1(drift * days + sigma * math.sqrt(days) * point)
            assert within(found, f"{label} VaR {level} [%]", -100 * quantile)
            assert within(found, f"{label} Quantile {100 - level} [%]", 100 * quantile)
            mean = math.exp(drift * days + sigma**2 * days / 2) * stats.norm.cdf(point - sigma * math.sqrt(days))
            assert within(found, f"{label} CVaR {level} [%]", 100 * (1 - mean / (1 - level / 100)))


# --- other implementations --------------------------------------------------------------------------------------------


def test_the_block_bootstrap_has_the_distribution_of_arch() -> None:
    """Log return over as many days as the history has, as arch resamples: mean and quantiles agree in their errors."""
    found = simulate(RETURNS, MonteCarlo(horizon=500, block=10.0, paths=20_000), seed=5)
    theirs = StationaryBootstrap(10, np.log1p(RETURNS), seed=6).apply(np.sum, 20_000).ravel()
    ours = np.log1p(found.paths.terminal)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=4 * theirs.std() / math.sqrt(10_000))
    assert ours.std() == pytest.approx(theirs.std(), rel=4 / math.sqrt(20_000))
    assert stats.ks_2samp(ours, theirs).pvalue > 0.01


@pytest.mark.parametrize("method", ["bootstrap", "gbm"])
def test_drawdown_and_ruin_are_those_of_plain_numpy(method: str) -> None:
    """Arrays of (paths, days), drawn by another generator."""
    wild = RETURNS * 4
    found = simulate(wild, settings(method, ruin=0.7, paths=20_000), seed=7)
    rng = np.random.default_rng(8)
    if method == "gbm":
        growth = np.log1p(wild)
        steps = growth.mean() + growth.std(ddof=1) * rng.standard_normal((20_000, 60))
    else:
        steps = np.log1p(wild[rng.integers(0, len(wild), (20_000, 60))])
    wealth = np.exp(np.cumsum(steps, axis=1))
    peak = np.maximum.accumulate(np.maximum(wealth, 1.0), axis=1)
    drawdown = (1.0 - wealth / peak).max(axis=1)
    ruined = (wealth.min(axis=1) <= 0.7).mean()
    assert 0.02 < ruined < 0.98
    assert within(found, "Ruin Probability [%]", 100 * ruined, 3.0)
    assert within(found, "Mean Drawdown [%]", 100 * drawdown.mean(), 3.0)
    for name, part in (("Median Drawdown [%]", 0.5), ("Drawdown 95 [%]", 0.95), ("Drawdown 99 [%]", 0.99)):
        assert within(found, name, 100 * np.quantile(drawdown, part), 3.0)
    assert stats.ks_2samp(found.paths.drawdown, drawdown).pvalue > 0.01


def test_the_first_days_of_resampled_paths_are_days_of_the_history() -> None:
    found = simulate(RETURNS, settings("bootstrap"))
    assert np.isin(np.round(found.paths.first, 14), np.round(RETURNS, 14)).all()
    assert within(found, "1-Day VaR 99 [%]", -100 * np.quantile(RETURNS, 0.01, method="inverted_cdf"))


def test_blocks_of_one_day_are_the_ordinary_bootstrap() -> None:
    single, plain = simulate(RETURNS, settings(block=1.0)), simulate(RETURNS, settings("bootstrap"))
    assert single.estimates == plain.estimates


# --- reshuffled trades ------------------------------------------------------------------------------------------------


def test_reshuffled_trades_end_at_the_same_wealth_and_say_so() -> None:
    found = simulate(history(), settings("trade_reshuffle"))
    final = PNL.sum() / 100_000.0
    assert found.steps == 60
    assert np.ptp(found.paths.terminal) < 1e-12
    assert found.paths.terminal[0] == pytest.approx(final, rel=1e-9)
    assert f"the return is {100 * final:.2f} % on every path" in " ".join(found.notes)
    assert not [name for name in found.estimates if "VaR" in name or "Quantile" in name or "Loss" in name]


def test_drawdowns_of_reshuffled_trades_are_those_of_permuted_ones() -> None:
    found = simulate(history(), settings("trade_reshuffle"))
    closed = 100_000.0 + np.concatenate(([0.0], np.cumsum(PNL)))
    growth = closed[1:] / closed[:-1]
    rng, deepest = np.random.default_rng(3), []
    for _ in range(4_000):
        wealth = np.concatenate(([1.0], np.cumprod(rng.permutation(growth))))
        deepest.append(float(np.max(1.0 - wealth / np.maximum.accumulate(wealth))))
    assert within(found, "Mean Drawdown [%]", 100 * np.mean(deepest), 4.0)
    assert stats.ks_2samp(found.paths.drawdown, deepest).pvalue > 0.01
    own = float(np.max(1.0 - closed / np.maximum.accumulate(closed)))
    assert found.model["drawdown"] == pytest.approx(own, rel=1e-9)
    assert within(found, "Deeper Than The Run [%]", 100 * np.mean(np.array(deepest) > own + 1e-12), 4.0)


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_threads_change_nothing(method: str) -> None:
    """Nor does a second run; another seed does."""
    one, three = (simulate(history(), settings(method, paths=10_500), seed=9, threads=threads) for threads in (1, 3))
    for name in attrs.fields_dict(Paths):
        assert np.array_equal(getattr(one.paths, name), getattr(three.paths, name))
        assert np.isfinite(getattr(one.paths, name)).all()
    assert one.to_dict() == three.to_dict()
    other = simulate(history(), settings(method, paths=10_500), seed=10)
    assert not np.array_equal(one.paths.drawdown, other.paths.drawdown)


@pytest.mark.parametrize("method", METHODS)
def test_more_paths_begin_with_the_same_ones(method: str) -> None:
    fewer, more = (simulate(history(), settings(method, paths=paths)) for paths in (10_000, 20_000))
    assert np.array_equal(fewer.paths.drawdown, more.paths.drawdown[:10_000])
    for name, one in more.estimates.items():
        assert one.trace[2] == (10_000, fewer.estimates[name].value)


@pytest.mark.parametrize("method", ["block_bootstrap", "bootstrap", "gbm"])
@pytest.mark.parametrize("seed", range(3))
def test_rarer_losses_are_larger_and_shortfalls_beyond_them(method: str, seed: int) -> None:
    found = simulate(np.random.default_rng(seed).standard_t(3, 300) * 0.01, settings(method), seed=seed).estimates
    for label in ("1-Day", "Horizon"):
        var95, var99, cvar95, cvar99 = (found[f"{label} {name} [%]"].value for name in
                                        ("VaR 95", "VaR 99", "CVaR 95", "CVaR 99"))
        assert 0.0 < var95 <= var99 <= cvar99
        assert var95 <= cvar95 <= cvar99
        assert found[f"{label} Quantile 5 [%]"].value == -var95
        assert found[f"{label} Quantile 1 [%]"].value == -var99


def test_memory_does_not_grow_with_the_horizon() -> None:
    """20,000 paths of 2,520 days as one array of float64 would be 403 MB."""
    simulate(RETURNS, settings(paths=20_000))
    peaks = []
    for horizon in (25, 2_520):
        tracemalloc.start()
        simulate(RETURNS, settings(paths=20_000, horizon=horizon))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 100_000
    assert peaks[1] < 5_000_000


def test_progress_counts_every_path() -> None:
    told: list[tuple[int, int]] = []
    simulate(RETURNS, settings(paths=10_001), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (10_001, 10_001)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_day_that_lost_everything_can_be_drawn_and_is_ruin() -> None:
    returns = np.concatenate((np.full(99, 0.001), [-1.0]))
    found = simulate(returns, settings("bootstrap", horizon=100))
    survived = 0.99**100
    assert within(found, "Ruin Probability [%]", 100 * (1 - survived))
    assert found.estimates["Horizon VaR 99 [%]"].value == 100.0
    with pytest.raises(DataError, match="a day lost everything, which has no log return"):
        simulate(returns, settings("gbm"))


def test_settings_and_seed_of_the_run_are_taken_unless_given() -> None:
    run = history(settings={"method": "gbm", "horizon": 7}, seed=11)
    found = simulate(run)
    assert (found.settings, found.seed, found.steps) == (MonteCarlo(method="gbm", horizon=7), 11, 7)
    with pytest.raises(ConfigError, match=r"\[monte_carlo\]: unknown key 'horizn'; did you mean 'horizon'"):
        simulate(history(settings={"horizn": 7}))


def test_notes_say_what_must_be_known() -> None:
    notes = " ".join(simulate(RETURNS[:100], settings(horizon=200)).notes)
    for part in ("100 days of history", "less than a year", "longer than the history", "how far the history can be"):
        assert part in notes
    assert "normal and independent" in " ".join(simulate(RETURNS, settings("gbm")).notes)
    loose = simulate(RETURNS * 5, settings("gbm", ruin=0.4))
    names = [name for name, one in loose.estimates.items() if not one.has_settled]
    assert names
    assert f"not settled yet, take more paths: {', '.join(names)}" in loose.notes


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "method", "message"),
    [
        ({"returns": RETURNS[:29]}, "gbm", "29 days of history; a simulation needs at least 30"),
        ({"returns": np.zeros(100)}, "bootstrap", "its equity never moved"),
        ({"returns": np.append(RETURNS, math.nan)}, "block_bootstrap", "not a finite number"),
        ({"returns": RETURNS[:40]}, "block_bootstrap", "block = 50 days is longer than the history of 40 days"),
        ({"pnl": PNL[:9]}, "trade_reshuffle", "9 closed trades; reshuffling needs at least 10"),
        ({"pnl": np.append(PNL, [-1e6, 5.0])}, "trade_reshuffle", "bring the equity to zero or below"),
    ],
)
def test_a_history_that_cannot_be_simulated_is_refused(changes: dict[str, object], method: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        simulate(history(**changes), settings(method, block=50.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"paths": 9_999}, "paths = 9999"),
        ({"paths": 10_000.0}, "a whole number"),
        ({"horizon": 0}, "horizon = 0"),
        ({"ruin": 1.0}, "ruin = 1.0"),
        ({"block": 0.5}, "block = 0.5"),
        ({"method": "gmb"}, "did you mean 'gbm'"),
    ],
)
def test_settings_out_of_bounds_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MonteCarlo(**changes)  # type: ignore[arg-type]


def test_no_thread_is_refused() -> None:
    with pytest.raises(ConfigError, match="threads = 0; it must be at least 1"):
        simulate(RETURNS, settings(), threads=0)
