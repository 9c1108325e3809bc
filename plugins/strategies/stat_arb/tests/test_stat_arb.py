"""The pair: its hedge and distance, its legs, and the test of cointegration."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from framework_strategy_stat_arb import register_strategies
from framework_strategy_stat_arb.cointegration import cointegration, common_closes, half_life
from framework_strategy_stat_arb.strategy import StatArb

from framework import ConfigError, DataError
from framework.data import BarSeries, Tape, build_tape
from framework.indicators import Bars, evaluate
from framework.model.enums import Side, Verb
from framework.model.instrument import Instrument
from framework.testing import Decision, check_plugin, decide_all_once
from framework.testing.runs import finished, simulate

DAY = 86_400_000_000_000


def pair(z: float, first: float = 0.0, second: float = 0.0, gave_up: bool = False, pending: float = 0.0,
         fresh: bool = True, ind: dict[str, float] = {}, **params: Any) -> tuple[Decision, Decision]:  # noqa: B006
    """Return what the pair wants at a distance of z, with these quantities of both legs.

    A deviation of 0.05 and a correlation of 0.8 leave residuals of 0.05 * sqrt(1 - 0.64) = 0.03.
    """
    seen = {"hedge": 1.5, "residual": z * 0.03, "correlation": 0.8, "deviation": 0.05, **ind}
    one, other = decide_all_once(
        StatArb(**params),
        {"ind": seen, "position": {"qty": first, "pending": pending}, "shared": {"gave_up": gave_up}},
        {"position": {"qty": second}, "fresh": fresh})
    return one, other


def verbs(decisions: tuple[Decision, Decision]) -> list[list[Verb]]:
    """Return the verbs of both legs."""
    return [[intent.verb for intent in decision] for decision in decisions]


CLOSED = [[Verb.CLOSE], [Verb.CLOSE]]
NOTHING: list[list[Verb]] = [[], []]


def test_a_dear_first_symbol_is_sold_and_its_partner_bought_in_one_group() -> None:
    (one,), (other,) = pair(2.1)
    assert (one.side, other.side) == (Side.SELL, Side.BUY)
    assert (one.group, other.group) == (1, 1)
    assert one.weight == 0.2  # 0.5 / (1 + 1.5)
    assert other.weight == pytest.approx(0.3)  # 1.5 as much: together 0.5


def test_a_cheap_first_symbol_is_bought_and_its_partner_sold() -> None:
    (one,), (other,) = pair(-2.1)
    assert (one.side, other.side, one.weight) == (Side.BUY, Side.SELL, 0.2)


@pytest.mark.parametrize("z", [1.99, -1.99, 0.0, 4.01, -4.01])
def test_no_entry_below_two_deviations_nor_beyond_the_stop(z: float) -> None:
    assert verbs(pair(z)) == NOTHING


@pytest.mark.parametrize("ind", [{"hedge": -1.5}, {"correlation": 0.5, "deviation": 0.01}])
def test_no_entry_in_a_pair_that_does_not_move_together(ind: dict[str, float]) -> None:
    assert verbs(pair(2.5, ind=ind)) == NOTHING


def test_it_waits_for_both_bars_and_for_working_orders() -> None:
    assert verbs(pair(2.5, fresh=False)) == NOTHING
    assert verbs(pair(2.5, pending=-5.0)) == NOTHING


def test_half_a_deviation_closes_both_legs() -> None:
    assert verbs(pair(0.49, -5.0, 5.0)) == CLOSED
    assert verbs(pair(-3.0, -5.0, 5.0)) == CLOSED  # beyond the mean
    assert verbs(pair(-0.49, 5.0, -5.0)) == CLOSED
    assert verbs(pair(0.51, -5.0, 5.0)) == NOTHING
    assert verbs(pair(-0.51, 5.0, -5.0)) == NOTHING


def test_a_distance_that_runs_away_is_given_up_until_it_is_back() -> None:
    stopped = pair(4.1, -5.0, 5.0)
    assert verbs(stopped) == CLOSED
    assert stopped[0].shared.gave_up
    assert verbs(pair(3.0, gave_up=True)) == NOTHING
    back = pair(0.4, gave_up=True)
    assert not back[0].shared.gave_up
    assert len(pair(3.0)[0]) == 1


def test_a_leg_that_is_left_alone_is_closed() -> None:
    assert verbs(pair(1.5, first=-5.0)) == [[Verb.CLOSE], []]
    assert verbs(pair(1.5, second=5.0)) == [[], [Verb.CLOSE]]


def tape_of(*closes: np.ndarray) -> Tape:
    """Return daily bars that open where the one before closed, of A0, A1 and so on."""
    time = np.arange(closes[0].size, dtype=np.int64) * DAY
    series = []
    for name, close in ((f"A{number}", close) for number, close in enumerate(closes)):
        opened = np.concatenate(([close[0]], close[:-1]))
        high, low = np.maximum(opened, close), np.minimum(opened, close)
        volume = np.ones(close.size)
        series.append(BarSeries(Instrument(name), "1d", time, time + DAY, opened, high, low, close, volume))
    return build_tape(series)


def cointegrated(bars: int = 400, size: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """Return a random walk to the power 0.8, disturbed by what halves in about seven bars, and the walk itself."""
    rng = np.random.default_rng(5)
    x = np.cumsum(0.01 * rng.standard_normal(bars))
    noise = np.zeros(bars)
    for i in range(1, bars):
        noise[i] = 0.9 * noise[i - 1] + size * rng.standard_normal()
    return 200.0 * np.exp(0.8 * x + noise), 100.0 * np.exp(x)


def test_hedge_and_distance_are_those_of_a_least_squares_line_over_the_window() -> None:
    first, second = cointegrated()
    seen = {name: evaluate(x, tape_of(first, second), 0) for name, x in StatArb().indicators(Bars()).items()}
    for i in (59, 200, 399):
        y, x = np.log(first[i - 59: i + 1]), np.log(second[i - 59: i + 1])
        slope, intercept = np.polyfit(x, y, 1)
        left = y - intercept - slope * x
        assert seen["hedge"][i] == pytest.approx(slope, rel=1e-9)
        assert seen["residual"][i] == pytest.approx(left[-1], abs=1e-12)
        deviation = seen["deviation"][i] * math.sqrt(1.0 - seen["correlation"][i] ** 2)
        assert deviation == pytest.approx(left.std(), rel=1e-9)


def test_both_legs_of_a_run_open_and_close_in_the_same_bar() -> None:
    tape = tape_of(*cointegrated())
    logs = finished(simulate(StatArb(), tape, interpreted=True))
    fills = logs["fills"]
    assert fills.size >= 8
    by_time = {time: fills[fills["time"] == time] for time in set(fills["time"].tolist())}
    for together in by_time.values():
        assert sorted(together["symbol"].tolist()) == [0, 1]
        assert together["side"].sum() == 0


def test_the_second_symbol_is_the_partner_whatever_it_is_called() -> None:
    """Of three symbols in the run, the strategy's own two: it is hedged with the third of the run."""
    first, second = cointegrated()
    other = np.linspace(50.0, 60.0, first.size)
    pair_alone = finished(simulate(StatArb(), tape_of(first, second), interpreted=True))
    three = tape_of(first, second, other)
    chosen = finished(simulate(StatArb(), three, symbols=("A0", "A1"), interpreted=True))
    assert chosen["fills"]["price"].tolist() == pair_alone["fills"]["price"].tolist()
    moved = tape_of(first, other, second)
    beyond = finished(simulate(StatArb(), moved, symbols=("A0", "A2"), interpreted=True))
    assert beyond["fills"]["price"].tolist() == pair_alone["fills"]["price"].tolist()
    assert set(beyond["fills"]["symbol"].tolist()) == {0, 2}


def test_a_pair_of_one_symbol_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigError, match=r"symbol\(1\): there is no such place.*there are 1: A0"):
        simulate(StatArb(), tape_of(*cointegrated()), symbols=("A0",), interpreted=True)


# --- cointegration ----------------------------------------------------------------------------------------------------


def test_a_planted_pair_is_found_and_two_random_walks_are_not() -> None:
    found = cointegration(*cointegrated(600, 0.003))
    assert found.holds()
    assert found.hedge == pytest.approx(0.8, abs=0.1)
    assert found.half_life == pytest.approx(math.log(2.0) / -math.log(0.9), rel=0.5)
    rng = np.random.default_rng(1)
    walks = np.exp(np.cumsum(0.01 * rng.standard_normal((2, 400)), axis=1))
    assert not cointegration(*walks).holds()


def test_half_life_of_a_residual_that_halves_in_each_bar_is_one_bar() -> None:
    assert half_life(2.0 ** -np.arange(20.0)) == pytest.approx(1.0)
    assert half_life(1.1 ** np.arange(20.0)) == math.inf
    assert half_life(np.array([1.0, -1.0, 1.0, -1.0])) == 0.0


@pytest.mark.parametrize(("first", "second", "told"), [
    (np.ones(40), np.ones(41), "shapes"),
    (np.arange(1.0, 20.0), np.arange(1.0, 20.0), "at least 30"),
    (np.arange(0.0, 40.0), np.arange(1.0, 41.0), r"first\[0\] = 0.0"),
    (np.arange(1.0, 41.0), np.full(40, np.nan), r"second\[0\] = nan"),
    (np.arange(1.0, 41.0), np.full(40, 5.0), "all of second is 5.0"),
])
def test_series_that_cannot_be_tested_are_refused(first: np.ndarray, second: np.ndarray, told: str) -> None:
    with pytest.raises(DataError, match=told):
        cointegration(first, second)


def test_closes_are_matched_by_time() -> None:
    close = np.arange(1.0, 6.0)
    time = np.arange(5, dtype=np.int64) * DAY
    kept = {"A": [0, 1, 3, 4], "B": [1, 2, 3]}
    tape = build_tape([BarSeries(Instrument(name), "1d", time[rows], time[rows] + DAY, *(close[rows],) * 4, close[rows])
                       for name, rows in kept.items()])
    one, other = common_closes(tape, "A", "B")
    assert (one.tolist(), other.tolist()) == ([2.0, 4.0], [2.0, 4.0])


def test_the_package_registers_it() -> None:
    assert register_strategies() == [StatArb]


def test_the_strategy_passes_the_conformance_kit() -> None:
    report = check_plugin(StatArb)
    assert report.passed, str(report)
