"""The report of a search says what was found: noise on markets without an edge, something that lasts where one is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import framework
from framework.research import study
from framework.research.search import Search
from framework.research.search_report import search_html

pytest.importorskip("arch")

DAYS = 1_500
SPACE = {"fast": [2, 3, 4, 6, 9], "slow": [12, 18, 27, 40, 60]}


def market(seed: int, drift: float) -> pl.DataFrame:
    """Return daily bars whose returns are normal (1 %) around a drift that changes its sign every 30 days on average.

    drift: a fraction a day; 0 leaves a random walk.
    """
    random = np.random.default_rng(seed)
    sign = np.where(np.cumsum(random.random(DAYS) < 1.0 / 30.0) % 2 == 0, 1.0, -1.0)
    close = 100.0 * np.exp(np.cumsum(drift * sign + 0.01 * random.standard_normal(DAYS)))
    before = np.concatenate(([100.0], close[:-1]))
    time = np.datetime64("2018-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
    return pl.DataFrame({"time": time, "open": before, "high": np.maximum(before, close),
                         "low": np.minimum(before, close), "close": close, "volume": np.full(DAYS, 1e9)})


def found_on(seed: int, drift: float, space: dict[str, Any] = SPACE, out: Path | None = None) -> Search:
    """Search for the best averages on a market."""
    settings: dict[str, Any] = {"stamp": "open", "timeframe": "1d", "space": space, "min_trades": 0}
    return framework.optimize(data={"X": market(seed, drift)}, strategy="ma_cross", executor="local", workers=1,
                              out=out, **settings)


def test_on_noise_the_report_says_overfit() -> None:
    """Ten random walks: the probability of overfitting is about one half, and no best trial passes for skill."""
    over, deflated = [], []
    for seed in range(10):
        evidence = found_on(seed, 0.0).evidence
        assert evidence is not None
        assert evidence.overfitting is not None
        over.append(evidence.overfitting.value)
        deflated.append(evidence.deflated.value)
    assert 0.35 < float(np.mean(over)) < 0.75
    assert max(deflated) < 0.95


def test_a_large_search_whose_best_is_not_in_the_sample_says_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its returns are made again; the Sharpe ratios of the others count, also of those that never traded."""
    whole = found_on(3, 0.006)
    monkeypatch.setattr(study, "KEPT_RETURNS", 8)
    sampled = found_on(3, 0.006)
    assert 2 <= len(sampled.returns) < len(whole.returns)
    assert sampled.best.number not in sampled.returns
    assert whole.evidence is not None
    assert sampled.evidence is not None
    assert sampled.evidence.probabilistic.value == whole.evidence.probabilistic.value
    assert sampled.evidence.deflated.value == pytest.approx(whole.evidence.deflated.value, abs=1e-12)
    assert sampled.evidence.deflated.trials == whole.evidence.deflated.trials == len(whole.outcomes)


def test_a_trial_that_never_moved_counts_whether_its_returns_were_kept_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Averages of equal length never cross: five of 25 pairs."""
    lengths = [3, 4, 6, 9, 12]
    equal = {"fast": lengths, "slow": lengths}
    counts = []
    for most in (2_000, 8):
        monkeypatch.setattr(study, "KEPT_RETURNS", most)
        found = found_on(3, 0.006, equal)
        assert found.evidence is not None
        counts.append(found.evidence.deflated.trials)
    assert counts == [25, 25]


def test_trials_of_a_search_beside_it_count_also_those_that_never_moved(tmp_path: Path) -> None:
    """25 pairs, five of them of equal lengths, which never trade."""
    lengths = [3, 4, 6, 9, 12]
    found_on(3, 0.006, {"fast": lengths, "slow": lengths}, tmp_path / "one")
    found = found_on(3, 0.006, SPACE, tmp_path / "other")
    assert len(found.earlier) == 25
    assert np.isnan(found.earlier).sum() == 5
    assert found.evidence is not None
    assert found.evidence.deflated.trials == 25 + 25


def test_on_a_planted_edge_it_does_not() -> None:
    """A drift of 0.6 % a day that holds for weeks: quick averages earn it, in every part of the time."""
    for seed in range(4):
        evidence = found_on(seed, 0.006).evidence
        assert evidence is not None
        assert evidence.overfitting is not None
        assert evidence.superiority is not None
        assert evidence.overfitting.value < 0.1
        assert evidence.deflated.value > 0.95
        assert evidence.superiority.reality_check < 0.05


def test_the_sentences_stand_in_the_report() -> None:
    noise, edge = (re.sub(r"<[^>]+>", " ", search_html(found_on(1, drift))) for drift in (0.0, 0.006))
    assert "what was found lasts" in edge
    assert "what was found lasts" not in noise
    assert "below 95 % it may well be luck" in noise
    for page in (noise, edge):
        for statistic in ("the only strategy ever tried", "Counting all 25 trials", "without any skill",
                          "in one half of the days", "reality check"):
            assert statistic in page, statistic
