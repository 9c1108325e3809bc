"""Marks, decisions and intents, rule by rule of docs/fills.md and worked by hand, on engine and reference."""

from __future__ import annotations

import math

import pytest

from framework.model.enums import OrderStatus, Reason
from framework.strategy import BUY, SELL, buy, cancel, cancel_all, close_position, place_limit, sell, target
from tests.reference import ReferenceStrategy, Settings
from tests.reference.hand import FLAT, follow, refusals, rows, run, simulate, slip, statuses
from tests.reference.tapes import instrument, tape_of

pytestmark = pytest.mark.usefixtures("both_simulators")


# --- mark -------------------------------------------------------------------------------------------------------------


def test_equity_counts_shorts_negative():
    """Short 10 at 100: cash 2,000; at 90 the position is -900: equity 1,100, exposure 900."""
    result = run([FLAT, (100, 101, 89, 90)], {0: lambda now: sell(now, qty=10)}, capital=1000)
    last = result.marks[-1]
    assert (last.cash, last.equity, last.exposure) == (2000, 1100, 900)


def test_excursions_count_lows_and_highs_after_an_entry_at_the_open_and_the_exit_price():
    bars = [FLAT, (100, 104, 97, 100), (100, 102, 99, 101), (95, 96, 94, 95)]
    result = run(bars, {0: lambda now: buy(now, qty=1), 2: lambda now: close_position(now)})
    trade = result.trades[0]
    assert (trade.mae, trade.mfe, trade.bars) == (pytest.approx(-0.05), pytest.approx(0.04), 2)  # exit at 95


def test_excursions_of_an_entry_inside_a_bar_begin_at_its_close():
    bars = [FLAT, (100, 110, 97, 99), FLAT]
    result = run(bars, {0: lambda now: place_limit(now, BUY, 98, qty=1), 1: lambda now: close_position(now)})
    trade = result.trades[0]
    assert (trade.mae, trade.mfe) == (0, pytest.approx(2 / 98))  # close 99 and exit at 100; not 97 or 110


def test_days_close_with_the_last_mark_before_the_roll():
    tape = tape_of([FLAT, FLAT, (100, 120, 99, 120), FLAT], bars_a_day=2)
    result = simulate(tape, [ReferenceStrategy([0], follow({0: lambda now: buy(now, qty=10)}))], Settings())
    assert [(d.day, d.time, d.equity) for d in result.days] == [(0, 200, 100_000), (1, 400, 100_000)]


def test_a_ruined_account_decides_nothing_any_more():
    bars = [FLAT, (100, 300, 100, 300), (300, 301, 100, 100), FLAT]
    result = run(bars, {0: lambda now: sell(now, qty=10), 1: lambda now: close_position(now)}, capital=1000)
    assert result.marks[-1].equity == -1000  # 2,000 - 10 * 300
    assert (len(result.orders), len(result.marks), result.counters["ruined"]) == (1, 2, 1)


def test_decisions_lie_between_start_and_end_and_after_warm_up():
    seen = []
    strategy = ReferenceStrategy([0], lambda now: seen.append(now.clock.time_ns), ready={0: 1})
    simulate(tape_of([FLAT] * 6), [strategy], Settings(start=300, end=500))
    assert seen == [300, 400]
    seen.clear()
    simulate(tape_of([FLAT] * 3), [strategy], Settings())
    assert seen == [200, 300]


def test_a_day_starts_from_the_last_mark_not_from_the_fills_since():
    """The open of day 1 sells at 90 what day 0 marked at 100: day 0 ends with 100,000, and so day 1 starts."""
    seen = []

    def sees(now):
        seen.append((now.account.day_start_equity, now.account.equity))

    tape = tape_of([FLAT, FLAT, (90, 91, 89, 90), FLAT], bars_a_day=2)
    script = {0: lambda now: buy(now, qty=10), 1: lambda now: close_position(now), 2: sees}
    result = simulate(tape, [ReferenceStrategy([0], follow(script))], Settings())
    assert [(d.day, d.equity, d.exposure) for d in result.days] == [(0, 100_000, 1000), (1, 99_900, 0)]
    assert seen == [(100_000, 99_900)]


def test_all_slots_of_a_universe_are_seen_and_may_act_once_one_is_warmed_up():
    """S0 is warmed up at its second bar, S1 only at its fourth; S2 has no bar yet and is dropped without a word."""
    seen = []

    def decide_all(nows):
        seen.append((nows[0].clock.time_ns, *((now.fresh, now.age) for now in nows)))
        for now in nows:
            buy(now, qty=1)

    tape = tape_of([FLAT] * 3, [FLAT] * 3, [FLAT] * 2, first=(0, 0, 2))
    strategy = ReferenceStrategy([0, 1, 2], decide_all=decide_all, ready={0: 1, 1: 3})
    result = simulate(tape, [strategy], Settings(end=300))
    assert seen == [(200, (True, 0), (False, 0), (False, -1))]
    assert ([(f.time, f.slot) for f in result.fills], result.refusals) == ([(200, 0), (200, 1)], [])


def test_a_decision_sees_the_last_32_fills_since_the_one_before():
    """32 buys of 1 to 32 at 85, beyond their stop of 90, leave at once: 64 fills, of which 17 to 32 are seen."""
    seen = []

    def enter(now):
        for i in range(32):
            buy(now, qty=i + 1, stop=90)

    def look(now):
        seen.append([(fill.side, fill.qty) for fill in list(now.fills)[: now.fill_count]])

    result = run([FLAT, (85, 86, 84, 85), FLAT], {0: enter, 1: look, 2: look})
    assert len(result.fills) == 64
    assert seen == [[(side, qty) for qty in range(17, 33) for side in (1, -1)], []]


# --- size and risk ----------------------------------------------------------------------------------------------------


def test_cancels_reach_what_was_placed_and_not_what_protects():
    def place(now):
        buy(now, qty=1, stop=90)
        place_limit(now, BUY, 80, qty=1, tag=1)
        place_limit(now, BUY, 81, qty=1, tag=2)

    result = run(
        [FLAT] * 4, {0: place, 1: lambda now: (cancel(now, 2), cancel(now, 3)), 2: lambda now: cancel_all(now)}
    )
    assert statuses(result) == ["FILLED", "CANCELED", "CANCELED", "ENDED"]
    assert [o.ended_time for o in result.orders] == [100, 300, 200, 400]
    assert refusals(result) == [("UNKNOWN_TAG", 3, 0)]


def test_the_same_tag_replaces():
    result = run(
        [FLAT] * 3,
        {
            0: lambda now: (place_limit(now, BUY, 80, qty=1, tag=1), place_limit(now, BUY, 81, qty=1, tag=1)),
            1: lambda now: place_limit(now, BUY, 82, qty=1, tag=1),
        },
    )
    assert [(o.price, OrderStatus(o.status).name) for o in result.orders] == [(81, "CANCELED"), (82, "ENDED")]


def test_higher_priority_takes_the_money_first():
    first, second = {0: lambda now: buy(now, qty=8)}, {0: lambda now: buy(now, qty=8, priority=1.0)}
    result = run([FLAT] * 2, first, second, capital=1000)
    assert [(o.slot, o.qty) for o in result.orders] == [(1, 8), (0, 2)]
    assert refusals(result) == [("NO_BUYING_POWER", 800, 200)]


def test_pending_exits_pay_for_openings_of_the_same_instant():
    """Slot 1 holds 8 (fee 0.8) and closes: cash 199.2, proceeds 800 * 0.999 = 799.2, less the buffer of 10 %: 898.56.

    One unit costs 100.1 with its fee: floor(898.56 / 100.1) = 8 for slot 0.
    """
    first, second = (
        {1: lambda now: buy(now, qty=9)},
        {0: lambda now: buy(now, qty=9), 1: lambda now: close_position(now)},
    )
    result = run([FLAT] * 3, first, second, capital=1000, cash_buffer=0.1, taker_bps=10)
    assert [(o.slot, o.qty) for o in result.orders] == [(1, 8), (1, 8), (0, 8)]
    assert result.refusals[-1].limit == pytest.approx(898.56)


def test_close_position_takes_a_fraction_rounded_down_and_refuses_what_is_on_its_way_out():
    def twice(now):
        close_position(now, 0.55)
        close_position(now)
        close_position(now)

    result = run([FLAT] * 3, {0: lambda now: buy(now, qty=5), 1: twice})
    assert [o.qty for o in result.orders] == [5, 2, 3]  # down(5 * 0.55) = 2, held 5 - 2 = 3, then nothing
    assert refusals(result) == [("NOTHING_TO_CLOSE", 0, 0)]


def test_closing_all_of_a_position_ends_what_was_left_of_its_entry():
    """2 of 10 fill at each open (0.2 * 10); half of the position leaves the entry alone, all of it ends the entry."""
    bars = [(*FLAT, 10.0)] * 5
    script = {0: lambda now: buy(now, qty=10), 1: lambda now: close_position(now, 0.5)}
    assert statuses(run(bars, script, participation=0.2)) == ["ENDED", "FILLED"]
    result = run(bars, {0: lambda now: buy(now, qty=10), 1: lambda now: close_position(now)}, participation=0.2)
    assert (rows(result), statuses(result)) == ([(100, 2, 100), (200, -2, 100)], ["CANCELED", "FILLED"])


def test_target_orders_the_difference_and_counts_working_orders():
    script = {
        0: lambda now: place_limit(now, BUY, 90, qty=3),
        1: lambda now: target(now, qty=10.7),
        2: lambda now: target(now, qty=0),
        3: lambda now: target(now, weight=-0.02),
    }
    result = run([FLAT] * 5, script)
    # 10.7 - 3 = 7.7 -> 7; then 0 - (7 + 3) = -10: 7 close, 3 open short; then -20 - (-3 + 3) = -20
    assert [(o.side * o.qty, o.reduce_only) for o in result.orders] == [
        (3, False),
        (7, False),
        (-7, True),
        (-3, False),
        (-20, False),
    ]


def test_a_weight_is_a_fraction_of_equity_at_the_reference():
    result = run([FLAT] * 2, {0: lambda now: (buy(now, weight=0.25), place_limit(now, BUY, 80, weight=0.25))})
    assert [o.qty for o in result.orders] == [250, 312]  # 25,000 / 100, floor(25,000 / 80)


def test_a_reduction_is_capped_and_a_reduce_only_order_opens_nothing():
    script = {
        0: lambda now: (buy(now, qty=5), place_limit(now, SELL, 110, qty=1, reduce_only=True)),
        1: lambda now: place_limit(now, SELL, 110, qty=9, reduce_only=True),
    }
    result = run([FLAT] * 3, script)
    assert [(o.qty, o.reduce_only) for o in result.orders] == [(5, False), (5, True)]
    assert refusals(result) == [("NOTHING_TO_CLOSE", 0, 0)]


def test_bad_numbers_are_refused_with_the_number():
    nan = math.nan

    def bad(now):
        buy(now, qty=nan, stop=nan)
        buy(now, qty=-1.0)
        place_limit(now, BUY, 0.0, qty=1)
        buy(now, qty=1, stop_offset=-2.0)
        buy(now, qty=1, trail=1.0, trail_after=-1.0)
        target(now, weight=math.inf)

    result = run([FLAT] * 2, {0: bad})
    expected = [
        ("NOT_A_NUMBER", nan, 0),
        ("NOT_A_NUMBER", -1, 0),
        ("NOT_A_NUMBER", 0, 0),
        ("WRONG_SIDE", -2, 0),
        ("NOT_A_NUMBER", -1, 0),
        ("NOT_A_NUMBER", math.inf, 0),
    ]
    assert [(reason, str(value), limit) for reason, value, limit in refusals(result)] == [
        (reason, str(float(value)), limit) for reason, value, limit in expected
    ]
    assert not result.orders


def test_numbers_come_first_and_a_bad_one_takes_nothing_with_it():
    """The bad limit does not replace the good one with its tag; its refusal stands before that of the cancel."""

    def place(now):
        cancel(now, 7)
        place_limit(now, BUY, 90, qty=1, tag=1)
        place_limit(now, BUY, -1, qty=1, tag=1)

    result = run([FLAT] * 2, {0: place})
    assert refusals(result) == [("NOT_A_NUMBER", -1, 0), ("UNKNOWN_TAG", 7, 0)]
    assert [o.price for o in result.orders] == [90]


def test_prices_that_round_to_nothing_and_targets_without_an_aim_are_no_numbers():
    script = {0: lambda now: (place_limit(now, BUY, 0.6, qty=1), target(now), place_limit(now, 2, 90, qty=1))}
    result = run([FLAT], script, one=instrument(tick=1))
    assert refusals(result) == [("NOT_A_NUMBER", 0.6, 0), ("NOT_A_NUMBER", 0, 0), ("NOT_A_NUMBER", 2, 0)]


def test_a_decision_has_at_most_32_intents():
    def many(now):
        for _ in range(40):
            buy(now, qty=1)

    result = run([FLAT] * 2, {0: many})
    assert (len(result.fills), refusals(result)) == (32, [("TOO_MANY_ORDERS", 40, 32)])
    assert (result.refusals[0].asked, result.refusals[0].allowed) == (40, 0)


def test_without_buying_power_an_opening_ends_with_one_record():
    result = run([FLAT] * 2, {0: lambda now: (buy(now, qty=10), buy(now, qty=1))}, capital=1000)
    assert refusals(result) == [("NO_BUYING_POWER", 100, 0)]


def test_rules_see_heat_and_what_is_committed():
    """Position: 10 at 100, stop 95: 50.  Working: 5 at 90, stop 80: 50.  Buying power 100,000 - 1,000 - 450."""
    seen = []

    def rule(order):
        seen.append((order.heat, order.working_notional, order.symbol_pending, order.committed_positions,
                     order.available))  # fmt: skip
        return order.qty, False, 0, 0

    def add(now):
        place_limit(now, BUY, 90, qty=5, stop=80)
        buy(now, qty=1)

    run([FLAT] * 2, {0: lambda now: buy(now, qty=10, stop=95), 1: add}, rules=[rule])
    assert seen == [(0, 0, 0, 0, 100_000), (50, 0, 0, 1, 99_000), (100, 450, 5, 1, 98_550)]


def test_stops_and_targets_on_the_wrong_side_name_both_prices():
    script = {
        0: lambda now: (
            buy(now, qty=1, stop=100),
            sell(now, qty=1, target=101),
            place_limit(now, BUY, 90, qty=1, stop=95),
        )
    }
    assert refusals(run([FLAT], script)) == [("WRONG_SIDE", 100, 100), ("WRONG_SIDE", 101, 100), ("WRONG_SIDE", 95, 90)]


def test_shorts_may_be_forbidden_but_a_long_position_can_be_sold():
    script = {0: lambda now: buy(now, qty=5), 1: lambda now: sell(now, qty=8)}
    result = run([FLAT] * 3, script, shorts=False)
    assert ([o.qty for o in result.orders], refusals(result)) == ([5, 5], [("SHORTS_NOT_ALLOWED", 0, 0)])


def test_the_sizing_rule_sees_expected_entry_and_stop():
    """Slippage 1 %: entry 101; stop_offset 4 -> 97; risk 400 / 4 = 100 units."""
    seen = []

    def size(order):
        seen.append((order.entry, order.stop, order.target))
        return 400 / (order.entry - order.stop)

    result = run([FLAT] * 2, {0: lambda now: buy(now, stop_offset=4, target=120)}, slippage=slip(0.01), sizing=size)
    assert (seen, result.orders[0].qty) == ([(101, 97, 120)], 100)


def test_rules_reduce_and_refuse_with_their_figures():
    half = lambda order: (order.qty / 2, False, order.qty, 7.0)  # noqa: E731
    never = lambda order: (0.0, True, 3.0, 4.0)  # noqa: E731
    result = run([FLAT] * 2, {0: lambda now: buy(now, qty=9)}, rules=[half])
    assert (result.orders[0].qty, refusals(result)) == (4, [(Reason.RULE, 9, 7)])
    result = run([FLAT] * 2, {0: lambda now: buy(now, qty=9)}, rules=[half, never])
    assert (result.orders, refusals(result)) == ([], [(Reason.RULE, 9, 7), (Reason.RULE + 1, 3, 4)])


def test_rules_cannot_stop_what_takes_back_the_net_quantity():
    never = lambda order: (0.0, order.side < 0, 3.0, 4.0) if order.side < 0 else (order.qty, False, 0, 0)  # noqa: E731
    result = run([FLAT] * 3, {0: lambda now: buy(now, qty=5)}, {1: lambda now: sell(now, qty=9)}, rules=[never])
    assert [o.side * o.qty for o in result.orders] == [5, -5]


def test_minimums_are_named():
    one = instrument(lot=1, min_qty=3, min_notional=500)
    script = {0: lambda now: (buy(now, qty=0.5), buy(now, qty=2.5), buy(now, qty=4))}
    assert refusals(run([FLAT], script, one=one)) == [
        ("BELOW_MINIMUM", 0, 1),
        ("BELOW_MINIMUM", 2, 3),
        ("BELOW_MINIMUM", 4, 500),
    ]


def test_a_slot_has_at_most_32_working_orders():
    def many(now):
        for _ in range(20):
            place_limit(now, BUY, 50, qty=1)

    result = run([FLAT] * 2, {0: many, 1: many})
    assert (len(result.orders), refusals(result)) == (32, [("TOO_MANY_ORDERS", 32, 32)] * 8)


def test_a_group_is_scaled_by_one_factor_or_refused_together():
    """1,000 in all: the first leg takes 800, the second gets 2 of 8: factor 0.25, both become 2 and leave 600."""

    def pair(now):
        buy(now, qty=8, group=1)
        place_limit(now, BUY, 100, qty=8, group=1)
        buy(now, qty=8)

    result = run([FLAT] * 1, {0: pair}, capital=1000)
    assert [o.qty for o in result.orders] == [2, 2, 6]
    assert refusals(result) == [("NO_BUYING_POWER", 800, 200), ("NO_BUYING_POWER", 800, 600)]

    def pair(now):
        buy(now, qty=8, group=1)
        place_limit(now, BUY, 100, qty=8, group=1)

    def bad(now):
        buy(now, qty=1, group=2)
        buy(now, qty=-1, group=2)

    assert [r[0] for r in refusals(run([FLAT], {0: bad}))] == ["NOT_A_NUMBER", "GROUP_REFUSED"]
    result = run([FLAT] * 1, {0: pair}, capital=800)
    assert result.orders == []
    assert [r[0] for r in refusals(result)] == ["NO_BUYING_POWER", "GROUP_REFUSED"]


# --- what strategies hold against each other, and what only waits -----------------------------------------------------


def test_a_close_cannot_leave_more_than_the_account_carries():
    """A holds 900; B sells 900 against it for nothing, but not more of A's may follow: B's exit would leave 1,800."""
    scripts = ({0: lambda now: buy(now, qty=9), 2: lambda now: buy(now, qty=9)},
               {1: lambda now: sell(now, qty=9), 3: lambda now: close_position(now)})
    result = run([FLAT] * 6, *scripts, capital=1000)
    assert rows(result) == [(100, 9, 100), (200, -9, 100), (300, 1, 100), (400, 9, 100)]
    assert refusals(result) == [("NO_BUYING_POWER", 900, 100)]
    assert max(mark.exposure for mark in result.marks) == 1000


def test_an_exit_frees_only_what_its_side_carries_beyond_the_other():
    """Long 9 and short 9: while the short leaves, the long still needs all of the 900; 100 are left for an opening."""
    scripts = ({0: lambda now: buy(now, qty=9)},
               {1: lambda now: sell(now, qty=9), 2: lambda now: close_position(now)},
               {2: lambda now: buy(now, qty=5)})
    result = run([FLAT] * 5, *scripts, capital=1000)
    assert refusals(result) == [("NO_BUYING_POWER", 500, 100)]
    assert result.positions == [9, 0, 1]


def test_an_order_that_only_waits_makes_no_opening_free():
    """A sell limit far above the price is no position that a purchase could bring back: rules and money bind it."""
    no = lambda order: (0.0, True, 7.0, 3.0)  # noqa: E731
    far = lambda now: place_limit(now, SELL, 1000, qty=5)  # noqa: E731
    both = {0: far, 1: lambda now: buy(now, qty=5)}
    refused = run([FLAT] * 4, both, rules=[lambda order: no(order) if order.side > 0 else (order.qty, False, 0, 0)])
    assert (rows(refused), refusals(refused)) == ([], [(100, 7, 3)])
    poor = run([FLAT] * 4, {0: far, 1: lambda now: buy(now, qty=15)}, capital=6000)  # 5,000 are reserved
    assert rows(poor) == [(200, 10, 100)]


def test_an_opening_that_brings_the_net_position_back_is_no_rules_business():
    """Short 10 by one strategy: the other may buy 4 of them whatever rules say, and of 14 the 10; the row says so."""
    no = lambda order: (order.qty, False, 0, 0) if order.side < 0 else (0.0, True, 7.0, 3.0)  # noqa: E731
    result = run([FLAT] * 4, {0: lambda now: sell(now, qty=10)}, {1: lambda now: buy(now, qty=4)}, rules=[no])
    assert (rows(result), refusals(result)) == ([(100, -10, 100), (200, 4, 100)], [])
    more = run([FLAT] * 4, {0: lambda now: sell(now, qty=10)}, {1: lambda now: buy(now, qty=14)}, rules=[no])
    assert rows(more) == [(100, -10, 100), (200, 10, 100)]
    assert [(r.asked, r.allowed) for r in more.refusals] == [(14, 10)]


def test_what_works_on_the_orders_own_side_is_what_rules_are_shown():
    """A sell limit takes nothing away from what purchases add up to; it works on the other side."""
    seen = []

    def look(order):
        seen.append((order.side, order.symbol_pending))
        return order.qty, False, 0.0, 0.0

    script = {0: lambda now: (place_limit(now, BUY, 90, qty=3), place_limit(now, SELL, 110, qty=5)),
              1: lambda now: (place_limit(now, BUY, 91, qty=2), place_limit(now, SELL, 111, qty=1))}
    run([FLAT] * 3, script, rules=[look])
    assert seen == [(1, 0), (-1, 0), (1, 3), (-1, -5)]


def test_what_leaves_at_the_next_open_no_longer_counts_against_an_opening():
    """A flip: 10 held at 100 leave, and so do their heat, their place among positions and what they bring."""
    seen = []

    def look(order):
        seen.append((order.heat, order.committed_positions, order.carried, order.proceeds))
        return order.qty, False, 0.0, 0.0

    run([FLAT] * 4, {0: lambda now: buy(now, qty=10, stop=90), 1: lambda now: sell(now, qty=20)}, rules=[look])
    assert seen == [(0, 0, 0, 0), (0, 0, 1000, 1000)]
    part = {0: lambda now: buy(now, qty=10, stop=90), 1: lambda now: (close_position(now, 0.4), buy(now, qty=1))}
    seen.clear()
    run([FLAT] * 4, part, rules=[look])
    assert seen[1] == (60, 1, 1000, 400)
