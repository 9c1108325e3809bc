"""Dividends, funding, borrow and interest, by the rules of docs/fills.md and by hand, on engine and reference."""

from __future__ import annotations

import pytest

from framework.model.enums import CashKind
from framework.strategy import BUY, buy, close_position, place_limit, sell
from tests.reference import ReferenceStrategy, Settings
from tests.reference.hand import FLAT, follow, rows, simulate
from tests.reference.tapes import instrument, tape_of

pytestmark = pytest.mark.usefixtures("both_simulators")

DIVIDEND, FUNDING = int(CashKind.DIVIDEND), int(CashKind.FUNDING)


def run(bars, *scripts, flows=(), one=None, bars_a_day=10, **settings):
    """Run scripts on one symbol whose tape carries cash flows: (time, symbol, kind, rate)."""
    tape = tape_of(bars, instruments=[one or instrument()], flows=flows, bars_a_day=bars_a_day)
    return simulate(tape, [ReferenceStrategy([0], follow(script)) for script in scripts], Settings(**settings))


def paid(result):
    """Return (time, kind, quantity, amount) of every cash flow."""
    return [(f.time, CashKind(f.kind).name, f.qty, pytest.approx(f.amount)) for f in result.cash_flows]


def test_a_dividend_goes_to_whoever_holds_the_symbol():
    """10 bought at the open of 100; 0.5 a unit at 150, twice as much with a multiplier of 2."""
    script = {0: lambda now: buy(now, qty=10)}
    result = run([FLAT] * 3, script, flows=[(150, 0, DIVIDEND, 0.5)])
    assert paid(result) == [(150, "DIVIDEND", 10, 5)]
    assert [mark.equity for mark in result.marks] == [100_000, 100_005, 100_005]
    doubled = run([FLAT] * 3, script, flows=[(150, 0, DIVIDEND, 0.5)], one=instrument(multiplier=2.0))
    assert paid(doubled) == [(150, "DIVIDEND", 10, 10)]


def test_a_short_position_pays_the_dividend():
    result = run([FLAT] * 3, {0: lambda now: sell(now, qty=4)}, flows=[(150, 0, DIVIDEND, 0.5)])
    assert paid(result) == [(150, "DIVIDEND", -4, -2)]
    assert result.marks[-1].cash == 100_000 + 400 - 2


def test_nobody_pays_without_a_position():
    result = run([FLAT] * 4, {0: lambda now: buy(now, qty=1), 1: lambda now: close_position(now)},
                 flows=[(50, 0, DIVIDEND, 9.0), (250, 0, DIVIDEND, 9.0), (10_000, 0, DIVIDEND, 9.0)])
    assert (rows(result), paid(result)) == ([(100, 1, 100), (200, -1, 100)], [])


def test_a_flow_at_an_instant_comes_after_its_closes_and_before_its_opens():
    """At 100 the order of the first close is not filled yet; at 200 the position is still held, the close order not."""
    script = {0: lambda now: buy(now, qty=10), 1: lambda now: close_position(now)}
    assert paid(run([FLAT] * 4, script, flows=[(100, 0, DIVIDEND, 1.0)])) == []
    assert paid(run([FLAT] * 4, script, flows=[(200, 0, DIVIDEND, 1.0)])) == [(200, "DIVIDEND", 10, 10)]


def test_a_flow_inside_a_bar_comes_before_what_its_range_fills():
    """The limit at 99 fills in the bar from 100 to 200; a flow at 150 does not know when, and comes first."""
    result = run([FLAT] * 3, {0: lambda now: place_limit(now, BUY, 99, qty=1)}, flows=[(150, 0, DIVIDEND, 1.0)])
    assert (rows(result), paid(result)) == ([(200, 1, 99)], [])


def test_funding_is_paid_by_longs_on_the_value_at_the_mark():
    """10 at a mark of 110 are 1,100; 1 % of that is 11.  At the instant of a close the mark is that close."""
    bars = [FLAT, (100, 111, 99, 110), (110, 121, 109, 120), FLAT]
    long = run(bars, {0: lambda now: buy(now, qty=10)}, flows=[(200, 0, FUNDING, 0.01), (250, 0, FUNDING, 0.01)])
    assert paid(long) == [(200, "FUNDING", 10, -11), (250, "FUNDING", 10, -11)]
    short = run(bars, {0: lambda now: sell(now, qty=10)}, flows=[(200, 0, FUNDING, 0.01), (300, 0, FUNDING, -0.02)])
    assert paid(short) == [(200, "FUNDING", -10, 11), (300, "FUNDING", -10, -24)]


def test_what_a_position_received_and_paid_belongs_to_its_trade():
    script = {0: lambda now: buy(now, qty=10), 2: lambda now: close_position(now)}
    trade = run([FLAT] * 5, script, flows=[(150, 0, DIVIDEND, 0.5), (250, 0, FUNDING, 0.001)]).trades[0]
    assert (trade.cash_flows, trade.pnl) == (pytest.approx(4), pytest.approx(4))
    two = {**script, 3: lambda now: buy(now, qty=1), 4: lambda now: close_position(now)}
    assert [t.cash_flows for t in run([FLAT] * 7, two, flows=[(150, 0, DIVIDEND, 0.5)]).trades] == [5, 0]


def test_every_strategy_gets_the_dividend_of_its_own_position():
    """One holds 10, the other is short 4: the account holds 6 and receives 6, in two rows."""
    result = run([FLAT] * 3, {0: lambda now: buy(now, qty=10)}, {0: lambda now: sell(now, qty=4)},
                 flows=[(150, 0, DIVIDEND, 1.0)])
    assert paid(result) == [(150, "DIVIDEND", 10, 10), (150, "DIVIDEND", -4, -4)]


def test_short_positions_cost_borrow_for_every_night():
    """2 bars a day, days 0, 1, 2: two nights on 10 * 100 at 36.5 %, 1 each; none after the last close."""
    result = run([FLAT] * 6, {0: lambda now: sell(now, qty=10)}, bars_a_day=2, borrow_percent=36.5)
    assert paid(result) == [(200, "BORROW", -10, -1), (400, "BORROW", -10, -1)]
    assert [mark.equity for mark in result.marks] == pytest.approx([100_000, 99_999, 99_999, 99_998, 99_998, 99_998])
    assert paid(run([FLAT] * 6, {0: lambda now: buy(now, qty=10)}, bars_a_day=2, borrow_percent=36.5)) == []


def test_an_instrument_may_have_a_borrow_rate_of_its_own():
    script = {0: lambda now: sell(now, qty=10)}
    dear = run([FLAT] * 4, script, bars_a_day=2, borrow_percent=36.5, one=instrument(borrow_percent=73.0))
    free = run([FLAT] * 4, script, bars_a_day=2, borrow_percent=36.5, one=instrument(borrow_percent=0.0))
    assert (paid(dear), paid(free)) == ([(200, "BORROW", -10, -2)], [])


def test_only_the_net_short_position_is_borrowed():
    """Short 10 and long 6 leave 4 to be borrowed, by the one that is short."""
    result = run([FLAT] * 4, {0: lambda now: sell(now, qty=10)}, {0: lambda now: buy(now, qty=6)},
                 bars_a_day=2, borrow_percent=36.5)
    assert paid(result) == [(200, "BORROW", -4, pytest.approx(-0.4))]


def test_a_weekend_is_as_many_nights_as_it_has():
    """The second day with bars is three days later."""
    tape = tape_of([FLAT] * 4, bars_a_day=2)
    tape.account_day = [0, 0, 3, 3]
    result = simulate(tape, [ReferenceStrategy([0], follow({0: lambda now: sell(now, qty=10)}))],
                      Settings(borrow_percent=36.5))
    assert paid(result) == [(200, "BORROW", -10, -3)]


def test_cash_earns_interest_and_borrowed_cash_costs_it():
    """1,000 at 36.5 % earn 1 a night; 30 bought at 100 with 1,000 borrow 2,000, which cost 4 a night at 73 %."""
    rates = {"capital": 1000, "interest_percent": 36.5, "loan_percent": 73.0, "bars_a_day": 2}
    assert paid(run([FLAT] * 4, {}, **rates)) == [(200, "INTEREST", 0, 1)]
    loan = run([FLAT] * 4, {0: lambda now: buy(now, qty=30)}, leverage=3.0, **rates)
    assert paid(loan) == [(200, "INTEREST", 0, -4)]


def test_the_proceeds_of_a_short_sale_earn_nothing():
    """Short 10 at 100 on 1,000: the 1,000 that came in belong to whoever lent the shares."""
    rates = {"capital": 1000, "interest_percent": 36.5, "bars_a_day": 2}
    assert paid(run([FLAT] * 4, {0: lambda now: sell(now, qty=10)}, **rates)) == [(200, "INTEREST", 0, 1)]


def test_nothing_accrues_before_the_run_starts():
    result = run([FLAT] * 6, {}, interest_percent=36.5, capital=1000, bars_a_day=2, start=300)
    assert paid(result) == [(400, "INTEREST", 0, 1)]
