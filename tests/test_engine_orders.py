"""Kinds of orders and orders that belong together, rule by rule of docs/fills.md and worked by hand, on both sides."""

from __future__ import annotations

import math

import pytest

from framework.model.enums import OrderKind
from framework.strategy import BUY, IOC, SELL, UNSET, buy, place_stop_limit
from tests.reference.hand import FLAT, SIMULATORS, chosen, refusals, rows, run, slip, statuses
from tests.reference.tapes import instrument


@pytest.fixture(autouse=True, params=SIMULATORS)
def _simulator(request, monkeypatch):
    monkeypatch.setitem(chosen, "simulate", SIMULATORS[request.param])


# --- stop-limit -------------------------------------------------------------------------------------------------------


def test_a_stop_limit_that_is_touched_inside_a_bar_is_a_limit_from_the_next_bar_on():
    """103 is touched in the second bar, whose range would fill a limit of 104 as well; the third opens at 103.5."""
    bars = [FLAT, (100, 105, 99, 104), (103.5, 106, 103, 105)]
    result = run(bars, {0: lambda now: place_stop_limit(now, BUY, 103, 104, qty=1)}, slippage=slip(0.01))
    assert (rows(result), result.fills[0].is_maker) == ([(200, 1, 103.5)], True)
    assert (OrderKind(result.orders[0].kind), result.orders[0].price) == (OrderKind.LIMIT, 104)


def test_a_stop_limit_that_the_open_has_passed_is_a_limit_at_that_open():
    place = {0: lambda now: place_stop_limit(now, BUY, 103, 104, qty=1)}
    assert rows(run([FLAT, (103.5, 107, 103, 106)], place)) == [(100, 1, 103.5)]
    assert rows(run([FLAT, (106, 107, 103.9, 106)], place)) == [(200, 1, 104)]  # beyond it, then back in the range
    assert rows(run([FLAT, (106, 107, 104.1, 106)], place)) == []


def test_a_stop_limit_does_not_chase_a_crash():
    """Long 5 at 100; the exit at 95, for 94 or better, wakes at an open of 80 and waits; at 94 it leaves."""
    bars = [FLAT, FLAT, (80, 85, 79, 84), (90, 96, 89, 95)]
    script = {0: lambda now: buy(now, qty=5),
              1: lambda now: place_stop_limit(now, SELL, 95, 94, qty=5, reduce_only=True)}  # fmt: skip
    assert rows(run(bars, script)) == [(100, 5, 100), (400, -5, 94)]


def test_a_stop_limit_rounds_both_prices_against_itself_and_pays_as_a_maker():
    """On ticks of 1 the stop of 102.4 becomes 103 and the limit of 104.6 becomes 104; makers pay 0.1 %."""
    bars = [FLAT, (100, 103, 99, 102), (104, 105, 103, 104)]
    script = {0: lambda now: place_stop_limit(now, BUY, 102.4, 104.6, qty=10)}
    result = run(bars, script, one=instrument(tick=1.0), maker_bps=10, taker_bps=50)
    assert (rows(result), result.fills[0].fee) == ([(200, 10, 104)], pytest.approx(1.04))
    assert result.orders[0].limit == 104


def test_a_stop_limit_is_sized_at_its_limit():
    script = {0: lambda now: place_stop_limit(now, BUY, 110, 125, weight=0.5)}
    assert [o.qty for o in run([FLAT], script, capital=1000).orders] == [4]  # 500 / 125


def test_an_immediate_stop_limit_has_the_open_after_its_touch():
    bars = [FLAT, (100, 105, 99, 104), (106, 107, 103, 105)]
    result = run(bars, {0: lambda now: place_stop_limit(now, BUY, 103, 104, qty=1, tif=IOC)})
    assert (rows(result), statuses(result), result.orders[0].ended_time) == ([], ["CANCELED"], 200)


def test_a_stop_limit_needs_both_prices():
    def bad(now):
        place_stop_limit(now, BUY, 103, math.inf, qty=1)
        place_stop_limit(now, BUY, 103, UNSET, qty=1)
        place_stop_limit(now, BUY, -1, 104, qty=1)

    assert refusals(run([FLAT], {0: bad})) == [("NOT_A_NUMBER", math.inf, 0), ("NOT_A_NUMBER", 0, 0),
                                               ("NOT_A_NUMBER", -1, 0)]  # fmt: skip
