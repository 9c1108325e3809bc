"""`framework.backtest(...)`: a run from Python, with data, strategies and settings given as objects or as names.

Everything becomes the same `Config` that a file gives, so a notebook and the command line cannot differ.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from framework import plugins
from framework.backtest.config import KNOWN, Config, Run, config_from_dict, load_config, use_of
from framework.backtest.fields import refuse_no_symbols
from framework.backtest.overrides import merged
from framework.data.frames import tape_from_frames
from framework.data.ingest import ReadOptions
from framework.data.tape import Tape
from framework.errors import ConfigError, did_you_mean
from framework.hookspecs import Session
from framework.parameters import Plugin

if TYPE_CHECKING:
    from framework.backtest.result import Result

FRAME = "frame"
"""The name of the source of data that was handed over as an object."""

Progress = Callable[[int, int], None]
"""progress(done, total): called now and then with the number of events processed and of all events."""

_RUN_KEYS = tuple(field.name for field in attrs.fields(Run))
_DATA_KEYS = ("symbols", "timeframe", "detail_timeframe", *(field.name for field in attrs.fields(ReadOptions)))
_STRATEGY_KEYS = ("params", "trained_from", "trained_until")
_SETTINGS = (*(name for name in KNOWN if name not in ("strategy", "data")), *_RUN_KEYS, *_DATA_KEYS, *_STRATEGY_KEYS)


def backtest(config: Config | Mapping[str, Any] | str | Path | None = None, data: Any = None, strategy: Any = None, *,
             progress: Progress | None = None, interpreted: bool = False, **settings: Any) -> Result:
    """Run a backtest and return its `Result`, with `.stats`, `.trades`, `.equity` and `.plot()`.

    config: a file, a mapping in the form of the file or a Config to start from; may be left out.  `data` and `strategy`
        take the place of its own; settings change of each section what they name, as --set does.
    data: what `framework.data.tape_from_frames` takes (a frame of pandas, Polars or PyArrow, a dict of arrays, a dict
        of symbol -> frame, a Tape), the name of a source, or a mapping in the form of [data].
    strategy: a name, a class, an instance with its parameters, a mapping in the form of [strategy], or a list of them.
    settings: sections by name (``fees={"taker_bps": 5}``, ``slippage="fixed"``, ``risk={"drawdown": {}}``), the keys of
        [run] (``capital=50_000``), `symbols`, `timeframe` and options of [data] (``stamp="open"``), and `params`,
        `trained_from` and `trained_until` of the one strategy.  A list of rules (``risk=[Drawdown(), "alerts"]``) takes
        the place of all of [risk].
    progress: called now and then with the number of events that are done and of all events.
    interpreted: call the strategy's Python functions, so that a debugger stops in them.
    Raises ConfigError, DataError, PluginError or StrategyError.

    >>> backtest(strategy="ema_cross", capitol=1)
    Traceback (most recent call last):
    ...
    framework.errors.ConfigError: backtest(): unknown setting 'capitol'; did you mean 'capital'?
    """
    made, tape = settle(config, data, strategy, settings)
    return execute(made, tape, progress, interpreted)


def settle(config: Any, data: Any, strategy: Any, settings: Mapping[str, Any]) -> tuple[Config, Tape | None]:
    """Return the configuration that the arguments of `backtest` make, and the tape when the data was handed over."""
    document, folder = _document(config)
    section = _data_section(data)
    if section is not None:
        document["data"] = section
    elif data is not None:
        document["data"] = {"source": FRAME}
    if strategy is not None:
        document["strategy"] = [_use("strategy", one) for one in _several(strategy)]
    for name, value in settings.items():
        _set(document, name, value)
    refuse_no_symbols(section)
    refuse_no_symbols(settings)
    made = config_from_dict(document, folder)
    if data is None or section is not None:
        return made, None
    tape = tape_from_frames(data, made.data.symbols, made.data.timeframe, detail_timeframe=made.data.detail_timeframe,
                            instruments=made.instruments, account_calendar=made.account.calendar, **made.data.options)
    return attrs.evolve(made, data=attrs.evolve(made.data, symbols=tape.symbols)), tape


def execute(config: Config, tape: Tape | None = None, progress: Progress | None = None,
            interpreted: bool = False) -> Result:
    """Run a configuration under its allow-list of plug-ins, and tell the observers of its start and end."""
    from framework.backtest.run import run

    plugins.use(config.plugins.allow)
    session = Session("backtest", config.name, config.to_dict())
    plugins.notify("session_started", session=session)
    result = run(config, tape, progress, interpreted)
    plugins.notify("session_finished", session=session, result=result)
    return result


def _document(config: Any) -> tuple[dict[str, Any], Path]:
    """Return what to start from, in the form of the file, and the folder of its relative paths."""
    if config is None:
        return {}, Path()
    if isinstance(config, str | Path):
        config = load_config(config)
    if isinstance(config, Config):
        return config.to_dict(), config.folder
    if isinstance(config, Mapping):
        return dict(config), Path()
    raise ConfigError(
        f"backtest(): config is {type(config).__name__}; it must be a path, a mapping or a Config. Data goes under "
        "data=, a strategy under strategy="
    )


def _data_section(data: Any) -> dict[str, Any] | None:
    """Return the section [data] when the data is named, None when it is there as an object or not given."""
    if isinstance(data, str):
        return {"source": data}
    if isinstance(data, Mapping) and isinstance(data.get("source"), str):
        return dict(data)
    return None


def _set(document: dict[str, Any], name: str, value: Any) -> None:
    """Put one keyword argument where it belongs in the configuration."""
    if name in ("data", "strategy"):
        document[name] = value
    elif name not in _SETTINGS:
        raise ConfigError(f"backtest(): unknown setting {name!r}{did_you_mean(name, _SETTINGS)}")
    elif name in _RUN_KEYS:
        document["run"] = {**document.get("run", {}), name: value}
    elif name in _DATA_KEYS:
        document["data"] = {**document.get("data", {}), name: value}
    elif name in _STRATEGY_KEYS:
        document["strategy"] = [_changed_strategy(document.get("strategy") or [], name, value)]
    elif name in ("slippage", "sizing", "broker"):
        document[name] = _changed_use(name, document.get(name), value)
    elif name == "risk" and not isinstance(value, Mapping):
        document["risk"] = _rules(_several(value))
    else:
        is_section = isinstance(value, Mapping) and isinstance(document.get(name, {}), Mapping)
        document[name] = merged(document.get(name, {}), value) if is_section else value


def _changed_strategy(uses: Any, name: str, value: Any) -> Any:
    """Return the one strategy with a key changed; parameters are put over those that it has."""
    uses = uses if isinstance(uses, list) else [uses]
    if len(uses) != 1:
        raise ConfigError(f"backtest(): {name}= goes with one strategy, and there are {len(uses)}")
    return merged(uses[0], {name: value}) if isinstance(uses[0], Mapping) else uses[0]


def _changed_use(kind: str, known: Any, value: Any) -> Any:
    """Return the section of a plug-in: a mapping changes what it names of the same plug-in; all else replaces it."""
    if not isinstance(value, Mapping) or not isinstance(known, Mapping):
        return _use(kind, value)
    name = value.get("name", known.get("name"))
    if name != known.get("name"):
        return dict(value)
    one, other = (use_of(kind, {**section, "name": name}) for section in (known, value))
    return {"name": name, "params": merged(one.params, other.params)}


def _rules(values: Sequence[Any]) -> dict[str, Any]:
    """Return rules in the form of [risk]; ConfigError when one is there twice."""
    rules: dict[str, Any] = {}
    for use in (use_of("risk", _use("risk", value)) for value in values):
        if use.name in rules:
            raise ConfigError(f"backtest(): risk has the rule {use.name!r} twice; keep one")
        rules[use.name] = use.params
    return rules


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _use(kind: str, value: Any) -> dict[str, Any]:
    """Return a plug-in as a section: from its name, its class, an instance of it, or a mapping.

    A class is made known to this session, so that a notebook need not install it.
    """
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping):
        return dict(value)
    instance = value if isinstance(value, Plugin) else None
    kind_of_value = type(value) if instance is not None else value
    if not (inspect.isclass(kind_of_value) and issubclass(kind_of_value, Plugin)):
        raise ConfigError(
            f"backtest(): {kind} is {type(value).__name__}; it must be a name, a class, an instance or a mapping"
        )
    plugins.registry().add(kind, kind_of_value)
    return {"name": kind_of_value.name, "params": instance.values() if instance is not None else {}}
