"""The compiled step and the plain-Python reference agree order by order and fill by fill on random markets."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from framework.model.enums import OrderStatus, Reason, Role, Verb
from tests.reference import simulate
from tests.reference.cases import Case, cases
from tests.reference.compare import first_difference
from tests.reference.engine import IS_CONNECTED, run_engine

RANDOM_MARKETS = settings(
    max_examples=1200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def reference_run(case: Case):
    """Return the reference's tables of a case."""
    return simulate(case.tape, case.reference_strategies(), case.reference_settings())


@pytest.mark.skipif(not IS_CONNECTED, reason="tests.reference.engine.run_engine is not connected")
@RANDOM_MARKETS
@given(cases())
def test_engine_equals_reference(case):
    difference = first_difference(reference_run(case), run_engine(case), case.numbers["capital"])
    assert difference is None, difference


def test_the_cases_reach_every_rule():
    """Equality on cases in which nothing happens would prove nothing."""
    seen: Counter = Counter()

    @settings(RANDOM_MARKETS, max_examples=400)
    @given(cases())
    def look(case):
        result = reference_run(case)
        seen.update(("status", OrderStatus(o.status)) for o in result.orders)
        seen.update(("role", Role(f.role)) for f in result.fills)
        seen.update(("reason", min(r.reason, Reason.RULE)) for r in result.refusals)
        seen.update(("refused verb", Verb(r.verb)) for r in result.refusals)
        seen.update(name for name, count in result.counters.items() if count)
        seen.update(name for name in ("is_cross", "is_maker", "is_gapped") for f in result.fills if getattr(f, name))

    look()
    wanted = {("status", s) for s in OrderStatus if s != OrderStatus.WORKING} | {("role", r) for r in Role}
    wanted |= {("reason", r) for r in Reason if r not in (Reason.HALTED, Reason.TOO_MANY_ORDERS)}
    wanted |= {("refused verb", v) for v in (Verb.ORDER, Verb.CLOSE, Verb.TARGET, Verb.CANCEL, Verb.MOVE_STOP)}
    wanted |= {"ambiguous", "gapped", "ruined", "is_cross", "is_maker", "is_gapped"}
    assert not {w for w in wanted if seen[w] < 3}
