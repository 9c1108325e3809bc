"""What a run leaves behind: its records, what produced them, and the statistics and frames made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.backtest import frames, metrics, round_trips
from framework.backtest.attribution import Share, attribute
from framework.backtest.benchmark import Growth, PriceHistory, growth_returns, held_growth, is_price
from framework.backtest.fitting import notes_on
from framework.backtest.intervals import Interval, intervals
from framework.backtest.stats import Stats, Value
from framework.backtest.tax import Tax, TaxYear, tax_years
from framework.model.enums import CashKind, Role, Status
from framework.model.records import CASH_FLOW, DAY, FILL, MARK, ORDER, REFUSAL, TRADE

if TYPE_CHECKING:
    import plotly.graph_objects
    import polars as pl

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Structured = NDArray[np.void]

SHORT_HISTORY_DAYS = 60
"""Below this number of days annual figures are extrapolations."""


def empty(dtype: np.dtype[np.void]) -> Structured:
    """Return a table without rows."""
    return np.empty(0, dtype)


@attrs.frozen(eq=False, kw_only=True)
class Records:
    """The tables of a run as numpy structured arrays, laid out as in `framework.model.records`.

    open_trades holds TRADE rows of positions still open, marked at their last close.
    """

    orders: Structured = attrs.field(factory=lambda: empty(ORDER))
    fills: Structured = attrs.field(factory=lambda: empty(FILL))
    trades: Structured = attrs.field(factory=lambda: empty(TRADE))
    refusals: Structured = attrs.field(factory=lambda: empty(REFUSAL))
    marks: Structured = attrs.field(factory=lambda: empty(MARK))
    days: Structured = attrs.field(factory=lambda: empty(DAY))
    cash_flows: Structured = attrs.field(factory=lambda: empty(CASH_FLOW))
    open_trades: Structured = attrs.field(factory=lambda: empty(TRADE))

    def __attrs_post_init__(self) -> None:
        for field, dtype in (
            ("orders", ORDER),
            ("fills", FILL),
            ("trades", TRADE),
            ("refusals", REFUSAL),
            ("marks", MARK),
            ("days", DAY),
            ("cash_flows", CASH_FLOW),
            ("open_trades", TRADE),
        ):
            found = getattr(self, field).dtype
            if found != dtype:
                raise TypeError(f"records.{field} has the layout {found}, not that of framework.model.records")


@attrs.frozen(kw_only=True)
class Counters:
    """What the engine counted.

    ambiguous_bars: bars whose inner order decided a result. gapped_entries: entries filled beyond their own stop.
    """

    ambiguous_bars: int = 0
    gapped_entries: int = 0
    rejected_orders: int = 0
    events: int = 0
    bars: int = 0


@attrs.frozen(eq=False)
class Regimes:
    """Which regime of a rule held on every bar: `place`, int64[n bars of the tape], indexes names; -1 is not known."""

    names: tuple[str, ...]
    place: Integers

    @property
    def bars(self) -> dict[str, int]:
        """On how many bars each one held."""
        counts = np.bincount(self.place[self.place >= 0], minlength=len(self.names))
        return dict(zip(self.names, counts.tolist(), strict=True))


def tags_per_slot(tags: Sequence[str] | Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return tags as one tuple of names per slot; a flat list of names stands for every slot."""
    if any(isinstance(tag, str) for tag in tags):
        return (tuple(str(tag) for tag in tags),)
    return tuple(tuple(names) for names in tags)


def as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return values as a tuple."""
    return tuple(values)


def floats(values: Sequence[float] | Floats) -> Floats:
    """Return values as a float64 array."""
    return np.asarray(values, np.float64)


@attrs.frozen(eq=False, kw_only=True, slots=False)
class Result:
    """One finished run.

    config: the configuration as plain values. slots: (strategy name, symbol) of each slot. tags: names that the integer
    tags of orders index, one list for all slots or one list per slot. capital: at the start, account currency.
    annualization: trading days per year (252 for XNYS days, 365 for UTC days). risk_free_rate: per year, a fraction.
    fingerprint: sha256 of the data. rule_names: of the config's rules, in order. multipliers, first_close, last_close,
    positions: float64[n_symbols]; the closes are the first and last of the window, for buy and hold. cash: at the end.
    start, end: the window in ns UTC, by default the first and last mark. notes: what a reader must know. data: a
    summary of the data as plain values. prices: bars for the charts, or None. currency: of the account. benchmark: the
    symbol that is bought and held beside the run, None for equal weights of all. tax: what is taken off, after the run
    or within it, or None. regimes: of the sizing rule, where it has any. folder: what relative paths of its data start
    from. plugins: kind, name, distribution, version and source hash of each that it used. engine: a hash of the step's
    own source. fits: of each strategy that was trained, on what, and the fingerprint of its model. is_stitched: of runs
    that follow each other, so that no single one repeats it.
    """

    config: Mapping[str, object]
    symbols: tuple[str, ...] = attrs.field(converter=as_tuple)
    slots: tuple[tuple[str, str], ...] = attrs.field(converter=as_tuple)
    capital: float
    annualization: float
    fingerprint: str
    seed: int
    records: Records
    first_close: Floats = attrs.field(converter=floats)
    last_close: Floats = attrs.field(converter=floats)
    positions: Floats = attrs.field(converter=floats)
    cash: float
    tags: tuple[tuple[str, ...], ...] = attrs.field(default=(), converter=tags_per_slot)
    risk_free_rate: float = 0.0
    versions: Mapping[str, str] = attrs.field(factory=dict)
    counters: Counters = attrs.field(factory=Counters)
    rule_names: tuple[str, ...] = attrs.field(default=(), converter=as_tuple)
    status: Status = Status.RUNNING
    notes: tuple[str, ...] = attrs.field(default=(), converter=as_tuple)
    data: Mapping[str, object] = attrs.field(factory=dict)
    multipliers: Floats = attrs.field(converter=floats)
    start: int | None = None
    end: int | None = None
    prices: PriceHistory | None = None
    currency: str = "USD"
    benchmark: str | None = None
    tax: Tax | None = None
    regimes: Regimes | None = None
    folder: str = ""
    plugins: tuple[Mapping[str, str], ...] = attrs.field(default=(), converter=as_tuple)
    engine: str = ""
    fits: tuple[Mapping[str, object], ...] = attrs.field(default=(), converter=as_tuple)
    is_stitched: bool = False

    @multipliers.default
    def _one_per_symbol(self) -> Floats:
        return np.ones(len(self.symbols))

    @cached_property
    def window(self) -> metrics.Window:
        """The capital, the period and the reference that statistics are measured against."""
        times = self.records.marks["time"]
        first, last = (int(times[0]), int(times[-1])) if len(times) else (0, 0)
        start = first if self.start is None else int(self.start)
        end = last if self.end is None else int(self.end)
        return metrics.Window(self.capital, self.annualization, self.risk_free_rate, start, max(start, end),
                              self.buy_and_hold, self.benchmark_returns(start))

    @property
    def outcome(self) -> str:
        """How the run ended: "done", or "ruined" when equity reached zero."""
        return "ruined" if self.status == Status.RUINED else "done"

    @property
    def benchmark_symbols(self) -> tuple[str, ...]:
        """The symbols that are bought and held beside the run."""
        return self.symbols if self.benchmark is None else (self.benchmark,)

    @cached_property
    def buy_and_hold(self) -> float:
        """The mean over the benchmark's symbols of last close / first close - 1: no costs, never rebalanced."""
        chosen = np.isin(self.symbols, self.benchmark_symbols)
        known = is_price(self.first_close) & np.isfinite(self.last_close) & chosen
        if not known.any():
            return math.nan
        return float(np.mean(self.last_close[known] / self.first_close[known] - 1.0))

    def benchmark_growth(self, start: int) -> Growth | None:
        """Return what one unit of money in the benchmark became from `start` (ns UTC) on; None without prices."""
        if self.prices is None or not math.isfinite(self.buy_and_hold):
            return None
        return held_growth(self.prices, self.first_close, self.symbols, self.benchmark_symbols, start)

    def benchmark_returns(self, start: int) -> Floats:
        """Return the benchmark's return of each day of the run; empty without prices."""
        growth = self.benchmark_growth(start)
        return growth_returns(growth, self.records.days["time"]) if growth is not None else np.empty(0)

    @cached_property
    def drawdowns(self) -> metrics.Drawdowns:
        """The drawdowns over every mark, with the capital as the first peak."""
        marks = self.records.marks
        return metrics.drawdowns(marks["equity"], marks["time"], self.capital, self.window.start)

    @cached_property
    def stats(self) -> Stats:
        """The statistics by name, printed as an aligned table; docs/metrics.md has the formulas."""
        records = self.records
        days = records.days["equity"]
        mean_equity = float(np.mean(days)) if len(days) else math.nan
        values: dict[str, Value] = {
            **metrics.account_statistics(records.marks, records.days, self.window, self.drawdowns),
            **metrics.trade_statistics(records.trades, self.trade_returns),
            **metrics.cost_statistics(records.fills, self.multipliers, mean_equity, len(days) / self.annualization),
            "Cash flows": float(records.cash_flows["amount"].sum()) + self.tax_paid,
            "Tax": self.tax_cost,
            "Post-tax Return [%]": 100.0 * ((self.window.final(records.marks) - self.tax_left) / self.capital - 1.0),
            "Ambiguous bars": int(self.counters.ambiguous_bars),
            "Gapped entries": int(self.counters.gapped_entries),
            "Rejected orders": int(self.counters.rejected_orders),
            "# Open Trades": len(records.open_trades),
            "Open P&L": float(records.open_trades["pnl"].sum()),
        }
        return Stats(values, self.all_notes(values))

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Intervals of return, Sharpe ratio and drawdown by the name of the statistic; empty for a short run."""
        returns = metrics.daily_returns(self.records.days["equity"], self.capital)
        return intervals(returns, self.annualization, self.risk_free_rate, seed=self.seed)

    @cached_property
    def trade_returns(self) -> Floats:
        """The P&L of each closed trade over the value entered, a fraction."""
        return frames.trade_returns(self.records.trades, self.multipliers)

    @cached_property
    def tax_years(self) -> tuple[TaxYear, ...]:
        """The tax of each year; empty without [tax]."""
        if self.tax is None:
            return ()
        return tax_years(self.records.trades, self.records.fills, self.multipliers, self.tax)

    @property
    def tax_cost(self) -> float:
        """What taxes take away in all, account currency; NaN without [tax]."""
        if self.tax is None:
            return math.nan
        return self.tax_paid if self.tax.in_equity else math.fsum(year.cost for year in self.tax_years)

    @property
    def tax_paid(self) -> float:
        """What taxes took from the account inside the run, account currency; 0 without `in_equity`."""
        flows = self.records.cash_flows
        return 0.0 - float(flows["amount"][np.isin(flows["kind"], (CashKind.TDS, CashKind.TAX))].sum())

    @property
    def tax_left(self) -> float:
        """What of the taxes the final equity does not show, account currency; NaN without [tax]."""
        return self.tax_cost - self.tax_paid

    def trading_notes(self) -> list[str]:
        """Return what was rejected and, when nothing was traded, so much and who can tell why; each of it once."""
        records = self.records
        rejected = frames.refusal_notes(records.refusals, self.rule_names)
        if len(records.fills):
            return rejected
        names = ", ".join(dict.fromkeys(name for name, _ in self.slots))
        if len(records.orders):
            told = f"no trade: none of {len(records.orders):,} orders was filled"
        elif frames.asks_to_trade(records.refusals):
            told, rejected = f"no trade: not one order came through; {rejected[0]}", []
        elif rejected:
            told, rejected = (f"no decision in the whole run: {names} never bought or sold, and asked "
                              f"{len(records.refusals):,} times to close, move or cancel what was not there"), []
        else:
            told = (f"no decision in the whole run: {names} never bought or sold; check conditions, parameters and "
                    "[run] start and end")
        if self.slots and not self.is_stitched:
            told += (f"; `framework explain RUN --symbol {self.slots[0][1]} --at TIME` tells of any bar what was known "
                     "and why there was no trade, framework.explain(result, symbol, at) does in Python")
        return [told, *rejected]

    def all_notes(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """Return the notes of the run and what its statistics need said about them."""
        trades, days = len(self.records.trades), len(self.records.days)
        notes = [*self.notes, *notes_on(self.fits), *self.trading_notes()]
        if self.status == Status.RUINED:
            notes.append("ruined: equity fell to zero or below and the run ended there")
        if trades < metrics.FEW_TRADES:
            notes.append(
                f"{trades} closed trade{'' if trades == 1 else 's'}: fewer than {metrics.FEW_TRADES} say "
                "little about what comes next"
            )
        if 0 < days < SHORT_HISTORY_DAYS:
            notes.append(f"{days} day{'' if days == 1 else 's'} of history: annual figures are extrapolations")
        if trades and not np.any(self.records.trades["pnl"] < 0.0):
            notes.append("no losing trade: Profit Factor and Kelly Criterion are not defined")
        if days and not metrics.varies(metrics.daily_returns(self.records.days["equity"], self.capital)):
            notes.append("equity did not vary: Sharpe and Sortino Ratio are not defined")
        if len(self.records.open_trades):
            count = len(self.records.open_trades)
            notes.append(
                f"{count} position{'' if count == 1 else 's'} still open at the end: marked in equity, not "
                "counted as trades"
            )
        notes.append(f"annualized with {self.annualization:g} days a year, risk-free rate {self.risk_free_rate:.2%}")
        return tuple(notes)

    @cached_property
    def _namer(self) -> frames.Namer:
        tags = self.tags * len(self.slots) if len(self.tags) == 1 else self.tags
        return frames.Namer(self.symbols, self.slots, tags, self.rule_names, self.multipliers)

    @cached_property
    def orders(self) -> pl.DataFrame:
        """One row per order."""
        return self._namer.orders(self.records.orders)

    @cached_property
    def fills(self) -> pl.DataFrame:
        """One row per execution."""
        return self._namer.fills(self.records.fills)

    @cached_property
    def trades(self) -> pl.DataFrame:
        """One row per closed round trip."""
        return self._namer.trades(self.records.trades, is_open=False)

    @cached_property
    def open_trades(self) -> pl.DataFrame:
        """One row per position still open at the end, marked at its last close."""
        return self._namer.trades(self.records.open_trades, is_open=True)

    @cached_property
    def exits(self) -> pl.DataFrame:
        """One row per execution that reduced a closed round trip, with the id of that trade."""
        trade, fills = round_trips.exits(self.records.fills, self.records.trades)
        return self._namer.exits(self.records.trades["id"][trade], fills)

    @cached_property
    def cash_flows(self) -> pl.DataFrame:
        """One row per dividend, funding, borrow and interest."""
        return self._namer.cash_flows(self.records.cash_flows)

    @cached_property
    def refusals(self) -> pl.DataFrame:
        """One row per refused or reduced intent, with rule, value and limit."""
        return self._namer.refusals(self.records.refusals)

    @cached_property
    def equity(self) -> pl.DataFrame:
        """One row per mark of the account."""
        return frames.equity_frame(self.records.marks, self.drawdowns.fraction)

    def attribution(self) -> dict[str, list[Share]]:
        """Return the closed P&L split by symbol, side, strategy, exit reason and, where there are any, regime at entry.

        Each split sums to the whole.
        """
        trades = self.records.trades
        strategies = list(dict.fromkeys(strategy for strategy, _ in self.slots))
        of_slot = np.array([strategies.index(strategy) for strategy, _ in self.slots] or [0], np.int64)
        splits = {
            "symbol": attribute(trades, trades["symbol"], self.symbols),
            "side": attribute(trades, (trades["side"] < 0).astype(np.int64), ("long", "short")),
            "strategy": attribute(trades, of_slot[trades["slot"]], strategies),
            "exit reason": attribute(trades, trades["exit_role"], [role.name.lower() for role in Role]),
        }
        if self.regimes is not None:
            place = self.entry_regimes
            names = [*self.regimes.names, "not known"]
            splits["regime"] = attribute(trades, np.where(place < 0, len(names) - 1, place), names)
        return splits

    @cached_property
    def entry_regimes(self) -> Integers:
        """The regime known when each closed trade began, that of the bar before its first fill; -1 where unknown."""
        bars = round_trips.entry_bars(self.records.fills, self.records.trades) - 1
        if self.regimes is None:
            return np.full(len(bars), -1, np.int64)
        place = np.append(self.regimes.place, -1)
        return place[np.where(bars < 0, len(place) - 1, bars)]

    def plot(self) -> plotly.graph_objects.Figure:
        """Return a plotly figure of equity, drawdown and, where there are prices, the trades on each symbol."""
        from framework.backtest.figure import figure

        return figure(self)

    def __repr__(self) -> str:
        return repr(self.stats)
