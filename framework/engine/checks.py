"""What sizing and risk rules are shown, and how they are asked."""

from __future__ import annotations

from framework.boundary.address import call_at, read_column
from framework.boundary.jit import inlined, kernel
from framework.boundary.tables import prefetch
from framework.engine.correlation import highest_correlation
from framework.engine.layout import FAULT_RULE, USES_BAR, USES_CLOCK, USES_CORRELATION, USES_PAST, USES_TRIPS
from framework.engine.ledger import buying_power
from framework.engine.prices import FAULT, copy_bar, copy_instrument, is_limit


@inlined
def write_account(view, s):
    """Copy the account into an ACCOUNT_VIEW record."""
    account = s.account[0]
    view.equity = account.equity
    view.cash = account.cash
    view.buying_power = buying_power(s)
    view.exposure = account.exposure
    view.peak = account.peak
    view.drawdown = 1.0 - account.equity / account.peak
    view.day_start_equity = account.day_start_equity
    view.open_positions = account.open_positions


@inlined
def write_clock(view, t, bar):
    """Copy the exchange's time of a bar's close into a CLOCK record; time_ns and bars_held are the caller's."""
    view.minute = t.local_minute[bar]
    view.weekday = t.weekday[bar]
    view.bars_in_session = t.bars_in_session[bar]
    view.minutes_to_close = t.minutes_to_close[bar]


@inlined
def prefetch_clock(t, bar):
    """Ask for what `write_clock` will copy."""
    prefetch(t.local_minute, bar)
    prefetch(t.weekday, bar)
    prefetch(t.bars_in_session, bar)
    prefetch(t.minutes_to_close, bar)


@kernel
def write_past(view, s):
    """Copy what the account has behind it into a PAST record."""
    account = s.account[0]
    view.day, view.week, view.month = account.day, account.week, account.month
    view.week_start_equity, view.month_start_equity = account.week_start_equity, account.month_start_equity
    view.round_trips, view.losing_streak = account.trades, account.losing_streak
    view.trades_today = account.begun + account.unfilled
    view.last_exit_time = account.last_exit_time


@kernel
def write_trips(view, s):
    """Sum up the last round trips in a TRIPS record."""
    last = s.account[0].trades
    first = max(0, last - s.settings[0].trip_window)
    wins = losses = 0
    won = lost = 0.0
    for number in range(first, last):
        pnl = s.trades[number].pnl
        if pnl > 0.0:
            wins += 1
            won += pnl
        elif pnl < 0.0:
            losses += 1
            lost -= pnl
    view.count, view.wins, view.losses, view.won, view.lost = last - first, wins, losses, won, lost


@kernel
def write_surroundings(s, t, check, slot_number):
    """Fill in what rules see of account, bar, clock and instrument, as far as one of them reads it."""
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    uses = s.settings[0].check_uses
    write_account(check.account, s)
    if uses & USES_BAR:
        copy_bar(check.bar, t, symbol.closed)
    if uses & USES_CLOCK:
        write_clock(check.clock, t, symbol.closed)
    if uses & USES_PAST:
        write_past(check.past, s)
    check.clock.time_ns = s.account[0].time
    check.clock.bars_held = slot.bars_held if slot.qty != 0.0 else 0
    copy_instrument(check.instrument, symbol)


@kernel
def write_check(s, t, slot_number, side, kind, entry, stop, target, available):
    """Fill the record that rules see, in the place of the sizing rule (row 0); the quantity comes later.

    The reference is a limit's price, else what the slippage model has just been asked about.
    """
    slot = s.slots[slot_number]
    symbol = s.symbols[slot.symbol]
    account = s.account[0]
    check = s.checks[0]
    check.qty = 0.0
    is_moved = not is_limit(kind) and s.settings[0].slippage != 0
    check.reference = s.request[0].reference if is_moved else entry
    check.entry, check.stop, check.target, check.side, check.kind = entry, stop, target, side, kind
    check.position_qty, check.symbol_qty = slot.qty, symbol.net
    check.symbol_pending = symbol.pending_buys if side > 0 else -symbol.pending_sells
    check.carried, check.proceeds = account.carried, account.proceeds
    check.symbol_committed, check.committed_positions = symbol.committed, account.committed_positions
    check.available, check.heat, check.working_notional = available, account.heat, account.working_notional
    check.slot_heat = slot.heat
    uses = s.settings[0].check_uses
    if uses & USES_TRIPS:
        write_trips(check.trips, s)
    if uses & USES_CORRELATION:
        check.correlation = highest_correlation(s, t, slot.symbol, side)
    write_surroundings(s, t, check, slot_number)


@kernel
def write_indicators(s, t, number, symbol_number):
    """Copy a rule's indicator values at the symbol's last closed bar into its record."""
    index = s.symbols[symbol_number].closed - t.series[symbol_number]
    for j in range(s.rules[number].indicators):
        s.check_tails[number, j] = read_column(s.rule_columns[number, symbol_number, j], index)


@kernel
def ask_size(s, t, symbol_number):
    """Return the quantity that the sizing rule gives for the record in row 0."""
    write_indicators(s, t, 0, symbol_number)
    if call_at(s.rules[0].address, s.rules[0].pointer) != 0:
        rule_failed(s, 0, FAULT_RULE)
    return s.checks[0].result


@kernel
def ask_rule(s, t, number, symbol_number, qty):
    """Ask one rule about `qty`; its answer is in s.checks[number].allowed, .refused, .value and .limit."""
    s.checks[number] = s.checks[0]
    check = s.checks[number]
    check.qty = check.allowed = qty
    check.refused = 0
    check.value = check.limit = check.nearness = 0.0
    write_indicators(s, t, number, symbol_number)
    if call_at(s.rules[number].address, s.rules[number].pointer) != 0:
        rule_failed(s, number, FAULT_RULE)
    note_nearness(s, number, s.account[0].time)


@kernel
def note_nearness(s, number, time):
    """Count an alert when a rule has measured more than the told share of one of its limits."""
    rule = s.rules[number]
    nearness = s.checks[number].nearness
    if nearness < rule.alert_at:
        return
    if rule.alerts == 0:
        rule.alerted_at = time
    rule.alerts += 1
    rule.nearest = max(rule.nearest, nearness)


@kernel
def rule_failed(s, number, kind):
    """Stop the step: a rule's function raised."""
    account = s.account[0]
    account.status, account.fault_kind, account.fault_at = FAULT, kind, number
