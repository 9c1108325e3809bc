"""How alike two symbols have moved from day to day, from the tape."""

from __future__ import annotations

import math

from framework.boundary.jit import kernel
from framework.engine.prices import on_lots

LEAST_RETURNS = 10
"""With fewer daily returns in common, two symbols count as moving alike."""


@kernel
def highest_correlation(s, t, number, side):
    """Return the highest correlation of a new position's daily returns with those of a position of another symbol.

    Positions count with their direction: short against long, symbols that move alike offset each other.  A symbol that
    only has working orders counts with what they would make of it.  -1 when there is no other.
    """
    highest = -1.0
    if s.settings[0].correlation_days <= 0:
        return highest
    for other in range(s.symbols.size):
        symbol = s.symbols[other]
        held = on_lots(symbol.net + symbol.pending_buys - symbol.pending_sells, symbol.lot)
        if other == number or symbol.committed == 0 or held == 0.0:
            continue
        alike = correlation(t, number, s.symbols[number].closed, other, symbol.closed, s.settings[0].correlation_days)
        highest = max(highest, side * alike if held > 0.0 else -side * alike)
    return highest


@kernel
def correlation(t, one, last_one, other, last_other, days):
    """Return Pearson's correlation of the last `days` daily returns that two symbols have in common.

    A day's price is its last close on the account's calendar, today's so far included; a return is one from a day on
    which both closed to the next.  1 when fewer than LEAST_RETURNS are known, 0 when one of the prices never moved.
    last_one, last_other: last closed bars; -1 without one.  O(days): `day_before` names the last bar of an earlier day.
    """
    count = 0
    x_later = y_later = 0.0
    sum_x = sum_y = sum_xx = sum_yy = sum_xy = 0.0
    i, j = last_one, last_other
    first_i, first_j = t.series[one], t.series[other]
    while i >= first_i and j >= first_j and count < days:
        day_i, day_j = t.account_day[i], t.account_day[j]
        if day_i > day_j:
            i = t.day_before[i]
        elif day_j > day_i:
            j = t.day_before[j]
        else:
            if x_later > 0.0:
                x, y = x_later / t.close[i] - 1.0, y_later / t.close[j] - 1.0
                count += 1
                sum_x += x
                sum_y += y
                sum_xx += x * x
                sum_yy += y * y
                sum_xy += x * y
            x_later, y_later = t.close[i], t.close[j]
            i, j = t.day_before[i], t.day_before[j]
    if count < min(LEAST_RETURNS, days):
        return 1.0
    spread_x, spread_y = sum_xx - sum_x * sum_x / count, sum_yy - sum_y * sum_y / count
    if spread_x <= 0.0 or spread_y <= 0.0:
        return 0.0
    alike = (sum_xy - sum_x * sum_y / count) / math.sqrt(spread_x * spread_y)
    return max(-1.0, min(1.0, alike))
