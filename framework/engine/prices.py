"""Prices and quantities: rounding, what was known of volume, slippage and fees."""

from __future__ import annotations

import math

from framework.boundary.address import call_at, read_column
from framework.boundary.jit import inlined, kernel
from framework.engine.layout import FAULT_PRICE, FAULT_SLIPPAGE, USES_BAR, USES_VOLATILITY, USES_VOLUME
from framework.model.enums import OrderKind, Status
from framework.model.records import UNSET

LIMIT = int(OrderKind.LIMIT)
STOP, STOP_LIMIT = int(OrderKind.STOP), int(OrderKind.STOP_LIMIT)
MARKET_ON_CLOSE = int(OrderKind.MARKET_ON_CLOSE)
FAULT = int(Status.FAULT)
ROUNDINGS = 64.0 * 2.0**-52
"""The share by which a large number of steps may miss a whole one: some dozens of roundings of float64."""


@kernel
def down(x, step):
    """Return x rounded down to a multiple of step; unchanged when step is 0."""
    if step == 0.0:
        return x
    n = x / step
    return math.floor(n + (1e-9 + ROUNDINGS * abs(n))) * step


@kernel
def up(x, step):
    """Return x rounded up to a multiple of step; unchanged when step is 0."""
    if step == 0.0:
        return x
    n = x / step
    return math.ceil(n - (1e-9 + ROUNDINGS * abs(n))) * step


@kernel
def is_dust(qty, lot):
    """Return whether a quantity is nothing but rounding: below a thousandth of a lot."""
    return abs(qty) < (1e-3 * lot if lot > 0.0 else 1e-12)


@kernel
def without_dust(qty, lot):
    """Return a quantity, 0 for one that is nothing but rounding."""
    return 0.0 if is_dust(qty, lot) else qty


@kernel
def on_lots(qty, lot):
    """Return a quantity, the whole number of lots for one that only rounding keeps from it: sums do not drift."""
    if lot == 0.0:
        return without_dust(qty, lot)
    whole = math.floor(qty / lot + 0.5) * lot
    return whole if is_dust(qty - whole, lot) else qty


@kernel
def order_price(kind, side, price, tick):
    """Return a limit or stop price on the tick, rounded so that it does not flatter the order."""
    if (kind == LIMIT) == (side > 0):
        return down(price, tick)
    return up(price, tick)


@kernel
def is_limit(kind):
    """Return whether an order of this kind fills as a limit, now or once it is triggered."""
    return kind in (LIMIT, STOP_LIMIT)


@kernel
def is_priced(kind):
    """Return whether an order of this kind waits for a price."""
    return kind in (LIMIT, STOP, STOP_LIMIT)


@kernel
def waiting_price(intent, tick):
    """Return the rounded price for which the order of an intent waits, UNSET when it waits for none."""
    return order_price(intent.kind, intent.side, intent.price, tick) if is_priced(intent.kind) else UNSET


@kernel
def limit_price(intent, tick):
    """Return the rounded limit of an intent's stop-limit order, UNSET for the other kinds."""
    return order_price(LIMIT, intent.side, intent.limit, tick) if intent.kind == STOP_LIMIT else UNSET


@kernel
def reference_price(intent, close, tick):
    """Return the price that the order of an intent is reckoned with: its limit, its stop price or the last close."""
    if intent.kind == STOP_LIMIT:
        return limit_price(intent, tick)
    return waiting_price(intent, tick) if is_priced(intent.kind) else close


@kernel
def mean_volume(t, first, last, window):
    """Return the mean volume of the bars [max(first, last - window + 1), last]."""
    begin = max(first, last - window + 1)
    total = 0.0
    for bar in range(begin, last + 1):
        total += t.volume[bar]
    return total / (last - begin + 1) if last >= begin else 0.0


@kernel
def volume_at(s, t, number, bar):
    """Return the volume that a fill in a bar is reckoned with; bar -1 is none yet.

    What was known is the mean of the bars that closed before; the bar's own is there for comparison.
    """
    settings = s.settings[0]
    if settings.own_volume and bar >= 0:
        return t.volume[bar]
    return mean_volume(t, t.series[number], s.symbols[number].closed, settings.volume_window)


@kernel
def volatility(t, first, last, window):
    """Return the standard deviation (population) of the last `window` log returns of closes; 0 with fewer than 2."""
    begin = max(first + 1, last - window + 1)
    count = last - begin + 1
    if count < 2:
        return 0.0
    mean = 0.0
    for bar in range(begin, last + 1):
        mean += math.log(t.close[bar] / t.close[bar - 1])
    mean /= count
    square = 0.0
    for bar in range(begin, last + 1):
        deviation = math.log(t.close[bar] / t.close[bar - 1]) - mean
        square += deviation * deviation
    return math.sqrt(square / count)


@inlined
def copy_bar(view, t, bar):
    """Copy one bar of the tape into a BAR record."""
    view.open_time = t.open_time[bar]
    view.close_time = t.close_time[bar]
    view.open = t.open[bar]
    view.high = t.high[bar]
    view.low = t.low[bar]
    view.close = t.close[bar]
    view.volume = t.volume[bar]


@kernel
def copy_instrument(view, symbol):
    """Copy what the step knows of an instrument into an INSTRUMENT_VIEW record."""
    view.tick = symbol.tick
    view.lot = symbol.lot
    view.min_qty = symbol.min_qty
    view.min_notional = symbol.min_notional
    view.multiplier = symbol.multiplier


@kernel
def slipped(s, t, number, side, qty, reference, bar):
    """Return the price that the slippage model gives in a bar (-1: none yet), never better than the reference.

    On a fault of the model the account's status is FAULT and the reference is returned.
    """
    settings = s.settings[0]
    if settings.slippage == 0:
        return reference
    symbol = s.symbols[number]
    request = s.request[0]
    request.reference = reference
    request.qty = side * qty
    first, last_closed = t.series[number], symbol.closed
    if last_closed >= 0:
        if settings.slippage_uses & USES_BAR:
            copy_bar(request.bar, t, last_closed)
        if settings.slippage_uses & USES_VOLUME:
            request.mean_volume = volume_at(s, t, number, bar)
        if settings.slippage_uses & USES_VOLATILITY:
            request.volatility = volatility(t, first, last_closed, settings.volume_window)
        for j in range(settings.slippage_indicators):
            s.request_tails[0, j] = read_column(s.slippage_columns[number, j], last_closed - first)
    copy_instrument(request.instrument, symbol)
    account = s.account[0]
    if call_at(settings.slippage, settings.request) != 0:
        account.status = FAULT
        account.fault_kind = FAULT_SLIPPAGE
        account.fault_at = number
        return reference
    price = request.result
    if not (math.isfinite(price) and price > 0.0):
        account.status = FAULT
        account.fault_kind = FAULT_PRICE
        account.fault_at = number
        return reference
    return max(price, reference) if side > 0 else min(price, reference)


@kernel
def fee_rate(s, kind):
    """Return the fee of an order of this kind as a fraction of its notional."""
    return s.settings[0].maker if is_limit(kind) else s.settings[0].taker


@kernel
def charge(s, order, qty, price, multiplier):
    """Return the fee of this fill, and remember in the order what it has cost so far."""
    settings = s.settings[0]
    order.raw_fee += qty * price * multiplier * fee_rate(s, order.kind) + qty * settings.per_share
    if order.charged == 0:
        order.raw_fee += settings.per_order
        order.charged = 1
    fee = max(settings.minimum, order.raw_fee) - order.fee
    order.fee += fee
    return fee


@inlined
def is_set(number):
    """Return whether an optional number was given."""
    return number != UNSET
