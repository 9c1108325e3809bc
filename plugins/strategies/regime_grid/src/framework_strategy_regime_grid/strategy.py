"""Rest a ladder of buys below the price; what a rung buys is offered one step higher.

Each rung has a tag of its own and at most one working order: its buy, or once that is filled, the sell of what it
holds. A decision keeps the ladder as it should be and says nothing where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from framework import Now, Param, Strategy, cancel, cancel_all, close_position, compiled, place_limit
from framework.indicators import Bars, Expression, adx, atr, ema, rsi
from framework.strategy import BUY, SELL

RUNGS = 15
"""Rungs at most: each may be filled at an open and within a bar, and a decision sees 32 fills."""

UNKNOWN, SIDEWAYS, BULL, BEAR, WILD = 0, 1, 2, 3, 4


@compiled
def regime_of(now: Any) -> int:
    """Return the regime: wild before bear before sideways before bull, unknown when none of them holds."""
    close, ind, p = now.bar.close, now.ind, now.p
    if ind.atr > p.wild_percent / 100.0 * close:
        return WILD
    if close < ind.slow and ind.rsi < p.bear_rsi:
        return BEAR
    if ind.adx < p.sideways_adx and abs(close - ind.mean) <= p.sideways_percent / 100.0 * ind.mean:
        return SIDEWAYS
    if close > ind.slow and p.bull_rsi_from <= ind.rsi <= p.bull_rsi_to:
        return BULL
    return UNKNOWN


@compiled
def working_side(now: Any, tag: int) -> int:
    """Return the side of the rung's working order, 0 without one."""
    for i in range(now.order_count):
        if now.orders[i].tag == tag:
            return int(now.orders[i].side)
    return 0


@compiled
def take_fills(now: Any) -> None:
    """Book what was bought and sold since the last decision on its rung; a rung that sold all holds exactly nothing."""
    held = now.state.held
    for i in range(now.fill_count):
        fill = now.fills[i]
        if fill.tag > 0:
            held[fill.tag - 1] += fill.side * fill.qty
            if fill.side == SELL and working_side(now, fill.tag) == 0:
                held[fill.tag - 1] = 0.0
    if now.position.qty == 0.0:
        for rung in range(RUNGS):
            held[rung] = 0.0


@compiled
def keep_rung(now: Any, rung: int, rungs: int, step: float, is_new: bool) -> None:
    """Let the rung rest with its sell when it holds something, else with its buy while it belongs to the ladder.

    rungs, step: of the ladder.  is_new: whether it begins here, so that its buys move; a tag has one order at a time.
    """
    state, tag = now.state, rung + 1
    working, held = working_side(now, tag), state.held[rung]
    is_moved = working == BUY and (is_new or rung >= rungs)
    if held > 0.0:
        if working == 0 or is_moved:
            price = state.price[rung] * (1.0 + state.step[rung] / 100.0)
            place_limit(now, SELL, price, qty=held, tag=tag, reduce_only=True)
    elif rung >= rungs:
        if is_moved:
            cancel(now, tag)
    elif working == 0 or is_moved:
        price = state.anchor * (1.0 - tag * step / 100.0)
        if price < now.bar.close:
            state.price[rung], state.step[rung] = price, step
            place_limit(now, BUY, price, weight=now.p.capital_percent / 100.0 / rungs, tag=tag)


class RegimeGrid(Strategy):
    """Rest a ladder of buys in a sideways or a calmly rising market; close out in a falling or a wild one.

    Sideways (ADX below 20, close within 10 % of the EMA of 50): 10 rungs 1 % apart. Bull (close above the EMA of 200,
    RSI 50 to 70): 5 rungs 2.5 % apart. Bear (close below the EMA of 200, RSI below 40) and wild (ATR above 15 % of the
    close) cancel the ladder and close the position. In none of them no new buy is placed; sells go on. While no rung
    holds anything the ladder follows the price up.
    """

    name = "regime_grid"
    capital_percent = Param(40.0, low=1.0, high=100.0, doc="percent of equity in a ladder that is filled")
    sideways_rungs = Param(10, low=1, high=RUNGS, doc="buys in a sideways market")
    sideways_step = Param(1.0, low=0.05, high=6.0, doc="distance of its rungs, percent of the ladder's top")
    bull_rungs = Param(5, low=1, high=RUNGS, doc="buys in a rising market")
    bull_step = Param(2.5, low=0.05, high=6.0, doc="distance of its rungs, percent of the ladder's top")
    sideways_adx = Param(20.0, low=0.0, high=100.0, doc="ADX of 14 bars below which a market may be sideways")
    sideways_percent = Param(10.0, low=0.1, high=100.0, doc="distance from the mean within which it may be")
    mean = Param(50, low=2, high=400, doc="bars of the EMA that is that mean")
    slow = Param(200, low=2, high=1_000, doc="bars of the EMA that parts bull and bear")
    bull_rsi_from = Param(50.0, low=0.0, high=100.0, doc="lowest RSI of 14 bars in a rising market")
    bull_rsi_to = Param(70.0, low=0.0, high=100.0, doc="highest RSI in it")
    bear_rsi = Param(40.0, low=0.0, high=100.0, doc="RSI below which a market below its slow EMA is falling")
    wild_percent = Param(15.0, low=0.1, high=100.0, doc="ATR of 14 bars over the close above which a market is wild")
    tags = tuple(f"RUNG_{rung + 1}" for rung in range(RUNGS))
    state: ClassVar[Mapping[str, Any]] = {"anchor": 0.0, "regime": 0, "held": (0.0,) * RUNGS, "price": (0.0,) * RUNGS,
                                          "step": (0.0,) * RUNGS}

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return what tells the regime."""
        return {"mean": ema(bars.close, self.mean), "slow": ema(bars.close, self.slow), "adx": adx(bars, 14).adx,
                "rsi": rsi(bars.close, 14), "atr": atr(bars, 14)}

    @staticmethod
    def decide(now: Now) -> None:
        """Tell the regime and keep the ladder that it asks for."""
        p, state = now.p, now.state
        take_fills(now)
        regime = regime_of(now)
        if regime >= BEAR:
            state.regime = regime
            if now.order_count > 0:
                cancel_all(now)
            if now.position.qty > 0.0:
                close_position(now)
            return
        rungs, step = 0, 1.0
        if regime == SIDEWAYS:
            rungs, step = p.sideways_rungs, p.sideways_step
        elif regime == BULL:
            rungs, step = p.bull_rungs, p.bull_step
        has_left = now.position.qty == 0.0 and now.bar.close > state.anchor * (1.0 + step / 100.0)
        is_new = rungs > 0 and (regime != state.regime or has_left)
        if is_new:
            state.anchor = now.bar.close
        state.regime = regime
        for rung in range(RUNGS):
            keep_rung(now, rung, rungs, step, is_new)
