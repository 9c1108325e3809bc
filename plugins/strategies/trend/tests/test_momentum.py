"""Momentum and its scalper, rule by rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from framework_strategy_trend.momentum import Momentum, MomentumScalper, bar_number

from framework.model.enums import Role, Side, Verb
from framework.testing import Decision, decide_once

UP = {"rsi": 70.0, "histogram": 0.5, "adx": 25.1, "atr": 2.0}
DOWN = {"rsi": 30.0, "histogram": -0.5, "adx": 25.1, "atr": 2.0}


def join(ind: dict[str, float], qty: float = 0.0, **params: Any) -> Decision:
    """Return what momentum wants."""
    return decide_once(Momentum(**params), ind=ind, position={"qty": qty})


@pytest.mark.parametrize("rsi", [60.0, 70.0, 80.0])
def test_rsi_from_60_to_80_with_macd_and_adx_buys_with_a_stop_of_2_and_a_target_of_3_atrs(rsi: float) -> None:
    (intent,) = join({**UP, "rsi": rsi})
    assert (intent.verb, intent.side, intent.stop_offset, intent.target_offset) == (Verb.ORDER, Side.BUY, 4.0, 6.0)


@pytest.mark.parametrize("rsi", [20.0, 30.0, 40.0])
def test_rsi_from_20_to_40_with_macd_and_adx_sells(rsi: float) -> None:
    (intent,) = join({**DOWN, "rsi": rsi})
    assert (intent.side, intent.stop_offset, intent.target_offset) == (Side.SELL, 4.0, 6.0)
    assert join({**DOWN, "rsi": rsi}, shorts=False) == ()


@pytest.mark.parametrize("ind", [
    {**UP, "rsi": 59.9}, {**UP, "rsi": 80.1}, {**UP, "histogram": 0.0}, {**UP, "histogram": -0.5}, {**UP, "adx": 25.0},
    {**DOWN, "rsi": 19.9}, {**DOWN, "rsi": 40.1}, {**DOWN, "histogram": 0.5}, {**UP, "rsi": np.nan},
])  # fmt: skip
def test_one_that_disagrees_is_enough(ind: dict[str, float]) -> None:
    assert join(ind) == ()


def test_momentum_leaves_a_position_to_its_stops() -> None:
    assert join(UP, 5.0) == ()
    assert join(DOWN, 5.0) == ()


# --- the scalper ------------------------------------------------------------------------------------------------------

RISE = {"fast": 102.0, "slow": 101.0, "adx": 20.0, "histogram": 0.5, "atr": 4.0, "number": 100.0}
FALL = {**RISE, "fast": 100.0, "histogram": -0.5}
REST = {"ended": 98.0}


def ride(ind: dict[str, float], position: dict[str, float] = {}, state: dict[str, float] = REST,  # noqa: B006
         fills: tuple[dict[str, int], ...] = (), **params: Any) -> Decision:
    """Return what the scalper wants."""
    return decide_once(MomentumScalper(**params), ind=ind, position=position, state=state, fills=fills)


def test_alignment_with_adx_and_macd_enters_either_side() -> None:
    (intent,) = ride(RISE)
    assert (intent.side, intent.stop_offset, intent.target_offset) == (Side.BUY, 4.0, 6.0)  # 1 and 1.5 ATRs
    assert (intent.trail, intent.trail_after) == (3.0, 2.0)  # 0.75 after 0.5 ATRs
    (intent,) = ride(FALL)
    assert (intent.side, intent.stop_offset) == (Side.SELL, 4.0)
    assert ride(FALL, shorts=False) == ()


@pytest.mark.parametrize("ind", [{"adx": 19.9}, {"histogram": -0.5}, {"histogram": 0.0}, {"fast": 101.0},
                                 {"fast": 100.0}])
def test_no_ride_when_one_disagrees(ind: dict[str, float]) -> None:
    assert ride({**RISE, **ind}) == ()


@pytest.mark.parametrize(("qty", "ind"), [
    (5.0, {"fast": 100.0}), (5.0, {"histogram": -0.1}), (-5.0, {}), (-5.0, {"fast": 100.0}),
])
def test_the_reverse_alignment_or_a_histogram_against_closes(qty: float, ind: dict[str, float]) -> None:
    (intent,) = ride({**RISE, **ind}, {"qty": qty, "bars_held": 1})
    assert intent.verb == Verb.CLOSE


def test_a_position_is_kept_for_20_bars_while_nothing_turns() -> None:
    assert ride(RISE, {"qty": 5.0, "bars_held": 19}) == ()
    assert [intent.verb for intent in ride(RISE, {"qty": 5.0, "bars_held": 20})] == [Verb.CLOSE]
    assert ride({**RISE, "adx": 0.0, "histogram": 0.0}, {"qty": 5.0, "bars_held": 1}) == ()


def test_two_bars_of_rest_after_the_one_in_which_a_position_ended() -> None:
    stopped = ride(RISE, fills=({"role": int(Role.STOP)},))
    assert (stopped, stopped.state.ended) == ((), 100.0)
    assert ride({**RISE, "number": 101.0}, state={"ended": 100.0}) == ()
    assert len(ride({**RISE, "number": 102.0}, state={"ended": 100.0})) == 1
    assert len(ride(RISE, fills=({"role": int(Role.STOP)},), cooldown=0)) == 1


def test_bar_number_counts_bars() -> None:
    assert bar_number.compute(np.array([5.0, 6.0, 7.0])).tolist() == [1.0, 2.0, 3.0]
