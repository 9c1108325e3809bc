"""Small series and naive oracles for the tests of the data package."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from framework.data import BarSeries
from framework.data.timeframe import DAY, HOUR, MINUTE, parse_timeframe
from framework.model import Instrument

LAW = settings(deadline=None, derandomize=True, max_examples=60)


def ns(text: str) -> int:
    """Return a UTC time as ns since 1970."""
    return int(np.datetime64(text, "ns").astype(np.int64))


def prices(count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return valid open, high, low, close, volume."""
    rng = np.random.default_rng(seed)
    open_, close = 100 + rng.random(count), 100 + rng.random(count)
    return open_, np.maximum(open_, close) + rng.random(count), np.minimum(open_, close) - 1, close, rng.random(count)


def series_at(opens, timeframe: str = "1h", symbol: str = "A", exchange: str = "24/7", closes=None, seed: int = 0):
    """Return a series whose bars open at given times and last their timeframe."""
    opens = np.asarray(opens, dtype=np.int64)
    closes = opens + parse_timeframe(timeframe) if closes is None else np.asarray(closes, dtype=np.int64)
    return BarSeries(Instrument(symbol, exchange=exchange), timeframe, opens, closes, *prices(len(opens), seed))


@st.composite
def series_lists(draw):
    """Draw one to four series of mixed timeframes with holes, near one another in time."""
    lists = []
    for index in range(draw(st.integers(1, 4))):
        timeframe = draw(st.sampled_from(["5m", "15m", "1h", "4h"]))
        steps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=30))
        start = ns("2024-03-01") + draw(st.integers(0, 50)) * 5 * MINUTE
        opens = start + np.cumsum(steps) * parse_timeframe(timeframe)
        lists.append(series_at(opens, timeframe, f"S{index}", seed=index))
    return lists


__all__ = ["DAY", "HOUR", "LAW", "MINUTE", "ns", "prices", "series_at", "series_lists"]
