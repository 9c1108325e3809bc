"""What hand-worked cases are written with; each of them runs on the reference and on the engine.

Bar i opens at 100 i and closes at 100 (i + 1) ns.  FLAT trades 99 to 101 and closes where it opened, at 100.
Without other words: capital 100,000, lot 1, no tick, no costs.
"""

from __future__ import annotations

from typing import Any

from framework.model.enums import OrderStatus, Reason
from tests.reference import ReferenceStrategy, Settings, engine, simulator
from tests.reference.tapes import PERIOD, instrument, tape_of

SIMULATORS = {"reference": simulator.simulate, "engine": engine.simulate}
chosen = {"simulate": simulator.simulate}
"""Which of them runs; the fixture `both_simulators` sets it."""


def simulate(tape: Any, strategies: Any, settings: Settings) -> Any:
    """Run strategies over a tape in the chosen simulator."""
    return chosen["simulate"](tape, strategies, settings)


FLAT = (100.0, 101.0, 99.0, 100.0)


def follow(script):
    """Return a decide function that acts at the close of the bars that the script names."""

    def decide(now):
        action = script.get(now.bar.open_time // PERIOD)
        if action is not None:
            action(now)

    return decide


def run(bars, *scripts, one=None, **settings):
    """Run scripts, one strategy each, on one symbol."""
    tape = tape_of(bars, instruments=[one or instrument()])
    return simulate(tape, [ReferenceStrategy([0], follow(script)) for script in scripts], Settings(**settings))


def sort_events(tape, symbols):
    """Bring the events of a tape into order after its times were changed; `symbols` names the one of every bar."""
    events = sorted(
        (time, kind, s, row)
        for row, s in enumerate(symbols)
        for kind, time in ((1, tape.open_time[row]), (0, tape.close_time[row]))
    )
    tape.event_time, tape.event_kind, tape.event_symbol, tape.event_bar = map(list, zip(*events, strict=True))


def rows(result):
    """Return (time, signed quantity, price) of every fill."""
    return [(f.time, f.side * f.qty, f.price) for f in result.fills]


def statuses(result):
    return [OrderStatus(o.status).name for o in result.orders]


def refusals(result):
    return [(Reason(r.reason).name if r.reason < Reason.RULE else r.reason, r.value, r.limit) for r in result.refusals]


def slip(fraction):
    """Return a slippage model that costs a fraction of the reference."""
    return lambda reference, qty, bar, volume, volatility: reference * (1 + (fraction if qty > 0 else -fraction))
