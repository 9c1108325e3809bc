"""Trends that averages or a trailing channel show."""

from __future__ import annotations

from collections.abc import Mapping

from framework import Now, Param, Strategy, buy, close_position, sell
from framework.indicators import Bars, Condition, Expression, adx, crossed_above, crossed_below, ema, supertrend
from framework_strategy_trend.entries import enter, never


class TrendFollowing(Strategy):
    """Join a trend whose three EMAs are stacked and whose ADX is high; leave by stop, target or trail."""

    name = "trend_following"
    fast = Param(9, low=2, high=100, doc="bars of the fast EMA")
    middle = Param(21, low=3, high=200, doc="bars of the middle EMA")
    slow = Param(50, low=4, high=400, doc="bars of the slow EMA")
    adx_above = Param(25.0, low=0.0, high=100.0, doc="trend strength that an entry needs, ADX of 14 bars")
    stop_percent = Param(2.5, low=0.1, high=50.0, doc="distance of the stop, percent of the close")
    target_percent = Param(5.0, low=0.1, high=100.0, doc="distance of the target, percent of the close")
    trail_percent = Param(2.0, low=0.1, high=50.0, doc="distance of the trailing stop, percent of the close")
    trail_after_percent = Param(2.0, low=0.0, high=50.0, doc="profit that starts the trail, percent of the close")
    shorts = Param(True, doc="whether falling trends are joined too")
    constraints = ("fast < middle", "middle < slow")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the three averages of the close and the trend strength."""
        return {"fast": ema(bars.close, self.fast), "middle": ema(bars.close, self.middle),
                "slow": ema(bars.close, self.slow), "adx": adx(bars, 14).adx}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask while flat where the averages are stacked in a trend."""
        fast, middle, slow, strength = self.indicators(bars).values()
        stacked = ((fast > middle) & (middle > slow)) | ((fast < middle) & (middle < slow))
        return {"flat": stacked & (strength > self.adx_above), "held": never(bars)}

    @staticmethod
    def decide(now: Now) -> None:
        """Enter with the trend while flat."""
        ind, p = now.ind, now.p
        if now.position.qty != 0.0 or now.position.pending != 0.0 or not ind.adx > p.adx_above:
            return
        side = 0
        if ind.fast > ind.middle and ind.middle > ind.slow:
            side = 1
        elif p.shorts and ind.fast < ind.middle and ind.middle < ind.slow:
            side = -1
        percent = now.bar.close / 100.0
        enter(now, side, p.stop_percent * percent, p.target_percent * percent, p.trail_percent * percent,
              p.trail_after_percent * percent)


class Supertrend(Strategy):
    """Hold what the supertrend says from turn to turn; its line at the entry is the stop."""

    name = "supertrend"
    length = Param(10, low=2, high=100, doc="bars of the average true range")
    multiplier = Param(3.0, low=0.5, high=10.0, doc="distance of the line from the middle of the bar, in ATRs")
    shorts = Param(True, doc="whether a turn downwards is sold short")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the line and the direction, 1 up and -1 down."""
        trend = supertrend(bars, self.length, self.multiplier)
        return {"line": trend.line, "direction": trend.direction}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask where the direction turns."""
        direction = self.indicators(bars)["direction"]
        turns = crossed_above(direction, 0.0) | crossed_below(direction, 0.0)
        return {"flat": turns, "held": turns}

    @staticmethod
    def decide(now: Now) -> None:
        """Turn with the direction: what is held the other way is closed first."""
        ind, prev, held = now.ind, now.prev, now.position.qty
        if ind.direction > 0.0 and prev.direction < 0.0 and held <= 0.0:
            buy(now, stop=ind.line)
        elif ind.direction < 0.0 and prev.direction > 0.0 and held >= 0.0:
            if now.p.shorts:
                sell(now, stop=ind.line)
            elif held > 0.0:
                close_position(now)
