"""Statistics that protect: everything that says how far the best of a search can be believed, in one call.

    evidence = search_evidence(returns)          # (trials, days), daily returns of all trials on common days
    print(*evidence.sentences, sep="\\n")

Each of its parts is a function of its own: `probabilistic_sharpe_ratio`, `deflated_sharpe_ratio`,
`minimum_backtest_length`, `probability_of_overfitting`, `superior_ability`.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
from numpy.typing import ArrayLike

from framework.errors import ConfigError, DataError
from framework.research.overfitting import BLOCKS, Overfitting, probability_of_overfitting
from framework.research.sharpe import (
    BacktestLength,
    DeflatedSharpe,
    ProbabilisticSharpe,
    deflated_sharpe_ratio,
    effective_trials,
    minimum_backtest_length,
    probabilistic_sharpe_ratio,
    sharpe_ratios,
    trial_array,
)
from framework.research.superiority import REPETITIONS, Superiority, superior_ability

__all__ = [
    "BacktestLength",
    "DeflatedSharpe",
    "Evidence",
    "Overfitting",
    "ProbabilisticSharpe",
    "Superiority",
    "deflated_sharpe_ratio",
    "effective_trials",
    "minimum_backtest_length",
    "probabilistic_sharpe_ratio",
    "probability_of_overfitting",
    "search_evidence",
    "sharpe_ratios",
    "superior_ability",
]


@attrs.frozen(eq=False)
class Evidence:
    """What a search is worth.  chosen: the row of the trial that the first three are about.

    overfitting, superiority: None where they could not be had; `notes` says why.
    """

    chosen: int
    probabilistic: ProbabilisticSharpe
    deflated: DeflatedSharpe
    length: BacktestLength
    overfitting: Overfitting | None
    superiority: Superiority | None
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """One plain sentence of each statistic, then what could not be had."""
        parts = (self.probabilistic, self.deflated, self.length, self.overfitting, self.superiority)
        return (*(part.sentence for part in parts if part is not None), *self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return names and figures as plain values for a JSON document; NaN stays NaN."""
        deflated, over, superior = self.deflated, self.overfitting, self.superiority
        return {
            "chosen": self.chosen,
            "trials": deflated.trials,
            "effective_trials": deflated.effective,
            "days": deflated.moments.days,
            "daily_sharpe": deflated.moments.sharpe,
            "skew": deflated.moments.skew,
            "kurtosis": deflated.moments.kurtosis,
            "variance_of_sharpes": deflated.variance,
            "probabilistic_sharpe_ratio": self.probabilistic.value,
            "deflated_sharpe_ratio": deflated.value,
            "deflated_sharpe_ratio_effective": deflated.value_effective,
            "minimum_backtest_years": self.length.years,
            "backtest_years": self.length.available,
            "probability_of_overfitting": math.nan if over is None else over.value,
            "out_of_sample_loss_probability": math.nan if over is None else over.loss_probability,
            "reality_check_p_value": math.nan if superior is None else superior.reality_check,
            "superior_ability_p_value": math.nan if superior is None else superior.value,
            "sentences": list(self.sentences),
        }


def search_evidence(
    returns: ArrayLike,
    chosen: int | None = None,
    annualization: float = 252.0,
    earlier_sharpes: ArrayLike = (),
    blocks: int = BLOCKS,
    repetitions: int = REPETITIONS,
    seed: int = 1,
) -> Evidence:
    """Return everything that says how far the best of a search can be believed.

    returns: (trials, days), daily returns of all trials of the search on common days.  chosen: the row of the one that
    is meant, that of the highest Sharpe ratio by default.  annualization: days a year.  earlier_sharpes: Sharpe ratios
    per day of trials of earlier searches on the same data; they count as trials, and as independent ones in proportion.
    blocks: of days, for the probability of overfitting.  repetitions: of the bootstrap.
    Raises DataError for returns of another shape or a row that does not exist.
    """
    values = trial_array(returns)
    ratios = sharpe_ratios(values)
    if chosen is None:
        chosen = 0 if np.isnan(ratios).all() else int(np.nanargmax(ratios))
    if not 0 <= chosen < len(values):
        raise DataError(f"trial {chosen} is not one of the {len(values)} trials, which count from 0")
    every = np.concatenate((ratios, np.asarray(earlier_sharpes, np.float64).ravel()))
    effective = max(1.0, effective_trials(values) * len(every) / len(values))
    probabilistic = probabilistic_sharpe_ratio(values[chosen])
    deflated = deflated_sharpe_ratio(values[chosen], every, effective=effective)
    length = minimum_backtest_length(len(every), ratios[chosen] * math.sqrt(annualization),
                                     values.shape[1] / annualization)
    notes = []
    overfitting = superiority = None
    try:
        overfitting = probability_of_overfitting(values, blocks, seed)
    except DataError as error:
        notes.append(f"No probability of overfitting: {error}.")
    try:
        superiority = superior_ability(values, repetitions=repetitions, seed=seed)
    except (ConfigError, DataError) as error:
        notes.append(f"No reality check: {error}.")
    return Evidence(chosen, probabilistic, deflated, length, overfitting, superiority, tuple(notes))
