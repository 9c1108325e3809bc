"""How the step scales: time per bar by length and by symbols, allocations by length, one event from Python.

    python benchmarks/scaling.py [--json] [--largest 10000000]

The strategy, costs and quantity are those of the comparison.  Times are the best of several runs: noise only adds.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

from with_framework import Both, Crossing  # noqa: E402

from framework.backtest.compose import Plan, Terms, compose  # noqa: E402
from framework.backtest.config import Fees  # noqa: E402
from framework.data import Tape, load_tape  # noqa: E402
from framework.engine import state  # noqa: E402
from framework.engine.simulation import Simulation  # noqa: E402
from framework.rules import PercentOfEquity  # noqa: E402

SYMBOLS = 500
STEPS = 20_000
MOST_MARGINAL, MOST_SYMBOLS, MOST_STEP_US = 1.15, 1.5, 10.0


def bars(count: int, symbols: int = 1) -> Tape:
    """Return `count` one-minute bars in all."""
    names = [f"S{number:03d}" for number in range(symbols)]
    return load_tape("synthetic", {"bars": count // symbols, "start": "1990-01-01"}, names, "1m")


def put_together(tape: Tape) -> Simulation:
    """Return the comparison's simulation over a tape, with capital for all symbols."""
    return compose(tape, [Plan(Crossing())], PercentOfEquity(), [], Both(),
                   Terms(capital=10_000_000.0 * tape.n_symbols, fees=Fees(taker_bps=5.0)))


def seconds_of(tape: Tape, repeats: int) -> float:
    """Return the seconds of the best run: indicators, putting together and the loop."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        made = put_together(tape)
        for _ in made.chunks():
            pass
        best = min(best, time.perf_counter() - began)
    return best


def marginal(largest: int) -> dict[str, Any]:
    """Return ns per additional bar between three lengths, each ten times the one before, and the ratio."""
    lengths = [largest // 100, largest // 10, largest]
    seconds = [seconds_of(bars(length), repeats) for length, repeats in zip(lengths, (30, 7, 3), strict=True)]
    low, high = ((seconds[i + 1] - seconds[i]) / (lengths[i + 1] - lengths[i]) * 1e9 for i in (0, 1))
    return {"lengths": lengths, "seconds": seconds, "ns_per_bar": [low, high], "ratio": high / low,
            "wanted_at_most": MOST_MARGINAL}


def many_symbols(count: int) -> dict[str, Any]:
    """Return the time of many symbols over that of one symbol at the same number of events."""
    one, many = (seconds_of(bars(count, symbols), 7) for symbols in (1, SYMBOLS))
    return {"bars": count, "symbols": SYMBOLS, "seconds": [one, many], "ratio": many / one,
            "wanted_at_most": MOST_SYMBOLS}


def one_event() -> dict[str, Any]:
    """Return the us of one event pushed through the step from Python."""
    tape = bars(STEPS)
    best = float("inf")
    for _ in range(5):
        made = put_together(tape)
        began = time.perf_counter()
        while made.next < STEPS:
            made.step()
        best = min(best, (time.perf_counter() - began) / STEPS * 1e6)
    return {"events": STEPS, "us": best, "wanted_at_most": MOST_STEP_US}


def count_in_this_process(lengths: list[int]) -> list[int]:
    """Return the allocations of one call of the loop over so many bars, its tables made before.

    Needs count_allocations.c in LD_PRELOAD.
    """
    counter = ctypes.CDLL(None)
    counter.allocations.restype = ctypes.c_long
    seconds_of(bars(lengths[0]), 2)
    counts = []
    for length in lengths:
        made = put_together(bars(length))
        roomy = state.allocate_logs([length + 100_000] * len(state.LOGS))
        made._hold(made.state._replace(**roomy))
        before = counter.allocations()
        made._run(2 * length)
        counts.append(counter.allocations() - before)
        assert made.next == 2 * length
    return counts


def allocations(lengths: list[int]) -> dict[str, Any]:
    """Return the allocations of one call of the loop by the number of bars; None without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return {"bars": lengths, "counts": None, "why": "needs a C compiler on Linux"}
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "count.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", str(HERE / "count_allocations.c"), "-o", str(library)],
                       check=True)
        environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc"}
        done = subprocess.run([sys.executable, __file__, "--count", *map(str, lengths)], env=environment, check=True,
                              capture_output=True, text=True)
    counts = json.loads(done.stdout)
    return {"bars": lengths, "counts": counts, "equal": len(set(counts)) == 1}


def measure(largest: int) -> dict[str, Any]:
    """Return everything."""
    seconds_of(bars(1_000), 2)
    return {"marginal": marginal(largest), "symbols": many_symbols(largest // 10), "one_event": one_event(),
            "allocations": allocations([1_000, largest // 10])}


def show(told: dict[str, Any]) -> None:
    """Print the figures."""
    for name, figures in told.items():
        print(name, *(f"{key} = {value}" for key, value in figures.items()), sep="\n  ")


def main() -> None:
    """Print the figures, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--largest", type=int, default=10_000_000)
    parser.add_argument("--count", type=int, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count:
        print(json.dumps(count_in_this_process(options.count)))
        return
    told = measure(options.largest)
    if options.json:
        print(json.dumps(told))
        return
    show(told)


if __name__ == "__main__":
    main()
