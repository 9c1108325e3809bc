"""Fills, rule by rule of docs/fills.md and worked by hand: the engine and the reference must both hold them."""

from __future__ import annotations

import math

import pytest

from framework.model.enums import OrderKind, OrderStatus, Role
from framework.strategy import BUY, SELL, buy, close_position, move_stop, place_limit, place_stop, sell
from tests.reference import ReferenceStrategy, Settings
from tests.reference.hand import FLAT, follow, refusals, rows, run, simulate, slip, sort_events, statuses
from tests.reference.tapes import instrument, tape_of

pytestmark = pytest.mark.usefixtures("both_simulators")


# --- open -------------------------------------------------------------------------------------------------------------


def test_a_market_order_fills_at_the_next_open_with_slippage_rounded_against_it():
    bars = [FLAT, (102, 103, 101, 102), FLAT]
    result = run(bars, {0: lambda now: buy(now, qty=10)}, one=instrument(tick=0.5), slippage=slip(0.002))
    assert rows(result) == [(100, 10, 102.5)]  # 102 * 1.002 = 102.204, up to the tick 102.5
    assert result.fills[0].slippage == pytest.approx(5.0)  # (102.5 - 102) * 10


def test_slippage_never_improves_a_fill():
    result = run([FLAT, FLAT], {0: lambda now: buy(now, qty=1)}, slippage=slip(-0.01))  # a buy at 99 is not believed
    assert rows(result) == [(100, 1, 100)]


def test_a_decision_at_the_last_close_never_fills_and_ends():
    result = run([FLAT], {0: lambda now: buy(now, qty=1)})
    assert (rows(result), statuses(result)) == ([], ["ENDED"])


def test_a_stop_that_the_open_has_passed_fills_at_the_open():
    bars = [FLAT, (106, 107, 105, 106)]
    assert rows(run(bars, {0: lambda now: place_stop(now, BUY, 103, qty=5)})) == [(100, 5, 106)]


def test_a_limit_that_the_open_betters_fills_at_the_open_without_rounding_or_slippage():
    bars = [FLAT, (95.3, 96, 95, 96)]
    result = run(bars, {0: lambda now: place_limit(now, BUY, 97, qty=5)}, one=instrument(tick=1), slippage=slip(0.01))
    assert rows(result) == [(100, 5, 95.3)]
    assert result.fills[0].is_maker


def test_a_limit_must_be_traded_through_at_the_open_as_well():
    bars = [FLAT, (97, 98, 97, 98), (96, 98, 96, 98)]  # through = 1 tick: 97 does not fill a limit of 97, 96 does
    result = run(bars, {0: lambda now: place_limit(now, BUY, 97, qty=5)}, one=instrument(tick=1), limit_through=1)
    assert rows(result) == [(200, 5, 96)]


def test_reductions_of_all_slots_fill_before_openings():
    """Capital for one position: the exit of slot 0 pays for the entry of slot 1, although its id is higher."""
    first = {0: lambda now: buy(now, qty=1000), 2: lambda now: close_position(now)}
    tape = tape_of([FLAT] * 4, [FLAT] * 4)
    second = {1: lambda now: place_limit(now, BUY, 90, qty=1), 2: lambda now: buy(now, qty=1000)}
    result = simulate(tape, [ReferenceStrategy([1], follow(second)), ReferenceStrategy([0], follow(first))], Settings())
    assert [(f.time, f.slot, f.side * f.qty) for f in result.fills] == [(100, 1, 1000), (300, 1, -1000), (300, 0, 1000)]


def test_market_orders_of_two_slots_cross_at_the_open_without_costs():
    """A closes 10, B buys 4: 4 cross free of charge at 100, the other 6 pay 2 % slippage and 1 per share."""
    one = {0: lambda now: buy(now, qty=10), 1: lambda now: close_position(now)}
    two = {1: lambda now: buy(now, qty=4)}
    result = run([FLAT] * 4, one, two, slippage=slip(0.02), per_share=1.0)
    assert rows(result) == [(100, 10, 102), (200, 4, 100), (200, -4, 100), (200, -6, 98)]
    assert [f.fee for f in result.fills] == [10, 0, 0, 6]
    assert [f.is_cross for f in result.fills] == [False, True, True, False]


def test_a_slot_that_buys_and_sells_takes_no_part_in_crosses():
    """Slot 0 sells its 5 and buys 3 at one open, on its own; slot 1 sells 2 of the 9 that slot 2 buys."""

    def both(now):
        close_position(now)
        buy(now, qty=3)

    one, two = {0: lambda now: buy(now, qty=5), 1: both}, {1: lambda now: sell(now, qty=2)}
    result = run([FLAT] * 3, one, two, {1: lambda now: buy(now, qty=9)})
    assert [(f.slot, f.side * f.qty) for f in result.fills if f.is_cross] == [(2, 2), (1, -2)]
    assert result.positions == [3, -2, 9]


def test_positions_of_strategies_net_in_the_account():
    """Long 10 and short 10 of one symbol: exposure 0, equity stands still while each slot has its own P&L."""
    bars = [FLAT, (100, 120, 100, 120), FLAT]
    exit_ = lambda now: close_position(now)  # noqa: E731
    result = run(bars, {0: lambda now: buy(now, qty=10), 1: exit_}, {0: lambda now: sell(now, qty=10), 1: exit_})
    assert {(m.equity, m.exposure) for m in result.marks} == {(100_000, 0)}
    assert [t.pnl for t in result.trades] == [0, 0]  # in at 100, out at 100, both free of charge
    assert {t.side: (t.mae, t.mfe) for t in result.trades} == {1: (0, 0.2), -1: (-0.2, 0)}


# --- range ------------------------------------------------------------------------------------------------------------


def test_a_touched_limit_fills_at_its_price():
    bars = [FLAT, (100, 101, 97, 100)]
    assert rows(run(bars, {0: lambda now: place_limit(now, BUY, 97, qty=5)})) == [(200, 5, 97)]
    through = {"one": instrument(tick=1), "limit_through": 1}
    assert rows(run(bars, {0: lambda now: place_limit(now, BUY, 97, qty=5)}, **through)) == []


def test_a_touched_stop_fills_at_its_price_with_slippage():
    bars = [FLAT, (100, 104, 99, 100)]
    assert rows(run(bars, {0: lambda now: place_stop(now, BUY, 104, qty=5)}, slippage=slip(0.01))) == [
        (200, 5, pytest.approx(105.04))
    ]


def test_stops_of_held_positions_come_before_targets():
    bars = [FLAT, FLAT, (100, 112, 88, 100)]
    result = run(bars, {0: lambda now: buy(now, qty=5, stop=90, target=110)})
    assert rows(result) == [(100, 5, 100), (300, -5, 90)]
    assert statuses(result) == ["FILLED", "FILLED", "POSITION_CLOSED"]
    assert result.counters["ambiguous"] == 1
    assert [Role(o.role) for o in result.orders] == [Role.ENTRY, Role.STOP, Role.TARGET]


def test_entries_that_only_rounding_sets_apart_fill_in_the_order_of_their_ids():
    """|0.1 - 0.3| is 0.19999999999999998 and 0.5 - 0.3 is 0.2: as near as each other, so the stop, placed first."""
    bars = [(0.3, 0.3, 0.3, 0.3), (0.3, 0.6, 0.1, 0.3)]

    def script(now):
        place_stop(now, BUY, 0.5, qty=1)
        place_limit(now, BUY, 0.1, qty=2)

    assert rows(run(bars, {0: script})) == [(200, 1, 0.5), (200, 2, 0.1)]


def test_entries_fill_nearest_to_the_open_first():
    """97 is nearer to 100 than 96 and 105: with money for 10 units, the order at 97 takes all of it."""
    bars = [FLAT, (100, 106, 95, 100)]

    def place(now):
        place_limit(now, BUY, 96, qty=10)
        place_stop(now, BUY, 105, qty=10)
        place_limit(now, BUY, 97, qty=10)

    result = run(bars, {0: place}, capital=1000, leverage=4)
    assert [price for *_, price in rows(result)] == [97, 96, 105]


def test_a_bracket_born_inside_a_bar_is_stopped_if_touched_and_wins_only_by_the_close():
    entry = {0: lambda now: place_limit(now, BUY, 98, qty=5, stop=96, target=104)}
    stopped = run([FLAT, (100, 105, 95, 104)], entry)
    assert rows(stopped) == [(200, 5, 98), (200, -5, 96)]  # low 95 <= 96: the stop, though the close is at the target
    assert rows(run([FLAT, (100, 105, 97, 103)], entry)) == [(200, 5, 98)]  # high 105, close 103 < 104: stays
    assert rows(run([FLAT, (100, 105, 97, 105)], entry)) == [(200, 5, 98), (200, -5, 104)]
    assert stopped.counters["ambiguous"] == 1  # entry, stop and target were all touched


def test_a_stop_born_inside_a_bar_fills_at_its_own_price_not_at_the_open():
    """A buy stop at 105 with its stop at 103; the bar opened at 100 and trades 99 to 106: out at 103, not at 100."""
    result = run([FLAT, (100, 106, 99, 100)], {0: lambda now: place_stop(now, BUY, 105, qty=5, stop=103)})
    assert rows(result) == [(200, 5, 105), (200, -5, 103)]


def test_a_protective_stop_that_the_open_has_passed_fills_at_the_open():
    result = run([FLAT, FLAT, (90, 91, 89, 90)], {0: lambda now: buy(now, qty=5, stop=95)})
    assert rows(result) == [(100, 5, 100), (200, -5, 90)]  # not at 95: the market was never there


def test_a_target_that_the_open_betters_fills_at_the_open():
    result = run([FLAT, FLAT, (115, 116, 114, 115)], {0: lambda now: buy(now, qty=5, target=110)})
    assert rows(result) == [(100, 5, 100), (200, -5, 115)]


def test_a_target_on_the_entry_bar_after_an_entry_at_the_open_needs_only_the_touch():
    result = run([FLAT, (100, 106, 99, 101)], {0: lambda now: buy(now, qty=5, target=105)})
    assert rows(result) == [(100, 5, 100), (200, -5, 105)]


def test_a_stop_born_inside_a_bar_fills_where_the_bar_traded():
    """In at 105 * 1.02 = 107.1, beyond the high of 106; the stop at 107.1 - 0.5 = 106.6 fills from 106: 106 * 0.98."""
    entry = {0: lambda now: place_stop(now, BUY, 105, qty=5, stop_offset=0.5)}
    result = run([FLAT, (100, 106, 99, 100)], entry, slippage=slip(0.02))
    assert rows(result) == [(200, 5, pytest.approx(107.1)), (200, -5, pytest.approx(103.88))]


def test_an_order_may_not_fill_in_a_bar_that_opened_before_its_decision():
    """S0 trades in bars twice as long as its neighbour's, so the close of S1 falls inside its bar."""
    tape = tape_of([FLAT, (100, 101, 50, 100), FLAT], [FLAT] * 3)
    tape.open_time[0:3], tape.close_time[0:3] = [0, 200, 400], [200, 400, 600]
    sort_events(tape, [0, 0, 0, 1, 1, 1])

    def decide_all(nows):
        if nows[0].clock.time_ns == 300:  # inside S0's bar 200..400, whose low is 50
            assert (nows[0].fresh, nows[1].fresh) == (False, True)
            place_limit(nows[0], BUY, 60, qty=1)
            buy(nows[0], qty=2)

    result = simulate(tape, [ReferenceStrategy([0, 1], decide_all=decide_all)], Settings())
    assert rows(result) == [(400, 2, 100)]


# --- one fill ---------------------------------------------------------------------------------------------------------


def test_participation_caps_what_fills_in_a_bar_and_the_rest_keeps_working():
    """Budget 0.1 * mean(100, 50) = 7.5 -> 7 units at bar 2; then 0.1 * mean(100, 50, 30) = 6 of the remaining 3."""
    bars = [(*FLAT, 100.0), (*FLAT, 50.0), (*FLAT, 30.0), FLAT]
    result = run(bars, {1: lambda now: buy(now, qty=10)}, participation=0.1)
    assert rows(result) == [(200, 7, 100), (300, 3, 100)]


def test_the_volume_of_the_bar_itself_counts_where_it_is_asked_for_but_not_at_the_decision():
    """Budget 0.1 * 30 = 3 at bar 2, then 0.1 * 60 = 6; slippage of quantity over volume: 100 + 3/30, 100 + 6/60."""
    bars = [(*FLAT, 100.0), (*FLAT, 50.0), (*FLAT, 30.0), (*FLAT, 60.0), FLAT]

    def slippage(reference, qty, bar, volume, volatility):
        seen.append(volume)
        return reference + qty / volume

    seen: list[float] = []
    result = run(bars, {1: lambda now: buy(now, qty=9)}, participation=0.1, slippage=slippage, volume_basis="bar")
    assert rows(result) == [(200, 3, 100.1), (300, 6, 100.1)]
    assert seen == [75.0, 30.0, 60.0]


def test_a_touched_stop_that_cannot_fill_is_a_market_order_from_then_on():
    bars = [(*FLAT, 10.0), (100, 104, 99, 104, 10.0), (101, 102, 100, 101), FLAT]
    result = run(bars, {0: lambda now: place_stop(now, BUY, 103, qty=3)}, participation=0.2)
    assert rows(result) == [(200, 2, 103), (200 + 0, 1, 101)]  # 0.2 * 10 = 2 in each bar
    assert result.orders[0].kind == OrderKind.MARKET


def test_an_opening_is_cut_to_buying_power_at_its_fill():
    """10 at 100 fit into 1,000 at the decision; at 110 only floor(1,000 / 110) = 9."""
    result = run([FLAT, (110, 111, 109, 110)], {0: lambda now: buy(now, qty=10)}, capital=1000)
    assert (rows(result), statuses(result)) == ([(100, 9, 110)], ["CUT_AT_FILL"])


def test_the_fixed_cost_of_an_order_is_set_aside():
    """At 99 ten cost 990 + 5; at the open of 99.6 only floor((1,000 - 5) / 99.6) = 9 do."""
    bars = [(99, 99, 99, 99), (99.6, 100, 99, 100)]
    cut = run(bars, {0: lambda now: buy(now, qty=10)}, capital=1000, per_order=5)
    assert ([o.qty for o in cut.orders], rows(cut)) == ([10], [(100, 9, 99.6)])
    asked = run([FLAT], {0: lambda now: buy(now, qty=10)}, capital=1000, minimum=5)
    assert [o.qty for o in asked.orders] == [9]  # floor(995 / 100)


def test_what_only_takes_back_the_net_quantity_needs_no_buying_power():
    """Slot 0 is long 10 with all the money; slot 1 may sell 10 short, the account's net becomes 0."""
    first, second = {0: lambda now: buy(now, qty=10)}, {1: lambda now: sell(now, qty=15)}
    result = run([FLAT] * 3, first, second, capital=1000)
    assert rows(result) == [(100, 10, 100), (200, -10, 100)]
    assert refusals(result) == [("NO_BUYING_POWER", 1500, 0)]


def test_fees_have_a_minimum_and_are_charged_once_an_order():
    """raw = 1,000 * 0.001 + 10 * 0.01 + 0.5 = 1.6 -> 2; then 500 * 0.001 + 5 * 0.01 more: 2.15 - 2."""
    bars = [(*FLAT, 100.0), (*FLAT, 0.0), FLAT]
    result = run(
        bars,
        {0: lambda now: buy(now, qty=15)},
        participation=0.1,
        taker_bps=10,
        per_share=0.01,
        per_order=0.5,
        minimum=2,
    )
    assert [(f.qty, f.fee) for f in result.fills] == [(10, 2), (5, pytest.approx(0.15))]
    maker = run(
        [FLAT, (100, 101, 97, 100)], {0: lambda now: place_limit(now, BUY, 97, qty=10)}, taker_bps=10, maker_bps=1
    )
    assert maker.fills[0].fee == pytest.approx(0.097)  # 970 * 1 / 10,000


def test_a_fill_price_that_rounds_to_nothing_is_one_tick():
    bars = [(0.4, 0.4, 0.4, 0.4)] * 2
    result = run(bars, {0: lambda now: sell(now, qty=10)}, one=instrument(tick=1))
    assert rows(result) == [(100, -10, 1)]


def test_slippage_sees_what_was_known_before_the_bar():
    """Closes 100, 110, 99 and a window of 2: ln 1.1 and ln 0.9 lie 0.1003 from their mean; volumes 20 and 30."""
    seen = []

    def model(reference, qty, bar, mean_volume, volatility):
        seen.append((reference, qty, bar.close, mean_volume, volatility))
        return reference

    bars = [(*FLAT, 10.0), (100, 110, 100, 110, 20.0), (110, 110, 99, 99, 30.0), (98, 98, 98, 98, 99.0)]
    run(bars, {2: lambda now: sell(now, qty=4)}, slippage=model, volume_window=2)
    deviation = (math.log(1.1) - math.log(0.9)) / 2
    assert seen == [(99, -4, 99, 25, pytest.approx(deviation)), (98, -4, 99, 25, pytest.approx(deviation))]


def test_what_is_left_at_the_end_of_the_data_ends_there():
    result = run([FLAT] * 3, {0: lambda now: buy(now, qty=5, stop=90), 1: lambda now: place_limit(now, BUY, 50, qty=1)})
    assert statuses(result) == ["FILLED", "ENDED", "ENDED"]
    assert (result.positions, result.trades, result.orders[1].ended_time) == ([5], [], 300)


# --- consequences -----------------------------------------------------------------------------------------------------


def test_a_reversal_is_a_reduction_and_an_opening():
    result = run([FLAT] * 3, {0: lambda now: buy(now, qty=5), 1: lambda now: sell(now, qty=8)})
    assert [(o.qty, o.reduce_only) for o in result.orders] == [(5, False), (5, True), (3, False)]
    assert result.positions == [-3]
    assert [(t.side, t.qty, t.pnl) for t in result.trades] == [(1, 5, 0)]


def test_an_opening_that_meets_an_opposite_position_closes_first():
    """Both limits work from flat: the buy fills at 98, then the sell of 8 at 102 closes 5 and opens 3."""

    def both(now):
        place_limit(now, BUY, 98, qty=5)
        place_limit(now, SELL, 102, qty=8, stop_offset=3)

    result = run([FLAT, (100, 101, 98, 100), (100, 102, 99, 100)], {0: both})
    assert rows(result) == [(200, 5, 98), (300, -8, 102)]
    assert result.trades[0].pnl == pytest.approx(20)  # 5 * 4
    assert result.trades[0].exit_role == Role.ENTRY
    assert (result.orders[2].price, result.orders[2].side) == (105, 1)


def test_offsets_count_from_the_fill_price_and_round_away_from_it():
    bars = [FLAT, (103.3, 104, 103, 103.5)]
    result = run(bars, {0: lambda now: buy(now, qty=5, stop_offset=2, target_offset=4)}, one=instrument(tick=0.5))
    assert rows(result) == [(100, 5, 103.5)]  # 103.3 up to the tick
    assert [(o.price, o.side, o.parent) for o in result.orders[1:]] == [(101.5, -1, 0), (107.5, -1, 0)]


def test_a_new_bracket_replaces_what_it_names():
    result = run(
        [FLAT] * 4, {0: lambda now: buy(now, qty=1, stop=90, target=110), 1: lambda now: buy(now, qty=1, stop=92)}
    )
    assert [(OrderStatus(o.status).name, o.price) for o in result.orders if o.role > Role.EXIT] == [
        ("REPLACED", 90),
        ("ENDED", 110),
        ("ENDED", 92),
    ]


def test_an_entry_filled_beyond_its_stop_leaves_at_once():
    bars = [FLAT, (94, 95, 93, 94)]
    result = run(bars, {0: lambda now: buy(now, qty=5, stop=95, target=120)}, slippage=slip(0.01))
    assert rows(result) == [(100, 5, pytest.approx(94.94)), (100, -5, pytest.approx(94.94 * 0.99))]
    assert result.counters["gapped"] == 1
    assert statuses(result) == ["FILLED", "FILLED", "POSITION_CLOSED"]


def test_a_stop_out_ends_the_rest_of_the_entry():
    """6 of 10 fill at bar 1 (0.2 * 30); at the open of bar 2 the stop takes them out; the limit at 99 is gone."""
    bars = [(*FLAT, 30.0), (100, 101, 98, 98, 30.0), (94, 100, 90, 95), FLAT]
    result = run(bars, {0: lambda now: place_limit(now, BUY, 99, qty=10, stop=95)}, participation=0.2)
    assert rows(result) == [(200, 6, 99), (200, -6, 94)]
    assert [(s, o.filled) for s, o in zip(statuses(result), result.orders, strict=True)] == [
        ("POSITION_CLOSED", 6),
        ("FILLED", 6),
    ]


# --- protective orders ------------------------------------------------------------------------------------------------


def test_a_trail_follows_the_high_and_only_tightens():
    """Entry bar: h = its close 100 -> stop stays 95; then h = 108 -> 103; then h stays; the low 102 takes it out."""
    bars = [FLAT, (100, 110, 99, 100), (100, 108, 100, 107), (107, 107, 104, 105), (105, 106, 102, 104)]
    result = run(bars, {0: lambda now: buy(now, qty=1, trail=5)})
    assert rows(result) == [(100, 1, 100), (500, -1, 103)]
    assert result.orders[1].role == Role.TRAIL


def test_a_trail_waits_for_its_profit():
    """trail_after 8: h - entry = 8 first at bar 2; until then the order has no price and is never touched."""
    bars = [FLAT, (100, 105, 60, 100), (100, 108, 70, 107), (107, 107, 104, 105)]
    result = run(bars, {0: lambda now: buy(now, qty=1, trail=2, trail_after=8)})
    assert rows(result) == [(100, 1, 100), (400, -1, 106)]  # 108 - 2; open 107, low 104


def test_the_first_stop_is_the_tighter_of_stop_and_trail():
    result = run([FLAT] * 2, {0: lambda now: buy(now, qty=1, stop=97, trail=5)})
    assert (result.orders[1].price, result.orders[1].role) == (97, Role.STOP)
    result = run([FLAT] * 2, {0: lambda now: buy(now, qty=1, stop=90, trail=5)})
    assert (result.orders[1].price, result.orders[1].role) == (95, Role.TRAIL)


def test_move_stop_makes_or_moves_the_stop_and_names_what_it_refuses():
    script = {
        0: lambda now: (move_stop(now, 90), buy(now, qty=1)),
        1: lambda now: move_stop(now, 98),
        2: lambda now: move_stop(now, 100),
    }
    result = run([FLAT, (100, 101, 99, 100), (100, 101, 98.5, 100), (97, 98, 96, 97)], script)
    assert rows(result) == [(100, 1, 100), (300, -1, 97)]
    assert refusals(result) == [("NOTHING_TO_CLOSE", 0, 0), ("WRONG_SIDE", 100, 100)]


def test_a_moved_stop_waits_for_the_next_open_while_a_bar_is_in_progress():
    """S0 trades in bars of 200; at 300, inside its bar 200..400 with a low of 90, the stop moves from 80 to 95.

    It fills at 600, in the bar after; moved again at the close of 400, to 92, it is not reached by the low of 94.
    """
    for again, expected in ((False, [(200, 1, 100), (600, -1, 95)]), (True, [(200, 1, 100)])):
        result = moved_inside_a_bar(again)
        assert rows(result) == expected
        assert result.orders[1].role == Role.STOP  # no longer the trail it was


def moved_inside_a_bar(again):
    """Return the run of a stop that moves inside a bar and, when asked to, again at its close."""
    tape = tape_of([FLAT, (100, 101, 90, 100), (96, 97, 94, 95)], [FLAT] * 6)
    tape.open_time[0:3], tape.close_time[0:3] = [0, 200, 400], [200, 400, 600]
    sort_events(tape, [0] * 3 + [1] * 6)

    def decide_all(nows):
        if nows[0].clock.time_ns == 200:
            buy(nows[0], qty=1, trail=20)
        elif nows[0].clock.time_ns == 300:
            assert (nows[0].fresh, nows[0].age, nows[0].position.stop) == (False, 100, 80)
            move_stop(nows[0], 95)
        elif nows[0].clock.time_ns == 400 and again:
            move_stop(nows[0], 92)

    return simulate(tape, [ReferenceStrategy([0, 1], decide_all=decide_all)], Settings())


def test_a_stop_that_the_strategy_placed_is_on_its_way_out_once_touched():
    """Bars of volume 10 let 2 through: of the stop's 4, 2 fill at bar 3 and 2 are a market order."""
    bars = [(*FLAT, 10.0)] * 3 + [(100, 100, 97, 97, 10.0), (*FLAT, 10.0)]
    script = {
        0: lambda now: buy(now, qty=4),
        2: lambda now: place_stop(now, SELL, 98, qty=4, reduce_only=True),
        3: lambda now: close_position(now),
    }
    result = run(bars, script, participation=0.2)
    assert rows(result) == [(100, 2, 100), (200, 2, 100), (400, -2, 98), (400, -2, 100)]
    assert refusals(result) == [("NOTHING_TO_CLOSE", 0, 0)]


def test_an_opening_that_would_slip_further_than_a_rule_allows_is_refused_at_its_fill():
    """Volume falls to a tenth after the decision: 10 % of the reference instead of 1 %, where 2 % are allowed."""
    thin = lambda reference, qty, bar, volume, volatility: reference * (1 + 0.01 * (qty > 0) * 100 / volume)  # noqa: E731
    rule = lambda order: (order.qty, False, 0.0, 0.0)  # noqa: E731
    rule.max_slippage = 0.02
    bars = [(*FLAT, 100.0), (*FLAT, 10.0), FLAT, FLAT]
    script = {0: lambda now: place_limit(now, BUY, 99.5, qty=1), 1: lambda now: buy(now, qty=2)}
    result = run(bars, script, slippage=thin, rules=[rule], volume_window=1)
    assert (rows(result), statuses(result)) == ([(200, 1, 99.5)], ["FILLED", "SLIPPAGE"])
    assert refusals(result) == [(100, pytest.approx(10), pytest.approx(2))]
    assert run(bars, script, slippage=thin, volume_window=1).positions == [3]
