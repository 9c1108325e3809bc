"""The way back through days that the rule of correlation takes: the right bars, and only those."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from framework.engine.correlation import correlation
from framework.engine.state import days_before
from framework.rules import Correlation, PositionLimits
from tests.rule_cases import MINUTE, Script, composed, flat_tape

MINUTES_A_DAY = 1440


def walked_back(series: np.ndarray, account_day: np.ndarray) -> list[int]:
    """Return, one bar at a time, the last bar of an earlier day; the row before the first without one."""
    found = []
    for begin, end in zip(series[:-1].tolist(), series[1:].tolist(), strict=True):
        for bar in range(begin, end):
            before = bar - 1
            while before >= begin and account_day[before] == account_day[bar]:
                before -= 1
            found.append(before)
    return found


@pytest.mark.parametrize("seed", range(30))
def test_the_bar_of_the_day_before_is_the_one_that_a_walk_finds(seed: int) -> None:
    """Symbols with and without bars; days of any number of bars, days without any, the same day on both sides."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice([0, 1, 2, 17, 40], rng.integers(1, 6))
    series = np.concatenate(([0], np.cumsum(sizes)))
    parts = [3 + np.cumsum(rng.choice([0, 0, 0, 1, 4], size)) for size in sizes]
    account_day = np.concatenate([*parts, [99]]).astype(np.int32)[: series[-1]]
    assert days_before(series, account_day).tolist() == walked_back(series, account_day)


class Counted:
    """An array that counts what is read of it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.reads = values, 0

    def __getitem__(self, place: int) -> Any:
        self.reads += 1
        return self.values[place]


@pytest.mark.parametrize("days", [30, 45])
def test_a_correlation_of_minutes_reads_a_bar_a_day(days: int) -> None:
    """40 days of minutes of two symbols, the second without every third day: numpy's coefficient from few reads."""
    rng = np.random.default_rng(5)
    count = 40 * MINUTES_A_DAY
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, (2, count)), axis=1))
    day = np.arange(count) // MINUTES_A_DAY
    kept = day % 3 != 0
    account_day = np.concatenate((day, day[kept])).astype(np.int32)
    series = np.array([0, count, account_day.size])
    tape = SimpleNamespace(series=series, account_day=Counted(account_day), day_before=days_before(series, account_day),
                           close=Counted(np.concatenate((close[0], close[1][kept]))))
    plain = getattr(correlation, "py_func", correlation)
    got = plain(tape, 0, count - 1, 1, account_day.size - 1, days)
    ends = np.flatnonzero(np.diff(day, append=-1) != 0)[np.arange(40) % 3 != 0][-days - 1 :]
    returns = [np.diff(prices[ends]) / prices[ends[:-1]] for prices in close]
    assert got == pytest.approx(np.corrcoef(*returns)[0, 1], abs=1e-9)
    assert tape.account_day.reads <= 2 * 41
    assert tape.close.reads <= 4 * 41


def test_the_days_are_prepared_only_for_rules_that_compare_them() -> None:
    tape = flat_tape([100.0] * 50, ("A", "B"), step=60 * MINUTE)
    for rules, size in (([PositionLimits()], 0), ([Correlation(enforce_correlation_check=False)], 0),
                        ([Correlation()], 100)):  # fmt: skip
        assert composed(tape, rules, Script()).tape.day_before.size == size
