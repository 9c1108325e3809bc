"""The compiled loops of Monte Carlo: numpy's stream bit for bit, arch's bootstrap day for day, paths by hand."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from arch.bootstrap._samplers_python import stationary_bootstrap_sample_python

from framework.research.draws import stream_state
from framework.research.paths import visited_rows, walk_normal, walk_resampled, walk_shuffled

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")


def numpy_stream(seed: int, number: int) -> np.random.Generator:
    """Return the stream of numpy that the loops draw from."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(number,))))


def results(paths: int) -> list[np.ndarray]:
    """Return start, end, low, deep, filled with what no path leaves."""
    return [np.full(paths, math.nan) for _ in range(4)]


def by_hand(growth: np.ndarray) -> tuple[float, float, float, float]:
    """Return first step, end, lowest level and deepest drawdown of one path, as arrays of all its levels."""
    level = np.concatenate(([0.0], np.cumsum(growth)))
    return growth[0], level[-1], level.min(), np.max(np.maximum.accumulate(level) - level)


def test_normal_numbers_are_those_of_numpy_bit_for_bit() -> None:
    """100,000 of them, so that the edges of layers and the tail are met."""
    start, end, low, deep = results(100_000)
    walk_normal(stream_state(7, 3), 0.0, 1.0, 1, 0, 100_000, start, end, low, deep)
    expected = numpy_stream(7, 3).standard_normal(100_000)
    assert np.array_equal(start, expected)
    assert np.abs(expected).max() > 3.6541528853610088, "the tail beyond the last layer is met"


def test_a_stream_goes_on_where_the_last_call_left_it() -> None:
    whole, parts = results(50), results(50)
    walk_normal(stream_state(1, 0), 0.01, 0.1, 20, 0, 50, *whole)
    state = stream_state(1, 0)
    for first in range(0, 50, 10):
        walk_normal(state, 0.01, 0.1, 20, first, first + 10, *parts)
    assert np.array_equal(whole, parts)


def test_streams_of_other_chunks_and_seeds_differ() -> None:
    states = {tuple(stream_state(seed, number)) for seed in range(10) for number in range(10)}
    assert len(states) == 100


@pytest.mark.parametrize("block", [1.0, 1.5, 7.0, 200.0])
def test_the_block_bootstrap_visits_the_days_that_arch_visits(block: float) -> None:
    """One draw u serves both: a block ends where u < 1 / block, and u * block then says where the next one starts."""
    rows = 97
    visited = np.empty(rows, np.int64)
    visited_rows(stream_state(5, 1), 1.0 / block, rows, visited)
    draws = numpy_stream(5, 1).random(rows)
    starts = np.minimum((draws * (rows / (1.0 / block))).astype(np.int64), rows - 1)
    starts[0] = int(draws[0] * rows)
    assert np.array_equal(visited, stationary_bootstrap_sample_python(starts, draws, 1.0 / block))
    assert visited.min() >= 0
    assert visited.max() < rows


def test_resampled_paths_are_those_of_the_visited_days() -> None:
    growth = np.random.default_rng(1).normal(0.0, 0.02, 60)
    found, state = results(30), stream_state(2, 0)
    walk_resampled(stream_state(2, 0), growth, 0.1, 45, 0, 30, *found)
    for path in range(30):
        visited = np.empty(45, np.int64)
        visited_rows(state, 0.1, 60, visited)
        assert [column[path] for column in found] == pytest.approx(by_hand(growth[visited]), abs=1e-14)


def test_days_are_visited_equally_often_and_blocks_have_their_mean_length() -> None:
    visited = np.empty(50_000, np.int64)
    visited_rows(stream_state(3, 0), 0.1, 20, visited)
    counts = np.bincount(visited, minlength=20)
    assert counts == pytest.approx(2_500, rel=0.15)
    follows = np.mean(np.diff(visited) % 20 == 1)
    assert follows == pytest.approx(0.9 + 0.1 / 20, abs=3 * math.sqrt(0.09 / 50_000))


def test_normal_paths_are_sums_of_the_draws() -> None:
    found = results(20)
    walk_normal(stream_state(4, 0), 0.001, 0.02, 30, 0, 20, *found)
    growth = 0.001 + 0.02 * numpy_stream(4, 0).standard_normal((20, 30))
    for path in range(20):
        assert [column[path] for column in found] == pytest.approx(by_hand(growth[path]), abs=1e-14)


def test_reshuffled_paths_hold_each_step_once_and_every_order_is_as_likely() -> None:
    steps = np.array([0.1, -0.2, 0.4])
    found = results(6_000)
    walk_shuffled(stream_state(6, 0), steps.copy(), 0, 6_000, *found)
    orders = {order: by_hand(np.array(order)) for order in permutations(steps)}
    assert found[1] == pytest.approx(0.3, abs=1e-12)
    first, lowest, deepest = found[0], found[2], found[3]
    for order, (start, _, low, deep) in orders.items():
        alike = [other for other, (a, _, b, c) in orders.items() if (a, b) == (start, low) and abs(c - deep) < 1e-9]
        share = np.mean((first == start) & (np.abs(lowest - low) < 1e-9) & (np.abs(deepest - deep) < 1e-9))
        expected = len(alike) / 6
        assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 6_000)), order


def test_a_day_that_loses_everything_ends_a_path_at_nothing() -> None:
    found = results(5)
    walk_resampled(stream_state(1, 0), np.array([-math.inf, 0.1]), 0.5, 40, 0, 5, *found)
    assert np.all(np.exp(found[1]) == 0.0)
    assert np.all(np.exp(found[2]) == 0.0)
    assert np.all(-np.expm1(-found[3]) == 1.0)
