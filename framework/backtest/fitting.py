"""Train the strategies that have a `fit`: on bars that closed before a time, which are all that training is given.

The tape that `fit` sees is cut off where training ends, so that no later bar can be looked at, whatever it does.  A
model is kept as long as the columns of its run and used again wherever the same bars, the same leg and the same values
of the parameters that training has read would give it: trials that differ only in how they act on a model share one.
"""

from __future__ import annotations

import hashlib
import pickle
import traceback
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from framework.data.series import format_time
from framework.data.tape import Tape
from framework.errors import ConfigError, FrameworkError, StrategyError
from framework.indicators import ColumnCache
from framework.parameters import Value
from framework.strategy import Strategy, Train

SHOWN_MAX = 200
"""Characters of a model's own description that are recorded."""


@attrs.frozen(eq=False)
class Fitted:
    """A model, and what it was trained on.

    start, until: the training leg, ns UTC; start None: from the first bar.  bars: of the strategy's symbols in it.
    params: what training has read of the strategy's parameters.  fingerprint: SHA-256 of the pickled model, "" when it
    cannot be pickled.
    """

    strategy: str
    symbols: tuple[str, ...]
    start: int | None
    until: int
    bars: int
    params: dict[str, Value]
    model: Any = attrs.field(repr=False)
    fingerprint: str = ""

    def document(self) -> dict[str, object]:
        """Return what run.json records of it."""
        return {"strategy": self.strategy, "symbols": list(self.symbols),
                "trained_from": None if self.start is None else format_time(self.start),
                "trained_until": format_time(self.until), "bars": self.bars, "params": dict(self.params),
                "model": described(self.model), "fingerprint": self.fingerprint}


_MODELS: weakref.WeakKeyDictionary[ColumnCache, dict[Any, list[Fitted]]] = weakref.WeakKeyDictionary()
"""The models of each cache of columns, by what they were trained on."""


def fitted(strategy: Strategy, tape: Tape, symbols: tuple[str, ...] | None, start: int | None, until: int, seed: int,
           cache: ColumnCache | None = None) -> Fitted:
    """Return the model of a strategy trained on the bars that closed before `until`, from the cache where it is known.

    symbols: the strategy's own, None for all of the tape.  start, until: ns UTC.  Raises ConfigError when there is no
    bar to train on or `fit` returns nothing, StrategyError with the author's traceback when it raises.
    """
    chosen = tape.symbols if symbols is None else symbols
    known: list[Fitted] = []
    if cache is not None:
        key = cache.key_of(tape), type(strategy), chosen, start, until, seed
        known = _MODELS.setdefault(cache, {}).setdefault(key, [])
        for one in list(known):
            if all(getattr(strategy, name) == value for name, value in one.params.items()):
                return one
    twin, read = watched(strategy)
    train = Train(twin, tape.truncate(until - 1), chosen, start, until, seed)
    bars = sum(rows.stop - rows.start for rows in map(train.rows, chosen))
    if not bars:
        first = format_time(int(tape.close_time.min())) if tape.n_bars else "never"
        raise ConfigError(f"{strategy.name}: no bar of {', '.join(chosen)} closes in the time that it is trained on, "
                          f"{'the first bar' if start is None else format_time(start)} to {format_time(until)}; the "
                          f"data begin at {first}: train until later, or use earlier data")
    try:
        model = twin.fit(train)
    except FrameworkError:
        raise
    except Exception as error:
        raise StrategyError(f"{strategy.name}.fit failed on the bars until {format_time(until)}: "
                            f"{type(error).__name__}: {error}", function=f"{strategy.name}.fit",
                            details=traceback.format_exc()) from error
    if model is None:
        raise ConfigError(f"{strategy.name}.fit returned nothing; it must return the model that decisions read as "
                          "now.model")
    made = Fitted(strategy.name, chosen, start, until, bars,
                  {name: getattr(strategy, name) for name in strategy.params() if name in read}, model,
                  fingerprint_of(model))
    known.append(made)
    return made


def watched(strategy: Strategy) -> tuple[Strategy, set[str]]:
    """Return a copy of a strategy and the names of the parameters that have been read of it, which grows."""
    cls, read = type(strategy), set[str]()
    names = frozenset(strategy.params())

    def look(self: Any, name: str) -> Any:
        read.update(names if name == "__dict__" else names & {name})
        return cls.__getattribute__(self, name)

    twin: Any = object.__new__(type(cls.__name__, (cls,), {"__getattribute__": look, "__module__": cls.__module__}))
    vars(twin).update(vars(strategy))
    read.clear()
    return twin, read


def fingerprint_of(model: Any) -> str:
    """Return the SHA-256 of a pickled model, "" when it cannot be pickled."""
    try:
        return hashlib.sha256(pickle.dumps(model, protocol=5)).hexdigest()
    except Exception:
        return ""


def described(model: Any) -> str:
    """Return a model in its own words, its type where those name a place in memory."""
    told = " ".join(repr(model).split())
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    return kind if " at 0x" in told else told[:SHOWN_MAX]


def must_be_trained(strategy: Strategy, until: int | None) -> bool:
    """Return whether a strategy is to be trained; ConfigError when it is not said until when, or it has no fit."""
    if until is None and strategy.is_fitted():
        raise ConfigError(f"{strategy.name} has to be trained before it decides: say until when, trained_until = "
                          '"2015-01-01" in its section [strategy], or run `framework walk-forward`, which trains it '
                          "in every leg")
    if until is not None and not strategy.is_fitted():
        raise ConfigError(f"{strategy.name} has no fit and is not trained; remove trained_until")
    return until is not None


def notes_on(fits: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a reader must know of the models of a run: a line a strategy, with its last training leg."""
    told = []
    for name in dict.fromkeys(one["strategy"] for one in fits):
        mine = [one for one in fits if one["strategy"] == name]
        last, times = mine[-1], "" if len(mine) == 1 else f" {len(mine)} times, the last time"
        told.append(f"{name}: trained{times} on {last['bars']:,} bars until {last['trained_until']}; decisions and "
                    "statistics begin where training ends")
    return told
