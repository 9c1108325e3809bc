"""Tapes with finer bars: random markets, in which groups of bars are the bars, and hand-worked ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from framework.data.cash_flows import with_cash_flows
from framework.data.series import BarSeries
from framework.data.tape import Tape, build_tape
from framework.model.instrument import ALWAYS_OPEN
from tests.reference.authors import MINUTE
from tests.reference.cases import START, Case, case_of, cash_flows, series
from tests.reference.details import COLUMNS

# --- random markets ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DetailedCase(Case):
    """A case whose bars are made of so many scheduled finer ones each; 1: of one each."""

    factors: tuple[int, ...] = ()
    is_plain: bool = False
    """Leave the finer bars out."""

    @cached_property
    def tape(self) -> Tape:
        finer = [series(shape, f"S{i}") for i, shape in enumerate(self.symbols)]
        whole = [grouped(one, shape.first_minute, factor * shape.minutes, factor == 1)
                 for one, shape, factor in zip(finer, self.symbols, self.factors, strict=True)]  # fmt: skip
        tape = build_tape(whole, ALWAYS_OPEN, () if self.is_plain else [replace_timeframe(one) for one in finer])
        return with_cash_flows(tape, [cash_flows(tape, i, shape) for i, shape in enumerate(self.symbols)])

    @property
    def plain(self) -> DetailedCase:
        """The same case without its finer bars."""
        return replace(self, is_plain=True)


def replace_timeframe(finer: BarSeries) -> BarSeries:
    """Return a series under a name of its timeframe that all symbols share; only the name of a tape's details."""
    names = ("open_time", "close_time", "open", "high", "low", "close", "volume")
    return BarSeries(finer.instrument, "5m", *(getattr(finer, name) for name in names))


def grouped(finer: BarSeries, first_minute: int, minutes: int, is_each: bool) -> BarSeries:
    """Return the bars that stretches of so many minutes make up; each finer bar as it is when asked for."""
    origin, length = START + first_minute * MINUTE, minutes * MINUTE
    number = (finer.open_time - origin) // length
    rows = []
    for one in np.unique(number):
        inside = np.flatnonzero(number == one)
        first, last = inside[0], inside[-1]
        begin = int(origin + one * length)
        times = (finer.open_time[first], finer.close_time[last]) if is_each else (begin, begin + length)
        rows.append((*times, finer.open[first], finer.high[inside].max(), finer.low[inside].min(), finer.close[last],
                     finer.volume[inside].sum()))  # fmt: skip
    columns = list(zip(*rows, strict=True))
    times = [np.array(column, np.int64) for column in columns[:2]]
    return BarSeries(finer.instrument, f"{minutes}m", *times, *columns[2:])


def detailed_case_of(seed: int, factors: tuple[int, ...] = (2, 3, 4, 6, 12)) -> DetailedCase:
    """Return the case of a seed with finer bars: one of minutes that is open at all times."""
    rng = random.Random(seed)
    case = next(case for case in map(case_of, itertools.count(1_000 * seed)) if is_of_minutes(case))
    shapes = tuple(replace(shape, n_bars=rng.randint(2, 120)) for shape in case.symbols)
    return DetailedCase(**{**vars_of(case), "symbols": shapes}, factors=tuple(rng.choice(factors) for _ in shapes))


def is_of_minutes(case: Case) -> bool:
    """Return whether the bars of all symbols last a few minutes, on no exchange."""
    return case.calendar == ALWAYS_OPEN and all(
        shape.exchange == ALWAYS_OPEN and shape.minutes < 60 for shape in case.symbols)


def vars_of(case: Case) -> dict[str, Any]:
    """Return the fields of a case by name."""
    return {name: getattr(case, name) for name in Case.__dataclass_fields__}


# --- hand-worked tapes ------------------------------------------------------------------------------------------------


def with_details(tape: Any, finer: Mapping[int, Sequence[tuple[float, ...]]]) -> Any:
    """Return a hand-worked tape whose bars have the finer ones listed, of equal lengths; other bars are their own.

    finer: row of a bar -> the (open, high, low, close) of those inside it, one after another.
    """
    rows: list[tuple[float, ...]] = []
    first = [0]
    for number in range(len(tape.open)):
        opened, closed = tape.open_time[number], tape.close_time[number]
        prices = finer.get(number) or [(tape.open[number], tape.high[number], tape.low[number], tape.close[number])]
        step = (closed - opened) // len(prices)
        rows += [(opened + i * step, opened + (i + 1) * step, *bar) for i, bar in enumerate(prices)]
        first.append(len(rows))
    columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    tape.details = SimpleNamespace(first=first, **columns)
    return tape


def joined(tape: Any, made: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that the engine reads with finer bars behind the bars."""
    details = getattr(tape, "details", None)
    if details is None:
        return {"detail": np.zeros(1, np.int64)}
    columns = {name: np.concatenate((made[name], np.array(getattr(details, name), made[name].dtype)))
               for name in COLUMNS}  # fmt: skip
    return {"detail": np.array(details.first, np.int64) + len(made["close"]), **columns}
