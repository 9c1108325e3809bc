"""What the authors of random cases wrote: strategies, slippage, sizing and a risk rule that try everything.

The engine compiles them, the reference calls them; both see the same code.
"""

from __future__ import annotations

import math

from framework.risk import RiskRule, SizingRule, reduce, refuse
from framework.slippage import SlippageModel
from framework.strategy import (
    BUY,
    GTC,
    GTD,
    SELL,
    UNSET,
    Param,
    Strategy,
    buy,
    cancel,
    cancel_all,
    close_position,
    compiled,
    move_stop,
    place_limit,
    place_stop,
    place_stop_limit,
    sell,
    target,
)

MINUTE = 60_000_000_000
MODULUS = 2_147_483_647
MANY = 45
"""More intents than a decision may have."""


@compiled
def draw(now, n):
    """Return a whole number in [0, n) from the slot's own generator (Park and Miller 1988)."""
    now.state.rng = (now.state.rng * 48271) % MODULUS
    return (now.state.rng // 8) % n


@compiled
def stir(now):
    """Mix the time and the price of this bar into the slot's generator."""
    minute = now.clock.time_ns // MINUTE
    mixed = now.state.rng + now.p.seed * 7919 + (minute % 1_000_003) * 31 + int(now.bar.close * 8.0) * 101
    now.state.rng = 1 + mixed % (MODULUS - 1)


@compiled
def act(now):
    """Express one random view."""
    close = now.bar.close
    grid = now.p.grid
    side = BUY if draw(now, 2) == 0 else SELL
    verb = draw(now, 17)
    if now.position.qty == 0.0 and verb in (10, 11, 14, 15) and draw(now, 8) > 0:
        verb = draw(now, 10)
    tag = draw(now, 6)
    tag = tag if tag < 4 else 0
    group = draw(now, 8)
    group = group if group < 3 else 0
    priority = float(draw(now, 3))
    reduce_only = draw(now, 6) == 0
    qty = UNSET
    weight = UNSET
    size = draw(now, 8)
    if size < 4:
        qty = 0.5 * (1 + draw(now, 40))
    elif size < 6:
        weight = 0.1 * (1 + draw(now, 12))
    price = close + grid * 0.5 * (draw(now, 17) - 8)
    limit = price + grid * 0.5 * (draw(now, 7) - 3)
    stop = UNSET
    stop_offset = UNSET
    goal = UNSET
    target_offset = UNSET
    trail = UNSET
    trail_after = UNSET
    named = draw(now, 6)
    if named == 0 or named == 1:
        stop = close - side * grid * 0.5 * (draw(now, 12) - 1)
    elif named == 2:
        stop_offset = grid * 0.5 * (draw(now, 9) + 1)
    named = draw(now, 6)
    if named == 0 or named == 1:
        goal = close + side * grid * 0.5 * (draw(now, 12) - 1)
    elif named == 2:
        target_offset = grid * 0.5 * (draw(now, 9) + 1)
    if draw(now, 4) == 0:
        trail = grid * 0.5 * (draw(now, 8) + 1)
        if draw(now, 2) == 0:
            trail_after = grid * 0.5 * draw(now, 6)
    if draw(now, 40) == 0:
        bad = draw(now, 13)
        if bad == 0:
            qty = math.nan
        elif bad == 1:
            stop = math.nan
        elif bad == 2:
            price = -1.0
        elif bad == 3:
            qty = 0.0
        elif bad == 4:
            stop_offset = -grid
        elif bad == 5:
            trail = 0.0
        elif bad == 6:
            trail_after = -1.0
        elif bad == 7:
            priority = math.nan
        elif bad == 8:
            price = 0.01 * grid
        elif bad == 9:
            side = 3 * side
        elif bad == 10:
            limit = math.nan
        elif bad == 11:
            limit = 0.01 * grid
        else:
            goal = math.inf
    life = draw(now, 40)
    tif = (life - 18) // 4 if life >= 20 else GTC
    until = 0
    if tif == GTD or draw(now, 60) == 0:
        until = now.clock.time_ns + MINUTE * draw(now, 9) - MINUTE // 2
    oco = draw(now, 7)
    oco = oco if oco < 3 else 0
    on_close = draw(now, 6) == 0
    if verb < 3:
        buy(now, qty=qty, weight=weight, stop=stop, stop_offset=stop_offset, target=goal, target_offset=target_offset,
            trail=trail, trail_after=trail_after, priority=priority, tag=tag, group=group,
            tif=tif, until=until, oco=oco, on_close=on_close)  # fmt: skip
    elif verb < 6:
        sell(now, qty=qty, weight=weight, stop=stop, stop_offset=stop_offset, target=goal, target_offset=target_offset,
             trail=trail, trail_after=trail_after, priority=priority, tag=tag, group=group,
            tif=tif, until=until, oco=oco, on_close=on_close)  # fmt: skip
    elif verb < 8:
        place_limit(now, side, price, qty=qty, weight=weight, stop=stop, stop_offset=stop_offset, target=goal,
                    target_offset=target_offset, trail=trail, trail_after=trail_after, priority=priority, tag=tag,
                    group=group, reduce_only=reduce_only,
            tif=tif, until=until, oco=oco)  # fmt: skip
    elif verb < 10:
        place_stop(now, side, price, qty=qty, weight=weight, stop=stop, stop_offset=stop_offset, target=goal,
                   target_offset=target_offset, trail=trail, trail_after=trail_after, priority=priority, tag=tag,
                   group=group, reduce_only=reduce_only,
            tif=tif, until=until, oco=oco)  # fmt: skip
    elif verb == 16:
        place_stop_limit(now, side, price, limit, qty=qty, weight=weight, stop=stop, stop_offset=stop_offset,
                         target=goal, target_offset=target_offset, trail=trail, trail_after=trail_after,
                         priority=priority, tag=tag, group=group, reduce_only=reduce_only, tif=tif, until=until,
                         oco=oco)  # fmt: skip
    elif verb == 10:
        close_position(now, 1.0 + 0.5 * draw(now, 2), priority=priority, tag=tag, on_close=on_close)
    elif verb == 11:
        close_position(now, 0.1 * (1 + draw(now, 9)), priority=priority, tag=tag, on_close=on_close)
    elif verb == 12:
        if draw(now, 3) == 0:
            target(now, qty=0.0, priority=priority)
        elif draw(now, 2) == 0:
            wanted = 0.5 * (draw(now, 41) - 20)
            target(now, qty=wanted if draw(now, 20) > 0 else UNSET, priority=priority, tag=tag, group=group)
        else:
            target(now, weight=0.1 * (draw(now, 21) - 10), priority=priority, tag=tag, group=group)
    elif verb == 13:
        if draw(now, 4) == 0:
            cancel_all(now)
        else:
            cancel(now, 1 + draw(now, 3))
    else:
        steps = draw(now, 7) - 1
        move_stop(now, close - (grid * 0.5 * steps if now.position.qty > 0 else -grid * 0.5 * steps))


@compiled
def look(now):
    """Let what the decision sees of its position and orders weigh in, so that a wrong view shows."""
    seen = now.position.bars_held + 3 * now.order_count + 7 * now.fill_count
    if now.position.qty > 0:
        seen += 11
    if now.position.pending > 1e-6:
        seen += 13
    if now.position.pnl > 1e-6:
        seen += 19
    if now.position.high_water > now.bar.close + 1e-6:
        seen += 23
    if now.ind.before < now.bar.close:
        seen += 29
    if now.prev.before > now.ind.before:
        seen += 31
    for i in range(now.order_count):
        seen += 37 * now.orders[i].kind + 41 * now.orders[i].tag + 43 * now.orders[i].role + 47 * now.orders[i].side
    for i in range(now.fill_count):
        seen += 53 * now.fills[i].role + 59 * now.fills[i].tag + 61 * now.fills[i].side
    seen += 67 * now.account.open_positions + now.clock.minute + now.clock.bars_in_session + now.clock.bars_held
    seen += now.age // MINUTE
    if now.fresh:
        seen += 71
    if now.position.stop > 0 and now.position.stop >= now.bar.close - now.p.grid:
        seen += 17
    now.state.rng = 1 + (now.state.rng + seen) % (MODULUS - 1)


@compiled
def leave(now):
    """Express a random view of what is held or works, that opens nothing."""
    view = draw(now, 8)
    if view == 0:
        close_position(now)
    elif view == 1:
        close_position(now, 0.1 * (1 + draw(now, 9)), on_close=draw(now, 2) == 0)
    elif view == 2:
        cancel_all(now)
    elif view == 3 and now.position.qty != 0.0:
        steps = now.p.grid * 0.5 * (1 + draw(now, 6))
        move_stop(now, now.bar.close - (steps if now.position.qty > 0 else -steps))


@compiled
def flow(now):
    """Look, and act on some of the bars."""
    stir(now)
    look(now)
    if draw(now, now.p.idle + 1) == 0:
        if not now.p.calm:
            for _ in range(MANY if draw(now, 120) == 0 else 1 + draw(now, 3)):
                act(now)
        elif now.position.qty != 0.0 or now.order_count > 0:
            leave(now)
        else:
            act(now)


class RandomFlow(Strategy):
    """Act at random, once to three times (now and then far too often), on some of the bars.

    calm: one opening at a time; while something is held or works, only what opens nothing.
    """

    name = "random_flow"
    seed = Param(1, low=0, high=1_000_000)
    grid = Param(1.0, low=0.0)
    idle = Param(2, low=0, high=20)
    calm = Param(False)
    state = {"rng": 0}  # noqa: RUF012
    tags = ("a", "b", "c")

    def indicators(self, bars):
        return {"before": bars.close.shift(1)}

    @staticmethod
    def decide(now):
        flow(now)


class DrowsyFlow(RandomFlow):
    """The same, but that it looks up on some bars only and says on which: bars between them may be passed over."""

    name = "drowsy_flow"

    def wake(self, bars):
        return {"flat": bars.close > bars.close.shift(1), "held": bars.close < bars.close.shift(1)}

    @staticmethod
    def decide(now):
        if now.bar.close > now.ind.before if now.position.qty == 0.0 else now.bar.close < now.ind.before:
            flow(now)


class SleepyFlow(RandomFlow):
    """Hold long: enter with a stop, a target or a trail far away, and look up after three rising bars only."""

    name = "sleepy_flow"

    def indicators(self, bars):
        return {"before": bars.close.shift(1), "two": bars.close.shift(2), "three": bars.close.shift(3)}

    def wake(self, bars):
        one, two, three = (bars.close.shift(k) for k in (1, 2, 3))
        return {"flat": bars.close > one, "held": (bars.close > one) & (one > two) & (two > three)}

    @staticmethod
    def decide(now):
        ind = now.ind
        if now.position.qty == 0.0:
            if now.bar.close > ind.before:
                stir(now)
                enter_wide(now)
        elif now.bar.close > ind.before and ind.before > ind.two and ind.two > ind.three:
            stir(now)
            if draw(now, 5) == 0:
                leave(now)


@compiled
def enter_wide(now):
    """Open a position whose orders are far from the price."""
    grid = now.p.grid
    qty = 0.5 * (1 + draw(now, 10))
    stop = grid * (4 + draw(now, 16)) if draw(now, 3) > 0 else UNSET
    goal = grid * (4 + draw(now, 30)) if draw(now, 3) == 0 else UNSET
    trail = grid * (3 + draw(now, 12)) if draw(now, 3) > 0 else UNSET
    after = grid * draw(now, 6) if trail != UNSET and draw(now, 2) == 0 else UNSET
    if draw(now, 3) > 0:
        buy(now, qty=qty, stop_offset=stop, target_offset=goal, trail=trail, trail_after=after)
    else:
        sell(now, qty=qty, stop_offset=stop, target_offset=goal, trail=trail, trail_after=after)


class RandomUniverse(Strategy):
    """Act at random on all symbols at once, also on those whose bar is not fresh."""

    name = "random_universe"
    seed = Param(1, low=0, high=1_000_000)
    grid = Param(1.0, low=0.0)
    idle = Param(2, low=0, high=20)
    calm = Param(False)
    state = {"rng": 0}  # noqa: RUF012
    tags = ("a", "b", "c")

    def indicators(self, bars):
        return {"before": bars.close.shift(1)}

    @staticmethod
    def decide_all(nows):
        for i in range(len(nows)):
            now = nows[i]
            if now.bar.close > 0.0:
                stir(now)
                look(now)
                if draw(now, now.p.idle + 1) == 0:
                    if not now.p.calm:
                        for _ in range(1 + draw(now, 2)):
                            act(now)
                    elif now.position.qty != 0.0 or now.order_count > 0:
                        leave(now)
                    else:
                        act(now)


class RandomSlippage(SlippageModel):
    """Costs in proportion to price, to size over volume, to the last bar's range and to volatility; may be negative."""

    name = "random_slippage"
    fraction = Param(0.0)
    impact = Param(0.0)
    spread = Param(0.0)
    noise = Param(0.0)

    @staticmethod
    def price(fill):
        share = min(2.0, abs(fill.qty) / (fill.mean_volume + 1.0))
        cost = fill.reference * (fill.p.fraction + fill.p.impact * share + fill.p.noise * fill.volatility)
        cost = min(0.9 * fill.reference, cost + fill.p.spread * (fill.bar.high - fill.bar.low))
        return fill.reference + cost if fill.qty > 0.0 else fill.reference - cost


class RandomSizing(SizingRule):
    """Risk a fraction of equity to the stop; without one, spend a fraction of it; now and then nothing."""

    name = "random_sizing"
    fraction = Param(0.1)

    @staticmethod
    def size(order):
        if int(order.entry * 4.0) % 11 == 0:
            return math.nan
        if order.stop != UNSET:
            return order.account.equity * order.p.fraction * 0.1 / abs(order.entry - order.stop)
        return order.account.equity * order.p.fraction / order.entry


class RandomRule(RiskRule):
    """Cap the quantity, what may be lost and what working orders may cost, and refuse at some prices."""

    name = "random_rule"
    cap = Param(10.0)
    step = Param(7)
    heat = Param(10.0)
    most = Param(10)
    slippage = Param(10.0)

    @property
    def max_slippage(self):
        return self.slippage

    @staticmethod
    def check(order):
        if not order.symbol_committed and order.committed_positions >= order.p.most:
            refuse(order, order.committed_positions, order.p.most)
            return
        each = order.entry if order.stop == UNSET else abs(order.entry - order.stop)
        most = order.account.equity * order.p.heat
        if order.heat + order.qty * each > most and each > 0.0:
            reduce(order, (most - order.heat) / each, order.heat, most)
        if order.working_notional + order.qty * order.entry > 4.0 * most:
            reduce(order, (4.0 * most - order.working_notional) / order.entry, order.working_notional, order.available)
        if order.symbol_pending * order.side > order.qty + 1e-6:
            reduce(order, order.qty * 0.75, order.symbol_pending, order.position_qty)
        if int(order.bar.close * 4.0) % order.p.step == 0:
            refuse(order, order.entry, 1.5)
        elif order.symbol_qty * order.side > 0.0:
            reduce(order, order.qty * 0.5, order.qty, 2.5)
        else:
            reduce(order, order.p.cap, order.qty, order.p.cap)
