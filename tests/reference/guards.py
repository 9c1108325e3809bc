"""Rules beside the chain of an opening: what gives entries protection, what watches marks, and what is near a limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from framework.model.enums import OrderKind, OrderStatus, Role, Verb
from framework.model.records import MAX_ORDERS
from tests.reference.account import Account, Slot
from tests.reference.history import Moment
from tests.reference.margin import send_out
from tests.reference.market import Order, down, round_limit
from tests.reference.matching import STOPS
from tests.reference.rules_base import Entry

# --- before an opening is sized ---------------------------------------------------------------------------------------


def protect(account: Account, ask: Any, reference: float) -> None:
    """Let the rules that protect look at an order or target that may open, in the order of the config."""
    if not account.settings.rules or ask.intent.reduce_only:
        return
    slot, side = ask.slot, side_of(account, ask)
    adds = side * slot.position > 0
    has_stop = adds and account.protection(slot, *STOPS) is not None
    has_target = adds and account.protection(slot, Role.TARGET) is not None
    entry = Entry(ask.intent, reference, side, has_stop, has_target)
    for number, rule in enumerate(account.settings.rules):
        before = replace(ask.intent)
        if hasattr(rule, "protects"):
            rule.protects(entry)
        account.result.protected[number] += ask.intent != before
    ask.partial = entry.partial


def side_of(account: Account, ask: Any) -> int:
    """Return the side of an order; of a target that of what it lacks, working orders included."""
    if ask.verb == Verb.ORDER:
        return int(ask.intent.side)
    symbol, wanted = account.symbols[ask.slot.symbol], ask.intent.given("qty")
    if wanted is None:
        wanted = ask.intent.weight * account.equity() / (symbol.mark * symbol.instrument.multiplier)
    pending = sum(o.side * o.remaining for o in account.placed_by(ask.slot))
    return 1 if wanted >= ask.slot.position + pending else -1


# --- at the end of a phase --------------------------------------------------------------------------------------------


def place_partials(account: Account) -> None:
    """Place the first targets of the positions that began in this phase."""
    for slot in account.slots:
        is_new, slot.is_new = slot.is_new, False
        if not is_new or not slot.position or slot.partial is None or len(account.orders_of(slot)) >= MAX_ORDERS:
            continue
        (distance, share), instrument = slot.partial, account.symbols[slot.symbol].instrument
        quantity = down(abs(slot.position) * share, instrument.lot)
        price = round_limit(slot.average * (1 + slot.side * distance), -slot.side, instrument.tick)
        if quantity > 0 and price > 0:
            account.add(
                Order(slot.index, slot.symbol, -slot.side, OrderKind.LIMIT, Role.EXIT, quantity, price, True,
                      account.time, account.time, remaining=quantity)
            )  # fmt: skip


# --- at a mark --------------------------------------------------------------------------------------------------------


def remember(account: Account, day: int) -> None:
    """Add the newest mark to what the account has behind it."""
    mark, ended = account.result.marks[-1], len(account.result.trades)
    begun = ended + sum(slot.trade is not None for slot in account.slots)
    account.moments.append(Moment(mark.time, day, mark.equity, mark.exposure, ended, begun))
    account.peak = max(account.peak, mark.equity)


def watch(account: Account) -> None:
    """Let every rule look at the newest mark, and close everything when one of them says so."""
    rules = [(number, rule) for number, rule in enumerate(account.settings.rules) if hasattr(rule, "flattens")]
    asking = [number for number, rule in rules if rule.flattens(account)]
    if asking:
        account.result.flattened += asking
        for slot in account.slots:
            flatten(account, slot)


def flatten(account: Account, slot: Slot) -> None:
    """Cancel what works, and send the position to the next open; what is on its way out is left alone."""
    placed = account.placed_by(slot)
    is_leaving = account.held(slot) == 0 or account.protection(slot, Role.LIQUIDATION, Role.HALT) is not None
    if all(o.reduce_only for o in placed) and (is_leaving or not slot.position):
        return
    for order in placed:
        account.end(order, OrderStatus.CANCELED)
    send_out(account, slot, Role.HALT)


# --- what is near a limit ---------------------------------------------------------------------------------------------


def note_nearness(account: Account, number: int, order: Any) -> None:
    """Count an opening at which a rule measures a told share of one of its limits, for `alerts`."""
    rules, asked = account.settings.rules, account.settings.rules[number]
    if not hasattr(asked, "shares") or not any(hasattr(rule, "threshold") for rule in rules):
        return
    thresholds = [rule.threshold(asked.name) for rule in rules if hasattr(rule, "threshold")]
    nearest = max([value / limit for value, limit in asked.shares(order) if limit > 0], default=0.0)
    if nearest >= min(thresholds):
        account.result.alerts.setdefault(number, []).append((account.time, nearest))
