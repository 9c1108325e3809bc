"""Buy what has fallen too far, sell what has risen too far, and leave at the mean."""

from __future__ import annotations

from collections.abc import Mapping

from framework import Now, Param, Strategy, buy, close_position, sell
from framework.indicators import Bars, Condition, Expression, atr, bollinger, rsi, zscore


class BollingerReversion(Strategy):
    """Go against a touch of a Bollinger band; leave at the middle band, by stop or by target."""

    name = "bollinger"
    length = Param(20, low=2, high=400, doc="bars of the bands")
    width = Param(2.0, low=0.5, high=5.0, doc="standard deviations between the mean and each band")
    stop_percent = Param(2.0, low=0.1, high=50.0, doc="distance of the stop, percent of the close")
    target_percent = Param(3.0, low=0.1, high=100.0, doc="distance of the target, percent of the close")
    shorts = Param(True, doc="whether a touch of the upper band is sold")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the three bands of the close."""
        bands = bollinger(bars.close, self.length, self.width)
        return {"upper": bands.upper, "middle": bands.middle, "lower": bands.lower}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask while flat where a band is touched."""
        upper, _, lower = self.indicators(bars).values()
        return {"flat": (bars.low <= lower) | (bars.high >= upper)}

    @staticmethod
    def decide(now: Now) -> None:
        """Enter on a touch while the close has not yet come back to the middle; close there."""
        bar, ind, p, held = now.bar, now.ind, now.p, now.position.qty
        if held != 0.0:
            if held * (bar.close - ind.middle) >= 0.0:
                close_position(now)
        elif now.position.pending == 0.0:
            stop, target = bar.close * p.stop_percent / 100.0, bar.close * p.target_percent / 100.0
            if bar.low <= ind.lower and bar.close < ind.middle:
                buy(now, stop_offset=stop, target_offset=target)
            elif p.shorts and bar.high >= ind.upper and bar.close > ind.middle:
                sell(now, stop_offset=stop, target_offset=target)


class ZscoreReversion(Strategy):
    """Go against a close far from its mean, counted in standard deviations; leave when it has come back."""

    name = "zscore"
    length = Param(20, low=2, high=400, doc="bars of mean and deviation")
    enter_z = Param(2.0, low=0.1, high=10.0, doc="distance from the mean that an entry reaches")
    exit_z = Param(0.5, low=0.0, high=10.0, doc="distance from the mean at which a position is closed")
    stop_atr = Param(4.0, low=0.1, high=50.0, doc="distance of the stop, in ATRs of 14 bars")
    shorts = Param(True, doc="whether a high price is sold")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the distance of the close from its mean, and the average true range."""
        return {"z": zscore(bars.close, self.length), "atr": atr(bars, 14)}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask while flat where the price is stretched."""
        z = self.indicators(bars)["z"]
        return {"flat": (-z >= self.enter_z) | (z >= self.enter_z)}

    @staticmethod
    def decide(now: Now) -> None:
        """Enter where it is stretched; close where it is not any more."""
        z, p, held = now.ind.z, now.p, now.position.qty
        if held != 0.0:
            if (held > 0.0 and -z <= p.exit_z) or (held < 0.0 and z <= p.exit_z):
                close_position(now)
        elif now.position.pending == 0.0:
            if -z >= p.enter_z:
                buy(now, stop_offset=p.stop_atr * now.ind.atr)
            elif p.shorts and z >= p.enter_z:
                sell(now, stop_offset=p.stop_atr * now.ind.atr)


class RsiReversion(Strategy):
    """Buy what is oversold, sell what is overbought; leave at the middle of the RSI."""

    name = "rsi"
    length = Param(14, low=2, high=100, doc="bars of the RSI")
    oversold = Param(30.0, low=0.0, high=50.0, doc="RSI below which a fall is bought; above 100 less it a rise is sold")
    leave = Param(50.0, low=0.0, high=100.0, doc="RSI at which a long position is closed; 100 less it for a short")
    stop_atr = Param(3.0, low=0.1, high=50.0, doc="distance of the stop, in ATRs of 14 bars")
    shorts = Param(True, doc="whether what is overbought is sold")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the RSI of the close and the average true range."""
        return {"rsi": rsi(bars.close, self.length), "atr": atr(bars, 14)}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask while flat at the extremes."""
        strength = self.indicators(bars)["rsi"]
        return {"flat": (strength < self.oversold) | (100.0 - strength < self.oversold)}

    @staticmethod
    def decide(now: Now) -> None:
        """Enter at an extreme; close at the middle."""
        strength, p, held = now.ind.rsi, now.p, now.position.qty
        if held != 0.0:
            if (held > 0.0 and strength >= p.leave) or (held < 0.0 and 100.0 - strength >= p.leave):
                close_position(now)
        elif now.position.pending == 0.0:
            if strength < p.oversold:
                buy(now, stop_offset=p.stop_atr * now.ind.atr)
            elif p.shorts and 100.0 - strength < p.oversold:
                sell(now, stop_offset=p.stop_atr * now.ind.atr)
