"""Timeframes: "5m", "4h", "1d", "1w" and the nanoseconds they last."""

from __future__ import annotations

import re
from functools import cache

from framework.errors import ConfigError

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

UNITS = {"w": WEEK, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
"""Units by letter, longest first."""


@cache
def parse_timeframe(text: str) -> int:
    """Return the length of a timeframe in nanoseconds.

    Raises ConfigError unless the text is a positive whole number and one of the letters s, m, h, d, w.

    >>> parse_timeframe("5m") // MINUTE
    5
    """
    match = re.fullmatch(r"([1-9][0-9]{0,4})([smhdw])", text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(
            f"timeframe {text!r}; rule: a whole number and a unit, s (seconds), m (minutes), h (hours), d (days) "
            'or w (weeks), such as "5m" or "1d"'
        )
    return int(match[1]) * UNITS[match[2]]


def format_timeframe(length_ns: int) -> str:
    """Return the shortest text of a length in nanoseconds, the inverse of `parse_timeframe`.

    Raises ConfigError when the length is not a positive whole number of seconds.

    >>> format_timeframe(90 * MINUTE), format_timeframe(24 * HOUR), format_timeframe(7 * DAY)
    ('90m', '1d', '1w')
    """
    for letter, unit in UNITS.items():
        if length_ns > 0 and length_ns % unit == 0:
            return f"{length_ns // unit}{letter}"
    raise ConfigError(f"a timeframe of {length_ns} ns; rule: a positive whole number of seconds")
