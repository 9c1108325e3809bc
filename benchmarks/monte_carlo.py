"""Time Monte Carlo with drawdowns against NumPy in one run, and check that both find the same.

    python benchmarks/monte_carlo.py [--paths 100000] [--horizon 252] [--json]

Plain NumPy holds arrays of (paths, days), as one would write it; "in pieces" is the same code over 1,000 paths at a
time, which fit into the cache.  Both sides return the first day, the end, the lowest equity and the deepest drawdown of
every path.  Seconds are the best of several alternating runs; ratios are to ours with all threads.  Exit code 1 when
ours is not 5 times as fast as plain NumPy, or when the figures differ by more than their errors.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.backtest.monte_carlo_section import METHODS, MonteCarlo
from framework.research.history import History
from framework.research.monte_carlo import MODELS, Paths, available_cores, walk_paths

DAYS, BLOCK, PIECE = 2_000, 20.0, 1_000
LEAST_RATIO = 5.0


def finished(wealth: np.ndarray) -> Paths:
    """Return the four numbers of each path of equity, (paths, days), that starts at 1."""
    peak = np.maximum.accumulate(np.maximum(wealth, 1.0), axis=1)
    drawdown = (1.0 - wealth / peak).max(axis=1)
    return Paths(wealth[:, 0] - 1.0, wealth[:, -1] - 1.0, np.minimum(wealth.min(axis=1), 1.0), drawdown)


def numpy_gbm(rng: np.random.Generator, returns: np.ndarray, paths: int, horizon: int) -> Paths:
    """Return geometric Brownian paths."""
    growth = np.log1p(returns)
    steps = growth.mean() + growth.std(ddof=1) * rng.standard_normal((paths, horizon))
    return finished(np.exp(np.cumsum(steps, axis=1)))


def numpy_bootstrap(rng: np.random.Generator, returns: np.ndarray, paths: int, horizon: int) -> Paths:
    """Return paths of days drawn one by one."""
    return finished(np.cumprod(1.0 + returns[rng.integers(0, len(returns), (paths, horizon))], axis=1))


def numpy_block_bootstrap(rng: np.random.Generator, returns: np.ndarray, paths: int, horizon: int) -> Paths:
    """Return paths of blocks: a day belongs to the block that began last, and lies as far behind its first day."""
    day = np.arange(horizon)
    begins = rng.random((paths, horizon)) < 1.0 / BLOCK
    begins[:, 0] = True
    first = np.maximum.accumulate(np.where(begins, day, 0), axis=1)
    drawn = np.take_along_axis(rng.integers(0, len(returns), (paths, horizon)), first, axis=1)
    return finished(np.cumprod(1.0 + returns[(drawn + day - first) % len(returns)], axis=1))


def numpy_trade_reshuffle(rng: np.random.Generator, returns: np.ndarray, paths: int, horizon: int) -> Paths:
    """Return the first steps of the history in random orders."""
    steps = np.tile(1.0 + returns[:horizon], (paths, 1))
    return finished(np.cumprod(rng.permuted(steps, axis=1), axis=1))


NUMPY: dict[str, Callable[[np.random.Generator, np.ndarray, int, int], Paths]] = {
    "block_bootstrap": numpy_block_bootstrap,
    "bootstrap": numpy_bootstrap,
    "gbm": numpy_gbm,
    "trade_reshuffle": numpy_trade_reshuffle,
}


def in_pieces(way: Callable[..., Paths], returns: np.ndarray, paths: int, horizon: int) -> Paths:
    """Return the same, 1,000 paths at a time."""
    rng = np.random.default_rng(1)
    parts = [way(rng, returns, min(PIECE, paths - at), horizon) for at in range(0, paths, PIECE)]
    return Paths(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("first", "terminal", "lowest",
                                                                                         "drawdown")))


def ours(method: str, returns: np.ndarray, paths: int, horizon: int, threads: int) -> Paths:
    """Return the framework's paths."""
    pnl = np.diff(np.cumprod(1.0 + returns[:horizon]), prepend=1.0)
    walk = MODELS[method](History(returns, pnl, 1.0, 1.0), MonteCarlo(method=method, horizon=horizon, block=BLOCK))[0]
    return walk_paths(walk, paths, 1, threads)


def agrees(one: Paths, other: Paths) -> bool:
    """Return whether means differ by less than five errors, and by rounding where nothing varies."""
    for name in ("terminal", "lowest", "drawdown"):
        a, b = getattr(one, name), getattr(other, name)
        error = np.hypot(a.std(), b.std()) / np.sqrt(len(a))
        if abs(a.mean() - b.mean()) > 5.0 * error + 1e-9:
            return False
    return True


def megabytes(work: Callable[[], object]) -> float:
    """Return the most memory that one call holds at a time."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def measure(method: str, paths: int, horizon: int, repeats: int) -> dict[str, Any]:
    """Return one row: seconds and megabytes of each way, ratios, and whether the figures agree."""
    returns = np.random.default_rng(0).standard_t(5, DAYS) * 0.008 + 0.0004
    way, threads = NUMPY[method], available_cores()
    ways: dict[str, Callable[[], Paths]] = {
        "ours": lambda: ours(method, returns, paths, horizon, threads),
        "ours_one_thread": lambda: ours(method, returns, paths, horizon, 1),
        "numpy": lambda: way(np.random.default_rng(1), returns, paths, horizon),
        "numpy_in_pieces": lambda: in_pieces(way, returns, paths, horizon),
    }
    found = {name: work() for name, work in ways.items()}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, work in ways.items():
            began = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - began)
    return {
        "method": method,
        **{f"{name}_s": round(seconds, 4) for name, seconds in best.items()},
        "ratio": round(best["numpy"] / best["ours"], 1),
        "ratio_one_thread": round(best["numpy"] / best["ours_one_thread"], 1),
        "ratio_in_pieces": round(best["numpy_in_pieces"] / best["ours"], 1),
        "ours_mb": round(megabytes(ways["ours"]), 1),
        "numpy_mb": round(megabytes(ways["numpy"]), 1),
        "agrees": agrees(found["ours"], found["numpy"]) and agrees(found["ours"], found["numpy_in_pieces"]),
    }


def main() -> int:
    """Print the table or the document; returns 1 when a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=100_000)
    parser.add_argument("--horizon", type=int, default=252)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [measure(method, arguments.paths, arguments.horizon, arguments.repeats) for method in METHODS]
    if arguments.json:
        print(json.dumps({"paths": arguments.paths, "horizon": arguments.horizon, "threads": available_cores(),
                          "rows": rows}, indent=2))
    else:
        print(f"{arguments.paths:,} paths of {arguments.horizon} steps, {available_cores()} threads")
        for row in rows:
            print("  ".join(f"{name}={value}" for name, value in row.items()))
    return int(any(row["ratio"] < LEAST_RATIO or not row["agrees"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
