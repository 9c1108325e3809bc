"""How orders meet the market: the open, the range of a bar, one fill and its consequences."""

from __future__ import annotations

import math
from collections.abc import Callable

from framework.model.enums import OrderKind, OrderStatus, Reason, Role, TimeInForce, Verb
from tests.reference.account import Account, Slot, Symbol
from tests.reference.lifetime import ONE_CHANCE, drop_late, meet_session
from tests.reference.market import (
    NAN,
    Bar,
    Bracket,
    Order,
    Refusal,
    down,
    freed,
    is_tighter,
    round_limit,
    round_stop,
    snap,
)

STOPS = (Role.STOP, Role.TRAIL)


# --- open -------------------------------------------------------------------------------------------------------------


def open_phase(account: Account, symbols: list[Symbol]) -> None:
    """Match at the opens of the bars that begin now: crosses by symbol, then reductions, then openings."""
    settings = account.settings
    account.in_range_phase = False
    for symbol in symbols:
        share = settings.participation
        symbol.budget = math.inf if share is None else share * volume_of(account, symbol)
        for order in account.working:
            if order.symbol == symbol.index and order.next_price is not None:
                order.price, order.role, order.next_price = order.next_price, Role.STOP, None
        meet_session(account, symbol)
    opening = {symbol.index for symbol in symbols}
    for order in account.working:
        bar = account.symbols[order.symbol].forming
        if order.symbol in opening and order.active_from <= bar.open_time and has_triggered(order, bar.open, bar.open):
            become_limit(order)
    orders = sorted((o for o in account.working if o.symbol in opening), key=matching_order)
    for symbol in symbols:
        cross(account, symbol, [o for o in orders if o.symbol == symbol.index])
    for order in orders:
        symbol = account.symbols[order.symbol]
        if order.working and is_due(account, order, symbol):
            attempt(account, order, symbol.forming.open)
    drop_late(account, opening)


def matching_order(order: Order) -> tuple[bool, int]:
    """Reductions first, then by number."""
    return not order.reduce_only, order.id


def is_due(account: Account, order: Order, symbol: Symbol) -> bool:
    """Return whether an order fills at the open of the bar that begins."""
    bar = symbol.forming
    if order.active_from > bar.open_time:
        return False
    if order.kind == OrderKind.MARKET:
        return True
    if order.kind == OrderKind.STOP:
        return order.side * (bar.open - order.price) >= 0
    if order.kind in (OrderKind.STOP_LIMIT, OrderKind.MARKET_ON_CLOSE):
        return False
    return order.side * (order.price - bar.open) >= through(account, symbol)


def through(account: Account, symbol: Symbol) -> float:
    """Return by how much a price must be better than a limit."""
    return account.settings.limit_through * symbol.instrument.tick


def cross(account: Account, symbol: Symbol, orders: list[Order]) -> None:
    """Fill the market orders of slots against those of other slots at the open, as far as both sides reach."""
    due = [o for o in orders if o.working and o.kind == OrderKind.MARKET and o.active_from <= symbol.forming.open_time]
    due = [o for o in due if o.tif != TimeInForce.FOK]
    sides = {(o.slot, o.side) for o in due}
    due = [o for o in due if (o.slot, -o.side) not in sides]
    wanted: dict[Order, float] = {}
    left = {slot.index: abs(slot.position) for slot in account.slots}
    for order in due:
        wanted[order] = capped(account, order)
        if order.reduce_only:
            wanted[order] = min(wanted[order], left[order.slot])
            left[order.slot] -= wanted[order]
    crossed = min(sum(qty for order, qty in wanted.items() if order.side == side) for side in (1, -1))
    for side in (1, -1):
        rest = crossed
        for order in due:
            quantity = min(wanted[order], rest) if order.side == side and order.working else 0.0
            if snap(quantity, symbol.instrument.lot) > 0:
                rest -= quantity
                price = symbol.forming.open
                execute(account, order, quantity, price, price, is_cross=True)


# --- range ------------------------------------------------------------------------------------------------------------


def range_phase(account: Account, symbol: Symbol, bar: Bar) -> set[int]:
    """Match against high and low of a bar that closes, in the four pessimistic steps; return the ambiguous slots.

    bar: the symbol's, or one of the finer ones inside it.  Orders are known as born inside by the time of its close.
    """
    now = account.time
    account.in_range_phase, account.born = True, []
    beyond = through(account, symbol)

    def allowed(order: Order) -> bool:
        return order.symbol == symbol.index and order.active_from <= symbol.forming.open_time

    def is_old(order: Order) -> bool:
        return allowed(order) and order.born_inside != now

    def is_new(order: Order) -> bool:
        return order.symbol == symbol.index and order.born_inside == now

    def touched(order: Order) -> bool:
        return is_touched(order, bar, beyond)

    seen = {(o.slot, class_of(o)) for o in account.working if allowed(o) and touched(o)}
    old = [o for o in account.working if is_old(o) and touched(o)]
    contested = 2 * [one.slot for one in old if any(one.is_sibling(other) for other in old)]
    sweep(account, bar, lambda o: is_old(o) and class_of(o) == "stop" and touched(o), gap_reference)
    sweep(account, bar, lambda o: is_old(o) and class_of(o) == "entry" and touched(o), gap_reference)
    seen |= {(o.slot, class_of(o)) for o in account.born if is_reached(o, bar, beyond)}
    sweep(account, bar, lambda o: is_new(o) and class_of(o) == "stop" and touched(o), traded_price)
    sweep(
        account,
        bar,
        lambda o: is_new(o) and class_of(o) == "target" and o.side * (o.price - bar.close) >= beyond,
        own_price,
    )
    sweep(account, bar, lambda o: is_old(o) and class_of(o) == "target" and touched(o), gap_reference)
    for order in account.working:
        if allowed(order) and has_triggered(order, bar.low, bar.high):
            become_limit(order)
            if order.tif in ONE_CHANCE:
                order.active_from = account.time
    slots = [slot for slot, _ in seen]
    slots += contested
    account.in_range_phase = False
    return {slot for slot in slots if slots.count(slot) >= 2}


def has_triggered(order: Order, low: float, high: float) -> bool:
    """Return whether a stop-limit has seen its stop price among prices from low to high."""
    return order.kind == OrderKind.STOP_LIMIT and (high >= order.price if order.side > 0 else low <= order.price)


def become_limit(order: Order) -> None:
    """A stop-limit that has seen its stop price is the limit order that it names."""
    order.kind, order.price = OrderKind.LIMIT, order.limit


def class_of(order: Order) -> str:
    """Return which of the three classes an order belongs to: entry, stop or target; what cannot fill here waits."""
    if order.kind not in (OrderKind.LIMIT, OrderKind.STOP):
        return "waiting"
    if not order.reduce_only:
        return "entry"
    return "stop" if order.kind == OrderKind.STOP else "target"


def is_touched(order: Order, bar: Bar, beyond: float) -> bool:
    """Return whether the range of a bar reaches an order; a price that is NaN is never reached."""
    if class_of(order) == "waiting":
        return False
    if order.kind == OrderKind.STOP:
        return bar.low <= order.price if order.side < 0 else bar.high >= order.price
    return bar.low <= order.price - beyond if order.side > 0 else bar.high >= order.price + beyond


def is_reached(order: Order, bar: Bar, beyond: float) -> bool:
    """Return whether a bar's range reaches a bracket order as it was born, though it may be a market order by now."""
    as_born = OrderKind.LIMIT if order.role == Role.TARGET else OrderKind.STOP
    return is_touched(
        Order(order.slot, order.symbol, order.side, as_born, order.role, 0.0, order.price, True, 0, 0), bar, beyond
    )


def gap_reference(order: Order, bar: Bar) -> float:
    """Return the price at which a touched order meets the market: its own, or the open when that lies beyond."""
    lower = (order.side > 0) == (order.kind == OrderKind.LIMIT)
    return min(order.price, bar.open) if lower else max(order.price, bar.open)


def own_price(order: Order, bar: Bar) -> float:
    """Return the order's own price: what was born inside a bar did not see its open."""
    return order.price


def traded_price(order: Order, bar: Bar) -> float:
    """Return the own price of a stop that was born inside a bar, or the nearest one at which the bar traded."""
    return min(order.price, bar.high) if order.side < 0 else max(order.price, bar.low)


def sweep(
    account: Account, bar: Bar, is_candidate: Callable[[Order], bool], reference: Callable[[Order, Bar], float]
) -> None:
    """Try the candidates once each, the nearest to the open first, looking again after every one."""
    tried: set[int] = set()
    while True:
        candidates = [o for o in account.working if o.id not in tried and is_candidate(o)]
        if not candidates:
            return
        least = min(abs(o.price - bar.open) for o in candidates) + 64 * 2**-52 * bar.open
        nearest = min((o for o in candidates if abs(o.price - bar.open) <= least), key=lambda o: o.id)
        tried.add(nearest.id)
        attempt(account, nearest, reference(nearest, bar))


# --- close ------------------------------------------------------------------------------------------------------------


def close_orders_phase(account: Account, symbols: list[Symbol]) -> None:
    """Fill market-on-close orders at the closes of the bars that end now: all reductions, then all openings."""
    closing = {symbol.index for symbol in symbols}
    account.in_range_phase = True
    for order in sorted(account.working, key=matching_order):
        symbol = account.symbols[order.symbol]
        if order.kind != OrderKind.MARKET_ON_CLOSE or order.symbol not in closing:
            continue
        if order.working and order.active_from <= symbol.forming.open_time:
            attempt(account, order, symbol.forming.close)
    account.in_range_phase = False


# --- one fill ---------------------------------------------------------------------------------------------------------


def capped(account: Account, order: Order) -> float:
    """Return what an order asks for: a reduction at most the position against it, a protective order all of it."""
    if not order.reduce_only:
        return order.remaining
    against = max(0.0, -order.side * account.slots[order.slot].position)
    return against if order.protective else min(order.remaining, against)


def attempt(account: Account, order: Order, reference: float, *, is_gapped: bool = False) -> None:
    """Try to fill an order at a reference price; what remains keeps working, a touched stop as a market order."""
    symbol, settings = account.symbols[order.symbol], account.settings
    lot, tick, multiplier = symbol.instrument.lot, symbol.instrument.tick, symbol.instrument.multiplier
    wanted = capped(account, order)
    if wanted <= 0:
        return
    is_whole = order.tif == TimeInForce.FOK
    quantity = wanted
    if wanted > symbol.budget:
        quantity = 0.0 if is_whole else down(symbol.budget, lot)
    is_cut = False
    price = reference
    if quantity > 0:
        if order.kind != OrderKind.LIMIT:
            price = round_stop(slipped(account, symbol, reference, order.side, quantity), order.side, tick)
            price = price if price > 0 else tick
        if not order.reduce_only and is_too_dear(account, order, quantity, price, reference):
            account.end(order, OrderStatus.SLIPPAGE)
            return
        if not order.reduce_only:
            unit = settings.unit_cost(price, multiplier, order.kind)
            affordable = max(0.0, account.buying_power() - settings.fixed_cost) / unit
            most = down(freed(symbol.net, order.side, lot) + affordable, lot)
            is_cut = most < quantity
            if is_cut:
                quantity = 0.0 if is_whole else most
    if quantity > 0:
        execute(account, order, quantity, price, reference, is_cut=is_cut, is_gapped=is_gapped)
    elif is_cut:
        account.end(order, OrderStatus.CUT_AT_FILL)
    else:
        leave(account, order)


def is_too_dear(account: Account, order: Order, quantity: float, price: float, reference: float) -> bool:
    """Return whether a price is further from its reference than any rule allows, recording the first strictest rule."""
    limits = [getattr(rule, "max_slippage", math.inf) for rule in account.settings.rules]
    strictest = min(limits, default=math.inf)
    percent = 100 * order.side * (price - reference) / reference
    if percent <= 100 * strictest * (1 + 1e-9):
        return False
    account.result.refusals.append(Refusal(
        account.time, order.slot, order.symbol, order.side, Verb.ORDER, Reason.RULE + limits.index(strictest), quantity,
        0.0, percent, 100 * strictest,
    ))
    return True


def leave(account: Account, order: Order) -> None:
    """What an attempt left of an order works on, a stop as a market order; not if the order had one chance only."""
    if order.tif in ONE_CHANCE:
        account.end(order, OrderStatus.CANCELED)
    elif order.kind == OrderKind.STOP:
        order.kind = OrderKind.MARKET


def volume_of(account: Account, symbol: Symbol) -> float:
    """Return the volume that a fill in the forming bar reckons with."""
    settings = account.settings
    return symbol.forming.volume if settings.volume_basis == "bar" else symbol.mean_volume(settings.volume_window)


def slipped(account: Account, symbol: Symbol, reference: float, side: int, quantity: float,
            is_fill: bool = True) -> float:  # fmt: skip
    """Return the price of the slippage model, never better than the reference."""
    window = account.settings.volume_window
    volume = volume_of(account, symbol) if is_fill else symbol.mean_volume(window)
    volatility = symbol.volatility(window)
    price = account.settings.slippage(reference, side * quantity, symbol.last_bar, volume, volatility)
    return max(price, reference) if side > 0 else min(price, reference)


def execute(
    account: Account,
    order: Order,
    quantity: float,
    price: float,
    reference: float,
    *,
    is_cut: bool = False,
    is_cross: bool = False,
    is_gapped: bool = False,
) -> None:
    """Book a fill and draw its consequences."""
    slot, symbol = account.slots[order.slot], account.symbols[order.symbol]
    ended = account.book(
        order,
        quantity,
        price,
        reference,
        is_maker=order.kind == OrderKind.LIMIT and not is_cross,
        is_cross=is_cross,
        is_gapped=is_gapped,
    )
    account.result.counters["gapped"] += is_gapped
    done = slot.position == 0 if order.protective else snap(order.remaining, symbol.instrument.lot) <= 0
    if done:
        account.end(order, OrderStatus.FILLED)
    elif is_cut:
        account.end(order, OrderStatus.CUT_AT_FILL)
    elif not is_cross:
        leave(account, order)
    for other in list(account.working):
        if order.is_sibling(other):
            account.end(other, OrderStatus.SIBLING_FILLED)
    if ended is not None:
        for other in account.orders_of(slot):
            if other.reduce_only or (order.protective and other.filled > 0):
                account.end(other, OrderStatus.POSITION_CLOSED)
    if order.bracket is not None and order.side * slot.position > 0:
        bracket, order.bracket = order.bracket, None
        make_bracket(account, order, bracket, price)


# --- protective orders ------------------------------------------------------------------------------------------------


def make_bracket(account: Account, parent: Order, bracket: Bracket, entry: float) -> None:
    """Make the stop and the target of an opening at its first fill; a stop that the fill has passed is hit at once."""
    slot, tick, side = account.slots[parent.slot], account.symbols[parent.symbol].instrument.tick, parent.side
    stop = None
    if bracket.names_stop:
        level, is_trail = bracket.stop_at(entry, side)
        price = NAN if level is None else round_stop(level, -side, tick)
        stop = protect(account, slot, Role.TRAIL if is_trail else Role.STOP, price, parent.id)
        stop.trail, stop.trail_after = bracket.trail, bracket.trail_after
    level = bracket.target_at(entry, side)
    if level is not None:
        protect(account, slot, Role.TARGET, round_limit(level, -side, tick), parent.id)
    if stop is not None and side * (entry - stop.price) <= 0:
        attempt(account, stop, entry, is_gapped=True)


def protect(account: Account, slot: Slot, role: Role, price: float, parent: int = -1) -> Order:
    """Make a protective order of the slot's position; it replaces the one there is."""
    symbol = account.symbols[slot.symbol]
    old = account.protection(slot, *((Role.TARGET,) if role == Role.TARGET else STOPS))
    if old is not None:
        account.end(old, OrderStatus.REPLACED)
    kind = OrderKind.LIMIT if role == Role.TARGET else OrderKind.STOP
    works_from = symbol.forming.open_time if parent >= 0 else account.time
    order = account.add(
        Order(
            slot.index, slot.symbol, -slot.side, kind, role, 0.0, price, True, account.time, works_from, parent=parent
        )
    )
    if account.in_range_phase:
        order.born_inside = account.time
        account.born.append(order)
    return order


def set_stop(account: Account, slot: Slot, price: float) -> None:
    """Set the price of the position's stop, or make one."""
    rounded = round_stop(price, -slot.side, account.symbols[slot.symbol].instrument.tick)
    stop = account.protection(slot, *STOPS)
    if stop is None:
        protect(account, slot, Role.STOP, rounded)
    else:
        stop.price, stop.role, stop.next_price = rounded, Role.STOP, None


def move_trail(account: Account, slot: Slot) -> None:
    """Let the stop follow the high-water mark."""
    stop = account.protection(slot, *STOPS)
    if stop is None or stop.trail is None:
        return
    if stop.trail_after is not None and slot.side * (slot.high_water - slot.average) < stop.trail_after:
        return
    tick = account.symbols[slot.symbol].instrument.tick
    price = round_stop(slot.high_water - slot.side * stop.trail, stop.side, tick)
    if math.isnan(stop.price) or is_tighter(slot.side, price, stop.price):
        stop.price, stop.role = price, Role.TRAIL
