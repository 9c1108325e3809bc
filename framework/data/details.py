"""Finer bars inside the bars of a tape: they settle in which order things happened within a bar.

Bars and finer bars come from the same rows of a source, both by the scheduled end of their bins, so that the finer
bars of a bar make it up exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.data.series import BarSeries, Floats, Ints
from framework.data.timeframe import DAY, parse_timeframe
from framework.errors import ConfigError, DataError

DETAIL_COLUMNS = ("open_time", "close_time", "open", "high", "low", "close")
"""What is kept of a finer bar; its volume is part of that of the bar."""


@attrs.frozen(eq=False)
class Details:
    """The finer bars of all bars of a tape.

    timeframe: such as "5m".  first: int64[n_bars + 1]; the finer bars of bar i are the elements first[i]:first[i + 1],
    at least one, of the other arrays: open_time and close_time in ns UTC; open, high, low, close in currency.
    """

    timeframe: str
    first: Ints
    open_time: Ints
    close_time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    def __len__(self) -> int:
        """Return the number of finer bars."""
        return len(self.open_time)

    @property
    def nbytes(self) -> int:
        """Return the memory of the finer bars, in bytes."""
        return sum(getattr(self, name).nbytes for name in ("first", *DETAIL_COLUMNS))

    def of_bars(self, keep: NDArray[np.bool_]) -> Details:
        """Return the finer bars of some bars.  keep: bool[n_bars].  Cost: O(finer bars)."""
        counts = np.diff(self.first)
        inside = np.repeat(keep, counts)
        columns = {name: getattr(self, name)[inside] for name in DETAIL_COLUMNS}
        return Details(self.timeframe, starts_of(counts[keep]), **columns)

    def of_rows(self, rows: slice) -> dict[str, NDArray[np.generic]]:
        """Return the columns of the finer bars of adjacent bars, by name."""
        return {name: getattr(self, name)[self.first[rows.start] : self.first[rows.stop]] for name in DETAIL_COLUMNS}


def starts_of(counts: Ints) -> Ints:
    """Return where groups of these sizes begin, and the end of the last one."""
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def details_of(bars: Sequence[BarSeries], finer: Sequence[BarSeries]) -> Details:
    """Return the finer bars that lie inside bars; those outside are left out.

    bars, finer: one series a symbol, in one order.  Raises DataError for a bar that has no finer bar inside or is not
    made up of those it has.  Cost: O(finer bars).
    """
    counts, inside = [], []
    for whole, parts in zip(bars, finer, strict=True):
        first = np.searchsorted(parts.open_time, whole.open_time, side="left")
        last = np.searchsorted(parts.close_time, whole.close_time, side="right")
        check_made_up(whole, parts, first, last)
        counts.append(last - first)
        number = np.arange(len(parts))
        place = np.searchsorted(first, number, side="right") - 1
        inside.append((place >= 0) & (number < last[place]))
    frames = {parts.timeframe for parts in finer}
    columns = {name: np.concatenate([getattr(parts, name)[mask] for parts, mask in zip(finer, inside, strict=True)])
               for name in DETAIL_COLUMNS}
    return Details(frames.pop(), starts_of(np.concatenate(counts)), **columns)


def check_made_up(whole: BarSeries, parts: BarSeries, first: Ints, last: Ints) -> None:
    """Raise DataError unless open, high, low and close of every bar are those of its finer bars [first, last)."""
    is_empty = last <= first
    if not is_empty.any():
        edges = np.stack((first, last), axis=1).ravel()
        high = np.maximum.reduceat(np.append(parts.high, -np.inf), edges)[::2]
        low = np.minimum.reduceat(np.append(parts.low, np.inf), edges)[::2]
        same = (parts.open[first] == whole.open) & (high == whole.high) & (low == whole.low)
        is_empty = ~(same & (parts.close[last - 1] == whole.close))
    if is_empty.any():
        row = int(np.argmax(is_empty))
        raise DataError(
            f"{whole.symbol}: bar {row + 1} of {whole.timeframe} is not made up of the bars of {parts.timeframe} "
            "inside it; rule: both come from the same rows; mend: use timeframe and detail_timeframe in [data]"
        )


def check_detail(timeframe: str | None, detail: str) -> None:
    """Raise ConfigError unless bars of the detail timeframe can lie inside bars of the timeframe."""
    given = f'[data] detail_timeframe = "{detail}"'
    short = parse_timeframe(detail)
    if timeframe is None:
        raise ConfigError(
            f"{given} without a timeframe; rule: it is the timeframe of the bars inside the run's bars; mend: name "
            'theirs too, such as timeframe = "1h"'
        )
    long = parse_timeframe(timeframe)
    if short >= long:
        raise ConfigError(
            f'{given} with timeframe = "{timeframe}"; rule: the details are finer than the bars; mend: a shorter '
            "detail_timeframe, or leave it out"
        )
    if long % short and (long < DAY or short >= DAY):
        raise ConfigError(
            f'{given} with timeframe = "{timeframe}"; rule: it divides the timeframe of the bars; mend: a timeframe of '
            f"which {timeframe} is a multiple"
        )
