"""Sizing rules: how much an opening buys that names no quantity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from framework.model.records import UNSET
from tests.reference.rules_base import unit_value
from tests.reference.rules_market import daily_volatility, volatility_measure

LEAST_TRIPS = 30


def fixed_qty(order: Any, qty: float) -> float:
    """Return the same units every time."""
    return qty


def fixed_notional(order: Any, notional: float) -> float:
    """Return the same value every time."""
    return notional / unit_value(order)


def percent_of_equity(order: Any, percent: float) -> float:
    """Return a share of equity."""
    return float(order.account.equity) * percent / 100 / unit_value(order)


def risk_per_trade(order: Any, risk: float, max_position_pct: float, without_stop: bool) -> float:
    """Return what loses a share of equity at the stop."""
    most = float(order.account.equity) * max_position_pct / unit_value(order)
    if order.stop == UNSET:
        return most if without_stop else 0.0
    loss = abs(order.entry - order.stop) * order.instrument.multiplier
    return min(float(order.account.equity) * risk / loss, most) if loss else 0.0


def volatility_target(order: Any, daily_volatility_percent: float, window: int, max_position_pct: float) -> float:
    """Return what moves equity by a share of it on a usual day."""
    moves = daily_volatility(order.symbol.closed, window, is_daily=order.books.is_daily(order.symbol))
    if math.isnan(moves):
        return 0.0
    share = min(max_position_pct, daily_volatility_percent / moves) if moves else max_position_pct
    return float(order.account.equity) * share / unit_value(order)


def kelly(order: Any, fraction: float, cap: float, trades: int, risk: float, **most: Any) -> float:
    """Return what the odds of the last round trips allow to lose at the stop."""
    last = [trade.pnl for trade in order.books.result.trades[-trades:]]
    if len(last) >= LEAST_TRIPS:
        risk = min(max(fraction * edge(last), 0.0), cap)
    return risk_per_trade(order, risk, **most)


def edge(results: list[float]) -> float:
    """Return (p * b - q) / b; p without a loser, when b is beyond all bounds, and 0 without a winner."""
    won, lost = [r for r in results if r > 0], [-r for r in results if r < 0]
    p = len(won) / len(results)
    if not won or not lost:
        return p if won else 0.0
    b = (math.fsum(won) / len(won)) / (math.fsum(lost) / len(lost))
    return (p * b - (1 - p)) / b


def regime(order: Any, risk: float, preset: str, atr_period: int, window: int, rank_window: int, **keys: Any) -> float:
    """Return what loses a share of equity, times the score of the market's regime, at the stop."""
    suffix = "_rank" if preset == "percentile" else ""
    measure = volatility_measure(order.symbol.closed, atr_period, window, rank_window if suffix else None)
    score = keys["extreme_score"]
    if measure <= keys[f"compression{suffix}"]:
        score = keys["compression_score"]
    elif measure < keys[f"normal{suffix}"]:
        score = keys["normal_score"]
    elif measure < keys[f"expansion{suffix}"]:
        score = keys["expansion_score"]
    return risk_per_trade(order, risk * score, keys["max_position_pct"], keys["without_stop"])


SIZING: dict[str, Callable[..., float]] = {
    "fixed_qty": fixed_qty, "fixed_notional": fixed_notional, "percent_of_equity": percent_of_equity,
    "risk_per_trade": risk_per_trade, "volatility_target": volatility_target, "kelly": kelly, "regime": regime,
}  # fmt: skip
