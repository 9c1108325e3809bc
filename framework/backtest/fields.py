"""Typed fields of configuration classes: each checks its value and says in which section and under which rule.

A field is an attrs field with a converter, so a configuration built in Python is checked exactly like one that was read
from a file.  The class says its section in `SECTION`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import attrs

from framework.errors import ConfigError, did_you_mean
from framework.plugins import OWN_STRATEGY

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list",
          dict: "a table", type(None): "nothing"}

_OF_CODE = re.compile(r"[./\\:]")
"""What a file, a module or a class in one has in its name, and a plug-in has not."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def shown(value: object) -> str:
    """Return a value and its type for a message, long ones cut.

    >>> shown("5")
    "'5' (a text)"
    """
    text = repr(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return f"{text} ({_WORDS.get(type(value), type(value).__name__)})"


def wrong(where: str, value: object, rule: str) -> ConfigError:
    """Return the error for a value that breaks the rule of its key."""
    return ConfigError(f"{where} = {shown(value)}; it must be {rule}")


def place(instance: Any, field: attrs.Attribute[Any]) -> str:
    """Return where a value stands, such as ``[run] capital``."""
    return f"[{type(instance).SECTION}] {field.name}"


def _field(check: Callable[[str, Any], Any], default: Any) -> Any:
    """Return an attrs field whose values pass through ``check(where, value)``."""

    def convert(value: Any, instance: Any, field: attrs.Attribute[Any]) -> Any:
        return check(place(instance, field), value)

    return attrs.field(default=default, converter=attrs.Converter(convert, takes_self=True, takes_field=True))


def number(default: Any = attrs.NOTHING, *, low: float = -math.inf, high: float = math.inf, above: float = -math.inf,
           below: float = math.inf, optional: bool = False) -> Any:
    """A finite number with low <= value <= high and above < value < below, stored as a float."""
    limits = [f"{sign} {limit:g}" for sign, limit in ((">=", low), (">", above), ("<=", high), ("<", below))
              if math.isfinite(limit)]
    rule = "a number " + " and ".join(limits) if limits else "a finite number"

    def check(where: str, value: Any) -> float | None:
        if value is None and optional:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(where, value, rule)
        try:
            result = float(value)
        except OverflowError:
            raise wrong(where, value, rule) from None
        if not (math.isfinite(result) and low <= result <= high and above < result < below):
            raise wrong(where, value, rule)
        return result

    return _field(check, default)


def whole(default: Any = attrs.NOTHING, *, low: int, high: int, optional: bool = False) -> Any:
    """A whole number with low <= value <= high."""

    def check(where: str, value: Any) -> int | None:
        if value is None and optional:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise wrong(where, value, f"a whole number from {low} to {high}")
        return value

    return _field(check, default)


def flag(default: bool) -> Any:
    """True or false, nothing that merely looks like it."""

    def check(where: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise wrong(where, value, "true or false")
        return value

    return _field(check, default)


def text(default: Any = attrs.NOTHING, *, optional: bool = False) -> Any:
    """A text that is not empty."""

    def check(where: str, value: Any) -> str | None:
        if value is None and optional:
            return None
        return checked_text(where, value)

    return _field(check, default)


def choice(default: str, choices: Sequence[str], later: Sequence[str] = ()) -> Any:
    """One of a few names; those in `later` are known and refused as not available yet."""
    rule = " or ".join(map(repr, choices))

    def check(where: str, value: Any) -> str:
        if value in later:
            raise ConfigError(f"{where} = {value!r} is not available in this version; it must be {rule}")
        if value not in choices:
            hint = did_you_mean(value, choices) if isinstance(value, str) else ""
            raise ConfigError(f"{wrong(where, value, rule)}{hint}")
        return str(value)

    return _field(check, default)


def texts(default: Any = attrs.NOTHING, *, optional: bool = False) -> Any:
    """A list of different texts, stored as a tuple."""

    def check(where: str, value: Any) -> tuple[str, ...] | None:
        if value is None and optional:
            return None
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise wrong(where, value, "a list of texts, such as [\"AAPL\", \"MSFT\"]")
        items = tuple(checked_text(f"{where}[{i}]", item) for i, item in enumerate(value))
        twice = sorted({item for item in items if items.count(item) > 1})
        if twice:
            raise ConfigError(f"{where} names {', '.join(map(repr, twice))} twice; keep each once")
        return items

    return _field(check, default)


def moment(*, day_is_over: bool) -> Any:
    """A date or a time, as a TOML date or in ISO 8601, stored as a datetime in UTC; without a zone it is UTC.

    day_is_over: whether a date without a time of day means its end, midnight of the day after.
    """
    rule = "a date or time in ISO 8601, such as 2010-01-04 or 2010-01-04T14:30:00Z"

    def check(where: str, value: Any) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, str):
            try:
                value = date.fromisoformat(value) if len(value) == len("2010-01-04") else datetime.fromisoformat(value)
            except ValueError:
                raise wrong(where, value, rule) from None
        if not isinstance(value, date):
            raise wrong(where, value, rule)
        if not 1900 <= value.year <= 2200:
            raise ConfigError(f"{where} = {value.isoformat()}; the year must be from 1900 to 2200")
        if not isinstance(value, datetime):
            midnight = datetime(value.year, value.month, value.day, tzinfo=UTC)
            return midnight + timedelta(days=1) if day_is_over else midnight
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    return _field(check, None)


def table(default: Any = attrs.NOTHING) -> Any:
    """A table of named values, stored as a dict of its own."""

    def check(where: str, value: Any) -> dict[str, Any]:
        return checked_table(where, value)

    return _field(check, default)


def plugin_name(default: Any = attrs.NOTHING) -> Any:
    """The name of a plug-in."""

    def check(where: str, value: Any) -> str:
        if isinstance(value, str) and where.startswith("[strategy]") and _OF_CODE.search(value):
            raise ConfigError(f"{where} = {value!r} is the place of code, and a configuration runs no file that it "
                              f"names; it must be the name of an installed strategy. {OWN_STRATEGY}")
        if not isinstance(value, str) or not NAME.match(value):
            raise wrong(where, value, "the name of a plug-in, such as 'ema_cross'")
        return value

    return _field(check, default)


RESERVED_LABELS = ("name", "params", "symbols", "label", "risk", "slippage", "sizing")
"""Words that no strategy may be called by a label: in settings and searches they mean something else."""


def use_label() -> Any:
    """What one use of a strategy is called, or None."""

    def check(where: str, value: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not NAME.match(value):
            raise wrong(where, value, "letters, digits and underscores, the first one a letter, such as 'slow_cross'")
        if value in RESERVED_LABELS:
            raise ConfigError(f"{where} = {value!r} means something else in settings; choose another word")
        return value

    return _field(check, None)


def checked_text(where: str, value: Any) -> str:
    """Return a text that is not empty and has no spaces around it."""
    if not isinstance(value, str) or not value or value != value.strip():
        raise wrong(where, value, "a text that is not empty, without spaces around it")
    return value


def checked_table(where: str, value: Any) -> dict[str, Any]:
    """Return a table as a dict of its own; its keys are texts."""
    if not isinstance(value, Mapping):
        raise wrong(where, value, "a table")
    for key in value:
        if not isinstance(key, str):
            raise ConfigError(f"{where} has the key {shown(key)}; every key must be a text")
    return dict(value)


def refuse_no_symbols(section: Any) -> None:
    """Raise ConfigError for a section [data] that somebody wrote with an empty list of symbols.

    A recorded configuration has one where none were named.
    """
    symbols = section.get("symbols") if isinstance(section, Mapping) else None
    if isinstance(symbols, list | tuple) and not symbols:
        raise ConfigError("[data] symbols = [] names no symbol; leave the key out for all that the source has, or name "
                          'some, such as symbols = ["AAPL"]')
