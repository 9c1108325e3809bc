"""Ask a strategy for one decision, for one symbol or for all, with everything it sees given by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np

from framework.boundary.adapter import RECORD, RECORDS, with_model
from framework.boundary.view import view_at
from framework.errors import ConfigError, did_you_mean
from framework.indicators import Bars
from framework.model.enums import OrderKind, Side, TimeInForce, Verb
from framework.model.records import MAX_ORDERS, UNSET
from framework.source_check import INTERNAL, check_names
from framework.strategy import Strategy, now_dtype, shown_with_model, store_constants

NUMBERS = ("qty", "weight", "price", "stop", "stop_offset", "target", "target_offset", "trail", "trail_after",
           "limit")


@attrs.frozen
class Intent:
    """One view that a decision expressed; what was not given is None.

    side and kind mean something for orders only.  tag: the declared name, "" without one.
    """

    verb: Verb
    side: Side | None = None
    kind: OrderKind = OrderKind.MARKET
    qty: float | None = None
    weight: float | None = None
    price: float | None = None
    stop: float | None = None
    stop_offset: float | None = None
    target: float | None = None
    target_offset: float | None = None
    trail: float | None = None
    trail_after: float | None = None
    limit: float | None = None
    reduce_only: bool = False
    priority: float = 0.0
    tag: str = ""
    group: int = 0
    tif: TimeInForce = TimeInForce.GTC
    until: int = 0
    oco: int = 0


class Decision(tuple[Intent, ...]):
    """The intents of one decision in their order; `state` and `shared` are the memory after it."""

    state: SimpleNamespace
    shared: SimpleNamespace


def decide_once(strategy: Strategy | type[Strategy], **parts: Any) -> Decision:
    """Return what a strategy decides when it sees these values; everything not given is 0, and no stop or target.

    strategy: an instance, or a class with its default parameters.
    parts: ``bar``, ``ind``, ``prev``, ``position``, ``account``, ``clock``, ``state``, ``shared`` as mappings of names
    to values; ``fills`` and ``orders`` as sequences of mappings; ``model``, any object, for a strategy with a fit.
    Parameters and tags are the strategy's own.
    Raises ConfigError for a name that does not exist, and whatever `decide` raises.

    >>> from framework import Strategy, buy
    >>> class Dip(Strategy):
    ...     name = "dip"
    ...     @staticmethod
    ...     def decide(now):
    ...         if now.bar.close < 10.0:
    ...             buy(now, qty=2.0)
    >>> [(intent.side.name, intent.qty) for intent in decide_once(Dip, bar={"close": 9.0})]
    [('BUY', 2.0)]
    """
    made = strategy() if isinstance(strategy, type) else strategy
    if made.decide_all is not None:
        raise ConfigError(f"{made.name} decides for all symbols at once; hand their values to decide_all_once")
    model = parts.pop("model", None) if made.is_fitted() else None
    records = _records(made, [parts], "decide_once")
    (record,), dtype = _each(records), records.dtype
    check_names(made.decide, _checked(made, dtype), RECORD, f"{made.name}.decide")
    with_model(made.decide, model)(view_at(record.ctypes.data, dtype))
    return _decision(made, record, record)


def decide_all_once(strategy: Strategy | type[Strategy], *slots: Mapping[str, Any]) -> tuple[Decision, ...]:
    """Return what a strategy decides for each of its symbols when it sees these values of them, one mapping a symbol.

    strategy: an instance, or a class with its default parameters, that has a `decide_all`.
    slots: the parts that `decide_once` takes, and ``fresh`` (default true) and ``age`` [ns]; ``shared`` and ``model``
    are read of the first one, ``shared`` is the same in all answers.
    Raises ConfigError for a name that does not exist or no symbol, and whatever `decide_all` raises.

    >>> from framework import Strategy, target
    >>> class Strongest(Strategy):
    ...     name = "strongest"
    ...     @staticmethod
    ...     def decide_all(nows):
    ...         for i in range(len(nows)):
    ...             if nows[i].bar.close > nows[i].bar.open:
    ...                 target(nows[i], weight=0.5)
    >>> falling, rising = decide_all_once(Strongest, {"bar": {"open": 2.0}}, {"bar": {"close": 2.0}})
    >>> falling, [intent.weight for intent in rising]
    ((), [0.5])
    """
    made = strategy() if isinstance(strategy, type) else strategy
    if made.decide_all is None:
        raise ConfigError(f"{made.name} decides for one symbol at a time; hand its values to decide_once")
    if not slots:
        raise ConfigError(f"decide_all_once({made.name}): it needs the values of at least one symbol")
    given = [{"fresh": True, **parts} for parts in slots]
    model = given[0].pop("model", None) if made.is_fitted() else None
    records = _records(made, given, "decide_all_once")
    records["universe"] = len(slots)
    check_names(made.decide_all, _checked(made, records.dtype), RECORDS, f"{made.name}.decide_all")
    decide_all = with_model(made.decide_all, model, RECORDS)
    decide_all(tuple(view_at(record.ctypes.data, records.dtype) for record in _each(records)))
    return tuple(_decision(made, record, records[0]) for record in _each(records))


def _records(made: Strategy, slots: Sequence[Mapping[str, Any]], verb: str) -> np.ndarray:
    """Return one record of `now` a slot with the given parts in it."""
    records = np.zeros(len(slots), now_dtype(made, tuple(made.indicators(Bars()))))
    for record, parts in zip(_each(records), slots, strict=True):
        store_constants(made, record)
        record["position"]["stop"] = record["position"]["target"] = UNSET
        for name, given in parts.items():
            _store(f"{verb}({made.name})", record, name, given)
    return records


def _checked(made: Strategy, dtype: np.dtype) -> np.dtype:
    """Return the layout of `now` as the check of names sees it."""
    return shown_with_model(dtype) if made.is_fitted() else dtype


def _each(records: np.ndarray) -> list[np.ndarray]:
    """Return each record as an array without dimensions over the same memory."""
    return [records[i: i + 1].reshape(()) for i in range(records.size)]


def _decision(made: Strategy, record: Any, first: Any) -> Decision:
    """Return what a record holds after a decision; shared memory is that of the first slot."""
    decision = Decision(_intent(record["intents"][i], made.tags) for i in range(int(record["intent_count"])))
    decision.state, decision.shared = _namespace(record, "state"), _namespace(first, "shared")
    return decision


def _store(owner: str, record: np.ndarray, name: str, given: Any) -> None:
    """Write one given part into the record of `now`."""
    fields = [field for field in record.dtype.names or () if field not in INTERNAL and field not in ("p", "tag")]
    if name not in fields:
        raise ConfigError(f"{owner}: now has no {name!r}{did_you_mean(name, fields)}; "
                          f"it has: {', '.join(fields)}")
    if name in ("fills", "orders"):
        if len(given) > MAX_ORDERS:
            raise ConfigError(f"{owner}: {len(given)} {name} are more than {MAX_ORDERS}")
        for row, values in zip(record[name], given, strict=False):
            _fill(owner, f"{name}[i]", row, values)
        record["fill_count" if name == "fills" else "order_count"] = len(given)
    elif record.dtype[name].names is None:
        record[name] = given
    else:
        _fill(owner, name, record[name], given)


def _fill(owner: str, path: str, record: Any, values: Mapping[str, Any]) -> None:
    names: Iterable[str] = record.dtype.names or ()
    for name, value in values.items():
        if name not in names:
            raise ConfigError(f"{owner}: now.{path} has no {name!r}{did_you_mean(name, names)}; "
                              f"it has: {', '.join(names)}")
        record[name] = value


def _intent(row: Any, tags: tuple[str, ...]) -> Intent:
    numbers = {name: None if row[name] == UNSET else float(row[name]) for name in NUMBERS}
    tag = int(row["tag"])
    return Intent(
        verb=Verb(int(row["verb"])), side=Side(int(row["side"])) if row["side"] else None,
        kind=OrderKind(int(row["kind"])), reduce_only=bool(row["reduce_only"]), priority=float(row["priority"]),
        group=int(row["group"]), tif=TimeInForce(int(row["tif"])), until=int(row["until"]),
        oco=int(row["oco"]),
        tag=tags[tag - 1] if 0 < tag <= len(tags) else "", **numbers)


def _namespace(record: np.ndarray, name: str) -> SimpleNamespace:
    """Return the memory of a record as plain values."""
    if name not in (record.dtype.names or ()):
        return SimpleNamespace()
    part = record[name]
    return SimpleNamespace(**{field: part[field].tolist() for field in part.dtype.names or ()})
