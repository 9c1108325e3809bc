"""The probability of backtest overfitting, by combinatorially symmetric cross-validation (CSCV).

The days are cut into blocks; every choice of half of them is once the sample in which the best trial is picked, the
other half the sample in which it has to show it.  Overfit is a search whose best trial then falls into the worse half.

Source: Bailey, Borwein, Lopez de Prado & Zhu (2015), "The Probability of Backtest Overfitting", sections 3 and 4.
"""

from __future__ import annotations

import math
from itertools import combinations

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from framework.errors import ConfigError, DataError
from framework.research.sharpe import ROUNDING, Floats, trial_array

MOST_TRIALS = 2_000
"""Beyond this number a random sample of the trials is judged."""

BLOCKS = 16
"""The paper's choice: 12,870 ways to choose half of them."""

AT_ONCE = 1 << 19
"""Values of one array that are worked on at a time: combinations of blocks * trials."""

TIE = 1e-12
"""Sharpe ratios that differ by less are equal."""


@attrs.frozen(eq=False)
class Overfitting:
    """What CSCV found.

    value: the probability of backtest overfitting, the share of combinations with a logit <= 0.
    logits: float64[combinations], log(w / (1 - w)) of the relative rank w of the chosen trial out of sample.
    in_sample, out_of_sample: float64[combinations], the Sharpe ratio per day of the chosen trial.
    chosen: int64[combinations], the trial chosen, a row of the returns.
    trials: all; judged: those that were looked at.  blocks: of days.
    """

    value: float
    logits: Floats
    in_sample: Floats
    out_of_sample: Floats
    chosen: NDArray[np.int64]
    trials: int
    judged: int
    blocks: int

    @property
    def loss_probability(self) -> float:
        """The share of combinations in which the chosen trial loses out of sample."""
        return float(np.mean(self.out_of_sample < 0.0))

    @property
    def degradation(self) -> float:
        """The slope of the Sharpe ratio out of sample over that in sample, NaN where the latter does not vary."""
        away = self.in_sample - self.in_sample.mean()
        spread = float(np.sum(away**2))
        return float(np.sum(away * self.out_of_sample)) / spread if spread > 0.0 else math.nan

    @property
    def sentence(self) -> str:
        """What the number says."""
        of = f"{self.trials:,} trials" if self.judged == self.trials else (
            f"{self.judged:,} trials, drawn from {self.trials:,}")
        word = "the search found noise" if self.value >= 0.5 else (
            "what was found lasts" if self.value <= 0.1 else "what was found may well be noise")
        return (f"The best of {of} in one half of the days was among the worse half of them in the other days in "
                f"{self.value:.1%} of {len(self.logits):,} ways to halve them: {word}.")


def probability_of_overfitting(returns: ArrayLike, blocks: int = BLOCKS, seed: int = 1) -> Overfitting:
    """Return the probability of backtest overfitting of a search, with the Sharpe ratio per day as its measure.

    returns: (trials, days), daily returns of all trials on common days; at least two trials.  blocks: even, 2 to 20;
    they are equally long, or differ by one day.  seed: of the sample drawn from more than 2,000 trials.
    The best of equal trials is the first; ranks of equal ones are shared.  A trial that does not vary in a half has
    the Sharpe ratio 0 there.  O(combinations * trials).
    Raises ConfigError for such a number of blocks, DataError for fewer than two trials or two days a block.
    """
    values = trial_array(returns)
    trials, days = values.shape
    if blocks % 2 or not 2 <= blocks <= 20:
        raise ConfigError(f"{blocks} blocks of days; the number must be even, from 2 to 20")
    if trials < 2:
        raise DataError("one trial cannot be overfit by choosing it; the probability needs at least two trials")
    if days < 2 * blocks:
        raise DataError(f"{days} days are fewer than two for each of {blocks} blocks; take fewer blocks")
    rows = np.arange(trials)
    if trials > MOST_TRIALS:
        rows = np.sort(np.random.default_rng(seed).choice(trials, MOST_TRIALS, replace=False))
    length, total, squares = block_sums(values[rows], blocks)
    picks, step = half_of(blocks), max(1, AT_ONCE // len(rows))
    found = [judge(picks[at:at + step], length, total, squares) for at in range(0, len(picks), step)]
    chosen, inside, outside, rank = (np.concatenate(parts) for parts in zip(*found, strict=True))
    relative = rank / (len(rows) + 1)
    logits = np.log(relative / (1.0 - relative))
    return Overfitting(float(np.mean(logits <= 0.0)), logits, inside, outside, rows[chosen], trials, len(rows), blocks)


def block_sums(values: Floats, blocks: int) -> tuple[Floats, Floats, Floats]:
    """Return days float64[blocks], sums and sums of squares float64[blocks, trials] of each block of days."""
    edges = np.linspace(0, values.shape[1], blocks + 1).round().astype(np.int64)
    sums = [np.add.reduceat(part, edges[:-1], axis=1).T for part in (values, values**2)]
    return np.diff(edges).astype(np.float64), sums[0], sums[1]


def half_of(blocks: int) -> Floats:
    """Return every choice of half of the blocks as rows of 0 and 1, float64[combinations, blocks]."""
    picks = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, chosen in zip(picks, combinations(range(blocks), blocks // 2), strict=True):
        row[list(chosen)] = 1.0
    return picks


def judge(
    picks: Floats, length: Floats, total: Floats, squares: Floats
) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Return per combination the trial chosen, its Sharpe ratio in and out of sample, and its rank out of sample.

    The rank counts from 1, the worst; equal trials share the mean of theirs.
    """
    inside = sharpe_of_sums(picks @ length, picks @ total, picks @ squares)
    rest = 1.0 - picks
    outside = sharpe_of_sums(rest @ length, rest @ total, rest @ squares)
    chosen = first_best(inside)
    each = np.arange(len(picks))
    reached = outside[each, chosen]
    worse = np.sum(outside < (reached - TIE)[:, None], axis=1)
    better = np.sum(outside > (reached + TIE)[:, None], axis=1)
    equal = outside.shape[1] - worse - better
    return chosen, inside[each, chosen], reached, worse + (equal + 1) / 2


def first_best(values: Floats) -> NDArray[np.int64]:
    """Return per row the first column that is as large as the largest, rounding aside."""
    is_best = values >= values.max(axis=1, keepdims=True) - TIE
    return np.asarray(is_best.argmax(axis=1), np.int64)


def sharpe_of_sums(days: Floats, total: Floats, squares: Floats) -> Floats:
    """Return Sharpe ratios per day from sums, float64[combinations, trials]; 0 where nothing varies."""
    count = days[:, None]
    mean = total / count
    rest = squares - total * mean
    does_vary = rest > ROUNDING * squares
    deviation = np.sqrt(np.where(does_vary, rest, 1.0) / (count - 1.0))
    return np.where(does_vary, mean / deviation, 0.0)
