"""The record tables of a run as polars frames with the names a person reads.

Times become Datetime[ns, UTC], sides "buy" and "sell" (positions "long" and "short"), roles, kinds, statuses
and reasons their names; an absent price, time, tag or slot becomes null.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.model.enums import CashKind, OrderKind, OrderStatus, Reason, Role, Side, TimeInForce, Verb
from framework.model.records import UNSET

if TYPE_CHECKING:
    import polars as pl

Structured = NDArray[np.void]


@np.errstate(invalid="ignore")
def number_column(values: NDArray[np.float64]) -> pl.Series:
    """Return floats with null where a value is unset or not finite."""
    import polars as pl

    values = np.ascontiguousarray(values)
    absent = ~np.isfinite(values) | (values == UNSET)
    column = pl.Series(values)
    return column if not absent.any() else column.set(pl.Series(absent), None)


def time_column(values: NDArray[np.int64]) -> pl.Series:
    """Return nanoseconds UTC as Datetime[ns, UTC], null where 0 or negative stands for `not yet`."""
    import polars as pl

    values = np.ascontiguousarray(values)
    column = pl.Series(values)
    if (values <= 0).any():
        column = column.set(pl.Series(values <= 0), None)
    return column.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")


def name_column(values: NDArray[np.int64], names: Sequence[str | None]) -> pl.Series:
    """Return the names that integers index, null where an integer is outside or its name is empty."""
    import polars as pl

    table = pl.Series([name or None for name in names] + [None], dtype=pl.String)
    index = np.where((values >= 0) & (values < len(names)), values, len(names))
    return table.gather(pl.Series(index))


def enum_column(values: NDArray[np.int64], vocabulary: type[IntEnum]) -> pl.Series:
    """Return the lower-case names of the members of a vocabulary that starts at 0."""
    names: list[str | None] = [None] * (max(vocabulary) + 1)
    for member in vocabulary:
        names[member] = member.name.lower()
    return name_column(values, names)


def side_column(values: NDArray[np.int64], words: tuple[str, str] = ("buy", "sell")) -> pl.Series:
    """Return the word of each side; null for neither."""
    return name_column(np.select([values == Side.BUY, values == Side.SELL], [0, 1], 2), words)


def reason_column(values: NDArray[np.int64], rule_names: Sequence[str]) -> pl.Series:
    """Return the names of reasons: those of the core in lower case, from RULE on the names of the config's rules."""
    names: list[str | None] = [None] * Reason.RULE + [*rule_names]
    for member in Reason:
        if member < Reason.RULE:
            names[member] = member.name.lower()
    return name_column(values, names)


def refusal_notes(refusals: Structured, rule_names: Sequence[str]) -> list[str]:
    """Return a note that names the reasons of rejected orders with their counts, the most frequent first; [] of none.

    refusals: REFUSAL rows; those that only reduced a quantity are no rejections.
    """
    rejected = refusals["reason"][refusals["allowed"] == 0.0]
    found, counts = np.unique(rejected, return_counts=True)
    if not len(found):
        return []
    order = np.argsort(-counts, kind="stable")
    names = reason_column(found[order], rule_names).to_list()
    told = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts[order].tolist(), strict=True))
    return [f"{len(rejected):,} rejected order{'' if len(rejected) == 1 else 's'}, by reason: {told}"]


def asks_to_trade(refusals: Structured) -> bool:
    """Return whether an order or a target was rejected, not only what had nothing to close, to move or to cancel."""
    ordered = np.isin(refusals["verb"], (Verb.ORDER, Verb.TARGET)) & (refusals["reason"] != Reason.NOTHING_TO_CLOSE)
    return bool(np.any(ordered & (refusals["allowed"] == 0.0)))


def tag_column(slots: NDArray[np.int64], tags: NDArray[np.int64], names: Sequence[Sequence[str]]) -> pl.Series:
    """Return the tag of each row: the integer `tags` of row i names `names[slots[i]][tags[i]]`."""
    width = max((len(of_slot) for of_slot in names), default=0)
    flat = [name for of_slot in names for name in [*of_slot, *[""] * (width - len(of_slot))]]
    known = (slots >= 0) & (slots < len(names)) & (tags >= 0) & (tags < width)
    return name_column(np.where(known, slots * width + tags, -1), flat)


@np.errstate(divide="ignore", invalid="ignore")
def trade_returns(trades: Structured, multipliers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the P&L of each trade as a fraction of the value entered: pnl / (qty * entry price * multiplier)."""
    value = trades["qty"] * trades["entry_price"] * multipliers[trades["symbol"]]
    return np.where(value > 0, trades["pnl"] / value, np.nan)


@attrs.frozen(eq=False)
class Namer:
    """Builds the frames of one run out of its records and its names.

    tags: the tag names of each slot. multipliers: float64[n_symbols].
    """

    symbols: Sequence[str]
    slots: Sequence[tuple[str, str]]
    tags: Sequence[Sequence[str]]
    rule_names: Sequence[str]
    multipliers: NDArray[np.float64]

    def owner(self, table: Structured) -> dict[str, Any]:
        """Return the columns that say whose row it is."""
        return {
            "strategy": name_column(table["slot"], [strategy for strategy, _ in self.slots]),
            "symbol": name_column(table["symbol"], self.symbols),
        }

    def orders(self, table: Structured) -> pl.DataFrame:
        """Return one row per order, in order of acceptance."""
        import polars as pl

        return pl.DataFrame(
            {
                "id": table["id"].copy(),
                "parent": table["parent"].copy(),
                **self.owner(table),
                "side": side_column(table["side"]),
                "kind": enum_column(table["kind"], OrderKind),
                "role": enum_column(table["role"], Role),
                "status": enum_column(table["status"], OrderStatus),
                "tag": tag_column(table["slot"], table["tag"], self.tags),
                "group": table["group"].copy(),
                "is_reduce_only": table["reduce_only"] != 0,
                "time_in_force": enum_column(table["tif"], TimeInForce),
                "until": time_column(table["until"]),
                "oco": table["oco"].copy(),
                "placed_time": time_column(table["placed_time"]),
                "ended_time": time_column(table["ended_time"]),
                "qty": number_column(table["qty"]),
                "filled": number_column(table["filled"]),
                "average_price": number_column(table["average_price"]),
                "price": number_column(table["price"]),
                "limit": number_column(table["limit"]),
                "stop": number_column(table["stop"]),
                "target": number_column(table["target"]),
            }
        )

    def fills(self, table: Structured) -> pl.DataFrame:
        """Return one row per execution, in the order in which they happened."""
        import polars as pl

        return pl.DataFrame(
            {
                "id": table["id"].copy(),
                "order_id": table["order_id"].copy(),
                "time": time_column(table["time"]),
                **self.owner(table),
                "side": side_column(table["side"]),
                "role": enum_column(table["role"], Role),
                "tag": tag_column(table["slot"], table["tag"], self.tags),
                **{
                    name: number_column(table[name])
                    for name in ("qty", "price", "reference", "fee", "slippage", "position")
                },
                **{name: table[name].copy() for name in ("is_maker", "is_cross", "is_gapped")},
            }
        )

    def trades(self, table: Structured, is_open: bool) -> pl.DataFrame:
        """Return one row per round trip; an open one is marked and has no reason of exit."""
        import polars as pl

        reason = enum_column(np.full(len(table), -1) if is_open else table["exit_role"], Role)
        return pl.DataFrame(
            {
                "id": table["id"].copy(),
                **self.owner(table),
                "side": side_column(table["side"], ("long", "short")),
                "entry_time": time_column(table["entry_time"]),
                ("mark_time" if is_open else "exit_time"): time_column(table["exit_time"]),
                "qty": number_column(table["qty"]),
                "entry_price": number_column(table["entry_price"]),
                ("mark_price" if is_open else "exit_price"): number_column(table["exit_price"]),
                "pnl": number_column(table["pnl"]),
                "return": number_column(trade_returns(table, self.multipliers)),
                **{name: number_column(table[name]) for name in ("fees", "slippage", "cash_flows", "mae", "mfe")},
                "bars": table["bars"].copy(),
                "fills": table["fills"].copy(),
                "exit_reason": reason,
            }
        )

    def exits(self, trade: NDArray[np.int64], table: Structured) -> pl.DataFrame:
        """Return one row per execution that reduced a trade. trade: its id, int64[n]. table: FILL rows."""
        import polars as pl

        return pl.DataFrame(
            {
                "trade": trade.copy(),
                "fill": table["id"].copy(),
                "time": time_column(table["time"]),
                **self.owner(table),
                "reason": enum_column(table["role"], Role),
                **{name: number_column(table[name]) for name in ("qty", "price", "fee", "slippage")},
            }
        )

    def cash_flows(self, table: Structured) -> pl.DataFrame:
        """Return one row per payment that is no fill's; interest and tax are nobody's but the account's."""
        import polars as pl

        return pl.DataFrame(
            {
                "id": table["id"].copy(),
                "time": time_column(table["time"]),
                **self.owner(table),
                "kind": enum_column(table["kind"], CashKind),
                **{name: number_column(table[name]) for name in ("qty", "base", "rate", "amount")},
            }
        )

    def refusals(self, table: Structured) -> pl.DataFrame:
        """Return one row per refused or reduced intent, with the rule, what it measured and its limit."""
        import polars as pl

        return pl.DataFrame(
            {
                "time": time_column(table["time"]),
                **self.owner(table),
                "side": side_column(table["side"]),
                "verb": enum_column(table["verb"], Verb),
                "rule": reason_column(table["reason"], self.rule_names),
                **{name: number_column(table[name]) for name in ("asked", "allowed", "value", "limit")},
            }
        )


def equity_frame(marks: Structured, drawdown: NDArray[np.float64]) -> pl.DataFrame:
    """Return one row per mark of the account: time, equity, cash, exposure and drawdown (a fraction, >= 0)."""
    import polars as pl

    return pl.DataFrame(
        {
            "time": time_column(marks["time"]),
            **{name: number_column(marks[name]) for name in ("equity", "cash", "exposure")},
            "drawdown": number_column(drawdown),
        }
    )
