"""The sections of a configuration that belong to verbs above the backtest; each is checked with all others.

What names parameters of plug-ins in them is checked by the verb, which knows the plug-ins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from framework.backtest.duration import parse_duration
from framework.backtest.fields import checked_text, choice, flag, number, place, table, text, texts, whole, wrong
from framework.errors import ConfigError

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
    constraints: conditions such as "fast < slow". fit_share: the first part of the time, by which strategies with a
    fit are trained; the rest of it is what their trials are measured on.
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
    fit_share: float = number(0.7, above=0.0, below=1.0)
    space: dict[str, Any] = table(attrs.Factory(dict))


ROLLING, PURGED_KFOLD, CPCV = "walk_forward", "purged_kfold", "cpcv"
FORWARD_KEYS = {ROLLING: ("train", "test", "step", "anchored"), PURGED_KFOLD: ("folds", "purge", "embargo"),
                CPCV: ("folds", "test_folds", "purge", "embargo")}
"""The keys of [walk_forward] that a method has beside `method`."""


@attrs.frozen
class WalkForward:
    """Parameters chosen on one part of the time and tried on another.

    method: "walk_forward" (train, then test, then `step` further), "purged_kfold" or "cpcv" (Lopez de Prado 2018).
    train, test, step: durations such as "24mo" or "90d"; step is `test` unless it is given, and at most `test`.
    anchored: whether every training window begins with the first one. folds: parts of the time (default 5);
    test_folds: of them, how many are tested at a time (default 2). purge, embargo: durations left out of training
    before and after a tested part; by default a hundredth of the time each.
    """

    SECTION: ClassVar[str] = "walk_forward"
    method: str = choice(ROLLING, (ROLLING, PURGED_KFOLD, CPCV))
    train: str | None = text(None, optional=True)
    test: str | None = text(None, optional=True)
    step: str | None = text(None, optional=True)
    anchored: bool = flag(False)
    folds: int | None = whole(None, low=2, high=1_000, optional=True)
    test_folds: int | None = whole(None, low=1, high=1_000, optional=True)
    purge: str | None = text(None, optional=True)
    embargo: str | None = text(None, optional=True)

    def __attrs_post_init__(self) -> None:
        mine = FORWARD_KEYS[self.method]
        for name in ("train", "test", "step", "anchored", "folds", "test_folds", "purge", "embargo"):
            if getattr(self, name) not in (None, False) and name not in mine:
                raise ConfigError(f"[walk_forward] {name} does not belong to method = {self.method!r}, which has: "
                                  f"{', '.join(mine)}; remove it or name another method")
        lengths = {name: parse_duration(f"[walk_forward] {name}", value) for name in
                   ("train", "test", "step", "purge", "embargo") if (value := getattr(self, name)) is not None}
        if self.method == ROLLING:
            for name in ("train", "test"):
                if name not in lengths:
                    raise ConfigError(f'[walk_forward] {name} is missing; say how long, such as {name} = "6mo"')
            if "step" in lengths and lengths["step"].about_seconds > lengths["test"].about_seconds:
                raise ConfigError(f"[walk_forward] step = {self.step!r} is longer than test = {self.test!r}: times "
                                  "between the tests would never be tested; use a step of at most test")
        elif self.method == CPCV and (self.test_folds or 2) >= (self.folds or 5):
            raise ConfigError(f"[walk_forward] test_folds = {self.test_folds or 2} of folds = {self.folds or 5} leave "
                              "nothing to train on; use fewer test_folds")
