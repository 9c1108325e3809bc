"""Small tapes written by hand: the fields of a tape that the simulator reads, without calendars."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from framework.model.enums import EventKind

PERIOD = 100
"""Length of a bar in ns: bar i of a symbol opens at 100 i and closes at 100 (i + 1)."""


def instrument(
    lot: float = 1.0, tick: float = 0.0, min_qty: float = 0.0, min_notional: float = 0.0, multiplier: float = 1.0,
    borrow_percent: float | None = None,
) -> SimpleNamespace:
    """Return what the simulator reads of an instrument."""
    return SimpleNamespace(lot=lot, tick=tick, min_qty=min_qty, min_notional=min_notional, multiplier=multiplier,
                           borrow_percent=borrow_percent)


def tape_of(
    *series: Sequence[tuple[float, ...]],
    instruments: Sequence[SimpleNamespace] = (),
    first: Sequence[int] = (),
    bars_a_day: int = 10,
    flows: Sequence[tuple[int, int, int, float]] = (),
) -> SimpleNamespace:
    """Return a tape of series of (open, high, low, close[, volume]); `first` shifts a symbol by bars.

    flows: (time, symbol, CashKind, rate), in order of time.
    """
    rows = [(s, (first[s] if first else 0) + i, bar) for s, bars in enumerate(series) for i, bar in enumerate(bars)]
    starts = [0]
    for bars in series:
        starts.append(starts[-1] + len(bars))
    events = sorted(
        (time, kind, s, row)
        for row, (s, i, _) in enumerate(rows)
        for kind, time in ((int(EventKind.OPEN), PERIOD * i), (int(EventKind.CLOSE), PERIOD * (i + 1)))
    )
    zeros = [0] * len(rows)
    return SimpleNamespace(
        symbols=tuple(f"S{s}" for s in range(len(series))),
        instruments=tuple(instruments) or tuple(instrument() for _ in series),
        series=starts,
        open_time=[PERIOD * i for _, i, _ in rows],
        close_time=[PERIOD * (i + 1) for _, i, _ in rows],
        open=[b[0] for *_, b in rows],
        high=[b[1] for *_, b in rows],
        low=[b[2] for *_, b in rows],
        close=[b[3] for *_, b in rows],
        volume=[b[4] if len(b) > 4 else 1000.0 for *_, b in rows],
        account_day=[i // bars_a_day for _, i, _ in rows],
        local_minute=zeros,
        weekday=zeros,
        bars_in_session=zeros,
        minutes_to_close=zeros,
        event_time=[e[0] for e in events],
        event_kind=[e[1] for e in events],
        event_symbol=[e[2] for e in events],
        event_bar=[e[3] for e in events],
        flow_time=[flow[0] for flow in flows],
        flow_symbol=[flow[1] for flow in flows],
        flow_kind=[flow[2] for flow in flows],
        flow_rate=[flow[3] for flow in flows],
    )
