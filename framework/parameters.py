"""Parameters of plug-ins: declared with bounds, validated once, read by name.

A parameter is a run-time value of the compiled step: changing it never recompiles anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np

from framework.errors import ConfigError, did_you_mean

Value = float | int | bool | str

_PERIOD = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?=24:00|[01]\d|2[0-3])(\d\d):([0-5]\d)")

UNIT_DTYPES = {bool: "?", int: "i8", float: "f8", str: "i8", tuple: "i8"}
"""How a parameter of each type is stored for compiled code; a choice as its position, a duration in nanoseconds, a
symbol not at all (0), times of day as their number."""

NO_DURATION = "none"


@attrs.frozen
class Param:
    """One parameter: its default (which fixes its type), its bounds, both inclusive, and its choices.

    A duration is a text such as "30d" or "12h", or "none"; compiled code sees nanoseconds, 0 for none. A symbol names
    another symbol of the run, for `bars.symbol(self.partner)`; compiled code does not see it. A tuple of texts holds
    times of day such as "09:30-09:45"; compiled code sees how many there are.

    >>> class Example(Plugin):
    ...     name = "example"
    ...     length = Param(20, low=2, high=500)
    >>> Example(length=30).length
    30
    """

    default: Value | tuple[str, ...]
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] | None = None
    doc: str = ""
    is_duration: bool = False
    is_symbol: bool = False
    unit: str = ""
    """"fraction" or "percent": what a value out of bounds was perhaps taken for is said."""
    least: float | None = None
    """The least plausible value above 0 where 0 itself has a meaning: percents below it were meant as fractions."""

    def __attrs_post_init__(self) -> None:
        if isinstance(self.default, str) and not (self.choices or self.is_duration or self.is_symbol):
            raise ConfigError(f"Param({self.default!r}): a text parameter needs choices=(...), is_duration=True or "
                              "is_symbol=True")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ConfigError(f"Param({self.default!r}): low = {self.low} is above high = {self.high}")

    @property
    def type(self) -> type:
        """The Python type of the parameter's value."""
        return type(self.default)

    def validate(self, owner: str, name: str, value: Any) -> Any:
        """Return the value in the parameter's type; ConfigError names the value and the rule it breaks."""
        where = f"{owner}: parameter {name} = {value!r}"
        if self.choices is not None:
            if value not in self.choices:
                near = did_you_mean(str(value), self.choices)
                raise ConfigError(f"{where} is not one of {', '.join(self.choices)}{near}")
            return str(value)
        if self.is_duration:
            _nanoseconds(where, value)
            return str(value)
        if self.is_symbol:
            if not isinstance(value, str) or not value:
                raise ConfigError(f'{where} must be a symbol, such as "MSFT"')
            return value
        if self.type is tuple:
            return _checked_periods(where, value)
        if self.type is bool:
            if not isinstance(value, (bool, np.bool_)):
                raise ConfigError(f"{where} must be true or false")
            return bool(value)
        if isinstance(value, (bool, str)) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise ConfigError(f"{where} must be a number ({self.type.__name__}), not {type(value).__name__}")
        if not math.isfinite(value):
            raise ConfigError(f"{where} must be finite")
        if self.type is int and value != int(value):
            raise ConfigError(f"{where} must be a whole number")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high) or (
                self.least is not None and 0.0 < value < self.least):
            raise ConfigError(f"{where} is out of bounds: {self.bounds()}")
        return int(value) if self.type is int else float(value)

    def bounds(self) -> str:
        """Return the bounds in words, for messages."""
        low = "" if self.low is None else f"{self.low:g} <= "
        if self.least is not None:
            low = f"0 or {self.least:g} <= "
        high = "" if self.high is None else f" <= {self.high:g}"
        told = {"fraction": "; it is a fraction: 0.25 means 25 %", "percent": "; it is in percent: 25 means 25 %"}
        return f"{low}value{high}{told.get(self.unit, '')}"

    def stored(self, value: Any) -> Any:
        """Return the value as compiled code sees it: a choice as its place, a duration in ns, 0 for a symbol."""
        if self.is_duration:
            return _nanoseconds("", value)
        if self.is_symbol:
            return 0
        if self.type is tuple:
            return len(value)
        return self.choices.index(str(value)) if self.choices is not None else value


def _nanoseconds(where: str, value: Any) -> int:
    """Return a duration in nanoseconds, 0 for "none"; ConfigError on any other text."""
    from framework.data.timeframe import parse_timeframe

    if value == NO_DURATION:
        return 0
    try:
        return parse_timeframe(value if isinstance(value, str) else "")
    except ConfigError:
        raise ConfigError(f"{where} must be \"none\" or a duration: a whole number and s, m, h, d or w, "
                          'such as "12h" or "30d"') from None


def _checked_periods(where: str, value: Any) -> tuple[str, ...]:
    """Return times of day as they were given; ConfigError on anything that `minutes_of` does not understand."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(part, str) for part in value):
        raise ConfigError(f'{where} must be a list of times of day, such as ["09:30-09:45", "15:45-16:00"]')
    for part in value:
        minutes_of(part, where)
    return tuple(value)


def minutes_of(period: str, where: str = "period") -> tuple[int, int]:
    """Return first minute and end of a time of day; an end before the beginning is on the next day.

    ConfigError on any other text, and for a time that ends when it begins: nothing to one, a whole day to another.

    >>> minutes_of("09:30-09:45")
    (570, 585)
    """
    found = _PERIOD.fullmatch(period)
    if found is None:
        raise ConfigError(f'{where}: {period!r} is not a time of day; write hours and minutes from 00:00 to 24:00, '
                          'such as "09:30-09:45"')
    first, first_minute, end, end_minute = map(int, found.groups())
    begins, ends = first * 60 + first_minute, end * 60 + end_minute
    if begins == ends:
        raise ConfigError(f'{where}: {period!r} ends when it begins; write "00:00-24:00" for the whole day, or '
                          "leave it out")
    return begins, ends


class Plugin:
    """What strategies, slippage models, sizing rules and risk rules share: a name and parameters."""

    name: ClassVar[str] = ""
    _params: ClassVar[dict[str, Param]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Param)}
        cls._params = {**cls._params, **own}

    def __init__(self, **params: Any) -> None:
        for name, value in self.validate(params).items():
            setattr(self, name, value)

    @classmethod
    def params(cls) -> dict[str, Param]:
        """Return the declared parameters by name, in the order of their declaration."""
        return dict(cls._params)

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> dict[str, Value]:
        """Return all parameters, given or default, in their types; ConfigError on anything else."""
        for name in params:
            if name not in cls._params:
                known, near = ", ".join(cls._params) or "none", did_you_mean(name, cls._params)
                raise ConfigError(f"{cls.name}: unknown parameter {name!r}{near or ';'} it has: {known}")
        return {name: param.validate(cls.name, name, params.get(name, param.default))
                for name, param in cls._params.items()}

    def values(self) -> dict[str, Value]:
        """Return this instance's parameters by name."""
        return {name: getattr(self, name) for name in self._params}

    def param_fields(self) -> list[tuple[str, str]]:
        """Return the record fields (name, type) of the parameters."""
        return [(name, UNIT_DTYPES[param.type]) for name, param in self._params.items()]

    def store_params(self, record: Any) -> None:
        """Write the parameters into the fields of a numpy record."""
        for name, param in self._params.items():
            record[name] = param.stored(getattr(self, name))


def fields_of(layout: np.dtype) -> list[tuple[str, Any]]:
    """Return the fields (name, dtype) of a record layout, in order."""
    parts: Mapping[str, Any] = layout.fields or {}
    return [(name, parts[name][0]) for name in layout.names or ()]


def state_fields(initial: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return the record fields of a declared state: name -> initial number, truth value or array of fixed shape."""
    fields: list[tuple[Any, ...]] = []
    for name, value in initial.items():
        array = np.asarray(value)
        if array.dtype.kind not in "bif":
            raise ConfigError(
                f"state {name!r} = {value!r}: a state field is a number, a truth value or an array of them")
        kind = {"b": "?", "i": "i8", "f": "f8"}[array.dtype.kind]
        fields.append((name, kind, array.shape) if array.shape else (name, kind))
    return fields


def store_state(record: Any, initial: Mapping[str, Any]) -> None:
    """Write the initial values into the fields of a numpy record."""
    for name, value in initial.items():
        record[name] = value
