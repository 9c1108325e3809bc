"""Indicators of the order book as it stands at the close of each bar: of series such as `bars.bid()` and `bars.ask()`.

What they say of a book they say of any four series; the data without a book refuse the series, not the indicator.
"""

from __future__ import annotations

import math
from typing import Any

from framework.indicators.blocks import next_place, window_sum
from framework.indicators.definition import indicator, length


@indicator(inputs=("bids", "asks"), parameters={}, lookback=lambda p: 0,
           source="Cartea, Jaimungal and Penalva (2015), Algorithmic and High-Frequency Trading")
def imbalance(s: Any, window: Any, bids: float, asks: float) -> float:
    """Quantity bid less quantity asked over both, -1 to 1, as of bars.bid_depth(5), bars.ask_depth(5); 0 if none."""
    total = bids + asks
    return (bids - asks) / total if total > 0.0 else 0.0


@indicator(inputs=("bid", "ask"), parameters={}, lookback=lambda p: 0, source="10,000 * (ask - bid) / middle")
def spread_bps(s: Any, window: Any, bid: float, ask: float) -> float:
    """Quoted spread: the best ask less the best bid, in basis points of their middle."""
    middle = (bid + ask) * 0.5
    return 10_000.0 * (ask - bid) / middle if middle > 0.0 else math.nan


@indicator(inputs=("bid", "bid_size", "ask", "ask_size"), parameters={}, lookback=lambda p: 0,
           source="the weighted mid-price of Stoikov (2018), The micro-price")
def microprice(s: Any, window: Any, bid: float, bid_size: float, ask: float, ask_size: float) -> float:
    """Best prices weighted by the size on the other side: near the ask when more is bid; no value without sizes."""
    total = bid_size + ask_size
    return (bid * ask_size + ask * bid_size) / total if total > 0.0 else math.nan


@indicator(inputs=("bid", "bid_size", "ask", "ask_size"), parameters={"length": length(1, 10)},
           state={"bid": float, "bid_size": float, "ask": float, "ask_size": float, "at": int, "head": float},
           window=lambda p: p.length, lookback=lambda p: p.length,
           source="Cont, Kukanov and Stoikov (2014), J. Financial Econometrics 12(1), from close to close")
def order_flow_imbalance(s: Any, window: Any, bid: float, bid_size: float, ask: float, ask_size: float) -> float:
    """Order flow imbalance: what came to the best bid less what came to the best ask, over `length` changes.

    A bid that rises or stays adds its size, one that falls or stays takes away the size before; asks count the other
    way round.  The paper follows every change of the book, this one the change from one close to the next.
    """
    flow = 0.0
    if s.count > 1:
        flow += (bid_size if bid >= s.bid else 0.0) - (s.bid_size if bid <= s.bid else 0.0)
        flow += (s.ask_size if ask >= s.ask else 0.0) - (ask_size if ask <= s.ask else 0.0)
    s.bid = bid
    s.bid_size = bid_size
    s.ask = ask
    s.ask_size = ask_size
    if s.count == 1:
        return 0.0
    total, s.head = window_sum(window, 0, s.length, s.at, s.head, flow)
    s.at = next_place(s.at, s.length)
    return total
