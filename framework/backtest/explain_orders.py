"""What a bar did to the orders of one slot: which worked, filled, ended, were made or refused, and why.

A bar of a symbol has all that happened to its slots behind the close of the bar before, up to and with its own close:
so every order, fill, end and refusal of a run belongs to one bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from framework.backtest.recorded import Recorded
from framework.backtest.replay import Moment
from framework.data.series import format_time
from framework.engine.state import used_logs
from framework.model.enums import CashKind, OrderKind, OrderStatus, Role, Side, TimeInForce, Verb
from framework.model.records import UNSET

OPEN, RANGE, CLOSE = "open", "range", "close"
"""The phases in which a bar fills orders."""

PROTECTIVE = (Role.STOP, Role.TRAIL, Role.TARGET)

FILL_COLUMNS = ("id", "order_id", "time", "side", "role", "qty", "price", "reference", "slippage", "fee", "position",
                "is_gapped", "is_cross")
ORDER_COLUMNS = ("id", "side", "kind", "role", "status", "qty", "filled", "average_price", "price", "limit", "stop",
                 "target", "tag")
TAX = CashKind.TAX.name.lower()

ROUNDING = 1e-9
"""The share of a tax below which a difference is none."""

FLOW_COLUMNS = ("id", "kind", "qty", "base", "rate", "amount")
REFUSAL_COLUMNS = ("side", "verb", "rule", "asked", "allowed", "value", "limit")

ROLES = {
    Role.END: "close_at_end closes what is open at the last close of the run",
    Role.DELISTED: "its symbol has no more bars, so it leaves at the last close",
    Role.LIQUIDATION: "the account had fallen below its maintenance margin",
    Role.HALT: "a risk rule had asked for everything to be closed",
}
"""Why orders fill that no strategy placed."""

ENDS = {
    OrderStatus.POSITION_CLOSED: "its position was closed",
    OrderStatus.CUT_AT_FILL: "buying power at the fill did not cover the rest",
    OrderStatus.REPLACED: "a newer entry put its own in its place",
    OrderStatus.ENDED: "its symbol had its last close",
    OrderStatus.MARGIN_CALL: "the account fell below its maintenance margin",
    OrderStatus.SLIPPAGE: "its slippage was more than a rule allows",
}
"""Why orders end; what needs more than the status is said by `why_ended`."""


# --- plain values -----------------------------------------------------------------------------------------------------


def name_of(vocabulary: type[Any], value: Any) -> str:
    """Return the lower-case name of a member of a vocabulary, its number when it has none."""
    try:
        return str(vocabulary(int(value)).name.lower())
    except ValueError:
        return str(int(value))


def tag_of(tags: Any, number: Any) -> dict[str, str]:
    """Return the name of a tag under its key; nothing for no tag."""
    return {"tag": tags[int(number)]} if 0 < int(number) < len(tags) else {}


def set_numbers(record: np.void, names: tuple[str, ...]) -> dict[str, float]:
    """Return the optional numbers of a record that are set."""
    return {name: float(record[name]) for name in names if float(record[name]) != UNSET}


def lifetime_of(tif: Any, until: Any) -> dict[str, str]:
    """Return how long an order works under its keys; nothing for good till cancelled."""
    told = {} if int(tif) == TimeInForce.GTC else {"time_in_force": name_of(TimeInForce, tif)}
    return told | ({"until": format_time(int(until))} if int(until) > 0 else {})


def frame_rows(frame: Any, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows of a frame as dicts, without what is null."""
    return [{name: value for name, value in row.items() if value is not None}
            for row in frame.select(columns).iter_rows(named=True)]


def order_rows(orders: Any) -> list[dict[str, Any]]:
    """Return orders as dicts, with times as text; what is the same for most orders is left out."""
    import polars as pl

    found = frame_rows(orders, ORDER_COLUMNS)
    more = orders.select("oco", "time_in_force", until=pl.col("until").dt.timestamp("ns"),
                         ended_time=pl.col("ended_time").dt.timestamp("ns"))
    for row, rest in zip(found, more.iter_rows(named=True), strict=True):
        row |= {"oco": rest["oco"]} if rest["oco"] else {}
        row |= {"time_in_force": rest["time_in_force"]} if rest["time_in_force"] != "gtc" else {}
        row |= {name: format_time(rest[name]) for name in ("until", "ended_time") if rest[name] is not None}
    return found


# --- the logs of one bar ----------------------------------------------------------------------------------------------


def new_rows(moment: Moment, slot: int, name: str) -> np.ndarray:
    """Return what a log got for a slot in this bar."""
    rows: np.ndarray = used_logs(moment.simulation.state)[name][moment.earlier.logged[name]:]
    found: np.ndarray = rows[rows["slot"] == slot]
    return found


def order_row(moment: Moment, number: Any) -> np.void:
    """Return the row of an order in the log, as it stands behind the bar."""
    row: np.void = used_logs(moment.simulation.state)["orders"][int(number) - 1]
    return row


def before_bar(moment: Moment, slot: int) -> dict[int, np.void]:
    """Return the orders that worked when the bar began, by id."""
    return {int(order["id"]): order for order in moment.earlier.orders[slot]}


def refusals_of(moment: Moment, slot: int) -> list[dict[str, Any]]:
    """Return what was refused or reduced in this bar, with rule, value and limit; `time` when not at its close."""
    rows = new_rows(moment, slot, "refusals")
    found = frame_rows(moment.namer.refusals(rows), REFUSAL_COLUMNS)
    return [one | ({} if time == moment.close_time else {"time": format_time(int(time))})
            for one, time in zip(found, rows["time"], strict=True)]


def cash_flows_of(moment: Moment, slot: int) -> list[dict[str, Any]]:
    """Return what was received and paid in this bar beside fills; slot: -1 for the interest of the account."""
    rows = new_rows(moment, slot, "cash_flows")
    found = frame_rows(moment.namer.cash_flows(rows), FLOW_COLUMNS)
    for one, time in zip(found, rows["time"], strict=True):
        one["time"] = format_time(int(time))
        if one["kind"] == TAX:
            one["tax"] = one["rate"] * one["base"]
            one["credit"] = credit_of(one["tax"], one["amount"])
    return found


def credit_of(tax: float, amount: float) -> float:
    """Return what was withheld from sales and counts towards a tax of which the account moves `amount`, < 0 when paid.

    >>> credit_of(75.0, -62.0), credit_of(0.1 + 0.2, -0.3)
    (13.0, 0.0)
    """
    credit = tax + amount
    return credit if credit > ROUNDING * max(tax, 1.0) else 0.0


# --- fills ------------------------------------------------------------------------------------------------------------


def phase_of(moment: Moment, fill: np.void) -> str:
    """Return the phase of a bar in which something was filled."""
    order = order_row(moment, fill["order_id"])
    if int(fill["time"]) == moment.open_time:
        return OPEN
    at_close = order["kind"] == OrderKind.MARKET_ON_CLOSE or order["role"] in (Role.END, Role.DELISTED)
    return CLOSE if at_close else RANGE


def fills_of_bar(moment: Moment, slot: int) -> list[dict[str, Any]]:
    """Return the fills of the slot in this bar, each with its phase and why it came about."""
    rows = new_rows(moment, slot, "fills")
    earlier = before_bar(moment, slot)
    found = frame_rows(moment.namer.fills(rows), FILL_COLUMNS)
    for fill, row in zip(found, rows, strict=True):
        fill["phase"] = phase_of(moment, row)
        fill["time"] = format_time(int(row["time"]))
        fill["because"] = why_filled(moment, row, fill["phase"], earlier.get(int(row["order_id"])))
    return found


def why_filled(moment: Moment, fill: np.void, phase: str, earlier: np.void | None) -> str:
    """Return why an order was filled. earlier: the order before the bar, None for one that was made in it."""
    order = order_row(moment, fill["order_id"])
    role = Role(int(order["role"]))
    if fill["is_cross"]:
        return "crossed at the open with an order of another strategy, free of cost"
    if fill["is_gapped"]:
        return "its entry was filled at or beyond it, so it left at once"
    if role in ROLES:
        return ROLES[role]
    if phase == CLOSE:
        return "at the close, as asked"
    price = float(order["price"])
    if fill["is_maker"]:
        return f"the open was {price:.8g} or better" if phase == OPEN else f"the range reached its limit of {price:.8g}"
    was_stop = order["kind"] == OrderKind.STOP or (earlier is not None and earlier["kind"] == OrderKind.STOP)
    if phase == OPEN:
        return f"the open was at or beyond its stop of {price:.8g}" if was_stop else "at the open"
    return f"the range touched its stop of {price:.8g}"


# --- orders that worked -----------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class Working:
    """The orders of a slot that worked in a bar, and what the bar did to each."""

    moment: Moment
    slot: int

    def orders(self) -> list[dict[str, Any]]:
        """Return each as it stood when the bar began or it was made, with the outcome; in order of acceptance."""
        moment = self.moment
        rows = before_bar(moment, self.slot)
        late = {int(order["id"]): order for order in moment.at_close.orders[self.slot]}
        filled = set(new_rows(moment, self.slot, "fills")["order_id"].tolist())
        found = []
        for number, order in ({**late, **rows}).items():
            told = {"id": number, "side": name_of(Side, order["side"]), "kind": name_of(OrderKind, order["kind"]),
                    "role": name_of(Role, order["role"]), "qty": float(order["remaining"]),
                    **set_numbers(order, ("price", "limit")), **tag_of(moment.namer.tags[self.slot], order["tag"]),
                    **lifetime_of(order["tif"], 0)}
            told |= {"oco": int(order["oco"])} if order["oco"] else {}
            reached = self.is_reached(late.get(number, order))
            told |= {} if reached is None else {"is_reached": reached}
            found.append(told | {"outcome": self.outcome(number, order, late.get(number), filled)})
        return sorted(found, key=lambda one: int(one["id"]))

    def is_reached(self, order: np.void) -> bool | None:
        """Return whether the bar's range touched the price of an order; None for one without a price."""
        moment, price, is_buy = self.moment, float(order["price"]), order["side"] == Side.BUY
        if price == UNSET or order["kind"] not in (OrderKind.LIMIT, OrderKind.STOP, OrderKind.STOP_LIMIT):
            return None
        low, high = float(moment.tape.low[moment.bar]), float(moment.tape.high[moment.bar])
        if order["kind"] != OrderKind.LIMIT:
            return high >= price if is_buy else low <= price
        state = moment.simulation.state
        through = float(state.settings["limit_through"][0]) * float(state.symbols["tick"][moment.symbol])
        return low <= price - through if is_buy else high >= price + through

    def outcome(self, number: int, order: np.void, late: np.void | None, filled: set[int]) -> str:
        """Return what the bar did to an order in words. late: the order before the close, None when it had ended."""
        row = order_row(self.moment, number)
        status = OrderStatus(int(row["status"]))
        if number in filled:
            return "filled" if status == OrderStatus.FILLED else "filled in part"
        if status != OrderStatus.WORKING:
            return "ended: " + why_ended(self.moment, self.slot, row)
        if order["active_from"] > self.moment.open_time:
            return "placed when the bar was in progress, so it may fill from the next one on"
        if order["kind"] == OrderKind.STOP_LIMIT and row["kind"] == OrderKind.LIMIT:
            by = "passed by the open" if late is not None and late["kind"] == OrderKind.LIMIT else "touched"
            since = "" if by != "touched" else " from the next bar on"
            return f"its stop price was {by}: it is a limit of {float(row['price']):.8g}{since}, and was not filled"
        if order["kind"] == OrderKind.STOP and row["kind"] == OrderKind.MARKET:
            return "touched, and nothing could be filled: it is a market order from now on"
        return self.unfilled(order if late is None else late)

    def unfilled(self, order: np.void) -> str:
        """Return why an order that works on was not filled."""
        bar, tape = self.moment.bar, self.moment.tape
        low, high = float(tape.low[bar]), float(tape.high[bar])
        reached = self.is_reached(order)
        if reached is None:
            is_market = order["kind"] in (OrderKind.MARKET, OrderKind.MARKET_ON_CLOSE)
            return "no volume was left for it in this bar" if is_market else "it has no price yet"
        if reached:
            return "reached, and nothing of it was filled in this bar"
        if order["kind"] == OrderKind.LIMIT and low <= float(order["price"]) <= high:
            return "touched, but not traded through"
        return f"not reached by {low:,.8g} to {high:,.8g}"


# --- orders that were made --------------------------------------------------------------------------------------------


def is_placed(moment: Moment, rows: np.ndarray) -> np.ndarray:
    """Return which new orders the close gave rise to: not those that a fill made, or that closed a symbol's position.

    rows: ORDER rows.  Returns bool[rows].
    """
    found: np.ndarray = ((rows["id"] > moment.at_close.logged["orders"]) & (rows["parent"] == 0)
                         & ~np.isin(rows["role"], (Role.END, Role.DELISTED)))
    return found


def orders_made(moment: Moment, slot: int) -> list[dict[str, Any]]:
    """Return the orders that came up before the decision of this close: by a fill, at the end, or inside the bar."""
    rows = new_rows(moment, slot, "orders")
    rows = rows[~is_placed(moment, rows)]
    return [order | {"placed_time": format_time(int(time))}
            for order, time in zip(order_rows(moment.namer.orders(rows)), rows["placed_time"], strict=True)]


def orders_placed(run: Recorded, moment: Moment, slot: int) -> list[dict[str, Any]]:
    """Return the orders that the close gave rise to, with what became of each and its fills, as recorded."""
    import polars as pl

    rows = new_rows(moment, slot, "orders")
    ids = rows["id"][is_placed(moment, rows)].tolist()
    if not ids:
        return []
    orders = order_rows(run.table("orders").filter(pl.col("id").is_in(ids)))
    fills = run.table("fills").filter(pl.col("order_id").is_in(ids))
    times = fills["time"].dt.timestamp("ns").to_list()
    told = [row | {"time": format_time(time)}
            for row, time in zip(frame_rows(fills, FILL_COLUMNS), times, strict=True)]
    halt = name_of(Role, Role.HALT)
    return [order | ({"because": f"{rules_told(moment)} closes everything"} if order["role"] == halt else {})
            | {"fills": [fill for fill in told if fill["order_id"] == order["id"]]} for order in orders]


def rules_told(moment: Moment) -> str:
    """Return the rules that had everything closed at this close in words."""
    return f"the rule {' and the rule '.join(moment.halted_by)}" if moment.halted_by else "a rule"


# --- orders that ended ------------------------------------------------------------------------------------------------


def orders_ended(moment: Moment, slot: int) -> list[dict[str, Any]]:
    """Return the orders that ended in this bar otherwise than by being filled, each with why."""
    logs: Mapping[str, Any] = used_logs(moment.simulation.state)
    ids = [*before_bar(moment, slot), *new_rows(moment, slot, "orders")["id"].tolist()]
    rows = logs["orders"][np.array(sorted(ids), np.int64) - 1]
    rows = rows[~np.isin(rows["status"], (OrderStatus.WORKING, OrderStatus.FILLED))]
    return [order | {"because": why_ended(moment, slot, row)}
            for order, row in zip(order_rows(moment.namer.orders(rows)), rows, strict=True)]


def why_ended(moment: Moment, slot: int, row: np.void) -> str:
    """Return why an order ended without being filled to the end."""
    status = OrderStatus(int(row["status"]))
    fills = new_rows(moment, slot, "fills")
    if status == OrderStatus.EXPIRED:
        if row["tif"] == TimeInForce.DAY:
            return "the session that it was good for is over"
        return f"it was good until {format_time(int(row['until']))}"
    if status == OrderStatus.SIBLING_FILLED:
        of = [int(n) for n in fills["order_id"] if order_row(moment, n)["oco"] == row["oco"] and n != row["id"]]
        return f"order {of[0]}, of the same oco number, was filled" if of else "another order of its oco was filled"
    if status == OrderStatus.POSITION_CLOSED and fills.size:
        closing = fills[fills["side"] == (row["side"] if row["reduce_only"] else -row["side"])]
        by = f" by order {int(closing['order_id'][-1])}" if closing.size else ""
        return ENDS[status] + by
    if status == OrderStatus.CANCELED:
        return why_cancelled(moment, slot, row)
    return ENDS[status]


def why_cancelled(moment: Moment, slot: int, row: np.void) -> str:
    """Return who cancelled an order: the strategy, its time in force, or a rule."""
    is_decided = row["ended_time"] == moment.close_time
    kept = moment.asked.get(slot) if is_decided else None
    intents = [] if kept is None else list(kept.after["intents"][: int(kept.after["intent_count"])])
    verbs = [(Verb(int(one["verb"])), int(one["tag"]), float(one["weight"])) for one in intents]
    if any(verb == Verb.CANCEL_ALL or (verb == Verb.CANCEL and tag == row["tag"]) for verb, tag, _ in verbs):
        return "cancelled by the strategy"
    if row["tag"] and any(tag == row["tag"] for verb, tag, _ in verbs if verb <= Verb.TARGET):
        return "a newer order of the strategy took its tag"
    if row["tif"] in (TimeInForce.IOC, TimeInForce.FOK):
        all_of_it = "all of it at once" if row["tif"] == TimeInForce.FOK else "it"
        left = float(row["qty"]) - float(row["filled"])
        return f"its one chance did not fill {all_of_it}: {left:.8g} of {float(row['qty']):.8g} were left"
    if row["filled"] > 0 and any(verb == Verb.CLOSE and weight >= 1.0 for verb, _, weight in verbs):
        return "the strategy closes the position, so it is not entered further"
    if not is_decided:
        return f"cancelled at {format_time(int(row['ended_time']))}, inside the bar"
    return f"{rules_told(moment)} had everything closed"
