"""How long orders work, rule by rule of docs/fills.md and worked by hand, on engine and reference."""

from __future__ import annotations

import pytest

from framework.model.enums import OrderKind
from framework.strategy import BUY, DAY, FOK, GTD, IOC, SELL, buy, close_position, place_limit, place_stop, sell
from tests.reference import ReferenceStrategy, Settings
from tests.reference.hand import FLAT, follow, refusals, rows, run, simulate, statuses
from tests.reference.tapes import PERIOD, tape_of

pytestmark = pytest.mark.usefixtures("both_simulators")

MINUTE = 60_000_000_000
DIP = (100.0, 101.0, 89.0, 100.0)
"""A bar that touches a buy limit of 90."""


def in_minutes(tape, minutes_to_close):
    """Return the tape with bars of a minute; the minutes to the session's end are those of each bar's close."""
    scale = MINUTE // PERIOD
    for name in ("open_time", "close_time", "event_time"):
        setattr(tape, name, [time * scale for time in getattr(tape, name)])
    tape.minutes_to_close = minutes_to_close
    return tape


def at_minutes(script):
    """Return a decide function that acts at the close of the bars of a minute that the script names."""
    return follow({MINUTE // PERIOD * bar: action for bar, action in script.items()})


# --- sessions and times -----------------------------------------------------------------------------------------------


def test_a_day_order_works_until_its_session_ends():
    """Sessions of three bars: placed in the first bar, it is over after the third; the dip comes too late."""
    tape = in_minutes(tape_of([FLAT, FLAT, FLAT, DIP]), [2, 1, 0, 2])
    script = {0: lambda now: place_limit(now, BUY, 90, qty=1, tif=DAY)}
    result = simulate(tape, [ReferenceStrategy([0], at_minutes(script))], Settings())
    assert (rows(result), statuses(result)) == ([], ["EXPIRED"])
    assert (result.orders[0].ended_time, result.orders[0].until) == (3 * MINUTE, 3 * MINUTE)


def test_a_day_order_still_fills_in_the_last_bar_of_its_session():
    tape = in_minutes(tape_of([FLAT, FLAT, DIP, DIP]), [2, 1, 0, 2])
    script = {0: lambda now: place_limit(now, BUY, 90, qty=1, tif=DAY)}
    result = simulate(tape, [ReferenceStrategy([0], at_minutes(script))], Settings())
    assert (rows(result), statuses(result)) == ([(3 * MINUTE, 1, 90)], ["FILLED"])


def test_a_day_order_placed_at_the_last_close_is_for_the_next_session():
    tape = in_minutes(tape_of([FLAT, FLAT, FLAT, DIP, FLAT]), [0, 1, 0, 1, 0])
    script = {0: lambda now: place_limit(now, BUY, 90, qty=1, tif=DAY)}
    result = simulate(tape, [ReferenceStrategy([0], at_minutes(script))], Settings())
    assert (statuses(result), result.orders[0].until) == (["EXPIRED"], 3 * MINUTE)


def test_on_daily_bars_a_day_order_works_for_one_bar():
    script = {0: lambda now: place_limit(now, BUY, 90, qty=1, tif=DAY)}
    assert rows(run([FLAT, DIP], script)) == [(200, 1, 90)]
    assert statuses(run([FLAT, FLAT, DIP], script)) == ["EXPIRED"]


def test_what_a_day_order_has_filled_stays():
    """0.5 * 10 fill at the open of the one bar that the order has; the rest of 8 expires with it."""
    result = run([(*FLAT, 10.0)] * 3, {0: lambda now: buy(now, qty=8, tif=DAY, stop=90)}, participation=0.5)
    assert (rows(result), result.positions) == ([(100, 5, 100)], [5])
    assert statuses(result) == ["EXPIRED", "ENDED"]  # the entry; the stop of what was filled


def test_a_day_order_without_the_last_bar_of_its_session_expires_before_anything_is_filled():
    """The session ends after minute 3, the bar before that is missing: the next bar opens in another session, at 80."""
    tape = in_minutes(tape_of([FLAT, FLAT, (80.0, 81.0, 79.0, 80.0)]), [2, 1, 9])
    tape.open_time[2], tape.close_time[2] = 5 * MINUTE, 6 * MINUTE
    tape.event_time[4:] = [5 * MINUTE, 6 * MINUTE]
    script = {0: lambda now: place_limit(now, BUY, 90, qty=1, tif=DAY)}
    result = simulate(tape, [ReferenceStrategy([0], at_minutes(script))], Settings())
    assert (rows(result), statuses(result), result.orders[0].ended_time) == ([], ["EXPIRED"], 5 * MINUTE)


def test_an_order_until_a_time_fills_in_bars_that_are_over_by_then():
    place = lambda until: {0: lambda now: place_limit(now, BUY, 90, qty=1, tif=GTD, until=until)}  # noqa: E731
    assert rows(run([FLAT, FLAT, DIP], place(300))) == [(300, 1, 90)]
    result = run([FLAT, FLAT, DIP], place(299))  # the dip may have come after 299
    assert (rows(result), statuses(result), result.orders[0].ended_time) == ([], ["EXPIRED"], 300)


def test_an_order_until_a_time_does_not_fill_at_an_open_at_that_time():
    gap = (80.0, 81.0, 79.0, 80.0)
    place = lambda until: {0: lambda now: place_limit(now, BUY, 90, qty=1, tif=GTD, until=until)}  # noqa: E731
    assert rows(run([FLAT, FLAT, gap], place(201))) == [(200, 1, 80)]
    result = run([FLAT, FLAT, gap], place(200))
    assert (rows(result), result.orders[0].ended_time) == ([], 200)


def test_an_expired_order_gives_back_what_it_reserved_also_when_its_symbol_sleeps():
    """The limit on S0 takes 900 of 1,000 until 250; S0 has no bar after 200, the events of S1 tell the time."""
    tape = tape_of([FLAT] * 2, [FLAT] * 4)
    one = {0: lambda now: place_limit(now, BUY, 90, qty=10, tif=GTD, until=250)}
    other = {1: lambda now: buy(now, qty=10), 2: lambda now: buy(now, qty=9)}
    strategies = [ReferenceStrategy([0], follow(one)), ReferenceStrategy([1], follow(other))]
    result = simulate(tape, strategies, Settings(capital=1000))
    assert refusals(result) == [("NO_BUYING_POWER", 1000, 100)]
    assert [(o.qty, o.ended_time) for o in result.orders] == [(10, 300), (1, 200), (9, 300)]


# --- one chance -------------------------------------------------------------------------------------------------------


def test_what_an_immediate_order_cannot_fill_is_cancelled():
    """0.5 * 10 can be filled at the open."""
    result = run([(*FLAT, 10.0)] * 3, {0: lambda now: buy(now, qty=8, tif=IOC)}, participation=0.5)
    assert (rows(result), statuses(result), result.orders[0].ended_time) == ([(100, 5, 100)], ["CANCELED"], 100)


def test_an_immediate_limit_that_the_open_does_not_reach_is_cancelled():
    result = run([FLAT, DIP], {0: lambda now: place_limit(now, BUY, 90, qty=1, tif=IOC)})
    assert (rows(result), statuses(result), result.orders[0].ended_time) == ([], ["CANCELED"], 100)


def test_an_immediate_stop_waits_for_its_price_and_then_fills_at_once_or_never():
    """The second bar touches 103; 5 of 8 fill there, and the rest is not for the open of the third."""
    bars = [(*FLAT, 10.0), (*FLAT, 10.0), (100, 104, 99, 100, 10.0), (*FLAT, 10.0)]
    result = run(bars, {0: lambda now: place_stop(now, BUY, 103, qty=8, tif=IOC)}, participation=0.5)
    assert (rows(result), statuses(result), result.orders[0].ended_time) == ([(300, 5, 103)], ["CANCELED"], 300)


def test_fill_or_kill_fills_all_or_nothing():
    script = lambda qty: {0: lambda now: buy(now, qty=qty, tif=FOK)}  # noqa: E731
    whole = run([(*FLAT, 10.0)] * 2, script(5), participation=0.5)
    assert (rows(whole), statuses(whole)) == ([(100, 5, 100)], ["FILLED"])
    part = run([(*FLAT, 10.0)] * 2, script(6), participation=0.5)
    assert (rows(part), statuses(part), part.orders[0].ended_time) == ([], ["CANCELED"], 100)


def test_fill_or_kill_is_not_cut_to_what_buying_power_covers():
    """10 at 100 are accepted with 1,000; at the open of 110 only 9 could be paid."""
    bars = [FLAT, (110, 111, 109, 110)]
    result = run(bars, {0: lambda now: buy(now, qty=10, tif=FOK)}, capital=1000)
    assert (rows(result), statuses(result)) == ([], ["CUT_AT_FILL"])


def test_fill_or_kill_crosses_with_nobody():
    """Slot 0 sells 4 and would cross with slot 1, which buys 4 all at once: both go to the market and pay for it."""
    one = {0: lambda now: buy(now, qty=4), 1: lambda now: close_position(now)}
    result = run([FLAT] * 3, one, {1: lambda now: buy(now, qty=4, tif=FOK)}, per_share=1.0)
    assert [(f.side * f.qty, f.fee, f.is_cross) for f in result.fills] == [(4, 4, 0), (-4, 4, 0), (4, 4, 0)]


def test_a_flip_keeps_its_time_in_force_on_both_sides():
    result = run([FLAT] * 4, {0: lambda now: buy(now, qty=5), 1: lambda now: sell(now, qty=8, tif=IOC)})
    assert [(o.side * o.qty, o.tif, o.kind) for o in result.orders[1:]] == [
        (-5, IOC, OrderKind.MARKET), (-3, IOC, OrderKind.MARKET)]  # fmt: skip


def test_terms_that_mean_nothing_are_refused_with_their_number():
    def bad(now):
        place_limit(now, BUY, 90, qty=1, tif=7)
        place_limit(now, BUY, 90, qty=1, tif=GTD)
        place_limit(now, BUY, 90, qty=1, tif=GTD, until=100)
        place_limit(now, SELL, 110, qty=1, tif=DAY, until=900)

    result = run([FLAT] * 2, {0: bad})
    assert refusals(result) == [("WRONG_TERMS", 7, 0), ("WRONG_TERMS", 0, 0), ("WRONG_TERMS", 100, 0),
                                ("WRONG_TERMS", 900, 0)]  # fmt: skip
    assert not result.orders
