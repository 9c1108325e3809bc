"""The metrics of a run: pure functions over the arrays of its tables, each with its formula and source.

Ratios use daily returns; drawdown and exposure use every mark; trades are round trips, flat to flat.  What is not
defined (no trades, no losses, no variation) is NaN, never infinity.  Everything is O(n) in the length of its arrays.

Sources: Sharpe (1994), "The Sharpe Ratio"; Sortino & Price (1994), "Performance Measurement in a Downside Risk
Framework"; Jensen (1968), "The Performance of Mutual Funds in the Period 1945-1964"; Young (1991), "Calmar Ratio: A
Smoother Tool"; Magdon-Ismail & Atiya (2004), "Maximum Drawdown"; Tharp (2008), "The Definitive Guide to Position Sizing
Strategies"; Kelly (1956), "A New Interpretation of Information Rate"; Sweeney (1996), "Maximum Adverse Excursion";
Bacon (2008), "Practical Portfolio Performance Measurement and Attribution".
"""

from __future__ import annotations

import math

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.backtest.stats import Value, moment, span

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Structured = NDArray[np.void]

DAYS_PER_YEAR = 365.25
NS_PER_DAY = 86_400_000_000_000
ROUNDING = 1e-13
"""Daily returns computed from a constant growth of equity differ by less than this."""

FEW_TRADES = 30
"""Below this number of trades their statistics say little."""


def finite(value: float) -> float:
    """Return value, or NaN in place of an infinity."""
    return float(value) if math.isfinite(value) else math.nan


def ratio(numerator: float, denominator: float) -> float:
    """Return numerator / denominator, NaN where the denominator is 0 or either is not finite."""
    return finite(numerator / denominator) if denominator != 0 else math.nan


# --- daily returns ----------------------------------------------------------------------------------------------------


def daily_returns(equity: Floats, capital: float) -> Floats:
    """Return r[0] = equity[0] / capital - 1 and r[i] = equity[i] / equity[i-1] - 1, float64[n days].

    equity: at the last mark of each day. The series ends with the day that brings equity to zero or below.
    """
    if not len(equity):
        return np.empty(0)
    previous = np.concatenate(([capital], equity[:-1]))
    ruined = np.flatnonzero(equity <= 0.0)
    last = len(equity) if not len(ruined) else int(ruined[0]) + 1
    return equity[:last] / previous[:last] - 1.0


def annualized_return(returns: Floats, periods: float) -> float:
    """Return the geometric mean return per year, a fraction: prod(1 + r) ** (periods / n) - 1.

    periods: trading days per year. NaN without days or with negative wealth. Bacon (2008).
    """
    wealth = float(np.prod(1.0 + returns))
    if not len(returns) or wealth < 0.0:
        return math.nan
    return power(wealth, periods / len(returns)) - 1.0


def compound_annual_growth(final: float, capital: float, duration_ns: int) -> float:
    """Return growth per calendar year, a fraction: (final / capital) ** (365.25 days / duration) - 1.

    NaN for an empty duration or negative wealth. Differs from the annualized return in counting calendar time, not
    trading days; the formula of backtesting.py.
    """
    if duration_ns <= 0 or final < 0.0:
        return math.nan
    return power(final / capital, DAYS_PER_YEAR * NS_PER_DAY / duration_ns) - 1.0


def power(base: float, exponent: float) -> float:
    """Return base ** exponent for base >= 0, NaN where it overflows."""
    try:
        return finite(math.pow(base, exponent))
    except OverflowError:
        return math.nan


def varies(returns: Floats) -> bool:
    """Return whether returns vary by more than rounding does, which is what a ratio to their deviation needs."""
    if len(returns) < 2:
        return False
    low, high = float(returns.min()), float(returns.max())
    return high - low > ROUNDING * max(1.0, high, -low)


def annualized_volatility(returns: Floats, periods: float) -> float:
    """Return the deviation per year, a fraction: std(r, ddof=1) * sqrt(periods). NaN below two days. Bacon (2008)."""
    if len(returns) < 2:
        return math.nan
    return float(np.std(returns, ddof=1)) * math.sqrt(periods) if varies(returns) else 0.0


def excess_returns(returns: Floats, periods: float, risk_free_rate: float) -> Floats:
    """Return r - ((1 + rate) ** (1 / periods) - 1): daily returns above the daily equivalent of an annual rate."""
    return returns - (math.pow(1.0 + risk_free_rate, 1.0 / periods) - 1.0)


def sharpe_ratio(returns: Floats, periods: float, risk_free_rate: float = 0.0) -> float:
    """Return mean(x) / std(x, ddof=1) * sqrt(periods) of the excess returns x. Sharpe (1994).

    NaN when they do not vary.
    """
    if not varies(returns):
        return math.nan
    excess = excess_returns(returns, periods, risk_free_rate)
    return ratio(float(np.mean(excess)) * math.sqrt(periods), float(np.std(excess, ddof=1)))


def sortino_ratio(returns: Floats, periods: float, risk_free_rate: float = 0.0) -> float:
    """Return mean(x) / sqrt(mean(min(x, 0)**2)) * sqrt(periods) of the excess returns x.

    The mean of squares runs over all days, not only over the losing ones. NaN when no day lost or returns do not vary.
    Sortino & Price (1994).
    """
    if not varies(returns):
        return math.nan
    excess = excess_returns(returns, periods, risk_free_rate)
    downside = math.sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    return ratio(float(np.mean(excess)) * math.sqrt(periods), downside)


# --- against a benchmark ----------------------------------------------------------------------------------------------


def alpha_and_beta(
    returns: Floats, reference: Floats, periods: float, risk_free_rate: float = 0.0
) -> tuple[float, float]:
    """Return Jensen's alpha per year, a fraction, and beta, of daily returns against those of a benchmark.

    x and y are the excess returns of the run and of the benchmark, float64[n] each: beta = cov(x, y) / var(y) and
    alpha = (mean(x) - beta * mean(y)) * periods. NaN when the benchmark does not vary. Jensen (1968).
    """
    if len(returns) != len(reference) or not varies(reference):
        return math.nan, math.nan
    x, y = (excess_returns(values, periods, risk_free_rate) for values in (returns, reference))
    beta = ratio(float(np.mean((x - x.mean()) * (y - y.mean()))), float(np.var(y)))
    return finite((float(np.mean(x)) - beta * float(np.mean(y))) * periods), beta


# --- drawdown ---------------------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class Drawdowns:
    """The decline of an equity curve below its running peak.

    fraction: float64[n marks], 1 - equity / peak, 0 at a peak. Then one entry per decline, from the last mark at the
    peak to the first one back at it: depth (its deepest fraction), begin, trough and end (times in ns: the peak, the
    first mark at that depth, the recovery, or the last mark where equity has not recovered), is_recovered.
    """

    fraction: Floats
    depth: Floats
    begin: Integers
    trough: Integers
    end: Integers
    is_recovered: NDArray[np.bool_]

    @property
    def deepest(self) -> float:
        """The maximum drawdown, a fraction; 0 when equity never fell below its peak."""
        return float(self.depth.max()) if len(self.depth) else 0.0

    @property
    def longest_ns(self) -> int:
        """The longest time under water in nanoseconds."""
        return int((self.end - self.begin).max()) if len(self.depth) else 0

    @property
    def average_ns(self) -> int:
        """The mean time under water of a decline in nanoseconds."""
        return int((self.end - self.begin).mean()) if len(self.depth) else 0


def drawdowns(equity: Floats, time: Integers, capital: float, start: int) -> Drawdowns:
    """Return the drawdowns of equity marked at times; the peak starts as the capital at the time `start`.

    equity, time: float64[n], int64[n] in time order. Magdon-Ismail & Atiya (2004).
    """
    peak = np.maximum.accumulate(np.concatenate(([capital], equity)))
    fraction = 1.0 - np.concatenate(([capital], equity)) / peak
    moments = np.concatenate(([start], time)).astype(np.int64)
    change = np.diff((fraction > 0.0).astype(np.int8))
    first = np.flatnonzero(change == 1) + 1
    after = np.flatnonzero(change == -1) + 1
    is_recovered = np.ones(len(first), np.bool_)
    if len(after) < len(first):
        after = np.append(after, len(fraction) - 1)
        is_recovered[-1] = False
    depth, trough = np.empty(0), first
    if len(first):
        depth = np.maximum.reduceat(fraction, first)
        deepest = np.repeat(depth, np.diff(np.append(first, len(fraction))))
        at_depth = np.flatnonzero(fraction[first[0]:] == deepest) + first[0]
        trough = at_depth[np.searchsorted(at_depth, first)]
    return Drawdowns(fraction[1:], depth, moments[first - 1], moments[trough], moments[after], is_recovered)


def exposure_of_equity(exposure: Floats, equity: Floats) -> Floats:
    """Return gross exposure over equity, a fraction per mark; NaN where no equity is left."""
    share: Floats = np.divide(exposure, equity, out=np.full(len(equity), np.nan), where=equity > 0.0)
    return share


def exposure_time(exposure: Floats) -> float:
    """Return the share of marks at which the account held a position, a fraction; NaN without marks."""
    return float(np.count_nonzero(exposure > 0.0)) / len(exposure) if len(exposure) else math.nan


# --- trades -----------------------------------------------------------------------------------------------------------


def win_rate(pnl: Floats) -> float:
    """Return the share of trades with pnl > 0, a fraction; NaN without trades."""
    return float(np.count_nonzero(pnl > 0.0)) / len(pnl) if len(pnl) else math.nan


def profit_factor(pnl: Floats) -> float:
    """Return gross profit / gross loss, sum(pnl > 0) / |sum(pnl < 0)|; NaN without a loss, never infinity."""
    return ratio(float(pnl[pnl > 0.0].sum()), -float(pnl[pnl < 0.0].sum()))


def expectancy(pnl: Floats) -> float:
    """Return the mean P&L of a trade: win rate * average win - loss rate * average loss. Tharp (2008)."""
    return float(np.mean(pnl)) if len(pnl) else math.nan


def system_quality_number(pnl: Floats) -> float:
    """Return sqrt(n) * mean(pnl) / std(pnl, ddof=1); NaN below two trades or when all are equal. Tharp (2008)."""
    if len(pnl) < 2 or float(np.ptp(pnl)) <= 1e-12 * float(np.max(np.abs(pnl))):
        return math.nan
    return ratio(math.sqrt(len(pnl)) * float(np.mean(pnl)), float(np.std(pnl, ddof=1)))


def kelly_criterion(pnl: Floats) -> float:
    """Return W - (1 - W) / (average win / average loss), W the win rate; NaN without both wins and losses.

    The two-outcome fraction of capital: what to stake if each trade won or lost its average. Kelly (1956).
    """
    wins, losses = pnl[pnl > 0.0], pnl[pnl < 0.0]
    if not len(wins) or not len(losses):
        return math.nan
    rate = win_rate(pnl)
    return finite(rate - (1.0 - rate) * -float(np.mean(losses)) / float(np.mean(wins)))


def longest_run(hits: NDArray[np.bool_]) -> int:
    """Return the length of the longest run of True."""
    edges = np.diff(np.concatenate(([0], hits.astype(np.int8), [0])))
    return int((np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)).max(initial=0))


def geometric_mean(returns: Floats) -> float:
    """Return prod(1 + r) ** (1 / n) - 1 of trade returns; -1 when one lost everything or more, NaN without trades."""
    if not len(returns):
        return math.nan
    if np.any(returns <= -1.0):
        return -1.0
    return float(np.expm1(np.mean(np.log1p(returns))))


def turnover(traded: float, mean_equity: float, years: float) -> float:
    """Return the value bought and sold per year as a multiple of mean equity: traded / mean equity / years.

    Both sides count; internal crosses do not. NaN when mean equity is not positive.
    """
    return ratio(ratio(traded, mean_equity), years) if mean_equity > 0.0 else math.nan


# --- the tables of statistics -----------------------------------------------------------------------------------------


@attrs.frozen
class Window:
    """What the account statistics are measured against.

    capital: at `start`. periods: trading days per year. risk_free_rate: per year, a fraction. start, end: ns UTC.
    buy_and_hold: the return of the benchmark over the window, a fraction. reference: its daily returns, float64[n
    days]; empty when they are not known.
    """

    capital: float
    periods: float
    risk_free_rate: float
    start: int
    end: int
    buy_and_hold: float
    reference: Floats = attrs.field(factory=lambda: np.empty(0), eq=False)

    def final(self, marks: Structured) -> float:
        """Return the equity of the last of MARK rows, the capital without any."""
        return float(marks["equity"][-1]) if len(marks) else self.capital


def account_statistics(marks: Structured, days: Structured, window: Window, decline: Drawdowns) -> dict[str, Value]:
    """Return the statistics of the equity curve, by name; percentages where the name says so.

    marks, days: MARK and DAY rows. decline: the drawdowns of marks. Recovery factor = return / maximum drawdown and
    Calmar ratio = annualized return / maximum drawdown (Young 1991), over every mark.
    """
    capital = window.capital
    final = window.final(marks)
    returns = daily_returns(days["equity"], capital)
    yearly = annualized_return(returns, window.periods)
    total = final / capital - 1.0
    alpha, beta = alpha_and_beta(returns, window.reference[: len(returns)], window.periods, window.risk_free_rate)
    share = exposure_of_equity(marks["exposure"], marks["equity"])
    share = share[np.isfinite(share)]
    return {
        "Start": moment(window.start),
        "End": moment(window.end),
        "Duration": span(window.end - window.start),
        "Exposure Time [%]": 100.0 * exposure_time(marks["exposure"]),
        "Avg. Exposure [%]": 100.0 * float(np.mean(share)) if len(share) else math.nan,
        "Max. Exposure [%]": 100.0 * float(np.max(share)) if len(share) else math.nan,
        "Equity Final": final,
        "Equity Peak": max(capital, float(marks["equity"].max())) if len(marks) else capital,
        "Return [%]": 100.0 * total,
        "Buy & Hold Return [%]": 100.0 * window.buy_and_hold,
        "Return (Ann.) [%]": 100.0 * yearly,
        "CAGR [%]": 100.0 * compound_annual_growth(final, capital, window.end - window.start),
        "Volatility (Ann.) [%]": 100.0 * annualized_volatility(returns, window.periods),
        "Sharpe Ratio": sharpe_ratio(returns, window.periods, window.risk_free_rate),
        "Sortino Ratio": sortino_ratio(returns, window.periods, window.risk_free_rate),
        "Calmar Ratio": ratio(yearly, decline.deepest),
        "Alpha": alpha,
        "Beta": beta,
        "Max. Drawdown [%]": -100.0 * decline.deepest + 0.0,
        "Avg. Drawdown [%]": -100.0 * float(np.mean(decline.depth)) if len(decline.depth) else 0.0,
        "Max. Drawdown Duration": span(decline.longest_ns),
        "Avg. Drawdown Duration": span(decline.average_ns),
        "Recovery Factor": ratio(total, decline.deepest),
    }


def trade_statistics(trades: Structured, returns: Floats) -> dict[str, Value]:
    """Return the statistics of closed trades, by name.

    trades: TRADE rows. returns: float64[n], P&L over the value entered. MAE and MFE are the mean worst and best price
    excursions as fractions of the entry price (Sweeney 1996), MAE <= 0 <= MFE.
    """
    pnl = np.asarray(trades["pnl"], np.float64)
    known = returns[np.isfinite(returns)]
    any_known = len(known) > 0
    held = trades["exit_time"] - trades["entry_time"]
    return {
        "# Trades": len(pnl),
        "Win Rate [%]": 100.0 * win_rate(pnl),
        "Best Trade [%]": 100.0 * float(known.max()) if any_known else math.nan,
        "Worst Trade [%]": 100.0 * float(known.min()) if any_known else math.nan,
        "Avg. Trade [%]": 100.0 * geometric_mean(known),
        "Max. Trade Duration": span(int(held.max())) if len(held) else math.nan,
        "Avg. Trade Duration": span(int(held.mean())) if len(held) else math.nan,
        "Max. Consecutive Wins": longest_run(pnl > 0.0) if len(pnl) else math.nan,
        "Max. Consecutive Losses": longest_run(pnl < 0.0) if len(pnl) else math.nan,
        "MAE": expectancy(trades["mae"]),
        "MFE": expectancy(trades["mfe"]),
        "Profit Factor": profit_factor(pnl),
        "Expectancy": expectancy(pnl),
        "Expectancy [%]": 100.0 * expectancy(known),
        "SQN": system_quality_number(pnl),
        "Kelly Criterion": kelly_criterion(pnl),
    }


def cost_statistics(fills: Structured, multipliers: Floats, mean_equity: float, years: float) -> dict[str, Value]:
    """Return turnover per year and the costs paid, in the account currency.

    fills: FILL rows. multipliers: float64[n_symbols]. mean_equity: over days. years: trading days over days per year.
    """
    value = np.abs(fills["qty"]) * fills["price"] * multipliers[fills["symbol"]]
    return {
        "Turnover": turnover(float(value[~fills["is_cross"]].sum()), mean_equity, years),
        "Fees": float(fills["fee"].sum()),
        "Slippage cost": float(fills["slippage"].sum()),
    }


# --- months -----------------------------------------------------------------------------------------------------------


def monthly_returns(days: Structured, capital: float) -> dict[tuple[int, int], float]:
    """Return {(year, month): return}, a fraction from the last day of one month to the last day of the next.

    days: DAY rows. The first month is measured against the capital. Months without a day are absent; a month that
    begins with no equity left has NaN.
    """
    if not len(days):
        return {}
    months = days["day"].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    last = np.append(np.flatnonzero(np.diff(months)), len(days) - 1)
    equity = days["equity"][last]
    previous = np.concatenate(([capital], equity[:-1]))
    returns = np.where(previous > 0.0, equity / np.where(previous > 0.0, previous, 1.0) - 1.0, np.nan)
    return {
        (1970 + int(month) // 12, int(month) % 12 + 1): float(value)
        for month, value in zip(months[last], returns, strict=True)
    }
