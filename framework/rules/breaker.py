"""A breaker that stops openings after a bad day or a streak of losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from framework.risk import Param, RiskRule, call_again, compiled, flatten, measured, refuse
from framework.rules.losses import next_level
from framework.rules.told import moment, times

MINUTE = 60_000_000_000
FLATTEN = 1
"""The place of "flatten" among the choices of on_trip."""


@compiled
def see_round_trips(order: Any) -> None:
    """Let what a trip has forgiven count no more once a winner has begun the streak anew.

    A streak no longer than the round trips that are new, less one, has room for a winner before it.
    """
    state, past = order.state, order.past
    new = past.round_trips - state.seen_trips
    if past.losing_streak < max(new, state.seen_streak):
        state.forgiven = 0
    state.seen_trips, state.seen_streak = past.round_trips, past.losing_streak


@compiled
def end_trips(order: Any) -> None:
    """End what has lasted long enough."""
    p, state, past = order.p, order.state, order.past
    now = order.clock.time_ns
    cooldown = p.cooldown_minutes * MINUTE
    if state.loss_tripped and past.day > state.loss_day and now >= state.loss_time + cooldown:
        state.loss_tripped = False
    may_resume = p.auto_resume or past.day > state.streak_day
    if state.streak_tripped and may_resume and now >= state.streak_time + cooldown:
        state.streak_tripped = False
        state.forgiven = past.losing_streak


@compiled
def may_end_today(order: Any) -> bool:
    """Return whether a trip lasts that the next roll of the day is not needed for: the cooldown alone ends it."""
    p, state, day = order.p, order.state, order.past.day
    is_streak = state.streak_tripped and (p.auto_resume or day > state.streak_day)
    may_end: bool = is_streak or (state.loss_tripped and day > state.loss_day)
    return may_end


@compiled
def begin_trips(order: Any) -> bool:
    """Begin what is due; return whether anything began."""
    p, state, past = order.p, order.state, order.past
    has_begun = False
    loss = order.account.day_start_equity - order.account.equity
    if loss >= p.daily_loss_threshold and not (state.loss_tripped and state.loss_day == past.day):
        state.loss_tripped, state.loss, state.loss_day = True, loss, past.day
        state.loss_time = order.clock.time_ns
        state.loss_trips += 1
        has_begun = True
    streak = past.losing_streak - state.forgiven
    if not state.streak_tripped and streak >= p.max_consecutive_losses:
        state.streak_tripped, state.streak, state.streak_day = True, streak, past.day
        state.streak_time = past.last_exit_time
        state.streak_trips += 1
        has_begun = True
    if has_begun and state.first_trip == 0:
        state.first_trip = order.clock.time_ns
    return has_begun


class CircuitBreaker(RiskRule):
    """Refuse openings after a loss of the day or a streak of losing round trips, and beyond a number of trades a day.

    A loss trips it at the mark where equity is daily_loss_threshold below that at the last roll of the day; that trip
    ends at the later of the cooldown and the next roll. max_consecutive_losses losing round trips in a row trip it when
    the last of them ends; that trip ends after the cooldown, and the count begins anew. With auto_resume = false a
    person has to resume; in a backtest the next roll stands in for him.  on_trip = "flatten" closes every position at
    its next open as well. The number of trades counts round trips begun since the roll and working openings.
    """

    name = "circuit_breaker"
    daily_loss_threshold = Param(5_000.0, low=0.0, doc="currency, of marked equity")
    max_consecutive_losses = Param(5, low=1, doc="losing round trips in a row")
    max_trades_per_day = Param(50, low=0, doc="round trips begun since the day rolled")
    cooldown_minutes = Param(60, low=0, high=1_000_000, doc="that a trip lasts at least")
    auto_resume = Param(False, doc="whether a streak's trip ends with the cooldown, without a person")
    on_trip = Param("block", choices=("block", "flatten"), doc="flatten: close all positions as well")
    state: ClassVar[Mapping[str, Any]] = {
        "loss_tripped": False, "loss": 0.0, "loss_day": 0, "loss_time": 0, "loss_trips": 0,
        "streak_tripped": False, "streak": 0, "streak_day": 0, "streak_time": 0, "streak_trips": 0,
        "forgiven": 0, "seen_trips": 0, "seen_streak": 0, "first_trip": 0,
    }  # fmt: skip
    alert_kind = "loss"

    @staticmethod
    def watch(order: Any) -> None:
        """Begin and end trips; look at every mark while one may end, else at a loss near the threshold, then at it."""
        see_round_trips(order)
        has_begun = begin_trips(order)
        if has_begun and order.p.on_trip == FLATTEN:
            flatten(order)
        end_trips(order)
        account = order.account
        loss = account.day_start_equity - account.equity
        measured(order, loss, order.p.daily_loss_threshold)
        level = math.inf
        if not may_end_today(order):
            level = next_level(order, account.day_start_equity, loss, order.p.daily_loss_threshold)
        call_again(order, level, math.inf)

    @staticmethod
    def check(order: Any) -> None:
        """Refuse during a trip, and a round trip too many."""
        p, state, past = order.p, order.state, order.past
        measured(order, order.account.day_start_equity - order.account.equity, p.daily_loss_threshold)
        measured(order, past.losing_streak - state.forgiven, p.max_consecutive_losses)
        if state.loss_tripped:
            refuse(order, state.loss, p.daily_loss_threshold)
        elif state.streak_tripped:
            refuse(order, state.streak, p.max_consecutive_losses)
        elif order.side * order.position_qty <= 0.0 and past.trades_today >= p.max_trades_per_day:
            refuse(order, past.trades_today + 1, p.max_trades_per_day)

    def outcome(self, state: Any) -> list[str]:
        """Say how often it tripped, and that nobody was there to resume."""
        counts = [(int(state["loss_trips"]), "a loss of the day"), (int(state["streak_trips"]), "losses in a row")]
        tripped = " and ".join(f"{times(count)} by {why}" for count, why in counts if count)
        if not tripped:
            return []
        values = self.values()
        told = f"{self.name}: tripped {tripped}, first at {moment(state['first_trip'])}"
        if values["on_trip"] == "flatten":
            told += "; all positions were closed at the next open"
        if not values["auto_resume"]:
            told += "; auto_resume = false waits for a person: here it resumed when the day had rolled"
        if state["loss_tripped"] or state["streak_tripped"]:
            told += "; it is tripped at the end"
        return [told]
