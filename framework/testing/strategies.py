"""The checks of a strategy: its contract, what it reads, and that it decides alike however it is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import attrs

from framework.backtest.compose import names_of, wake_of
from framework.backtest.fitting import Fitted, fitted
from framework.boundary.adapter import RECORD, RECORDS, names_used
from framework.boundary.jit import JIT
from framework.data import Tape
from framework.engine.simulation import Simulation
from framework.errors import ConfigError, StrategyError
from framework.indicators import Expression, first_ready
from framework.indicators.expression import PLACE
from framework.source_check import captured, check_names, doubtful
from framework.strategy import Strategy, now_dtype, shown_with_model
from framework.testing.columns import ColumnChecks, clocks_of, depth_of
from framework.testing.contract import bounds_of, check_contract, check_refusals
from framework.testing.data import change_values
from framework.testing.markets import change_future, events_until, quiet_cuts, synthetic_market
from framework.testing.probes import ACCEPT
from framework.testing.report import Failed, Probe
from framework.testing.runs import Logs, OneUnit, difference, finished, moment, simulate

CUTS = 5
BARS_AFTER_WARM_UP = 400
BARS_MAX = 20_000


@attrs.define(eq=False, slots=False)
class StrategyChecks:
    """All checks of one strategy class.

    params: of the instance that runs.  market: a tape to run on instead of the kit's own.
    interpreted: the strategy is meant as plain Python; nothing is asked of the compiler.
    """

    cls: type[Strategy]
    params: Mapping[str, Any]
    market: Tape | None = None
    interpreted: bool = False

    essential = ("contract", "indicators", "names")

    def checks(self) -> Iterator[tuple[str, Probe]]:
        """Yield name and function of every check, in order."""
        yield "contract", lambda: check_contract(self.cls, needs_high=True)
        yield "bad parameters are refused", lambda: check_refusals(self.cls)
        yield "indicators", self.indicators
        yield "names", self.names
        yield "reads only what it is shown", self.reads
        yield "indicators do not see the future", self.columns_causal
        yield "batch indicators equal incremental ones", self.columns_incremental
        yield "decides", self.decides
        yield "sleeping loses nothing", self.sleeps
        yield "decisions do not see the future", self.causal
        if not self.interpreted and not self.cls.is_fitted():
            yield "compiles", self.compiles
            yield "compiled equals interpreted", self.compiled_equals_interpreted
        yield "the same twice", self.deterministic
        yield "symbols do not disturb each other", self.independent
        yield "any prices and any length", self.robust

    # --- what runs ---

    @cached_property
    def strategy(self) -> Strategy:
        """The instance that runs."""
        return self.cls(**self.params)

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """Its declared indicators."""
        return dict(names_of(self.strategy))

    @property
    def function(self) -> Any:
        """Its decision."""
        return self.strategy.decide_all or self.strategy.decide

    @cached_property
    def tapes(self) -> dict[str, Tape]:
        """The markets by name, long enough for its warm-up."""
        if self.market is not None:
            return {"the given market": self.market}
        named, timeframe = clocks_of(self.expressions.values())
        bars = BARS_AFTER_WARM_UP
        for _ in range(4):
            tape = self.synthetic(bars, ("AAA", *named), timeframe)
            ready = max((first_ready(x, tape, 0) for x in self.expressions.values()), default=0)
            if bars >= min(ready + BARS_AFTER_WARM_UP, BARS_MAX):
                break
            bars = min(2 * bars + ready, BARS_MAX)
        several = tuple(dict.fromkeys(("AAA", *named, "BBB", "CCC")))
        made = {kind: self.synthetic(bars, ("AAA", *named), timeframe, kind, seed)
                for seed, kind in enumerate(("trending", "ranging", "gappy"), start=1)}
        return {**made, "several symbols": self.synthetic(bars, several, timeframe, "gappy", 4)}

    def synthetic(self, bars: int, symbols: tuple[str, ...], timeframe: str, kind: str = "trending",
                  seed: int = 1) -> Tape:
        """Return a market of the kit's own, with an order book where the strategy reads one."""
        return synthetic_market(bars, symbols, timeframe, kind, seed, depth_of(self.expressions.values()))

    @cached_property
    def ready(self) -> int:
        """The bar at which all indicators are defined, over all markets."""
        declared = self.expressions.values()
        return max((first_ready(x, tape, 0) for tape in self.tapes.values() for x in declared), default=0)

    @cached_property
    def runs(self) -> dict[str, Logs]:
        """The tables of one interpreted run per market."""
        return {name: finished(self.simulate(self.strategy, tape, interpreted=True))
                for name, tape in self.tapes.items()}

    @cached_property
    def fitted(self) -> Fitted | None:
        """The model of a strategy with a fit, trained on a market of the kit's own before any of the others begins."""
        if not self.cls.is_fitted():
            return None
        tape = next(iter(self.tapes.values()))
        bars = tape.n_bars // tape.n_symbols
        market = self.market or self.synthetic(bars, tape.symbols, tape.timeframes[0], seed=9)
        return fitted(self.strategy, market, None, None, int(market.close_time.max()) + 1, 1)

    def simulate(self, strategy: Strategy, tape: Tape, **options: Any) -> Simulation:
        """Return a simulation of the strategy, with its model where it has one."""
        return simulate(strategy, tape, fitted=self.fitted, **options)

    # --- the checks ---

    def indicators(self) -> str:
        """The declaration holds at the default parameters and at every bound, and its names never change."""
        names = list(self.expressions)
        for values in bounds_of(self.cls):
            shown = ", ".join(f"{name} = {value!r}" for name, value in values.items())
            try:
                made = list(names_of(self.cls(**{**self.params, **values})))
            except ConfigError as error:
                raise Failed(f"with {shown}, which its bounds allow: {error}") from error
            if made != names:
                raise Failed(f"with {shown} it declares {made}, with its defaults {names}; names must not depend on "
                             "parameters")
        return f"{', '.join(names) or 'none'}, at the defaults and at every bound"

    def columns_causal(self) -> str:
        """No declared indicator sees the future."""
        return ColumnChecks(self.expressions, self.tapes).causal()

    def columns_incremental(self) -> str:
        """Every declared indicator is the same one bar at a time."""
        return ColumnChecks(self.expressions, self.tapes).incremental()

    def names(self) -> str:
        """Every name in the decision and its helpers exists."""
        form = RECORDS if self.strategy.decide_all is not None else RECORD
        verb = "decide_all" if self.strategy.decide_all is not None else "decide"
        dtype = now_dtype(self.strategy, tuple(self.expressions))
        shown = shown_with_model(dtype) if self.cls.is_fitted() else dtype
        check_names(self.function, shown, form, f"{self.cls.name}.{verb}")
        return ""

    def reads(self) -> str:
        """The decision reads nothing but its argument and constants."""
        data = captured(self.function)
        if not data:
            return "; ".join(text for text in doubtful(self.function))
        told = ", ".join(f"{name} ({type(value).__name__})" for name, value in data)
        message = f"the decision reads {told} past its argument; read now, declare an indicator or keep it in state"
        for label, tape in self.tapes.items():
            with change_values([value for _, value in data]):
                other = finished(self.simulate(self.strategy, tape, interpreted=True))
            told = difference(self.runs[label], other, tape.symbols, ("with it", "with other values in it"))
            if told:
                raise Failed(f"{message}\nit decides by it ({label}): {told}")
        raise Failed(message)

    def decides(self) -> str:
        """It orders something in some market: else nothing below proves anything."""
        orders = {name: int(logs["orders"].size) for name, logs in self.runs.items()}
        refusals = sum(int(logs["refusals"].size) for logs in self.runs.values())
        if sum(orders.values()) + refusals == 0:
            raise Failed(f"no order in any market ({', '.join(orders)}), so that nothing is proven of its decisions; "
                         "hand the kit a market and parameters with which it trades: check_plugin(cls, market=tape, "
                         "params={...})")
        return ", ".join(f"{count} orders in {name}" for name, count in orders.items())

    def sleeps(self) -> str:
        """Asked at every close, it does what it does when it is asked only where its `wake` says so."""
        if not wake_of(self.strategy):
            return "not looked at: it declares no wake"
        awake = type(self.cls.__name__, (self.cls,), {"wake": Strategy.wake})(**self.params)
        for label, tape in self.tapes.items():
            asked = finished(self.simulate(awake, tape, interpreted=True))
            called = ("asked where its wake says so", "asked at every close")
            told = difference(self.runs[label], asked, tape.symbols, called)
            if told:
                raise Failed(f"{label}: its wake is false at a close where the decision acts; {told}")
        return f"in {', '.join(self.tapes)}"

    def causal(self) -> str:
        """What is decided up to a cut does not change when the bars after it are missing or are others."""
        for label, tape in self.tapes.items():
            whole = self.simulate(self.strategy, tape, interpreted=True)
            for cut in quiet_cuts(tape, CUTS, self.ready):
                before = finished(whole, events_until(tape, cut))
                for called, other in (("without the bars after", tape.truncate(cut)),
                                      ("with other bars after", change_future(tape, cut))):
                    again = finished(self.simulate(self.strategy, other, interpreted=True), events_until(other, cut))
                    told = difference(before, again, tape.symbols, ("with all bars", f"{called} {moment(cut)}"))
                    if told:
                        raise Failed(f"{label}: a decision depends on bars after {moment(cut)}: {told}")
        return f"{CUTS} cuts in each market"

    def compiles(self) -> str:
        """The decision compiles."""
        if not JIT:
            return "not looked at: the compiler is switched off"
        tape = next(iter(self.tapes.values()))
        notes = [note for note in self.simulate(self.strategy, tape).notes if note.startswith(f"{self.cls.name}.")]
        if notes:
            raise Failed(f"{notes[0]}\n{ACCEPT}")
        return ""

    def compiled_equals_interpreted(self) -> str:
        """Orders, fills and marks are the same bit for bit."""
        for label, tape in self.tapes.items():
            compiled = finished(self.simulate(self.strategy, tape))
            told = difference(compiled, self.runs[label], tape.symbols, ("compiled", "interpreted"))
            if told:
                hints = "\n".join(doubtful(self.function))
                raise Failed(f"{label}: {told}" + (f"\nlook at:\n{hints}" if hints else ""))
        return "bit for bit: orders, refusals, fills, trades and marks"

    def deterministic(self) -> str:
        """Two runs are the same bit for bit, and so are two trainings."""
        self._trains_alike()
        for label, tape in self.tapes.items():
            again = finished(self.simulate(self.strategy, tape, interpreted=True))
            told = difference(self.runs[label], again, tape.symbols, ("the first run", "the second"))
            if told:
                raise Failed(f"{label}: two runs differ; {told}")
        return ""

    def _trains_alike(self) -> None:
        """Failed when two trainings on equal bars give models that differ, where models can be compared."""
        first = self.fitted
        if first is None:
            return
        del self.__dict__["fitted"]
        again = self.fitted
        if again is not None and first.fingerprint != again.fingerprint:
            raise Failed("two trainings on the same bars give different models; take what is random from train.seed")

    def independent(self) -> str:
        """With ample capital each symbol gets the decisions that it gets alone."""
        shared = [word for word in ("account", "universe") if word in names_used(self.function)]
        by_places = any(symbol.startswith(PLACE) for symbol in clocks_of(self.expressions.values())[0])
        if self.strategy.decide_all is not None or self.strategy.shared or shared or by_places:
            why = "decides for all at once" if self.strategy.decide_all is not None else (
                "names others by their places" if by_places else
                "declares shared memory" if self.strategy.shared else f"reads now.{shared[0]}, which its symbols share")
            return f"not looked at: it {why}"
        named, timeframe = clocks_of(self.expressions.values())
        first = next(iter(self.tapes.values()))
        bars = first.n_bars // first.n_symbols
        tape = self.market or self.synthetic(bars, ("AAA", "BBB", *named), timeframe, "gappy", 5)
        ample: dict[str, Any] = {"interpreted": True, "capital": 1e15, "leverage": 1e3, "sizing": OneUnit()}
        together = finished(self.simulate(self.strategy, tape, **ample))
        for number, symbol in enumerate(tape.symbols):
            alone = finished(self.simulate(self.strategy, tape, symbols=(symbol,), **ample))
            mine = decisions(together, number)
            called = ("together with others", "alone")
            told = difference(mine, decisions(alone, number), tape.symbols, called, ("orders",))
            if told:
                raise Failed(f"{symbol} is decided differently beside other symbols; {told}")
        return f"{', '.join(tape.symbols)}"

    def robust(self) -> str:
        """It survives one price for ever, and data shorter than its warm-up."""
        named, timeframe = clocks_of(self.expressions.values())
        lengths = sorted({1, 2, 3, max(1, self.ready), self.ready + 1, self.ready + 2})
        tapes = {f"{bars} bars": self.synthetic(bars, ("AAA", *named), timeframe, "gappy") for bars in lengths}
        tapes["one price for ever"] = self.synthetic(self.ready + 50, ("AAA", *named), timeframe, "constant")
        for label, tape in tapes.items():
            try:
                finished(self.simulate(self.strategy, tape, interpreted=True))
            except StrategyError as error:
                raise Failed(f"{label}: {error}\n{error.details}".rstrip()) from error
        return f"one price for ever; {', '.join(map(str, lengths))} bars"


def decisions(logs: Logs, symbol: int) -> Logs:
    """Return a symbol's own orders without what depends on the company: numbers, ids and quantities."""
    orders = logs["orders"][logs["orders"]["symbol"] == symbol].copy()
    for field in ("id", "parent", "slot", "qty", "filled"):
        orders[field] = 0
    return {"orders": orders}
