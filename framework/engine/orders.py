"""Working orders: accepting, ending, and what a fill does to an order and its siblings."""

from __future__ import annotations

from framework.boundary.jit import inlined, kernel
from framework.engine.layout import FOREVER, IN_RANGE, WAITS_CLOSE, WAITS_TRIGGER
from framework.engine.ledger import ROLE_STOP, ROLE_TRAIL, refresh
from framework.engine.prices import MARKET_ON_CLOSE, ROUNDINGS, STOP, is_set, order_price
from framework.model.enums import OrderKind, OrderStatus, Role
from framework.model.records import UNSET

LIMIT = int(OrderKind.LIMIT)
ROLE_ENTRY, ROLE_EXIT, ROLE_TARGET = int(Role.ENTRY), int(Role.EXIT), int(Role.TARGET)
WORKING, FILLED, CANCELED = int(OrderStatus.WORKING), int(OrderStatus.FILLED), int(OrderStatus.CANCELED)
POSITION_CLOSED, REPLACED = int(OrderStatus.POSITION_CLOSED), int(OrderStatus.REPLACED)
SIBLING_FILLED = int(OrderStatus.SIBLING_FILLED)


@kernel
def new_order(s, slot_number, side, kind, role, reduce_only, qty, price, active_from, time):
    """Append a working order to the slot and a row to the log; the caller fills in the rest and refreshes the slot."""
    account = s.account[0]
    slot = s.slots[slot_number]
    order = s.working[slot_number, slot.working]
    slot.working += 1
    wake(s, slot_number)
    account.working += 1
    s.symbols[slot.symbol].working += 1
    row = s.orders[account.orders]
    account.orders += 1
    order.id = row.id = account.orders
    order.side, order.kind, order.role, order.reduce_only = side, kind, role, reduce_only
    order.tag = order.group = order.tif = row.tif = row.until = 0
    order.until = FOREVER
    order.oco = order.call = row.oco = 0
    order.active_from, order.born_inside = active_from, -1
    order.tried = order.filled = order.charged = order.bracketed = 0
    order.remaining, order.price, order.next_price, order.entry = qty, price, UNSET, 0.0
    order.limit = row.limit = UNSET
    order.risk_each = order.unit_cost = order.free = order.reserved_qty = order.proceeds_each = 0.0
    order.raw_fee = order.fee = order.partial_distance = order.partial_share = 0.0
    order.stop = order.stop_offset = order.target = order.target_offset = order.trail = order.trail_after = UNSET
    row.parent = 0
    row.slot, row.symbol, row.side, row.kind, row.role = slot_number, slot.symbol, side, kind, role
    row.status, row.reduce_only, row.tag, row.group = WORKING, reduce_only, 0, 0
    row.placed_time, row.ended_time = time, 0
    row.qty, row.filled, row.average_price, row.price = qty, 0.0, 0.0, price
    row.stop = row.target = UNSET
    return order


@inlined
def wake(s, slot_number):
    """Let a slot to which something happened be asked at the next close."""
    slot = s.slots[slot_number]
    slot.asleep_until = s.symbols[slot.symbol].asleep_until = 0


@kernel
def end_order(s, slot_number, k, status, time):
    """Take the slot's k-th working order off the list, keeping the order of acceptance, and close its row."""
    slot = s.slots[slot_number]
    row = s.orders[s.working[slot_number, k].id - 1]
    row.status, row.ended_time = status, time
    wake(s, slot_number)
    slot.working -= 1
    s.account[0].working -= 1
    s.symbols[slot.symbol].working -= 1
    for i in range(k, slot.working):
        s.working[slot_number, i] = s.working[slot_number, i + 1]


@kernel
def find_order(s, slot_number, identity):
    """Return the place of a working order in its slot, or -1 when it no longer works."""
    for k in range(s.slots[slot_number].working):
        if s.working[slot_number, k].id == identity:
            return k
    return -1


@kernel
def find_stop(s, slot_number):
    """Return the place of the position's protective stop, or -1."""
    for k in range(s.slots[slot_number].working):
        if s.working[slot_number, k].role == ROLE_STOP or s.working[slot_number, k].role == ROLE_TRAIL:
            return k
    return -1


@kernel
def find_target(s, slot_number):
    """Return the place of the position's protective target, or -1."""
    for k in range(s.slots[slot_number].working):
        if s.working[slot_number, k].role == ROLE_TARGET:
            return k
    return -1


@kernel
def end_reductions(s, slot_number, time):
    """End every working reduction of the slot: its position is gone."""
    k = s.slots[slot_number].working - 1
    while k >= 0:
        if s.working[slot_number, k].reduce_only:
            end_order(s, slot_number, k, POSITION_CLOSED, time)
        k -= 1


@kernel
def end_partial_openings(s, slot_number, status, time):
    """End every partly filled opening of the slot: a position that was left is not entered further."""
    k = s.slots[slot_number].working - 1
    while k >= 0:
        order = s.working[slot_number, k]
        if order.filled and not order.reduce_only:
            end_order(s, slot_number, k, status, time)
        k -= 1


@kernel
def set_limit(s, slot_number, order, limit):
    """Write the limit of a stop-limit order, and let its symbol look for the touch of its stop price."""
    if is_set(limit):
        order.limit = s.orders[order.id - 1].limit = limit
        s.symbols[s.slots[slot_number].symbol].waiting |= WAITS_TRIGGER


@kernel
def become_limit(s, order):
    """Turn a stop-limit whose stop price was touched into the limit that it is from then on."""
    row = s.orders[order.id - 1]
    order.kind = row.kind = LIMIT
    order.price = row.price = order.limit


@kernel
def end_siblings(s, slot_number, filled, time):
    """End the orders with the `oco` number of one (a copy) that was filled; parts of one intent are no siblings."""
    k = s.slots[slot_number].working - 1
    while k >= 0:
        order = s.working[slot_number, k]
        if order.oco == filled.oco and not is_same_intent(s, order, filled):
            end_order(s, slot_number, k, SIBLING_FILLED, time)
        k -= 1


@kernel
def is_same_intent(s, one, other):
    """Return whether two orders of a slot come from one intent: a reduction and its opening, or an order and itself."""
    return one.call == other.call and s.orders[one.id - 1].placed_time == s.orders[other.id - 1].placed_time


@kernel
def set_origin(s, slot_number, order, intent, number):
    """Write into an accepted order what it keeps of its intent, the decision's `number`-th."""
    row = s.orders[order.id - 1]
    order.tag = row.tag = intent.tag
    order.oco = row.oco = intent.oco
    order.call = number
    if order.kind == MARKET_ON_CLOSE:
        s.symbols[s.slots[slot_number].symbol].waiting |= WAITS_CLOSE


@kernel
def set_price(s, order, price, role):
    """Move a protective order, in the list and in the log."""
    order.price, order.role = price, role
    row = s.orders[order.id - 1]
    row.price, row.role = price, role


@kernel
def make_stop(s, slot_number, price, role, active_from, time, parent, born):
    """Make the position's protective stop, replacing the one it has; price may be UNSET (a trail to come)."""
    slot = s.slots[slot_number]
    old = find_stop(s, slot_number)
    if old >= 0:
        end_order(s, slot_number, old, REPLACED, time)
    side = -1 if slot.qty > 0.0 else 1
    order = new_order(s, slot_number, side, STOP, role, 1, 0.0, price, active_from, time)
    order.born_inside = born
    s.orders[order.id - 1].parent = parent
    return order


@inlined
def is_tighter(side, level, price):
    """Return whether a stop of a position on this side is nearer to the market at a level, by more than rounding."""
    return side * (level - price) > ROUNDINGS * abs(price)


@kernel
def make_bracket(s, t, slot_number, parent, price, row, time, phase):
    """Make the stop and target that the filled opening `parent` (a copy) asks for; return the stop's id, or 0."""
    symbol = s.symbols[s.slots[slot_number].symbol]
    side = parent.side
    born = row if phase == IN_RANGE else -1
    opened = t.open_time[symbol.bar]
    stop_id = 0
    if is_set(parent.stop) or is_set(parent.stop_offset) or is_set(parent.trail):
        level = UNSET
        role = ROLE_STOP
        if is_set(parent.stop):
            level = parent.stop
        elif is_set(parent.stop_offset):
            level = price - side * parent.stop_offset
        if is_set(parent.trail) and not is_set(parent.trail_after):
            trailed = price - side * parent.trail
            if not is_set(level) or is_tighter(side, trailed, level):
                level, role = trailed, ROLE_TRAIL
        if is_set(level):
            level = order_price(STOP, -side, level, symbol.tick)
        order = make_stop(s, slot_number, level, role, opened, time, parent.id, born)
        order.trail, order.trail_after = parent.trail, parent.trail_after
        stop_id = order.id
    if is_set(parent.target) or is_set(parent.target_offset):
        old = find_target(s, slot_number)
        if old >= 0:
            end_order(s, slot_number, old, REPLACED, time)
        level = parent.target if is_set(parent.target) else price + side * parent.target_offset
        order = new_order(s, slot_number, -side, LIMIT, ROLE_TARGET, 1, 0.0,
                          order_price(LIMIT, -side, level, symbol.tick), opened, time)
        order.born_inside = born
        s.orders[order.id - 1].parent = parent.id
    return stop_id


@kernel
def trail_stop(s, slot_number):
    """Tighten the stop of a position by its trail, after the high-water mark has moved."""
    slot = s.slots[slot_number]
    if slot.qty == 0.0:
        return
    k = find_stop(s, slot_number)
    if k < 0:
        return
    order = s.working[slot_number, k]
    if not is_set(order.trail):
        return
    side = -order.side
    if is_set(order.trail_after) and side * (slot.high_water - slot.entry_price) < order.trail_after:
        return
    level = order_price(STOP, order.side, slot.high_water - side * order.trail, s.symbols[slot.symbol].tick)
    if not is_set(order.price) or is_tighter(side, level, order.price):
        set_price(s, order, level, ROLE_TRAIL)
        refresh(s, slot_number)
