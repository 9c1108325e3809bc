"""What the report says beyond the statistics, as plain values for programs: analysis.json of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from framework.backtest.metrics import monthly_returns
from framework.backtest.stats import GRADES, moment

if TYPE_CHECKING:
    from framework.backtest.result import Result


def analysis(result: Result) -> dict[str, object]:
    """Return intervals, grades, benchmark, attribution, months, drawdowns, refusals by rule, regimes and tax years.

    Fractions are fractions; intervals have the unit of their statistic; what the run does not have is empty.
    """
    return {
        "intervals": {name: attrs.asdict(interval) for name, interval in result.intervals.items()},
        "grades": {name: grade.of(value) for name, grade in GRADES.items()
                   if isinstance(value := result.stats[name], float)},
        "benchmark": result.benchmark or "equal weights",
        "attribution": {key: [attrs.asdict(share) for share in shares]
                        for key, shares in result.attribution().items()},
        "months": {f"{year:04d}-{month:02d}": value for (year, month), value in
                   monthly_returns(result.records.days, result.capital).items()},
        "drawdowns": drawdown_list(result),
        "refusals": refusal_counts(result),
        "regimes": result.regimes.bars if result.regimes is not None else {},
        "tax_years": [attrs.asdict(year) for year in result.tax_years],
    }


def drawdown_list(result: Result) -> list[dict[str, object]]:
    """Return every drawdown, deepest first."""
    found = result.drawdowns
    return [
        {
            "depth": float(found.depth[i]),
            "peak": moment(int(found.begin[i])),
            "trough": moment(int(found.trough[i])),
            "end": moment(int(found.end[i])),
            "is_recovered": bool(found.is_recovered[i]),
        }
        for i in np.argsort(-found.depth, kind="stable").tolist()
    ]


def refusal_counts(result: Result) -> dict[str, dict[str, int]]:
    """Return how often each rule refused and reduced, by the rule's name."""
    frame = result.refusals
    counts: dict[str, dict[str, int]] = {}
    for name, allowed in zip(frame["rule"].to_list(), frame["allowed"].fill_null(0.0).to_list(), strict=True):
        of_rule = counts.setdefault(str(name), {"refused": 0, "reduced": 0})
        of_rule["reduced" if allowed > 0.0 else "refused"] += 1
    return counts
