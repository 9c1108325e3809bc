"""What the legs of a walk-forward say together: how steady the chosen parameters are, and whether to accept the result.

The table of acceptance: out-of-sample Sharpe above 1 and return above 0, a drawdown within 150 % of the in-sample one,
a win rate at most 10 points below the in-sample one, and at least 24 windows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import attrs
import numpy as np

from framework.parameters import Value
from framework.research.space import Space

SHARPE, WINDOWS, DRAWDOWN_SHARE, WIN_RATE_POINTS = 1.0, 24, 1.5, 10.0


@attrs.frozen
class Steadiness:
    """How one parameter was chosen, leg by leg.

    values: in the order of the legs that chose. common: the most frequent value, of equally frequent ones the first;
    share: of legs that chose it. changes: legs whose value differs from that of the leg before. spread: the standard
    deviation of the chosen values over that of all values of the space, a fraction: 0 for always the same, 1 for no
    better than drawn at random; None for what is no number, or where the space has one value.
    """

    path: str
    values: tuple[Value, ...]
    common: Value
    share: float
    changes: int
    spread: float | None


def steadiness(space: Space, chosen: Sequence[Mapping[str, Value]]) -> list[Steadiness]:
    """Return how steady each parameter of the space is over the points that legs chose; empty when none did."""
    if not chosen:
        return []
    found = []
    for one in space.dimensions:
        values = tuple(point[one.path] for point in chosen)
        common, count = Counter(values).most_common(1)[0]
        changes = sum(a != b for a, b in pairwise(values))
        whole = _deviation_of_space(one)
        spread = float(np.std([float(v) for v in values])) / whole if whole else None
        found.append(Steadiness(one.path, values, common, count / len(values), changes, spread))
    return found


def _deviation_of_space(one: Any) -> float:
    """Return the standard deviation over a dimension's values, of the uniform distribution for a range; 0 for texts."""
    if not one.is_numeric:
        return 0.0
    if one.values is not None:
        return float(np.std([float(value) for value in one.values]))
    return float(one.high - one.low) / float(np.sqrt(12.0))


@attrs.frozen
class Criterion:
    """One row of the table of acceptance: what was found, the bound, and whether it holds; None is not defined."""

    name: str
    value: float | None
    rule: str
    passed: bool


def acceptance(out: Mapping[str, Any], inside: Sequence[Mapping[str, Any]], windows: int) -> list[Criterion]:
    """Return the table of acceptance.

    out: the statistics of the stitched out-of-sample run. inside: those of the chosen parameters on each training
    window. The drawdown, below zero as in every table of statistics, is held against the deepest in-sample one; the win
    rate against that of all in-sample trades. What is not defined does not pass.
    """
    deepest = min((number(one["Max. Drawdown [%]"]) for one in inside), default=np.nan)
    trades = [(number(one["# Trades"]), number(one["Win Rate [%]"])) for one in inside]
    count = sum(n for n, rate in trades if np.isfinite(rate))
    rate = sum(n * rate for n, rate in trades if np.isfinite(rate)) / count if count else np.nan
    bound, floor = DRAWDOWN_SHARE * deepest, rate - WIN_RATE_POINTS
    rows: list[tuple[str, float, str, Callable[[float], bool]]] = [
            ("Sharpe Ratio", number(out["Sharpe Ratio"]), f"> {SHARPE:g}", lambda value: value > SHARPE),
            ("Return [%]", number(out["Return [%]"]), "> 0", lambda value: value > 0.0),
            ("Max. Drawdown [%]", number(out["Max. Drawdown [%]"]),
             f">= {bound:.2f}: 150 % of the deepest in-sample one, {deepest:.2f}", lambda value: value >= bound),
            ("Win Rate [%]", number(out["Win Rate [%]"]), f">= {floor:.2f}: the in-sample one, {rate:.2f}, less 10",
             lambda value: value >= floor),
            ("Windows", float(windows), f">= {WINDOWS}", lambda value: value >= WINDOWS)]
    return [Criterion(name, value if np.isfinite(value) else None, rule, bool(np.isfinite(value) and holds(value)))
            for name, value, rule, holds in rows]


def number(value: object) -> float:
    """Return a statistic as a float, NaN for what is not defined."""
    return float(value) if isinstance(value, int | float) else float("nan")


SHOWN = ("Sharpe Ratio", "Return [%]", "Return (Ann.) [%]", "Max. Drawdown [%]", "Win Rate [%]", "# Trades")
"""Statistics of each leg in tables."""


def finite(value: object) -> float | None:
    """Return a statistic as a number, None where it is not defined."""
    found = number(value)
    return found if np.isfinite(found) else None


def day(moment: datetime) -> str:
    """Return a time for tables: a date, with the time of day where there is one."""
    is_midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return f"{moment:%Y-%m-%d}" if is_midnight else f"{moment:%Y-%m-%d %H:%M}"
