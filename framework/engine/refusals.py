"""Refusals: the record of what was not allowed, and the checks that come before an intent is looked at."""

from __future__ import annotations

import math

from framework.boundary.jit import kernel
from framework.engine.layout import FAULT_REFUSED
from framework.engine.ledger import is_protective
from framework.engine.prices import FAULT, STOP_LIMIT, is_priced, is_set, limit_price, order_price
from framework.model.enums import Reason, Status, TimeInForce, Verb
from framework.model.records import MAX_ORDERS

ORDER, CLOSE, TARGET = int(Verb.ORDER), int(Verb.CLOSE), int(Verb.TARGET)
CANCEL, CANCEL_ALL, MOVE_STOP = int(Verb.CANCEL), int(Verb.CANCEL_ALL), int(Verb.MOVE_STOP)
NOT_A_NUMBER, WRONG_SIDE, BELOW_MINIMUM = int(Reason.NOT_A_NUMBER), int(Reason.WRONG_SIDE), int(Reason.BELOW_MINIMUM)
NO_BUYING_POWER, NOTHING_TO_CLOSE = int(Reason.NO_BUYING_POWER), int(Reason.NOTHING_TO_CLOSE)
TOO_MANY_ORDERS, SHORTS_NOT_ALLOWED = int(Reason.TOO_MANY_ORDERS), int(Reason.SHORTS_NOT_ALLOWED)
GROUP_REFUSED, UNKNOWN_TAG, RULE = int(Reason.GROUP_REFUSED), int(Reason.UNKNOWN_TAG), int(Reason.RULE)
WRONG_TERMS, SYMBOL_ENDED = int(Reason.WRONG_TERMS), int(Reason.SYMBOL_ENDED)
MARGIN_CALL = int(Reason.MARGIN_CALL)
GTD, FOK = int(TimeInForce.GTD), int(TimeInForce.FOK)
RUNNING = int(Status.RUNNING)
DONE, LOST = -1, -2
"""What takes the place of an intent's verb when it is dealt with, and when its numbers were refused."""


@kernel
def refuse(s, slot_number, side, verb, reason, asked, allowed, value, limit, time):
    """Record an intent that was refused (allowed = 0) or reduced; with `strict` a wrong side stops the run."""
    account = s.account[0]
    row = s.refusals[account.refusals]
    account.refusals += 1
    row.time, row.slot, row.symbol, row.side, row.verb = time, slot_number, s.slots[slot_number].symbol, side, verb
    row.reason, row.asked, row.allowed, row.value, row.limit = reason, asked, allowed, value, limit
    if s.settings[0].strict and account.status == RUNNING and reason in (WRONG_SIDE, NOT_A_NUMBER):
        account.status, account.fault_kind, account.fault_at = FAULT, FAULT_REFUSED, account.refusals - 1


@kernel
def check_numbers(s, slot_number, number, time):
    """Drop an intent one of whose numbers is none, recording the first; what is left out is not looked at."""
    intent = s.nows[slot_number].intents[number]
    reason, value = bad_number(s, slot_number, intent, time)
    if reason >= 0:
        refuse(s, slot_number, intent.side, intent.verb, reason, 0.0, 0.0, value, 0.0, time)
        intent.verb, intent.priority = LOST, 0.0


@kernel
def bad_number(s, slot_number, intent, time):
    """Return the reason for which an intent's first bad number is refused, and the number; -1 when all are good."""
    verb = intent.verb
    if verb in (CANCEL, CANCEL_ALL):
        return -1, 0.0
    if verb == ORDER and abs(intent.side) != 1:
        return NOT_A_NUMBER, float(intent.side)
    if not math.isfinite(intent.priority):
        return NOT_A_NUMBER, intent.priority
    for size in (intent.qty, intent.weight):
        if is_set(size) and not (math.isfinite(size) and (size > 0.0 or verb == TARGET)):
            return NOT_A_NUMBER, size
    if verb == TARGET and not is_set(intent.qty) and not is_set(intent.weight):
        return NOT_A_NUMBER, 0.0
    if is_priced(intent.kind) and not is_price(s, slot_number, intent):
        return NOT_A_NUMBER, intent.price if is_set(intent.price) else 0.0
    if intent.kind == STOP_LIMIT and not is_limit_price(s, slot_number, intent):
        return NOT_A_NUMBER, intent.limit if is_set(intent.limit) else 0.0
    for level in (intent.stop, intent.target):
        if is_set(level) and not (math.isfinite(level) and level > 0.0):
            return NOT_A_NUMBER, level
    for offset in (intent.stop_offset, intent.target_offset, intent.trail):
        if is_set(offset) and not (math.isfinite(offset) and offset > 0.0):
            return WRONG_SIDE if math.isfinite(offset) else NOT_A_NUMBER, offset
    if is_set(intent.trail_after) and not (math.isfinite(intent.trail_after) and intent.trail_after >= 0.0):
        return NOT_A_NUMBER, intent.trail_after
    if not 0 <= intent.tif <= FOK:
        return WRONG_TERMS, float(intent.tif)
    if intent.until <= time if intent.tif == GTD else intent.until != 0:
        return WRONG_TERMS, float(intent.until)
    return -1, 0.0


@kernel
def is_price(s, slot_number, intent):
    """Return whether the price of a limit, a stop or a move is above 0, on the tick as well."""
    slot = s.slots[slot_number]
    if not (math.isfinite(intent.price) and intent.price > 0.0):
        return False
    side = intent.side
    if intent.verb == MOVE_STOP:
        if slot.qty == 0.0:
            return True
        side = -1 if slot.qty > 0.0 else 1
    return order_price(intent.kind, side, intent.price, s.symbols[slot.symbol].tick) > 0.0


@kernel
def is_limit_price(s, slot_number, intent):
    """Return whether the limit of a stop-limit is above 0, on the tick as well."""
    if not (math.isfinite(intent.limit) and intent.limit > 0.0):
        return False
    return limit_price(intent, s.symbols[s.slots[slot_number].symbol].tick) > 0.0


@kernel
def is_full(s, slot_number, side, verb, asked, time):
    """Refuse what comes when the slot has as many working orders as it may have; protective ones do not count."""
    count = 0
    for k in range(s.slots[slot_number].working):
        if not is_protective(s.working[slot_number, k]):
            count += 1
    if count < MAX_ORDERS:
        return False
    refuse(s, slot_number, side, verb, TOO_MANY_ORDERS, asked, 0.0, MAX_ORDERS, MAX_ORDERS, time)
    return True
