"""The compiled step and the plain-Python reference agree order by order and fill by fill on random markets.

What follows agrees to the last bit: compiled and interpreted plug-ins, event by event and all at once, with and
without a snapshot on the way, with logs that grow and logs that do not, with the JIT and without.
"""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from framework.engine import state
from framework.engine.state import used_logs
from framework.model.enums import OrderKind, OrderStatus, Reason, Role, Status, TimeInForce, Verb
from tests.reference import simulate
from tests.reference.cases import Case, cases
from tests.reference.compare import first_difference, is_close
from tests.reference.engine import compose_case, run_engine

RANDOM_MARKETS = settings(
    max_examples=1200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate]
)
SOME = 50


def reference_run(case: Case):
    """Return the reference's tables of a case."""
    return simulate(case.tape, case.reference_strategies(), case.reference_settings())


@pytest.fixture(scope="module")
def some_cases() -> list[Case]:
    """Cases in which something happens."""
    drawn: list[Case] = []

    @settings(RANDOM_MARKETS, max_examples=3 * SOME, phases=[Phase.generate])
    @given(cases())
    def draw(case):
        if case.tape.n_bars > 20:
            drawn.append(case)

    draw()
    return drawn[:SOME]


def digest(simulation) -> str:
    """Return a hash of every number of a simulation's tables and account."""
    parts = hashlib.sha256()
    for name, log in used_logs(simulation.state).items():
        for field in log.dtype.names:
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


@pytest.mark.slow
@RANDOM_MARKETS
@given(cases())
def test_engine_equals_reference(case):
    difference = first_difference(reference_run(case), run_engine(case), case.numbers["capital"])
    assert difference is None, difference


@settings(RANDOM_MARKETS, max_examples=100)
@given(cases())
def test_engine_with_interpreted_plugins_equals_reference(case):
    difference = first_difference(reference_run(case), run_engine(case, interpreted=True), case.numbers["capital"])
    assert difference is None, difference


def test_the_cases_reach_every_rule():
    """Equality on cases in which nothing happens would prove nothing."""
    seen: Counter = Counter()

    @settings(RANDOM_MARKETS, max_examples=600)
    @given(cases())
    def look(case):
        result = reference_run(case)
        seen.update(("status", OrderStatus(o.status)) for o in result.orders)
        seen.update((TimeInForce(o.tif), OrderStatus(o.status)) for o in result.orders)
        seen.update(("kind", OrderKind(o.kind)) for o in result.orders if o.filled)
        seen.update("triggered" for o in result.orders if o.filled and not math.isnan(o.limit))
        seen.update(("role", Role(f.role)) for f in result.fills)
        seen.update(("reason", min(r.reason, Reason.RULE)) for r in result.refusals)
        seen.update(("refused verb", Verb(r.verb)) for r in result.refusals)
        seen.update(name for name, count in result.counters.items() if count)
        seen.update(name for name in ("is_cross", "is_maker", "is_gapped") for f in result.fills if getattr(f, name))

    look()
    wanted = {("status", s) for s in OrderStatus if s != OrderStatus.WORKING} | {("role", r) for r in Role}
    wanted |= {("reason", r) for r in Reason}
    wanted |= {("refused verb", v) for v in (Verb.ORDER, Verb.CLOSE, Verb.TARGET, Verb.CANCEL, Verb.MOVE_STOP)}
    wanted |= {("kind", kind) for kind in (OrderKind.MARKET, OrderKind.LIMIT, OrderKind.MARKET_ON_CLOSE)}
    wanted |= {(life, OrderStatus.FILLED) for life in TimeInForce} | {(TimeInForce.FOK, OrderStatus.CUT_AT_FILL)}
    wanted |= {(TimeInForce.DAY, OrderStatus.EXPIRED), (TimeInForce.GTD, OrderStatus.EXPIRED)}
    wanted |= {(TimeInForce.IOC, OrderStatus.CANCELED), (TimeInForce.FOK, OrderStatus.CANCELED), "triggered"}
    wanted |= {"ambiguous", "gapped", "ruined", "is_cross", "is_maker", "is_gapped"}
    assert not {w for w in wanted if seen[w] < 3}


# --- one engine, many ways --------------------------------------------------------------------------------------------


def test_compiled_and_interpreted_plugins_give_the_same_bits(some_cases):
    for case in some_cases:
        assert digest(run_whole(case)) == digest(run_whole(case, interpreted=True))


def test_the_step_gives_the_same_bits_without_the_jit(some_cases, tmp_path):
    code = "print(*[digest(run_whole(case)) for case in given])"
    plain = in_another_process(tmp_path, code, some_cases, NUMBA_DISABLE_JIT="1")
    assert plain.split() == [digest(run_whole(case)) for case in some_cases]


def test_event_by_event_gives_the_same_bits_and_the_books_balance_at_every_one(some_cases):
    for case in some_cases:
        simulation = compose_case(case)
        while simulation.next < case.tape.n_events and simulation.status == Status.RUNNING:
            simulation.step()
            assert_books_balance(simulation, case)
        assert digest(simulation) == digest(run_whole(case))


def assert_books_balance(simulation, case):
    """Hold equity = cash + positions, change of equity = closed + open P&L + interest, and net = sum of the slots."""
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
    interest = np.sum(flows["amount"][flows["slot"] < 0])
    assert is_close(account["equity"] - scale, closed_pnl + open_pnl + interest, scale)


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

    monkeypatch.setattr(state, "allocate_logs", shrunk)
    grown = 0
    for case, whole in zip(some_cases, expected, strict=True):
        simulation = run_whole(case)
        grown += any(getattr(simulation.state, name).size > size for name, size in zip(state.LOGS, small, strict=True))
        assert digest(simulation) == whole
    assert grown > SOME // 2
