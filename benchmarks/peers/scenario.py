"""What every side of the comparison does: the same bars, rule, quantity and costs.  Any environment can read it.

Buy a fixed quantity at the open after the fast average crosses above the slow one, sell it at the open after the
reverse cross.  Every fill pays a fee; slippage worsens both fills, or the entry only, which is all that
backtesting.py's `spread` can do.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

FAST, SLOW = 20, 50
QTY = 100.0
CAPITAL = 10_000_000.0
FEE = 5.0 / 10_000.0
SLIPPAGE = 2.0 / 10_000.0
BARS = "bars.npz"
BAR_NS = 300_000_000_000
STATUS = Path("/proc/self/status")


def load_bars(folder: Path, count: int) -> dict[str, np.ndarray]:
    """Return open_time [ns], open, high, low, close, volume of the first bars."""
    with np.load(folder / BARS) as saved:
        return {name: saved[name][:count].copy() for name in saved.files}


def peak_memory() -> int:
    """Return the most memory that this process has held, in bytes, interpreter and libraries included.

    Linux tells it of the program alone; `ru_maxrss` also counts what the process that started it had held.
    """
    if STATUS.exists():
        line = next(one for one in STATUS.read_text().splitlines() if one.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Clock:
    """Collect the seconds of repetitions: on the wall, and of this process on the processor."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []
        self.uncounted = [0.0, 0.0]

    def start(self) -> None:
        """Begin a repetition."""
        self.uncounted = [0.0, 0.0]
        self.began = time.perf_counter(), time.process_time()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens meanwhile."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.uncounted[0] += time.perf_counter() - wall
        self.uncounted[1] += time.process_time() - processor

    def stop(self) -> None:
        """End it."""
        self.wall.append(time.perf_counter() - self.began[0] - self.uncounted[0])
        self.processor.append(time.process_time() - self.began[1] - self.uncounted[1])

    def told(self, warm_up: int = 1) -> dict[str, Any]:
        """Return the first repetition and those behind the warm-up."""
        return {"first": self.wall[0], "wall": self.wall[warm_up:], "processor": self.processor[warm_up:]}


def tell(out: Path, found: dict[str, Any], **facts: Any) -> None:
    """Write arrays, which are what the sides are compared by, and print the facts and the peak of memory.

    found: of a backtest the closed trades (entry_bar, exit_bar, entry_price, exit_price, in order of entry).
    """
    np.savez(out, **{name: np.asarray(values) for name, values in found.items()})
    json.dump({**facts, "peak": peak_memory()}, sys.stdout)
    sys.stdout.write("\n")
