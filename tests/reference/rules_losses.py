"""Rules that look back: on marks, days, weeks and months, and on round trips.

Each counts its halts anew from the whole list of marks whenever it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.reference.account import Account
from tests.reference.history import (
    Moment,
    begun_today,
    day_of,
    losing_streak,
    loss_of,
    month_of,
    prefixes,
    week_of,
)
from tests.reference.rules_base import Rule, Verdict, refuse, tightest, unit_risk

MINUTE = 60_000_000_000

PERIODS = {"day": day_of, "week": week_of, "month": month_of}


def depth_of(peak: float, equity: float) -> float:
    """Return a drawdown as a fraction of the peak."""
    return (peak - equity) / peak


class LossLimits(Rule):
    """Halts for the rest of a day, a week or a month; smaller in a drawdown; so much a trade."""

    looks_at_marks = True

    def most(self, period: str) -> float:
        """Return the limit of a period."""
        return float({"day": self.max_daily_loss, "week": self.max_weekly_loss, "month": self.max_monthly_loss}[period])

    def halts(self, account: Account, period: str) -> dict[Any, float]:
        """Return every day, week or month that was halted, with the loss that halted it."""
        found: dict[Any, float] = {}
        for known in prefixes(account.moments):
            loss = loss_of(known, PERIODS[period], account.settings.capital)
            if loss >= self.most(period):
                found.setdefault(PERIODS[period](known[-1].day), loss)
        return found

    def __call__(self, order: Any) -> Verdict:
        books: Account = order.books
        today = books.moments[-1].day
        for period in ("month", "week", "day"):
            loss = self.halts(books, period).get(PERIODS[period](today))
            if loss is not None:
                return refuse(loss, self.most(period))
        caps = []
        drawdown = 100 * depth_of(books.peak, order.account.equity)
        if drawdown >= self.drawdown_threshold_percent:
            caps.append((order.qty * self.drawdown_reduction, drawdown, self.drawdown_threshold_percent))
        each, loss = unit_risk(order), self.loss_of_trade(order)
        if each > 0 and loss > self.max_loss_per_trade:
            caps.append(((self.max_loss_per_trade - order.slot_heat) / each, loss, self.max_loss_per_trade))
        return tightest(order.qty, *caps)

    def loss_of_trade(self, order: Any) -> float:
        """Return what position and working openings of the slot lose at their stops, the opening with them."""
        return float(order.slot_heat + order.qty * unit_risk(order))

    def shares(self, order: Any) -> list[tuple[float, float]]:
        books: Account = order.books
        found = [(loss_of(books.moments, PERIODS[p], books.settings.capital), self.most(p)) for p in PERIODS]
        is_halted = any(PERIODS[p](books.moments[-1].day) in self.halts(books, p) for p in PERIODS)
        return found if is_halted else [*found, (self.loss_of_trade(order), self.max_loss_per_trade)]

    def told(self, account: Account) -> dict[str, int]:
        return {f"{period}s": len(self.halts(account, period)) for period in PERIODS}


class LossStreak(Rule):
    """Smaller after losing round trips in a row."""

    def __call__(self, order: Any) -> Verdict:
        streak = losing_streak(order.books.result.trades)
        if streak < self.consecutive_loss_limit:
            return tightest(order.qty)
        return tightest(order.qty, (order.qty * self.multiplier, streak, self.consecutive_loss_limit))

    def shares(self, order: Any) -> list[tuple[float, float]]:
        return [(losing_streak(order.books.result.trades), self.consecutive_loss_limit)]


@dataclass
class Fall:
    """A drawdown rule at one mark: its own peak, and since when it has halted."""

    peak: float = 0.0
    halted_at: int | None = None
    halts: int = 0


class Drawdown(Rule):
    """Smaller in a drawdown from a peak of its own, nothing beyond the deepest one."""

    looks_at_marks = True

    def followed(self, moments: Sequence[Moment]) -> Fall:
        """Return where the rule stands after all marks."""
        fall = Fall()
        for moment in moments:
            lasted = moment.time - fall.halted_at if fall.halted_at is not None else 0
            if fall.halted_at is not None and 0 < self.resume_after <= lasted:
                fall.halted_at, fall.peak = None, moment.equity
            fall.peak = max(fall.peak, moment.equity)
            if fall.halted_at is None and depth_of(fall.peak, moment.equity) >= self.max_drawdown:
                fall.halted_at, fall.halts = moment.time, fall.halts + 1
        return fall

    def depth(self, order: Any) -> float:
        """Return the drawdown now as a fraction of the rule's peak."""
        return depth_of(self.followed(order.books.moments).peak, order.account.equity)

    def __call__(self, order: Any) -> Verdict:
        depth = self.depth(order)
        if self.followed(order.books.moments).halted_at is not None:
            return refuse(depth, self.max_drawdown)
        for least, multiplier in (
            (self.drawdown_critical, self.drawdown_critical_multiplier),
            (self.drawdown_warning, self.drawdown_warning_multiplier),
        ):
            if depth >= least:
                return tightest(order.qty, (order.qty * multiplier, depth, least))
        return tightest(order.qty)

    def shares(self, order: Any) -> list[tuple[float, float]]:
        return [(self.depth(order), self.max_drawdown)]

    def told(self, account: Account) -> dict[str, int]:
        return {"halts": self.followed(account.moments).halts}


@dataclass
class Trips:
    """A breaker at one mark.

    loss, streak: (time, day, what was measured) of the newest trip of each kind, None when it is over.
    counted_from: the round trips before this one are forgiven.  newest: whether one began at the last mark.
    """

    loss: tuple[int, int, float] | None = None
    streak: tuple[int, int, float] | None = None
    counted_from: int = 0
    losses: int = 0
    streaks: int = 0
    is_new: bool = False


class CircuitBreaker(Rule):
    """Nothing for a while after a loss of the day or losing round trips in a row; so many trades a day."""

    looks_at_marks = True

    def followed(self, account: Account) -> Trips:
        """Return where the rule stands after all marks."""
        trips = Trips()
        for known in prefixes(account.moments):
            now = known[-1]
            trips.is_new = self.begins(trips, known, account)
            if trips.loss is not None and now.day > trips.loss[1] and self.is_cool(trips.loss, now):
                trips.loss = None
            may_resume = self.auto_resume or (trips.streak is not None and now.day > trips.streak[1])
            if trips.streak is not None and may_resume and self.is_cool(trips.streak, now):
                trips.streak, trips.counted_from = None, now.ended
        return trips

    def begins(self, trips: Trips, known: Sequence[Moment], account: Account) -> bool:
        """Begin the trips that are due at the newest of some marks; return whether one was."""
        now, before = known[-1], (trips.losses, trips.streaks)
        loss = loss_of(known, day_of, account.settings.capital)
        if loss >= self.daily_loss_threshold and (trips.loss is None or trips.loss[1] != now.day):
            trips.loss, trips.losses = (now.time, now.day, loss), trips.losses + 1
        streak = losing_streak(account.result.trades[trips.counted_from : now.ended])
        if trips.streak is None and streak >= self.max_consecutive_losses:
            ended = account.result.trades[now.ended - 1].exit_time
            trips.streak, trips.streaks = (ended, now.day, streak), trips.streaks + 1
        return (trips.losses, trips.streaks) != before

    def is_cool(self, trip: tuple[int, int, float], now: Moment) -> bool:
        """Return whether the cooldown of a trip is over."""
        return now.time >= trip[0] + self.cooldown_minutes * MINUTE

    def __call__(self, order: Any) -> Verdict:
        trips = self.followed(order.books)
        if trips.loss is not None:
            return refuse(trips.loss[2], self.daily_loss_threshold)
        if trips.streak is not None:
            return refuse(trips.streak[2], self.max_consecutive_losses)
        trades = begun_today(order.books.moments) + sum(
            not o.reduce_only and o.filled == 0 for o in order.books.working
        )
        grows = order.side * order.position_qty > 0
        if trades >= self.max_trades_per_day and not grows:
            return refuse(trades + 1, self.max_trades_per_day)
        return tightest(order.qty)

    def flattens(self, account: Account) -> bool:
        return bool(self.on_trip == "flatten" and self.followed(account).is_new)

    def shares(self, order: Any) -> list[tuple[float, float]]:
        books: Account = order.books
        streak = losing_streak(books.result.trades[self.followed(books).counted_from :])
        return [(loss_of(books.moments, day_of, books.settings.capital), self.daily_loss_threshold),
                (streak, self.max_consecutive_losses)]  # fmt: skip

    def told(self, account: Account) -> dict[str, int]:
        trips = self.followed(account)
        return {"loss_trips": trips.losses, "streak_trips": trips.streaks}
