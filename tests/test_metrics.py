"""The metrics: hand-worked tables, quantstats and backtesting.py as oracles, and laws on random input."""

from __future__ import annotations

import math
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.backtest import metrics
from framework.backtest.attribution import Share, attribute
from framework.backtest.stats import GRADES, Grade, Stats, format_duration, format_value, json_value
from framework.model.records import DAY, FILL, MARK, TRADE

DAY_NS = 86_400_000_000_000
YEAR_NS = int(365.25 * DAY_NS)


def seeded_returns(days: int = 750, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0006, 0.012, days)


def series(returns: np.ndarray) -> pd.Series:
    return pd.Series(returns, index=pd.date_range("2020-01-01", periods=len(returns), freq="D"))


def trades_of(pnl: list[float], **columns: list[float]) -> np.ndarray:
    table = np.zeros(len(pnl), TRADE)
    table["pnl"] = pnl
    for name, values in columns.items():
        table[name] = values
    return table


def days_of(equity: list[float], first: str = "2024-01-30") -> np.ndarray:
    table = np.zeros(len(equity), DAY)
    table["equity"] = equity
    table["day"] = int(np.datetime64(first, "D").astype(int)) + np.arange(len(equity))
    return table


# --- hand-worked ------------------------------------------------------------------------------------------------------


def test_first_daily_return_is_against_the_capital():
    # 101 / 100 - 1 = 0.01; 99.99 / 101 - 1 = -0.01
    assert metrics.daily_returns(np.array([101.0, 99.99]), 100.0) == pytest.approx([0.01, -0.01], abs=1e-15)


def test_daily_returns_end_with_the_day_of_ruin():
    assert metrics.daily_returns(np.array([50.0, -10.0, -10.0]), 100.0) == pytest.approx([-0.5, -1.2])


def test_sharpe_of_three_days_by_hand():
    # r = 0.02, -0.01, 0.02: mean 0.01; deviations 0.01, -0.02, 0.01; sum of squares 0.0006; / 2 = 0.0003
    # std = 0.0173205; 0.01 / 0.0173205 * sqrt(252) = 0.57735 * 15.87451 = 9.16515
    assert metrics.sharpe_ratio(np.array([0.02, -0.01, 0.02]), 252) == pytest.approx(9.16515, rel=1e-6)


def test_sortino_deviation_is_over_all_days_not_only_losing_ones():
    # downside squares: 0, 0.0001, 0 over three days: mean 0.0000333, root 0.0057735; 0.01 / 0.0057735 = 1.7320508
    # * sqrt(252) = 27.49545; over the one losing day alone it would be 0.01 / 0.01 * sqrt(252) = 15.87
    assert metrics.sortino_ratio(np.array([0.02, -0.01, 0.02]), 252) == pytest.approx(27.49545, rel=1e-6)


def test_risk_free_rate_is_taken_off_as_its_daily_equivalent():
    # a rate of 1.001 ** 365 - 1 a year is 0.001 a day: excess 0.009, std unchanged
    rate = 1.001**365 - 1.0
    returns = np.array([0.02, -0.01, 0.02])
    assert metrics.sharpe_ratio(returns, 365, rate) == pytest.approx(
        0.009 / math.sqrt(0.0003) * math.sqrt(365), rel=1e-9
    )


def test_annualized_return_compounds_over_trading_days():
    # 1.01 * 1.01 = 1.0201 over 2 of 4 periods a year: 1.0201 ** 2 - 1 = 0.04060401
    assert metrics.annualized_return(np.array([0.01, 0.01]), 4) == pytest.approx(0.04060401, rel=1e-12)


def test_compound_annual_growth_counts_calendar_time():
    # doubled twice over two years: 4 ** (1 / 2) - 1 = 1
    assert metrics.compound_annual_growth(400.0, 100.0, 2 * YEAR_NS) == pytest.approx(1.0, rel=1e-12)


def test_growth_is_not_available_without_time_or_below_zero_or_past_the_largest_number():
    assert math.isnan(metrics.compound_annual_growth(200.0, 100.0, 0))
    assert math.isnan(metrics.compound_annual_growth(-1.0, 100.0, YEAR_NS))
    assert math.isnan(metrics.compound_annual_growth(1e6, 1.0, DAY_NS // 1440))
    assert math.isnan(metrics.annualized_return(np.array([-1.5]), 252))
    assert math.isnan(metrics.annualized_return(np.empty(0), 252))


def test_volatility_of_two_days_by_hand():
    # r = 0.01, 0.03: deviations -0.01, 0.01; variance 0.0002 / 1; std 0.0141421 * sqrt(4) = 0.0282843
    assert metrics.annualized_volatility(np.array([0.01, 0.03]), 4) == pytest.approx(0.01 * math.sqrt(8), rel=1e-12)
    assert math.isnan(metrics.annualized_volatility(np.array([0.01]), 4))


def test_constant_equity_and_constant_returns_have_no_ratios():
    for returns in (np.zeros(50), np.full(50, 0.01), metrics.daily_returns(100 * 1.01 ** np.arange(1, 51), 100.0)):
        assert math.isnan(metrics.sharpe_ratio(returns, 252))
        assert math.isnan(metrics.sortino_ratio(returns, 252))
        assert metrics.annualized_volatility(returns, 252) == 0.0


def test_sortino_is_not_available_when_no_day_lost():
    assert math.isnan(metrics.sortino_ratio(np.array([0.01, 0.02, 0.0]), 252))


def test_drawdowns_by_hand():
    # capital 100: 110 (peak), 99 (-10 %), 104.5 (-5 %), 110 (recovered), 121 (peak), 60.5 (-50 %), 84.7 (-30 %, end)
    equity = np.array([110.0, 99.0, 104.5, 110.0, 121.0, 60.5, 84.7])
    found = metrics.drawdowns(equity, np.arange(1, 8), 100.0, 0)
    assert found.fraction == pytest.approx([0, 0.1, 0.05, 0, 0, 0.5, 0.3], abs=1e-15)
    assert found.depth == pytest.approx([0.1, 0.5])
    assert found.begin.tolist() == [1, 5]
    assert found.end.tolist() == [4, 7]
    assert found.is_recovered.tolist() == [True, False]
    assert found.deepest == pytest.approx(0.5)
    assert found.longest_ns == 3


def test_a_loss_at_the_first_mark_is_a_drawdown_from_the_capital():
    found = metrics.drawdowns(np.array([90.0, 80.0]), np.array([10, 20]), 100.0, 5)
    assert found.deepest == pytest.approx(0.2)
    assert (found.begin.tolist(), found.end.tolist()) == ([5], [20])


def test_equity_that_only_rises_has_no_drawdown():
    found = metrics.drawdowns(np.array([100.0, 101.0, 102.0]), np.array([1, 2, 3]), 100.0, 0)
    assert (found.deepest, found.longest_ns, len(found.depth)) == (0.0, 0, 0)


def test_drawdowns_without_marks():
    assert metrics.drawdowns(np.empty(0), np.empty(0, np.int64), 100.0, 0).deepest == 0.0


def test_exposure_time_is_the_share_of_marks_with_a_position():
    assert metrics.exposure_time(np.array([0.0, 5.0, 5.0, 0.0])) == 0.5
    assert math.isnan(metrics.exposure_time(np.empty(0)))


PNL = np.array([100.0, -50.0, 200.0, -25.0, -25.0])
"""Two wins of 300 together, three losses of 100 together."""


def test_trade_metrics_by_hand():
    assert metrics.win_rate(PNL) == 0.4
    assert metrics.profit_factor(PNL) == 3.0
    assert metrics.expectancy(PNL) == 40.0
    # 0.4 * 150 - 0.6 * 33.333 = 60 - 20 = 40: Tharp's form
    assert metrics.expectancy(PNL) == pytest.approx(0.4 * 150 - 0.6 * 100 / 3)
    # W - (1 - W) / (150 / 33.333) = 0.4 - 0.6 / 4.5 = 0.266667
    assert metrics.kelly_criterion(PNL) == pytest.approx(0.4 - 0.6 / 4.5)
    # deviations 60, -90, 160, -65, -65: squares 3600, 8100, 25600, 4225, 4225 = 45750; / 4 = 11437.5; root 106.946
    # sqrt(5) * 40 / 106.946 = 0.836341
    assert metrics.system_quality_number(PNL) == pytest.approx(math.sqrt(5) * 40 / math.sqrt(11437.5))


def test_no_losses_make_the_profit_factor_not_available_never_infinite():
    wins = np.array([10.0, 20.0])
    assert math.isnan(metrics.profit_factor(wins))
    assert math.isnan(metrics.kelly_criterion(wins))


def test_no_wins_make_the_profit_factor_zero():
    assert metrics.profit_factor(np.array([-10.0, -5.0])) == 0.0


def test_no_trades_make_every_trade_metric_not_available():
    nothing = metrics.trade_statistics(np.empty(0, TRADE), np.empty(0))
    assert nothing.pop("# Trades") == 0
    assert all(math.isnan(value) for value in nothing.values())


def test_a_trade_that_breaks_even_is_neither_win_nor_loss():
    assert metrics.win_rate(np.array([10.0, 0.0])) == 0.5
    assert metrics.profit_factor(np.array([10.0, 0.0, -5.0])) == 2.0


def test_equal_trades_have_no_system_quality_number():
    assert math.isnan(metrics.system_quality_number(np.full(7, 0.1)))
    assert math.isnan(metrics.system_quality_number(np.array([3.0])))


def test_average_trade_is_geometric_and_a_total_loss_is_total():
    # 1.21 * 0.99 has no round root; 1.1 * 1.1 = 1.21
    assert metrics.geometric_mean(np.array([0.21, 0.0])) == pytest.approx(0.1)
    assert metrics.geometric_mean(np.array([0.5, -1.0])) == -1.0


def test_excursions_are_means_over_trades():
    found = metrics.trade_statistics(
        trades_of([1.0, -1.0], mae=[-0.01, -0.03], mfe=[0.05, 0.01]), np.array([0.01, -0.01])
    )
    assert (found["MAE"], found["MFE"]) == (pytest.approx(-0.02), pytest.approx(0.03))


def test_turnover_counts_both_sides_per_year_without_internal_crosses():
    fills = np.zeros(3, FILL)
    fills["qty"], fills["price"], fills["symbol"] = [10, 10, 99], [5.0, 6.0, 7.0], [0, 0, 0]
    fills["is_cross"], fills["fee"], fills["slippage"] = [False, False, True], [1.0, 2.0, 0.0], [0.5, 0.25, 0.0]
    # (10 * 5 + 10 * 6) * multiplier 2 = 220; / mean equity 100 / half a year = 4.4
    found = metrics.cost_statistics(fills, np.array([2.0]), 100.0, 0.5)
    assert found == {"Turnover": pytest.approx(4.4), "Fees": 3.0, "Slippage cost": 0.75}
    assert math.isnan(metrics.turnover(220.0, -5.0, 1.0))


def test_account_statistics_of_four_days_by_hand():
    marks, days = np.zeros(4, MARK), days_of([110.0, 99.0, 108.9, 118.8])
    marks["equity"], marks["exposure"] = days["equity"], [0.0, 50.0, 50.0, 0.0]
    marks["time"] = DAY_NS * np.arange(1, 5)
    window = metrics.Window(100.0, 4.0, 0.0, 0, 4 * DAY_NS, 0.25)
    found = metrics.account_statistics(marks, days, window, metrics.drawdowns(marks["equity"], marks["time"], 100.0, 0))
    assert found["Return [%]"] == pytest.approx(18.8)
    assert found["Return (Ann.) [%]"] == pytest.approx(18.8)  # four days of four a year
    assert found["Max. Drawdown [%]"] == pytest.approx(-10.0)  # 110 to 99
    assert found["Avg. Drawdown [%]"] == pytest.approx(-10.0)
    assert found["Max. Drawdown Duration"] == timedelta(days=3)  # day 1 to day 4
    assert found["Calmar Ratio"] == pytest.approx(1.88)
    assert found["Recovery Factor"] == pytest.approx(1.88)
    assert found["Exposure Time [%]"] == 50.0
    assert (found["Equity Final"], found["Equity Peak"]) == (118.8, 118.8)
    assert found["Buy & Hold Return [%]"] == 25.0
    assert found["Duration"] == timedelta(days=4)


def test_drawdown_uses_marks_that_days_do_not_show():
    marks, days = np.zeros(3, MARK), days_of([100.0])
    marks["equity"], marks["time"] = [100.0, 70.0, 100.0], [1, 2, 3]
    window = metrics.Window(100.0, 252.0, 0.0, 0, 3, math.nan)
    found = metrics.account_statistics(marks, days, window, metrics.drawdowns(marks["equity"], marks["time"], 100.0, 0))
    assert found["Max. Drawdown [%]"] == pytest.approx(-30.0)


def test_monthly_returns_by_hand():
    # 30 and 31 January: 110, 121; 1 and 2 February: 121, 108.9. January 21 %, February -10 %
    assert metrics.monthly_returns(days_of([110.0, 121.0, 121.0, 108.9]), 100.0) == {
        (2024, 1): pytest.approx(0.21),
        (2024, 2): pytest.approx(-0.1),
    }
    assert metrics.monthly_returns(days_of([]), 100.0) == {}


def test_a_month_that_begins_ruined_has_no_return():
    found = metrics.monthly_returns(days_of([50.0, -5.0, -5.0]), 100.0)
    assert found[2024, 1] == pytest.approx(-1.05)
    assert math.isnan(found[2024, 2])


def test_attribution_by_hand():
    table = trades_of([100.0, -50.0, 200.0], fees=[1.0, 2.0, 3.0], slippage=[0.0, 0.5, 0.5])
    first, second = attribute(table, np.array([0, 2, 0]), ("AAPL", "IBM", "MSFT"))
    assert first == Share("AAPL", 2, 2, 300.0, 0.0, 300.0, 4.0, 0.5)
    assert second == Share("MSFT", 1, 0, 0.0, -50.0, -50.0, 2.0, 0.5)
    assert (first.win_rate, second.win_rate) == (1.0, 0.0)


# --- oracles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("periods", [252, 365])
@pytest.mark.parametrize("rate", [0.0, 0.03])
def test_ratios_equal_quantstats(periods, rate):
    from quantstats import stats as oracle

    returns = seeded_returns()
    assert metrics.sharpe_ratio(returns, periods, rate) == pytest.approx(
        oracle.sharpe(series(returns), rf=rate, periods=periods), rel=1e-9
    )
    assert metrics.sortino_ratio(returns, periods, rate) == pytest.approx(
        oracle.sortino(series(returns), rf=rate, periods=periods), rel=1e-9
    )
    assert metrics.annualized_volatility(returns, periods) == pytest.approx(
        oracle.volatility(series(returns), periods=periods), rel=1e-9
    )


def test_drawdown_and_calmar_equal_quantstats_when_every_mark_is_a_day():
    from quantstats import stats as oracle

    returns = seeded_returns()
    equity = 100.0 * np.cumprod(1.0 + returns)
    found = metrics.drawdowns(equity, np.arange(len(equity)), 100.0, 0)
    assert -found.deepest == pytest.approx(oracle.max_drawdown(series(returns)), rel=1e-9)
    yearly = metrics.annualized_return(returns, 252)
    assert yearly / found.deepest == pytest.approx(oracle.calmar(series(returns), periods=252), rel=1e-9)


def test_annualized_return_equals_the_cagr_of_quantstats_and_ours_differs_by_counting_calendar_time():
    from quantstats import stats as oracle

    returns = seeded_returns()
    theirs = oracle.cagr(series(returns), periods=252)
    assert metrics.annualized_return(returns, 252) == pytest.approx(theirs, rel=1e-9)
    # theirs: wealth ** (252 / n days); ours: wealth ** (365.25 days / calendar duration)
    wealth, duration = float(np.prod(1.0 + returns)), len(returns) * DAY_NS
    ours = metrics.compound_annual_growth(wealth, 1.0, duration)
    assert math.log1p(ours) / math.log1p(theirs) == pytest.approx(
        (365.25 / len(returns)) / (252 / len(returns)), rel=1e-9
    )


def test_profit_factor_is_of_trades_where_that_of_quantstats_is_of_days():
    from quantstats import stats as oracle

    returns = seeded_returns()
    assert metrics.profit_factor(returns) == pytest.approx(oracle.profit_factor(series(returns)), rel=1e-9)


def test_recovery_factor_compounds_where_that_of_quantstats_adds():
    from quantstats import stats as oracle

    returns = seeded_returns()
    deepest = -oracle.max_drawdown(series(returns))
    assert abs(returns.sum()) / deepest == pytest.approx(oracle.recovery_factor(series(returns)), rel=1e-9)
    assert (np.prod(1.0 + returns) - 1.0) / deepest != pytest.approx(oracle.recovery_factor(series(returns)), rel=1e-3)


def test_kelly_equals_quantstats_on_the_same_outcomes():
    from quantstats import stats as oracle

    returns = seeded_returns()
    assert metrics.kelly_criterion(returns) == pytest.approx(oracle.kelly_criterion(series(returns)), rel=1e-9)


def backtesting_stats(equity: np.ndarray, trades: np.ndarray, returns: np.ndarray) -> pd.Series:
    """Return what backtesting.py computes for an equity curve of daily bars and closed trades."""
    from backtesting._stats import compute_stats

    index = pd.date_range("2020-01-01", periods=len(equity), freq="D")
    frame = pd.DataFrame(
        {"PnL": trades["pnl"], "ReturnPct": returns, "EntryBar": 1, "ExitBar": 2, "Duration": pd.Timedelta(days=1)}
    )
    prices = pd.DataFrame({"Close": np.linspace(50.0, 75.0, len(equity))}, index=index)
    return compute_stats(frame, equity, prices, SimpleNamespace(_indicators=[]))


def test_shared_names_equal_backtesting_py():
    equity = np.concatenate(([100.0], 100.0 * np.cumprod(1.0 + seeded_returns(400))))
    rng = np.random.default_rng(9)
    table = trades_of(rng.normal(5.0, 40.0, 60).tolist())
    returns = table["pnl"] / 1000.0
    theirs = backtesting_stats(equity, table, returns)
    time = DAY_NS * np.arange(len(equity))
    marks, days = np.zeros(400, MARK), days_of(equity[1:].tolist())
    marks["equity"], marks["time"] = equity[1:], time[1:]
    window = metrics.Window(100.0, 365.0, 0.0, 0, int(time[-1]), 0.5)
    decline = metrics.drawdowns(equity[1:], time[1:], 100.0, 0)
    ours = {**metrics.account_statistics(marks, days, window, decline), **metrics.trade_statistics(table, returns)}
    for name in (
        "Return [%]",
        "Buy & Hold Return [%]",
        "Return (Ann.) [%]",
        "CAGR [%]",
        "Max. Drawdown [%]",
        "Avg. Drawdown [%]",
        "Calmar Ratio",
        "# Trades",
        "Win Rate [%]",
        "Best Trade [%]",
        "Worst Trade [%]",
        "Avg. Trade [%]",
        "Expectancy [%]",
        "SQN",
        "Kelly Criterion",
    ):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-9), name
    assert ours["Max. Drawdown Duration"] == theirs["Max. Drawdown Duration"].to_pytimedelta()
    # its profit factor adds the percentages of trades, ours their money; here all trades enter the same value
    assert ours["Profit Factor"] == pytest.approx(theirs["Profit Factor"], rel=1e-9)


def test_sharpe_sortino_and_volatility_differ_from_backtesting_py_by_formula():
    returns = seeded_returns(400)
    equity = np.concatenate(([100.0], 100.0 * np.cumprod(1.0 + returns)))
    theirs = backtesting_stats(equity, trades_of([1.0]), np.array([0.1]))
    yearly, variance = metrics.annualized_return(returns, 365), float(np.var(returns, ddof=1))
    growth = (1.0 + yearly) ** (1 / 365)
    # theirs: the deviation of a compounded year, and the compounded return over it; ours: arithmetic daily figures
    compounded = math.sqrt((variance + growth**2) ** 365 - growth ** (2 * 365))
    assert theirs["Volatility (Ann.) [%]"] == pytest.approx(100 * compounded, rel=1e-6)
    assert theirs["Sharpe Ratio"] == pytest.approx(yearly / compounded, rel=1e-6)
    downside = math.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)) * math.sqrt(365)
    assert theirs["Sortino Ratio"] == pytest.approx(yearly / downside, rel=1e-6)
    assert metrics.sortino_ratio(returns, 365) == pytest.approx(float(np.mean(returns)) * 365 / downside, rel=1e-9)


# --- laws -------------------------------------------------------------------------------------------------------------

LAW = settings(max_examples=150, deadline=None, derandomize=True)
amounts = st.floats(-1e6, 1e6).map(lambda value: round(value, 2))
curves = st.lists(st.floats(1.0, 1e6), min_size=1, max_size=60).map(np.array)


@LAW
@given(curves, st.floats(1.0, 1e6))
def test_drawdown_of_positive_equity_is_a_fraction(equity, capital):
    found = metrics.drawdowns(equity, np.arange(1, len(equity) + 1), capital, 0)
    assert np.all((found.fraction >= 0.0) & (found.fraction < 1.0))
    assert found.deepest == (found.fraction.max() if found.fraction.any() else 0.0)
    assert np.all(found.end > found.begin)
    assert np.all(found.depth > 0.0)


@LAW
@given(curves, st.floats(1.0, 1e6))
def test_drawdown_equals_its_definition(equity, capital):
    slow = [1.0 - equity[i] / max(capital, *equity[: i + 1]) for i in range(len(equity))]
    assert metrics.drawdowns(equity, np.arange(len(equity)), capital, 0).fraction == pytest.approx(slow, abs=1e-15)


@LAW
@given(curves, st.floats(1.0, 1e6), st.sampled_from([0.25, 2.0, 1024.0]))
def test_ratios_do_not_depend_on_the_size_of_the_account(equity, capital, scale):
    small, large = metrics.daily_returns(equity, capital), metrics.daily_returns(equity * scale, capital * scale)
    assert np.array_equal(small, large)
    for metric in (metrics.sharpe_ratio, metrics.sortino_ratio):
        assert metric(small, 252) == pytest.approx(metric(large, 252), nan_ok=True)


@LAW
@given(st.lists(amounts, min_size=2, max_size=60).map(np.array), st.sampled_from([0.25, 2.0, 1024.0]))
def test_trade_ratios_do_not_depend_on_the_currency(pnl, scale):
    for metric in (metrics.win_rate, metrics.profit_factor, metrics.system_quality_number, metrics.kelly_criterion):
        assert metric(pnl) == pytest.approx(metric(pnl * scale), rel=1e-9, nan_ok=True)
    assert metrics.expectancy(pnl) * scale == pytest.approx(metrics.expectancy(pnl * scale), rel=1e-9)


@LAW
@given(st.lists(st.tuples(amounts, st.integers(0, 4)), min_size=1, max_size=60))
def test_attribution_sums_to_the_closed_profit_and_loss(rows):
    table = trades_of([pnl for pnl, _ in rows])
    table["fees"] = np.abs(table["pnl"]) / 100
    shares = attribute(table, np.array([key for _, key in rows]), tuple("abcde"))
    assert sum(share.pnl for share in shares) == pytest.approx(table["pnl"].sum(), abs=1e-6)
    assert sum(share.fees for share in shares) == pytest.approx(table["fees"].sum(), abs=1e-6)
    assert sum(share.trades for share in shares) == len(rows)
    assert sum(share.wins for share in shares) == np.count_nonzero(table["pnl"] > 0)


@LAW
@given(st.lists(st.floats(-2.0, 2.0), max_size=40).map(np.array))
def test_no_metric_is_ever_infinite(values):
    found = [
        metrics.sharpe_ratio(values, 365),
        metrics.sortino_ratio(values, 365),
        metrics.annualized_return(values, 365),
        metrics.profit_factor(values),
        metrics.kelly_criterion(values),
        metrics.system_quality_number(values),
    ]
    assert not any(math.isinf(value) for value in found)


@LAW
@given(curves, st.floats(1.0, 1e6))
def test_months_compound_to_the_whole_return(equity, capital):
    months = metrics.monthly_returns(days_of(equity.tolist()), capital)
    assert math.prod(1.0 + value for value in months.values()) == pytest.approx(equity[-1] / capital, rel=1e-9)


# --- grades and printing ----------------------------------------------------------------------------------------------


def test_grades_are_those_of_the_targets():
    assert GRADES["Sharpe Ratio"].of(0.99) == "below"
    assert GRADES["Sharpe Ratio"].of(1.0) == "target"
    assert GRADES["Sharpe Ratio"].of(2.0) == "excellent"
    assert GRADES["Max. Drawdown [%]"].of(-20.1) == "below"
    assert GRADES["Max. Drawdown [%]"].of(-20.0) == "target"
    assert GRADES["Max. Drawdown [%]"].of(-10.0) == "excellent"
    assert GRADES["Profit Factor"].of(math.nan) == "n/a"
    assert GRADES["Recovery Factor"] == Grade(2.0, 5.0)


def test_values_print_as_a_reader_wants_them():
    assert format_value("Return [%]", 1234.567) == "1,234.57"
    assert format_value("Return [%]", -0.001) == "0.00"
    assert format_value("MAE", -0.0123456) == "-0.0123"
    assert format_value("Profit Factor", math.nan) == "n/a"
    assert format_value("# Trades", 12345) == "12,345"
    assert format_value("Equity Final", 2.5e17) == "2.500e+17"
    assert format_duration(timedelta(days=1)) == "1 day"
    assert format_duration(timedelta(hours=5)) == "05:00:00"


def test_durations_in_json_are_what_pandas_reads():
    assert pd.Timedelta(json_value(timedelta(days=1412, hours=4))) == pd.Timedelta(days=1412, hours=4)


def test_an_unknown_statistic_proposes_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'Sharpe Ratio'"):
        Stats({"Sharpe Ratio": 1.0})["Sharp Ratio"]
