"""Ask the strategy that the market's regime calls for.

Regime: trending when ADX and the R2 of a line through the closes are high; ranging when both are low and the Bollinger
bands are narrow; mixed otherwise. A trending market is followed, a ranging one faded, a mixed one traded by momentum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from framework import Now, Param, Strategy, buy, close_position, compiled, sell
from framework.indicators import Bars, Expression, adx, atr, bollinger, ema, linreg, macd, percentile_rank, rsi
from framework_strategy_router.members import (
    leaves_momentum,
    leaves_reversion,
    leaves_trend,
    momentum_side,
    reversion_side,
    trend_side,
)

MIXED, TRENDING, RANGING = 0, 1, 2


@compiled
def regime_of(now: Any) -> int:
    """Return the regime of the market."""
    ind, p = now.ind, now.p
    if ind.adx > p.trend_adx and ind.r2 > p.trend_r2:
        return TRENDING
    if ind.adx < p.range_adx and ind.r2 < p.range_r2 and ind.width_rank <= p.narrow_rank:
        return RANGING
    return MIXED


@compiled
def confidence_of(now: Any, regime: int) -> float:
    """Return how clearly the regime holds, 0 to 1: the mean of what speaks for it.

    Trending: ADX over 50 (1 from there on) and R2.  Ranging: what ADX lacks to 50, and R2 to 1.  Mixed: the distance of
    RSI from 50 over 20 (1 from there on), and ADX over `trend_adx` (1 from there on).
    """
    ind = now.ind
    if regime == TRENDING:
        return 0.5 * (min(1.0, ind.adx / 50.0) + ind.r2)  # type: ignore[no-any-return]
    if regime == RANGING:
        return 0.5 * (max(0.0, 1.0 - ind.adx / 50.0) + 1.0 - ind.r2)  # type: ignore[no-any-return]
    strength = min(1.0, ind.adx / now.p.trend_adx) if now.p.trend_adx > 0.0 else 1.0
    return 0.5 * (min(1.0, abs(ind.rsi - 50.0) / 20.0) + strength)  # type: ignore[no-any-return]


class Router(Strategy):
    """Follow a trending market, fade a ranging one, trade a mixed one by momentum; only where the regime is clear.

    The member that entered says when its position is left, whatever the regime has become; each has its own stop and
    target in ATRs.
    """

    name = "router"
    trend_adx = Param(25.0, low=0.0, high=100.0, doc="ADX of 14 bars above which a market may trend")
    trend_r2 = Param(0.7, low=0.0, high=1.0, doc="R2 above which it does")
    range_adx = Param(20.0, low=0.0, high=100.0, doc="ADX below which a market may range")
    range_r2 = Param(0.5, low=0.0, high=1.0, doc="R2 below which it does")
    narrow_rank = Param(50.0, low=0.0, high=100.0, doc="rank of the bands' width in 100 bars up to which it is narrow")
    confidence_from = Param(0.6, low=0.0, high=1.0, doc="confidence in the regime that an entry needs")
    length = Param(20, low=3, high=200, doc="bars of the line and of the bands")
    stop_atr = Param(2.0, low=0.1, high=20.0, doc="distance of the stop, in ATRs of 14 bars")
    trend_target_atr = Param(5.0, low=0.1, high=50.0, doc="distance of the target of a trend, in ATRs")
    other_target_atr = Param(3.0, low=0.1, high=50.0, doc="distance of the other targets, in ATRs")
    shorts = Param(True, doc="whether the short side is traded")
    state: ClassVar[Mapping[str, Any]] = {"member": 0}

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return what tells the regime, and what the members look at."""
        bands = bollinger(bars.close, self.length, 2.0)
        return {"adx": adx(bars, 14).adx, "r2": linreg(bars.close, self.length).r2, "atr": atr(bars, 14),
                "width_rank": percentile_rank((bands.upper - bands.lower) / bands.middle, 100),
                "upper": bands.upper, "band": bands.middle, "lower": bands.lower,
                "fast": ema(bars.close, 9), "middle": ema(bars.close, 21), "slow": ema(bars.close, 50),
                "rsi": rsi(bars.close, 14), "histogram": macd(bars.close, 12, 26, 9).histogram}

    @staticmethod
    def decide(now: Now) -> None:
        """Let the member that entered leave; while flat ask the one that the regime calls for."""
        p, state, held = now.p, now.state, now.position.qty
        if held != 0.0:
            side = 1.0 if held > 0.0 else -1.0
            if ((state.member == TRENDING and leaves_trend(now, side))
                    or (state.member == RANGING and leaves_reversion(now, side))
                    or (state.member == MIXED and leaves_momentum(now, side))):
                close_position(now)
            return
        regime = regime_of(now)
        if now.position.pending != 0.0 or not confidence_of(now, regime) >= p.confidence_from:
            return
        side, target = momentum_side(now), p.other_target_atr * now.ind.atr
        if regime == TRENDING:
            side, target = trend_side(now), p.trend_target_atr * now.ind.atr
        elif regime == RANGING:
            side = reversion_side(now)
        state.member = regime
        if side > 0:
            buy(now, stop_offset=p.stop_atr * now.ind.atr, target_offset=target)
        elif side < 0 and p.shorts:
            sell(now, stop_offset=p.stop_atr * now.ind.atr, target_offset=target)
