"""Evaluate expressions over a tape, each once.

A column is aligned with the bars of one symbol. A series of another clock is computed at that clock's own ticks and
then shown on the symbol's bars: at each bar the latest value that was finished by the bar's close, never a later one.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import numpy as np

from framework.data.book import BOOK_FIELDS, levels_of
from framework.errors import ConfigError, DataError, did_you_mean
from framework.indicators.definition import frozen, whole
from framework.indicators.expression import (
    OWN,
    PLACE,
    Application,
    Arithmetic,
    Bars,
    Clock,
    Constant,
    Expression,
    Field,
    Negative,
    Output,
    Shift,
    as_expression,
    localise,
    own_lookback,
    parts_of,
)

if TYPE_CHECKING:
    from framework.data import Tape

T = TypeVar("T")

DEFAULT_BUDGET_BYTES = 1 << 30


class ColumnCache:
    """Columns by (data fingerprint, symbol, timeframe, expression), computed once and shared, oldest use out first.

    budget_bytes: how much memory the cache itself keeps alive; what a caller still holds stays with the caller.
    computed, reused: how many were computed and how many were found. Safe to share between threads: a column that
    another thread is computing is waited for.
    """

    def __init__(self, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        if budget_bytes < 0:
            raise ConfigError(f"ColumnCache(budget_bytes={budget_bytes}): the budget must not be negative")
        self.budget_bytes = budget_bytes
        self.computed = 0
        self.reused = 0
        self.bytes = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._underway: dict[Hashable, Future[Any]] = {}
        self._tapes: weakref.WeakKeyDictionary[Tape, Hashable] = weakref.WeakKeyDictionary()
        self._tapes_seen = 0
        self._keys: dict[str, Hashable] = {}

    @property
    def held(self) -> int:
        """The number of columns in memory."""
        return len(self._entries)

    def key_of(self, tape: Tape) -> Hashable:
        """Return what stands for a tape's data in keys: equal for tapes of one fingerprint.

        A fingerprint reads all data, which costs more than a run; it is taken only when a second tape appears.
        """
        with self._lock:
            if tape not in self._tapes:
                for other, key in list(self._tapes.items()):
                    self._keys.setdefault(other.fingerprint, key)
                self._tapes_seen += 1
                new = self._tapes_seen
                self._tapes[tape] = new if new == 1 else self._keys.setdefault(tape.fingerprint, new)
            return self._tapes[tape]

    def get(self, key: Hashable, compute: Callable[[], T], size: Callable[[T], int]) -> T:
        """Return the value under the key, computing it when nobody has; size: value -> bytes."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                self.reused += 1
                return self._entries[key][0]  # type: ignore[no-any-return]
            waiting = self._underway.get(key)
            if waiting is None:
                mine = self._underway[key] = Future()
        if waiting is not None:
            return waiting.result()  # type: ignore[no-any-return]
        try:
            value = compute()
        except BaseException as fault:
            with self._lock:
                del self._underway[key]
            mine.set_exception(fault)
            raise
        with self._lock:
            self._keep(key, value, size(value))
            self.computed += 1
            del self._underway[key]
        mine.set_result(value)
        return value

    def clear(self) -> None:
        """Forget all columns; the counts stay."""
        with self._lock:
            self._entries.clear()
            self.bytes = 0

    def _keep(self, key: Hashable, value: Any, size: int) -> None:
        self._entries[key] = value, size
        self.bytes += size
        while self.bytes > self.budget_bytes and self._entries:
            _, (_, freed) = self._entries.popitem(last=False)
            self.bytes -= freed


def evaluate(expression: Expression, tape: Tape, symbol_index: int | None,
             cache: ColumnCache | None = None, needed: Iterable[int] | None = None) -> np.ndarray:
    """Return an expression as a column: float64[bars of that symbol], contiguous and read-only, NaN without a value.

    symbol_index None: one column over the bars of all symbols, tape.series saying which are whose; each symbol's part
    is what it would be alone.  needed: the symbols whose values are used, all by default; the volume that only others
    lack is NaN there.  Raises ConfigError when the expression names a symbol the tape does not have or a timeframe it
    cannot form, DataError when it reads a volume or an order book that the tape does not have, and StrategyError when
    an indicator's step raises.
    """
    whole = as_expression(expression, "evaluate")
    place = _Place(tape, symbol_index, None, cache if cache is not None else ColumnCache())
    if tape.without_volume:
        asked = [symbol_index] if symbol_index is not None else range(tape.n_symbols) if needed is None else needed
        _refuse_missing_volume(whole, [attrs.evolve(place, symbol=symbol) for symbol in asked])
    return _column(whole, place)


def first_ready(expression: Expression, tape: Tape, symbol_index: int, cache: ColumnCache | None = None) -> int:
    """Return the symbol's bar (0 is its first) at which the declared lookback of an expression is satisfied.

    The number of bars when the tape is too short. Before it every value is NaN.
    """
    whole = as_expression(expression, "first_ready")
    place = _Place(tape, symbol_index, None, cache if cache is not None else ColumnCache())
    return min(_ready(whole, place), place.length)


def ready_rows(expressions: Sequence[Expression], tape: Tape, cache: ColumnCache) -> np.ndarray:
    """Return for each symbol the row of the tape at which all expressions are ready, int64[symbols].

    One behind the symbol's last row when its bars are too few, its first row when there are no expressions.
    """
    first, lengths = tape.series[:-1], np.diff(tape.series)
    ready = np.zeros(tape.n_symbols, np.int64)
    for expression in expressions:
        if _is_own(expression):
            ready = np.maximum(ready, expression.lookback)
        else:
            each = [first_ready(expression, tape, symbol, cache) for symbol in range(tape.n_symbols)]
            ready = np.maximum(ready, each)
    return np.asarray(first + np.minimum(ready, lengths))


def _is_own(node: Expression) -> bool:
    """Return whether all parts of an expression tick with the strategy's own bars."""
    return node.clock in (None, OWN) and all(_is_own(part) for part in parts_of(node))


@attrs.frozen(eq=False)
class _Place:
    """The ticks of one clock on one tape: the bars of a symbol or of all (None), or a symbol's bins of a timeframe."""

    tape: Any
    symbol: int | None
    timeframe: str | None
    cache: ColumnCache

    @property
    def key(self) -> tuple[Hashable, ...]:
        return self.cache.key_of(self.tape), self.symbol, self.timeframe

    @property
    def rows(self) -> slice:
        if self.symbol is None:
            return slice(0, int(self.tape.series[-1]))
        return slice(int(self.tape.series[self.symbol]), int(self.tape.series[self.symbol + 1]))

    @property
    def bounds(self) -> np.ndarray:
        """Where series begin and end among the ticks."""
        return whole(self.length) if self.symbol is not None else np.asarray(self.tape.series)

    @property
    def length(self) -> int:
        return len(self.close_time)

    @property
    def close_time(self) -> np.ndarray:
        """When each tick is known [ns UTC]: a bar's close, a bin's scheduled end."""
        if self.timeframe is None:
            return self.tape.close_time[self.rows]  # type: ignore[no-any-return]
        return self.bins.end_time  # type: ignore[no-any-return]

    @property
    def bins(self) -> Any:
        from framework.data.resample import bins

        def compute() -> Any:
            return bins(self.tape, int(self.symbol or 0), str(self.timeframe))

        return self.cache.get(("bins", *self.key), compute, _size_of_bins)

    def at(self, clock: Clock) -> _Place:
        """Return the place of a clock seen from here; ConfigError when there is no such symbol."""
        if clock == OWN:
            return self
        symbol = self.symbol
        if clock.symbol is not None:
            if clock.symbol not in self.tape.symbols and clock.symbol.startswith(PLACE):
                named = Bars(OWN, self.tape.symbols).symbol(int(clock.symbol.removeprefix(PLACE)))
                return self.at(attrs.evolve(clock, symbol=named.clock.symbol))
            if clock.symbol not in self.tape.symbols:
                raise ConfigError(f"unknown symbol {clock.symbol!r} in an indicator"
                                  f"{did_you_mean(clock.symbol, self.tape.symbols)}; "
                                  f"the run has: {', '.join(self.tape.symbols)}")
            symbol = self.tape.symbols.index(clock.symbol)
        same = clock.timeframe is None or clock.timeframe == self.tape.timeframes[symbol]
        return _Place(self.tape, symbol, None if same else clock.timeframe, self.cache)

    def visible(self, other: _Place) -> np.ndarray:
        """Return for each tick here the index of the other's latest finished tick, -1 before the first."""
        if other.symbol == self.symbol and self.timeframe is None:
            return other.bins.visible_from_bar  # type: ignore[no-any-return]
        return np.searchsorted(other.close_time, self.close_time, side="right") - 1


def _column(node: Expression, place: _Place) -> np.ndarray:
    """Return a node at a place, from the cache where it is worth keeping."""
    if isinstance(node, Field) and node.clock == OWN:
        return _field(node, place)
    if isinstance(node, Output) and node.clock == OWN:
        return _outputs(node.application, place)[node.index]  # type: ignore[no-any-return]
    return place.cache.get((*place.key, node), lambda: _locked(_computed(node, place)), _size_of_array)


def _computed(node: Expression, place: _Place) -> np.ndarray:
    if place.symbol is None and node.clock not in (None, OWN):
        each = [attrs.evolve(place, symbol=symbol) for symbol in range(place.tape.n_symbols)]
        return np.concatenate([_column(node, one) for one in each])
    if node.clock is not None and node.clock != OWN:
        other = place.at(node.clock)
        values = _column(localise(node), other)
        if other.key == place.key:
            return values
        seen = place.visible(other)
        return np.where(seen >= 0, values[seen], np.nan) if len(values) else np.full(place.length, np.nan)
    match node:
        case Constant(value):
            return np.full(place.length, value)
        case Negative(x):
            return -_column(x, place)
        case Shift(x, ticks):
            return _shifted(_column(x, place), ticks, place.bounds)
        case Arithmetic(operator, left, right):
            return _combined(operator, _operand(left, place), _operand(right, place))
        case _:
            raise TypeError(f"an expression of the unknown kind {type(node).__name__}")


def _field(node: Field, place: _Place) -> np.ndarray:
    if node.name == "bars_in_session":
        places = place.tape.bars_in_session[place.rows]
        return frozen(places if place.timeframe is None else bins_in_session(places, place.bins.first_bar))
    if node.name in BOOK_FIELDS:
        return frozen(_of_book(node.name, place))
    if place.timeframe is None:
        return frozen(getattr(place.tape, node.name)[place.rows])
    return frozen(getattr(place.bins, node.name))


def _refuse_missing_volume(node: Expression, places: Sequence[_Place]) -> None:
    """Raise DataError where an expression, seen from places, reads a volume that the data do not say."""
    tape = places[0].tape
    read = sorted(set().union(*(_volumes(node, place) for place in places)))
    lacking = [tape.symbols[number] for number in read if not tape.has_volume(number)]
    if lacking:
        raise DataError(f"an indicator reads the volume of {', '.join(lacking)}, which the data do not have; mend: "
                        'name its column, as in columns = { volume = "..." } of [data], or use indicators without it')


def _volumes(node: Expression, place: _Place) -> set[int]:
    """Return the symbols whose volume an expression reads, seen from a place of one symbol."""
    if node.clock is not None and node.clock != OWN:
        return _volumes(localise(node), place.at(node.clock))
    if isinstance(node, Field):
        return {int(place.symbol or 0)} if node.name == "volume" else set()
    return set().union(*(_volumes(part, place) for part in parts_of(node)))


def _of_book(name: str, place: _Place) -> np.ndarray:
    """Return a column of the order book, of a longer bar as it stood at its last bar; DataError where there is none."""
    tape = place.tape
    lacking = [number for number in ([place.symbol] if place.symbol is not None else range(tape.n_symbols))
               if not tape.booked or name not in tape.booked[number]]
    if lacking:
        has = levels_of(tape.booked[lacking[0]]) if tape.booked else 0
        held = f"their order book has {has} level{'' if has == 1 else 's'} there" if has else "they hold no order book"
        named = ", ".join(tape.symbols[number] for number in lacking)
        raise DataError(f"an indicator reads {name} of {named}, which the data do not have: {held}; use data with "
                        "columns bid_1, bid_size_1, ask_1, ask_size_1, bid_2 and so on to that level")
    column = tape.book[name][place.rows]
    return column if place.timeframe is None else column[place.bins.last_bar]  # type: ignore[no-any-return]


def bins_in_session(bars_in_session: np.ndarray, first_bar: np.ndarray) -> np.ndarray:
    """Return the place of each bin in the session that it begins in, 1 on the first.

    bars_in_session: of each base bar.  first_bar: int64, the base bar that each bin begins with.
    """
    session = first_bar - bars_in_session[first_bar]
    number = np.arange(len(session))
    begins = np.concatenate(([True], session[1:] != session[:-1]))[:len(session)]
    return number - np.maximum.accumulate(np.where(begins, number, 0)) + 1


def _outputs(application: Application, place: _Place) -> np.ndarray:
    """Return all outputs of an indicator, float64[outputs, n]: one computation serves each of them."""

    def compute() -> np.ndarray:
        inputs = tuple(frozen(_column(x, place)) for x in application.inputs)
        return _locked(application.indicator.columns(application.parameters, inputs, place.bounds))

    return place.cache.get((*place.key, application), compute, _size_of_array)


def _operand(node: Expression, place: _Place) -> Any:
    return node.value if isinstance(node, Constant) else _column(node, place)


def _combined(operator: str, left: Any, right: Any) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if operator == "+":
            return np.add(left, right)  # type: ignore[no-any-return]
        if operator == "-":
            return np.subtract(left, right)  # type: ignore[no-any-return]
        if operator == "*":
            return np.multiply(left, right)  # type: ignore[no-any-return]
        out = np.full(np.broadcast(left, right).shape, np.nan)
        return np.divide(left, right, out=out, where=np.not_equal(right, 0.0))  # type: ignore[no-any-return]


def _shifted(values: np.ndarray, ticks: int, bounds: np.ndarray) -> np.ndarray:
    out = np.full(len(values), np.nan)
    if ticks < len(values):
        out[ticks:] = values[: len(values) - ticks]
    for first, last in itertools.pairwise(bounds.tolist()):
        out[first : min(first + ticks, last)] = np.nan
    return out


def _ready(node: Expression, place: _Place) -> int:
    """Return the tick of a place at which a node's declared lookback is satisfied; its length when never."""
    if node.clock is not None and node.clock != OWN:
        other = place.at(node.clock)
        there = _ready(localise(node), other)
        if other.key == place.key:
            return there
        return int(np.searchsorted(place.visible(other), there, side="left"))
    return own_lookback(node) + max((_ready(part, place) for part in parts_of(node)), default=0)


def _locked(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array, dtype=np.float64)
    array.flags.writeable = False
    return array


def _size_of_array(array: np.ndarray) -> int:
    return array.nbytes


def _size_of_bins(bins: Any) -> int:
    return sum(getattr(bins, name).nbytes
               for name in ("open_time", "end_time", "open", "high", "low", "close", "volume", "visible_from_bar"))
