"""Monte Carlo: what a run's days or trades could have made of an account in other orders and mixtures.

Paths are walked by compiled loops in chunks of 1,024, each with a stream of random numbers of its own that depends on
the seed and the chunk alone; threads take chunks as they are free, so their number changes nothing.  Four numbers of
each path are kept, 32 bytes, whatever the horizon.

Sources: Politis & Romano (1994), "The Stationary Bootstrap"; Efron (1979), "Bootstrap Methods"; Hull, "Options, Futures
and Other Derivatives", for geometric Brownian motion with the log drift mu - sigma^2 / 2.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from framework.backtest.config import section_of
from framework.backtest.metrics import varies
from framework.backtest.monte_carlo_section import MonteCarlo
from framework.errors import ConfigError, DataError
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
from framework.research.history import History, history_of_result, history_of_run

if TYPE_CHECKING:
    from framework.backtest.result import Result

Floats = NDArray[np.float64]
Walk = Callable[..., None]

CHUNK = 1_024
"""Paths that share a stream of random numbers."""

FEWEST_DAYS, FEWEST_TRADES = 30, 10
SHORT_HISTORY_DAYS, FEW_TRADES = 252, 30

LEVELS = (0.95, 0.99)

ROUNDING = 1e-12
"""What sums of logs in another order may differ by."""


@attrs.frozen(eq=False)
class Paths:
    """Four numbers of each path, float64[paths], all fractions of the equity at its start.

    first: the return of the first step.  terminal: that of the whole path.  lowest: the lowest equity, 1 when it never
    falls below the start.  drawdown: the deepest, 0 to 1.
    """

    first: Floats
    terminal: Floats
    lowest: Floats
    drawdown: Floats


@attrs.frozen(eq=False)
class MonteCarloResult:
    """What a simulation found.

    settings: what was asked.  seed: of the random numbers.  steps: days, or trades, of a path.  paths: all of them.
    estimates: by name; names with [%] are percentages, losses and drawdowns are positive.  model: figures of the model
    that the paths come from.  notes: what a reader must know.
    """

    settings: MonteCarlo
    seed: int
    steps: int
    paths: Paths
    estimates: Mapping[str, Estimate]
    model: Mapping[str, float]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result, without the paths, as plain values for a JSON document."""
        return {
            **attrs.asdict(self.settings),
            "seed": self.seed,
            "steps": self.steps,
            "model": dict(self.model),
            "estimates": {
                name: {"value": one.value, "low": one.low, "high": one.high, "settled": one.has_settled,
                       "trace": [list(point) for point in one.trace]}
                for name, one in self.estimates.items()
            },
            "notes": list(self.notes),
        }


def monte_carlo(run: Result | str | Path | ArrayLike, *, seed: int | None = None, threads: int | None = None,
                progress: Callable[[int, int], None] | None = None, **settings: Any) -> MonteCarloResult:
    """Simulate what the days or trades of a run could have made of an account; what `framework monte-carlo` does.

    run: the `Result` of a backtest, the folder of one (a bare name is looked for in ./runs too), or daily returns as
    fractions, float64[days].  settings: the keys of [monte_carlo] (``method="gbm"``, ``paths=20_000``,
    ``horizon=252``, ``block=20``, ``ruin=0.5``), over those of the run.  seed, threads, progress: as for `simulate`.
    Nothing is written.  Raises ConfigError for settings and folders, DataError for a history that cannot be simulated.
    """
    history = _history_of(run)
    return simulate(history, section_of(MonteCarlo, {**history.settings, **settings}), seed, threads, progress)


def _history_of(run: Any) -> History:
    """Return the history of what `monte_carlo` takes."""
    from framework.backtest.recorded import open_run
    from framework.backtest.result import Result

    if isinstance(run, Result):
        return history_of_result(run)
    if isinstance(run, str | Path):
        return history_of_run(open_run(run).folder)
    try:
        return _returns(run)
    except (TypeError, ValueError):
        raise ConfigError(f"monte_carlo(): run is {type(run).__name__}; it must be a Result, the folder of a run, or "
                          "daily returns") from None


def _returns(values: ArrayLike) -> History:
    return History(np.asarray(values, np.float64).ravel(), np.empty(0), 1.0, 1.0)


def simulate(history: History | ArrayLike, settings: MonteCarlo | None = None, seed: int | None = None,
             threads: int | None = None, progress: Callable[[int, int], None] | None = None) -> MonteCarloResult:
    """Simulate what could follow a run, or daily returns.

    history: of `history_of_run`, or daily returns as fractions, float64[days].  settings: the section [monte_carlo];
    that of the run, or the defaults, when not given.  seed: that of the run, or 1.  threads: all cores by default; no
    result depends on them.  progress(done, total): paths.
    Raises DataError for a history that is too short, does not vary, or has no place in the method, ConfigError for a
    number of threads below 1.
    """
    if not isinstance(history, History):
        history = _returns(history)
    if settings is None:
        settings = section_of(MonteCarlo, history.settings)
    seed = history.seed if seed is None else seed
    threads = available_cores() if threads is None else threads
    if threads < 1:
        raise ConfigError(f"threads = {threads}; it must be at least 1")
    walk, steps, model, notes = MODELS[settings.method](history, settings)
    paths = walk_paths(walk, settings.paths, seed, threads, progress)
    estimates = traced(settings.paths, lambda count: figures_of(paths, count, settings, model))
    return MonteCarloResult(settings, seed, steps, paths, estimates, model, (*notes, *_closing_notes(estimates)))


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- the models -------------------------------------------------------------------------------------------------------

Prepared = tuple[Walk, int, dict[str, float], list[str]]
"""walk(state, first, last, start, end, low, deep), steps of a path, figures of the model, notes."""


def _log_growth(history: History) -> Floats:
    """Return the log growth of each day, minus infinity for one that lost everything; raises DataError."""
    returns = history.returns
    if not np.isfinite(returns).all():
        raise DataError(f"{history.where}: a daily return is not a finite number; there must be one for every day")
    if len(returns) < FEWEST_DAYS:
        raise DataError(f"{history.where}: {len(returns)} days of history; a simulation needs at least {FEWEST_DAYS}")
    if not varies(returns):
        raise DataError(f"{history.where}: its equity never moved, so there is nothing to simulate")
    with np.errstate(divide="ignore"):
        return np.log1p(np.maximum(returns, -1.0))


def _history_notes(history: History, settings: MonteCarlo) -> list[str]:
    days = len(history.returns)
    notes = [f"paths are made of {days:,} days of history: what never happened in them cannot happen on a path"]
    if days < SHORT_HISTORY_DAYS:
        notes.append(f"{days} days are less than a year: quantiles of a year rest on very little")
    if settings.horizon > days:
        notes.append(f"the horizon of {settings.horizon:,} days is longer than the history")
    return notes


def _prepare_resampled(history: History, settings: MonteCarlo) -> Prepared:
    """The stationary bootstrap; with blocks of one day it is the ordinary one."""
    from framework.research import paths

    growth = _log_growth(history)
    block = settings.block if settings.method == "block_bootstrap" else 1.0
    notes = _history_notes(history, settings)
    if block > len(growth):
        raise DataError(f"[monte_carlo] block = {block:g} days is longer than the history of {len(growth)} days; "
                        "take shorter blocks")
    if block == 1.0:
        notes.append("days are drawn one by one: runs of bad days are rarer than in the history if they come in runs")
    steps = settings.horizon

    def walk(state: NDArray[np.uint64], first: int, last: int, *out: Floats) -> None:
        paths.walk_resampled(state, growth, 1.0 / block, steps, first, last, *out)

    model = {"days": float(len(growth)), "block": block, "daily_mean": float(history.returns.mean()),
             "daily_deviation": float(history.returns.std(ddof=1))}
    return walk, steps, model, notes


def _prepare_gbm(history: History, settings: MonteCarlo) -> Prepared:
    """Geometric Brownian motion with the mean and the deviation of the history's daily log returns.

    The mean of log returns is the log drift mu - sigma^2 / 2; mu, the growth of the expected equity, lies above it.
    """
    from framework.research import paths

    growth = _log_growth(history)
    if not np.isfinite(growth).all():
        raise DataError(f"{history.where}: a day lost everything, which has no log return; use method = "
                        '"block_bootstrap"')
    drift, sigma, steps = float(growth.mean()), float(growth.std(ddof=1)), settings.horizon

    def walk(state: NDArray[np.uint64], first: int, last: int, *out: Floats) -> None:
        paths.walk_normal(state, drift, sigma, steps, first, last, *out)

    model = {"days": float(len(growth)), "mu": drift + sigma**2 / 2.0, "sigma": sigma, "log_drift": drift}
    notes = ["days are normal and independent here: where the history has fat tails or stormy weeks, losses and "
             "drawdowns come out too small"]
    return walk, steps, model, notes


def _prepare_reshuffle(history: History, settings: MonteCarlo) -> Prepared:
    """The closed trades in random order, each with the fraction of closed equity that it made or lost."""
    from framework.research import paths

    trades = len(history.pnl)
    if trades < FEWEST_TRADES:
        raise DataError(f"{history.where}: {trades} closed trades; reshuffling needs at least {FEWEST_TRADES}")
    closed = history.capital + np.concatenate(([0.0], np.cumsum(history.pnl)))
    if not (np.isfinite(closed).all() and (closed[:-1] > 0.0).all()):
        raise DataError(f"{history.where}: closed trades bring the equity to zero or below, after which a trade is no "
                        'fraction of it; use method = "block_bootstrap"')
    with np.errstate(divide="ignore"):
        growth = np.log(np.maximum(closed[1:] / closed[:-1], 0.0))
    level = np.concatenate(([0.0], np.cumsum(growth)))
    own = -math.expm1(-float(np.max(np.maximum.accumulate(level) - level)))

    def walk(state: NDArray[np.uint64], first: int, last: int, *out: Floats) -> None:
        paths.walk_shuffled(state, growth.copy(), first, last, *out)

    final = closed[-1] / history.capital - 1.0
    notes = [f"the same {trades:,} trades in another order end at the same equity: the return is {100 * final:.2f} % "
             "on every path, and only the way there, its drawdown, differs",
             "drawdowns are those of closed trades one after another: what happens within a trade, and trades that "
             "overlap, are not in them"]
    if trades < FEW_TRADES:
        notes.append(f"{trades} trades are few: their order says little")
    return walk, trades, {"trades": float(trades), "return": final, "drawdown": own}, notes


MODELS: Mapping[str, Callable[[History, MonteCarlo], Prepared]] = {
    "block_bootstrap": _prepare_resampled,
    "bootstrap": _prepare_resampled,
    "gbm": _prepare_gbm,
    "trade_reshuffle": _prepare_reshuffle,
}


# --- the paths --------------------------------------------------------------------------------------------------------


def walk_paths(walk: Walk, count: int, seed: int, threads: int,
               progress: Callable[[int, int], None] | None = None) -> Paths:
    """Walk `count` paths in chunks, each with a stream of its own, by as many threads; memory is 32 bytes a path."""
    from framework.research.draws import stream_state

    out = tuple(np.empty(count) for _ in range(4))

    def walk_chunk(first: int) -> int:
        last = min(count, first + CHUNK)
        with np.errstate(over="ignore", invalid="ignore"):
            walk(stream_state(seed, first // CHUNK), first, last, *out)
        return last - first

    chunks, done = range(0, count, CHUNK), 0
    pool = ThreadPoolExecutor(threads)
    try:
        for finished in as_completed([pool.submit(walk_chunk, first) for first in chunks]):
            done += finished.result()
            if progress is not None:
                progress(done, count)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    start, end, low, deep = out
    return Paths(np.expm1(start), np.expm1(end), np.exp(low), -np.expm1(-deep))


# --- the estimates ----------------------------------------------------------------------------------------------------


def figures_of(paths: Paths, count: int, settings: MonteCarlo, model: Mapping[str, float]) -> dict[str, Figure]:
    """Return every figure of the first `count` paths by name, as percentages."""
    drawdown = np.sort(paths.drawdown[:count])
    found: dict[str, Figure] = {}
    if settings.method != "trade_reshuffle":
        for label, returns in (("1-Day", paths.first), ("Horizon", paths.terminal)):
            ordered = np.sort(returns[:count])
            found[f"{label} Mean [%]"] = mean(ordered)
            found[f"{label} Median [%]"] = quantile(ordered, 0.5)
            for level in LEVELS:
                tail = round(1.0 - level, 9)
                found[f"{label} Quantile {100 * tail:.0f} [%]"] = quantile(ordered, tail)
            for name, figure in (("VaR", value_at_risk), ("CVaR", expected_shortfall)):
                for level in LEVELS:
                    found[f"{label} {name} {100 * level:.0f} [%]"] = figure(ordered, level)
        found["Loss Probability [%]"] = share(paths.terminal[:count] < 0.0)
    found["Ruin Probability [%]"] = share(paths.lowest[:count] <= settings.ruin + ROUNDING)
    found["Mean Drawdown [%]"] = mean(drawdown)
    for name, part in (("Median Drawdown", 0.5), ("Drawdown 95", 0.95), ("Drawdown 99", 0.99)):
        found[f"{name} [%]"] = quantile(drawdown, part)
    if settings.method == "trade_reshuffle":
        found["Deeper Than The Run [%]"] = share(paths.drawdown[:count] > model["drawdown"] + ROUNDING)
    return {name: Figure(100 * one.value, 100 * one.low, 100 * one.high) for name, one in found.items()}


def _closing_notes(estimates: Mapping[str, Estimate]) -> list[str]:
    loose = [name for name, one in estimates.items() if not one.has_settled]
    notes = ["intervals say how far the simulation has settled, not how far the history can be trusted"]
    if loose:
        notes.append(f"not settled yet, take more paths: {', '.join(loose)}")
    return notes
