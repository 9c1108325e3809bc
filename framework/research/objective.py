"""What a search is after: one or several statistics of a run, by the names that the report uses.

A trial computes what its objectives need and nothing else: a ratio of daily returns does not look at the marks, a
drawdown reads them chunk by chunk and forgets them.  A statistic that is not known here is taken from the whole
`Result`, which costs the memory of its marks.  Each number equals that of `framework backtest`, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from framework.backtest import metrics
from framework.backtest.frames import trade_returns
from framework.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from framework.engine.layout import State

MAXIMIZE, MINIMIZE = "maximize", "minimize"
DIRECTIONS = (MAXIMIZE, MINIMIZE)

LESS_IS_BETTER = frozenset({"Volatility (Ann.) [%]", "Max. Drawdown Duration", "Turnover", "Fees", "Slippage cost",
                            "Ambiguous bars", "Gapped entries", "Rejected orders", "# Open Trades"})
"""Statistics that are minimized unless a direction is named; drawdowns in per cent are negative, 0 is best."""

LIGHT, MARKS, FULL = "light", "marks", "full"
"""What a trial has to keep: no marks, a summary of them, or all of them for a whole Result."""


@attrs.frozen
class Objective:
    """One or several statistics with their directions, and the trades below which a trial does not count."""

    names: tuple[str, ...]
    directions: tuple[str, ...]
    min_trades: int = 1

    @property
    def mode(self) -> str:
        """What has to be kept of a run to compute every one of them."""
        modes = [LIGHT if name in FROM_TABLES else MARKS if name in FROM_MARKS else FULL for name in self.names]
        return max(modes, key=(LIGHT, MARKS, FULL).index)

    def losses(self, values: Sequence[float]) -> tuple[float, ...]:
        """Return the values with their signs turned so that less is better for each."""
        return tuple(-value if direction == MAXIMIZE else value
                     for value, direction in zip(values, self.directions, strict=True))


def make_objective(names: str | Sequence[str], direction: str | Sequence[str] | None, min_trades: int,
                   known: Mapping[str, object]) -> Objective:
    """Return the objective of [optimize]; ConfigError for a statistic that does not exist or is no number.

    known: the statistics of a run and their values, to know which are times.
    """
    wanted = (names,) if isinstance(names, str) else tuple(names)
    if not wanted or len(set(wanted)) < len(wanted):
        raise ConfigError(f"[optimize] objective = {list(wanted)!r}; name one statistic or several different ones")
    for name in wanted:
        if name not in known:
            near = did_you_mean(name, known)
            raise ConfigError(f"[optimize] objective {name!r} is no statistic of a run{near}; "
                              f"there are: {', '.join(known)}")
        if isinstance(known[name], datetime):
            raise ConfigError(f"[optimize] objective {name!r} is a time of day, not a figure to search by")
    given = (direction,) * len(wanted) if isinstance(direction, str) else tuple(direction or ())
    if given and len(given) != len(wanted):
        raise ConfigError(f"[optimize] {len(given)} directions for {len(wanted)} objectives; give one for each")
    for one in given:
        if one not in DIRECTIONS:
            raise ConfigError(f"[optimize] direction = {one!r}{did_you_mean(one, DIRECTIONS)}; it must be "
                              f"{MAXIMIZE!r} or {MINIMIZE!r}")
    default = tuple(MINIMIZE if name in LESS_IS_BETTER else MAXIMIZE for name in wanted)
    return Objective(wanted, given or default, min_trades)


def number_of(value: object) -> float:
    """Return a statistic as a number; a duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)  # type: ignore[arg-type]


@attrs.frozen
class Terms:
    """What the statistics of every trial of a study are measured against.

    capital: at `start`. periods: trading days per year. start: ns UTC. end: ns UTC, or None for the last mark.
    """

    capital: float
    periods: float
    risk_free_rate: float
    start: int
    end: int | None
    multipliers: np.ndarray


@attrs.define
class MarkSummary:
    """The marks of a run, read chunk by chunk: the running peak, the deepest drawdown and the time in the market."""

    peak: float
    deepest: float = 0.0
    count: int = 0
    exposed: int = 0

    def add(self, marks: np.ndarray) -> None:
        """Take the next marks, in order."""
        if not len(marks):
            return
        equity = marks["equity"]
        peak = np.maximum.accumulate(np.concatenate(([self.peak], equity)))[1:]
        self.deepest = max(self.deepest, float((1.0 - equity / peak).max()))
        self.peak = float(peak[-1])
        self.count += len(marks)
        self.exposed += int(np.count_nonzero(marks["exposure"] > 0.0))


@attrs.frozen(eq=False)
class Daily:
    """Sums over the daily returns of a trial that several figures share; 0 where `varies` is false.

    mean: a fraction. squares: sum of squared deviations from it. deviation: with ddof=1. apart: the deviations.
    """

    count: int
    varies: bool
    mean: float = 0.0
    squares: float = 0.0
    deviation: float = 0.0
    apart: np.ndarray = attrs.field(factory=lambda: np.empty(0), repr=False)

    @classmethod
    def of(cls, returns: np.ndarray) -> Daily:
        """Return the sums over returns, float64[days]: the additions of numpy's mean and std, in their order."""
        count = len(returns)
        if not metrics.varies(returns):
            return cls(count, False)
        mean = float(np.add.reduce(returns)) / count
        apart = returns - mean
        squares = float(np.add.reduce(apart * apart))
        return cls(count, True, mean, squares, math.sqrt(squares / (count - 1)), apart)

    @property
    def moments(self) -> dict[str, float | None]:
        """What the Deflated Sharpe Ratio needs, undefined figures as None.

        days: their number. sharpe_daily: mean / std(ddof=1), not annualized. skew, kurtosis: of the sample, biased, 3
        for a normal distribution. Bailey & Lopez de Prado (2014).
        """
        if not self.varies:
            return {"days": self.count, "sharpe_daily": None, "skew": None, "kurtosis": None}
        variance = self.squares / self.count
        squared = self.apart * self.apart
        return {"days": self.count, "sharpe_daily": self.mean / self.deviation,
                "skew": float(np.add.reduce(squared * self.apart)) / self.count / variance**1.5,
                "kurtosis": float(np.add.reduce(squared * squared)) / self.count / variance**2}


class Measures:
    """The figures of one finished run that objectives are made of, each computed when it is first asked for."""

    def __init__(self, state: State, terms: Terms, marks: MarkSummary | None) -> None:
        account = state.account[0]
        self.account, self.terms, self.marks = account, terms, marks
        self.days = state.days["equity"][: account["days"]]
        self.trades = state.trades[: account["trades"]]
        self.fills = state.fills[: account["fills"]]
        self.refusals = state.refusals[: account["refusals"]]
        self.final = float(account["marked_equity"]) if account["time"] else terms.capital
        self.returns = metrics.daily_returns(self.days, terms.capital)
        self._trades: dict[str, Any] | None = None
        self._costs: dict[str, Any] | None = None
        self._known: dict[str, float] = {}
        self._daily = Daily.of(self.returns)

    @property
    def moments(self) -> dict[str, float | None]:
        """What the Deflated Sharpe Ratio needs of the daily returns, see `Daily`."""
        return self._daily.moments

    @property
    def sharpe(self) -> float:
        """The annualized Sharpe ratio: that of `metrics.sharpe_ratio`, bit for bit."""
        terms, daily = self.terms, self._daily
        if terms.risk_free_rate != 0.0:
            return metrics.sharpe_ratio(self.returns, terms.periods, terms.risk_free_rate)
        if not daily.varies:
            return math.nan
        return metrics.ratio(daily.mean * math.sqrt(terms.periods), daily.deviation)

    @property
    def total(self) -> float:
        """The return over the whole run, a fraction."""
        return self.final / self.terms.capital - 1.0

    @property
    def yearly(self) -> float:
        """The annualized return, a fraction."""
        return metrics.annualized_return(self.returns, self.terms.periods)

    @property
    def duration_ns(self) -> int:
        """The length of the window."""
        end = int(self.account["time"]) if self.terms.end is None else self.terms.end
        return max(0, end - self.terms.start)

    def of_trades(self, name: str) -> float:
        """Return a statistic of the closed trades."""
        if self._trades is None:
            self._trades = metrics.trade_statistics(self.trades, trade_returns(self.trades, self.terms.multipliers))
        return number_of(self._trades[name])

    def of_costs(self, name: str) -> float:
        """Return a statistic of the costs."""
        if self._costs is None:
            mean = float(np.mean(self.days)) if len(self.days) else math.nan
            years = len(self.days) / self.terms.periods
            self._costs = metrics.cost_statistics(self.fills, self.terms.multipliers, mean, years)
        return number_of(self._costs[name])

    @property
    def summary(self) -> MarkSummary:
        """The marks; only there when an objective asks for them."""
        assert self.marks is not None
        return self.marks

    def value(self, name: str) -> float:
        """Return a statistic by name; NaN where it is not defined."""
        if name not in self._known:
            self._known[name] = (FROM_TABLES.get(name) or FROM_MARKS[name])(self)
        return self._known[name]


def _of_trades(name: str) -> Callable[[Measures], float]:
    return lambda m: m.of_trades(name)


def _of_costs(name: str) -> Callable[[Measures], float]:
    return lambda m: m.of_costs(name)


FROM_TABLES: dict[str, Callable[[Measures], float]] = {
    "Equity Final": lambda m: m.final,
    "Return [%]": lambda m: 100.0 * m.total,
    "Return (Ann.) [%]": lambda m: 100.0 * m.yearly,
    "CAGR [%]": lambda m: 100.0 * metrics.compound_annual_growth(m.final, m.terms.capital, m.duration_ns),
    "Volatility (Ann.) [%]": lambda m: 100.0 * metrics.annualized_volatility(m.returns, m.terms.periods),
    "Sharpe Ratio": lambda m: m.sharpe,
    "Sortino Ratio": lambda m: metrics.sortino_ratio(m.returns, m.terms.periods, m.terms.risk_free_rate),
    **{name: _of_trades(name) for name in (
        "# Trades", "Win Rate [%]", "Best Trade [%]", "Worst Trade [%]", "Avg. Trade [%]", "MAE", "MFE",
        "Profit Factor", "Expectancy", "Expectancy [%]", "SQN", "Kelly Criterion")},
    **{name: _of_costs(name) for name in ("Turnover", "Fees", "Slippage cost")},
    "Ambiguous bars": lambda m: float(m.account["ambiguous"]),
    "Gapped entries": lambda m: float(m.account["gapped"]),
    "Rejected orders": lambda m: float(np.sum(m.refusals["allowed"] == 0.0)),
}
"""Statistics that need no marks."""

FROM_MARKS: dict[str, Callable[[Measures], float]] = {
    "Equity Peak": lambda m: m.summary.peak,
    "Exposure Time [%]": lambda m: 100.0 * (m.summary.exposed / m.summary.count) if m.summary.count else math.nan,
    "Max. Drawdown [%]": lambda m: -100.0 * m.summary.deepest + 0.0,
    "Calmar Ratio": lambda m: metrics.ratio(m.yearly, m.summary.deepest),
    "Recovery Factor": lambda m: metrics.ratio(m.total, m.summary.deepest),
}
"""Statistics that need a summary of the marks."""
