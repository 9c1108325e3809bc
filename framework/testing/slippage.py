"""The checks of a slippage model: finite prices, made from what was known at the fill."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import attrs
import numpy as np

from framework.backtest.compose import names_of
from framework.boundary.adapter import RESULT
from framework.data import Tape
from framework.indicators import Expression, evaluate
from framework.slippage import SlippageModel, fill_dtype
from framework.source_check import captured, check_names, doubtful
from framework.testing.columns import ColumnChecks, clocks_of
from framework.testing.contract import check_contract, check_refusals, made_at_bounds
from framework.testing.data import change_values
from framework.testing.markets import quiet_cuts, synthetic_market
from framework.testing.probes import Churn, called, check_compiles
from framework.testing.report import Failed, Probe
from framework.testing.runs import difference, finished, moment, simulate

REFERENCES = (1e-6, 0.37, 100.0, 12_345.6)
QUANTITIES = (1e-8, 1.0, 1_234.5, 1e7)
CUTS = 12


@attrs.define(eq=False, slots=False)
class SlippageChecks:
    """All checks of one slippage model class; the fields are those of StrategyChecks."""

    cls: type[SlippageModel]
    params: Mapping[str, Any]
    market: Tape | None = None
    interpreted: bool = False

    essential = ("contract", "names")

    def checks(self) -> Iterator[tuple[str, Probe]]:
        """Yield name and function of every check, in order."""
        yield "contract", lambda: check_contract(self.cls, needs_high=False)
        yield "bad parameters are refused", lambda: check_refusals(self.cls)
        yield "names", self.names
        yield "reads only what it is shown", self.reads
        if self.expressions:
            yield "indicators do not see the future", lambda: self.columns.causal()
            yield "batch indicators equal incremental ones", lambda: self.columns.incremental()
        yield "prices are finite and above zero", self.finite
        yield "does not improve a price", self.improves
        yield "does not read the filling bar", self.filling_bar
        if not self.interpreted:
            yield "compiles", self.compiles
            yield "compiled equals interpreted", self.compiled_equals_interpreted
        yield "the same twice", self.deterministic

    @cached_property
    def model(self) -> SlippageModel:
        """The instance that runs."""
        return self.cls(**self.params)

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """Its declared indicators."""
        return dict(names_of(self.model))

    @cached_property
    def tape(self) -> Tape:
        """The market."""
        if self.market is not None:
            return self.market
        named, timeframe = clocks_of(self.expressions.values())
        return synthetic_market(300, tuple(dict.fromkeys(("AAA", *named, "BBB"))), timeframe, kind="gappy")

    @property
    def columns(self) -> ColumnChecks:
        """The checks of its indicators."""
        return ColumnChecks(self.expressions, {"the market": self.tape})

    def dtype(self, model: SlippageModel) -> np.dtype:
        """Return the layout of what a model is shown."""
        return fill_dtype(model, tuple(names_of(model)))

    def requests(self, model: SlippageModel) -> np.ndarray:
        """Return fills of all sizes on both sides, after bars of the market's first symbol.

        At prices of all sizes, the bars scaled to them; indicators cannot be scaled, so with them the market's prices.
        """
        dtype = self.dtype(model)
        columns = {name: evaluate(expression, self.tape, 0) for name, expression in names_of(model).items()}
        grid = [(reference, side * qty) for reference in REFERENCES for qty in QUANTITIES for side in (1.0, -1.0)]
        records = np.zeros(4 * len(grid), dtype)
        for i, record in enumerate(records):
            bar = i % int(self.tape.series[1])
            reference, qty = grid[i % len(grid)]
            if columns:
                reference = float(self.tape.close[bar])
            record["reference"], record["qty"] = reference, qty
            for name in ("open_time", "close_time"):
                record["bar"][name] = getattr(self.tape, name)[bar]
            for name in ("open", "high", "low", "close"):
                record["bar"][name] = getattr(self.tape, name)[bar] * reference / self.tape.close[bar]
            volume = (0.0, 1_000.0, 1e6, 3.0)[i // len(grid)]
            record["bar"]["volume"] = record["mean_volume"] = volume
            record["volatility"] = (0.0, 0.01, 0.3, 0.05)[i // len(grid)]
            record["instrument"]["multiplier"], record["instrument"]["lot"] = 1.0, 1e-8
            record["instrument"]["tick"] = (0.0, 1e-4)[i % 2] * reference
            for name, column in columns.items():
                record["ind"][name] = column[bar]
            if model.params():
                model.store_params(record["p"])
        return records

    def prices(self, model: SlippageModel | None = None, compiled: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return the fills and their prices."""
        records = self.requests(model or self.model)
        return records, called(self.cls.price, records, RESULT, compiled)["result"]

    def names(self) -> str:
        """Every name in the function and its helpers exists."""
        check_names(self.cls.price, self.dtype(self.model), RESULT, f"{self.cls.name}.price")
        return ""

    def reads(self) -> str:
        """The price comes from the argument and constants alone."""
        data = captured(self.cls.price)
        if not data:
            return "; ".join(doubtful(self.cls.price))
        told = ", ".join(f"{name} ({type(value).__name__})" for name, value in data)
        message = f"the model reads {told} past its argument: that may hold the filling bar or any later one"
        records, before = self.prices()
        with change_values([value for _, value in data]):
            _, after = self.prices()
        differing = np.flatnonzero(before != after)
        if differing.size:
            i = int(differing[0])
            raise Failed(f"{message}\nit prices by it: {words(records[i])} gets {float(before[i])!r}, with other "
                         f"values in it {float(after[i])!r}")
        raise Failed(message)

    def finite(self) -> str:
        """Every price is a finite number above zero, at the defaults and at every bound."""
        made: list[SlippageModel] = made_at_bounds(self.cls, self.params)
        for model in made:
            records, prices = self.prices(model)
            bad = np.flatnonzero(~(np.isfinite(prices) & (prices > 0.0)))
            if bad.size:
                i = int(bad[0])
                raise Failed(f"{words(records[i])} gets {float(prices[i])!r} with {model.values()}")
        return f"{len(made)} sets of parameters, {len(self.requests(self.model))} fills each"

    def improves(self) -> str:
        """No price is better than its reference, at the defaults and at every bound: the step would not give it."""
        made: list[SlippageModel] = made_at_bounds(self.cls, self.params)
        for model in made:
            records, prices = self.prices(model)
            better = np.flatnonzero(np.sign(records["qty"]) * (prices - records["reference"]) < 0.0)
            if better.size:
                i = int(better[0])
                raise Failed(f"in {better.size} of {len(records)} fills with {model.values()} it is better than the "
                             f"reference, at which the step fills then: {words(records[i])} gets "
                             f"{float(prices[i])!r}; buying costs more (qty > 0), selling brings less")
        return f"{len(made)} sets of parameters"

    def filling_bar(self) -> str:
        """Fills at an open stay when high, low, close and volume of that bar are others."""
        seen = 0
        for cut in quiet_cuts(self.tape, CUTS):
            last = int(np.searchsorted(self.tape.event_time, cut, side="right"))
            one, other = (finished(simulate(Churn(every=3), tape, interpreted=True, slippage=self.model), last)
                          for tape in (self.tape, change_range(self.tape, cut)))
            called = ("as it was", "with another high, low, close and volume")
            told = difference(one, other, self.tape.symbols, called, ("fills",))
            if told:
                raise Failed(f"a fill depends on the bar that opens at {moment(cut)}; {told}")
            seen += int(np.sum(one["fills"]["time"] == cut))
        return f"{seen} fills at {CUTS} opens"

    def compiles(self) -> str:
        """The function compiles."""
        return check_compiles(f"{self.cls.name}.price", self.cls.price, self.dtype(self.model), RESULT)

    def compiled_equals_interpreted(self) -> str:
        """Prices are the same bit for bit."""
        records, one = self.prices(compiled=True)
        _, other = self.prices()
        differing = np.flatnonzero(one.view(np.int64) != other.view(np.int64))
        if differing.size:
            i = int(differing[0])
            hints = "\n".join(doubtful(self.cls.price))
            told = f"{words(records[i])} gets {float(one[i])!r} compiled, {float(other[i])!r} interpreted"
            raise Failed(f"{told}\n{hints}".rstrip())
        return f"{one.size} prices"

    def deterministic(self) -> str:
        """The same fill has the same price."""
        records, one = self.prices()
        _, other = self.prices()
        differing = np.flatnonzero(one != other)
        if differing.size:
            i = int(differing[0])
            raise Failed(f"{words(records[i])} gets {float(one[i])!r}, and then {float(other[i])!r}")
        return ""


def change_range(tape: Tape, opening: int) -> Tape:
    """Return a tape in which the bars that open at a time [ns] have the same open and nothing else in common."""
    rows = tape.open_time == opening
    columns = {name: getattr(tape, name).copy() for name in ("high", "low", "close", "volume")}
    columns["close"][rows] *= 1.1
    columns["high"][rows] = np.maximum(columns["high"], columns["close"])[rows] * 1.2
    columns["low"][rows] *= 0.8
    columns["volume"][rows] *= 3.0
    return attrs.evolve(tape, **columns)


def words(fill: Any) -> str:
    """Return a fill in words."""
    side = "buying" if math.copysign(1.0, fill["qty"]) > 0 else "selling"
    return (f"{side} {abs(float(fill['qty']))!r} at {float(fill['reference'])!r} after the bar that closed at "
            f"{moment(fill['bar']['close_time'])} (mean volume {float(fill['mean_volume'])!r})")
