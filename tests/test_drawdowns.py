"""The list of drawdowns, exposure, streaks and durations: hand-worked, and equal to quantstats day by day."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.backtest import metrics
from framework.model.records import DAY, MARK, TRADE

DAY_NS = 86_400_000_000_000


def test_the_trough_is_the_first_mark_at_the_deepest_point():
    # capital 100: 110 (peak, 1), 99 (2), 88 (3, -20 %), 88 (4), 110 (5, recovered), 99 (6, to the end)
    equity = np.array([110.0, 99.0, 88.0, 88.0, 110.0, 99.0])
    found = metrics.drawdowns(equity, np.arange(1, 7), 100.0, 0)
    assert found.depth == pytest.approx([0.2, 0.1])
    assert (found.begin.tolist(), found.trough.tolist(), found.end.tolist()) == ([1, 5], [3, 6], [5, 6])
    assert found.is_recovered.tolist() == [True, False]
    # 4 and 1 long: 2.5, cut to whole nanoseconds
    assert (found.longest_ns, found.average_ns) == (4, 2)


def test_no_drawdown_has_no_troughs():
    found = metrics.drawdowns(np.array([101.0, 102.0]), np.array([1, 2]), 100.0, 0)
    assert (len(found.trough), found.average_ns) == (0, 0)


def test_the_list_of_drawdowns_equals_that_of_quantstats():
    """Its drawdown begins on the first day below the peak and ends on the last: a day after ours, and a day before."""
    from quantstats import stats as oracle

    returns = np.random.default_rng(3).normal(0.0006, 0.012, 750)
    equity, dates = 100.0 * np.cumprod(1.0 + returns), pd.date_range("2020-01-01", periods=750, freq="D")
    theirs = oracle.drawdown_details(oracle.to_drawdown_series(pd.Series(returns, dates)))
    ours = metrics.drawdowns(equity, np.arange(750), 100.0, -1)
    assert len(ours.depth) == len(theirs) > 20
    days = {name: (pd.to_datetime(theirs[name]) - dates[0]).dt.days.to_numpy() for name in ("start", "valley", "end")}
    assert ours.begin.tolist() == (days["start"] - 1).tolist()
    assert ours.trough.tolist() == days["valley"].tolist()
    assert (ours.end - ours.is_recovered).tolist() == days["end"].tolist()
    assert -100.0 * ours.depth == pytest.approx(theirs["max drawdown"].to_numpy(), rel=1e-9)


@settings(max_examples=150)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=60))
def test_a_trough_lies_inside_its_drawdown_and_has_its_depth(values):
    equity = np.array(values, np.float64)
    found = metrics.drawdowns(equity, np.arange(1, len(equity) + 1), 15.0, 0)
    assert np.all((found.begin < found.trough) & (found.trough <= found.end))
    assert found.fraction[found.trough - 1].tolist() == found.depth.tolist()


def test_exposure_is_measured_against_the_equity_of_its_mark():
    share = metrics.exposure_of_equity(np.array([50.0, 0.0, 30.0]), np.array([100.0, 90.0, -5.0]))
    assert share[:2].tolist() == [0.5, 0.0]
    assert math.isnan(share[2])
    marks, days = np.zeros(3, MARK), np.zeros(1, DAY)
    marks["equity"], marks["exposure"], marks["time"] = [100.0, 80.0, 100.0], [0.0, 120.0, 30.0], [1, 2, 3]
    days["equity"] = 100.0
    window = metrics.Window(100.0, 252.0, 0.0, 0, 3, math.nan)
    found = metrics.account_statistics(marks, days, window, metrics.drawdowns(marks["equity"], marks["time"], 100.0, 0))
    # 0, 150 % and 30 %: mean 60 %
    assert (found["Avg. Exposure [%]"], found["Max. Exposure [%]"]) == (pytest.approx(60.0), pytest.approx(150.0))


def test_the_longest_run_by_hand():
    assert metrics.longest_run(np.array([True, False, True, True, False])) == 2
    assert metrics.longest_run(np.array([False])) == 0
    assert metrics.longest_run(np.empty(0, np.bool_)) == 0


@given(st.lists(st.booleans(), max_size=60))
def test_the_longest_run_equals_counting(hits):
    longest = count = 0
    for hit in hits:
        count = count + 1 if hit else 0
        longest = max(longest, count)
    assert metrics.longest_run(np.array(hits, np.bool_)) == longest


def test_streaks_and_durations_of_trades_by_hand():
    trades = np.zeros(6, TRADE)
    trades["pnl"] = [5.0, 1.0, 0.0, -1.0, -2.0, -3.0]
    trades["exit_time"] = DAY_NS * np.array([1, 2, 3, 4, 6, 8])
    trades["entry_time"] = DAY_NS * np.array([0, 1, 2, 3, 4, 5])
    found = metrics.trade_statistics(trades, trades["pnl"] / 100.0)
    # a trade that breaks even ends a row of winners and is no loser; 1 + 1 + 1 + 1 + 2 + 3 days = 9 / 6
    assert (found["Max. Consecutive Wins"], found["Max. Consecutive Losses"]) == (2, 3)
    assert (found["Max. Trade Duration"], found["Avg. Trade Duration"]) == (timedelta(days=3), timedelta(days=1.5))
