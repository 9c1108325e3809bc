"""Laws that hold the reference simulator on random markets; hand-worked cases stand in test_engine_fills.py."""

from __future__ import annotations

import pytest

from framework.model.enums import OrderStatus, Reason, Role, Verb
from tests.reference import simulate
from tests.reference.cases import case_of
from tests.reference.market import down, on_lots, up


def test_rounding_forgives_a_billionth_of_a_step():
    assert down(0.3, 0.1) == pytest.approx(0.3)  # 0.3 / 0.1 = 2.9999999999999996, floor of it + 1e-9 is 3
    assert (down(7.9, 2), up(6.1, 2), down(1.23, 0), up(1.23, 0)) == (6, 8, 1.23, 1.23)
    assert down(799_999_999_999.9999, 1.0) == 800_000_000_000  # 64 * 2^-52 * 8e11 = 1.1e-2 covers the missing 1e-4


def test_quantities_stay_on_whole_lots():
    assert on_lots(0.1 + 0.2 - 0.3, 0.1) == 0  # 5.6e-17
    assert (on_lots(1.0004, 1.0), on_lots(1.5, 1.0), on_lots(1e-13, 0.0), on_lots(1e-11, 0.0)) == (1, 1.5, 0, 1e-11)


def test_laws_hold_on_random_markets():
    """The identities of the ledger are asserted at every mark inside the simulator; these are the rest."""
    for seed in range(10_000, 10_300):
        assert_laws_hold(case_of(seed))


def assert_laws_hold(case):
    """Hold what is true of every fill, order and refusal of a case."""
    tape, numbers = case.tape, case.reference_settings()
    result = simulate(tape, case.reference_strategies(), numbers)
    before = [0.0] * len(result.positions)
    for fill in result.fills:
        order, lot = result.orders[fill.order_id], tape.instruments[fill.symbol].lot
        is_ended_at_a_close = order.role in (Role.END, Role.DELISTED)
        assert (tape.close_time if is_ended_at_a_close else tape.open_time)[fill.bar] >= order.active_from
        has_traded = tape.low[fill.bar] <= fill.reference <= tape.high[fill.bar]
        assert has_traded or fill.is_gapped or order.born_inside == fill.bar
        assert fill.side * (fill.price - fill.reference) >= 0
        assert not fill.is_maker or fill.side * (order.price - fill.price) >= 0
        assert fill.is_cross or fill.qty <= lot * 1e-3 + order.qty or order.protective
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
