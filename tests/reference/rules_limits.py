"""Rules that look at one opening beside what the account holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.reference.account import Account, Symbol
from tests.reference.market import on_lots
from tests.reference.rules_base import Cap, Rule, Verdict, refuse, tightest, unit_risk, unit_value
from tests.reference.rules_market import average_true_range, daily_closes

LEAST_RETURNS = 10


class OrderValidation(Rule):
    """Outside of the limits: refused.  Of several the first counts: price, size, value, slippage."""

    @property
    def max_slippage(self) -> float:
        """How far from its reference an opening may be filled, a fraction."""
        return float(self.max_slippage_percent / 100)

    def __call__(self, order: Any) -> Verdict:
        value = order.qty * unit_value(order)
        cost = 100 * order.side * (order.entry - order.reference) / order.reference
        for measured, least, most in (
            (order.reference, self.min_price, self.max_price),
            (order.qty, self.min_order_size, self.max_order_size),
            (value, 0.0, self.max_order_value),
        ):
            if not least <= measured <= most:
                return refuse(measured, least if measured < least else most)
        is_dear = cost > self.max_slippage_percent * (1 + 1e-9)
        return refuse(cost, self.max_slippage_percent) if is_dear else tightest(order.qty)


@dataclass(frozen=True)
class Limit:
    """What a limit measures before the opening, what one unit of the opening adds to it, and the limit."""

    before: float
    each: float
    most: float

    def after(self, qty: float) -> float:
        """Return what is measured with the opening."""
        return self.before + qty * self.each

    def cap(self, qty: float) -> Cap:
        """Return the quantity that the limit leaves, what was measured, and the limit."""
        is_beyond = self.each > 0 and self.after(qty) > self.most
        return (self.most - self.before) / self.each if is_beyond else qty, self.after(qty), self.most


def held_before(order: Any) -> float:
    """Return the account's net quantity on the side of the opening, with what works."""
    return float(order.side * (order.symbol_qty + order.symbol_pending))


def exposure_limit(order: Any, most: float) -> Limit:
    """Return a limit on gross exposure with all working openings; what covers something held adds nothing."""
    unit = unit_value(order)
    covers = max(0.0, -held_before(order))
    return Limit(order.carried + order.working_notional - order.proceeds - covers * unit, unit, most)


class PositionLimits(Rule):
    """Reduced until every limit holds."""

    def limits(self, order: Any) -> list[Limit]:
        """Return the limits on quantities and values."""
        unit, held = unit_value(order), held_before(order)
        concentration = order.account.equity * self.max_concentration_percent / 100
        return [
            Limit(held, 1.0, self.max_shares),
            Limit(held * unit, unit, self.max_notional_per_position),
            Limit(held * unit, unit, concentration),
            exposure_limit(order, self.max_total_exposure),
        ]

    def __call__(self, order: Any) -> Verdict:
        if self.is_one_too_many(order):
            return refuse(order.committed_positions + 1, self.max_open_positions)
        return tightest(order.qty, *(limit.cap(order.qty) for limit in self.limits(order)))

    def is_one_too_many(self, order: Any) -> bool:
        """Return whether the opening would be in a symbol more than may be open."""
        return not order.symbol_committed and order.committed_positions >= self.max_open_positions

    def shares(self, order: Any) -> list[tuple[float, float]]:
        positions = order.committed_positions + (not order.symbol_committed)
        found = [(float(positions), self.max_open_positions)]
        limits = [] if self.is_one_too_many(order) else self.limits(order)
        return found + [(limit.after(order.qty), limit.most) for limit in limits]


class Leverage(Rule):
    """A cap on gross exposure over equity, and everything closed where equity no longer carries it."""

    def limit(self, order: Any) -> Limit:
        """Return the most that may be held, in currency."""
        return exposure_limit(order, order.account.equity * min(self.max_leverage, 100 / self.min_margin_percent))

    def __call__(self, order: Any) -> Verdict:
        return tightest(order.qty, self.limit(order).cap(order.qty))

    def shares(self, order: Any) -> list[tuple[float, float]]:
        return [(self.limit(order).after(order.qty), self.limit(order).most)]

    def flattens(self, account: Account) -> bool:
        newest = account.moments[-1]
        return newest.equity < newest.exposure * self.maintenance_percent / 100


class PortfolioHeat(Rule):
    """What would be lost if every stop were hit."""

    def limit(self, order: Any) -> Limit:
        """Return the limit on heat."""
        return Limit(order.heat, unit_risk(order), order.account.equity * self.max_heat)

    def __call__(self, order: Any) -> Verdict:
        return tightest(order.qty, self.limit(order).cap(order.qty))

    def shares(self, order: Any) -> list[tuple[float, float]]:
        return [(self.limit(order).after(order.qty), self.limit(order).most)]


class Volatility(Rule):
    """Refused in the wildest markets, smaller in wild ones."""

    def __call__(self, order: Any) -> Verdict:
        bars = order.symbol.closed
        ranges = average_true_range(bars, self.atr_period)
        current = 100 * ranges[-1] / bars[-1].close if ranges else math.nan
        if not current <= self.max_atr_percent:
            return refuse(current, self.max_atr_percent)
        if not (self.reduce_on_high_volatility and self.enable_volatility_scaling) or current == 0:
            return tightest(order.qty)
        share = min(1.0, self.base_volatility_percent / current)
        return tightest(order.qty, (order.qty * share, current, self.base_volatility_percent))


class Correlation(Rule):
    """Nothing that moves like what is held in another symbol."""

    def __call__(self, order: Any) -> Verdict:
        books: Account = order.books
        found = [-1.0]
        for other in books.symbols:
            held = on_lots(other.net + books.pending(other, 1) - books.pending(other, -1), other.instrument.lot)
            if self.enforce_correlation_check and other is not order.symbol and other.index in books.committed():
                direction = order.side * ((held > 0) - (held < 0))
                found += [direction * self.alike(books, order.symbol, other)] if held else []
        highest = max(found)
        is_too_much = self.enforce_correlation_check and highest > self.max_position_correlation
        return refuse(highest, self.max_position_correlation) if is_too_much else tightest(order.qty)

    def alike(self, books: Account, one: Symbol, other: Symbol) -> float:
        """Return the correlation of the last daily returns from one common day to the next."""
        mine, theirs = daily_closes(books, one), daily_closes(books, other)
        days = sorted(mine.keys() & theirs.keys())[-self.correlation_lookback_days - 1 :]
        if len(days) - 1 < min(LEAST_RETURNS, self.correlation_lookback_days):
            return 1.0
        returns = [np.diff(prices) / prices[:-1] for prices in (np.array([c[d] for d in days]) for c in (mine, theirs))]
        if any(np.ptp(moves) == 0 for moves in returns):
            return 0.0
        return float(np.clip(np.corrcoef(*returns)[0, 1], -1.0, 1.0))


class Alerts(Rule):
    """Lets everything through; the simulator counts what the others measure."""

    def threshold(self, name: str) -> float:
        """Return the share of its limits at which a rule is told to be near one."""
        if name in ("position_limits", "portfolio_heat", "leverage"):
            return float(self.position_limit_alert_threshold / 100)
        is_loss = name in ("loss_limits", "loss_streak", "circuit_breaker", "drawdown")
        return self.loss_limit_alert_threshold / 100 if is_loss else math.inf
