"""What every side of the comparison does: the same bars, rule, quantity and costs.  Any environment can read it.

Buy a fixed quantity at the open after the fast average crosses above the slow one, sell it at the open after the
reverse cross.  Every fill pays a fee; slippage worsens both fills, or the entry only, which is all that
backtesting.py's `spread` can do.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

FAST, SLOW = 20, 50
QTY = 100.0
CAPITAL = 10_000_000.0
FEE = 5.0 / 10_000.0
SLIPPAGE = 2.0 / 10_000.0
BARS = "bars.npz"


def load_bars(folder: Path) -> dict[str, np.ndarray]:
    """Return open_time [ns], open, high, low, close, volume."""
    with np.load(folder / BARS) as saved:
        return {name: saved[name] for name in saved.files}


class Clock:
    """Collect the seconds of repetitions: on the wall, and of this process on the processor."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []

    def start(self) -> None:
        """Begin a repetition."""
        self.began = time.perf_counter(), time.process_time()

    def stop(self, less: float = 0.0) -> None:
        """End it, leaving out `less` seconds."""
        self.wall.append(time.perf_counter() - self.began[0] - less)
        self.processor.append(time.process_time() - self.began[1] - less)

    def told(self, warm_up: int = 1) -> dict[str, Any]:
        """Return the first repetition and those behind the warm-up."""
        return {"first": self.wall[0], "wall": self.wall[warm_up:], "processor": self.processor[warm_up:]}


def tell(out: Path, trades: dict[str, Any], **facts: Any) -> None:
    """Write the closed trades (entry_bar, exit_bar, entry_price, exit_price, in order of entry) and print the facts."""
    np.savez(out, **{name: np.asarray(values) for name, values in trades.items()})
    json.dump(facts, sys.stdout)
    sys.stdout.write("\n")
