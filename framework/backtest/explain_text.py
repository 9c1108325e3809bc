"""The answer of `explain` in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Facts = Mapping[str, Any]

MEANING = {
    "not_a_number": "a price or quantity is no usable number",
    "wrong_side": "a stop or target stands on the wrong side of the price",
    "below_minimum": "the quantity is below the lot or a minimum of the instrument",
    "no_buying_power": "more than the account can pay",
    "nothing_to_close": "there is nothing to close",
    "too_many_orders": "the slot has as many orders as it may have",
    "shorts_not_allowed": "[account] shorts = false",
    "unknown_tag": "no working order has this tag",
    "group_refused": "another leg of the group was refused",
    "wrong_terms": "a time in force that there is not, or an `until` that it does not take or that is over",
    "symbol_ended": "the symbol had its last close",
    "margin_call": "the account is below its maintenance margin",
}
"""The reasons of the core in words; whatever else refuses is a rule of the configuration."""


def number(value: Any) -> str:
    """Return a number with up to eight significant digits, thousands apart."""
    if value is None:
        return "n/a"
    return f"{value:,.8g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.4g}"


def quantity(order: Facts) -> str:
    """Return how much an order is for."""
    return "the whole position" if not order.get("qty") else number(order["qty"])


def intent_told(intent: Facts) -> str:
    """Return an intent as words: `buy 100 at the market, stop 95`."""
    rest = {name: value for name, value in intent.items() if name not in ("verb", "side", "kind", "qty", "price")}
    amount = f" {number(intent['qty'])}" if "qty" in intent else ""
    if intent["verb"] == "order":
        kind = str(intent["kind"]).replace("_", " ")
        at = f" {kind} {number(intent['price'])}" if "price" in intent else "" if kind == "market" else f" {kind}"
        head = f"{intent['side']}{amount}{at}"
    else:
        price = f" {number(intent['price'])}" if "price" in intent else ""
        head = f"{str(intent['verb']).replace('_', ' ')}{amount}{price}"
    told = [f"{name.replace('_', ' ')} {number(value) if isinstance(value, float) else value}"
            for name, value in rest.items()]
    return ", ".join([head, *told])


def refusal_told(refusal: Facts) -> str:
    """Return a refusal or reduction with its rule, value and limit."""
    rule, measured = refusal["rule"], f"value {number(refusal.get('value'))}, limit {number(refusal.get('limit'))}"
    meaning = MEANING.get(rule)
    by = f"{rule} ({meaning}; {measured})" if meaning else f"the rule {rule} ({measured})"
    if refusal["allowed"] > 0:
        return f"reduced from {number(refusal['asked'])} to {number(refusal['allowed'])} by {by}"
    asked = f" {number(refusal['asked'])}" if refusal["asked"] > 0 else ""
    side = f" {refusal['side']}" if refusal.get("side") else f" {str(refusal['verb']).replace('_', ' ')}"
    when = f" at {refusal['time']}" if refusal.get("time") else ""
    return f"refused{side}{asked}{when} by {by}"


def fill_told(fill: Facts) -> str:
    """Return a fill with price, reference, slippage and fee."""
    word = "bought" if fill["side"] == "buy" else "sold"
    why = "" if fill["role"] == "entry" else f" ({fill['role']})"
    slip = f"reference {number(fill.get('reference'))}, slippage {number(fill.get('slippage'))}, "
    marks = "".join(f", {name.removeprefix('is_')}" for name in ("is_gapped", "is_cross") if fill.get(name))
    return (f"{word} {number(fill['qty'])} at {number(fill['price'])}{why} at {fill['time']}, {slip}"
            f"fee {number(fill['fee'])}{marks}")


def flow_told(flow: Facts) -> str:
    """Return a payment that is no fill's: what was received or paid, at which rate, on what."""
    word = "received" if flow["amount"] > 0 else "paid"
    if flow["kind"] == "dividend":
        on = f"{number(flow['rate'])} each on {number(flow['qty'])}"
    else:
        on = f"{flow['rate']:.6%} of {number(flow['base'])}"
    if flow.get("credit"):
        on += f" is {number(flow['tax'])}, less {number(flow['credit'])} withheld from sales before (TDS)"
    return f"{word} {number(abs(flow['amount']))} of {flow['kind']} at {flow['time']}: {on}"


def order_told(order: Facts) -> str:
    """Return an order as words: `order 12: sell stop 95, the whole position`."""
    kind = str(order["kind"]).replace("_", " ")
    price = f" {number(order['price'])}" if order.get("price") is not None else ""
    has_limit = order.get("limit") is not None
    limit = f" for {number(order['limit'])}" if has_limit and order["kind"] == "stop_limit" else ""
    role = f" ({order['role']})" if order["role"] not in ("entry", order["kind"]) else ""
    rest = ["once a stop limit"] if has_limit and order["kind"] == "limit" else []
    rest += [f"tag {order['tag']}"] if order.get("tag") else []
    rest += [str(order["time_in_force"]).upper()] if order.get("time_in_force") else []
    rest += [f"oco {order['oco']}"] if order.get("oco") else []
    return f"order {order['id']}: {order['side']} {kind}{price}{limit}{role}, {', '.join([quantity(order), *rest])}"


def fate_told(order: Facts) -> str:
    """Return what became of an order that was placed."""
    fills = order.get("fills", [])
    if fills:
        more = f" and {len(fills) - 1} more fill{'s' if len(fills) > 2 else ''}" if len(fills) > 1 else ""
        rest = "" if order["status"] == "filled" else f", then {order['status'].replace('_', ' ')}"
        return fill_told(fills[0]) + more + rest
    end = f" at {order['ended_time']}" if order.get("ended_time") else ""
    return f"not filled: {order['status'].replace('_', ' ')}{end}"


def verdict_of_slot(slot: Facts) -> str:
    """Return in a line why one strategy did or did not trade at the bar."""
    parts = [f"in this bar it {fill_told(fill)}, order {fill['order_id']}: {fill['because']}" for fill in slot["fills"]]
    parts += [f"order {order['id']} ended: {order['because']}" for order in slot["ended"]]
    parts += [f"order {order['id']}: {order['outcome']}" for order in slot["working"]
              if not order["outcome"].startswith(("filled", "ended"))]
    parts += [flow_told(flow) for flow in slot["cash_flows"]]
    if not slot["was_asked"]:
        parts.append(f"not asked, {slot['because']}")
    elif not slot["intents"]:
        parts.append("asked, and intended nothing" + (" itself" if slot["orders"] else ""))
    else:
        parts.append("intended " + " and ".join(intent_told(intent) for intent in slot["intents"]))
    parts += [refusal_told(refusal) for refusal in slot["refusals"]]
    parts += [f"order {order['id']}{purpose_told(order)} {fate_told(order)}" for order in slot["orders"]]
    cancelled = any(order["status"] == "canceled" for order in slot["ended"])
    if slot["intents"] and not (slot["refusals"] or slot["orders"] or cancelled):
        parts.append("no order came of it: what it wants is held or under way already")
    return "; ".join(parts)


def purpose_told(order: Facts) -> str:
    """Return what an order is for that no strategy placed, "" for others."""
    if order["role"] == "liquidation":
        return ", which closes what the account can no longer carry,"
    return f", with which {order['because']}," if order.get("because") else ""


def lines(document: Facts) -> list[str]:
    """Return the whole answer, line by line."""
    bar, account = document["bar"], document["account"]
    told = [
        f"{document['symbol']}, bar {bar['number']} of {bar['of']} ({bar['timeframe']}), {bar['open_time']} to "
        f"{bar['close_time']}",
        "  " + "  ".join(f"{name} {number(bar[name])}" for name in ("open", "high", "low", "close", "volume")),
        f"account  equity {number(account['equity'])}, cash {number(account['cash'])}, exposure "
        f"{number(account['exposure'])}, drawdown {account['drawdown']:.2%}, {account['open_positions']} open",
    ]
    told += [f"account  {flow_told(flow)}" for flow in account["cash_flows"]]
    for slot in document["slots"]:
        told += ["", slot["strategy"], *slot_lines(slot)]
    told += ["", f"why      {document['verdict']}"]
    return told + [f"* {note}" for note in document["notes"]]


def slot_lines(slot: Facts) -> Iterable[str]:
    """Yield the lines of one strategy: asked, known, worked, filled, made, ended, intended, refused, ordered."""
    yield f"asked    {'yes' if slot['was_asked'] else 'no'}: {slot['because']}"
    for name, value in slot["indicators"].items():
        yield f"known    {name} {number(value)}, the bar before {number(slot['indicators_before'][name])}"
    if slot.get("state"):
        yield "known    state: " + ", ".join(f"{name} {value}" for name, value in slot["state"].items())
    position = slot["position"]
    if position["qty"]:
        rest = "".join(f", {name} {number(position[name])}" for name in ("stop", "trail", "target") if name in position)
        bars = f"{position['bars_held']} bar{'' if position['bars_held'] == 1 else 's'}"
        yield (f"held     {number(position['qty'])} since {position['entry_time']} at "
               f"{number(position['entry_price'])}, {bars}, P&L {number(position['pnl'])}{rest}")
    else:
        yield "held     no position"
    for order in slot["working"]:
        yield f"worked   {order_told(order)}; {order['outcome']}"
    for fill in slot["fills"]:
        yield f"filled   order {fill['order_id']}, {fill['phase']}: {fill_told(fill)}; {fill['because']}"
    for flow in slot["cash_flows"]:
        yield f"flowed   {flow_told(flow)}"
    for order in slot["made"]:
        yield f"made     {order_told(order)}, at {order['placed_time']}"
    for order in slot["ended"]:
        yield f"ended    {order_told(order)}: {order['because']}"
    for intent in slot["intents"]:
        yield f"intended {intent_told(intent)}"
    for refusal in slot["refusals"]:
        yield f"risk     {refusal_told(refusal)}"
    for order in slot["orders"]:
        yield f"placed   {order_told(order)}{purpose_told(order) or ':'} {fate_told(order)}"
