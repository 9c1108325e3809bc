"""Limits on what may be lost by a trade, a day, a week and a month, and smaller sizes after losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from framework.risk import UNSET, Param, RiskRule, call_again, compiled, measured, reduce, refuse

NEVER = -(1 << 62)
"""No day, week or month has this number."""

DAY, WEEK, MONTH = 0, 1, 2
"""The places of the periods in the state of `LossLimits`."""


@compiled
def risk_each(order: Any) -> float:
    """Return what one unit of an opening loses at its stop, in currency; its whole price without a stop."""
    each = order.entry
    if order.stop != UNSET:
        each = max(0.0, order.side * (order.entry - order.stop))
    risk: float = each * order.instrument.multiplier
    return risk


@compiled
def level_below(start: float, loss: float) -> float:
    """Return the equity at which a loss is reached; a shade above it, for the rounding of the loss itself."""
    return start - loss + 1e-9 * (abs(start) + loss)


@compiled
def next_level(order: Any, start: float, loss: float, most: float) -> float:
    """Return the equity at which to look at a loss again: where alerts tell that it is near `most`, then at `most`."""
    is_near = most > 0.0 and loss / most >= order.alert_at
    level: float = level_below(start, most if is_near else min(order.alert_at, 1.0) * most)
    return level


@compiled
def watch_period(order: Any, place: int, number: int, start: float, most: float) -> float:
    """Begin the halt of a period when its loss has reached `most`; return the equity at which to look again, else -inf.

    number: of the day, week or month.  start: its equity at the beginning, currency.
    """
    state = order.state
    loss = start - order.account.equity
    measured(order, loss, most)
    if state.halted[place] == number:
        return -math.inf
    if loss < most:
        level: float = next_level(order, start, loss, most)
        return level
    state.halted[place], state.loss[place] = number, loss
    state.count[place] += 1
    return -math.inf


class LossLimits(RiskRule):
    """Limit what a trade can lose at its stop; halt openings after a day's, week's or month's loss, until the next.

    A trade is the position of the slot with its working openings; the opening is reduced until all of it loses no more
    than max_loss_per_trade at its stop. Without a stop its whole value counts. The other losses are of marked equity
    against that at the last roll of the account calendar (weeks begin on Monday): once a mark has reached one, openings
    are refused until the next roll, also when equity recovers. From a drawdown of drawdown_threshold_percent of the
    account's peak on, size is multiplied by drawdown_reduction.
    """

    name = "loss_limits"
    max_loss_per_trade = Param(500.0, low=0.0, doc="currency, at the stop")
    max_daily_loss = Param(5_000.0, low=0.0, doc="currency")
    max_weekly_loss = Param(15_000.0, low=0.0, doc="currency")
    max_monthly_loss = Param(50_000.0, low=0.0, doc="currency")
    drawdown_threshold_percent = Param(10.0, low=1.0, high=100.0, unit="percent", doc="percent of the account's peak")
    drawdown_reduction = Param(0.5, low=0.0, high=1.0, unit="fraction", doc="of the size, from the threshold on")
    state: ClassVar[Mapping[str, Any]] = {"halted": (NEVER,) * 3, "loss": (0.0,) * 3, "count": (0,) * 3}
    alert_kind = "loss"

    @staticmethod
    def watch(order: Any) -> None:
        """Begin the halts of this day, week and month; look again where the next is near, then where it begins."""
        p, past, account = order.p, order.past, order.account
        level = max(watch_period(order, DAY, past.day, account.day_start_equity, p.max_daily_loss),
                    watch_period(order, WEEK, past.week, past.week_start_equity, p.max_weekly_loss),
                    watch_period(order, MONTH, past.month, past.month_start_equity, p.max_monthly_loss))
        call_again(order, level, math.inf)

    @staticmethod
    def check(order: Any) -> None:
        """Refuse during a halt, else fit the trade's loss and shrink in a drawdown."""
        p, state, past, account = order.p, order.state, order.past, order.account
        measured(order, account.day_start_equity - account.equity, p.max_daily_loss)
        measured(order, past.week_start_equity - account.equity, p.max_weekly_loss)
        measured(order, past.month_start_equity - account.equity, p.max_monthly_loss)
        if state.halted[MONTH] == past.month:
            refuse(order, state.loss[MONTH], p.max_monthly_loss)
        elif state.halted[WEEK] == past.week:
            refuse(order, state.loss[WEEK], p.max_weekly_loss)
        elif state.halted[DAY] == past.day:
            refuse(order, state.loss[DAY], p.max_daily_loss)
        else:
            drawdown = 100.0 * (account.peak - account.equity) / account.peak
            if drawdown >= p.drawdown_threshold_percent:
                reduce(order, order.qty * p.drawdown_reduction, drawdown, p.drawdown_threshold_percent)
            each = risk_each(order)
            after = order.slot_heat + each * order.qty
            measured(order, after, p.max_loss_per_trade)
            if after > p.max_loss_per_trade and each > 0.0:
                reduce(order, (p.max_loss_per_trade - order.slot_heat) / each, after, p.max_loss_per_trade)

    def outcome(self, state: Any) -> list[str]:
        """Say how many days, weeks and months were halted."""
        counts = [(int(count), name) for count, name in zip(state["count"], ("day", "week", "month"), strict=True)]
        halted = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)
        return [f"{self.name}: openings were halted for the rest of {halted}"] if halted else []


class LossStreak(RiskRule):
    """Multiply size by `multiplier` from the consecutive_loss_limit-th losing round trip in a row on.

    Round trips are the account's, all slots together, in the order in which they end. One that wins ends the streak.
    """

    name = "loss_streak"
    consecutive_loss_limit = Param(3, low=1, doc="losing round trips in a row")
    multiplier = Param(0.75, low=0.0, high=1.0, unit="fraction", doc="of the size")
    alert_kind = "loss"

    @staticmethod
    def check(order: Any) -> None:
        """Shrink an opening during a streak."""
        streak = order.past.losing_streak
        measured(order, streak, order.p.consecutive_loss_limit)
        if streak >= order.p.consecutive_loss_limit:
            reduce(order, order.qty * order.p.multiplier, streak, order.p.consecutive_loss_limit)
