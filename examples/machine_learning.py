"""Train a classifier on two years of four US stocks, trade what it says in the third, and move on by a year.

    python examples/machine_learning.py

The model is scikit-learn's, which no compiler turns into a step; so the strategy runs interpreted. It needs the
packages scikit-learn and bokeh_sampledata. Every leg of the walk-forward trains anew, on the bars before its test and
on none besides: features are the declared indicators, the same in training and in the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier

import framework
from framework import Now, Param, Strategy, Train, buy, close_position
from framework.indicators import Bars, Expression, atr, percentile_rank, roc, rsi, volume_zscore, zscore

SYMBOLS = ["AAPL", "GOOG", "IBM", "MSFT"]
HORIZON = 5
"""Bars ahead whose change is predicted."""


class Boosted(Strategy):
    """Hold what a trained classifier expects to rise."""

    name = "boosted"
    enter = Param(0.58, low=0.5, high=1.0, doc="probability of a rise that an entry exceeds")
    leave = Param(0.48, low=0.0, high=1.0, doc="probability below which a position is closed")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the features, and the average true range for the stop."""
        close = bars.close
        return {"month": roc(close, 20), "week": roc(close, 5), "strength": rsi(close, 14),
                "stretch": zscore(close, 20), "volume": volume_zscore(bars, 20),
                "calm": percentile_rank(atr(bars, 14) / close, 100), "atr": atr(bars, 14)}

    def fit(self, train: Train) -> GradientBoostingClassifier:
        """Return a classifier of whether the close is higher `HORIZON` bars later."""
        samples = [samples_of(train, symbol) for symbol in train.symbols]
        features, rises = (np.concatenate(parts) for parts in zip(*samples, strict=True))
        model = GradientBoostingClassifier(n_estimators=50, max_depth=2, subsample=0.5, random_state=train.seed)
        return model.fit(features, rises)

    @staticmethod
    def decide(now: Now) -> None:
        """Enter where the model is confident, leave where it is not any more."""
        ind = now.ind
        row = [ind.month, ind.week, ind.strength, ind.stretch, ind.volume, ind.calm]
        rises = now.model.predict_proba([row])[0, 1]
        if now.position.qty == 0.0 and rises > now.p.enter:
            buy(now, stop_offset=3.0 * ind.atr)
        elif now.position.qty > 0.0 and rises < now.p.leave:
            close_position(now)


def samples_of(train: Train, symbol: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features float64[n, 6] and labels bool[n] of a symbol: bars whose label is known when training ends."""
    columns = [column for name, column in train.columns(symbol).items() if name != "atr"]
    close = train.tape.close[train.rows(symbol)]
    known = np.column_stack(columns)[:-HORIZON]
    usable = np.isfinite(known).all(axis=1)
    return known[usable], (close[HORIZON:] > close[:-HORIZON])[usable]


def main(**settings: Any) -> framework.Forward:
    """Train and trade leg by leg, and return the result; settings replace those below."""
    found = framework.walk_forward(
        data={"source": "sample", "symbols": SYMBOLS}, strategy=Boosted(), **{
            "start": "2004-10-01", "end": "2010-12-31", "sizing": "risk_per_trade", "fees": {"taker_bps": 1},
            "slippage": {"name": "fixed", "bps": 2}, "walk_forward": {"train": "24mo", "test": "12mo"},
            "optimize": {"space": {"enter": [0.55, 0.6]}, "objective": "Return [%]", "executor": "local", "workers": 1},
            **settings})
    for fit in found.out.fits:
        print(f"trained on {fit['bars']:,} bars until {fit['trained_until']}")
    print(f"{found.stats['# Trades']} trades, {found.stats['Return [%]']:.1f} % in {len(found.legs)} years")
    return found


if __name__ == "__main__":
    main()
