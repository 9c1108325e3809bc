"""Kinds of orders and orders that belong together, rule by rule of docs/fills.md and worked by hand, on both sides."""

from __future__ import annotations

import math

import pytest

from framework.model.enums import OrderKind, Role
from framework.strategy import (
    BUY,
    DAY,
    IOC,
    SELL,
    UNSET,
    buy,
    cancel,
    close_position,
    place_limit,
    place_stop,
    place_stop_limit,
)
from tests.reference import ReferenceStrategy, Settings
from tests.reference.hand import FLAT, follow, refusals, rows, run, simulate, slip, sort_events, statuses
from tests.reference.tapes import instrument, tape_of

pytestmark = pytest.mark.usefixtures("both_simulators")


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


# --- one cancels the other --------------------------------------------------------------------------------------------


def test_a_fill_ends_the_orders_with_its_oco_number_and_no_others():
    def bracket(now):
        place_stop(now, BUY, 105, qty=1, oco=1)
        place_limit(now, BUY, 95, qty=2, oco=1)
        place_limit(now, BUY, 90, qty=4, oco=2)

    result = run([FLAT, (100, 106, 99, 105), (100, 101, 89, 95)], {0: bracket})
    assert rows(result) == [(200, 1, 105), (300, 4, 90)]
    assert statuses(result) == ["FILLED", "SIBLING_FILLED", "FILLED"]
    assert result.orders[1].ended_time == 200


def test_a_partial_fill_ends_the_siblings_as_well():
    """0.5 * 10 of the 8 can be filled; the rest keeps working, the order beside it does not."""
    def place(now):
        place_limit(now, BUY, 98, qty=8, oco=3)
        place_stop(now, BUY, 105, qty=8, oco=3)

    bars = [(*FLAT, 10.0), (100, 101, 97, 100, 10.0), (100, 106, 99, 105, 10.0)]
    result = run(bars, {0: place}, participation=0.5)
    assert (rows(result), statuses(result)) == ([(200, 5, 98)], ["ENDED", "SIBLING_FILLED"])


def test_siblings_that_one_bar_touches_fill_nearest_to_the_open_first_and_make_it_ambiguous():
    def place(now):
        place_limit(now, BUY, 95, qty=1, oco=1)
        place_stop(now, BUY, 104, qty=1, oco=1)

    result = run([FLAT, (100, 106, 94, 100)], {0: place})
    assert (rows(result), result.counters["ambiguous"]) == ([(200, 1, 104)], 1)


def test_an_order_that_is_cancelled_leaves_its_siblings_alone():
    def place(now):
        place_limit(now, BUY, 95, qty=1, oco=1, tag=1)
        place_limit(now, BUY, 96, qty=1, oco=1, tag=2)

    result = run([FLAT, FLAT, (100, 101, 95.5, 100)], {0: place, 1: lambda now: cancel(now, 1)})
    assert (rows(result), statuses(result)) == ([(300, 1, 96)], ["CANCELED", "FILLED"])


def test_the_two_parts_of_a_flip_are_no_siblings():
    """Long 5; selling 8 at an open of 111 closes 5 and opens 3, and ends the stop at 95 with the same number."""
    def leave(now):
        place_limit(now, SELL, 110, qty=8, oco=1)
        place_stop(now, SELL, 95, qty=5, reduce_only=True, oco=1)

    result = run([FLAT, FLAT, (111, 112, 99, 110)], {0: lambda now: buy(now, qty=5), 1: leave})
    assert (rows(result), result.positions) == ([(100, 5, 100), (200, -5, 111), (200, -3, 111)], [-3])
    assert sorted(statuses(result)) == ["FILLED", "FILLED", "FILLED", "SIBLING_FILLED"]


def test_slots_do_not_share_oco_numbers():
    one, two = {0: lambda now: buy(now, qty=1, oco=1)}, {0: lambda now: place_limit(now, BUY, 90, qty=1, oco=1)}
    assert statuses(run([FLAT, FLAT], one, two)) == ["FILLED", "ENDED"]


# --- ladders ----------------------------------------------------------------------------------------------------------


def test_a_ladder_takes_profit_step_by_step_under_one_protective_stop():
    """9 at 100, stop 90: 3 leave at 105, 3 at 110; the stop has the remaining 3, and the third step ends with it."""
    def ladder(now):
        for price in (105, 110, 115):
            place_limit(now, SELL, price, qty=3, reduce_only=True)

    bars = [FLAT, FLAT, (100, 106, 99, 105), (105, 111, 104, 110), (110, 112, 89, 90)]
    result = run(bars, {0: lambda now: buy(now, qty=9, stop=90), 1: ladder})
    assert rows(result) == [(100, 9, 100), (300, -3, 105), (400, -3, 110), (500, -3, 90)]
    assert statuses(result) == ["FILLED", "FILLED", "FILLED", "FILLED", "POSITION_CLOSED"]
    trade = result.trades[0]
    assert (len(result.trades), trade.pnl, trade.exit_price, Role(trade.exit_role)) == (
        1, 3 * 5 + 3 * 10 - 3 * 10, pytest.approx(305 / 3), Role.STOP)  # fmt: skip


def test_steps_that_add_up_to_more_than_the_position_are_capped_at_the_fill():
    def ladder(now):
        place_limit(now, SELL, 105, qty=4, reduce_only=True)
        place_limit(now, SELL, 110, qty=4, reduce_only=True)

    result = run([FLAT, FLAT, (100, 120, 99, 110)], {0: lambda now: buy(now, qty=5), 1: ladder})
    assert (rows(result), result.positions) == ([(100, 5, 100), (300, -4, 105), (300, -1, 110)], [0])
    assert statuses(result) == ["FILLED", "FILLED", "POSITION_CLOSED"]


def test_a_ladder_of_32_steps_stands_beside_stop_and_target():
    """34 orders work at once; every step fills in one bar, nearest to the open first, and leaves the target nothing."""
    def ladder(now):
        for step in range(33):
            place_limit(now, SELL, 101 + step, qty=1, reduce_only=True)

    result = run([FLAT, FLAT, (100, 200, 99, 150)], {0: lambda now: buy(now, qty=32, stop=90, target=180), 1: ladder})
    assert [price for *_, price in rows(result)] == [100, *range(101, 133)]
    assert refusals(result) == [("TOO_MANY_ORDERS", 33, 32)]  # the intent beyond 32
    assert statuses(result) == ["FILLED", "POSITION_CLOSED", "POSITION_CLOSED", *["FILLED"] * 32]


def test_a_ladder_of_entries_averages_in():
    def ladder(now):
        for step in (1, 2, 3):
            place_limit(now, BUY, 100 - step, qty=step)

    result = run([FLAT, (100, 101, 96, 97)], {0: ladder})
    assert (rows(result), result.positions) == ([(200, 1, 99), (200, 2, 98), (200, 3, 97)], [6])


# --- market on close --------------------------------------------------------------------------------------------------


def test_a_market_on_close_order_fills_at_the_close_of_the_next_bar_with_slippage():
    """Marked at once: 10 bought for 106.05 are worth 105 each at the close at which they were bought."""
    bars = [FLAT, (100, 106, 99, 105), FLAT]
    result = run(bars, {0: lambda now: buy(now, qty=10, on_close=True)}, slippage=slip(0.01), taker_bps=10)
    assert rows(result) == [(200, 10, pytest.approx(106.05))]
    assert (result.fills[0].reference, result.fills[0].fee) == (105, pytest.approx(1.0605))
    assert result.marks[1].equity == pytest.approx(100_000 - 10 * 1.05 - 1.0605)
    assert OrderKind(result.orders[0].kind) == OrderKind.MARKET_ON_CLOSE


def test_the_bracket_of_an_entry_at_the_close_works_from_the_next_bar_on():
    """The bar of the entry went down to 90 before its close of 100; the stop at 95 has not seen that."""
    bars = [FLAT, (100, 101, 90, 100), (99, 100, 94, 99)]
    result = run(bars, {0: lambda now: buy(now, qty=1, stop=95, on_close=True)})
    assert (rows(result), result.counters["ambiguous"]) == ([(200, 1, 100), (300, -1, 95)], 0)
    assert (result.trades[0].mae, result.trades[0].bars) == (pytest.approx(-0.05), 1)


def test_an_entry_at_a_close_beyond_its_own_stop_leaves_at_once():
    result = run([FLAT, (100, 101, 90, 94)], {0: lambda now: buy(now, qty=1, stop=95, on_close=True)})
    assert (rows(result), result.counters["gapped"]) == ([(200, 1, 94), (200, -1, 94)], 1)


def test_what_the_bar_did_before_its_close_comes_first():
    """Flat at the close was the plan; the stop was touched before, and takes the order for the close with it."""
    bars = [FLAT, FLAT, (100, 101, 89, 99)]
    result = run(bars, {0: lambda now: buy(now, qty=1, stop=90), 1: lambda now: close_position(now, on_close=True)})
    assert rows(result) == [(100, 1, 100), (300, -1, 90)]
    assert statuses(result) == ["FILLED", "FILLED", "POSITION_CLOSED"]


def test_closing_twice_is_refused_also_at_the_close():
    def leave(now):
        close_position(now, on_close=True)
        close_position(now)

    result = run([FLAT] * 3, {0: lambda now: buy(now, qty=5), 1: leave})
    assert (rows(result)[1:], refusals(result)) == ([(300, -5, 100)], [("NOTHING_TO_CLOSE", 0, 0)])


def test_reductions_of_all_symbols_come_before_openings_at_a_close_as_well():
    """Leverage 2 on 1,000: 10 of S1 are held, 10 of S0 cost 1,500 at 400, which the exit, the later order, frees."""
    tape = tape_of([FLAT, FLAT, (100, 150, 99, 150)], [FLAT] * 4)
    tape.close_time[2] = 400
    sort_events(tape, [0, 0, 0, 1, 1, 1, 1])
    first = {1: lambda now: buy(now, qty=10, on_close=True)}
    second = {0: lambda now: buy(now, qty=10), 2: lambda now: close_position(now, on_close=True)}
    strategies = [ReferenceStrategy([0], follow(first)), ReferenceStrategy([1], follow(second))]
    result = simulate(tape, strategies, Settings(capital=1000, leverage=2.0))
    assert [(f.time, f.slot, f.side * f.qty) for f in result.fills] == [(100, 1, 10), (400, 1, -10), (400, 0, 10)]


def test_an_exit_at_the_close_pays_for_nothing_at_the_open_before_it():
    def rotate(now):
        close_position(now, on_close=True)
        buy(now, qty=5)

    result = run([FLAT] * 3, {0: lambda now: buy(now, qty=10), 1: rotate}, capital=1000)
    assert refusals(result) == [("NO_BUYING_POWER", 500, 0)]


def test_participation_counts_what_the_open_took():
    """0.5 * 10 = 5 a bar: 3 at the open, 2 at the close; the last one waits for the next close."""
    def both(now):
        buy(now, qty=3)
        buy(now, qty=3, on_close=True)

    result = run([(*FLAT, 10.0)] * 3, {0: both}, participation=0.5)
    assert rows(result) == [(100, 3, 100), (200, 2, 100), (300, 1, 100)]


def test_an_immediate_order_for_the_close_has_one_close_and_a_daily_one_the_last_of_its_session():
    script = {0: lambda now: buy(now, qty=8, on_close=True, tif=IOC)}
    result = run([(*FLAT, 10.0)] * 3, script, participation=0.5)
    assert (rows(result), statuses(result), result.orders[0].ended_time) == ([(200, 5, 100)], ["CANCELED"], 200)
    script = {0: lambda now: buy(now, qty=8, on_close=True, tif=DAY)}
    result = run([(*FLAT, 10.0)] * 3, script, participation=0.5)
    assert (rows(result), statuses(result), result.orders[0].ended_time) == ([(200, 5, 100)], ["EXPIRED"], 200)


def test_market_on_close_orders_of_two_slots_do_not_cross():
    script = {0: lambda now: buy(now, qty=4), 1: lambda now: close_position(now, on_close=True)}
    result = run([FLAT] * 3, script, {1: lambda now: buy(now, qty=4, on_close=True)}, per_share=1.0)
    assert [(f.side * f.qty, f.fee, f.is_cross) for f in result.fills] == [(4, 4, 0), (-4, 4, 0), (4, 4, 0)]
