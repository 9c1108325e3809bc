"""Evaluate conditions over a tape: one byte a bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from framework.indicators.columns import ColumnCache, evaluate
from framework.indicators.condition import Begins, Comparison, Condition, Joined, Not
from framework.indicators.expression import Constant

if TYPE_CHECKING:
    from framework.data import Tape

COMPARE = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}
JOIN = {"&": np.logical_and, "|": np.logical_or}


def truth(condition: Condition, tape: Tape, symbol_index: int | None, cache: ColumnCache) -> np.ndarray:
    """Return a condition over the bars of a symbol, of all with None: bool[bars], contiguous and read-only.

    What is compared comes from the cache.  The condition does not go there: to compare costs less than to keep what
    hardly any other trial of a search asks for.
    """
    if isinstance(condition, Comparison):
        left, right = (part.value if isinstance(part, Constant) else evaluate(part, tape, symbol_index, cache)
                       for part in (condition.left, condition.right))
        bars = tape.series[-1] if symbol_index is None else np.diff(tape.series)[symbol_index]
        return _locked(COMPARE[condition.operator](left, right, out=np.empty(int(bars), np.bool_)))
    if isinstance(condition, Joined):
        left, right = (truth(part, tape, symbol_index, cache) for part in (condition.left, condition.right))
        return _locked(JOIN[condition.operator](left, right))
    if isinstance(condition, Not):
        return _locked(np.logical_not(truth(condition.x, tape, symbol_index, cache)))
    if isinstance(condition, Begins):
        holds = truth(condition.x, tape, symbol_index, cache)
        out = np.zeros(len(holds), np.bool_)
        np.greater(holds[1:], holds[:-1], out=out[1:])
        if symbol_index is None:
            first = tape.series[:-1]
            out[first[first < out.size]] = False
        return _locked(out)
    raise TypeError(f"a condition of the unknown kind {type(condition).__name__}")


def _locked(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
