"""The sections of a configuration that belong to verbs above the backtest; each is checked with all others.

What names parameters of plug-ins in them is checked by the verb, which knows the plug-ins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from framework.backtest.fields import checked_text, choice, place, table, text, texts, whole, wrong

SAMPLERS = ("grid", "random", "tpe", "cma-es", "nsga2")
EXECUTORS = ("auto", "local", "ray")


def _one_or_several(value: Any, instance: Any, field: attrs.Attribute[Any]) -> tuple[str, ...]:
    """Return one text or a list of texts as a tuple."""
    where = place(instance, field)
    if isinstance(value, str):
        return (checked_text(where, value),)
    if not isinstance(value, Sequence):
        raise wrong(where, value, "a text or a list of texts")
    return tuple(checked_text(f"{where}[{number}]", one) for number, one in enumerate(value))


def names(default: Any) -> Any:
    """One text or a list of texts, stored as a tuple."""
    return attrs.field(default=default, converter=attrs.Converter(_one_or_several, takes_self=True, takes_field=True))


@attrs.frozen
class Optimize:
    """A search over parameters.

    sampler: which points are tried. objective: one statistic or several; direction: "maximize" or "minimize" for each,
    empty for what is usual. trials: how many, None for the whole grid or 100. min_trades: closed trades below which a
    trial does not count. batch: points that an adaptive sampler proposes before it learns, None for its own number.
    executor, workers, address: who runs the trials; address names a Ray cluster. cache_mib: memory for indicator
    columns. space: parameter -> its values or range; empty takes the bounds of the strategies' parameters.
    constraints: conditions such as "fast < slow".
    """

    SECTION: ClassVar[str] = "optimize"
    sampler: str = choice("grid", SAMPLERS)
    objective: tuple[str, ...] = names(("Sharpe Ratio",))
    direction: tuple[str, ...] = names(())
    trials: int | None = whole(None, low=1, high=100_000_000, optional=True)
    min_trades: int = whole(1, low=0, high=10**9)
    batch: int | None = whole(None, low=1, high=10_000, optional=True)
    executor: str = choice("auto", EXECUTORS)
    workers: int | None = whole(None, low=1, high=10_000, optional=True)
    address: str | None = text(None, optional=True)
    cache_mib: int = whole(1024, low=0, high=10**9)
    constraints: tuple[str, ...] = texts(())
    space: dict[str, Any] = table(attrs.Factory(dict))
