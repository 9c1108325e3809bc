"""Expressions: what a strategy wants to know at each bar, said once and computed later.

An expression is a frozen, hashable tree. Equal trees are equal values, so that a column is computed once however
often it is asked for. Nothing here touches data: `columns` evaluates a tree over a tape, `live` one bar at a time.

Every series has a *clock*: the bars at which it gets a new value. `bars.close` ticks with the strategy's own bars,
`bars.timeframe("4h").close` with the finished four-hour bins, `bars.symbol("MSFT").close` with the bars of MSFT. An
operation whose inputs share a clock runs on that clock (an EMA of a four-hour close moves once in four hours); when
they differ it runs on the strategy's own bars, where each other clock shows its latest finished value.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from framework.data.book import BOOK_FIELDS
from framework.data.series import LEVELS_MAX
from framework.errors import ConfigError, did_you_mean
from framework.indicators.condition import Comparison, Condition

FIELDS = ("open", "high", "low", "close", "volume")
"""The series of a bar."""

BAR_FIELDS = (*FIELDS, "bars_in_session", *BOOK_FIELDS)
"""What an indicator may read of bars: their series, where they stand in their session, the book at their close."""


@attrs.frozen
class Clock:
    """Whose bars a series ticks with: a symbol and a timeframe, None for the strategy's own."""

    symbol: str | None = None
    timeframe: str | None = None

    def __str__(self) -> str:
        return (f"{self.symbol}:" if self.symbol else "") + (f"@{self.timeframe}" if self.timeframe else "")


OWN = Clock()
"""The clock of the strategy's own bars."""


class Expression:
    """A series of numbers, one per tick of its clock; NaN where it has no value.

    Expressions combine with each other and with numbers by + - * / and unary minus, and look back by `shift`.
    Division by zero has no value: NaN.  Compared by > >= < <= they make a condition.
    """

    __slots__ = ()

    clock: Clock | None
    """None for a constant, which fits every clock."""

    def shift(self, ticks: int) -> Expression:
        """Return the value `ticks` ticks of its own clock ago; ConfigError when negative, which would look ahead.

        >>> Bars().close.shift(1)
        close.shift(1)
        """
        if isinstance(ticks, bool) or not isinstance(ticks, (int, np.integer)):
            raise ConfigError(f"{self!r}.shift({ticks!r}): the number of bars must be a whole number")
        if ticks < 0:
            raise ConfigError(f"{self!r}.shift({ticks}) would read {-ticks} bars of the future; shift(n) needs n >= 0")
        return Shift(self, int(ticks)) if ticks else self

    @property
    def lookback(self) -> int:
        """How many ticks of its clock pass before the first value: what the parts declare, composed.

        A part on another clock counts nothing here; `first_ready` knows when it is ready on a given tape.
        """
        return _lookback(self)

    def __add__(self, other: Any) -> Expression:
        return _combine("+", self, other)

    def __radd__(self, other: Any) -> Expression:
        return _combine("+", other, self)

    def __sub__(self, other: Any) -> Expression:
        return _combine("-", self, other)

    def __rsub__(self, other: Any) -> Expression:
        return _combine("-", other, self)

    def __mul__(self, other: Any) -> Expression:
        return _combine("*", self, other)

    def __rmul__(self, other: Any) -> Expression:
        return _combine("*", other, self)

    def __truediv__(self, other: Any) -> Expression:
        return _combine("/", self, other)

    def __rtruediv__(self, other: Any) -> Expression:
        return _combine("/", other, self)

    def __neg__(self) -> Expression:
        return Negative(self)

    def __gt__(self, other: Any) -> Condition:
        return _compare(">", self, other)

    def __ge__(self, other: Any) -> Condition:
        return _compare(">=", self, other)

    def __lt__(self, other: Any) -> Condition:
        return _compare("<", self, other)

    def __le__(self, other: Any) -> Condition:
        return _compare("<=", self, other)

    def __bool__(self) -> bool:
        raise ConfigError(f"{self!r} is a series without a truth value; compare its value in decide, as now.ind.NAME")


@attrs.frozen(repr=False, cache_hash=True, order=False)
class Field(Expression):
    """One series of the bars of a clock."""

    name: str
    clock: Clock = OWN

    def __repr__(self) -> str:
        symbol = f"{self.clock.symbol}:" if self.clock.symbol else ""
        return f"{symbol}{self.name}" + (f"@{self.clock.timeframe}" if self.clock.timeframe else "")


@attrs.frozen(repr=False, cache_hash=True, order=False)
class Constant(Expression):
    """The same number at every tick."""

    value: float

    @property
    def clock(self) -> None:  # type: ignore[override]
        """A constant fits every clock."""
        return None

    def __repr__(self) -> str:
        return f"{self.value:g}" if float(f"{self.value:g}") == self.value else repr(self.value)


@attrs.frozen(repr=False, cache_hash=True, order=False)
class Negative(Expression):
    """The series with its sign changed."""

    x: Expression
    clock: Clock | None = attrs.field(init=False, eq=False, default=attrs.Factory(lambda s: s.x.clock, takes_self=True))

    def __repr__(self) -> str:
        return f"-{self.x!r}"


@attrs.frozen(repr=False, cache_hash=True, order=False)
class Arithmetic(Expression):
    """Two series combined tick by tick with one of + - * /."""

    operator: str
    left: Expression
    right: Expression
    clock: Clock | None = attrs.field(
        init=False, eq=False, default=attrs.Factory(lambda s: common_clock((s.left, s.right)), takes_self=True))

    def __repr__(self) -> str:
        return f"({self.left!r} {self.operator} {self.right!r})"


@attrs.frozen(repr=False, cache_hash=True, order=False)
class Shift(Expression):
    """The value of a series `ticks` ticks ago."""

    x: Expression
    ticks: int
    clock: Clock | None = attrs.field(init=False, eq=False, default=attrs.Factory(lambda s: s.x.clock, takes_self=True))

    def __repr__(self) -> str:
        return f"{self.x!r}.shift({self.ticks})"


@attrs.frozen(repr=False, cache_hash=True, order=False)
class Application:
    """An indicator applied to inputs with parameters; its outputs are attributes and are expressions.

    >>> from framework.indicators import macd
    >>> macd(Bars().close, 12, 26, 9).signal
    macd(close, 12, 26, 9).signal
    """

    indicator: Any
    inputs: tuple[Expression, ...]
    parameters: tuple[int | float, ...]
    clock: Clock | None = attrs.field(
        init=False, eq=False, default=attrs.Factory(lambda s: common_clock(s.inputs), takes_self=True))

    def __getattr__(self, name: str) -> Output:
        if name.startswith("_") or name in ("indicator", "inputs", "parameters", "clock"):
            raise AttributeError(name)
        outputs = self.indicator.outputs
        if name not in outputs:
            known = ", ".join(outputs)
            raise ConfigError(f"{self!r} has no output {name!r}{did_you_mean(name, outputs)}; it has: {known}")
        return Output(self, outputs.index(name))

    def __repr__(self) -> str:
        of_bars = len(self.indicator.bar_inputs)
        shown = [_shown_bars(self.inputs[0])] if of_bars else []
        shown += [repr(x) for x in self.inputs[of_bars:]]
        shown += [f"{value:g}" for value in self.parameters]
        return f"{self.indicator.name}({', '.join(shown)})"


@attrs.frozen(repr=False, cache_hash=True, order=False)
class Output(Expression):
    """One output of an applied indicator."""

    application: Application
    index: int

    @property
    def clock(self) -> Clock | None:  # type: ignore[override]
        """The clock that the indicator runs on."""
        return self.application.clock

    def __repr__(self) -> str:
        outputs = self.application.indicator.outputs
        return repr(self.application) + (f".{outputs[self.index]}" if len(outputs) > 1 else "")


PLACE = "#"
"""How the symbol of a clock begins that is a place among symbols which are not known yet."""


@attrs.frozen
class Bars:
    """The series of a symbol's bars as expressions: `bars.close`, `bars.timeframe("4h").high`.

    symbols: those that the strategy looks at, in the order of the run; empty where they are not known.
    """

    clock: Clock = OWN
    symbols: tuple[str, ...] = attrs.field(default=(), eq=False)

    @property
    def open(self) -> Expression:
        """The first price of each bar."""
        return Field("open", self.clock)

    @property
    def high(self) -> Expression:
        """The highest price of each bar."""
        return Field("high", self.clock)

    @property
    def low(self) -> Expression:
        """The lowest price of each bar."""
        return Field("low", self.clock)

    @property
    def close(self) -> Expression:
        """The last price of each bar."""
        return Field("close", self.clock)

    @property
    def volume(self) -> Expression:
        """The quantity traded in each bar."""
        return Field("volume", self.clock)

    @property
    def bars_in_session(self) -> Expression:
        """The place of each bar in the session of its exchange, 1 on the first; on "24/7" a session is a UTC day."""
        return Field("bars_in_session", self.clock)

    def bid(self, level: int = 1) -> Expression:
        """The price of a level of the order book's bids at each close, 1 for the best; data without one are refused."""
        return self._of_book("bid", level)

    def ask(self, level: int = 1) -> Expression:
        """The price of a level of the order book's asks at each close."""
        return self._of_book("ask", level)

    def bid_size(self, level: int = 1) -> Expression:
        """The quantity that is bid at a level of the order book at each close; 0 at a level that is not there."""
        return self._of_book("bid_size", level)

    def ask_size(self, level: int = 1) -> Expression:
        """The quantity that is asked for at a level of the order book at each close."""
        return self._of_book("ask_size", level)

    def bid_depth(self, levels: int = 1) -> Expression:
        """The quantity that is bid at the best `levels` levels of the order book together."""
        return self._depth("bid_size", levels)

    def ask_depth(self, levels: int = 1) -> Expression:
        """The quantity that is asked for at the best `levels` levels of the order book together."""
        return self._depth("ask_size", levels)

    def series(self, name: str) -> Expression:
        """Return the series of one name, such as "close" or "bid_size_3"."""
        if name not in BAR_FIELDS:
            raise ConfigError(f"bars have no series {name!r}{did_you_mean(name, BAR_FIELDS)}")
        return Field(name, self.clock)

    def _depth(self, side: str, levels: int) -> Expression:
        self._of_book(side, levels)
        depth = self._of_book(side, 1)
        for level in range(2, levels + 1):
            depth = depth + self._of_book(side, level)
        return depth

    def _of_book(self, side: str, level: int) -> Expression:
        if isinstance(level, bool) or not isinstance(level, (int, np.integer)) or not 1 <= level <= LEVELS_MAX:
            raise ConfigError(f"level {level!r} of the order book's {side}; levels are whole numbers from 1, the best, "
                              f"to {LEVELS_MAX}")
        return Field(f"{side}_{level}", self.clock)

    def timeframe(self, timeframe: str) -> Bars:
        """Return the bars of a longer timeframe such as "4h"; a bin is seen only after its scheduled end."""
        if not isinstance(timeframe, str) or not timeframe:
            raise ConfigError(f'timeframe({timeframe!r}): a timeframe is a text such as "5m", "4h" or "1d"')
        return attrs.evolve(self, clock=attrs.evolve(self.clock, timeframe=timeframe))

    def symbol(self, symbol: str | int) -> Bars:
        """Return the bars of another symbol of the run; a bar is seen only after its close.

        symbol: its name, or its place among the symbols that the strategy looks at, 0 for the first: the order of
        `nows` in `decide_all`.
        """
        if isinstance(symbol, (int, np.integer)) and not isinstance(symbol, bool):
            symbol = self._at(int(symbol))
        if not isinstance(symbol, str) or not symbol:
            raise ConfigError(f'symbol({symbol!r}): a symbol is a text such as "MSFT", or a place from 0 on')
        return attrs.evolve(self, clock=attrs.evolve(self.clock, symbol=symbol))

    def _at(self, place: int) -> str:
        """Return the symbol at a place, `#` and the place where symbols are not known yet."""
        if place < 0 or (self.symbols and place >= len(self.symbols)):
            there = f", there are {len(self.symbols)}: {', '.join(self.symbols)}" if self.symbols else ""
            raise ConfigError(f"symbol({place}): there is no such place among the symbols of the strategy; the first "
                              f"is 0{there}")
        return self.symbols[place] if self.symbols else f"{PLACE}{place}"


def as_expression(value: Any, where: str) -> Expression:
    """Return an expression, a number as a constant; ConfigError says what else was given and what to write."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, Bars):
        raise ConfigError(f"{where}: bars are five series; choose one of .{', .'.join(FIELDS)}")
    if isinstance(value, Application):
        outputs = ", .".join(value.indicator.outputs)
        raise ConfigError(f"{where}: {value!r} has several outputs; choose one of .{outputs}")
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ConfigError(f"{where}: {value!r} ({type(value).__name__}) is neither an expression nor a number")
    if not math.isfinite(value):
        raise ConfigError(f"{where}: the number {value!r} must be finite")
    return Constant(float(value))


def common_clock(parts: tuple[Expression, ...]) -> Clock | None:
    """Return the clock that all parts share, OWN when they differ, None when all are constants."""
    clocks = {part.clock for part in parts if part.clock is not None}
    if not clocks:
        return None
    return clocks.pop() if len(clocks) == 1 else OWN


def localise(expression: Expression) -> Expression:
    """Return the same expression on the strategy's own clock: what a series of another clock is to its own bars."""
    match expression:
        case Field(name):
            return Field(name)
        case Negative(x):
            return Negative(localise(x))
        case Arithmetic(operator, left, right):
            return Arithmetic(operator, localise(left), localise(right))
        case Shift(x, ticks):
            return Shift(localise(x), ticks)
        case Output(application, index):
            inputs = tuple(localise(x) for x in application.inputs)
            return Output(attrs.evolve(application, inputs=inputs), index)
        case _:
            return expression


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """Return the expressions that an expression is made of."""
    match expression:
        case Negative(x) | Shift(x, _):
            return (x,)
        case Arithmetic(_, left, right):
            return left, right
        case Output(application, _):
            return application.inputs
        case _:
            return ()


def own_lookback(expression: Expression) -> int:
    """Return the ticks that this node adds to the lookback of its parts."""
    match expression:
        case Shift(_, ticks):
            return ticks
        case Output(application, index):
            return int(application.indicator.lookbacks(application.parameters)[index])
        case _:
            return 0


def _lookback(expression: Expression) -> int:
    parts = [_lookback(part) for part in parts_of(expression) if part.clock in (None, expression.clock)]
    return own_lookback(expression) + max(parts, default=0)


def _combine(operator: str, left: Any, right: Any) -> Expression:
    return Arithmetic(operator, *_operands(operator, left, right))


def _compare(operator: str, left: Any, right: Any) -> Condition:
    return Comparison(operator, *_operands(operator, left, right))


def _operands(operator: str, left: Any, right: Any) -> tuple[Expression, Expression]:
    if isinstance(left, Expression) and isinstance(right, Expression):
        return left, right
    where = f"{left!r} {operator} {right!r}"
    return as_expression(left, where), as_expression(right, where)


def crossed_above(a: Expression | float, b: Expression | float) -> Condition:
    """Return where `a` rises above `b`: above it now, and not at the bar before."""
    return _compare(">", a, b).begins()


def crossed_below(a: Expression | float, b: Expression | float) -> Condition:
    """Return where `a` falls below `b`: below it now, and not at the bar before."""
    return _compare("<", a, b).begins()


def _shown_bars(field: Any) -> str:
    clock = field.clock if isinstance(field, Field) else OWN
    symbol = f"{clock.symbol}:" if clock.symbol else ""
    return f"{symbol}bars" + (f"@{clock.timeframe}" if clock.timeframe else "")
