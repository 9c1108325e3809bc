"""Hand-worked cases that hold the reference simulator to docs/fills.md, one rule each.

Bar i opens at 100 i and closes at 100 (i + 1) ns.  FLAT trades 99 to 101 and closes where it opened, at 100.
Without other words: capital 100,000, lot 1, no tick, no costs.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings

from framework.model.enums import OrderKind, OrderStatus, Reason, Role, Verb
from framework.strategy import (
    BUY,
    SELL,
    buy,
    cancel,
    cancel_all,
    close_position,
    move_stop,
    place_limit,
    place_stop,
    sell,
    target,
)
from tests.reference import ReferenceStrategy, Settings, simulate
from tests.reference.cases import cases
from tests.reference.market import down, up
from tests.reference.tapes import PERIOD, instrument, tape_of

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


def rows(result):
    """Return (time, signed quantity, price) of every fill."""
    return [(f.time, f.side * f.qty, f.price) for f in result.fills]


def statuses(result):
    return [OrderStatus(o.status).name for o in result.orders]


def refusals(result):
    return [(Reason(r.reason).name if r.reason < Reason.RULE else r.reason, r.value, r.limit) for r in result.refusals]


def test_rounding_forgives_a_billionth_of_a_step():
    assert down(0.3, 0.1) == pytest.approx(0.3)  # 0.3 / 0.1 = 2.9999999999999996, floor of it + 1e-9 is 3
    assert (down(7.9, 2), up(6.1, 2), down(1.23, 0), up(1.23, 0)) == (6, 8, 1.23, 1.23)


# --- open -------------------------------------------------------------------------------------------------------------


def test_a_market_order_fills_at_the_next_open_with_slippage_rounded_against_it():
    bars = [FLAT, (102, 103, 101, 102), FLAT]
    result = run(bars, {0: lambda now: buy(now, qty=10)}, one=instrument(tick=0.5), slippage=slip(0.002))
    assert rows(result) == [(100, 10, 102.5)]  # 102 * 1.002 = 102.204, up to the tick 102.5
    assert result.fills[0].slippage == pytest.approx(5.0)  # (102.5 - 102) * 10


def slip(fraction):
    """Return a slippage model that costs a fraction of the reference."""
    return lambda reference, qty, bar, volume, volatility: reference * (1 + (fraction if qty > 0 else -fraction))


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


def test_an_order_may_not_fill_in_a_bar_that_opened_before_its_decision():
    """S0 trades in bars twice as long as its neighbour's, so the close of S1 falls inside its bar."""
    tape = tape_of([FLAT, (100, 101, 50, 100), FLAT], [FLAT] * 3)
    tape.open_time[0:3], tape.close_time[0:3] = [0, 200, 400], [200, 400, 600]
    events = sorted(
        (time, kind, s, row)
        for row, s in enumerate([0, 0, 0, 1, 1, 1])
        for kind, time in ((1, tape.open_time[row]), (0, tape.close_time[row]))
    )
    tape.event_time, tape.event_kind, tape.event_symbol, tape.event_bar = map(list, zip(*events, strict=True))

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
    assert [(OrderStatus(o.status).name, o.price) for o in result.orders if o.protective] == [
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
    """trail_after 6: h - entry = 8 first at bar 2; until then the order has no price and is never touched."""
    bars = [FLAT, (100, 105, 60, 100), (100, 108, 70, 107), (107, 107, 104, 105)]
    result = run(bars, {0: lambda now: buy(now, qty=1, trail=2, trail_after=6)})
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
    bars = [FLAT, (100, 110, 98, 99), FLAT]
    result = run(bars, {0: lambda now: place_limit(now, BUY, 98, qty=1), 1: lambda now: close_position(now)})
    assert result.trades[0].mfe == pytest.approx(2 / 98)  # close 99 and exit at 100; not the high 110


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
    """1,000 in all: the first leg takes 800, the second gets 2 of 8: factor 0.25, both become 2."""

    def pair(now):
        buy(now, qty=8, group=1)
        place_limit(now, BUY, 100, qty=8, group=1)

    result = run([FLAT] * 1, {0: pair}, capital=1000)
    assert [(o.qty, o.reserved_qty) for o in result.orders] == [(2, 2), (2, 2)]
    result = run([FLAT] * 1, {0: pair}, capital=800)
    assert result.orders == []
    assert [r[0] for r in refusals(result)] == ["NO_BUYING_POWER", "GROUP_REFUSED"]


# --- laws, on random markets ------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_laws_hold_on_random_markets(case):
    """The identities of the ledger are asserted at every mark inside the simulator; these are the rest."""
    tape, numbers = case.tape, case.reference_settings()
    result = simulate(tape, case.reference_strategies(), numbers)
    before = [0.0] * len(result.positions)
    for fill in result.fills:
        order, lot = result.orders[fill.order_id], tape.instruments[fill.symbol].lot
        assert tape.open_time[fill.bar] >= order.active_from
        has_traded = tape.low[fill.bar] <= fill.reference <= tape.high[fill.bar]
        assert has_traded or fill.is_gapped or order.born_inside == fill.bar
        assert fill.side * (fill.price - fill.reference) >= 0
        assert not fill.is_maker or fill.side * (order.price - fill.price) >= 0
        assert fill.is_cross or fill.qty <= lot * 1e-6 + order.qty or order.protective
        if order.reduce_only:
            assert abs(fill.position) < abs(before[fill.slot])
            assert fill.position * before[fill.slot] >= 0
        before[fill.slot] = fill.position
    assert before == result.positions
    for order in result.orders:
        assert order.status != OrderStatus.WORKING
        assert order.protective or order.filled <= order.qty * (1 + 1e-9) + 1e-9
    never = {Reason.NOTHING_TO_CLOSE, Reason.UNKNOWN_TAG, Reason.NOT_A_NUMBER, Reason.WRONG_SIDE}
    assert all(r.reason in never for r in result.refusals if r.verb in (Verb.CLOSE, Verb.MOVE_STOP, Verb.CANCEL))
    if not numbers.shorts:
        assert all(position >= 0 for position in result.positions)
