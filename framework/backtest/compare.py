"""What two runs differ in, and where: configuration, versions, plug-ins and data first, then the first other row.

The first difference in time is looked for in what each table fixes when a row comes about: an order that ended
otherwise is found where it ended, not where it was placed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framework.backtest.explain import explain
from framework.backtest.plain import plain
from framework.backtest.recorded import Recorded, load_recorded, open_run, plugin_difference, why_not
from framework.backtest.strategy_section import labels_of
from framework.data.series import FIELDS, format_time
from framework.data.tape import Tape
from framework.errors import FrameworkError

if TYPE_CHECKING:
    import polars as pl

ABSENT = "not set"

WITHOUT_PART = ("run.name", "benchmark", "tax", "monte_carlo", "optimize", "walk_forward", "broker",
                "account.risk_free_rate", "account.currency")
"""Keys and sections that no trade depends on; on a tax that is paid inside the run it does."""

ENDS = "order ends"
"""The name of the table of how orders ended, a part of `orders`."""

TABLES = {"refusals": "time", "orders": "placed_time", "fills": "time", ENDS: "ended_time", "trades": "exit_time",
          "cash_flows": "time", "equity": "time"}
"""The tables in the order in which their rows of one instant come about, with the column that says when."""

FIXED = ("id", "parent", "strategy", "symbol", "side", "tag", "group", "is_reduce_only", "time_in_force", "until",
         "oco", "placed_time", "qty", "limit", "stop", "target")
"""The columns of an order that never change after it is accepted."""

FINAL = ("strategy", "symbol", "kind", "role", "status", "qty", "filled", "average_price", "price", "ended_time")
"""The columns of an order that say how it ended, or lead to whoever it belonged to."""


def compare(one: str | Path, other: str | Path, any_version: bool = False) -> dict[str, Any]:
    """Return what two recorded runs differ in, as plain values; ``framework diff --json`` writes it.

    any_version: explain both sides even when the code is not that of a run.
    Raises ConfigError for a run that is not there and DataError for one that cannot be read.
    """
    runs = (open_run(one), open_run(other))
    causes = [*config_causes(*runs), *version_causes(*runs), *plugin_causes(*runs), *data_causes(*runs)]
    first = first_difference(*runs)
    names = dict.fromkeys([*runs[0].stats, *runs[1].stats])
    statistics = {name: [run.stats.get(name) for run in runs] for name in names
                  if runs[0].stats.get(name) != runs[1].stats.get(name)}
    found = {
        "runs": [str(run.folder) for run in runs],
        "is_same": first is None and not statistics,
        "causes": causes,
        "first_difference": first,
        "explained": [] if first is None else [told(run, first, any_version) for run in runs],
        "statistics": statistics,
    }
    document: Any = plain(found | {"verdict": verdict(found)})
    return dict(document)


def verdict(found: Mapping[str, Any]) -> str:
    """Return in a sentence whether the runs differ and what that comes from."""
    able = [cause["told"] for cause in found["causes"] if cause["has_part"]]
    if found["is_same"]:
        return "the runs did the same" + (f", although {len(able)} thing{'s' if len(able) > 1 else ''} differ"
                                          f"{'' if len(able) > 1 else 's'}: {'; '.join(able)}" if able else "")
    if found["first_difference"] is None:
        others = [cause["told"] for cause in found["causes"]]
        return "the runs traded alike, and their statistics differ: " + ("; ".join(others) or "no recorded cause")
    if not able:
        return ("the runs differ although configuration, versions, plug-ins and data are the same: a plug-in depends "
                "on something beside its inputs, or a file of a run was changed")
    if len(able) == 1:
        return f"the one thing that differs is the cause: {able[0]}"
    return f"{len(able)} things differ, each of which can be the cause: {'; '.join(able)}"


# --- causes -----------------------------------------------------------------------------------------------------------


def cause(kind: str, what: str, values: tuple[Any, Any], text: str, has_part: bool = True) -> dict[str, Any]:
    """Return one difference. values: of the two runs. has_part: whether a trade can depend on it."""
    return {"kind": kind, "what": what, "values": list(values), "has_part": has_part, "told": text}


def config_causes(one: Recorded, other: Recorded) -> Iterable[dict[str, Any]]:
    """Yield every key of the configurations that differs, by its dotted name."""
    flat = [dict(flattened("", run.document["config"])) for run in (one, other)]
    same_data = one.document["fingerprint"] == other.document["fingerprint"]
    is_felt = any(one.get("tax.in_equity") for one in flat)
    for key in dict.fromkeys([*flat[0], *flat[1]]):
        values = (flat[0].get(key, ABSENT), flat[1].get(key, ABSENT))
        if values[0] == values[1]:
            continue
        has_part = not any(key == name or key.startswith(f"{name}.") for name in WITHOUT_PART)
        has_part = has_part or (is_felt and key.startswith("tax."))
        has_part = has_part and not (same_data and key.startswith("data."))
        yield cause("config", key, values, f"{key} is {shown(values[0])} in the first and {shown(values[1])} in the "
                    "second", has_part)
    rules = [list(run.document["rules"]) for run in (one, other)]
    if rules[0] != rules[1] and sorted(rules[0]) == sorted(rules[1]):
        yield cause("config", "risk", (rules[0], rules[1]),
                    f"the rules are asked in the order {', '.join(rules[0])} in the first and {', '.join(rules[1])} in "
                    "the second")


def flattened(prefix: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Yield every leaf of nested tables by its dotted name; items of a list of tables by what they are called."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flattened(f"{prefix}.{key}" if prefix else str(key), item)
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        labels = labels_of((str(item.get("name", "")), item.get("label")) for item in value)
        for label, item in zip(labels, value, strict=True):
            yield from flattened(f"{prefix}.{label}", item)
    else:
        yield prefix, value


def shown(value: Any) -> str:
    """Return a value of a configuration for a message."""
    if value == ABSENT:
        return ABSENT
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def version_causes(one: Recorded, other: Recorded) -> Iterable[dict[str, Any]]:
    """Yield every package whose version differs, else the source of the step when that does."""
    then, now = dict(one.document["versions"]), dict(other.document["versions"])
    different = [name for name in dict.fromkeys([*then, *now]) if then.get(name) != now.get(name)]
    for name in different:
        values = (then.get(name, ABSENT), now.get(name, ABSENT))
        yield cause("version", name, values, f"{name} is {values[0]} in the first and {values[1]} in the second")
    keys = (one.document.get("engine", ""), other.document.get("engine", ""))
    if keys[0] != keys[1] and not different:
        yield cause("version", "engine", keys, "the source of the framework's step differs under the same versions")


def plugin_causes(one: Recorded, other: Recorded) -> Iterable[dict[str, Any]]:
    """Yield every plug-in that both use and that differs; those of one alone are in the configuration."""
    sides = [{(item["kind"], item["name"]): item for item in run.document.get("plugins", [])} for run in (one, other)]
    for key, item in sides[0].items():
        found = plugin_difference(item, sides[1][key]) if key in sides[1] else None
        if found is not None:
            what, *values = found
            told = f"{what} is {values[0]} in the first and {values[1]} in the second"
            if what == "source":
                told = f"its source differs under the same version {item['version']}".rstrip()
            yield cause("plugin", " ".join(key), (values[0], values[1]), f"{' '.join(key)}: {told}")


def data_causes(one: Recorded, other: Recorded) -> Iterable[dict[str, Any]]:
    """Yield the difference of the data: the first other bar where the data is still there, else the symbols."""
    prints = (one.document["fingerprint"], other.document["fingerprint"])
    if prints[0] == prints[1]:
        return
    sides = [{item["symbol"]: item for item in run.document.get("data", {}).get("series", [])} for run in (one, other)]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    changed = [name for name in names if sides[0].get(name) != sides[1].get(name)]
    text = f"the data differs: fingerprint {prints[0][:12]} and {prints[1][:12]}"
    if changed:
        text += f", bars of {', '.join(changed[:5])}" + (" ..." if len(changed) > 5 else "")
    elif names:
        text += ", in the instruments or the account's calendar: the bars are the same"
    tapes: list[Tape] = []
    for run in (one, other):
        try:
            tapes.append(load_recorded(run, run.config()))
        except FrameworkError as error:
            text += f"; which bar cannot be said: {why_not(error)}"
            break
    if len(tapes) == 2 and changed:
        text += f"; {first_bar(tapes[0], tapes[1], changed)}"
    yield cause("data", ", ".join(changed), prints, text)


def first_bar(one: Tape, other: Tape, symbols: list[str]) -> str:
    """Return the first bar that differs, in words."""
    found: list[tuple[int, str]] = []
    for symbol in symbols:
        if symbol not in one.symbols or symbol not in other.symbols:
            found.append((0, f"{symbol} is in one of them only"))
            continue
        rows = [tape.rows(tape.symbol_index(symbol)) for tape in (one, other)]
        sides = [{name: getattr(tape, name)[part] for name in ("open_time", "close_time", *FIELDS)}
                 for tape, part in zip((one, other), rows, strict=True)]
        size = min(len(side["close"]) for side in sides)
        unequal = np.zeros(size, bool)
        for name in sides[0]:
            unequal |= sides[0][name][:size] != sides[1][name][:size]
        place = int(np.argmax(unequal)) if unequal.any() else size
        if place == size:
            longer = max(sides, key=lambda side: len(side["close"]))
            if len(longer["close"]) > size:
                found.append((int(longer["close_time"][size]), f"{symbol} ends earlier in one: bar {size + 1}, which "
                              f"closes at {format_time(int(longer['close_time'][size]))}, is in the other only"))
            continue
        values = [f"{name} {side_value(sides[0], name, place)} and {side_value(sides[1], name, place)}"
                  for name in sides[0] if sides[0][name][place] != sides[1][name][place]]
        time = int(sides[0]["close_time"][place])
        where = f"first {symbol}, bar {place + 1}, which closes at {format_time(time)}"
        found.append((time, f"{where}: {', '.join(values)}"))
    return min(found)[1] if found else "no bar differs"


def side_value(side: Mapping[str, Any], name: str, place: int) -> str:
    """Return a time or a number of a bar for a message."""
    value = side[name][place]
    return format_time(int(value)) if name.endswith("_time") else repr(float(value))


# --- where ------------------------------------------------------------------------------------------------------------


def first_difference(one: Recorded, other: Recorded) -> dict[str, Any] | None:
    """Return the first row in time that the runs do not share: table, time, owner and both rows; None without any."""
    found = []
    for rank, (name, time) in enumerate(TABLES.items()):
        sides = [rows_of(run, name) for run in (one, other)]
        place = first_other_row(*sides)
        if place is None:
            continue
        rows = [side.row(place, named=True) if place < len(side) else None for side in sides]
        times = [side[time].dt.timestamp("ns")[place] for side in sides if place < len(side)]
        found.append((min(times), rank, name, place, rows))
    if not found:
        return None
    first, _, name, place, rows = min(found, key=lambda item: item[:2])
    known = [row for row in rows if row is not None]
    columns = [key for key in known[0] if len(known) == 1 or known[0][key] != known[1][key]]
    earliest = min(known, key=lambda row: row[TABLES[name]])
    return {"table": name, "row": place, "time": format_time(first), "symbol": earliest.get("symbol"),
            "strategy": earliest.get("strategy"), "columns": columns if len(known) == 2 else [], "rows": rows}


def rows_of(run: Recorded, name: str) -> pl.DataFrame:
    """Return a table of a run in the order in which its rows came about, without what changes afterwards.

    Of an order of its own, kind and price are as they were placed: a stop that was touched may be recorded as a market
    order, a stop-limit as a limit, whose prices are then told by how it ended.
    """
    import polars as pl

    if name == ENDS:
        ended = run.table("orders").select(pl.col("id").alias("order_id"), *FINAL)
        return ended.filter(pl.col("ended_time").is_not_null()).sort("ended_time", "order_id")
    table = run.table(name)
    if name != "orders":
        return table
    own, is_stop_limit = pl.col("parent") == 0, pl.col("limit").is_not_null()
    was_stop = (pl.col("kind") == "market") & pl.col("price").is_not_null()
    kind = pl.when(is_stop_limit).then(pl.lit("stop_limit")).when(was_stop).then(pl.lit("stop")).otherwise("kind")
    return table.select(*FIXED, pl.when(own).then(kind).alias("kind"),
                        pl.when(own & ~is_stop_limit).then(pl.col("price")).alias("price"))


def first_other_row(one: pl.DataFrame, other: pl.DataFrame) -> int | None:
    """Return the first row in which two tables differ, of which one may be longer; None when they are equal."""
    import polars as pl

    size = min(len(one), len(other))
    same = pl.Series([True] * size, dtype=pl.Boolean)
    for name in one.columns:
        same &= one[name].head(size).eq_missing(other[name].head(size))
    unequal = (~same).arg_true()
    if len(unequal):
        return int(unequal[0])
    return None if len(one) == len(other) else size


def told(run: Recorded, first: Mapping[str, Any], any_version: bool) -> dict[str, Any]:
    """Return what one run has to say of the first difference: `explain` at its bar, or why that cannot be said."""
    symbol, at = first["symbol"], first["time"]
    if symbol is None:
        return {"run": str(run.folder), "error": "it is of the whole account, which no one symbol explains"}
    if first["table"] in ("fills", "trades", ENDS):
        at = placed(run, first) or at
    try:
        return dict(explain(run, symbol, at, any_version=any_version))
    except FrameworkError as error:
        return {"run": str(run.folder), "error": why_not(error)}


def placed(run: Recorded, first: Mapping[str, Any]) -> str | None:
    """Return when the order of the first other fill or end was placed by the strategy; None for a protective order."""
    import polars as pl

    ids = [row["order_id"] for row in first["rows"] if row is not None and "order_id" in row]
    orders = run.table("orders").filter(pl.col("id").is_in(ids) & (pl.col("parent") == 0))
    return format_time(int(orders["placed_time"].dt.timestamp("ns")[0])) if len(orders) else None
