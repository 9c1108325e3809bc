"""Buy and hold, the benchmark of a run: one symbol, or equal weights of all, without costs and never rebalanced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.backtest.fields import text

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@attrs.frozen
class Benchmark:
    """What a run is measured against: buying and holding one symbol of the data, or all of them in equal weights."""

    SECTION: ClassVar[str] = "benchmark"
    symbol: str | None = text(None, optional=True)


class PriceHistory(Protocol):
    """The bars that a chart needs; a Tape is one.  Bars of symbol s are rows series[s]:series[s+1]."""

    @property
    def symbols(self) -> tuple[str, ...]: ...
    @property
    def series(self) -> Integers: ...
    @property
    def close_time(self) -> Integers: ...
    @property
    def high(self) -> Floats: ...
    @property
    def low(self) -> Floats: ...
    @property
    def close(self) -> Floats: ...


@attrs.frozen(eq=False)
class Growth:
    """What one unit of money became that was put into some symbols in equal parts.

    parts: per symbol its times (ns, ascending) and the value of one unit from each of them on; 1 before the first.
    """

    parts: tuple[tuple[Integers, Floats], ...]

    def at(self, time: Integers) -> Floats:
        """Return the value at given times, float64[n]. O(symbols * n * log bars)."""
        total = np.zeros(len(time))
        for times, value in self.parts:
            total += np.concatenate(([1.0], value))[np.searchsorted(times, time, "right")]
        return total / len(self.parts)

    def curve(self) -> tuple[Integers, Floats]:
        """Return every time at which the value changes, and the value from it on. O(bars * log bars)."""
        if len(self.parts) == 1:
            return self.parts[0]
        time = np.concatenate([times for times, _ in self.parts])
        order = np.argsort(time, kind="stable")
        steps = np.concatenate([np.diff(value, prepend=1.0) for _, value in self.parts])
        time, total = time[order], np.cumsum(steps[order])
        last = np.append(np.flatnonzero(np.diff(time)), len(time) - 1)
        return time[last], 1.0 + total[last] / len(self.parts)


def is_price(values: Floats) -> NDArray[np.bool_]:
    """Return where a value is a price: finite and above 0."""
    known: NDArray[np.bool_] = np.isfinite(values) & (values > 0.0)
    return known


def held_growth(prices: PriceHistory, first_close: Floats, symbols: Sequence[str], chosen: Sequence[str],
                start: int) -> Growth | None:
    """Return the growth of equal amounts put into the chosen symbols at their first closes; None without any.

    first_close: float64[n], by symbol of `symbols`; one without a price is left out. start: ns UTC, no bar before it
    counts. A symbol keeps its amount before its first bar and its last value after it ends.
    """
    parts = []
    for symbol in chosen:
        first = float(first_close[symbols.index(symbol)])
        if symbol not in prices.symbols or not is_price(np.array([first]))[0]:
            continue
        row = prices.symbols.index(symbol)
        bars = slice(int(prices.series[row]), int(prices.series[row + 1]))
        begin = bars.start + int(np.searchsorted(prices.close_time[bars], start))
        if begin < bars.stop:
            parts.append((prices.close_time[begin : bars.stop], prices.close[begin : bars.stop] / first))
    return Growth(tuple(parts)) if parts else None


def growth_returns(growth: Growth, time: Integers) -> Floats:
    """Return the return between each of given times and the one before, float64[n]; the first from 1."""
    value = growth.at(time)
    return value / np.concatenate(([1.0], value[:-1])) - 1.0
