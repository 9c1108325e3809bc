"""The checks of sizing rules and risk rules: quantities that make sense, never raised, from what was known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import attrs
import numpy as np

from framework.backtest.compose import names_of, shown_to_rule
from framework.boundary.adapter import RECORD, RESULT
from framework.data import Tape
from framework.engine import layout
from framework.indicators import Expression
from framework.model.instrument import ALWAYS_OPEN
from framework.risk import Rule, SizingRule, check_dtype, store_rule
from framework.source_check import captured, check_names, doubtful
from framework.testing.columns import ColumnChecks, clocks_of
from framework.testing.contract import check_contract, check_refusals, made_at_bounds
from framework.testing.markets import synthetic_market
from framework.testing.probes import Churn, called, check_compiles, fill_orders, shown
from framework.testing.report import Failed, Probe
from framework.testing.runs import Logs, difference, finished, rows_differ, simulate

PROBES = 500

BESIDE = {"watch": layout.FAULT_WATCH, "protect": layout.FAULT_PROTECT}
"""Functions of risk rules beside `check`, and what they are in the state."""


@attrs.define(eq=False, slots=False)
class RuleChecks:
    """All checks of one sizing rule or risk rule; the fields are those of StrategyChecks."""

    cls: type[Rule]
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
        yield "indicators do not see the future", self.columns_causal
        yield "batch indicators equal incremental ones", self.columns_incremental
        if self.is_sizing:
            yield "quantities are finite and not negative", self.quantities
        else:
            yield "never raises a quantity", self.never_raises
        if not self.interpreted:
            yield "compiles", self.compiles
            yield "compiled equals interpreted", self.compiled_equals_interpreted
        yield "the same twice", self.pure
        yield "any prices and any length", self.robust

    @property
    def is_sizing(self) -> bool:
        """Whether it is a sizing rule."""
        return issubclass(self.cls, SizingRule)

    @cached_property
    def rule(self) -> Rule:
        """The instance that runs."""
        return self.cls(**self.params)

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """Its declared indicators."""
        return dict(names_of(self.rule))

    @cached_property
    def functions(self) -> dict[str, Any]:
        """Its functions by name, the one that answers first."""
        if self.is_sizing:
            return {"size": self.cls.size}  # type: ignore[attr-defined]
        found = {name: getattr(self.cls, name, None) for name in ("check", *BESIDE)}
        return {name: function for name, function in found.items() if function is not None}

    @cached_property
    def tapes(self) -> dict[str, Tape]:
        """The markets by name."""
        if self.market is not None:
            return {"the given market": self.market}
        named, timeframe = clocks_of(self.expressions.values())
        symbols = tuple(dict.fromkeys(("AAA", *named, "BBB")))
        return {kind: synthetic_market(400, symbols, timeframe, kind) for kind in ("trending", "gappy")}

    def run(self, tape: Tape, interpreted: bool) -> Logs:
        """Return the tables of a run of the churning strategy under this rule."""
        rule: Any = self.rule
        if self.is_sizing:
            return finished(simulate(Churn(), tape, interpreted=interpreted, sizing=rule))
        return finished(simulate(Churn(), tape, interpreted=interpreted, rules=[rule]))

    def orders(self, rule: Rule) -> np.ndarray:
        """Return openings of all sizes as the rule sees them, its memory as it is at the start."""
        records = np.zeros(PROBES, check_dtype(rule, read_names(rule)))
        for record in records:
            store_rule(rule, record)
        fill_orders(records, 1)
        return records

    def answers(self, rule: Rule, compiled: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return the openings and what becomes of them: watched and protected first, if a rule does, then asked."""
        records = self.orders(rule)
        for name in BESIDE:
            if name in self.functions:
                records = called(self.functions[name], records, RECORD, compiled)
        name, form = ("size", RESULT) if self.is_sizing else ("check", RECORD)
        return records, called(self.functions[name], records, form, compiled)

    def columns_causal(self) -> str:
        """No declared indicator sees the future."""
        return ColumnChecks(self.expressions, self.tapes).causal()

    def columns_incremental(self) -> str:
        """Every declared indicator is the same one bar at a time."""
        return ColumnChecks(self.expressions, self.tapes).incremental()

    def names(self) -> str:
        """Every name in its functions and their helpers exists."""
        dtype = check_dtype(self.rule, read_names(self.rule))
        for name, function in self.functions.items():
            shown_parts = shown_to_rule(dtype, BESIDE.get(name, layout.FAULT_RULE))
            check_names(function, shown_parts, RECORD, f"{self.cls.name}.{name}")
        return ", ".join(self.functions)

    def reads(self) -> str:
        """Its functions read nothing but their argument and constants."""
        for name, function in self.functions.items():
            for read, value in captured(function):
                raise Failed(f"{name} reads {read} ({type(value).__name__}) past its argument; use a parameter, an "
                             "indicator or state")
        return "; ".join(text for function in self.functions.values() for text in doubtful(function))

    def never_raises(self) -> str:
        """What is allowed is a number from 0 to the quantity asked, at the defaults and at every bound."""
        made: list[Rule] = made_at_bounds(self.cls, self.params)
        for rule in made:
            before, after = self.answers(rule)
            allowed = after["allowed"]
            bad = np.flatnonzero(~((allowed >= 0.0) & (allowed <= before["qty"])) | (after["qty"] != before["qty"]))
            if bad.size:
                i = int(bad[0])
                raise Failed(f"it allows {float(allowed[i])!r} of {float(before['qty'][i])!r} with {rule.values()}: "
                             f"{shown(before[i])}")
        return f"{len(made)} sets of parameters, {PROBES} orders each"

    def quantities(self) -> str:
        """The quantity is finite and not negative; NaN only where an indicator has no value yet."""
        made: list[Rule] = made_at_bounds(self.cls, self.params)
        for rule in made:
            before, after = self.answers(rule)
            missing = np.zeros(PROBES, bool)
            for name in self.expressions:
                missing |= np.isnan(before["ind"][name])
            qty = after["result"]
            bad = np.flatnonzero(~((np.isfinite(qty) & (qty >= 0.0)) | (missing & np.isnan(qty))))
            if bad.size:
                i = int(bad[0])
                raise Failed(f"it sizes {float(qty[i])!r} with {rule.values()}: {shown(before[i])}")
        return f"{len(made)} sets of parameters, {PROBES} orders each"

    def compiles(self) -> str:
        """All its functions compile."""
        dtype = check_dtype(self.rule, read_names(self.rule))
        for name, function in self.functions.items():
            form = RESULT if name == "size" else RECORD
            told = check_compiles(f"{self.cls.name}.{name}", function, dtype, form)
        return told

    def compiled_equals_interpreted(self) -> str:
        """Answers, and a run under the rule, are the same bit for bit."""
        _, one = self.answers(self.rule, compiled=True)
        before, other = self.answers(self.rule)
        for i in np.flatnonzero(rows_differ(one, other)):
            raise Failed(f"{shown(before[i])}\ncompiled: {shown(one[i])}\ninterpreted: {shown(other[i])}")
        for label, tape in self.tapes.items():
            told = difference(self.run(tape, False), self.run(tape, True), tape.symbols, ("compiled", "interpreted"))
            if told:
                raise Failed(f"{label}: {told}")
        return f"{PROBES} orders and {len(self.tapes)} runs"

    def pure(self) -> str:
        """The same order and memory give the same answer."""
        before, one = self.answers(self.rule)
        _, other = self.answers(self.rule)
        for i in np.flatnonzero(rows_differ(one, other)):
            raise Failed(f"{shown(before[i])}\nfirst: {shown(one[i])}\nthen: {shown(other[i])}")
        return ""

    def robust(self) -> str:
        """It survives one price for ever, and data of one bar."""
        named, timeframe = clocks_of(self.expressions.values())
        for bars, kind in ((1, "gappy"), (60, "gappy"), (200, "constant")):
            self.run(synthetic_market(bars, ("AAA", *named), timeframe, kind), True)
        return ""


def read_names(rule: Rule) -> tuple[str, ...]:
    """Return what the rule reads as `order.ind`: its indicators, and what depends on time alone."""
    return (*names_of(rule), *rule.clocks(ALWAYS_OPEN, np.zeros(1, np.int64)))
