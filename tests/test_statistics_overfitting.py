"""The probability of backtest overfitting and the reality check, against other implementations of them."""

from __future__ import annotations

import sys
from itertools import combinations, pairwise

import numpy as np
import pytest
from arch.bootstrap import SPA
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress, rankdata

from framework.errors import ConfigError, DataError
from framework.research import overfitting
from framework.research.overfitting import probability_of_overfitting
from framework.research.statistics import search_evidence
from framework.research.superiority import long_run_variance, superior_ability


def noise(trials: int, days: int, seed: int = 1, deviation: float = 0.01) -> np.ndarray:
    """Return daily returns without any edge."""
    return np.random.default_rng(seed).normal(0.0, 1.0, (trials, days)) * deviation


def ratio(part: np.ndarray) -> np.ndarray:
    """Return Sharpe ratios per day, 0 where nothing varies."""
    deviation = part.std(axis=1, ddof=1)
    return np.where(deviation > 1e-15, part.mean(axis=1) / np.where(deviation > 1e-15, deviation, 1.0), 0.0)


def by_the_paper(returns: np.ndarray, blocks: int) -> tuple[list[float], list[float], list[float]]:
    """Return logits and the Sharpe ratios in and out of sample, step by step as in section 3 of the paper."""
    edges = [round(i * returns.shape[1] / blocks) for i in range(blocks + 1)]
    parts = [returns[:, a:b] for a, b in pairwise(edges)]
    logits, inside, outside = [], [], []
    for chosen in combinations(range(blocks), blocks // 2):
        training = ratio(np.concatenate([parts[i] for i in chosen], axis=1))
        testing = ratio(np.concatenate([parts[i] for i in range(blocks) if i not in chosen], axis=1))
        best = int(np.argmax(training))
        relative = rankdata(testing)[best] / (len(returns) + 1)
        logits.append(float(np.log(relative / (1.0 - relative))))
        inside.append(training[best])
        outside.append(testing[best])
    return logits, inside, outside


# --- CSCV -------------------------------------------------------------------------------------------------------------

PYPBO = [
    (1, 30, 320, 8, 0.8, 61 / 70, -0.6445444993155036, -46.16090669470293),
    (2, 50, 160, 10, 169 / 252, 157 / 252, -0.633165078589725, -131.04643976456296),
    (5, 7, 96, 6, 0.15, 0.1, -0.20372105593081016, 26.569797613531957),
]
"""seed, trials, days, blocks; PBO, probability of loss, slope and sum of logits as computed by pypbo (ddbc63143dad)."""


@pytest.mark.parametrize(("seed", "trials", "days", "blocks", "value", "loss", "slope", "logits"), PYPBO)
def test_pypbo_finds_the_same(seed: int, trials: int, days: int, blocks: int, value: float, loss: float, slope: float,
                              logits: float) -> None:
    returns = noise(trials, days, seed)
    if seed == 5:
        returns[2] += 0.003
    found = probability_of_overfitting(returns, blocks)
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.loss_probability == pytest.approx(loss, rel=1e-12)
    assert found.degradation == pytest.approx(slope, rel=1e-9)
    assert found.logits.sum() == pytest.approx(logits, rel=1e-9)


@settings(max_examples=40)
@given(st.integers(2, 12), st.sampled_from([2, 4, 6]), st.integers(0, 9), st.integers(0, 2**32), st.booleans())
def test_the_steps_of_the_paper_find_the_same(trials: int, blocks: int, odd: int, seed: int, trades_rarely: bool
                                              ) -> None:
    """Also with blocks of unequal length, and with trials that do nothing in most of them."""
    returns = noise(trials, 4 * blocks + odd, seed)
    if trades_rarely:
        returns[: trials // 2, : 3 * blocks] = 0.0
    found = probability_of_overfitting(returns, blocks)
    logits, inside, outside = by_the_paper(returns, blocks)
    assert found.logits == pytest.approx(logits, abs=1e-9)
    assert found.in_sample == pytest.approx(inside, abs=1e-9)
    assert found.out_of_sample == pytest.approx(outside, abs=1e-9)
    assert found.value == pytest.approx(np.mean(np.array(logits) <= 1e-12))
    if np.ptp(inside) > 1e-6:
        assert found.degradation == pytest.approx(linregress(inside, outside).slope, rel=1e-6, abs=1e-9)


def test_sixteen_blocks_have_12870_halves() -> None:
    found = probability_of_overfitting(noise(3, 64))
    assert (found.blocks, len(found.logits)) == (16, 12_870)


def test_a_choice_among_copies_is_no_finding() -> None:
    """All share the middle rank, so every logit is 0."""
    found = probability_of_overfitting(np.repeat(noise(1, 80), 6, axis=0), 4)
    assert np.all(found.logits == 0.0)
    assert found.value == 1.0


def test_beyond_two_thousand_trials_a_seeded_sample_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overfitting, "MOST_TRIALS", 20)
    returns = noise(50, 60)
    found, again = (probability_of_overfitting(returns, 4, seed=3) for _ in range(2))
    assert (found.trials, found.judged) == (50, 20)
    assert np.array_equal(found.logits, again.logits)
    rows = np.sort(np.random.default_rng(3).choice(50, 20, replace=False))
    assert np.array_equal(found.logits, probability_of_overfitting(returns[rows], 4).logits)
    assert set(found.chosen) <= set(rows)
    assert "20 trials, drawn from 50" in found.sentence
    assert not np.array_equal(found.logits, probability_of_overfitting(returns, 4, seed=4).logits)


def test_what_cannot_be_cut_is_refused() -> None:
    for blocks in (3, 0, 22):
        with pytest.raises(ConfigError, match="must be even, from 2 to 20"):
            probability_of_overfitting(noise(3, 100), blocks)
    with pytest.raises(DataError, match="31 days are fewer than two for each of 16 blocks"):
        probability_of_overfitting(noise(3, 31))
    with pytest.raises(DataError, match="at least two trials"):
        probability_of_overfitting(noise(1, 100))


# --- White's reality check --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_p_values_are_those_of_arch(seed: int) -> None:
    """With the same resampled histories, and trials far below the benchmark, which Hansen's test leaves out."""
    returns = noise(30, 300, seed)
    returns[5] -= 0.005
    returns[7] += 0.0005 * seed
    benchmark = noise(1, 300, seed + 10)[0] * 0.3
    theirs = SPA(-benchmark, -returns.T, block_size=12, reps=500, seed=seed)
    theirs.compute()
    ours = superior_ability(returns, benchmark, block=12, repetitions=500, seed=seed)
    assert [ours.lower, ours.value, ours.reality_check] == list(theirs.pvalues)
    over = (returns - benchmark).T
    assert long_run_variance(over, 1 / 12) == pytest.approx(theirs._loss_diff_var, rel=1e-9)


def test_pieces_of_work_do_not_change_the_p_values(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = superior_ability(noise(20, 200), repetitions=300)
    monkeypatch.setattr("framework.research.superiority.AT_ONCE", 1_000)
    assert superior_ability(noise(20, 200), repetitions=300) == whole


def test_the_reality_check_refuses_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="9 days are too few"):
        superior_ability(noise(2, 9))
    for wrong in ({"block": 0}, {"block": 101}, {"repetitions": 99}):
        with pytest.raises(ConfigError, match="at least 100 repetitions"):
            superior_ability(noise(2, 100), **wrong)
    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    with pytest.raises(ConfigError, match=r"trading-framework\[research\]"):
        superior_ability(noise(2, 100))
    evidence = search_evidence(noise(3, 100), blocks=4)
    assert evidence.superiority is None
    assert any("No reality check" in note for note in evidence.sentences)


# --- all of it --------------------------------------------------------------------------------------------------------


def test_pure_noise_is_called_overfit() -> None:
    """The PBO of 200 searches is 0.5 within three errors; the DSR is below 0.95 in all but what chance allows."""
    values = [probability_of_overfitting(noise(60, 300, seed), 8).value for seed in range(200)]
    assert np.mean(values) == pytest.approx(0.5, abs=3 * np.std(values) / 200**0.5)
    found = [search_evidence(noise(60, 500, seed), blocks=8, repetitions=200) for seed in range(30)]
    assert all("lasts" not in one.overfitting.sentence for one in found)
    assert np.mean([one.deflated.value for one in found]) < 0.6
    assert sum(one.deflated.value > 0.95 for one in found) <= 3
    assert sum(one.superiority.reality_check < 0.05 for one in found) <= 5
    assert sum(one.probabilistic.value > 0.95 for one in found) >= 20, "which alone would have been believed"


def test_a_planted_edge_is_not_called_overfit() -> None:
    for seed in range(5):
        returns = noise(60, 1_000, seed)
        returns[17] += 0.002
        found = search_evidence(returns, blocks=8, repetitions=200)
        assert found.chosen == 17
        assert found.deflated.value > 0.99
        assert found.overfitting.value < 0.05
        assert found.superiority.reality_check < 0.05
        assert found.length.is_long_enough


def test_evidence_says_one_sentence_for_each_statistic_and_gives_plain_figures() -> None:
    found = search_evidence(noise(8, 100), blocks=4, repetitions=100)
    assert len(found.sentences) == 5
    assert all(sentence.endswith(".") and sentence.count(". ") == 0 for sentence in found.sentences)
    plain = found.to_dict()
    assert plain["trials"] == 8
    assert plain["deflated_sharpe_ratio"] == found.deflated.value
    assert plain["probability_of_overfitting"] == found.overfitting.value
    assert all(isinstance(value, int | float | list) for value in plain.values())


def test_earlier_searches_count_as_trials() -> None:
    returns = noise(8, 200)
    alone, after = (search_evidence(returns, earlier_sharpes=earlier, blocks=4, repetitions=100)
                    for earlier in ((), [0.01] * 92))
    assert (alone.deflated.trials, after.deflated.trials) == (8, 100)
    assert after.deflated.effective == pytest.approx(alone.deflated.effective * 100 / 8)
    assert after.length.trials == 100


def test_one_short_trial_has_what_can_be_had() -> None:
    found = search_evidence(noise(1, 20))
    assert found.overfitting is None
    assert "one trial cannot be overfit" in found.sentences[-1]
    assert found.superiority is not None
    with pytest.raises(DataError, match="trial 1 is not one of the 1 trials"):
        search_evidence(noise(1, 20), chosen=1)


def test_a_search_in_which_nobody_trades_is_not_an_error() -> None:
    found = search_evidence(np.zeros((3, 64)), blocks=4, repetitions=100)
    assert np.isnan(found.deflated.value)
    assert found.superiority.reality_check == 1.0
