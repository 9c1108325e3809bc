"""The declaration of an indicator: a step function and what is known about it before any data.

    @indicator(inputs=("x",), parameters={"length": length()}, state={"value": float},
               lookback=lambda p: p.length - 1, source="...", cost="O(1)")
    def ema(s, window, x):
        \"\"\"Exponential moving average.\"\"\"
        ...
        return s.value

The decorated name is then called with expressions and parameters and returns an expression. The step sees `s`, a record
of its parameters by name, its state by name (all zero at the start) and `s.count`, the number of bars it has seen,
this one included. `s.seen` is the same until all outputs are known, and sooner or later a number beyond any length: a
step that asks by `s.seen` what it does only at its beginning pays nothing for that afterwards. It is compiled; it must
not allocate memory. Anybody's package may declare indicators like this.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, overload

import attrs
import numpy as np

from framework.boundary import pool
from framework.boundary.jit import JIT, bound_call
from framework.errors import ConfigError, StrategyError, did_you_mean
from framework.indicators.expression import (
    BAR_FIELDS,
    Application,
    Bars,
    Expression,
    Output,
    as_expression,
    common_clock,
)
from framework.indicators.loop import MAX_INPUTS, Column, compiled_column, interpreted_column

Step = Callable[..., Any]
Declared = TypeVar("Declared", Expression, Application)

Place = np.uint32
"""The kind of a state that is a place in the window: never negative, so that no index counts from the window's end.

The difference of two places must not be negative either.
"""

FORMATS: dict[type, str] = {int: "i8", float: "f8", Place: "u4"}
"""How a state of each kind stands in the record."""

LONGEST = (1 << 31) - 1
"""The largest whole parameter."""

_REGISTERED: dict[str, Declaration[Any]] = {}


@attrs.frozen
class Parameter:
    """One parameter of an indicator: whole or real, its lowest value and its default (None: it must be given)."""

    kind: type[int] | type[float]
    low: float | None = None
    default: float | None = None

    @property
    def format(self) -> str:
        """How it stands in the record: 32 bits are a length, which is never negative."""
        if self.kind is float:
            return "f8"
        return "i8" if self.low is None or self.low < 0 else "i4"

    def validate(self, where: str, value: Any) -> int | float:
        """Return the value in the parameter's type; ConfigError names it and the rule."""
        kinds = (int, np.integer) if self.kind is int else (int, float, np.integer, np.floating)
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, kinds):
            wanted = "a whole number" if self.kind is int else "a number"
            raise ConfigError(f"{where} = {value!r} must be {wanted}")
        if not math.isfinite(value):
            raise ConfigError(f"{where} = {value!r} must be finite")
        if self.low is not None and value < self.low:
            raise ConfigError(f"{where} = {value!r} must be at least {self.low:g}")
        if self.kind is int and abs(self.kind(value)) > LONGEST:
            raise ConfigError(f"{where} = {value!r} must be at most {LONGEST}")
        return self.kind(value)


def length(low: int = 1, default: int | None = None) -> Parameter:
    """Return a parameter that counts bars."""
    return Parameter(int, low, default)


def number(low: float | None = None, default: float | None = None) -> Parameter:
    """Return a real parameter."""
    return Parameter(float, low, default)


@attrs.frozen(eq=False)
class Live:
    """An indicator in a stream: what moves it on by one bar, and all that it remembers.

    memory: arrays of a fixed size.  history: the bars seen, for an indicator that has no smaller memory.
    """

    operate: Callable[[], None]
    memory: tuple[np.ndarray, ...] = ()
    history: History | None = None


class History:
    """All values that some series have had, in the order in which they came; it grows."""

    def __init__(self, series: int) -> None:
        self.series, self.length = series, 0
        self._rows = np.empty((series, 64))

    def append(self, values: Sequence[float]) -> None:
        """Add one value a series."""
        if self.length == self._rows.shape[1]:
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)), axis=1)
        self._rows[:, self.length] = values
        self.length += 1

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """One read-only column a series, of as many values as were appended."""
        return tuple(frozen(row[:self.length]) for row in self._rows)

    def replace(self, rows: np.ndarray) -> None:
        """Take over other values: float64[series, n]."""
        self._rows = np.concatenate((rows, np.empty((self.series, 64))), axis=1)
        self.length = rows.shape[1]


@attrs.frozen(eq=False)
class Instance:
    """The memory of one running indicator: its record, its window and the lookback of each output."""

    states: np.ndarray
    window: np.ndarray
    lookbacks: np.ndarray


class Declaration(Generic[Declared]):
    """What a strategy meets of an indicator: call it with expressions and parameters to get an expression.

    name, summary (first line of the docstring), source, cost   what the catalogue shows
    inputs, bar_inputs, parameters, outputs                     what it takes and gives
    arrays                                                      the names of all its input columns, those of bars first
    """

    def __init__(self, step: Step, *, inputs: Sequence[str], bar_inputs: Sequence[str],
                 parameters: Mapping[str, Parameter], outputs: Sequence[str],
                 lookback: Callable[[Any], int | tuple[int, ...]], check: Callable[[Any], str | None] | None,
                 source: str, cost: str) -> None:
        self.step = step
        self.name = step.__name__
        self.__name__, self.__qualname__, self.__module__ = step.__name__, step.__qualname__, step.__module__
        self.__doc__ = step.__doc__
        self.summary = (inspect.getdoc(step) or "").partition("\n")[0]
        self.source, self.cost = source, cost
        self.inputs, self.bar_inputs = tuple(inputs), tuple(bar_inputs)
        self.arrays = self.bar_inputs + self.inputs
        self.parameters = dict(parameters)
        self.outputs = tuple(outputs) or ("value",)
        self._lookback, self._check = lookback, check
        self.__signature__ = self._signature()
        self._names = tuple(self.__signature__.parameters)
        if not self.arrays:
            raise ConfigError(f"indicator {self.name}: declare inputs (series), bar_inputs (fields of bars) or both")
        unknown = [name for name in self.bar_inputs if name not in BAR_FIELDS]
        if unknown:
            raise ConfigError(f"indicator {self.name}: bars have no {unknown[0]!r}"
                              f"{did_you_mean(unknown[0], BAR_FIELDS)}")

    def __call__(self, *arguments: Any, **keywords: Any) -> Declared:
        """Return the expression of this indicator; ConfigError when an input or a parameter is wrong."""
        given = self._bind(arguments, keywords)
        inputs: tuple[Expression, ...] = ()
        if self.bar_inputs:
            bars = given["bars"]
            if not isinstance(bars, Bars):
                raise ConfigError(f"{self.name}: its first argument is bars, such as bars or bars.timeframe(\"4h\"), "
                                  f"not {bars!r}; it reads {', '.join(self.bar_inputs)}")
            inputs = tuple(bars.series(name) for name in self.bar_inputs)
        inputs += tuple(one if isinstance(one := given[name], Expression) else
                        as_expression(one, f"{self.name}: input {name}") for name in self.inputs)
        if common_clock(inputs) is None:
            raise ConfigError(f"{self.name} of numbers alone ({', '.join(map(repr, inputs))}); "
                              "at least one input must be a series such as bars.close")
        application = Application(self, inputs, self.validate({name: given[name] for name in self.parameters}))
        return application if len(self.outputs) > 1 else Output(application, 0)  # type: ignore[return-value]

    def __reduce__(self) -> Any:
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<indicator {self.name}{self.__signature__}>"

    def validate(self, values: Mapping[str, Any]) -> tuple[int | float, ...]:
        """Return the parameters in order and in their types; ConfigError names the one that is wrong."""
        valid = {name: parameter.validate(f"{self.name}: parameter {name}", values[name])
                 for name, parameter in self.parameters.items()}
        complaint = self._check(SimpleNamespace(**valid)) if self._check else None
        if complaint:
            raise ConfigError(f"{self.name}: {complaint}")
        return tuple(valid.values())

    def named(self, parameters: tuple[int | float, ...]) -> SimpleNamespace:
        """Return validated parameters under their names."""
        return SimpleNamespace(**dict(zip(self.parameters, parameters, strict=True)))

    def lookbacks(self, parameters: tuple[int | float, ...]) -> tuple[int, ...]:
        """Return, per output, how many bars pass before its first value."""
        declared = self._lookback(self.named(parameters))
        return declared if isinstance(declared, tuple) else (declared,) * len(self.outputs)

    def compute(self, *inputs: np.ndarray, **parameters: Any) -> np.ndarray:
        """Return this indicator over arrays: float64[n], or float64[outputs, n] when it has several outputs.

        >>> from framework.indicators import sma
        >>> sma.compute(np.array([1.0, 2.0, 4.0]), length=2)
        array([nan, 1.5, 3. ])
        """
        if len(inputs) != len(self.arrays) or len({len(x) for x in inputs}) != 1:
            raise ConfigError(f"{self.name}.compute takes {len(self.arrays)} arrays of one length "
                              f"({', '.join(self.arrays)}), not lengths {[len(x) for x in inputs]}")
        for name in parameters:
            if name not in self.parameters:
                raise ConfigError(f"{self.name} has no parameter {name!r}{did_you_mean(name, self.parameters)}")
        defaults = {name: parameter.default for name, parameter in self.parameters.items()}
        out = self.columns(self.validate({**defaults, **parameters}), tuple(frozen(x) for x in inputs))
        return out if len(self.outputs) > 1 else out[0]

    def columns(self, parameters: tuple[int | float, ...], inputs: tuple[np.ndarray, ...],
                bounds: np.ndarray | None = None) -> np.ndarray:
        """Return float64[outputs, n] from read-only float64 inputs; StrategyError when the step raises.

        bounds: read-only int64[parts + 1]; each part bounds[i]:bounds[i + 1] is a series of its own; None for one.
        """
        raise NotImplementedError

    def live(self, parameters: tuple[int | float, ...], inputs: tuple[np.ndarray, ...], out: np.ndarray) -> Live:
        """Return a fresh indicator that reads one bar from inputs, float64[1] each, into out, float64[outputs, 1]."""
        raise NotImplementedError

    def _signature(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        series = [*(["bars"] if self.bar_inputs else []), *self.inputs]
        parameters = [inspect.Parameter(name, kind) for name in series]
        for name, parameter in self.parameters.items():
            default = inspect.Parameter.empty if parameter.default is None else parameter.default
            parameters.append(inspect.Parameter(name, kind, default=default))
        return inspect.Signature(parameters)

    def _bind(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
        if not keywords and len(arguments) == len(self._names):
            return dict(zip(self._names, arguments, strict=True))
        for name in keywords:
            if name not in self.__signature__.parameters:
                known = self.__signature__.parameters
                raise ConfigError(f"{self.name} has no parameter {name!r}{did_you_mean(name, known)}; "
                                  f"it takes {self.name}{self.__signature__}")
        try:
            bound = self.__signature__.bind(*arguments, **keywords)
        except TypeError as fault:
            raise ConfigError(f"{self.name}: {fault}; it takes {self.name}{self.__signature__}") from None
        bound.apply_defaults()
        return bound.arguments


class Indicator(Declaration[Declared]):
    """An indicator that is a step: one bar at a time, and a column by the step in a loop."""

    def __init__(self, step: Step, *, state: Mapping[str, type], window: Callable[[Any], int] | None,
                 **declared: Any) -> None:
        super().__init__(step, **declared)
        self._window = window
        self.layout = self._layout(state)
        self.reason: str | None = None
        self._column: Column | None = None
        self._validate()

    @property
    def is_compiled(self) -> bool:
        """Whether the step is compiled; `reason` says why not. Compiles it when it has not been used yet."""
        return JIT and self.column is not None and self.reason is None

    def instance(self, parameters: tuple[int | float, ...]) -> Instance:
        """Return the memory of a fresh indicator with these parameters."""
        states = np.zeros(1, self.layout)
        for name, value in zip(self.parameters, parameters, strict=True):
            states[name] = value
        size = self._window(self.named(parameters)) if self._window else 0
        return Instance(states, np.zeros(size), np.array(self.lookbacks(parameters), np.int64))

    @property
    def column(self) -> Column:
        """The column function, compiled or read from disk when first used; interpreted when it does not compile."""
        if self._column is None:
            self._column = self._compile()
        return self._column

    def columns(self, parameters: tuple[int | float, ...], inputs: tuple[np.ndarray, ...],
                bounds: np.ndarray | None = None) -> np.ndarray:
        """Return float64[outputs, n] from read-only float64 inputs; StrategyError when the step raises.

        bounds: read-only int64[parts + 1]; each part bounds[i]:bounds[i + 1] is a series of its own; None for one.
        """
        outputs, n = len(self.outputs), len(inputs[0])
        out = pool.MEMORY.empty(outputs * n, np.dtype(np.float64)).reshape(outputs, n)
        column, memory = self.column, self.instance(parameters)
        bounds = whole(len(inputs[0])) if bounds is None else bounds
        try:
            column(memory.states, memory.window, memory.lookbacks, inputs, out, bounds)
        except Exception:
            self._explain(parameters, inputs, out, bounds)
            raise
        return out

    def live(self, parameters: tuple[int | float, ...], inputs: tuple[np.ndarray, ...], out: np.ndarray) -> Live:
        """Return a fresh indicator that reads one bar from inputs, float64[1] each, into out, float64[outputs, 1]."""
        memory = self.instance(parameters)
        operate = bound_call(self.column, memory.states, memory.window, memory.lookbacks, inputs, out, whole(1))
        return Live(operate, (memory.states, memory.window))

    def _explain(self, parameters: tuple[int | float, ...], inputs: tuple[np.ndarray, ...], out: np.ndarray,
                 bounds: np.ndarray) -> None:
        """Run a step that raised once more in Python, for the author's own traceback."""
        memory = self.instance(parameters)
        try:
            interpreted_column(self.step, len(inputs), len(self.outputs))(
                memory.states, memory.window, memory.lookbacks, inputs, out, bounds)
        except Exception as fault:
            count = int(memory.states["count"][0])
            raise StrategyError(
                f"indicator {self.name} raised {type(fault).__name__}: {fault}, at value {count} of its input; "
                "a step must answer every finite input", function=self.name) from fault

    def _compile(self) -> Column:
        inputs, outputs = len(self.arrays), len(self.outputs)
        column = compiled_column(self.step, self.layout, inputs, outputs)
        nothing = frozen(np.empty(0))
        memory = Instance(np.zeros(1, self.layout), np.zeros(0), np.zeros(outputs, np.int64))
        try:
            column(memory.states, memory.window, memory.lookbacks, (nothing,) * inputs, np.empty((outputs, 0)),
                   whole(0))
        except Exception as fault:
            self.reason = " ".join(str(fault).split())[:400]
            warnings.warn(f"indicator {self.name} does not compile and runs interpreted, slower: {self.reason}",
                          RuntimeWarning, stacklevel=2)
            return interpreted_column(self.step, inputs, outputs)
        return column

    def _layout(self, state: Mapping[str, type]) -> np.dtype:
        fields = [("count", "i8"), ("seen", "i8"),
                  *((name, p.format) for name, p in self.parameters.items())]
        for name, kind in state.items():
            if kind not in FORMATS:
                raise ConfigError(f"indicator {self.name}: state {name!r} must be int, float or Place, not {kind!r}")
            fields.append((name, FORMATS[kind]))
        names = [name for name, _ in fields]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"indicator {self.name}: {name!r} is declared twice; count, seen, parameters and "
                                  "state share one record")
        return np.dtype(fields, align=True)

    def _validate(self) -> None:
        """Refuse a step that could never run."""
        if len(self.arrays) > MAX_INPUTS:
            raise ConfigError(f"indicator {self.name}: {len(self.arrays)} inputs are more than {MAX_INPUTS}")
        if len(inspect.signature(self.step).parameters) != 2 + len(self.arrays):
            raise ConfigError(f"indicator {self.name}: its step must take (s, window, {', '.join(self.arrays)}), "
                              f"not {inspect.signature(self.step)}")


@overload
def indicator(*, parameters: Mapping[str, Parameter], lookback: Callable[[Any], int], source: str,
              inputs: Sequence[str] = ..., bar_inputs: Sequence[str] = ...,
              state: Mapping[str, type] = ..., window: Callable[[Any], int] | None = ...,
              check: Callable[[Any], str | None] | None = ...,
              cost: str = ...) -> Callable[[Step], Indicator[Expression]]: ...


@overload
def indicator(*, parameters: Mapping[str, Parameter], lookback: Callable[[Any], int | tuple[int, ...]], source: str,
              outputs: Sequence[str], inputs: Sequence[str] = ..., bar_inputs: Sequence[str] = ...,
              state: Mapping[str, type] = ..., window: Callable[[Any], int] | None = ...,
              check: Callable[[Any], str | None] | None = ...,
              cost: str = ...) -> Callable[[Step], Indicator[Application]]: ...


def indicator(*, parameters: Mapping[str, Parameter], lookback: Callable[[Any], int | tuple[int, ...]], source: str,
              inputs: Sequence[str] = (), bar_inputs: Sequence[str] = (), outputs: Sequence[str] = (),
              state: Mapping[str, type] | None = None, window: Callable[[Any], int] | None = None,
              check: Callable[[Any], str | None] | None = None, cost: str = "O(1)") -> Any:
    """Declare the decorated step function as an indicator.

    inputs      names of the series it reads, each given as an expression
    bar_inputs  fields of bars it reads ("high", "low", "close"), given together as `bars`, before the inputs
    parameters  name -> `length()` or `number()`; run-time values: a change never recompiles
    outputs     names of its outputs when there are several; the step then returns a tuple of floats in this order
    state       name -> int, float or Place (a place in the window, never negative), zero at the start
    window      parameters -> how many floats of memory it needs, zero at the start
    lookback    parameters -> bars before the first value; a tuple when its outputs differ
    check       parameters -> a complaint about their combination, or None
    source      who defined it, for the catalogue; cost: of a bar, such as "O(1)"
    """

    def declare(step: Step) -> Indicator[Any]:
        declared: Indicator[Any] = Indicator(
            step, inputs=inputs, bar_inputs=bar_inputs, parameters=parameters, outputs=outputs, state=state or {},
            lookback=lookback, window=window, check=check, source=source, cost=cost)
        register(declared)
        return declared

    return declare


def register(declared: Declaration[Any]) -> None:
    """Enter an indicator into the catalogue; ConfigError when another module has one of its name."""
    known = _REGISTERED.get(declared.name)
    if known is not None and (known.__module__, known.__qualname__) != (declared.__module__, declared.__qualname__):
        raise ConfigError(f"indicator {declared.name!r} is declared by {known.__module__} and by "
                          f"{declared.__module__}; rename one of them")
    _REGISTERED[declared.name] = declared


def registered() -> dict[str, Declaration[Any]]:
    """Return every declared indicator by name, in the order of declaration."""
    return dict(_REGISTERED)


def whole(n: int) -> np.ndarray:
    """Return the bounds of one series of n values."""
    bounds = np.array([0, n])
    bounds.flags.writeable = False
    return bounds


def frozen(array: Any) -> np.ndarray:
    """Return a read-only contiguous float64 view or copy: the one type of input that column functions take."""
    view = np.ascontiguousarray(array, dtype=np.float64).view()
    view.flags.writeable = False
    return view


