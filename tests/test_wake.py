"""`wake`: where a strategy has to be asked. It saves time and changes nothing else."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from framework import Param, Strategy, buy, close_position, place_limit
from framework.backtest.compose import Plan, Terms, compose
from framework.backtest.config import Account, Fees
from framework.data import load_tape
from framework.engine import decide
from framework.errors import ConfigError
from framework.indicators import crossed_above, sma
from framework.rules import Leverage, PercentOfEquity
from framework.strategy import GTD
from framework.testing.runs import difference, finished
from framework.testing.strategies import StrategyChecks
from tests.rule_cases import composed, flat_tape, logs_of

pytestmark = pytest.mark.kernels

SLEEP_MAX = decide.SLEEP_MAX


class Counts(Strategy):
    """Count how often it is asked; trade on crosses."""

    name = "counts"
    fast = Param(3, low=2, high=9)
    slow = Param(8, low=3, high=20)
    stop = Param(0.004, low=0.0001, high=0.5)
    shared: ClassVar = {"asked": 0}

    def indicators(self, bars):
        return {"fast": sma(bars.close, self.fast), "slow": sma(bars.close, self.slow)}

    @staticmethod
    def decide(now):
        now.shared.asked += 1
        if now.position.qty == 0 and now.ind.fast > now.ind.slow and now.prev.fast <= now.prev.slow:
            buy(now, qty=10, stop=now.bar.close * (1.0 - now.p.stop), trail=now.bar.close * now.p.stop)
        elif now.position.qty > 0 and now.ind.fast < now.ind.slow:
            close_position(now)


class Sleeps(Counts):
    """The same, asked only where it matters."""

    name = "sleeps"

    def wake(self, bars):
        fast, slow = self.indicators(bars).values()
        return {"flat": crossed_above(fast, slow), "held": fast < slow}


class Oversleeps(Sleeps):
    """It forgets that it leaves, too."""

    name = "oversleeps"

    def wake(self, bars):
        return {**super().wake(bars), "held": bars.close < 0}


class Rests(Strategy):
    """Ask for one order at the first bar, look at nothing later."""

    name = "rests"
    shared: ClassVar = {"asked": 0}

    def indicators(self, bars):
        return {"close": bars.close}

    def wake(self, bars):
        return {"flat": bars.close < 0, "held": bars.close < 0}

    @staticmethod
    def decide(now):
        now.shared.asked += 1
        if now.shared.asked == 1:
            place_limit(now, side=1, price=now.ind.close * 0.5, qty=1.0)


class Holds(Strategy):
    """Buy four times what it has at the first bar, and hold it."""

    name = "holds"
    state: ClassVar = {"bars": 0}

    @staticmethod
    def decide(now):
        now.state.bars += 1
        if now.position.qty == 0 and now.position.pending == 0 and now.bar.close == 100.0:
            buy(now, qty=400.0)


class HoldsAsleep(Holds):
    """The same, asked where the price is the first one."""

    name = "holds_asleep"

    def wake(self, bars):
        return {"flat": bars.close > 99.5, "held": bars.close < 0}


def market(bars=600, symbols=("A",), seed=3):
    return load_tape("synthetic", {"bars": bars, "seed": seed}, list(symbols), "5m")


def run(strategy, tape):
    made = compose(tape, [Plan(strategy)], PercentOfEquity(), terms=Terms(fees=Fees(taker_bps=1.0)))
    made.advance(made.events)
    return made


def asked(made):
    return int(made.state.shared[0].view(np.int64)[0])


@pytest.mark.parametrize("symbols", [("A",), ("A", "B", "C")])
def test_a_strategy_that_sleeps_does_what_it_does_awake(symbols):
    tape = market(symbols=symbols)
    told = difference(finished(run(Sleeps(), tape)), finished(run(Counts(), tape)), tape.symbols, ("asleep", "awake"))
    assert told == ""


def test_it_is_asked_where_its_wake_says_so_and_after_what_happened_to_it():
    tape = market()
    awake, asleep = run(Counts(), tape), run(Sleeps(), tape)
    trades = int(asleep.state.account["trades"][0])
    assert trades > 10
    assert asked(awake) == tape.n_bars - 8
    assert 2 * trades <= asked(asleep) <= 6 * trades + 3
    assert asked(asleep) < asked(awake) / 2


@pytest.mark.parametrize(("rules", "closes_at"), [
    ([], 25),
    ([Leverage(allow_leverage=True, max_leverage=5.0, min_margin_percent=20.0, maintenance_percent=20.0)], 8),
])
def test_a_sleeper_is_ruined_and_called_for_margin_at_the_bar_at_which_it_would_be_awake(rules, closes_at):
    """40,000 held with 10,000: nothing is left at 75; below 93.75 equity is less than a fifth of what is held."""
    tape = flat_tape([100.0 - i for i in range(40)], step=300_000_000_000)
    terms = Terms(capital=10_000.0, account=Account(leverage=5.0))
    awake, asleep = (logs_of(composed(tape, rules, strategy, terms=terms)) for strategy in (Holds(), HoldsAsleep()))
    assert difference(asleep, awake, tape.symbols, ("asleep", "awake")) == ""
    assert len(asleep["fills"]) == (2 if rules else 1)
    last = int(asleep["fills"]["bar"][-1]) if rules else len(asleep["marks"]) - 1
    assert last == closes_at


def test_a_sleeper_whose_orders_would_expire_behind_the_data_comes_to_their_end():
    """The entry is good until a day after the last bar; its stop works until there are no more bars."""

    class Patient(Strategy):
        """Enter once, with a stop far away."""

        name = "patient"

        def wake(self, bars):
            return {"flat": bars.close < 100.5, "held": bars.close < 0}

        @staticmethod
        def decide(now):
            if now.position.qty == 0 and now.position.pending == 0 and now.bar.close == 100.0:
                place_limit(now, 1, 100.0, qty=1.0, stop=50.0, tif=GTD, until=now.clock.time_ns + 86_400_000_000_000)

    tape = flat_tape([100.0, 100.0, *(100.0 + i for i in range(1, 11))], step=300_000_000_000)
    logs = logs_of(composed(tape, [], Patient()))
    assert len(logs["marks"]) == 12
    assert [len(logs[name]) for name in ("orders", "fills", "trades")] == [2, 1, 0]


def test_a_working_order_keeps_a_slot_awake():
    tape = market(bars=50)
    made = run(Rests(), tape)
    assert asked(made) == tape.n_bars - 1


def test_a_slot_never_sleeps_longer_than_the_look_ahead(monkeypatch):
    class Never(Rests):
        name = "never"

        @staticmethod
        def decide(now):
            now.shared.asked += 1

    tape = market(bars=2 * SLEEP_MAX + 10)
    made = run(Never(), tape)
    assert asked(made) == 3


def test_event_by_event_equals_at_once():
    tape = market()
    whole, single = run(Sleeps(), tape), compose(tape, [Plan(Sleeps())], PercentOfEquity(),
                                                 terms=Terms(fees=Fees(taker_bps=1.0)))
    while single.next < single.events:
        single.step()
    assert difference(finished(whole), finished(single), tape.symbols, ("at once", "event by event")) == ""
    assert asked(whole) == asked(single)


def test_a_snapshot_taken_asleep_wakes_at_the_same_bar():
    tape = market()
    first = compose(tape, [Plan(Sleeps())], PercentOfEquity())
    first.advance(301)
    second = compose(tape, [Plan(Sleeps())], PercentOfEquity())
    second.restore(first.snapshot())
    first.advance(first.events)
    second.advance(second.events)
    assert difference(finished(first), finished(second), tape.symbols, ("one", "other")) == ""
    assert asked(first) == asked(second)


def test_the_conformance_kit_finds_a_wake_that_misses_a_decision():
    found = dict(StrategyChecks(Oversleeps, {}, market()).checks())
    with pytest.raises(Exception, match="its wake is false at a close where the decision acts"):
        found["sleeping loses nothing"]()
    assert StrategyChecks(Sleeps, {}, market()).sleeps() == "in the given market"


@pytest.mark.parametrize(("declared", "told"), [
    ({"flatt": crossed_above(1, 2)}, "under flat and held"),
    ({"flat": sma}, "under flat and held"),
    (crossed_above(1, 2), "under flat and held"),
])
def test_a_declaration_of_another_form_is_refused(declared, told):
    class Wrong(Sleeps):
        name = "wrong"

        def wake(self, bars):
            return declared

    with pytest.raises(ConfigError, match=told):
        run(Wrong(), market(bars=20))
