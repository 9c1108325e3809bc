"""From intents to working orders: checks on numbers, tags, reductions, sizes, rules, groups."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace

from framework.model.enums import OrderKind, OrderStatus, Reason, Role, TimeInForce, Verb
from framework.model.records import MAX_ORDERS, UNSET
from tests.reference.account import Account, Slot, Symbol
from tests.reference.guards import note_nearness, protect
from tests.reference.lifetime import begin_life, is_until_wrong
from tests.reference.market import Bracket, Intent, Order, Refusal, down, freed, on_lots, round_limit, round_stop, snap
from tests.reference.matching import STOPS, set_stop, slipped

UNPRICED = (OrderKind.MARKET, OrderKind.MARKET_ON_CLOSE)


@dataclass
class Ask:
    """One intent of one slot on its way in; `opening` is what pass one leaves to pass two."""

    slot: Slot
    intent: Intent
    call: int
    side: int = 0
    opening: float | None = 0.0
    """Quantity; 0 for none, None when the sizing rule says."""
    verb: int = 0
    group: tuple[int, int] | None = None
    wanted: float = 0.0
    entry: float = 0.0
    """Expected entry price, from step 3 on."""
    free: float = 0.0
    partial: tuple[float, float] | None = None
    """Distance and share of a first target that a rule gives."""


def take_in(account: Account, decided: list[tuple[Slot, list[Intent]]], symbols_now: set[int]) -> None:
    """Turn the intents of one instant into orders; `symbols_now` are those whose bar closed."""
    for slot, intents in decided:
        if len(intents) > MAX_ORDERS:
            ask = Ask(slot, Intent(), MAX_ORDERS)
            refuse(account, ask, Reason.TOO_MANY_ORDERS, len(intents), MAX_ORDERS, len(intents))
    asks = [
        Ask(slot, replace(intent), call, intent.side, verb=intent.verb, group=group_of(slot, intent))
        for slot, intents in sorted(decided, key=lambda d: d[0].index)
        for call, intent in enumerate(intents[:MAX_ORDERS])
    ]
    lost = {ask.group for ask in asks if not numbers_are_good(account, ask) and ask.group}
    asks = [ask for ask in asks if ask.verb >= 0]
    for ask in asks:
        if ask.verb in (Verb.ORDER, Verb.TARGET):
            protect(account, ask, reference_of(account.symbols[ask.slot.symbol], ask))
    for ask in asks:
        if ask.verb in (Verb.CANCEL, Verb.CANCEL_ALL):
            cancel(account, ask)
        elif ask.verb == Verb.MOVE_STOP:
            move_stop(account, ask, symbols_now)
    asks = [ask for ask in asks if ask.verb in (Verb.ORDER, Verb.CLOSE, Verb.TARGET)]
    asks = later_of_a_tag(account, asks)
    asks.sort(key=lambda ask: (-ask.intent.priority, ask.slot.index, ask.call))
    for ask in asks:
        {Verb.CLOSE: close, Verb.TARGET: aim, Verb.ORDER: split}[Verb(ask.verb)](account, ask)
    openings = [ask for ask in asks if ask.opening is None or ask.opening > 0]
    done: set[tuple[int, int]] = set()
    for ask in openings:
        if ask.group is None:
            accept(account, ask)
        elif ask.group not in done:
            done.add(ask.group)
            accept_group(account, [leg for leg in openings if leg.group == ask.group], ask.group in lost)


def group_of(slot: Slot, intent: Intent) -> tuple[int, int] | None:
    return (slot.strategy, intent.group) if intent.group and intent.verb in (Verb.ORDER, Verb.TARGET) else None


def refuse(
    account: Account,
    ask: Ask,
    reason: int,
    value: float = 0.0,
    limit: float = 0.0,
    asked: float = 0.0,
    allowed: float = 0.0,
) -> None:
    """Record that an intent was refused, or reduced to `allowed`."""
    account.result.refusals.append(
        Refusal(
            account.time,
            ask.slot.index,
            ask.slot.symbol,
            ask.side,
            ask.intent.verb,
            int(reason),
            asked,
            allowed,
            value,
            limit,
        )
    )


# --- numbers, cancels, tags -------------------------------------------------------------------------------------------


def numbers_are_good(account: Account, ask: Ask) -> bool:
    """Check the numbers of an intent; the first bad one refuses it."""
    intent = ask.intent
    if intent.verb in (Verb.CANCEL, Verb.CANCEL_ALL):
        return True
    if intent.verb == Verb.ORDER and intent.side not in (1, -1):
        return drop(account, ask, Reason.NOT_A_NUMBER, intent.side)
    if not math.isfinite(intent.priority):
        return drop(account, ask, Reason.NOT_A_NUMBER, intent.priority)
    signed = intent.verb == Verb.TARGET
    for name, must_be_positive in (
        ("qty", not signed),
        ("weight", not signed),
        ("price", True),
        ("limit", True),
        ("stop", True),
        ("target", True),
        ("stop_offset", True),
        ("target_offset", True),
        ("trail", True),
        ("trail_after", False),
    ):
        number = intent.given(name)
        if number is None and is_missing(intent, name):
            number = math.nan
        if number is None:
            continue
        is_distance = name in ("stop_offset", "target_offset", "trail")
        reason = None
        if not math.isfinite(number) or (name == "trail_after" and number < 0):
            reason = Reason.NOT_A_NUMBER
        elif must_be_positive and number <= 0:
            reason = Reason.WRONG_SIDE if is_distance else Reason.NOT_A_NUMBER
        elif name in ("price", "limit") and rounded_price(account, ask, name) <= 0:
            reason = Reason.NOT_A_NUMBER
        if reason is not None:
            return drop(account, ask, reason, 0.0 if is_missing(intent, name) else number)
    if intent.tif not in list(TimeInForce):
        return drop(account, ask, Reason.WRONG_TERMS, intent.tif)
    if is_until_wrong(account, intent):
        return drop(account, ask, Reason.WRONG_TERMS, intent.until)
    return True


def drop(account: Account, ask: Ask, reason: Reason, number: float) -> bool:
    """Refuse an intent for one of its numbers; nothing more is made of it."""
    refuse(account, ask, reason, number, 0.0)
    ask.verb = -1
    return False


def is_missing(intent: Intent, name: str) -> bool:
    """Return whether a number must be given: the price of a limit, a stop or a move, one of a target's two."""
    if intent.given(name) is not None:
        return False
    if name == "price":
        return intent.kind not in UNPRICED
    if name == "limit":
        return intent.kind == OrderKind.STOP_LIMIT
    return name == "weight" and intent.verb == Verb.TARGET and intent.given("qty") is None


def rounded_price(account: Account, ask: Ask, name: str) -> float:
    """Return the price of a limit, a stop or a move on the tick; a move without a position is not rounded."""
    symbol = account.symbols[ask.slot.symbol]
    if name == "limit":
        return round_limit(ask.intent.limit, ask.side, symbol.instrument.tick)
    if ask.verb != Verb.MOVE_STOP:
        return awaited_price(symbol, ask)
    return round_stop(ask.intent.price, -ask.slot.side, symbol.instrument.tick) if ask.slot.side else ask.intent.price


def cancel(account: Account, ask: Ask) -> None:
    """Cancel what the slot placed: everything, or one tag."""
    everything = ask.verb == Verb.CANCEL_ALL
    found = [o for o in account.placed_by(ask.slot) if everything or o.tag == ask.intent.tag]
    for order in found:
        account.end(order, OrderStatus.CANCELED)
    if not found and not everything:
        refuse(account, ask, Reason.UNKNOWN_TAG, float(ask.intent.tag), 0.0)


def move_stop(account: Account, ask: Ask, symbols_now: set[int]) -> None:
    """Move the position's stop, at once or at the next open."""
    slot, close, price = ask.slot, account.symbols[ask.slot.symbol].mark, ask.intent.price
    ask.side = -slot.side
    if slot.position == 0:
        refuse(account, ask, Reason.NOTHING_TO_CLOSE)
    elif slot.side * (close - price) <= 0:
        refuse(account, ask, Reason.WRONG_SIDE, price, close)
    elif (stop := account.protection(slot, *STOPS)) is None or slot.symbol in symbols_now:
        set_stop(account, slot, price)
    else:
        stop.next_price = round_stop(price, -slot.side, account.symbols[slot.symbol].instrument.tick)


def later_of_a_tag(account: Account, asks: list[Ask]) -> list[Ask]:
    """Keep the later of two intents of a slot with one tag, and cancel the working orders with it."""
    last = {(ask.slot.index, ask.intent.tag): ask for ask in asks if ask.intent.tag}
    kept = [ask for ask in asks if not ask.intent.tag or last[ask.slot.index, ask.intent.tag] is ask]
    for ask in kept:
        if ask.intent.tag:
            for order in [o for o in account.placed_by(ask.slot) if o.tag == ask.intent.tag]:
                account.end(order, OrderStatus.CANCELED)
    return kept


# --- pass one: reductions ---------------------------------------------------------------------------------------------


def close(account: Account, ask: Ask) -> None:
    """close_position: a market reduction of a fraction of the position."""
    slot, lot = ask.slot, account.symbols[ask.slot.symbol].instrument.lot
    fraction = ask.intent.weight
    ask.side = -slot.side
    if fraction >= 1:
        for order in [o for o in account.placed_by(slot) if not o.reduce_only and o.filled > 0]:
            account.end(order, OrderStatus.CANCELED)
    most = account.held(slot)
    quantity = most if fraction >= 1 else min(most, down(abs(slot.position) * fraction, lot))
    if quantity > 0:
        place_reduction(account, ask, quantity)
    else:
        refuse(account, ask, Reason.NOTHING_TO_CLOSE)


def aim(account: Account, ask: Ask) -> None:
    """target: a market order of the difference to the wanted position, working orders included."""
    slot, symbol, intent = ask.slot, account.symbols[ask.slot.symbol], ask.intent
    wanted = intent.qty
    if wanted == UNSET:
        wanted = intent.weight * account.equity() / (symbol.mark * symbol.instrument.multiplier)
    pending = sum(o.side * o.remaining for o in account.placed_by(slot))
    difference = on_lots(wanted - (slot.position + pending), symbol.instrument.lot)
    quantity = abs(difference) if wanted == 0 else down(abs(difference), symbol.instrument.lot)
    if quantity <= 0:
        return
    ask.side = 1 if difference > 0 else -1
    intent.side, intent.qty, intent.weight = ask.side, quantity, UNSET
    split(account, ask)


def split(account: Account, ask: Ask) -> None:
    """Place the part of an order that reduces the slot's position; leave the rest for pass two."""
    slot, intent, instrument = ask.slot, ask.intent, account.symbols[ask.slot.symbol].instrument
    ask.opening = wanted = quantity_of(account, ask)
    reduction = 0.0
    if ask.side * slot.position < 0:
        most = account.held(slot)
        reduction = most if ask.opening is None or ask.opening >= most else down(ask.opening, instrument.lot)
    if reduction > 0:
        place_reduction(account, ask, reduction)
        if ask.opening is not None:
            ask.opening -= reduction
            if down(ask.opening, instrument.lot) <= 0:
                ask.opening = 0.0
    if intent.reduce_only:
        ask.opening = 0.0
        if reduction <= 0:
            refuse(account, ask, Reason.NOTHING_TO_CLOSE, asked=wanted or 0.0)


def quantity_of(account: Account, ask: Ask) -> float | None:
    """Return the quantity that an order names, None when it is left to the sizing rule."""
    qty, weight = ask.intent.given("qty"), ask.intent.given("weight")
    if qty is not None or weight is None:
        return qty
    symbol = account.symbols[ask.slot.symbol]
    return weight * account.equity() / (reference_of(symbol, ask) * symbol.instrument.multiplier)


def reference_of(symbol: Symbol, ask: Ask) -> float:
    """Return the close for a market order, the limit of a stop-limit, else the order's price, rounded."""
    if ask.intent.kind == OrderKind.STOP_LIMIT:
        return round_limit(ask.intent.limit, ask.side, symbol.instrument.tick)
    return symbol.mark if ask.intent.kind in UNPRICED else awaited_price(symbol, ask)


def awaited_price(symbol: Symbol, ask: Ask) -> float:
    """Return the rounded price for which a limit or a stop waits, NaN for what waits for none."""
    tick = symbol.instrument.tick
    if ask.intent.kind in UNPRICED:
        return math.nan
    rounding = round_limit if ask.intent.kind == OrderKind.LIMIT else round_stop
    return rounding(ask.intent.price, ask.side, tick)


def place_reduction(account: Account, ask: Ask, quantity: float) -> None:
    """Accept a reduction; nothing but a full book refuses it."""
    if is_full(account, ask, quantity):
        return
    place(account, ask, quantity, Role.EXIT)


def is_full(account: Account, ask: Ask, asked: float) -> bool:
    """Refuse what comes when a slot has as many working orders as it may have."""
    if len(account.placed_by(ask.slot)) < MAX_ORDERS:
        return False
    refuse(account, ask, Reason.TOO_MANY_ORDERS, MAX_ORDERS, MAX_ORDERS, asked)
    return True


def place(account: Account, ask: Ask, quantity: float, role: Role) -> Order:
    """Let an order work from now on."""
    symbol, intent = account.symbols[ask.slot.symbol], ask.intent
    price = awaited_price(symbol, ask)
    order = Order(
        ask.slot.index,
        symbol.index,
        ask.side,
        intent.kind,
        role,
        quantity,
        price,
        role == Role.EXIT,
        account.time,
        account.time,
        intent.tag,
        intent.group if role == Role.ENTRY else 0,
        remaining=quantity,
        accepted_mark=symbol.mark,
    )
    order.oco, order.call = intent.oco, ask.call
    begin_life(account, order, intent)
    if order.kind == OrderKind.STOP_LIMIT:
        order.limit = reference_of(symbol, ask)
    return account.add(order)


# --- pass two: openings -----------------------------------------------------------------------------------------------


def accept(account: Account, ask: Ask) -> Order | None:
    """Take an opening through steps 1 to 11; None when it is refused."""
    quantity = cleared_quantity(account, ask)
    if quantity is None or is_below_minimum(account, ask, quantity) or is_full(account, ask, ask.wanted):
        return None
    order = place(account, ask, quantity, Role.ENTRY)
    order.bracket, order.entry, order.partial = Bracket.of(ask.intent), ask.entry, ask.partial
    order.is_sized = ask.opening is None
    stop = order.bracket.stop_at(ask.entry, ask.side)[0]
    order.risk_each = ask.entry if stop is None else max(0.0, ask.side * (ask.entry - stop))
    multiplier = account.symbols[ask.slot.symbol].instrument.multiplier
    order.unit_cost = account.settings.unit_cost(ask.entry, multiplier, order.kind)
    order.reserved_qty = max(0.0, quantity - ask.free)
    return order


def cleared_quantity(account: Account, ask: Ask) -> float | None:
    """Steps 1 to 8: return the quantity that sizing, buying power and rules leave."""
    settings, symbol, intent, side = account.settings, account.symbols[ask.slot.symbol], ask.intent, ask.side
    instrument = symbol.instrument
    bracket, reference = Bracket.of(intent), reference_of(symbol, ask)
    ask.wanted = ask.opening or 0.0
    if symbol.is_over:
        return refuse(account, ask, Reason.SYMBOL_ENDED, asked=ask.wanted)
    if account.is_called:
        limit = settings.maintenance * account.exposure()
        return refuse(account, ask, Reason.MARGIN_CALL, account.equity(), limit, ask.wanted)
    if side < 0 and not settings.shorts:
        return refuse(account, ask, Reason.SHORTS_NOT_ALLOWED, asked=ask.wanted)
    if bracket.stop is not None and side * (reference - bracket.stop) <= 0:
        return refuse(account, ask, Reason.WRONG_SIDE, bracket.stop, reference, ask.wanted)
    if bracket.target is not None and side * (bracket.target - reference) <= 0:
        return refuse(account, ask, Reason.WRONG_SIDE, bracket.target, reference, ask.wanted)
    available = account.available()
    likely = ask.opening if ask.opening is not None else available / (reference * instrument.multiplier)
    is_limit = intent.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
    ask.entry = reference if is_limit else slipped(account, symbol, reference, side, likely, is_fill=False)
    check = order_check(account, ask, bracket, available, reference)
    if ask.opening is None:
        ask.wanted = settings.sizing(check)
        if not math.isfinite(ask.wanted) or ask.wanted <= 0:
            return refuse(account, ask, Reason.BELOW_MINIMUM, ask.wanted, 0.0)
    ask.free = freed(symbol.net + side * account.pending(symbol, side), side, instrument.lot)
    unit = settings.unit_cost(ask.entry, instrument.multiplier, intent.kind)
    most = snap(ask.free + max(0.0, available - settings.fixed_cost) / unit, instrument.lot)
    quantity = ask.wanted
    if is_less(most, quantity):
        refuse(account, ask, Reason.NO_BUYING_POWER, quantity * unit, available, quantity, most)
        quantity = most
        if most <= 0:
            return None
    untouched = min(ask.wanted, ask.free)
    for number, rule in enumerate(settings.rules):
        if untouched > 0 and not is_less(untouched, quantity):
            break
        check.qty = quantity
        note_nearness(account, number, check)
        allowed, refused, value, limit = rule(check)
        allowed = 0.0 if refused else snap(max(0.0, allowed), instrument.lot)
        allowed = max(min(allowed, quantity), min(quantity, untouched))
        if is_less(allowed, quantity):
            refuse(account, ask, Reason.RULE + number, value, limit, quantity, allowed)
            quantity = allowed
        if quantity <= 0:
            break
    if quantity <= 0:
        return None
    return down(quantity, instrument.lot)


def is_less(allowed: float, quantity: float) -> bool:
    """Return whether a quantity is reduced by more than the rounding of sums."""
    return allowed < quantity * (1 - 1e-12)


def is_below_minimum(account: Account, ask: Ask, quantity: float) -> bool:
    """Step 9: refuse what is smaller than the market takes."""
    instrument = account.symbols[ask.slot.symbol].instrument
    if quantity <= 0:
        limit = instrument.lot
    elif quantity < instrument.min_qty:
        limit = instrument.min_qty
    elif quantity * ask.entry * instrument.multiplier < instrument.min_notional:
        limit = instrument.min_notional
    else:
        return False
    refuse(account, ask, Reason.BELOW_MINIMUM, quantity, limit, ask.wanted)
    return True


def order_check(
    account: Account, ask: Ask, bracket: Bracket, available: float, reference: float
) -> SimpleNamespace:
    """Return what a sizing rule and the risk rules see of one opening."""
    symbol, side = account.symbols[ask.slot.symbol], ask.side
    stop, target = bracket.stop_at(ask.entry, side)[0], bracket.target_at(ask.entry, side)
    return SimpleNamespace(
        qty=ask.wanted,
        reference=reference,
        entry=ask.entry,
        stop=UNSET if stop is None else stop,
        target=UNSET if target is None else target,
        side=side,
        kind=ask.intent.kind,
        position_qty=ask.slot.position,
        symbol_qty=symbol.net,
        symbol_pending=side * account.pending(symbol, side),
        carried=account.carried(),
        proceeds=account.proceeds(),
        symbol_committed=symbol.index in account.committed(),
        committed_positions=len(account.committed()),
        working_notional=account.working_notional(),
        heat=account.heat(),
        slot_heat=account.slot_heat(ask.slot),
        available=available,
        bar=symbol.last_bar,
        account=SimpleNamespace(equity=account.equity(), cash=account.cash, exposure=account.exposure()),
        clock=SimpleNamespace(time_ns=account.time),
        instrument=symbol.instrument,
        books=account,
        symbol=symbol,
        exchange=getattr(symbol.instrument, "exchange", "24/7"),
    )


def accept_group(account: Account, legs: list[Ask], is_lost: bool) -> None:
    """Accept all legs, scaled by one factor, or none."""
    accepted: list[Order] = []
    failed: Ask | None = None
    if not is_lost:
        for leg in legs:
            order = accept(account, leg)
            if order is None:
                failed = leg
                break
            accepted.append(order)
        else:
            failed = scale_group(account, legs, accepted)
    if failed is None and not is_lost:
        return
    for order in reversed(accepted):
        account.working.remove(order)
        account.result.orders.remove(order)
    for leg in legs:
        if leg is not failed:
            refuse(account, leg, Reason.GROUP_REFUSED, asked=leg.wanted or leg.opening or 0.0)


def scale_group(account: Account, legs: list[Ask], accepted: list[Order]) -> Ask | None:
    """Scale the legs by the smallest share that was accepted; return one that falls below a minimum by it."""
    factor = min(order.qty / leg.wanted for leg, order in zip(legs, accepted, strict=True))
    for leg, order in zip(legs, accepted, strict=True):
        order.qty = order.remaining = down(leg.wanted * factor, account.symbols[order.symbol].instrument.lot)
        order.reserved_qty = max(0.0, order.qty - leg.free)
        if is_below_minimum(account, leg, order.qty):
            return leg
    return None
