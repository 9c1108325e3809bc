"""What every plug-in with parameters keeps: a name, a description, valid defaults, bounds that hold."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from framework.errors import ConfigError
from framework.parameters import Param, Plugin
from framework.strategy import Strategy
from framework.testing.report import Failed

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


def check_contract(cls: type[Plugin], needs_high: bool) -> str:
    """Return what was found; Failed for a bad name, a missing description, a parameter without bounds, a bad default.

    needs_high: whether a number needs an upper bound too: a search over parameters starts from bounds.
    """
    if not isinstance(cls.name, str) or not NAME.match(cls.name):
        raise Failed(f"name = {cls.name!r}; a name is lower-case letters, digits and underscores and starts with a "
                     "letter")
    if not (cls.__doc__ or "").strip():
        raise Failed(f"the class {cls.__name__} has no docstring; say in one line what it does")
    for name, param in cls.params().items():
        is_number = param.type in (int, float) and not param.choices
        if is_number and (param.low is None or (needs_high and param.high is None)):
            missing = "low" if param.low is None else "high"
            raise Failed(f"parameter {name} has no {missing} bound; write Param({param.default!r}, low=..., high=...)")
    try:
        values = cls.validate({})
    except ConfigError as error:
        raise Failed(f"the defaults are refused: {error}") from error
    check_constraints(cls)
    return ", ".join(f"{name} = {value!r}" for name, value in values.items()) or "no parameters"


def check_constraints(cls: type[Plugin]) -> None:
    """Raise Failed when a strategy declares a constraint that is none, or that its own defaults do not satisfy."""
    if not issubclass(cls, Strategy):
        return
    try:
        doubts = cls().doubts()
    except ConfigError as error:
        raise Failed(f"constraints = {cls.constraints!r}: {error}") from error
    if doubts:
        raise Failed(f"the defaults do not satisfy its own constraints: {doubts[0]}")


def check_refusals(cls: type[Plugin]) -> str:
    """Return how many bad values were refused; Failed names one that was not, or was refused in another way."""
    bad: list[dict[str, Any]] = [{"no_such_parameter_of_mine": 1}]
    for name, param in cls.params().items():
        bad += [{name: value} for value in bad_values(param)]
    for values in bad:
        shown = ", ".join(f"{name} = {value!r}" for name, value in values.items())
        try:
            cls(**values)
        except ConfigError:
            continue
        except Exception as error:
            raise Failed(f"{shown} raised {type(error).__name__}: {error}; it must be a ConfigError") from error
        raise Failed(f"{shown} was accepted")
    return f"{len(bad)} of them"


def bounds_of(cls: type[Plugin]) -> Iterator[dict[str, Any]]:
    """Yield values at the bounds: each parameter at its low and its high with the others at their defaults."""
    for name, param in cls.params().items():
        for value in param.choices or [bound for bound in (param.low, param.high) if bound is not None]:
            yield {name: value if param.choices else param.type(value)}


def made_at_bounds(cls: type[Any], params: Mapping[str, Any]) -> list[Any]:
    """Return an instance with the given parameters and one at every bound that does not contradict the others."""
    made = [cls(**params)]
    for values in bounds_of(cls):
        try:
            made.append(cls(**{**params, **values}))
        except ConfigError:
            continue
    return made


def bad_values(param: Param) -> list[Any]:
    """Return values that a parameter must refuse."""
    if param.choices or param.is_duration:
        return ["no such choice", 3.5, None]
    if param.is_symbol:
        return ["", 3.5, None]
    if param.type is bool:
        return ["yes", 2, None]
    values: list[Any] = ["text", None, math.nan, math.inf, True]
    if param.low is not None:
        values.append(param.low - 1)
    if param.high is not None:
        values.append(param.high + 1)
    if param.least is not None:
        values.append(param.least / 2)
    if param.type is int:
        values.append((param.low or 0) + 0.5)
    return values
