"""The contract of a data source: a name, the options it knows, and bars on request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import attrs

from framework.data.series import BarSeries
from framework.errors import ConfigError, did_you_mean
from framework.model.instrument import Instrument

T = TypeVar("T")


@attrs.frozen
class Request:
    """What a run asks a data source for.

    symbols: in the order of the run; empty asks for all there are.  timeframe: None leaves it to the source.
    or_finer: bars of a shorter timeframe serve as well; the source may say which with those it returns.
    options: the keys of [data] that the framework does not know itself.
    instruments: per symbol the fields of Instrument that the run sets.
    folder: what relative paths are relative to.
    """

    symbols: tuple[str, ...] = ()
    timeframe: str | None = None
    options: Mapping[str, object] = attrs.field(factory=dict)
    instruments: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    folder: Path = attrs.field(factory=Path)
    or_finer: bool = False

    @property
    def read_timeframe(self) -> str | None:
        """Return the timeframe that a table is read in; None, for the spacing of its rows, when finer ones serve."""
        return None if self.or_finer else self.timeframe

    def instrument(self, symbol: str, **defaults: Any) -> Instrument:
        """Return the instrument of a symbol: what the run sets, over the defaults of the source.

        Raises ConfigError for a field that Instrument does not have.
        """
        return make_instrument(symbol, {**defaults, **self.instruments.get(symbol, {})})


def make_instrument(symbol: str, values: Mapping[str, Any]) -> Instrument:
    """Return an instrument; raises ConfigError for an unknown field or a value that breaks a rule."""
    known = [field.name for field in attrs.fields(Instrument) if field.name != "symbol"]
    for name in values:
        if name not in known:
            raise ConfigError(
                f"instrument {symbol}: unknown field {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}"
            )
    return Instrument(symbol, **values)


SECTION_KEYS = ("symbols", "timeframe", "detail_timeframe", "dividends", "funding")
"""The keys of [data] that are the same for all sources."""


class DataSource:
    """A place that bars come from.  Subclass it, name it, and register the class as a plug-in."""

    name: ClassVar[str]

    def load(self, request: Request) -> list[BarSeries]:
        """Return one series a symbol, in the order of the request.

        Raises ConfigError for options it does not know and DataError for bars it cannot deliver.
        """
        raise NotImplementedError


def read_options(kind: type[T], options: Mapping[str, object], where: str) -> T:
    """Return an attrs object filled from options.

    Raises ConfigError for a key that is no field of it, with the nearest one, and for one that is missing.
    """
    fields = attrs.fields(kind)  # type: ignore[arg-type]
    known = [field.name for field in fields]
    for key in options:
        if key not in known:
            every = [*known, *SECTION_KEYS]
            raise ConfigError(f"{where}: unknown option {key!r}{did_you_mean(key, every)}; known: {', '.join(every)}")
    for field in fields:
        if field.default is attrs.NOTHING and field.name not in options:
            raise ConfigError(f"{where}: option {field.name!r} is missing; rule: {field.metadata['rule']}")
    return kind(**options)


def option(kind: type | tuple[type, ...], rule: str, *, low: float | None = None, high: float = math.inf,
           **keywords: Any) -> Any:
    """Return an attrs field for an option: its type, the rule as the reader sees it, smallest and largest value."""

    def check(owner: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        wrong_type = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        if wrong_type or (low is not None and value is not None and not (
                low <= value <= high and math.isfinite(value))):
            raise ConfigError(f"option {attribute.name} = {value!r}; rule: {rule}")

    return attrs.field(validator=check, metadata={"rule": rule}, **keywords)


def time_ns(value: object, where: str) -> int:
    """Return an ISO 8601 text, a date or a datetime as ns UTC; one without a zone is taken as UTC.

    Raises ConfigError for anything else.
    """
    moment = value
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            moment = None
    elif isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if not isinstance(moment, datetime):
        raise ConfigError(f'{where} = {value!r}; rule: a date or a time such as "2020-01-31" or "2020-01-31 14:30"')
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
