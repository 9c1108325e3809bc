"""What every side of the search does: all pairs of 32 lengths in order, 496, on the bars and costs of `scenario`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scenario import tell

LENGTHS = range(5, 99, 3)
FIRST = max(LENGTHS)
"""The bar at which all pairs begin to be asked: an average of that length was defined at the bar before."""

PAIRS = [(fast, slow) for fast in LENGTHS for slow in LENGTHS if fast < slow]


def tell_search(out: Path, returns: dict[tuple[Any, Any], float], **facts: Any) -> None:
    """Write the total return (a fraction) of every pair that was run and print the facts."""
    tell(out, {"pairs": np.array(list(returns), np.int64), "returns": np.array(list(returns.values()), np.float64)},
         **facts, pairs=len(returns))
