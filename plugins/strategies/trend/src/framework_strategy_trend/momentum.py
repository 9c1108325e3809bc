"""Momentum that oscillators show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from framework import Now, Param, Strategy, close_position
from framework.indicators import Bars, Condition, Expression, adx, atr, ema, indicator, macd, rsi
from framework_strategy_trend.entries import enter, never


@indicator(bar_inputs=("close",), parameters={}, lookback=lambda p: 0, source="counting")
def bar_number(s: Any, window: Any, close: float) -> float:
    """Number of the bar, 1 for the first: a difference of two is a time in bars."""
    return float(s.count)


class Momentum(Strategy):
    """Join a move that RSI, MACD and ADX agree on; leave by stop or target."""

    name = "momentum"
    rsi_from = Param(60.0, low=50.0, high=100.0, doc="lowest RSI of a long entry; 100 less it the highest of a short")
    rsi_to = Param(80.0, low=50.0, high=100.0, doc="highest RSI of a long entry; 100 less it the lowest of a short")
    adx_above = Param(25.0, low=0.0, high=100.0, doc="trend strength that an entry needs")
    stop_atr = Param(2.0, low=0.1, high=20.0, doc="distance of the stop, in ATRs of 14 bars")
    target_atr = Param(3.0, low=0.1, high=50.0, doc="distance of the target, in ATRs")
    shorts = Param(True, doc="whether falls are joined too")
    constraints = ("rsi_from < rsi_to",)

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return RSI 14, the histogram of MACD (12, 26, 9), ADX 14 and ATR 14."""
        return {"rsi": rsi(bars.close, 14), "histogram": macd(bars.close, 12, 26, 9).histogram,
                "adx": adx(bars, 14).adx, "atr": atr(bars, 14)}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask while flat where ADX is high and RSI is in one of its ranges."""
        seen = self.indicators(bars)
        up = (seen["rsi"] >= self.rsi_from) & (seen["histogram"] > 0.0)
        down = (100.0 - seen["rsi"] >= self.rsi_from) & (seen["histogram"] < 0.0)
        return {"flat": (seen["adx"] > self.adx_above) & (up | down), "held": never(bars)}

    @staticmethod
    def decide(now: Now) -> None:
        """Enter while flat where all three agree."""
        ind, p = now.ind, now.p
        if now.position.qty != 0.0 or now.position.pending != 0.0 or not ind.adx > p.adx_above:
            return
        side = 0
        if p.rsi_from <= ind.rsi <= p.rsi_to and ind.histogram > 0.0:
            side = 1
        elif p.shorts and p.rsi_from <= 100.0 - ind.rsi <= p.rsi_to and ind.histogram < 0.0:
            side = -1
        enter(now, side, p.stop_atr * ind.atr, p.target_atr * ind.atr)


class MomentumScalper(Strategy):
    """Take short rides where EMAs, ADX and MACD agree; leave when one turns, after some bars, or by stop and target."""

    name = "momentum_scalper"
    fast = Param(9, low=2, high=100, doc="bars of the fast EMA")
    slow = Param(21, low=3, high=200, doc="bars of the slow EMA")
    adx_from = Param(20.0, low=0.0, high=100.0, doc="trend strength that an entry needs")
    stop_atr = Param(1.0, low=0.1, high=20.0, doc="distance of the stop, in ATRs of 14 bars")
    target_atr = Param(1.5, low=0.1, high=50.0, doc="distance of the target, in ATRs")
    trail_atr = Param(0.75, low=0.1, high=20.0, doc="distance of the trailing stop, in ATRs")
    trail_after_atr = Param(0.5, low=0.0, high=20.0, doc="profit that starts the trail, in ATRs")
    bars_held = Param(20, low=1, high=500, doc="bars after which a position is closed")
    cooldown = Param(2, low=0, high=100, doc="bars without an entry after the one in which a position ended")
    shorts = Param(True, doc="whether falls are ridden too")
    constraints = ("fast < slow",)
    state: ClassVar[Mapping[str, Any]] = {"ended": -1e9}

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the averages, ADX 14, the histogram of MACD (12, 26, 9), ATR 14 and the number of the bar."""
        return {"fast": ema(bars.close, self.fast), "slow": ema(bars.close, self.slow), "adx": adx(bars, 14).adx,
                "histogram": macd(bars.close, 12, 26, 9).histogram, "atr": atr(bars, 14), "number": bar_number(bars)}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask while flat where all agree; a position is looked at on every bar, for it ends with time too."""
        seen = self.indicators(bars)
        up = (seen["fast"] > seen["slow"]) & (seen["histogram"] > 0.0)
        down = (seen["fast"] < seen["slow"]) & (seen["histogram"] < 0.0)
        return {"flat": (seen["adx"] >= self.adx_from) & (up | down)}

    @staticmethod
    def decide(now: Now) -> None:
        """Close what turned or has lasted; enter when flat and rested."""
        ind, p, held = now.ind, now.p, now.position.qty
        side = 0
        if ind.fast > ind.slow and ind.histogram > 0.0:
            side = 1
        elif ind.fast < ind.slow and ind.histogram < 0.0:
            side = -1
        if held != 0.0:
            direction = 1.0 if held > 0.0 else -1.0
            has_turned = direction * (ind.fast - ind.slow) < 0.0 or direction * ind.histogram < 0.0
            if has_turned or now.position.bars_held >= p.bars_held:
                close_position(now)
            return
        if now.fill_count > 0:
            now.state.ended = ind.number
        rested = ind.number - now.state.ended >= p.cooldown
        if rested and now.position.pending == 0.0 and ind.adx >= p.adx_from and (p.shorts or side > 0):
            enter(now, side, p.stop_atr * ind.atr, p.target_atr * ind.atr, p.trail_atr * ind.atr,
                  p.trail_after_atr * ind.atr)
