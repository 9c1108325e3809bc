"""The contract that authors meet: parameters, the layout of what they see, and what each verb writes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import framework
from framework import (
    ConfigError,
    Now,
    Param,
    Strategy,
    buy,
    cancel,
    cancel_all,
    close_position,
    move_stop,
    place_limit,
    place_stop,
    place_stop_limit,
    sell,
    target,
)
from framework.cli.scaffold import package_files
from framework.model.enums import OrderKind, Side, TimeInForce, Verb
from framework.model.records import HEADER, MAX_ORDERS, UNSET
from framework.parameters import state_fields
from framework.risk import RiskRule, SizingRule, check_dtype
from framework.slippage import SlippageModel, fill_dtype
from framework.strategy import BUY, GTD, SELL, now_dtype, store_constants
from framework.testing import Decision, Intent, decide_once
from framework.testing.contract import check_contract
from framework.testing.report import Failed

DAY = 86_400_000_000_000


def decided(decide: Any, **members: Any) -> Decision:
    """Return the intents of a strategy with this decision."""
    return decide_once(type("Made", (Strategy,), {"name": "made", "decide": staticmethod(decide), **members}))


# --- verbs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "side"), [(buy, Side.BUY), (sell, Side.SELL)])
def test_market_orders_carry_what_they_are_given(verb: Any, side: Side) -> None:
    def everything(now: Now) -> None:
        verb(now, qty=2.0, stop=9.0, target=12.0, trail=0.5, trail_after=1.0, priority=3.0, group=7)

    def nothing(now: Now) -> None:
        verb(now)

    assert decided(everything) == (Intent(Verb.ORDER, side, OrderKind.MARKET, qty=2.0, stop=9.0, target=12.0, trail=0.5,
                                          trail_after=1.0, priority=3.0, group=7),)
    assert decided(nothing) == (Intent(Verb.ORDER, side, OrderKind.MARKET),)


@pytest.mark.parametrize(("verb", "kind"), [(place_limit, OrderKind.LIMIT), (place_stop, OrderKind.STOP)])
def test_orders_with_a_price(verb: Any, kind: OrderKind) -> None:
    def decide(now: Now) -> None:
        verb(now, BUY, 10.0, weight=0.5, stop_offset=1.0, target_offset=2.0, tag=now.tag.second)
        verb(now, SELL, 11.0, qty=1.0, reduce_only=True)

    first, second = decided(decide, tags=("first", "second"))
    assert first == Intent(Verb.ORDER, Side.BUY, kind, price=10.0, weight=0.5, stop_offset=1.0, target_offset=2.0,
                           tag="second")
    assert second == Intent(Verb.ORDER, Side.SELL, kind, price=11.0, qty=1.0, reduce_only=True)


def test_a_stop_limit_has_two_prices_and_a_life() -> None:
    def decide(now: Now) -> None:
        place_stop_limit(now, BUY, 10.0, 10.5, tif=GTD, until=77)

    assert decided(decide) == (Intent(Verb.ORDER, Side.BUY, OrderKind.STOP_LIMIT, price=10.0, limit=10.5,
                                      tif=TimeInForce.GTD, until=77),)


def test_reductions_targets_and_changes() -> None:
    def decide(now: Now) -> None:
        close_position(now, fraction=0.25)
        target(now, weight=-0.5)
        target(now, qty=3.0)
        cancel(now, now.tag.first)
        cancel_all(now)
        move_stop(now, 95.0)

    assert decided(decide, tags=("first",)) == (
        Intent(Verb.CLOSE, weight=0.25, reduce_only=True), Intent(Verb.TARGET, weight=-0.5),
        Intent(Verb.TARGET, qty=3.0), Intent(Verb.CANCEL, tag="first"), Intent(Verb.CANCEL_ALL),
        Intent(Verb.MOVE_STOP, kind=OrderKind.STOP, price=95.0, reduce_only=True))


def test_intents_beyond_the_slots_are_counted_and_written_nowhere() -> None:
    strategy = type("Made", (Strategy,), {"name": "made"})()
    record = np.zeros(2, now_dtype(strategy, ()))
    from framework.boundary.view import view_at

    now = view_at(record.ctypes.data, record.dtype)
    for i in range(MAX_ORDERS + 3):
        buy(now, qty=float(i))
    assert (now.intent_count, now.intents_refused) == (MAX_ORDERS, 3)
    assert [intent.qty for intent in now.intents] == [float(i) for i in range(MAX_ORDERS)]
    assert not record[1].tobytes().strip(b"\0")


# --- what an author sees ----------------------------------------------------------------------------------------------


class Declares(Strategy):
    """One of everything."""

    name = "declares"
    whole = Param(3, low=1, high=9)
    real = Param(0.5, low=0.0, high=1.0)
    flag = Param(True)
    choice = Param("b", choices=("a", "b", "c"))
    wait = Param("12h", is_duration=True)
    other = Param("MSFT", is_symbol=True)
    state: ClassVar[Any] = {"count": 7, "is_set": True, "recent": [1.5, 2.5]}
    shared: ClassVar[Any] = {"leader": -1}
    tags = ("first", "second")


def test_the_layout_begins_with_the_header_and_carries_the_names() -> None:
    strategy = Declares(whole=4)
    dtype = now_dtype(strategy, ("fast", "slow"))
    for name in HEADER.names or ():
        assert dtype.fields[name][1] == HEADER.fields[name][1]  # type: ignore[index]
    assert dtype.fields["ind"][1] == HEADER.itemsize  # type: ignore[index]
    record = np.zeros((), dtype)
    store_constants(strategy, record)
    assert record["p"].tolist() == (4, 0.5, True, 1, DAY // 2, 0)  # a choice by its position, a duration in nanoseconds
    assert record["tag"].tolist() == (1, 2)
    assert record["state"]["recent"].tolist() == [1.5, 2.5]
    assert (record["state"]["count"], record["state"]["is_set"], record["shared"]["leader"]) == (7, True, -1)
    assert dtype["ind"].names == dtype["prev"].names == ("fast", "slow")


def test_what_is_not_declared_is_not_there() -> None:
    assert now_dtype(type("Bare", (Strategy,), {"name": "bare"})(), ()).names == HEADER.names


def test_rules_and_models_carry_their_names_behind_a_header() -> None:
    rule = type("Rule", (RiskRule,), {"name": "rule", "most": Param(1.0), "state": {"n": 0}})()
    assert (check_dtype(rule, ("x",)).names or ())[-3:] == ("ind", "p", "state")
    model = type("Model", (SlippageModel,), {"name": "model", "bps": Param(1.0)})()
    assert (fill_dtype(model).names or ())[-1] == "p"
    order = type("Order", (), {"reference": 5.0})()
    assert (SlippageModel.price(order), SizingRule.size(order), RiskRule.check(order)) == (5.0, 0.0, None)


def test_state_of_another_kind_is_refused() -> None:
    assert state_fields({"a": 1, "b": 2.0, "c": [True, False]}) == [("a", "i8"), ("b", "f8"), ("c", "?", (2,))]
    with pytest.raises(ConfigError, match="a state field is a number, a truth value or an array of them"):
        state_fields({"name": "text"})


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("params", "told"), [
    ({"whole": 0}, "declares: parameter whole = 0 is out of bounds: 1 <= value <= 9"),
    ({"whole": 2.5}, "parameter whole = 2.5 must be a whole number"),
    ({"whole": "3"}, "parameter whole = '3' must be a number (int), not str"),
    ({"whole": True}, "must be a number (int), not bool"),
    ({"real": math.nan}, "parameter real = nan must be finite"),
    ({"real": 1.1}, "parameter real = 1.1 is out of bounds: 0 <= value <= 1"),
    ({"flag": 1}, "parameter flag = 1 must be true or false"),
    ({"choice": "d"}, "parameter choice = 'd' is not one of a, b, c"),
    ({"wait": "12"}, 'parameter wait = \'12\' must be "none" or a duration'),
    ({"wait": 3}, 'parameter wait = 3 must be "none" or a duration'),
    ({"other": ""}, 'parameter other = \'\' must be a symbol, such as "MSFT"'),
    ({"hole": 3}, "declares: unknown parameter 'hole'; did you mean 'whole'? it has: whole, real, flag, choice, wait, "
                  "other"),
])
def test_a_wrong_parameter_is_refused_with_value_and_rule(params: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Declares(**params)
    assert told in str(caught.value)


def test_parameters_take_the_type_of_their_default() -> None:
    made = Declares(whole=np.int64(5), real=1, flag=np.bool_(False), choice="c", wait="none", other="IBM")
    assert made.values() == {"whole": 5, "real": 1.0, "flag": False, "choice": "c", "wait": "none", "other": "IBM"}
    assert [type(value) for value in made.values().values()] == [int, float, bool, str, str, str]
    assert Declares.params()["wait"].stored("none") == 0
    assert Declares.params()["wait"].stored("2d") == 2 * DAY
    assert UNSET < -1e300


def test_parameters_are_inherited_and_overridden() -> None:
    class Child(Declares):
        """Another default and one more."""

        name = "child"
        whole = Param(8, low=1, high=9)
        more = Param(1.0, low=0.0, high=2.0)

    assert Child().values()["whole"] == 8
    assert list(Child.params()) == ["whole", "real", "flag", "choice", "wait", "other", "more"]
    assert list(Declares.params()) == ["whole", "real", "flag", "choice", "wait", "other"]


def test_a_run_says_which_constraints_of_a_strategy_its_parameters_do_not_satisfy() -> None:
    """With the values, under the name of the use; defaults and a search's own points are not refused."""
    data = {"source": "synthetic", "symbols": ["A"], "bars": 400, "seed": 4}
    inverted = {"name": "ma_cross", "params": {"fast": 30, "slow": 10}, "label": "inverted"}
    result = framework.backtest({"data": data, "strategy": [inverted, {"name": "ma_cross"}]})
    assert [note for note in result.stats.footnotes if "made for" in note] == [
        "inverted: fast = 30, slow = 10, but it is made for fast < slow: so set, it does not do what it says"]
    search = framework.optimize({"data": data, "strategy": {"name": "ma_cross"}},
                                space={"fast": [10, 20], "slow": [15]})
    assert len(search.outcomes) == 2


def test_a_constraint_that_cannot_be_evaluated_is_refused_before_the_first_event() -> None:
    """A division by zero in it: nothing is decided, so no finished run is thrown away."""
    asked = []

    class Ratio(Strategy):
        """Is made for a ratio of its parameters; notes that it was asked."""

        name = "ratio"
        fast, slow = Param(1, low=0, high=9), Param(5, low=1, high=9)
        constraints = ("slow / fast > 2",)

        @staticmethod
        def decide(now):  # type: ignore[no-untyped-def]
            asked.append(1)

    data = {"source": "synthetic", "symbols": ["A"], "bars": 20, "seed": 4}
    with pytest.raises(ConfigError, match="slow / fast > 2"):
        framework.backtest(data=data, strategy=Ratio, params={"fast": 0}, interpreted=True)
    assert not asked
    assert framework.backtest(data=data, strategy=Ratio, params={"fast": 1}, interpreted=True).outcome == "done"
    assert asked


def test_constraints_of_a_strategy_are_checked_by_the_kit() -> None:
    """One that is none, and one that the defaults do not satisfy."""
    for texts, told in ((("whole << 3",), "whole << 3"), (("whole > 5",), "the defaults do not satisfy.*whole = 3")):
        class Doubtful(Declares):
            """Has another constraint."""

            name = "doubtful"
            constraints = texts

        with pytest.raises(Failed, match=told):
            check_contract(Doubtful, needs_high=False)


def test_a_parameter_that_can_never_hold_is_refused_where_it_is_written() -> None:
    with pytest.raises(ConfigError, match=r"needs choices=\(...\), is_duration=True or is_symbol=True"):
        Param("text")
    with pytest.raises(ConfigError, match="low = 5 is above high = 2"):
        Param(3, low=5, high=2)


# --- an author's file -------------------------------------------------------------------------------------------------


FILE = '''
"""A strategy with everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from framework import (Now, Param, RiskRule, SlippageModel, Strategy, buy, cancel, cancel_all, close_position, compiled,
                       move_stop, place_limit, place_stop, sell, target)
from framework.indicators import Bars, Expression, ema
from framework.risk import reduce, refuse
from framework.strategy import BUY, SELL


@compiled
def distance(now: Now, factor: float) -> float:
    return float(now.ind.average * factor)


class Uses(Strategy):
    """Use every verb."""

    name = "uses"
    length = Param(5, low=2, high=50)

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        return {"average": ema(bars.close, self.length), "half": self.length * bars.close / 2}

    @staticmethod
    def decide(now: Now) -> None:
        buy(now, stop=distance(now, 0.9), tag=1)
        sell(now, weight=0.5, trail=1.0)
        place_limit(now, BUY, now.bar.close, qty=1.0)
        place_stop(now, SELL, now.bar.close, reduce_only=True)
        target(now, qty=1.0)
        close_position(now)
        move_stop(now, now.bar.low)
        cancel(now, 1)
        cancel_all(now)


class All(Strategy):
    """Decide for all."""

    name = "all"

    @staticmethod
    def decide_all(nows: Sequence[Now]) -> None:
        for now in nows:
            buy(now)
'''


def mypy(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run mypy in its strict mode on files of a folder; it does not look through the finder of an editable install."""
    options = ["--strict", "--follow-imports=silent", "--cache-dir", str(folder / "cache")]
    command = [sys.executable, "-m", "mypy", *options, *files]
    seen = {**os.environ, "MYPYPATH": str(Path(__file__).resolve().parent.parent)}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=seen)


@pytest.mark.slow
def test_an_author_s_file_is_clean_under_mypy_strict(tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(FILE)
    source = package_files("strategy", "my_breakout")["src/framework_strategy_my_breakout/strategy.py"]
    (tmp_path / "strategy.py").write_text(source)
    done = mypy(tmp_path, "uses.py", "strategy.py")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_wrong_type_in_a_verb_is_seen_by_mypy(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(FILE.replace('tag=1)', 'tag="one")'))
    done = mypy(tmp_path, "wrong.py")
    assert 'Argument "tag" to "buy" has incompatible type "str"; expected "int"' in done.stdout
