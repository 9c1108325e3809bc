"""Moving-average crosses: enter when the fast average crosses above the slow one, leave when it falls below."""

from __future__ import annotations

from collections.abc import Mapping

from framework import Now, Param, Strategy, buy, close_position
from framework.indicators import Bars, Condition, Expression, atr, crossed_above, crossed_below, ema, sma


class MaCross(Strategy):
    """Long from the cross of the fast simple moving average above the slow one to the reverse cross."""

    name = "ma_cross"
    fast = Param(20, low=2, high=200, doc="bars of the fast average")
    slow = Param(50, low=3, high=400, doc="bars of the slow average")
    constraints = ("fast < slow",)

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the two averages of the close."""
        return {"fast": sma(bars.close, self.fast), "slow": sma(bars.close, self.slow)}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask where the averages cross."""
        fast, slow = self.indicators(bars).values()
        return {"flat": crossed_above(fast, slow), "held": crossed_below(fast, slow)}

    @staticmethod
    def decide(now: Now) -> None:
        """Buy on the cross upwards, close on the cross downwards."""
        if now.position.qty == 0 and now.ind.fast > now.ind.slow and now.prev.fast <= now.prev.slow:
            buy(now)
        elif now.position.qty > 0 and now.ind.fast < now.ind.slow and now.prev.fast >= now.prev.slow:
            close_position(now)


class EmaCross(Strategy):
    """Long while the fast EMA is above the slow one; ATR stop."""

    name = "ema_cross"
    fast = Param(12, low=2, high=200, doc="bars of the fast average")
    slow = Param(26, low=3, high=400, doc="bars of the slow average")
    stop_atr = Param(2.0, low=0.1, high=20.0, doc="distance of the stop below the close, in ATRs of 14 bars")
    constraints = ("fast < slow",)

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the two averages of the close and the average true range."""
        return {"fast": ema(bars.close, self.fast), "slow": ema(bars.close, self.slow), "atr": atr(bars, 14)}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask where the averages cross, and with a position wherever the fast one is below."""
        fast, slow, _ = self.indicators(bars).values()
        return {"flat": crossed_above(fast, slow), "held": fast < slow}

    @staticmethod
    def decide(now: Now) -> None:
        """Buy on the cross upwards with a stop below the close, close while the fast average is below."""
        if now.position.qty == 0 and now.ind.fast > now.ind.slow and now.prev.fast <= now.prev.slow:
            buy(now, stop=now.bar.close - now.p.stop_atr * now.ind.atr)
        elif now.position.qty > 0 and now.ind.fast < now.ind.slow:
            close_position(now)
