"""Parameters of a rule that must stand in an order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from framework.errors import ConfigError


def require_order(owner: str, values: Mapping[str, Any], given: Mapping[str, Any], *names: str) -> None:
    """Raise ConfigError when those of some parameters that are given do not rise.

    values: all parameters.  given: those that must fit: what somebody set, or `values` where defaults count as well.
    """
    named = [name for name in names if name in given]
    unit = "; they are in percent: 25 means 25 %" if all(name.endswith("_percent") for name in names) else ""
    for lower, upper in pairwise(named):
        if values[lower] > values[upper]:
            raise ConfigError(f"{owner}: {lower} = {values[lower]!r} is above {upper} = {values[upper]!r}; "
                              f"rule: {' <= '.join(names)}{unit}")
