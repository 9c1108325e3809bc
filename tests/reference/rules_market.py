"""What rules read of a market: ranges, days and their prices, from all bars that have closed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from tests.reference.account import Account, Symbol
from tests.reference.market import Bar

DAY = 86_400_000_000_000


def average_true_range(bars: Sequence[Bar], length: int) -> list[float]:
    """Return Wilder's average true range at every bar from the first on at which it is known.

    It begins with the plain mean of `length` true ranges; the first bar has none.
    """
    ranges = [max(b.high, a.close) - min(b.low, a.close) for a, b in pairwise(bars)]
    if len(ranges) < length:
        return []
    found = [math.fsum(ranges[:length]) / length]
    for newest in ranges[length:]:
        found.append((found[-1] * (length - 1) + newest) / length)
    return found


def volatility_measure(bars: Sequence[Bar], length: int, window: int, rank_window: int | None) -> float:
    """Return the average true range over its mean of `window` bars, or the rank of that among its last values.

    NaN while it is not known.
    """
    ranges = average_true_range(bars, length)
    ratios = [ranges[end - 1] / (math.fsum(ranges[end - window : end]) / window)
              for end in range(window, len(ranges) + 1)]  # fmt: skip
    if rank_window is None:
        return ratios[-1] if ratios else math.nan
    last = ratios[-rank_window:]
    return sum(ratio <= last[-1] for ratio in last) / rank_window if len(last) == rank_window else math.nan


def daily_closes(account: Account, symbol: Symbol) -> dict[int, float]:
    """Return the last close of every day of the account's calendar, today's so far included."""
    return {account.day_of(symbol, place): bar.close for place, bar in enumerate(symbol.closed)}


def daily_volatility(bars: Sequence[Bar], window: int, *, is_daily: bool) -> float:
    """Return the population deviation of the last daily returns in percent, by complete UTC days; NaN if unknown.

    A day is complete once a bar closes at its end or later; the first one only when the data begin with it.
    is_daily: whether the bars are days themselves.
    """
    if is_daily:
        closes = [bar.close for bar in bars]
    else:
        days = {(bar.close_time - 1) // DAY: bar for bar in bars}
        begun_within = bars[0].open_time % DAY != 0
        first = (bars[0].close_time - 1) // DAY
        closes = [bar.close for day, bar in sorted(days.items(), key=lambda item: item[0])
                  if (day + 1) * DAY <= bars[-1].close_time and not (day == first and begun_within)]  # fmt: skip
    returns = [100 * (b / a - 1) for a, b in pairwise(closes)][-window:]
    if len(returns) < window:
        return math.nan
    mean = math.fsum(returns) / window
    return math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / window)
