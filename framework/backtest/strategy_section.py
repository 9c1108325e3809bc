"""The section [strategy]: which strategy runs, on what, what it is called, and until when it is trained.

A use is called by its label, else by the name of its strategy; a name that comes again without a label is numbered:
`ema_cross`, `ema_cross#2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar

import attrs

from framework.backtest.duration import optional_ns
from framework.backtest.fields import checked_table, moment, plugin_name, table, texts, use_label
from framework.errors import ConfigError, did_you_mean


@attrs.frozen
class StrategyUse:
    """A strategy by name, on all symbols of the data unless some are named.

    trained_from, trained_until: the bars that a strategy with a fit is trained on: those that close at or after the
    first time (None: all) and before the second. None for one that is not trained, or trained by whoever runs it.
    label: what this use is called in tables and settings, where the name of the strategy does not say it.
    """

    SECTION: ClassVar[str] = "strategy"
    name: str = plugin_name()
    params: dict[str, Any] = table(attrs.Factory(dict))
    symbols: tuple[str, ...] | None = texts(None, optional=True)
    trained_from: datetime | None = moment(day_is_over=False)
    trained_until: datetime | None = moment(day_is_over=False)
    label: str | None = use_label()

    def __attrs_post_init__(self) -> None:
        if self.symbols == ():
            raise ConfigError(f"[strategy] {self.name}: symbols = [] names no symbol; leave the key out for all of "
                              "[data], or leave the strategy out")
        if self.trained_from is None:
            return
        if self.trained_until is None:
            raise ConfigError(f"[strategy] {self.name}: trained_from needs trained_until, where training ends")
        if self.trained_from >= self.trained_until:
            raise ConfigError(f"[strategy] {self.name}: trained_from = {self.trained_from.isoformat()} is not before "
                              f"trained_until = {self.trained_until.isoformat()}; exchange them")

    @property
    def leg_ns(self) -> tuple[int | None, int | None]:
        """The training leg in ns UTC, its end exclusive."""
        return optional_ns(self.trained_from), optional_ns(self.trained_until)


def labels_of(uses: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
    """Return what uses, given as (name, label), are called; they need not be different.

    >>> labels_of([("a", None), ("a", "slow"), ("a", None), ("b", None)])
    ('a', 'slow', 'a#2', 'b')
    """
    found, seen = [], dict[str, int]()
    for name, label in uses:
        if label is not None:
            found.append(label)
            continue
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(found)


def different_labels(uses: Iterable[StrategyUse]) -> tuple[str, ...]:
    """Return what uses are called; ConfigError when two are called alike."""
    labels = labels_of((use.name, use.label) for use in uses)
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"[[strategy]]: {labels.count(label)} are called {label!r}, by label or name; give each "
                              "a label of its own")
    return labels


def strategies_of(value: Any) -> tuple[StrategyUse, ...]:
    """Return [strategy] or every [[strategy]], in the order of the file."""
    known = [field.name for field in attrs.fields(StrategyUse)]
    items = value if isinstance(value, list) else [value]
    uses = []
    for item in items:
        values = checked_table("[strategy]", item)
        for key in values:
            if key not in known:
                hint = did_you_mean(key, known) or (f"; parameters of a strategy go under params, as in params = "
                                                    f"{{ {key} = ... }}")
                raise ConfigError(f"[strategy]: unknown key {key!r}{hint}")
        if "name" not in values:
            raise ConfigError('[strategy]: name is missing; name an installed strategy, such as name = "ema_cross"')
        uses.append(StrategyUse(**values))
    return tuple(uses)


def begun_after_training(uses: Sequence[StrategyUse], start: datetime | None, end: datetime | None) -> datetime | None:
    """Return when a run begins: no decision that a strategy was trained on is made, or counts in a statistic.

    Raises ConfigError when the run would be over by then.
    """
    trained = [use.trained_until for use in uses if use.trained_until is not None]
    latest = max(trained, default=None)
    if latest is None or (start is not None and start >= latest):
        return start
    if end is not None and latest >= end:
        raise ConfigError(f"[strategy] trained_until = {latest.isoformat()} is not before [run] end = "
                          f"{end.isoformat()}: nothing is left to run on; train until earlier, or run until later")
    return latest


def check_training(uses: Sequence[StrategyUse], start: datetime | None) -> None:
    """Raise ConfigError for a run that begins before a strategy of it was trained."""
    if begun_after_training(uses, start, None) != start:
        raise ConfigError(f"[run] start = {start} is before the end of training, trained_until of [strategy]; "
                          "decisions on bars that a strategy was trained on are none")


def trained(uses: Sequence[StrategyUse], places: Sequence[int], start: datetime | None,
            until: datetime) -> tuple[StrategyUse, ...]:
    """Return the uses with those at some places trained on a leg."""
    return tuple(attrs.evolve(use, trained_from=start, trained_until=until) if place in places else use
                 for place, use in enumerate(uses))
