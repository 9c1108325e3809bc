"""The maintenance margin, rule by rule of docs/fills.md and worked by hand, on engine and reference."""

from __future__ import annotations

import pytest

from framework.model.enums import Role
from framework.strategy import BUY, buy, cancel_all, place_limit, sell
from tests.reference import ReferenceStrategy, Settings
from tests.reference.hand import FLAT, follow, refusals, rows, run, simulate, sort_events, statuses
from tests.reference.tapes import tape_of

pytestmark = pytest.mark.usefixtures("both_simulators")

LOW = (100.0, 101.0, 59.0, 60.0)
"""A bar that closes at 60: 20 bought at 100 with 1,000 are worth 1,200, and 200 are left: a sixth of the exposure."""


def test_below_the_maintenance_margin_everything_is_sold_at_the_next_open():
    bars = [FLAT, LOW, (58, 59, 57, 58)]
    result = run(bars, {0: lambda now: buy(now, qty=20)}, capital=1000, leverage=2.0, maintenance=0.25)
    assert rows(result) == [(100, 20, 100), (200, -20, 58)]
    assert Role(result.trades[0].exit_role) == Role.LIQUIDATION
    assert result.marks[-1].equity == 1000 - 20 * 42


def test_at_the_margin_nothing_happens():
    """At a close of 70 equity is 400, exposure 1,400; 400 / 1,400 is two sevenths."""
    bars = [FLAT, (100, 101, 69, 70), FLAT]
    script = {0: lambda now: buy(now, qty=20)}
    assert run(bars, script, capital=1000, leverage=2.0, maintenance=0.2857).positions == [20]
    assert run(bars, script, capital=1000, leverage=2.0, maintenance=0.2858).positions == [0]


def test_a_margin_call_takes_what_works_off_the_book_and_refuses_openings_until_it_is_over():
    def ask(now):
        buy(now, qty=1)
        cancel_all(now)  # reaches no liquidation

    both = lambda now: (buy(now, qty=19), place_limit(now, BUY, 50, qty=1))  # noqa: E731
    script = {0: both, 1: ask, 2: lambda now: buy(now, qty=1)}
    result = run([FLAT, LOW, (60, 61, 59, 60), FLAT], script, capital=1000, leverage=2.0, maintenance=0.25)
    assert refusals(result) == [("MARGIN_CALL", 1000 - 19 * 40, 0.25 * 19 * 60)]
    assert statuses(result) == ["FILLED", "MARGIN_CALL", "FILLED", "FILLED"]
    assert rows(result) == [(100, 19, 100), (200, -19, 60), (300, 1, 100)]


def test_protection_stands_beside_a_liquidation_until_that_is_filled():
    """S0 is called at 200 and opens again at 400 only; S1 tells the time in between."""
    tape = tape_of([FLAT, LOW, (60, 61, 59, 60)], [FLAT] * 4)
    tape.open_time[2], tape.close_time[2] = 400, 500
    sort_events(tape, [0, 0, 0, 1, 1, 1, 1])
    strategies = [ReferenceStrategy([0], follow({0: lambda now: buy(now, qty=20, stop=50)})), ReferenceStrategy([1])]
    strategies[1].decide = follow({})
    result = simulate(tape, strategies, Settings(capital=1000, leverage=2.0, maintenance=0.25))
    assert rows(result) == [(100, 20, 100), (400, -20, 60)]
    assert [o.ended_time for o in result.orders] == [100, 400, 400]
    assert statuses(result) == ["FILLED", "POSITION_CLOSED", "FILLED"]
    assert result.orders[2].qty == 0  # the whole position, whatever it is by then


def test_a_liquidation_that_participation_cuts_goes_on_and_is_not_placed_twice():
    """0.5 * 40 at the entry, 0.5 * 10 a bar from then on: 4 opens take what one close has called for."""
    bars = [(*FLAT, 40.0), (*LOW, 10.0), *[(60, 61, 59, 60, 10.0)] * 5]
    script = {0: lambda now: buy(now, qty=20)}
    result = run(bars, script, capital=1000, leverage=2.0, maintenance=0.25, participation=0.5, volume_window=1)
    assert rows(result) == [(100, 20, 100), *[(time, -5, 60) for time in (200, 300, 400, 500)]]
    assert statuses(result) == ["FILLED", "FILLED"]


def test_shorts_are_called_when_prices_rise():
    """Short 10 at 100 on 1,000: at 160 equity is 400, a quarter of 1,600; at 161 it is less."""
    script = {0: lambda now: sell(now, qty=10)}
    assert run([FLAT, (100, 161, 99, 160), FLAT], script, capital=1000, maintenance=0.25).positions == [-10]
    result = run([FLAT, (100, 162, 99, 161), FLAT], script, capital=1000, maintenance=0.25)
    assert (rows(result), result.positions) == ([(100, -10, 100), (200, 10, 100)], [0])
