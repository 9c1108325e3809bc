"""``--set key=value``: change one key of a configuration without touching its file.

The key is a dotted TOML key, the value a TOML value; a bare word is taken as a text.  Tables are merged, everything
else is replaced.  With several ``[[strategy]]`` one is named by its label, or its name where it has none:
``strategy.ema_cross.params.fast=5``, ``strategy.ema_cross#2.params.fast=5`` for the second one of a name.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from framework.backtest.strategy_section import labels_of
from framework.errors import ConfigError, did_you_mean

_BARE = re.compile(r"[\w/~.][\w./:~+-]*\Z")
_KEY = re.compile(r"[\w\"'. #-]+\Z")
_NUMBERED = re.compile(r"(?<![\w\"'-])[\w-]+#\d+(?![\w\"'-])")
"""A part of a key such as ema_cross#2, which TOML wants in quotes."""


def apply_overrides(document: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of a configuration with every ``key=value`` applied in order.

    Raises ConfigError for an override that is not of that form.

    >>> apply_overrides({"run": {"seed": 1}}, ["run.seed=2", "data.source=csv"])
    {'run': {'seed': 2}, 'data': {'source': 'csv'}}
    """
    result = copy.deepcopy(document)
    for text in overrides:
        result = merged(result, _strategy_resolved(result, parse_override(text), text))
    return result


def parse_override(text: str) -> dict[str, Any]:
    """Return one ``key=value`` as nested tables; raises ConfigError when it is not one."""
    key, sign, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not sign or not _KEY.match(key) or not value:
        raise ConfigError(f"--set {text!r} is not of the form key=value, such as run.capital=50_000")
    key = _NUMBERED.sub(r'"\g<0>"', key)
    if "\n" in value:
        raise ConfigError(f"--set {text!r} has more than one line; give every key a --set of its own")
    candidates = [value, json.dumps(value)] if _BARE.match(value) else [value]
    for candidate in candidates:
        try:
            return tomllib.loads(f"{key} = {candidate}")
        except tomllib.TOMLDecodeError as error:
            reason = str(error).split(" (at")[0]
    raise ConfigError(
        f"--set {text!r}: not a TOML key and value ({reason}); write texts in quotes, lists as [1, 2], "
        "tables as {a = 1}"
    )


def merged(target: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of nested tables with those of `change` merged into it; every other value replaces what was there.

    >>> merged({"fees": {"taker_bps": 1, "minimum": 2}}, {"fees": {"taker_bps": 5}})
    {'fees': {'taker_bps': 5, 'minimum': 2}}
    """
    result = dict(target)
    for key, value in change.items():
        known = result.get(key)
        result[key] = merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return result


def _strategy_resolved(document: dict[str, Any], change: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the change with a table under `strategy` merged into the strategy of the list that it means."""
    asked, present = change.get("strategy"), document.get("strategy")
    if not isinstance(asked, dict) or not isinstance(present, list) or not all(isinstance(it, dict) for it in present):
        return change
    names = labels_of((str(item.get("name")), item.get("label")) for item in present)
    name = next(iter(asked))
    if name in names and isinstance(asked[name], dict):
        position, part = names.index(name), asked[name]
    elif len(present) == 1:
        position, part = 0, asked
    else:
        raise ConfigError(
            f"--set {text!r}: {name!r} is none of the strategies{did_you_mean(name, names)}; with several, name one "
            f"as in strategy.{names[0]}.params.KEY=VALUE"
        )
    items = [merged(item, part) if number == position else item for number, item in enumerate(present)]
    return {**change, "strategy": items}
