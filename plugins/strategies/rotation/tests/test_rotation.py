"""Rotation: who is held, when, and how much of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from framework_strategy_rotation import register_strategies
from framework_strategy_rotation.strategy import Rotation

from framework.indicators import Bars
from framework.model.enums import Verb
from framework.testing import check_plugin, decide_all_once, synthetic_market
from framework.testing.runs import finished, simulate

DAY = 86_400_000_000_000


def weights(momenta: list[float], held: dict[int, float] = {}, time: int = 100 * DAY, due: int = 0,  # noqa: B006
            ages: dict[int, int] = {}, **params: Any) -> list[float | None]:  # noqa: B006
    """Return the weight that each symbol is brought to, None where it is left alone; held are weights before."""
    slots = [{"ind": {"momentum": momentum}, "bar": {"close": 50.0}, "account": {"equity": 1_000.0},
              "position": {"qty": held.get(i, 0.0) * 1_000.0 / 50.0}, "clock": {"time_ns": time},
              "age": ages.get(i, 0), "shared": {"next": due}} for i, momentum in enumerate(momenta)]
    decisions = decide_all_once(Rotation(**params), *slots)
    assert all(intent.verb == Verb.TARGET for decision in decisions for intent in decision)
    return [decision[0].weight if decision else None for decision in decisions]


def test_the_two_strongest_get_equal_parts_of_what_is_invested() -> None:
    assert weights([5.0, 30.0, -2.0, 10.0]) == [None, 0.49, None, 0.49]  # 0.98 / 2


def test_who_falls_out_of_the_ranks_is_sold_and_who_stays_is_left_alone() -> None:
    assert weights([20.0, 30.0, 10.0], held={1: 0.49, 2: 0.49}) == [0.49, None, 0.0]


def test_who_has_grown_beyond_the_tolerance_is_brought_back() -> None:
    assert weights([20.0, 30.0], held={0: 0.509, 1: 0.511}) == [None, 0.49]


def test_only_rising_symbols_are_strong_and_empty_places_stay_in_cash() -> None:
    assert weights([-1.0, 0.0, 3.0]) == [None, None, 0.49]
    assert weights([4.0, 6.0, 7.0], minimum=5.0, top=3, invested=0.9) == [None, 0.9 / 3.0, 0.9 / 3.0]


def test_the_weakest_are_sold_short_when_places_are_given_to_them() -> None:
    assert weights([5.0, 30.0, -2.0, -10.0], top=1, bottom=1) == [None, 0.49, None, -0.49]
    assert weights([5.0, 30.0, 2.0], top=1, bottom=1) == [None, 0.49, None]  # nobody falls


def test_of_equals_the_first_of_the_config_is_ranked_first() -> None:
    assert weights([9.0, 9.0, 9.0], top=1, invested=1.0) == [1.0, None, None]


def test_unknown_and_stale_symbols_are_not_ranked_and_not_kept() -> None:
    assert weights([np.nan, 3.0, 2.0], top=1, invested=1.0) == [None, 1.0, None]
    assert weights([9.0, 3.0, 2.0], ages={0: 8 * DAY}, held={0: 1.0}, top=1, invested=1.0) == [0.0, 1.0, None]
    assert weights([9.0, 3.0], ages={0: -1}, top=1, invested=1.0) == [None, 1.0]  # no bar yet
    assert weights([9.0, 3.0], ages={0: 7 * DAY}, top=1, invested=1.0) == [1.0, None]


def test_it_ranks_again_only_when_the_time_has_come() -> None:
    assert weights([5.0, 3.0], time=100 * DAY, due=100 * DAY + 1) == [None, None]
    (first, _) = decide_all_once(Rotation, *[{"clock": {"time_ns": 100 * DAY}, "account": {"equity": 1.0}}] * 2)
    assert first.shared.next == 130 * DAY


def test_a_run_holds_at_most_top_positions_and_chooses_every_thirty_days() -> None:
    tape = synthetic_market(400, ("A", "B", "C", "D"), kind="trending", seed=3)
    logs = finished(simulate(Rotation(lookback=40, top=2), tape, interpreted=True))
    held: dict[int, float] = {}
    times = sorted(set(logs["orders"]["placed_time"].tolist()))
    assert len(times) > 3
    assert min(np.diff(times)) >= 30 * DAY
    for fill in logs["fills"]:
        held[int(fill["symbol"])] = float(fill["position"])
        assert sum(qty > 0.0 for qty in held.values()) <= 2
        assert all(qty >= 0.0 for qty in held.values())


def test_it_ranks_by_half_a_year_without_the_last_week() -> None:
    assert [repr(x) for x in Rotation().indicators(Bars()).values()] == ["roc(close, 126).shift(5)"]


def test_the_package_registers_it() -> None:
    assert register_strategies() == [Rotation]


def test_the_strategy_passes_the_conformance_kit() -> None:
    report = check_plugin(Rotation, params={"bottom": 1})
    assert report.passed, str(report)
