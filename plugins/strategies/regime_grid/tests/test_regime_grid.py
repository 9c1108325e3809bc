"""The grid: regimes, the ladder that each asks for, and what happens on a rung."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from framework_strategy_regime_grid import register_strategies
from framework_strategy_regime_grid.strategy import RegimeGrid

from framework import ConfigError
from framework.data import BarSeries, Tape, build_tape
from framework.indicators import Bars
from framework.model.enums import OrderKind, Side, Verb
from framework.model.instrument import Instrument
from framework.testing import Decision, check_plugin, decide_once
from framework.testing.runs import finished, simulate

HOUR = 3_600_000_000_000

SIDEWAYS = {"mean": 100.0, "slow": 100.0, "adx": 15.0, "rsi": 50.0, "atr": 1.0}
BULL = {"mean": 90.0, "slow": 80.0, "adx": 30.0, "rsi": 60.0, "atr": 1.0}
BEAR = {"mean": 110.0, "slow": 120.0, "adx": 30.0, "rsi": 35.0, "atr": 1.0}
WILD = {**SIDEWAYS, "atr": 15.1}


def rungs(values: dict[int, float] = {}) -> tuple[float, ...]:  # noqa: B006
    """Return the memory of all rungs, given by number from 1."""
    return tuple(values.get(rung, 0.0) for rung in range(1, 16))


def buys(*numbers: int) -> list[dict[str, Any]]:
    """Return working buys on these rungs."""
    return [{"tag": number, "side": 1, "qty": 2.0} for number in numbers]


def grid(ind: dict[str, float], close: float = 100.0, **parts: Any) -> Decision:
    """Return what the grid wants at a close of 100."""
    return decide_once(RegimeGrid, bar={"close": close}, ind=ind, **parts)


def prices(decision: Decision) -> list[float]:
    """Return the prices of the orders, rounded for comparison."""
    return [round(intent.price or 0.0, 9) for intent in decision]


# --- regimes and their ladders ----------------------------------------------------------------------------------------


def test_sideways_rests_ten_buys_one_percent_apart_with_forty_percent_of_capital() -> None:
    placed = grid(SIDEWAYS)
    assert prices(placed) == [99.0, 98.0, 97.0, 96.0, 95.0, 94.0, 93.0, 92.0, 91.0, 90.0]
    assert {(intent.verb, intent.side, intent.kind) for intent in placed} == {(Verb.ORDER, Side.BUY, OrderKind.LIMIT)}
    assert {intent.weight for intent in placed} == {0.04}  # 40 % / 10
    assert [intent.tag for intent in placed][:2] == ["RUNG_1", "RUNG_2"]
    assert (placed.state.anchor, placed.state.regime) == (100.0, 1)


def test_bull_rests_five_buys_two_and_a_half_percent_apart() -> None:
    placed = grid(BULL)
    assert prices(placed) == [97.5, 95.0, 92.5, 90.0, 87.5]
    assert {intent.weight for intent in placed} == {0.08}  # 40 % / 5


@pytest.mark.parametrize(("ind", "count"), [
    ({**SIDEWAYS, "adx": 20.0, "slow": 110.0}, 0),  # neither sideways nor bull nor bear
    ({**SIDEWAYS, "mean": 90.9, "slow": 110.0}, 0),  # 9.1 is more than 10 % of 90.9
    ({**SIDEWAYS, "mean": 91.0, "slow": 110.0}, 10),
    ({**BULL, "rsi": 49.9}, 0), ({**BULL, "rsi": 70.1}, 0), ({**BULL, "rsi": 70.0}, 5),
    ({**BULL, "slow": 100.0}, 0),
])  # fmt: skip
def test_the_bounds_of_the_regimes(ind: dict[str, float], count: int) -> None:
    assert len(grid(ind)) == count


@pytest.mark.parametrize("ind", [BEAR, WILD])
def test_a_falling_or_wild_market_cancels_the_ladder_and_closes_out(ind: dict[str, float]) -> None:
    wanted = grid(ind, position={"qty": 4.0}, orders=buys(3, 4))
    assert [intent.verb for intent in wanted] == [Verb.CANCEL_ALL, Verb.CLOSE]
    assert grid(ind) == ()


@pytest.mark.parametrize("ind", [{**BEAR, "rsi": 40.0}, {**BEAR, "slow": 100.0}, {**WILD, "atr": 15.0}])
def test_at_the_bounds_of_bear_and_wild_nothing_is_closed(ind: dict[str, float]) -> None:
    assert Verb.CLOSE not in [intent.verb for intent in grid(ind, position={"qty": 4.0})]


# --- a rung -----------------------------------------------------------------------------------------------------------

STANDING = {"anchor": 100.0, "regime": 1, "price": rungs({1: 99.0, 2: 98.0}), "step": rungs({1: 1.0, 2: 1.0})}


def test_what_a_rung_has_bought_is_offered_one_step_higher() -> None:
    wanted = grid(SIDEWAYS, 98.5, state=STANDING, position={"qty": 2.0}, orders=buys(*range(2, 11)),
                  fills=[{"tag": 1, "side": 1, "qty": 1.5}, {"tag": 1, "side": 1, "qty": 0.5}])
    (intent,) = wanted
    assert (intent.side, intent.qty, intent.reduce_only, intent.tag) == (Side.SELL, 2.0, True, "RUNG_1")
    assert intent.price == pytest.approx(99.99)  # 99 * 1.01
    assert wanted.state.held[0] == 2.0


def test_a_rung_that_has_sold_rests_its_buy_again_once_the_price_is_above_it() -> None:
    parts: dict[str, Any] = {"state": {**STANDING, "held": rungs({1: 2.0, 2: 2.0})}, "position": {"qty": 2.0},
                             "orders": [{"tag": 2, "side": -1, "qty": 2.0}, *buys(*range(3, 11))],
                             "fills": [{"tag": 1, "side": -1, "qty": 1.9999999}]}
    again = grid(SIDEWAYS, 99.5, **parts)
    assert [(intent.side, intent.price, intent.tag) for intent in again] == [(Side.BUY, 99.0, "RUNG_1")]
    assert again.state.held[:2] == [0.0, 2.0]
    assert grid(SIDEWAYS, 98.9, **parts) == ()  # the buy would fill at once: it waits


def test_a_buy_that_is_filled_in_part_keeps_working() -> None:
    wanted = grid(SIDEWAYS, 98.5, state=STANDING, position={"qty": 0.5}, orders=buys(*range(1, 11)),
                  fills=[{"tag": 1, "side": 1, "qty": 0.5}])
    assert wanted == ()
    assert wanted.state.held[0] == 0.5


def test_in_no_regime_buys_are_taken_back_and_sells_go_on() -> None:
    nothing = {**SIDEWAYS, "adx": 30.0, "slow": 110.0}
    wanted = grid(nothing, 98.5, state={**STANDING, "held": rungs({1: 2.0})}, position={"qty": 2.0},
                  orders=[{"tag": 1, "side": -1, "qty": 2.0}, *buys(2, 3)])
    assert [(intent.verb, intent.tag) for intent in wanted] == [(Verb.CANCEL, "RUNG_2"), (Verb.CANCEL, "RUNG_3")]


def test_the_ladder_follows_the_price_up_while_it_holds_nothing() -> None:
    assert grid(SIDEWAYS, 101.0, state=STANDING, orders=buys(*range(1, 11))) == ()
    moved = grid(SIDEWAYS, 102.0, state=STANDING, orders=buys(*range(1, 11)))
    assert prices(moved)[:2] == [100.98, 99.96]  # 102 * 0.99, 102 * 0.98
    held = grid(SIDEWAYS, 102.0, state={**STANDING, "held": rungs({1: 2.0})}, position={"qty": 2.0},
                orders=[{"tag": 1, "side": -1, "qty": 2.0}, *buys(*range(2, 11))])
    assert held == ()


def test_another_regime_builds_its_own_ladder_around_what_is_held() -> None:
    wanted = grid(BULL, state={**STANDING, "held": rungs({1: 2.0})}, position={"qty": 2.0},
                  orders=[{"tag": 1, "side": -1, "qty": 2.0}, *buys(*range(2, 11))])
    placed = [intent for intent in wanted if intent.verb == Verb.ORDER]
    assert [intent.price for intent in placed] == [95.0, 92.5, 90.0, 87.5]  # rungs 2 to 5; 1 still has its sell
    assert [intent.tag for intent in wanted if intent.verb == Verb.CANCEL] == [f"RUNG_{n}" for n in range(6, 11)]


# --- a run ------------------------------------------------------------------------------------------------------------


def swinging(cycles: int) -> Tape:
    """Return hourly bars that swing between 97 and 103 once a day."""
    close = 100.0 + 3.0 * np.sin(np.arange(24 * cycles) * 2.0 * np.pi / 24.0)
    time = np.arange(close.size, dtype=np.int64) * HOUR
    opened = np.concatenate(([100.0], close[:-1]))
    return build_tape([BarSeries(Instrument("A"), "1h", time, time + HOUR, opened, np.maximum(opened, close),
                                 np.minimum(opened, close), close, np.full(close.size, 1e6))])


def test_a_swinging_market_pays_a_step_a_rung_and_swing() -> None:
    logs = finished(simulate(RegimeGrid(sideways_adx=100.0, bear_rsi=0.0), swinging(40), interpreted=True))
    fills = logs["fills"]
    assert fills.size > 40
    orders, rung_fills = logs["orders"], fills[fills["tag"] > 0]
    for tag in range(1, 11):  # a rung has one working order at a time
        mine = orders[orders["tag"] == tag]
        assert (mine["placed_time"][1:] >= mine["ended_time"][:-1]).all()
    sold = rung_fills[rung_fills["side"] == -1]
    assert sold.size > 20
    for sale in sold:  # one step above the purchase of its rung before it
        bought = rung_fills[(rung_fills["tag"] == sale["tag"]) & (rung_fills["id"] < sale["id"])][-1]
        assert bought["side"] == 1
        assert sale["price"] == pytest.approx(bought["price"] * 1.01)


def test_more_rungs_than_there_are_tags_are_refused() -> None:
    with pytest.raises(ConfigError, match="sideways_rungs = 16 is out of bounds"):
        RegimeGrid(sideways_rungs=16)


def test_it_looks_at_the_lengths_that_its_rule_names() -> None:
    read = ", ".join(map(repr, RegimeGrid().indicators(Bars()).values()))
    assert read == "ema(close, 50), ema(close, 200), adx(bars, 14).adx, rsi(close, 14), atr(bars, 14)"


def test_the_package_registers_it() -> None:
    assert register_strategies() == [RegimeGrid]


def test_the_strategy_passes_the_conformance_kit() -> None:
    report = check_plugin(RegimeGrid)
    assert report.passed, str(report)
