"""The end of symbols and of a run, rule by rule of docs/fills.md and worked by hand, on engine and reference."""

from __future__ import annotations

import pytest

from framework.model.enums import Role
from framework.strategy import BUY, buy, place_limit, sell
from tests.reference import ReferenceStrategy, Settings
from tests.reference.hand import FLAT, follow, refusals, rows, run, simulate, slip, statuses
from tests.reference.tapes import tape_of

pytestmark = pytest.mark.usefixtures("both_simulators")

DAYS = 86_400_000_000_000


def test_what_is_open_at_the_end_is_marked_and_not_closed_unless_asked():
    result = run([FLAT] * 3, {0: lambda now: buy(now, qty=5)})
    assert (rows(result), result.positions, result.trades) == ([(100, 5, 100)], [5], [])


def test_close_at_end_closes_at_the_last_close_with_costs():
    """5 bought at 100 leave at 104 less 1 %: 102.96, and pay 0.1 % of 514.8."""
    bars = [FLAT, FLAT, (100, 105, 99, 104)]
    script = {0: lambda now: buy(now, qty=5)}
    result = run(bars, script, close_at_end=True, slippage=slip(0.01), taker_bps=10)
    assert rows(result) == [(100, 5, 101), (300, -5, pytest.approx(102.96))]
    assert (result.fills[1].reference, result.fills[1].fee) == (104, pytest.approx(0.5148))
    assert (Role(result.trades[0].exit_role), result.positions) == (Role.END, [0])
    assert result.marks[-1].equity == result.marks[-1].cash  # the mark of the last close knows of it
    order = result.orders[1]
    assert (order.side, order.qty, order.filled, order.placed_time) == (-1, 5, 5, 300)


def test_the_last_close_comes_after_what_the_last_bar_did():
    bars = [FLAT, FLAT, (100, 105, 89, 104)]
    result = run(bars, {0: lambda now: buy(now, qty=5, stop=90)}, close_at_end=True)
    assert rows(result) == [(100, 5, 100), (300, -5, 90)]


def test_the_last_close_takes_all_whatever_participation_says():
    result = run([(*FLAT, 10.0)] * 4, {0: lambda now: buy(now, qty=10)}, close_at_end=True, participation=0.5)
    assert rows(result) == [(100, 5, 100), (200, 5, 100), (400, -10, 100)]


def test_orders_that_work_end_and_none_is_taken_at_the_last_close():
    def last(now):
        buy(now, qty=1)

    script = {0: lambda now: place_limit(now, BUY, 50, qty=1), 2: last}
    result = run([FLAT] * 3, script, close_at_end=True)
    assert (statuses(result), result.orders[0].ended_time) == (["ENDED"], 300)
    assert refusals(result) == [("SYMBOL_ENDED", 0, 0)]


def test_each_symbol_and_each_slot_is_closed_for_itself():
    """S0 ends at 200, S1 at 400; the long and the short position in S1 do not cross."""
    tape = tape_of([FLAT] * 2, [FLAT] * 4)
    one, two = follow({0: lambda now: buy(now, qty=5)}), follow({0: lambda now: sell(now, qty=3)})
    strategies = [ReferenceStrategy([0, 1], one), ReferenceStrategy([1], two)]
    result = simulate(tape, strategies, Settings(close_at_end=True, per_share=1.0))
    assert [(f.time, f.symbol, f.side * f.qty, f.fee) for f in result.fills if f.role == Role.END] == [
        (200, 0, -5, 5), (400, 1, -5, 5), (400, 1, 3, 3)]  # fmt: skip


def test_with_an_end_of_decisions_the_last_close_is_the_last_before_it():
    result = run([FLAT] * 6, {0: lambda now: buy(now, qty=5)}, close_at_end=True, end=400)
    assert (rows(result), len(result.marks)) == ([(100, 5, 100), (300, -5, 100)], 6)


def test_a_symbol_whose_data_end_early_is_closed_as_delisted_and_its_money_is_free():
    """Half a bar's length is allowed; S0 ends two bars before S1 does.  Its 1,000 buy S1 at the next open."""
    tape = tape_of([FLAT] * 2, [FLAT] * 4)
    one, two = {0: lambda now: buy(now, qty=10)}, {1: lambda now: buy(now, qty=10)}
    strategies = [ReferenceStrategy([0], follow(one)), ReferenceStrategy([1], follow(two))]
    result = simulate(tape, strategies, Settings(capital=1000, delisted_after=50 / DAYS))
    assert [(f.time, f.symbol, f.side * f.qty) for f in result.fills] == [(100, 0, 10), (200, 0, -10), (200, 1, 10)]
    assert (Role(result.trades[0].exit_role), result.positions) == (Role.DELISTED, [0, 10])


def test_a_symbol_that_ends_a_little_earlier_is_not_delisted():
    tape = tape_of([FLAT] * 2, [FLAT] * 4)
    strategies = [ReferenceStrategy([0], follow({0: lambda now: buy(now, qty=10)}))]
    for allowed in (200 / DAYS, 0.0):  # exactly the two bars; 0 is never
        assert simulate(tape, strategies, Settings(delisted_after=allowed)).positions == [10]
    assert simulate(tape, strategies, Settings(delisted_after=199 / DAYS)).positions == [0]


def test_a_universe_may_not_open_what_is_delisted():
    def decide_all(nows):
        for now in nows:
            buy(now, qty=1)

    tape = tape_of([FLAT] * 1, [FLAT] * 3)
    strategy = ReferenceStrategy([0, 1], decide_all=decide_all)
    result = simulate(tape, [strategy], Settings(delisted_after=50 / DAYS, end=300))
    assert [(r.time, r.symbol) for r in result.refusals] == [(100, 0), (200, 0)]
    assert {o.symbol for o in result.orders} == {1}
