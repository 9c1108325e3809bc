"""The compiled step and the plain-Python reference agree order by order and fill by fill on random markets.

What follows agrees to the last bit: compiled and interpreted plug-ins, event by event and all at once, with and
without a snapshot on the way, with logs that grow and logs that do not, with the JIT and without.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from framework.boundary.jit import JIT
from framework.engine import state
from framework.engine.state import used_logs
from framework.model.enums import CashKind, OrderKind, OrderStatus, Reason, Role, Status, TimeInForce, Verb
from framework.rules import RULES as FRAMEWORK_RULES
from tests.reference import simulate
from tests.reference.cases import Case, case_of, quiet_case_of
from tests.reference.census import PARTS, counted
from tests.reference.compare import first_difference, is_close
from tests.reference.draws import rule_keys, sizing_keys
from tests.reference.engine import compose_case, run_engine
from tests.reference.rules import RULES
from tests.reference.rules_sizing import SIZING

CASES, CHUNK = 5_000, 500
SOME, QUIET = (50, 250) if JIT else (15, 60)
NEAR = ("position_limits", "leverage", "portfolio_heat", "loss_limits", "loss_streak", "circuit_breaker", "drawdown")
"""Rules that tell how near their limits are."""


def reference_run(case: Case):
    """Return the reference's tables of a case."""
    return simulate(case.tape, case.reference_strategies(), case.reference_settings())


@pytest.fixture(scope="module")
def some_cases() -> list[Case]:
    """Cases in which something happens."""
    drawn = (case_of(seed) for seed in itertools.count())
    return list(itertools.islice((case for case in drawn if case.tape.n_bars > 20), SOME))


def digest(simulation, but: str = "") -> str:
    """Return a hash of every number of a simulation's tables, but for one, and account."""
    parts = hashlib.sha256()
    for name, log in used_logs(simulation.state).items():
        for field in log.dtype.names if name != but else ():
            parts.update(f"{name}.{field}".encode() + np.ascontiguousarray(log[field]).tobytes())
    for name in ("cash", "equity", "exposure", "peak", "reserved", "proceeds", "heat", "ambiguous", "gapped", "status"):
        parts.update(np.ascontiguousarray(simulation.state.account[name]).tobytes())
    for field in ("qty", "entry_price", "high_water", "worst", "best", "lowest", "highest", "realised", "fees"):
        parts.update(np.ascontiguousarray(simulation.state.slots[field]).tobytes())
    return parts.hexdigest()


def run_whole(case: Case, *, interpreted: bool = False):
    """Return the simulation of a case at its end."""
    simulation = compose_case(case, interpreted=interpreted)
    simulation.advance(case.tape.n_events)
    return simulation


def in_another_process(folder: Path, code: str, argument: object, **environment: str) -> str:
    """Run code with an argument under the name `given` in a fresh interpreter; return what it prints."""
    (folder / "argument").write_bytes(pickle.dumps(argument))
    head = "import pickle, sys; from tests.test_engine_equals_reference import *; "
    head += "given = pickle.load(open(sys.argv[1], 'rb')); "
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", head + code, str(folder / "argument")], check=True, cwd=root,
                          capture_output=True, text=True, env={**os.environ, **environment})  # fmt: skip
    return done.stdout.strip()


# --- engine and reference ---------------------------------------------------------------------------------------------


def assert_equal(seed: int, draw: Callable[[int], Case] = case_of, **options: bool) -> Counter:
    """Hold the engine against the reference on the case of a seed; return what happened in it."""
    case = draw(seed)
    expected = reference_run(case)
    difference = first_difference(expected, run_engine(case, **options), case.numbers["capital"])
    assert difference is None, f"{draw.__name__}({seed}): {difference}"
    return counted(case, expected)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, CASES, CHUNK))
def test_engine_equals_reference(first):
    for seed in range(first, first + CHUNK):
        assert_equal(seed)


def test_bars_that_are_passed_over_equal_the_reference_which_passes_none():
    for seed in range(QUIET):
        assert_equal(seed, quiet_case_of)


def test_engine_with_interpreted_plugins_equals_reference():
    for seed in range(CASES, CASES + 60):
        assert_equal(seed, interpreted=True)


@pytest.fixture(scope="module")
def census() -> Counter:
    """What happened in the first cases; with the compiler each of them equals the engine as well."""
    seen: Counter = Counter()
    for seed in range(CHUNK):
        seen += assert_equal(seed) if JIT else counted(case_of(seed), reference_run(case_of(seed)))
    return seen


def test_every_kind_of_order_and_every_end_of_one_comes_about(census):
    """Equality on cases in which nothing happens would prove nothing."""
    wanted = {("status", s) for s in OrderStatus if s != OrderStatus.WORKING} | {("role", r) for r in Role}
    wanted |= {("reason", r) for r in Reason}
    wanted |= {("refused verb", v) for v in (Verb.ORDER, Verb.CLOSE, Verb.TARGET, Verb.CANCEL, Verb.MOVE_STOP)}
    wanted |= {("kind", kind) for kind in (OrderKind.MARKET, OrderKind.LIMIT, OrderKind.MARKET_ON_CLOSE)}
    wanted |= {(life, OrderStatus.FILLED) for life in TimeInForce} | {(TimeInForce.FOK, OrderStatus.CUT_AT_FILL)}
    wanted |= {(TimeInForce.DAY, OrderStatus.EXPIRED), (TimeInForce.GTD, OrderStatus.EXPIRED)}
    wanted |= {(TimeInForce.IOC, OrderStatus.CANCELED), (TimeInForce.FOK, OrderStatus.CANCELED)}
    wanted |= {"a stop-limit filled", "a trail that the profit made active filled", "two steps of a ladder filled",
               "a part of the profit taken", "a first target filled"}  # fmt: skip
    wanted |= {"ambiguous", "gapped", "ruined", "is_cross", "is_maker", "is_gapped"}
    wanted |= {*CashKind, "a tax paid", "a tax refunded", "a tax year within the run", "a loss carried into a tax year"}
    assert not {w: seen for w in wanted if (seen := census[w]) < 3}


def test_every_rule_is_drawn_and_bites_in_every_way_it_can(census):
    """Cases of 500 in which a rule refuses or reduces, by each of its limits; in which it protects, and closes all."""
    biting = RULES.keys() - {"alerts", "stop_loss"}
    wanted = {("drawn", name): 30 for name in RULES} | {("bites", name): 8 for name in biting}
    wanted |= {("protects", name): 15 for name in ("stop_loss", "take_profit")}
    wanted |= {("closes all", name): 3 for name in ("leverage", "circuit_breaker")}
    wanted |= {(name, part): 2 for name, parts in PARTS.items() for part in parts}
    wanted[("position_limits", "another")] = 2  # max_concentration_percent is of equity
    wanted |= {("near a limit", name): 2 for name in NEAR}
    wanted |= {("drawdown", "halts"): 5, ("drawdown", "halts", "again"): 2, ("circuit_breaker", "loss_trips"): 5,
               ("circuit_breaker", "streak_trips"): 5, ("circuit_breaker", "streak_trips", "again"): 2,
               ("loss_limits", "days"): 5, ("loss_limits", "weeks"): 5, ("loss_limits", "months"): 5,
               ("loss_limits", "weeks", "again"): 1, ("loss_limits", "months", "again"): 1}  # fmt: skip
    assert not {what: census[what] for what, least in wanted.items() if census[what] < least}


def test_every_sizing_rule_is_drawn_and_opens_positions(census):
    wanted = {("sized by", name): 8 for name in SIZING} | {("sized by the odds of", "kelly"): 3}
    assert not {what: census[what] for what, least in wanted.items() if census[what] < least}


def test_every_rule_of_the_framework_stands_in_the_reference_with_all_its_keys():
    """A rule or a key that is new in the framework has to be drawn."""
    drawn = {**rule_keys(1_000.0, 1.0), **sizing_keys(1_000.0)}
    for rule in FRAMEWORK_RULES:
        assert rule.name in RULES or rule.name in SIZING
        keys = {key for key in drawn[rule.name] if key != "together"}
        keys |= {key for choice in drawn[rule.name].get("together", ()) for key in choice}
        assert keys == rule.params().keys()


# --- one engine, many ways --------------------------------------------------------------------------------------------


def test_compiled_and_interpreted_plugins_give_the_same_bits(some_cases):
    for case in some_cases:
        assert digest(run_whole(case)) == digest(run_whole(case, interpreted=True))


@pytest.mark.skipif(not JIT, reason="compares both")
def test_the_step_gives_the_same_bits_without_the_jit(some_cases, tmp_path):
    code = "print(*[digest(run_whole(case)) for case in given])"
    plain = in_another_process(tmp_path, code, some_cases, NUMBA_DISABLE_JIT="1")
    assert plain.split() == [digest(run_whole(case)) for case in some_cases]


def test_a_run_without_marks_gives_the_same_bits_but_for_them(some_cases):
    for case in some_cases:
        whole, without = run_whole(case), compose_case(case, log_marks=False)
        without.advance(case.tape.n_events)
        assert len(without.state.marks[: without.state.account["marks"][0]]) == 0
        assert digest(without, but="marks") == digest(whole, but="marks")


def test_event_by_event_gives_the_same_bits_and_the_books_balance_at_every_one(some_cases):
    for case in some_cases:
        simulation = compose_case(case)
        while simulation.next < case.tape.n_events and simulation.status == Status.RUNNING:
            simulation.step()
            assert_books_balance(simulation, case)
        assert digest(simulation) == digest(run_whole(case))


def assert_books_balance(simulation, case):
    """Hold equity = cash + positions, net = sum of the slots, and what the change of equity is made of: closed and
    open P&L, interest and taxes.
    """
    made = simulation.state
    account, symbols, slots = made.account[0], made.symbols, made.slots
    scale = case.numbers["capital"]
    prices = symbols["mark"] * symbols["multiplier"]
    assert is_close(account["equity"], account["cash"] + np.sum(symbols["net"] * prices), scale)
    assert is_close(account["exposure"], np.sum(np.abs(symbols["net"] * prices)), scale)
    of_slots = np.bincount(slots["symbol"], slots["qty"], symbols.size)
    assert np.all(np.abs(of_slots - symbols["net"]) <= 1e-3 * symbols["lot"])
    held = slots[slots["qty"] != 0.0]
    move = (symbols["mark"][held["symbol"]] - held["entry_price"]) * symbols["multiplier"][held["symbol"]]
    open_pnl = np.sum(held["realised"] - held["fees"] + held["cash_flows"] + held["qty"] * move)
    closed_pnl = np.sum(made.trades["pnl"][: account["trades"]])
    flows = made.cash_flows[: account["cash_flows"]]
    of_account = np.sum(flows["amount"][np.isin(flows["kind"], (CashKind.INTEREST, CashKind.TDS, CashKind.TAX))])
    assert is_close(account["equity"] - scale, closed_pnl + open_pnl + of_account, scale)


def test_a_snapshot_continues_with_the_same_bits(some_cases):
    for number, case in enumerate(some_cases):
        at = random.Random(number).randrange(case.tape.n_events)
        data = taken_at(case, at)
        fresh = compose_case(case)
        fresh.restore(data)
        if fresh.status == Status.RUNNING:
            fresh.advance(case.tape.n_events)
        assert digest(fresh) == digest(run_whole(case))


def taken_at(case: Case, event: int) -> bytes:
    """Return a snapshot of a case after the group that contains an event."""
    simulation = compose_case(case)
    simulation.advance(event)
    return simulation.snapshot()


def test_a_snapshot_continues_in_another_process(some_cases, tmp_path):
    code = "case, data = given; s = compose_case(case); s.restore(data); "
    code += "s.advance(case.tape.n_events); print(digest(s))"
    case = next(case for case in some_cases if len(case.strategies) > 1)
    argument = case, taken_at(case, case.tape.n_events // 2)
    assert in_another_process(tmp_path, code, argument) == digest(run_whole(case))


def test_logs_that_grow_change_nothing(some_cases, monkeypatch):
    expected = [digest(run_whole(case)) for case in some_cases]
    allocate = state.allocate_logs
    small: list[int] = []

    def shrunk(sizes):
        small[:] = [max(1, (size - 64) // 2) for size in sizes]  # the margin of one group of events, and nothing more
        return allocate(small)

    monkeypatch.setattr(state, "BARS_A_ROW", (10**9,) * len(state.LOGS))  # no rows for the bars
    monkeypatch.setattr(state, "allocate_logs", shrunk)
    grown = 0
    for case, whole in zip(some_cases, expected, strict=True):
        simulation = run_whole(case)
        grown += any(getattr(simulation.state, name).size > size for name, size in zip(state.LOGS, small, strict=True))
        assert digest(simulation) == whole
    assert grown > SOME // 2
