"""The search here: python search_with_framework.py FOLDER BARS REPEATS OUT WORKERS.

Everything that `framework.optimize` does is counted: the space, the forecast, the journal on disk, and the trials with
the whole step.  Each repetition begins without a column.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scenario import CAPITAL, FEE, Clock, load_bars
from search_scenario import LENGTHS, tell_search
from with_framework import Both, Crossing, tape_of

import framework
from framework.boundary.jit import engine_key
from framework.research.search import Search


def work(tape: framework.Tape, workers: int) -> Search:
    """Return the finished search."""
    lengths = list(LENGTHS)
    return framework.optimize(data=tape, strategy=Crossing, slippage=Both, capital=CAPITAL,
                              fees={"taker_bps": FEE * 10_000.0}, space={"fast": lengths, "slow": lengths},
                              constraints=["fast < slow"], objective="Return [%]", min_trades=0, executor="local",
                              workers=workers)


def main(folder: Path, count: int, repeats: int, out: Path, workers: int) -> None:
    """Run, then tell times, memory and the return of every pair."""
    tape = tape_of(load_bars(folder, count))
    clock = Clock()
    for _ in range(repeats + 1):
        clock.start()
        found = work(tape, workers)
        clock.stop()
    pairs = {(one.params["fast"], one.params["slow"]): (one.values or (float("nan"),))[0] / 100.0
             for one in found.outcomes}
    tell_search(out, pairs, **clock.told(), columns=found.work.computed, version=engine_key())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
