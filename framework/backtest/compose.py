"""Put a simulation together: strategies, rules, slippage and costs over a tape, bound into one state."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from framework.backtest.compiling import tell_of_compiling
from framework.backtest.config import Account, Fees, Fills
from framework.backtest.dues import most_cash_flows, set_cash_flows, set_endings, set_taxes
from framework.backtest.fitting import Fitted, must_be_trained
from framework.backtest.tax import Tax
from framework.boundary.adapter import RECORD, RECORDS, RESULT, contents_held, names_used, with_model
from framework.data.cash_flows import nights_after
from framework.data.tape import Tape
from framework.engine import layout, state
from framework.engine.layout import FOREVER
from framework.engine.simulation import Plug, Simulation
from framework.errors import ConfigError, DataError
from framework.indicators import Bars, ColumnCache, Condition, Expression, evaluate, ready_rows, truth
from framework.model.records import FILL_REQUEST, HEADER, ORDER_CHECK, padded, record
from framework.risk import RiskRule, Rule, SizingRule, check_dtype, store_rule
from framework.rules.alerts import Alerts
from framework.rules.told import times
from framework.slippage import SlippageModel, fill_dtype
from framework.source_check import check_names
from framework.strategy import Strategy, now_dtype, shown_with_model, store_constants

COSTLY = {
    layout.USES_FILLS: {"fills", "fill_count"}, layout.USES_ORDERS: {"orders", "order_count"},
    layout.USES_BAR: {"bar"}, layout.USES_CLOCK: {"clock"}, layout.USES_ACCOUNT: {"account"},
    layout.USES_VOLUME: {"mean_volume"}, layout.USES_VOLATILITY: {"volatility"}, layout.USES_PAST: {"past"},
    layout.USES_TRIPS: {"trips"}, layout.USES_CORRELATION: {"correlation"},
}
"""Parts of a record that are filled in only for functions that name one of these words anywhere."""


OF_PROTECTION = ("trail", "trail_after", "held_stop", "held_target")
"""Parts of an order's record that only `protect` is shown."""

OF_PARTIAL = ("partial_distance", "partial_share")
"""Parts of an order's record that `take_partial` writes and no rule is shown."""

OF_WATCH = ("alert_at",)
"""Parts of an order's record that only `watch` is shown."""

SHOWN = {
    layout.FAULT_WATCH: (*OF_WATCH, "account", "past", "clock", "p", "state"),
    layout.FAULT_PROTECT: ("reference", "entry", "stop", "target", *OF_PROTECTION, "side", "kind", "position_qty",
                           "symbol_qty", "past", "bar", "account", "clock", "instrument", "ind", "p", "state"),
}
"""The parts of an order's record that are filled in for functions of rules that are asked beside the chain."""


WAKES = ("flat", "held")
"""The situations of a slot that `wake` tells apart."""


@attrs.frozen
class Terms:
    """The terms of trade of a run: costs, fills and the account; of a tax what is paid inside the run."""

    capital: float = 100_000.0
    fees: Fees = attrs.field(factory=Fees)
    fills: Fills = attrs.field(factory=Fills)
    account: Account = attrs.field(factory=Account)
    start: int = -FOREVER
    end: int = FOREVER
    strict: bool = False
    log_marks: bool = True
    close_at_end: bool = False
    tax: Tax | None = None


@attrs.frozen
class Plan:
    """One strategy, with its parameters, on symbols of the tape (by default all); trained if it has a fit.

    label: what this use is called in tables; the name of the strategy by default.
    """

    strategy: Strategy
    symbols: tuple[str, ...] | None = None
    fitted: Fitted | None = None
    label: str = attrs.field(default=attrs.Factory(lambda plan: plan.strategy.name, takes_self=True))


@attrs.frozen(eq=False)
class Declared:
    """What a strategy declares over its bars: indicators by name, and where it has to be asked."""

    indicators: Mapping[str, Expression]
    wake: Mapping[str, Condition]


@attrs.frozen(eq=False)
class Slots:
    """Which strategy looks at which symbol, strategy by strategy, with its indicators.

    columns, wakes: per strategy the addresses of the columns of each of its slots, int64[slots, columns]; of wakes in
    the order of WAKES, 0 for none.  ready: per strategy the rows from which its slots are asked.  keep: the columns.
    """

    strategies: list[int] = attrs.field(factory=list)
    symbols: list[int] = attrs.field(factory=list)
    columns: list[np.ndarray] = attrs.field(factory=list)
    wakes: list[np.ndarray] = attrs.field(factory=list)
    ready: list[np.ndarray] = attrs.field(factory=list)
    keep: list[np.ndarray] = attrs.field(factory=list)


@attrs.frozen(eq=False)
class Kept:
    """What a simulation reads by address and must keep alive: columns over all bars, by name, and records."""

    tape: Tape
    slots: Slots
    rule_columns: list[dict[str, np.ndarray]]
    slippage_columns: dict[str, np.ndarray]
    request: state.RecordMemory


def compose(tape: Tape, plans: Sequence[Plan], sizing: SizingRule, rules: Sequence[RiskRule] = (),
            slippage: SlippageModel | None = None, terms: Terms | None = None, *, cache: ColumnCache | None = None,
            interpreted: bool = False) -> Simulation:
    """Return a simulation at the first event of the tape.

    interpreted: call every plug-in as plain Python.  Raises ConfigError for a strategy that names symbols or
    timeframes which the tape does not have, or whose decision reads names that do not exist.
    """
    tell_of_compiling()
    terms = terms or Terms()
    cache = cache or ColumnCache()
    declared = [declared_by(plan, tape) for plan in plans]
    slots = plan_slots(tape, plans, declared, cache)
    dtypes = [now_dtype(plan.strategy, tuple(one.indicators)) for plan, one in zip(plans, declared, strict=True)]
    all_rules: list[Rule] = [sizing, *rules]
    rule_columns = [columns_of_rule(rule, tape, cache, slots.symbols) for rule in all_rules]
    check_dtypes = [check_dtype(rule, tuple(columns)) for rule, columns in zip(all_rules, rule_columns, strict=True)]
    nows = state.RecordMemory(HEADER, len(slots.symbols), [dtype.itemsize for dtype in dtypes])
    dtypes = [padded(dtype, nows.stride) for dtype in dtypes]
    checks = state.RecordMemory(ORDER_CHECK, len(all_rules), [dtype.itemsize for dtype in check_dtypes])
    shared = [dtype["shared"].itemsize if "shared" in (dtype.names or ()) else 0 for dtype in dtypes]
    made = state.allocate(
        tape.n_symbols, slots.strategies, slots.symbols, len(all_rules),
        max(map(len, rule_columns)), sum(columns.size for columns in slots.columns), nows, checks,
        max(shared), tape.n_bars, terms.log_marks, most_cash_flows(tape, slots.symbols, terms))
    of_slippage = names_of(slippage) if slippage else {}
    costs = {name: evaluate(expression, tape, None, cache, slots.symbols) for name, expression in of_slippage.items()}
    request = state.RecordMemory(FILL_REQUEST, 1, [fill_dtype(slippage, tuple(costs)).itemsize] if slippage else [])
    made = made._replace(request=request.heads, request_tails=request.tails,
                         slippage_columns=addresses_of(tape, costs))
    set_terms(made, tape, terms, all_rules, request.address(0))
    set_slots(made, tape, plans, slots, nows, dtypes)
    set_rules(made, tape, all_rules, rule_columns, check_dtypes, checks)
    plugs = [*strategy_plugs(made, plans, dtypes), *rule_plugs(all_rules, check_dtypes)]
    if slippage is not None:
        plugs.append(slippage_plug(made, slippage, tuple(costs), request))
    with contents_held():
        for plug in plugs:
            asked = getattr(plug.function, "asks", None)
            check_names(asked or plug.function, shown_dtype(plug, asked is not None), plug.form, plug.owner)
            plug.interpreted = interpreted or asked is not None
            plug.bind(made)
    show_all_to_interpreted(made, plugs)
    nights = nights_after(tape) if made.settings[0]["accrues"] else np.empty(0, np.int32)
    compares = made.settings[0]["correlation_days"] > 0
    days = state.days_before(tape.series, tape.account_day) if compares else np.empty(0, np.int64)
    return Simulation(made, state.tape_of(tape, nights, days), nows, checks, plugs, tape.symbols,
                      Kept(tape, slots, rule_columns, costs, request),
                      [note for rule, seen in zip(all_rules, rule_columns, strict=True)
                       for note in rule.notes(by_symbol(tape, seen))],
                      lambda: outcomes(made, all_rules, checks, check_dtypes))


def symbol_addresses(tape: Tape, column: np.ndarray) -> np.ndarray:
    """Return where each symbol's part of a column over all bars begins: addresses, int64[symbols]."""
    return np.asarray(column.ctypes.data + column.itemsize * tape.series[:-1])


def addresses_of(tape: Tape, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the addresses of the columns of each symbol, int64[symbols, columns], with one column at least."""
    found = np.zeros((tape.n_symbols, max(1, len(columns))), np.int64)
    for number, column in enumerate(columns.values()):
        found[:, number] = symbol_addresses(tape, column)
    return found


def names_of(strategy: Strategy | Rule | SlippageModel, symbols: tuple[str, ...] = ()) -> Mapping[str, Expression]:
    """Return the declared indicators; ConfigError when the declaration is not a mapping of names to expressions.

    symbols: that a strategy looks at, so that it can name them by their places.
    """
    declared = strategy.indicators(Bars(symbols=symbols))
    if not isinstance(declared, Mapping) or not all(isinstance(name, str) and name.isidentifier() for name in declared):
        raise ConfigError(f"{strategy.name}: indicators(bars) must return names and expressions, not {declared!r}")
    return declared


def declared_by(plan: Plan, tape: Tape) -> Declared:
    """Return what a strategy declares; ConfigError when that is not of the form of `names_of` and `wake_of`."""
    named = symbols_named(plan, tape)
    return Declared(names_of(plan.strategy, named), wake_of(plan.strategy, named))


def wake_of(strategy: Strategy, symbols: tuple[str, ...] = ()) -> Mapping[str, Condition]:
    """Return where a strategy has to be asked; ConfigError when the declaration is not of that form."""
    declared = strategy.wake(Bars(symbols=symbols))
    for name, condition in declared.items() if isinstance(declared, Mapping) else [(None, declared)]:
        if name not in WAKES or not isinstance(condition, Condition):
            raise ConfigError(f"{strategy.name}: wake(bars) must return conditions under {' and '.join(WAKES)}, "
                              f'such as {{"flat": bars.close > 100}}, not {declared!r}')
    if declared and strategy.decide_all is not None:
        raise ConfigError(f"{strategy.name}: wake(bars) is for `decide`; `decide_all` is asked at every close")
    return declared


def symbols_named(plan: Plan, tape: Tape) -> tuple[str, ...]:
    """Return the symbols that a strategy looks at, in the order of the run."""
    return tape.symbols if plan.symbols is None else tuple(one for one in tape.symbols if one in plan.symbols)


def by_symbol(tape: Tape, columns: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Return columns over all bars cut into those of each symbol."""
    rows = [slice(*ends) for ends in itertools.pairwise(tape.series.tolist())]
    return [{name: column[part] for name, column in columns.items()} for part in rows]


def columns_of_rule(rule: Rule, tape: Tape, cache: ColumnCache, traded: Sequence[int]) -> dict[str, np.ndarray]:
    """Return what a rule reads as `order.ind`, over all bars: its indicators, and what depends on time alone.

    traded: the symbols of the slots, the only ones that it is asked about.
    """
    columns = {name: evaluate(expression, tape, None, cache, traded) for name, expression in names_of(rule).items()}
    if type(rule).clocks is Rule.clocks:
        return columns
    clocks = [rule.clocks(instrument.exchange, tape.close_time[tape.rows(number)])
              for number, instrument in enumerate(tape.instruments)]
    return {**columns, **{name: np.concatenate([np.asarray(clock[name], np.float64) for clock in clocks])
                          for name in clocks[0]}}


def outcomes(made: layout.State, rules: Sequence[Rule], checks: state.RecordMemory,
             dtypes: Sequence[np.dtype]) -> list[str]:
    """Return what rules have to say at the end of a run, and how often one was near a limit."""
    told = []
    for number, rule in enumerate(rules):
        memory = checks.record(number, dtypes[number])
        told += rule.outcome(memory["state"] if rule.state else None)
        row = made.rules[number]
        if row["alerts"]:
            first = np.datetime_as_string(np.datetime64(int(row["alerted_at"]), "ns"), unit="m")
            told.append(f"{rule.name}: {times(int(row['alerts']))} at {row['alert_at']:.0%} of a limit or beyond, "
                        f"first at {first}Z, {row['nearest']:.0%} at most")
    return told


def plan_slots(tape: Tape, plans: Sequence[Plan], declared: Sequence[Declared], cache: ColumnCache) -> Slots:
    """Return the slots: strategy by strategy, within it in the order of the tape's symbols.

    declared: by the strategy of each plan.  A slot is asked from the bar on at which its indicators are defined now
    and were at the bar before.
    """
    slots = Slots()
    for number, (plan, one) in enumerate(zip(plans, declared, strict=True)):
        expressions = list(one.indicators.values())
        wanted = range(tape.n_symbols) if plan.symbols is None else sorted(tape.symbol_index(s) for s in plan.symbols)
        if not wanted or len(set(wanted)) != len(wanted):
            raise ConfigError(f"{plan.label}: symbols = {plan.symbols!r}; name at least one symbol, each once")
        symbols = np.array(wanted)
        slots.strategies.extend([number] * len(wanted))
        slots.symbols.extend(wanted)
        try:
            slots.columns.append(slot_addresses(tape, symbols, slots.keep, [
                lambda symbol, x=expression: evaluate(x, tape, symbol, cache) for expression in expressions]))
            asked = slot_addresses(tape, symbols, slots.keep, [
                lambda symbol, x=condition: truth(x, tape, symbol, cache) for condition in one.wake.values()])
        except DataError as error:
            raise DataError(f"{plan.label}: {error}") from error
        slots.wakes.append(np.zeros((symbols.size, len(WAKES)), np.int64))
        slots.wakes[-1][:, [WAKES.index(name) for name in one.wake]] = asked
        slots.ready.append(ready_rows(expressions, tape, cache)[symbols] + (1 if expressions else 0))
    return slots


def slot_addresses(tape: Tape, symbols: np.ndarray, keep: list[np.ndarray], columns: Sequence[Any]) -> np.ndarray:
    """Return where the columns of each symbol begin, int64[symbols, columns], keeping the arrays alive in `keep`.

    columns: functions of a symbol's number, or None for all symbols at once, that return an array.
    """
    found = np.zeros((symbols.size, len(columns)), np.int64)
    for number, column in enumerate(columns):
        if symbols.size == tape.n_symbols:
            values = column(None)
            keep.append(values)
            found[:, number] = symbol_addresses(tape, values)
        else:
            parts = [column(int(symbol)) for symbol in symbols]
            keep.extend(parts)
            found[:, number] = [values.ctypes.data for values in parts]
    return found


def set_terms(made: layout.State, tape: Tape, terms: Terms, rules: Sequence[Rule], request: int) -> None:
    """Write costs, account and instruments into the state."""
    settings, fees = made.settings[0], terms.fees
    settings["leverage"], settings["cash_buffer"] = terms.account.leverage, terms.account.cash_buffer
    settings["shorts"], settings["maintenance"] = terms.account.shorts, terms.account.maintenance
    settings["taker"] = fees.taker_bps / 10_000.0
    settings["maker"] = (fees.taker_bps if fees.maker_bps is None else fees.maker_bps) / 10_000.0
    settings["per_share"], settings["per_order"], settings["minimum"] = fees.per_share, fees.per_order, fees.minimum
    settings["participation"] = terms.fills.participation or 0.0
    settings["volume_window"], settings["limit_through"] = terms.fills.volume_window, terms.fills.limit_through
    settings["own_volume"] = terms.fills.volume_basis == "bar"
    settings["start"], settings["end"] = terms.start, terms.end
    settings["watches"] = any(getattr(rule, "watch", None) is not None for rule in rules)
    settings["has_details"] = tape.joined["detail"].size > 1
    settings["protects"] = any(getattr(rule, "protect", None) is not None for rule in rules)
    set_rule_terms(made, rules)
    settings["request"], settings["log_marks"], settings["strict"] = request, terms.log_marks, terms.strict
    account = made.account[0]
    for name in ("cash", "equity", "peak", "day_start_equity", "week_start_equity", "month_start_equity"):
        account[name] = terms.capital
    account["day"] = -1
    account["alarm_below"], account["alarm_above"] = np.inf if settings["watches"] else -np.inf, np.inf
    for number, instrument in enumerate(tape.instruments):
        symbol = made.symbols[number]
        for name in ("tick", "lot", "min_qty", "min_notional", "multiplier"):
            symbol[name] = getattr(instrument, name)
        symbol["bar"] = symbol["closed"] = -1
    set_endings(made, tape, terms)
    set_taxes(made, tape, terms)
    set_cash_flows(made, tape, terms)


def set_rule_terms(made: layout.State, rules: Sequence[Rule]) -> None:
    """Write down what rules ask of the core: how much of the past they are shown, and how far fills may slip."""
    settings = made.settings[0]
    settings["trip_window"] = max(rule.trip_window for rule in rules)
    settings["correlation_days"] = max(rule.correlation_days for rule in rules)
    slippages = [rule.max_slippage if isinstance(rule, RiskRule) else np.inf for rule in rules]
    settings["max_slippage"], settings["max_slippage_rule"] = min(slippages), np.argmin(slippages)


def set_slots(made: layout.State, tape: Tape, plans: Sequence[Plan], slots: Slots, nows: state.RecordMemory,
              dtypes: Sequence[np.dtype]) -> None:
    """Write the slots' columns, constants and places into the state."""
    first_slot = first_column = 0
    for plan, columns in zip(plans, slots.columns, strict=True):
        rows = made.slots[first_slot : first_slot + len(columns)]
        numbers = np.arange(first_slot, first_slot + len(columns))
        rows["pointer"] = nows.address(0) + numbers * nows.stride
        rows["indicators"] = columns.shape[1]
        rows["first_column"] = first_column + np.arange(len(columns)) * columns.shape[1]
        rows["uses"] = uses_of(plan.strategy.decide_all or plan.strategy.decide)
        first_slot, first_column = first_slot + len(columns), first_column + columns.size
    write_slots(made, plans, slots, nows, dtypes)
    members = np.asarray(slots.strategies)
    for number in range(len(plans)):
        made.strategies[number]["first_slot"] = int(np.argmax(members == number))
        made.strategies[number]["slots"] = count = int(np.sum(members == number))
        nows.heads["universe"][: members.size][members == number] = count
        fields: Mapping[str, Any] = dtypes[number].fields or {}
        if "shared" in fields:
            size, offset = fields["shared"][0].itemsize, fields["shared"][1]
            made.strategies[number]["shared_bytes"], made.strategies[number]["shared_offset"] = size, offset
            first = int(made.strategies[number]["first_slot"])
            made.shared[number, :size] = made.now_bytes[first, offset : offset + size]


def write_slots(made: layout.State, plans: Sequence[Plan], slots: Slots, nows: state.RecordMemory,
                dtypes: Sequence[np.dtype]) -> None:
    """Write what depends on the parameters of strategies: columns, wakes, from where slots are asked, and constants."""
    first_slot = first_column = 0
    for plan, dtype, columns, wakes, ready in zip(plans, dtypes, slots.columns, slots.wakes, slots.ready, strict=True):
        last_slot = first_slot + len(columns)
        rows = made.slots[first_slot:last_slot]
        rows["ready"] = ready
        for name, addressed in zip(WAKES, wakes.T, strict=True):
            rows[f"wake_{name}"] = addressed
        made.columns[first_column : first_column + columns.size] = columns.ravel()
        store_constants(plan.strategy, nows.record(first_slot, dtype))
        nows.rows[first_slot + 1 : last_slot, HEADER.itemsize :] = nows.rows[first_slot, HEADER.itemsize :]
        first_slot, first_column = last_slot, first_column + columns.size


def shown_dtype(plug: Plug, has_model: bool = False) -> np.dtype:
    """Return the layout of what a function is shown; a model is shown beside the record."""
    is_rule = plug.array == "rules"
    shown = shown_to_rule(plug.dtype, plug.kind) if is_rule else plug.dtype
    return shown_with_model(shown) if has_model else shown


def shown_to_rule(dtype: np.dtype, kind: int) -> np.dtype:
    """Return of an order's record what is filled in for a rule's function of this kind."""
    fields: Mapping[str, Any] = dtype.fields or {}
    names = SHOWN.get(kind, tuple(name for name in fields if name not in (*OF_PROTECTION, *OF_PARTIAL, *OF_WATCH)))
    return record(*((name, fields[name][0]) for name in names if name in fields))


def show_all_to_interpreted(made: layout.State, plugs: Sequence[Plug]) -> None:
    """Leave nothing out for plain Python: it may reach what it reads in ways that its names do not tell."""
    for plug in plugs:
        if plug.adapter is not None and plug.adapter.is_compiled:
            continue
        if plug.kind == layout.FAULT_DECIDE:
            made.slots["uses"][sorted(plug.at or ())] |= sum(COSTLY)
        elif plug.kind == layout.FAULT_SLIPPAGE:
            made.settings["slippage_uses"] = sum(COSTLY)
        else:
            made.settings["check_uses"] = sum(COSTLY)


def uses_of(*functions: Any) -> int:
    """Return which costly parts of its record a function, or a helper of it, names."""
    names = frozenset().union(*map(names_used, functions))
    return sum(bit for bit, marks in COSTLY.items() if names & marks)


def set_rules(made: layout.State, tape: Tape, rules: Sequence[Rule], columns: Sequence[Mapping[str, np.ndarray]],
              dtypes: Sequence[np.dtype], checks: state.RecordMemory) -> None:
    """Write the rules' columns and constants into the state; the sizing rule is row 0."""
    made.settings[0]["check_uses"] = uses_of(*(plug.function for plug in rule_plugs(rules, dtypes)))
    for number in range(len(rules)):
        made.rules[number]["pointer"] = checks.address(number)
        made.rules[number]["indicators"] = len(columns[number])
    write_rules(made, tape, rules, columns, dtypes, checks)


def write_rules(made: layout.State, tape: Tape, rules: Sequence[Rule], columns: Sequence[Mapping[str, np.ndarray]],
                dtypes: Sequence[np.dtype], checks: state.RecordMemory) -> None:
    """Write what depends on the parameters of rules: columns, the limits they are told to be near, and constants."""
    for number, rule in enumerate(rules):
        made.rules[number]["alert_at"] = alert_threshold(rules, rule)
        for j, column in enumerate(columns[number].values()):
            made.rule_columns[number, :, j] = symbol_addresses(tape, column)
        store_rule(rule, checks.record(number, dtypes[number]))


def alert_threshold(rules: Sequence[Rule], rule: Rule) -> float:
    """Return the share of its limits at which a rule is told to be near them, inf for none."""
    kind = rule.alert_kind if isinstance(rule, RiskRule) else ""
    return min((one.threshold(kind) for one in rules if isinstance(one, Alerts)), default=np.inf)


def strategy_plugs(made: layout.State, plans: Sequence[Plan], dtypes: Sequence[np.dtype]) -> list[Plug]:
    """Return one plug per strategy: its `decide_all`, else its `decide`."""
    plugs = []
    for number, (plan, dtype) in enumerate(zip(plans, dtypes, strict=True)):
        strategy = plan.strategy
        slots = tuple(int(slot) for slot in np.flatnonzero(made.slots["strategy"] == number))
        name, form, array, rows = ("decide", RECORD, "slots", slots) if strategy.decide_all is None else (
            "decide_all", RECORDS, "strategies", (number,))
        function = getattr(strategy, name)
        must_be_trained(strategy, plan.fitted.until if plan.fitted is not None else None)
        if plan.fitted is not None:
            function = with_model(function, plan.fitted.model, form)
        plugs.append(Plug(layout.FAULT_DECIDE, frozenset(slots), f"{strategy.name}.{name}", function, dtype, form,
                          array, rows, name))
    return plugs


def rule_plugs(rules: Sequence[Rule], dtypes: Sequence[np.dtype]) -> list[Plug]:
    """Return the plugs of the sizing rule and the risk rules."""
    plugs = []
    for number, (rule, dtype) in enumerate(zip(rules, dtypes, strict=True)):
        parts: list[tuple[int, str, str, Any]] = []
        if isinstance(rule, SizingRule):
            parts.append((layout.FAULT_RULE, RESULT, "size", "address"))
        else:
            parts.append((layout.FAULT_RULE, RECORD, "check", "address"))
            if getattr(rule, "watch", None) is not None:
                parts.append((layout.FAULT_WATCH, RECORD, "watch", "watch"))
            if getattr(rule, "protect", None) is not None:
                parts.append((layout.FAULT_PROTECT, RECORD, "protect", "protect"))
        for kind, form, name, field in parts:
            plugs.append(Plug(kind, frozenset([number]), f"{rule.name}.{name}", getattr(rule, name), dtype, form,
                              "rules", (number,), field))
    return plugs


def slippage_plug(made: layout.State, model: SlippageModel, indicators: tuple[str, ...],
                  request: state.RecordMemory) -> Plug:
    """Return the plug of the slippage model, its parameters written into its record."""
    dtype = fill_dtype(model, indicators)
    if model.params():
        model.store_params(request.record(0, dtype)["p"])
    made.settings[0]["slippage_indicators"] = len(indicators)
    made.settings[0]["slippage_uses"] = uses_of(model.price)
    return Plug(layout.FAULT_SLIPPAGE, None, f"{model.name}.price", model.price, dtype, RESULT, "settings", (0,),
                "slippage")
