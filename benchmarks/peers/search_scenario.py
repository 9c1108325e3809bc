"""What every side of the search does: all pairs of 32 lengths in order, 496, on the bars and costs of `scenario`."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

LENGTHS = range(5, 99, 3)
FIRST = max(LENGTHS)
"""The bar at which all pairs begin to be asked: an average of that length was defined at the bar before."""

PAIRS = [(fast, slow) for fast in LENGTHS for slow in LENGTHS if fast < slow]


def peak_memory() -> int:
    """Return the most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def tell_search(out: Path, returns: dict[tuple[Any, Any], float], **facts: Any) -> None:
    """Write the total return (a fraction) of every pair that was run and print the facts."""
    np.savez(out, pairs=np.array(list(returns), np.int64), returns=np.array(list(returns.values()), np.float64))
    json.dump({**facts, "pairs": len(returns)}, sys.stdout)
    sys.stdout.write("\n")
