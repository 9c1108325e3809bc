"""The conformance kit passes what is honest, and catches and names every kind of plug-in that is not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
from framework_strategy_trend.crosses import EmaCross, MaCross

from framework import ConfigError, Now, Param, Strategy, buy, close_position, sell, target
from framework.boundary.jit import JIT
from framework.data import DataSource
from framework.data.sources.synthetic import Synthetic
from framework.indicators import Bars, Expression, Indicator, atr, ema, highest, length, sma
from framework.testing import Check, Report, check_plugin, decide_all_once, decide_once, synthetic_market
from framework.testing.data import change_values
from framework.testing.markets import KINDS, change_future, events_until, quiet_cuts
from framework.testing.report import Failed, run_checks
from framework.testing.runs import finished, moment, part_at, simulate

FUTURE = synthetic_market(400, ("AAA",), "1d", "trending", 1).close.copy()
"""Closes that a cheat has seen."""

needs_compiler = pytest.mark.skipif(not JIT, reason="the compiler is switched off")


def failures(cls: Any, **options: Any) -> dict[str, str]:
    """Return the messages of the failed checks by name."""
    return {check.name: check.message for check in check_plugin(cls, **options).failures}


class Batch(Indicator[Any]):
    """An indicator whose column is a function of the whole array, whatever its step says."""

    def __init__(self, name: str, function: Any, **options: Any) -> None:
        def step(s: Any, window: Any, x: float) -> float:
            """Return the value itself."""
            return x

        step.__name__ = name
        self.function = function
        super().__init__(step, inputs=("x",), bar_inputs=(), parameters={}, outputs=(), state={}, lookback=lambda p: 0,
                         window=None, check=None, source="a cheat", cost="O(1)", **options)

    def columns(self, parameters: Any, inputs: Any, bounds: Any = None) -> np.ndarray:
        """Return the function of the whole input, of each symbol's for several."""
        parts = pairwise([0, len(inputs[0])] if bounds is None else bounds.tolist())
        return np.concatenate([np.asarray(self.function(inputs[0][i:j]), np.float64) for i, j in parts]).reshape(1, -1)


def seen_at_open(close: np.ndarray) -> np.ndarray:
    """Return the close of each bin of four bars, at all of its bars: a longer timeframe matched by open time."""
    out = np.empty(close.size)
    for first in range(0, close.size, 4):
        out[first: first + 4] = close[min(first + 3, close.size - 1)]
    return out


def centred(close: np.ndarray) -> np.ndarray:
    """Return the mean of five bars around each."""
    return np.convolve(np.pad(close, 2, mode="edge"), np.full(5, 0.2), mode="valid")


def above_average(peeking: Any) -> type[Strategy]:
    """Return a strategy that trades by one column of a cheat."""

    class Peeks(Strategy):
        """Long while the column is above the close."""

        name = "peeks"

        def indicators(self, bars: Bars) -> dict[str, Expression]:
            return {"honest": ema(bars.close, 5), "seen": peeking(bars.close)}

        @staticmethod
        def decide(now: Now) -> None:
            if now.position.qty == 0.0 and now.ind.seen > now.bar.close:
                buy(now)
            elif now.position.qty > 0.0 and now.ind.seen < now.bar.close:
                close_position(now)

    return Peeks


# --- what is honest passes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [MaCross, EmaCross])
def test_the_installed_strategies_pass(strategy: type[Strategy]) -> None:
    report = check_plugin(strategy)
    assert report.passed, str(report)
    assert len(report.checks) == 15


class Everything(Strategy):
    """Use another timeframe, another symbol, state, tags, limits, stops and a choice."""

    name = "everything"
    length = Param(10, low=2, high=60)
    side = Param("both", choices=("long", "both"))
    state: ClassVar[Any] = {"waited": 0, "recent": [0.0, 0.0, 0.0]}
    tags = ("ladder",)

    def indicators(self, bars: Bars) -> dict[str, Expression]:
        return {"slow": sma(bars.timeframe("1d").close, 3), "other": ema(bars.symbol("ZZZ").close, self.length),
                "ratio": bars.close / bars.symbol("ZZZ").timeframe("4h").close, "atr": atr(bars, 14),
                "top": highest(bars.high, self.length).shift(1)}

    @staticmethod
    def decide(now: Now) -> None:
        state = now.state
        state.waited += 1
        state.recent[state.waited % 3] = now.bar.close
        if now.position.qty == 0.0 and now.bar.close > now.ind.slow and state.waited % 5 == 0:
            buy(now, weight=0.2, stop_offset=2.0 * now.ind.atr, tag=now.tag.ladder)
        elif now.position.qty == 0.0 and now.p.side == 1 and now.ind.ratio < now.prev.ratio and state.waited % 7 == 0:
            sell(now, weight=0.1, trail=3.0 * now.ind.atr)
        elif now.position.bars_held > 10:
            close_position(now, fraction=0.5)


def test_other_timeframes_and_other_symbols_pass() -> None:
    report = check_plugin(Everything)
    assert report.passed, str(report)


class Rotation(Strategy):
    """Hold the strongest symbol."""

    name = "rotation"

    def indicators(self, bars: Bars) -> dict[str, Expression]:
        return {"strength": bars.close / sma(bars.close, 20)}

    @staticmethod
    def decide_all(nows: Any) -> None:
        best, leader = 0.0, -1
        for i in range(len(nows)):
            if nows[i].fresh and nows[i].ind.strength > best:
                best, leader = nows[i].ind.strength, i
        if leader >= 0 and nows[leader].position.qty == 0.0:
            for now in nows:
                if now.position.qty > 0.0:
                    close_position(now)
            buy(nows[leader], weight=0.5)


def test_a_decision_over_the_universe_passes() -> None:
    report = check_plugin(Rotation)
    assert report.passed, str(report)
    (independence,) = [check for check in report.checks if check.name == "symbols do not disturb each other"]
    assert independence.message == "not looked at: it decides for all at once"


# --- the future -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "function"), [
    ("next_bar", lambda close: np.append(close[1:], close[-1])),
    ("bin_by_open_time", seen_at_open),
    ("centred_mean", centred),
    ("scaled_by_the_whole", lambda close: close / close.max(initial=1.0)),
    ("reversed_sum", lambda close: np.cumsum(close[::-1])[::-1].copy()),
])
def test_a_column_that_sees_the_future_is_named_with_bar_and_values(name: str, function: Any) -> None:
    found = failures(above_average(Batch(name, function)))
    told = found["indicators do not see the future"]
    assert told.startswith(f"column 'seen', {name}(close), sees the future: on AAA (trending) at 20")
    assert "with all bars and" in told
    assert "honest" not in told
    assert f"column 'seen', {name}(close), on AAA" in found["batch indicators equal incremental ones"]


@pytest.mark.parametrize("function", [lambda close: np.append(close[1:], close[-1]), seen_at_open, centred])
def test_the_decision_that_came_of_it_is_named_with_its_bar(function: Any) -> None:
    told = failures(above_average(Batch("peek", function)))["decisions do not see the future"]
    assert "a decision depends on bars after 20" in told
    assert "of AAA at 20" in told
    assert "with all bars: " in told
    assert "the bars after 20" in told or "other bars after 20" in told


def test_a_causal_batch_function_that_is_not_its_step_is_told_apart() -> None:
    found = failures(above_average(Batch("doubled", lambda close: close * 2.0)))
    assert set(found) == {"batch indicators equal incremental ones"}


def test_a_decision_that_holds_captured_closes_is_caught_and_its_decision_named() -> None:
    class Captured(Strategy):
        """Buy when tomorrow is higher."""

        name = "captured"
        state: ClassVar[Any] = {"bar": 0}

        @staticmethod
        def decide(now: Now) -> None:
            i = now.state.bar
            now.state.bar += 1
            if i + 1 < len(FUTURE):
                if now.position.qty == 0.0 and FUTURE[i + 1] > now.bar.close:
                    buy(now)
                elif now.position.qty > 0.0 and FUTURE[i + 1] < now.bar.close:
                    close_position(now)

    before = FUTURE.copy()
    told = failures(Captured)["reads only what it is shown"]
    assert "the decision reads FUTURE (ndarray) past its argument" in told
    assert "it decides by it (trending): with it: " in told
    assert "of AAA at 2020-01" in told
    np.testing.assert_array_equal(FUTURE, before)  # the kit put back what it changed


def test_a_step_that_holds_captured_closes_is_caught_and_its_column_named() -> None:
    def peek(s: Any, window: Any, x: float) -> float:
        """Tomorrow's close."""
        return FUTURE[min(s.count, 399)]  # type: ignore[no-any-return]

    cheat: Any = Indicator(peek, inputs=("x",), bar_inputs=(), parameters={}, outputs=(), state={},
                           lookback=lambda p: 0, window=None, check=None, source="a cheat", cost="O(1)")
    told = failures(above_average(cheat))["indicators do not see the future"]
    assert told.startswith("column 'seen', peek(close): the step of peek reads FUTURE (ndarray)")


# --- memory that is not in state --------------------------------------------------------------------------------------


def remembered() -> None:
    """Hold an attribute."""


remembered.close = 0.0  # type: ignore[attr-defined]


def test_memory_that_symbols_share_is_caught() -> None:
    class Leaks(Strategy):
        """Compare with the close that was seen last, of whatever symbol."""

        name = "leaks"

        @staticmethod
        def decide(now: Now) -> None:
            if now.position.qty == 0.0 and now.bar.close > remembered.close:  # type: ignore[attr-defined]
                buy(now, stop=now.bar.close * 0.9)
            remembered.close = now.bar.close  # type: ignore[attr-defined]

    found = failures(Leaks, interpreted=True)
    told = found["symbols do not disturb each other"]
    assert "is decided differently beside other symbols; together with others: " in told


def test_chance_is_caught() -> None:
    class Coin(Strategy):
        """Toss a coin."""

        name = "coin"

        @staticmethod
        def decide(now: Now) -> None:
            if now.position.qty == 0.0 and random.random() > 0.5:
                buy(now)
            elif random.random() > 0.5:
                close_position(now)

    assert "two runs differ; the first run: " in failures(Coin)["the same twice"]


# --- compiled and interpreted -----------------------------------------------------------------------------------------


class Texts(Strategy):
    """Compare texts of numbers, which compiled code writes otherwise."""

    name = "texts"

    @staticmethod
    def decide(now: Now) -> None:
        if now.position.qty == 0.0 and str(now.bar.close).startswith("1"):
            buy(now)
        elif now.position.qty != 0.0:
            close_position(now)


class Decimals(Strategy):
    """Use what does not compile."""

    name = "decimals"

    @staticmethod
    def decide(now: Now) -> None:
        if now.position.qty == 0.0 and Decimal(now.bar.close) > 90:
            buy(now)
        elif now.position.qty != 0.0:
            close_position(now)


@needs_compiler
def test_a_difference_between_compiled_and_interpreted_is_named() -> None:
    found = failures(Texts)
    assert set(found) == {"compiled equals interpreted"}
    assert "trending: compiled: " in found["compiled equals interpreted"]
    assert "interpreted: buy" in found["compiled equals interpreted"]


@needs_compiler
def test_what_does_not_compile_is_told_and_can_be_accepted() -> None:
    found = failures(Decimals)
    assert set(found) == {"compiles"}
    assert found["compiles"].startswith("decimals.decide runs interpreted: ")
    assert failures(Decimals, interpreted=True) == {}


# --- contract ---------------------------------------------------------------------------------------------------------


def made(base: type = Strategy, doc: str | None = "Do nothing.", **members: Any) -> Any:
    """Return a class with these members."""
    return type("Made", (base,), {"__doc__": doc, "name": "made", **members})


@pytest.mark.parametrize(("cls", "told"), [
    (made(name="Bad Name"), "name = 'Bad Name'; a name is lower-case letters"),
    (made(doc=None), "the class Made has no docstring"),
    (made(size=Param(3, high=5)), "parameter size has no low bound"),
    (made(size=Param(3, low=5, high=9)), "the defaults are refused: made: parameter size = 3 is out of bounds"),
    (made(size=Param(3, low=1)), "parameter size has no high bound"),
])
def test_a_broken_contract_is_told_and_nothing_else_is_run(cls: Any, told: str) -> None:
    report = check_plugin(cls)
    assert [check.name for check in report.failures] == ["contract"]
    assert told in report.checks[0].message
    assert len(report.checks) == 1
    assert "names" in report.not_run


def test_a_strategy_that_accepts_anything_is_caught() -> None:
    cls = made(size=Param(3, low=1, high=5), validate=classmethod(lambda c, params: {"size": 3}))
    assert failures(cls)["bad parameters are refused"] == "no_such_parameter_of_mine = 1 was accepted"


def test_indicators_must_hold_at_every_bound_under_the_same_names() -> None:
    fails = made(size=Param(3, low=0, high=5), indicators=lambda self, bars: {"x": sma(bars.close, self.size)})
    assert "with size = 0, which its bounds allow: sma: parameter length = 0" in failures(fails)["indicators"]
    renames = made(size=Param(3, low=1, high=5), indicators=lambda self, bars: {f"x{self.size}": bars.close})
    assert "names must not depend on parameters" in failures(renames)["indicators"]


def test_a_misspelt_name_is_told() -> None:
    class Misspelt(Strategy):
        """Misspell a name."""

        name = "misspelt"

        @staticmethod
        def decide(now: Now) -> None:
            if now.bar.clse > 1.0:
                buy(now)

    report = check_plugin(Misspelt)
    assert [check.name for check in report.failures] == ["names"]
    assert "now.bar has no 'clse'; did you mean 'close'?" in report.failures[0].message


def test_a_division_by_a_price_that_never_moves_is_caught_with_the_author_s_line() -> None:
    class Divides(Strategy):
        """Divide by the range of a bar."""

        name = "divides"

        @staticmethod
        def decide(now: Now) -> None:
            strength = (now.bar.close - now.bar.open) / (now.bar.high - now.bar.low)
            if now.position.qty == 0.0 and strength > 0.5:
                buy(now)
            elif strength < -0.5:
                close_position(now)

    found = failures(Divides)
    assert set(found) == {"any prices and any length"}
    assert "one price for ever: divides.decide failed on AAA" in found["any prices and any length"]
    assert "strength = " in found["any prices and any length"]


def test_a_strategy_that_never_orders_proves_nothing() -> None:
    class Never(Strategy):
        """Wait for a price that does not come."""

        name = "never"
        level = Param(1e9, low=0.0, high=1e9)

        @staticmethod
        def decide(now: Now) -> None:
            if now.bar.close > now.p.level and now.position.qty == 0.0:
                buy(now)

    assert "no order in any market (trending, ranging, gappy, several symbols)" in failures(Never)["decides"]
    assert failures(Never, params={"level": 0.0}) == {}
    assert failures(Never, params={"level": 0.0}, market=synthetic_market(100)) == {}
    with pytest.raises(ConfigError, match="out of bounds"):
        check_plugin(Never, params={"level": -1.0})


def test_other_kinds_are_looked_at_for_name_and_description() -> None:
    import click

    assert check_plugin(Synthetic).passed
    nameless = type("Nameless", (DataSource,), {"name": ""})
    assert "it has no name" in str(check_plugin(nameless))
    assert check_plugin(click.Command("say", help="Say it.")).passed
    assert not check_plugin(click.Command("say")).passed
    with pytest.raises(ConfigError, match="takes neither parameters nor a market"):
        check_plugin(Synthetic, params={"bars": 3})


def test_a_report_reads_well() -> None:
    def breaks() -> str:
        raise Failed("two\nlines")

    def crashes() -> str:
        raise KeyError("lost")

    checks = [("one", lambda: "seen"), ("two", breaks), ("three", crashes), ("four", str)]
    report = run_checks("strategy x", checks, ["three"])
    assert report.passed is False
    lines = str(report).splitlines()
    assert lines[:4] == ["strategy x failed 2 of 3 checks", "  ok   one: seen", "  FAIL two: two", "         lines"]
    assert lines[4] == "  FAIL three: KeyError: 'lost'"
    assert lines[-1] == "  not run after that: four"
    assert str(Report("rule y", (Check("one", True),))) == "rule y passed 1 checks\n  ok   one"


# --- markets ----------------------------------------------------------------------------------------------------------


def test_markets_are_the_same_for_the_same_seed() -> None:
    for kind in KINDS:
        assert synthetic_market(80, kind=kind).fingerprint == synthetic_market(80, kind=kind).fingerprint
    assert synthetic_market(80, seed=1).fingerprint != synthetic_market(80, seed=2).fingerprint
    assert synthetic_market(80, ("A", "B")).bars("A").equals(synthetic_market(80, ("A",)).bars("A"))
    assert set(synthetic_market(50, kind="constant").close) == {100.0}
    with pytest.raises(ConfigError, match="did you mean 'ranging'"):
        synthetic_market(kind="rangeing")
    with pytest.raises(ConfigError, match="at least 1"):
        synthetic_market(0)


def test_another_future_keeps_everything_up_to_the_cut() -> None:
    tape = synthetic_market(60, ("A", "B"), "1h", "gappy")
    for cut in quiet_cuts(tape, 4):
        other = change_future(tape, cut)
        for name in ("open", "high", "low", "close", "volume"):
            before = tape.close_time <= cut
            np.testing.assert_array_equal(getattr(other, name)[before], getattr(tape, name)[before])
            assert (getattr(other, name)[~before] != getattr(tape, name)[~before]).all()
        assert (other.low <= np.minimum(other.open, other.close)).all()
        assert (other.high >= np.maximum(other.open, other.close)).all()
        assert events_until(tape, cut) == tape.truncate(cut).n_events


def test_cuts_are_never_within_a_bar() -> None:
    tape = synthetic_market(100, ("A", "B", "C"), "4h", "gappy")
    cuts = quiet_cuts(tape, 6, 20)
    assert 3 <= len(cuts) <= 6
    for cut in cuts:
        assert not ((tape.open_time < cut) & (tape.close_time > cut)).any()
    assert quiet_cuts(synthetic_market(1), 3) == []


def test_equal_runs_do_not_part_and_a_changed_row_is_found() -> None:
    tape = synthetic_market(200)
    one, other = (finished(simulate(MaCross(), tape, interpreted=True)) for _ in range(2))
    assert part_at(one, other) is None
    other["fills"]["price"][1] += 1e-9
    assert part_at(one, other) == ("fills", 1)
    other["orders"]["qty"][0] += 1.0
    assert part_at(one, other) == ("orders", 0)
    assert moment(0) == "1970-01-01T00:00:00Z"


def test_values_are_put_back() -> None:
    array, flags, numbers, table = np.arange(3.0), np.array([True, False]), [1, True, "x"], {"a": 1.0}
    with change_values([array, flags, numbers, table, (1, 2)]):
        assert array.tolist() == [3.0, 2.0, 1.0]
        assert flags.tolist() == [False, True]
        assert numbers == ["x", False, 2]
        assert table == {"a": 2.0}
    assert array.tolist() == [0.0, 1.0, 2.0]
    assert (flags.tolist(), numbers, table) == ([True, False], [1, True, "x"], {"a": 1.0})


# --- one decision -----------------------------------------------------------------------------------------------------


def test_one_decision_sees_what_it_is_given() -> None:
    ind = {"slow": 90.0, "atr": 2.0}
    decision = decide_once(Everything(length=20), bar={"close": 100.0}, ind=ind, state={"waited": 4})
    (intent,) = decision
    assert (intent.weight, intent.stop_offset, intent.tag) == (0.2, 4.0, "ladder")
    assert (intent.qty, intent.price, intent.stop) == (None, None, None)
    assert decision.state.waited == 5
    assert decision.state.recent == [0.0, 0.0, 100.0]
    assert decide_once(Everything, position={"qty": 1.0, "bars_held": 11})[0].weight == 0.5


def test_fills_and_orders_are_given_as_lists() -> None:
    class Follows(Strategy):
        """Act on fills."""

        name = "follows"

        @staticmethod
        def decide(now: Now) -> None:
            for i in range(now.fill_count):
                buy(now, qty=now.fills[i].qty + now.orders[0].qty)

    (intent,) = decide_once(Follows, fills=[{"qty": 2.0}], orders=[{"qty": 3.0}])
    assert intent.qty == 5.0
    with pytest.raises(ConfigError, match=r"now\.fills\[i\] has no 'quantity'; it has: order_id"):
        decide_once(Follows, fills=[{"quantity": 2.0}])
    with pytest.raises(ConfigError, match="33 fills are more than 32"):
        decide_once(Follows, fills=[{}] * 33)


@pytest.mark.parametrize(("parts", "told"), [
    ({"indicators": {}}, "now has no 'indicators'"),
    ({"ind": {"slw": 1.0}}, "now.ind has no 'slw'; did you mean 'slow'?"),
    ({"p": {}}, "now has no 'p'"),
])
def test_one_decision_refuses_names_that_do_not_exist(parts: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decide_once(Everything, **parts)
    assert told in str(caught.value)


def test_one_decision_is_for_one_symbol() -> None:
    with pytest.raises(ConfigError, match="rotation decides for all symbols at once"):
        decide_once(Rotation)
    assert length


def test_one_decision_for_all_symbols_gives_each_its_answer_and_keeps_the_shared_memory_of_the_first() -> None:
    class Leads(Strategy):
        """Buy the highest of those that closed now."""

        name = "leads"
        shared: ClassVar[Any] = {"leader": -1}
        state: ClassVar[Any] = {"asked": 0}

        @staticmethod
        def decide_all(nows: Sequence[Now]) -> None:
            highest = -1.0
            for i in range(len(nows)):
                nows[i].state.asked += nows[i].universe
                if nows[i].fresh and nows[i].bar.close > highest:
                    highest = nows[i].bar.close
                    nows[0].shared.leader = i
            target(nows[nows[0].shared.leader], weight=1.0)

    first, second, third = decide_all_once(
        Leads, {"bar": {"close": 5.0}}, {"bar": {"close": 7.0}, "state": {"asked": 4}},
        {"bar": {"close": 9.0}, "fresh": False})
    assert (first, third) == ((), ())
    assert [intent.weight for intent in second] == [1.0]
    assert [each.shared.leader for each in (first, second, third)] == [1, 1, 1]
    assert [each.state.asked for each in (first, second, third)] == [3, 7, 3]
    with pytest.raises(ConfigError, match=r"decide_all_once\(leads\): now\.bar has no 'clse'; did you mean 'close'?"):
        decide_all_once(Leads, {"bar": {"clse": 5.0}})
    with pytest.raises(ConfigError, match="at least one symbol"):
        decide_all_once(Leads)
    with pytest.raises(ConfigError, match="decides for one symbol at a time"):
        decide_all_once(Everything, {})
