"""The ledger: positions, cash, trades and the totals of working orders.

Nothing here decides anything; it keeps count.  The identity that tests hold on random flow:
change of equity = closed P&L + open P&L + interest + taxes, and equity = cash + sum(net * mark * multiplier).
"""

from __future__ import annotations

import math

from framework.boundary.jit import inlined, kernel
from framework.engine.layout import AT_OPEN
from framework.engine.prices import on_lots, without_dust
from framework.engine.tax import count_gain
from framework.model.enums import OrderKind, Role, Status
from framework.model.records import UNSET

MARKET, LIMIT = int(OrderKind.MARKET), int(OrderKind.LIMIT)
ROLE_STOP, ROLE_TRAIL = int(Role.STOP), int(Role.TRAIL)
RUINED = int(Status.RUINED)
RUNNING = int(Status.RUNNING)


@kernel
def is_protective(order):
    """Return whether the order is the stop or target of a position: its quantity is the position's."""
    return order.role >= ROLE_STOP


@inlined
def buying_power(s):
    """Return leverage * equity - what positions may come to when one side of a symbol leaves, in currency."""
    account = s.account[0]
    return s.settings[0].leverage * account.equity - account.carried


@kernel
def available(s):
    """Return what an opening may cost now: buying power less reservations plus pending exits, less the buffer."""
    account = s.account[0]
    free = buying_power(s) - account.reserved + account.proceeds
    return max(0.0, free * (1.0 - s.settings[0].cash_buffer))


@inlined
def revalue(s, number):
    """Bring the symbol's value, and with it equity and exposure, up to what is held of it and its mark."""
    symbol = s.symbols[number]
    account = s.account[0]
    unit = symbol.mark * symbol.multiplier
    value, carried = symbol.net * unit, max(symbol.longs, symbol.shorts) * unit
    account.equity += value - symbol.value
    account.exposure += abs(value) - abs(symbol.value)
    account.carried += carried - symbol.carried
    symbol.value, symbol.carried = value, carried


@kernel
def revalue_all(s):
    """Sum equity and exposure afresh, so that rounding never builds up over a long run."""
    account = s.account[0]
    equity = account.cash
    exposure = carried = 0.0
    for number in range(s.symbols.size):
        value = s.symbols[number].value
        equity += value
        exposure += abs(value)
        carried += s.symbols[number].carried
    account.equity = equity
    account.exposure, account.carried = exposure, carried


@kernel
def position_risk(s, slot_number, leaving):
    """Return what the position loses at its stop, in currency; its whole notional without a stop.

    leaving: units that a market reduction takes away at the next open.
    """
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    size = on_lots(max(0.0, abs(slot.qty) - leaving), symbol.lot) * symbol.multiplier
    if size == 0.0:
        return 0.0
    for k in range(slot.working):
        order = s.working[slot_number, k]
        if (order.role == ROLE_STOP or order.role == ROLE_TRAIL) and order.price != UNSET:
            loss = slot.entry_price - order.price if slot.qty > 0.0 else order.price - slot.entry_price
            return max(0.0, loss) * size
    return slot.entry_price * size


@kernel
def refresh(s, slot_number):
    """Recount what the slot's position and working orders take from the account, and the account's totals with it."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    account = s.account[0]
    multiplier = symbol.multiplier
    reserved = proceeds = notional = buys = sells = leaving = opened = 0.0
    openings = unfilled = 0
    slot.touch_low, slot.touch_high = -math.inf, math.inf
    slot.trail_due = 1
    for k in range(slot.working):
        order = s.working[slot_number, k]
        note_touch(slot, order, s.settings[0].has_details)
        if is_protective(order):
            continue
        if order.side > 0:
            buys += order.remaining
        else:
            sells += order.remaining
        if order.reduce_only:
            if order.kind == MARKET:
                leaving += order.remaining
                proceeds += order.remaining * order.proceeds_each
            continue
        openings += 1
        unfilled += 1 - order.filled
        taken = min(order.remaining, order.reserved_qty)
        reserved += taken * order.unit_cost
        notional += taken * order.entry * multiplier
        opened += order.remaining * order.risk_each * multiplier
    heat = position_risk(s, slot_number, leaving) + opened
    count_pending(s, slot_number, buys, sells, leaving, proceeds)
    account.reserved += reserved - slot.reserved
    account.working_notional += notional - slot.notional
    account.heat += heat - slot.heat
    symbol.openings += openings - slot.openings
    account.unfilled += unfilled - slot.unfilled
    slot.reserved, slot.notional, slot.heat = reserved, notional, heat
    slot.openings, slot.unfilled = openings, unfilled
    if account.working == 0:
        account.reserved = account.proceeds = account.working_notional = 0.0
    count_symbol(account, symbol)
    symbol.touch_low, symbol.touch_high = slot.touch_low, slot.touch_high
    for i in range(s.symbol_first[slot.symbol], s.symbol_first[slot.symbol + 1]):
        other = s.slots[s.symbol_slots[i]]
        if other.working > 0:
            symbol.touch_low = max(symbol.touch_low, other.touch_low)
            symbol.touch_high = min(symbol.touch_high, other.touch_high)


@kernel
def count_pending(s, slot_number, buys, sells, leaving, proceeds):
    """Recount what works for the slot and its symbol, and what the exits at the next open free.

    They free what the larger side of the symbol's positions loses: the value of one that leaves while as much is held
    on the other side was never needed.
    """
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    symbol.pending_buys += buys - slot.pending_buys
    symbol.pending_sells += sells - slot.pending_sells
    slot.pending_buys, slot.pending_sells = buys, sells
    from_longs, of_longs = (leaving, proceeds) if slot.qty > 0.0 else (0.0, 0.0)
    from_shorts, of_shorts = leaving - from_longs, proceeds - of_longs
    symbol.leaving_longs += from_longs - slot.leaving_longs
    symbol.leaving_shorts += from_shorts - slot.leaving_shorts
    symbol.proceeds_longs += of_longs - slot.proceeds_longs
    symbol.proceeds_shorts += of_shorts - slot.proceeds_shorts
    slot.leaving_longs, slot.leaving_shorts = from_longs, from_shorts
    slot.proceeds_longs, slot.proceeds_shorts = of_longs, of_shorts
    if symbol.working == 0:
        symbol.pending_buys = symbol.pending_sells = symbol.leaving_longs = symbol.leaving_shorts = 0.0
        symbol.proceeds_longs = symbol.proceeds_shorts = 0.0
    freed = proceeds_of(symbol)
    s.account[0].proceeds += freed - symbol.proceeds
    symbol.proceeds = freed


@kernel
def proceeds_of(symbol):
    """Return what the symbol's market reductions free of the value of its larger side, in currency."""
    stays = max(symbol.longs - symbol.leaving_longs, symbol.shorts - symbol.leaving_shorts)
    freed = max(0.0, max(symbol.longs, symbol.shorts) - stays)
    if symbol.longs >= symbol.shorts:
        return symbol.proceeds_longs * (freed / symbol.leaving_longs) if symbol.leaving_longs > 0.0 else 0.0
    return symbol.proceeds_shorts * (freed / symbol.leaving_shorts) if symbol.leaving_shorts > 0.0 else 0.0


@kernel
def note_touch(slot, order, has_details):
    """Narrow by one order the prices between which a bar touches no order of the slot; a market order rests at none.

    Neither does a stop that trails from finer bar to finer bar: it may be touched where it was not.  Orders that wait
    for something else than a price are told by the symbol's `waiting`.
    """
    if order.kind == MARKET or (has_details and order.trail != UNSET):
        slot.touch_low = math.inf
    elif order.price != UNSET:
        if (order.kind == LIMIT) == (order.side > 0):
            slot.touch_low = max(slot.touch_low, order.price)
        else:
            slot.touch_high = min(slot.touch_high, order.price)


@inlined
def rests(t, symbol, bar):
    """Return whether a bar leaves all working orders of its symbol alone, from its open to its close."""
    if symbol.working == 0:
        return True
    return symbol.waiting == 0 and t.low[bar] > symbol.touch_low and t.high[bar] < symbol.touch_high


@kernel
def count_symbol(account, symbol):
    """Keep the number of symbols that have a position that stays or a working opening."""
    stays = without_dust(max(symbol.longs - symbol.leaving_longs, symbol.shorts - symbol.leaving_shorts), symbol.lot)
    committed = 1 if stays > 0.0 or symbol.openings > 0 else 0
    account.committed_positions += committed - symbol.committed
    symbol.committed = committed


@kernel
def close_part(s, slot_number, side, qty, price, fee, slippage):
    """Book the closing part of an execution: realise its P&L; return whether the position is gone."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    slot.realised += -side * qty * (price - slot.entry_price) * symbol.multiplier
    slot.qty_out += qty
    slot.value_out += qty * price
    slot.fees += fee
    slot.slippage += slippage
    slot.trade_fills += 1
    offer(slot, price, price)
    settle_excursions(slot)
    slot.qty = on_lots(slot.qty + side * qty, symbol.lot)
    return slot.qty == 0.0


@kernel
def count_begun(account):
    """Count a round trip of the day; what began since the last mark may belong to the day that rolls next."""
    if account.begun_after != account.time:
        account.begun_after, account.begun_since = account.time, 0
    account.begun_since += 1
    account.begun += 1


@kernel
def open_part(s, slot_number, side, qty, price, fee, slippage, bar, time, phase):
    """Book the opening part of an execution: average the entry price, or begin a trade."""
    slot = s.slots[slot_number]
    if slot.qty == 0.0:
        slot.entry_price = slot.high_water = slot.lowest = slot.highest = price
        slot.entry_time, slot.entry_bar, slot.entered_inside = time, bar, phase != AT_OPEN
        slot.bars_held = slot.trade_fills = 0
        slot.qty_in = slot.cost_in = slot.qty_out = slot.value_out = 0.0
        slot.realised = slot.fees = slot.slippage = slot.cash_flows = slot.worst = slot.best = 0.0
        slot.qty = on_lots(side * qty, s.symbols[slot.symbol].lot)
        count_begun(s.account[0])
    else:
        held = abs(slot.qty)
        settle_excursions(slot)
        slot.entry_price += (price - slot.entry_price) * (qty / (held + qty))
        slot.lowest = slot.highest = slot.entry_price
        slot.qty = on_lots(slot.qty + side * qty, s.symbols[slot.symbol].lot)
    slot.qty_in += qty
    slot.cost_in += qty * price
    slot.fees += fee
    slot.slippage += slippage
    slot.trade_fills += 1


@inlined
def offer(slot, low, high):
    """Let the trade's excursions see prices."""
    slot.lowest = min(slot.lowest, low)
    slot.highest = max(slot.highest, high)


@kernel
def settle_excursions(slot):
    """Express the prices seen since the last change of the entry price as fractions of it."""
    down = (slot.lowest - slot.entry_price) / slot.entry_price
    up = (slot.highest - slot.entry_price) / slot.entry_price
    if slot.qty < 0.0:
        down, up = -up, -down
    slot.worst = min(slot.worst, down)
    slot.best = max(slot.best, up)


@kernel
def write_trade(s, slot_number, side, role, time):
    """Append the round trip that has just ended to the trades."""
    slot = s.slots[slot_number]
    account = s.account[0]
    row = s.trades[account.trades]
    account.trades += 1
    row.id = account.trades
    row.slot, row.symbol, row.side, row.exit_role = slot_number, slot.symbol, side, role
    row.bars, row.fills = slot.bars_held, slot.trade_fills
    row.entry_time, row.exit_time = slot.entry_time, time
    row.qty = slot.qty_in
    row.entry_price = slot.cost_in / slot.qty_in
    row.exit_price = slot.value_out / slot.qty_out
    row.pnl = slot.realised - slot.fees + slot.cash_flows
    row.fees, row.slippage, row.cash_flows = slot.fees, slot.slippage, slot.cash_flows
    row.mae, row.mfe = slot.worst, slot.best
    if time > account.last_exit_time or account.trades == 1:
        account.last_exit_time = time
    if row.pnl < 0.0:
        account.losing_streak += 1
    elif row.pnl > 0.0:
        account.losing_streak = 0
    if s.settings[0].taxes != 0:
        count_gain(s, row)
    let_rules_look(s)


@inlined
def let_rules_look(s):
    """Have the rules that watch called at the next mark."""
    if s.settings[0].watches != 0:
        s.account[0].alarm_below = math.inf


@kernel
def execute(s, slot_number, side, qty, price, fee, slippage, role, bar, time, phase):
    """Book an execution everywhere; return whether it ended the slot's position (it may have opened another).

    The closing part of the quantity realises its P&L first; the rest opens.  A trade is flat to flat.
    """
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    account = s.account[0]
    before = slot.qty
    net_before = symbol.net
    closing = min(qty, abs(before)) if side * before < 0.0 else 0.0
    opening = qty - closing
    if closing > 0.0:
        opening = on_lots(opening, symbol.lot)
    fee_each, slippage_each = fee / (closing + opening), slippage / (closing + opening)
    is_closed = False
    if closing > 0.0:
        is_closed = close_part(s, slot_number, side, closing, price, fee_each * closing, slippage_each * closing)
        if is_closed:
            write_trade(s, slot_number, -side, role, time)
    if opening > 0.0:
        open_part(s, slot_number, side, opening, price, fee_each * opening, slippage_each * opening, bar, time, phase)
    symbol.held += (1 if slot.qty != 0.0 else 0) - (1 if before != 0.0 else 0)
    symbol.net = on_lots(symbol.net + (slot.qty - before), symbol.lot)
    symbol.longs = on_lots(symbol.longs + max(0.0, slot.qty) - max(0.0, before), symbol.lot)
    symbol.shorts = on_lots(symbol.shorts + max(0.0, -slot.qty) - max(0.0, -before), symbol.lot)
    account.open_positions += (1 if symbol.net != 0.0 else 0) - (1 if net_before != 0.0 else 0)
    cost = side * qty * price * symbol.multiplier + fee
    account.cash -= cost
    account.equity -= cost
    revalue(s, slot.symbol)
    return is_closed


@inlined
def see_range(t, slot, row, has_begun):
    """Let a position's excursions and high-water mark see the range of a row; has_begun: it began in this row."""
    high, low, close = t.high[row], t.low[row], t.close[row]
    if has_begun and slot.entered_inside:
        offer(slot, close, close)
    else:
        offer(slot, low, high)
    if slot.qty > 0.0:
        slot.high_water = max(slot.high_water, close if has_begun else high)
    else:
        slot.high_water = min(slot.high_water, close if has_begun else low)


@kernel
def see_rows(s, t, slot_number, bar, first, last):
    """Let one slot's position see the finer rows [first, last) of a bar, one after another."""
    slot = s.slots[slot_number]
    for row in range(first, last):
        if slot.entered_inside:
            has_begun = slot.entry_time >= t.close_time[row]
        else:
            has_begun = row == t.detail[bar] and slot.entry_time >= t.open_time[bar]
        see_range(t, slot, row, has_begun)


@kernel
def see_unseen(s, t, slot_number, bar):
    """Let one slot's position see what it has not seen of a bar with finer bars: the last of them, or all of them."""
    first, last = t.detail[bar], t.detail[bar + 1]
    see_rows(s, t, slot_number, bar, last - 1 if s.slots[slot_number].walked == bar else first, last)


@inlined
def mark_slot(s, t, slot_number, bar):
    """Let one slot's position see the bar that closed: age, excursions and high-water mark."""
    slot = s.slots[slot_number]
    slot.bars_held += 1
    is_entry_bar = slot.entry_bar == bar
    if is_entry_bar and t.detail.size > 1:
        see_unseen(s, t, slot_number, bar)
    else:
        see_range(t, slot, bar, is_entry_bar)


@inlined
def roll_day(s, day):
    """Close the account's day when a later one has begun: its last mark is the day's equity."""
    account = s.account[0]
    if day <= account.day:
        return
    if account.day >= 0:
        close_day(s)
        account.day_start_equity = account.marked_equity
        revalue_all(s)
        account.begun = account.begun_since if account.begun_after == account.time else 0
        let_rules_look(s)
    begin_day(account, day)


@kernel
def begin_day(account, day):
    """Enter a day of the account calendar; a new week (from Monday) or month begins at the equity marked last."""
    week, month = (day + 3) // 7, month_of(day)
    if week != account.week:
        account.week, account.week_start_equity = week, account.day_start_equity
    if month != account.month:
        account.month, account.month_start_equity = month, account.day_start_equity
    account.day = day


@kernel
def month_of(day):
    """Return the months from January 1970 to a day counted from 1970-01-01.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil inverted.
    """
    shifted = day + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * of_year + 2) // 153
    return (era * 400 + year - 1970) * 12 + from_march + 2


@kernel
def close_day(s):
    """Append the account's day, as last marked, to the days; what is before the run's start is not logged."""
    account = s.account[0]
    if account.time < s.settings[0].start:
        return
    row = s.days[account.days]
    account.days += 1
    row.day, row.time = account.day, account.time
    row.equity, row.exposure = account.marked_equity, account.marked_exposure


@inlined
def write_mark(row, time, equity, cash, exposure):
    """Fill in a row of the marks."""
    row.time, row.equity, row.cash, row.exposure = time, equity, cash, exposure


@inlined
def mark_account(s, time):
    """Follow the peak after a mark, log the mark from the run's start on, and end the run when nothing is left."""
    account = s.account[0]
    account.time, account.marked_equity, account.marked_exposure = time, account.equity, account.exposure
    account.peak = max(account.peak, account.equity)
    if s.settings[0].log_marks and time >= s.settings[0].start:
        write_mark(s.marks[account.marks], time, account.equity, account.cash, account.exposure)
        account.marks += 1
    if account.equity <= 0.0 and account.status == RUNNING:
        account.status = RUINED
