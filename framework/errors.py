"""Every error that the framework raises on purpose, arranged by what the reader should do about it.

    FrameworkError                    the root: catch it to catch them all
    ├── ConfigError                   the configuration or an argument is wrong: fix it
    ├── DataError                     market data was refused: mend the data or name a repair rule
    ├── PluginError                   a plug-in is broken, misspelt or ambiguous: mend or remove it
    │   └── PluginNotFound            no installed plug-in has that name: install it or correct the name
    ├── StrategyError                 a function of an author raised: carries symbol and bar time
    ├── OrderRefused                  expected in trading: carries rule, value and limit; it is journalled
    ├── VenueUnavailable              the venue did not answer before anything was sent: retry, bounded
    ├── VenueRejected                 the venue said no: do not retry unchanged
    ├── OutcomeUnknown                the answer to a request was lost: ask the venue, never send again
    ├── ReconciliationError           our books and the venue's cannot be explained: halt
    └── Interrupted                   somebody asked to stop; everything that was promised is saved

A message says what happened, the values, the rule and the mend. The command line turns every error of this tree into
its message and exit code 2 (``Interrupted``: 130); none of them shows a traceback unless one is asked for, except the
author's own traceback that a ``StrategyError`` carries.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "DataError",
    "FrameworkError",
    "Interrupted",
    "OrderRefused",
    "OutcomeUnknown",
    "PluginError",
    "PluginNotFound",
    "ReconciliationError",
    "StrategyError",
    "VenueRejected",
    "VenueUnavailable",
    "did_you_mean",
]


class FrameworkError(Exception):
    """The root of every error that the framework raises on purpose."""


class ConfigError(FrameworkError):
    """A configuration or an argument is wrong; the message names the key, the value, the rule and the mend."""


class DataError(FrameworkError):
    """Market data was refused; the message names the source, the rows and the rule.

    faults: the message of each rule that was broken; the message of the error itself has them all.
    """

    def __init__(self, message: str, *, faults: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults) or (message,)


class PluginError(FrameworkError):
    """A plug-in is broken, misspelt or ambiguous; the message names the distribution and the hook.

    details: a longer text for those who want it, such as the traceback of a failed import.
    """

    def __init__(self, message: str, *, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class PluginNotFound(PluginError):
    """No installed plug-in of the asked kind has the asked name."""


class StrategyError(FrameworkError):
    """A function of an author raised while the engine was calling it.

    function: what was called, such as ``ema_cross.decide``.
    symbol: the symbol of the slot, "" when the call was for a whole universe.
    bar_time: close time of the bar as an ISO 8601 text in UTC, "" when it is not known.
    details: the author's own traceback, "" when there is none.
    """

    def __init__(
        self, message: str, *, function: str = "", symbol: str = "", bar_time: str = "", details: str = ""
    ) -> None:
        super().__init__(message)
        self.function = function
        self.symbol = symbol
        self.bar_time = bar_time
        self.details = details


class OrderRefused(FrameworkError):
    """An order was refused by a rule; expected in trading and journalled.

    rule: name of the rule. value: what the order would have made of the measure. limit: what the rule allows.
    """

    def __init__(self, message: str, *, rule: str = "", value: float | None = None, limit: float | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.value = value
        self.limit = limit


class VenueUnavailable(FrameworkError):
    """The venue could not be reached and nothing was sent; retry with a bound."""


class VenueRejected(FrameworkError):
    """The venue understood the request and refused it; sending it again unchanged will not help."""


class OutcomeUnknown(FrameworkError):
    """A request was sent and its answer was lost; ask the venue by client order id, never send again.

    client_order_id: the id under which the venue knows the order, if it does.
    """

    def __init__(self, message: str, *, client_order_id: str = "") -> None:
        super().__init__(message)
        self.client_order_id = client_order_id


class ReconciliationError(FrameworkError):
    """Our books and the venue's differ in a way that no event explains; trading halts."""


class Interrupted(FrameworkError):
    """Somebody asked to stop and the work did; nothing half-written is left behind."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name nearest to ``name``, or ``""`` when none is near.

    Nearness is the ratio of `difflib.get_close_matches` at its default cutoff of 0.6, letter case aside.

    >>> did_you_mean("sma_cros", ["sma_cross", "ema_cross"])
    "; did you mean 'sma_cross'?"
    >>> did_you_mean("zzz", ["sma_cross"])
    ''
    """
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(str(name).casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""
