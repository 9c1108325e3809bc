"""Train a classifier on the first years of four US stocks, and trade what it says in the years after.

    python examples/machine_learning.py

The model is scikit-learn's, which no compiler turns into a step; so the strategy runs interpreted. It needs the
packages scikit-learn and bokeh_sampledata. Nothing of the years traded is seen in training: a label that reaches into
them is left out, and features are the same causal indicators in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier

import framework
from framework import Now, Param, Strategy, Tape, buy, close_position
from framework.data import load_tape
from framework.indicators import Bars, Expression, atr, evaluate, percentile_rank, roc, rsi, volume_zscore, zscore

SYMBOLS = ["AAPL", "GOOG", "IBM", "MSFT"]
TRAINED_UNTIL = "2008-01-01"
HORIZON = 5
"""Bars ahead whose change is predicted."""


class Boosted(Strategy):
    """Hold what a trained classifier expects to rise."""

    name = "boosted"
    enter = Param(0.58, low=0.5, high=1.0, doc="probability of a rise that an entry exceeds")
    leave = Param(0.48, low=0.0, high=1.0, doc="probability below which a position is closed")
    model: ClassVar[Any] = None

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the features, and the average true range for the stop."""
        close = bars.close
        return {"month": roc(close, 20), "week": roc(close, 5), "strength": rsi(close, 14),
                "stretch": zscore(close, 20), "volume": volume_zscore(bars, 20),
                "calm": percentile_rank(atr(bars, 14) / close, 100), "atr": atr(bars, 14)}

    @staticmethod
    def decide(now: Now) -> None:
        """Enter where the model is confident, leave where it is not any more."""
        ind = now.ind
        row = [ind.month, ind.week, ind.strength, ind.stretch, ind.volume, ind.calm]
        rises = Boosted.model.predict_proba([row])[0, 1]
        if now.position.qty == 0.0 and rises > now.p.enter:
            buy(now, stop_offset=3.0 * ind.atr)
        elif now.position.qty > 0.0 and rises < now.p.leave:
            close_position(now)


def samples(tape: Tape, until: np.datetime64) -> tuple[np.ndarray, np.ndarray]:
    """Return features float64[n, 6] and labels bool[n] of all symbols whose label is known before `until`."""
    features, labels = [], []
    for symbol in range(tape.n_symbols):
        rows = tape.rows(symbol)
        columns = [evaluate(x, tape, symbol) for name, x in Boosted().indicators(Bars()).items() if name != "atr"]
        close = tape.close[rows]
        known = np.column_stack(columns)[:-HORIZON]
        is_past = tape.close_time[rows][HORIZON:] < until.astype("datetime64[ns]").astype(int)
        usable = np.isfinite(known).all(axis=1) & is_past
        features.append(known[usable])
        labels.append((close[HORIZON:] > close[:-HORIZON])[usable])
    return np.concatenate(features), np.concatenate(labels)


def main() -> framework.Result:
    """Train, trade and return the result."""
    x, y = samples(load_tape("sample", {}, SYMBOLS, None), np.datetime64(TRAINED_UNTIL))
    Boosted.model = GradientBoostingClassifier(n_estimators=50, max_depth=2, subsample=0.5, random_state=1).fit(x, y)
    result = framework.backtest(data={"source": "sample", "symbols": SYMBOLS}, strategy=Boosted(), interpreted=True,
                                start=TRAINED_UNTIL, end="2009-12-31", slippage={"name": "fixed", "bps": 2},
                                sizing="risk_per_trade", fees={"taker_bps": 1})
    print(f"{len(y)} samples of which {y.mean():.0%} rise; {result.stats['# Trades']} trades, "
          f"{result.stats['Return [%]']:.1f} % in two years")
    return result


if __name__ == "__main__":
    main()
