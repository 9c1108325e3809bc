"""The live form of expressions: one bar in, one value out, equal to the column bit for bit.

A `Stream` runs the very functions that compute columns, over columns of length one, and keeps their memory between
bars. Bars of other clocks are pushed when they are finished: a four-hour bin at its scheduled end, a bar of another
symbol at its close, each before the own bar that closes at the same instant.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import attrs
import numpy as np

from framework.errors import ConfigError, did_you_mean
from framework.indicators.definition import History, frozen
from framework.indicators.expression import (
    OWN,
    Application,
    Arithmetic,
    Clock,
    Constant,
    Expression,
    Field,
    Negative,
    Output,
    Shift,
    as_expression,
    parts_of,
)

Operation = Callable[[], None]

MAGIC = b"framework.stream.1\n"


class BarLike(Protocol):
    """Anything with the five numbers of a bar."""

    @property
    def open(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def close(self) -> float: ...
    @property
    def volume(self) -> float: ...


class Ohlcv(NamedTuple):
    """The five numbers of a bar, and its place in its session (1 on the first bar) where an indicator asks for it."""

    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    bars_in_session: float = math.nan


@attrs.frozen(eq=False)
class _Lane:
    """What happens when a bar of one clock is pushed: values to fill in, then operations in order."""

    fields: list[tuple[str, int]] = attrs.field(factory=list)
    operations: list[Operation] = attrs.field(factory=list)


class Stream:
    """The latest values of some expressions, moved on by one bar at a time.

    Memory and cost of a bar: those of the steps; nothing grows with the number of bars.

    >>> from framework.indicators import Bars, sma
    >>> stream = Stream([sma(Bars().close, 2)])
    >>> [stream.push(Ohlcv(1.0, 1.0, 1.0, close)) for close in (1.0, 2.0, 4.0)]
    [(nan,), (1.5,), (3.0,)]
    """

    def __init__(self, expressions: Sequence[Expression]) -> None:
        self.expressions = tuple(as_expression(expression, "Stream") for expression in expressions)
        self._slots: dict[Expression | Application, int] = {}
        self._lanes: dict[tuple[str | None, str | None], _Lane] = {}
        self._own = self._lane(OWN)
        self._memory: list[np.ndarray] = []
        self._histories: list[History] = []
        self._values = np.full(_slots_needed(self.expressions), np.nan)
        self._view = _numbers(self._values)
        self._used = 0
        self._results = _reader([self._slot(expression) for expression in self.expressions])
        self._memory.append(self._values)
        self._digest = hashlib.sha256(repr(
            (self.expressions, [(part.dtype.descr, part.shape) for part in self._memory])).encode()).digest()

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """Whose bars must be pushed: the own clock first."""
        return tuple(Clock(*key) for key in self._lanes)

    @property
    def values(self) -> tuple[float, ...]:
        """The values at the last own bar, in the order of the expressions."""
        return self._results(self._view)

    def push(self, bar: BarLike, symbol: str | None = None, timeframe: str | None = None) -> tuple[float, ...] | None:
        """Take one finished bar; return the values for an own bar, None for one of another clock.

        symbol, timeframe: as in `bars.symbol(...).timeframe(...)`; ConfigError when no expression reads that clock.
        """
        lane = self._own if symbol is None and timeframe is None else self._lanes.get((symbol, timeframe))
        if lane is None:
            raise self._unread(Clock(symbol, timeframe))
        view = self._view
        try:
            for name, slot in lane.fields:
                view[slot] = getattr(bar, name)
        except AttributeError:
            raise ConfigError(f"a pushed bar has no {name}, which an expression of this stream reads; "
                              f"give it one: {bar!r}") from None
        for operate in lane.operations:
            operate()
        return self._results(view) if lane is self._own else None

    def snapshot(self) -> bytes:
        """Return the whole memory, for `restore` in any process on the same expressions."""
        grown = [column for history in self._histories for column in (np.int64(history.length), *history.columns)]
        return b"".join([MAGIC, self._digest, *(part.tobytes() for part in (*self._memory, *grown))])

    def restore(self, snapshot: bytes) -> None:
        """Continue from a snapshot; ConfigError, and no change, when it is damaged or of other expressions."""
        head = len(MAGIC) + len(self._digest)
        fixed = head + sum(part.nbytes for part in self._memory)
        grown, end = self._grown(snapshot, fixed)
        if snapshot[:head] != MAGIC + self._digest or len(snapshot) != end:
            raise ConfigError(f"a snapshot of {len(snapshot)} bytes does not belong to a stream of "
                              f"{', '.join(map(repr, self.expressions))} ({end} bytes); restore it into the same "
                              "expressions, or start afresh and push the bars again")
        for part in self._memory:
            part.view(np.uint8).reshape(-1)[:] = np.frombuffer(snapshot, np.uint8, part.nbytes, head)
            head += part.nbytes
        for history, rows in zip(self._histories, grown, strict=True):
            history.replace(rows)

    def _grown(self, snapshot: bytes, start: int) -> tuple[list[np.ndarray], int]:
        """Return what a snapshot holds of each history from `start` on, and where it should end."""
        grown = []
        for history in self._histories:
            length = int.from_bytes(snapshot[start:start + 8], "little", signed=True)
            start += 8
            size = history.series * max(length, 0)
            if length < 0 or len(snapshot) < start + size * 8:
                return [], start + size * 8
            grown.append(np.frombuffer(snapshot, np.float64, size, start).reshape(history.series, length))
            start += size * 8
        return grown, start

    def _slot(self, node: Expression) -> int:
        """Return where the value of a node stands, after planning what computes it."""
        if isinstance(node, Output):
            return self._application(node.application) + node.index
        if node not in self._slots:
            self._plan(node)
        return self._slots[node]

    def _plan(self, node: Expression) -> None:
        lane = self._lane(node.clock or OWN)
        match node:
            case Field(name):
                lane.fields.append((name, self._claim(node)))
            case Constant(value):
                self._view[self._claim(node)] = value
            case Negative(x):
                source = self._slot(x)
                lane.operations.append(_negation(self._view, source, self._claim(node)))
            case Arithmetic(sign, left, right):
                sources = self._slot(left), self._slot(right)
                lane.operations.append(_OPERATIONS[sign](self._view, *sources, self._claim(node)))
            case Shift(x, ticks):
                source = self._slot(x)
                ring = np.full(ticks, np.nan)
                position = np.zeros(1, np.int64)
                self._memory += [ring, position]
                lane.operations.append(_delay(self._view, ring, position, source, self._claim(node)))
            case _:
                raise TypeError(f"an expression of the unknown kind {type(node).__name__}")

    def _application(self, node: Application) -> int:
        if node not in self._slots:
            sources = [self._slot(x) for x in node.inputs]
            count = len(node.indicator.outputs)
            first = self._claim(node, count)
            out = self._values[first:first + count].reshape(count, 1)
            inputs = tuple(frozen(self._values[slot:slot + 1]) for slot in sources)
            running = node.indicator.live(node.parameters, inputs, out)
            self._memory += running.memory
            self._histories += [running.history] if running.history is not None else []
            self._lane(node.clock or OWN).operations.append(running.operate)
        return self._slots[node]

    def _lane(self, clock: Clock) -> _Lane:
        return self._lanes.setdefault((clock.symbol, clock.timeframe), _Lane())

    def _unread(self, clock: Clock) -> ConfigError:
        known = [str(other) for other in self.clocks if other != OWN]
        return ConfigError(f"no expression of this stream reads the bars {clock}{did_you_mean(str(clock), known)}; "
                           f"besides its own it reads: {', '.join(known) or 'none'}")

    def _claim(self, node: Expression | Application, count: int = 1) -> int:
        first = self._slots[node] = self._used
        self._used += count
        return first


def _numbers(array: np.ndarray) -> Any:
    """Return the same memory as plain Python numbers, read and written several times faster than numpy's."""
    return memoryview(array.data)


def _reader(slots: Sequence[int]) -> Callable[[Any], tuple[float, ...]]:
    """Return what reads these places of a memory at once."""
    if len(slots) > 1:
        return operator.itemgetter(*slots)
    return (lambda view: (view[slots[0]],)) if slots else lambda view: ()


def _slots_needed(expressions: Sequence[Expression]) -> int:
    """Return how many values the distinct nodes of some expressions hold."""
    seen: dict[Expression | Application, int] = {}

    def visit(node: Expression) -> None:
        key: Expression | Application = node.application if isinstance(node, Output) else node
        if key in seen:
            return
        seen[key] = len(key.indicator.outputs) if isinstance(key, Application) else 1
        for part in parts_of(node):
            visit(part)

    for expression in expressions:
        visit(expression)
    return sum(seen.values())


def _negation(values: Any, x: int, target: int) -> Operation:
    def operate() -> None:
        values[target] = -values[x]

    return operate


def _sum(values: Any, left: int, right: int, target: int) -> Operation:
    def operate() -> None:
        values[target] = values[left] + values[right]

    return operate


def _difference(values: Any, left: int, right: int, target: int) -> Operation:
    def operate() -> None:
        values[target] = values[left] - values[right]

    return operate


def _product(values: Any, left: int, right: int, target: int) -> Operation:
    def operate() -> None:
        values[target] = values[left] * values[right]

    return operate


def _quotient(values: Any, left: int, right: int, target: int) -> Operation:
    def operate() -> None:
        values[target] = values[left] / values[right] if values[right] != 0.0 else math.nan

    return operate


_OPERATIONS = {"+": _sum, "-": _difference, "*": _product, "/": _quotient}


def _delay(values: Any, ring: np.ndarray, position: np.ndarray, source: int, target: int) -> Operation:
    held, at = _numbers(ring), _numbers(position)

    def operate() -> None:
        place = at[0]
        values[target] = held[place]
        held[place] = values[source]
        at[0] = place + 1 if place + 1 < len(held) else 0

    return operate
