"""Parameters of plug-ins: declared with bounds, validated once, read by name.

A parameter is a run-time value of the compiled step: changing it never recompiles anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from framework.errors import ConfigError, did_you_mean

Value = float | int | bool | str

UNIT_DTYPES = {bool: "?", int: "i8", float: "f8", str: "i8"}
"""How a parameter of each type is stored for compiled code; a choice as its position, a duration in nanoseconds, a
symbol not at all (0)."""

NO_DURATION = "none"


@attrs.frozen
class Param:
    """One parameter: its default (which fixes its type), its bounds, both inclusive, and its choices.

    A duration is a text such as "30d" or "12h", or "none"; compiled code sees nanoseconds, 0 for none. A symbol names
    another symbol of the run, for `bars.symbol(self.partner)`; compiled code does not see it.

    >>> class Example(Plugin):
    ...     name = "example"
    ...     length = Param(20, low=2, high=500)
    >>> Example(length=30).length
    30
    """

    default: Value
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] | None = None
    doc: str = ""
    is_duration: bool = False
    is_symbol: bool = False

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

    def validate(self, owner: str, name: str, value: Any) -> Value:
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
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise ConfigError(f"{where} is out of bounds: {self.bounds()}")
        return int(value) if self.type is int else float(value)

    def bounds(self) -> str:
        """Return the bounds in words, for messages."""
        low = "" if self.low is None else f"{self.low:g} <= "
        high = "" if self.high is None else f" <= {self.high:g}"
        return f"{low}value{high}"

    def stored(self, value: Value) -> float | int | bool:
        """Return the value as compiled code sees it: a choice as its place, a duration in ns, 0 for a symbol."""
        if self.is_duration:
            return _nanoseconds("", value)
        if self.is_symbol:
            return 0
        return self.choices.index(str(value)) if self.choices is not None else value  # type: ignore[return-value]


def _nanoseconds(where: str, value: Any) -> int:
    """Return a duration in nanoseconds, 0 for "none"; ConfigError on any other text."""
    from framework.data.timeframe import parse_timeframe

    if value == NO_DURATION:
        return 0
    try:
        return parse_timeframe(value)
    except ConfigError:
        raise ConfigError(f"{where} must be \"none\" or a duration: a whole number and s, m, h, d or w, "
                          'such as "12h" or "30d"') from None


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
