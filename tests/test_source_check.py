"""The check of names on an author's source: every wrong name is told with its line, what was meant and what exists."""

from __future__ import annotations

import linecache
import math
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from framework import ConfigError, Now, Param, SlippageModel, Strategy, buy, cancel, compiled, sell
from framework.backtest.compose import shown_to_rule
from framework.boundary.adapter import RECORDS
from framework.engine import layout
from framework.indicators import sma
from framework.model.enums import Side
from framework.risk import RiskRule, check_dtype, reduce, refuse
from framework.slippage import fill_dtype
from framework.source_check import captured, check_names, doubtful, outside, reached, source_of
from framework.strategy import now_dtype

USED_BELOW = (math, random, Side, buy, cancel)
"""What only the texts of functions below use."""

TABLE = np.arange(5.0)
LEVELS = (0.1, 0.2)
MANY = tuple(float(i) for i in range(65))
SCALE = 2.0


class Example(Strategy):
    """A strategy with one of everything that can be declared."""

    name = "example"
    fast = Param(3, low=1, high=5)
    state: ClassVar[Any] = {"count": 0, "recent": [0.0, 0.0]}
    shared: ClassVar[Any] = {"leader": 0}
    tags = ("ladder",)

    def indicators(self, bars: Any) -> dict[str, Any]:
        return {"average": sma(bars.close, self.fast)}


class Nothing(Strategy):
    """A strategy that declares nothing."""

    name = "nothing"


DTYPE = now_dtype(Example(), ("average",))


@compiled
def uses_price(n: Any, factor: float = 1.0) -> float:
    return n.bar.close * factor


@compiled
def misspells(parameters: Any) -> float:
    return parameters.fest  # line of this helper


def function_of(body: str, arguments: str = "now") -> Callable[..., Any]:
    """Return a function whose source is known to Python, over the globals of this file."""
    text = f"def decide({arguments}):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    file = f"<source of {body!r}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope = dict(globals())
    exec(compile(text, file, "exec"), scope)
    return scope["decide"]  # type: ignore[no-any-return]


def message(body: str, arguments: str = "now", form: str = "record") -> str:
    """Return what the check says of a body, "" when it says nothing."""
    try:
        check_names(function_of(body, arguments), DTYPE, form, "example.decide")
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("body", "told"), [
    ("x = now.ind.averge", "now.ind has no 'averge'; did you mean 'average'? it has: average"),
    ("x = now.prev.fst", "now.prev has no 'fst'; it has: average"),
    ("x = now.p.fest", "now.p has no 'fest'; did you mean 'fast'? it has: fast"),
    ("x = now.bar.clse", "now.bar has no 'clse'; did you mean 'close'? it has: open_time, close_time, open, high"),
    ("x = now.position.quantity", "now.position has no 'quantity'; it has: qty, pending, entry_price"),
    ("x = now.account.equty", "now.account has no 'equty'; did you mean 'equity'?"),
    ("x = now.clock.time", "now.clock has no 'time'"),
    ("x = now.tag.lader", "now.tag has no 'lader'; did you mean 'ladder'? it has: ladder"),
    ("now.state.cont = 1", "now.state has no 'cont'; did you mean 'count'? it has: count, recent"),
    ("now.shared.leder += 1", "now.shared has no 'leder'; did you mean 'leader'? it has: leader"),
    ("x = now.fills[0].prise", "now.fills[0] has no 'prise'; did you mean 'price'?"),
    ("for i in range(2):\n    x = now.orders[i].qy", "now.orders[i] has no 'qy'; did you mean 'qty'?"),
    ("for fill in now.fills:\n    x = fill.fees", "has no 'fees'; did you mean 'fee'?"),
    ("for i, one in enumerate(now.orders):\n    x = one.prices", "has no 'prices'; did you mean 'price'?"),
    ("x = [fill.cost for fill in now.fills]", "has no 'cost'"),
    ("x = now.positon.qty", "now has no 'positon'; did you mean 'position'?"),
    ("x = now.ind.close", "now.ind has no 'close'; did you mean now.bar.close? it has: average"),
    ("x = now.fills.price", "now.fills is an array; read one element, as in now.fills[i].price"),
    ("p = now.p\nx = p.fest", "now.p has no 'fest'"),
    ("p, i = now.p, now.ind\nx = i.fest", "now.ind has no 'fest'"),
    ("if (p := now.p).fest > 1:\n    pass", "now.p has no 'fest'"),
    ("x: float = now.p.fest", "now.p has no 'fest'"),
    ("buy(now, stpo=1.0)", "buy() has no argument 'stpo'; did you mean 'stop'? it takes: now, qty, weight, stop"),
    ("buy()", "buy(): missing a required argument: 'now'"),
    ("cancel(now, 1, 2)", "cancel(): too many positional arguments; it takes: now, tag"),
    ("uses_price(now, facto=2)", "uses_price() has no argument 'facto'; did you mean 'factor'?"),
    ("byu(now)", "unknown name 'byu'; did you mean 'buy'?"),
    ("move_stop(now, 1.0)", "unknown name 'move_stop' (import it from framework)"),
    ("x = math.sqr(2.0)", "math has no 'sqr'; did you mean 'sqrt'?"),
    ("x = Side.BYU", "Side has no 'BYU'; did you mean 'BUY'?"),
])
def test_a_name_that_does_not_exist_is_told_with_what_does(body: str, told: str) -> None:
    assert told in message(body)


@pytest.mark.parametrize("body", [
    "now.state.count += 1\nnow.state.recent[0] = now.bar.close\nnow.shared.leader = 2",
    "if now.ind.average > now.prev.average:\n    buy(now, stop=now.bar.close - 1.0, tag=now.tag.ladder)",
    "for i in range(now.fill_count):\n    x = now.fills[i].price",
    "p = now.p\np = now.ind\nx = p.fest",  # two meanings: left to the compiler
    "x = (lambda now: now.anything)(3)",
    "x = uses_price(now, factor=2.0) + math.sqrt(2.0) + Side.BUY",
    "arguments = (now,)\nbuy(*arguments)",
    "import math as m\nx = m.sqrt(2.0)",
    "total = 0.0\nfor x in (1.0, 2.0):\n    total += x\nreturn",
    "try:\n    x = 1\nexcept ValueError as error:\n    y = error",
    "x = now.orders[1:]\ny = x[0].qty",
])
def test_names_that_exist_pass(body: str) -> None:
    assert message(body) == ""


def test_the_message_names_file_line_and_owner() -> None:
    assert message("x = 1\ny = now.p.fest").startswith("<source of 'x = 1\\ny = now.p.fest'>:3: example.decide: now.p")


def test_the_first_wrong_name_of_several_is_told() -> None:
    assert "'first'" in message("x = now.p.first\ny = now.p.second")


@pytest.mark.parametrize(("body", "path"), [
    ("now.bar.close = 1.0", "now.bar.close"), ("now.p.fast = 3", "now.p.fast"), ("now.fresh = True", "now.fresh"),
    ("now.fills[0] = 1", "now.fills[0]"), ("b = now.bar\nb.high += 1.0", "now.bar.high"),
])
def test_only_state_and_shared_can_be_written(body: str, path: str) -> None:
    assert f"{path} is written" in message(body)
    assert "only now.state and now.shared can be written" in message(body)


@pytest.mark.parametrize(("part", "what"), [("ind", "indicators"), ("prev", "indicators"), ("p", "parameters"),
                                            ("tag", "tags"), ("state", "state"), ("shared", "shared")])
def test_what_was_not_declared_is_said(part: str, what: str) -> None:
    with pytest.raises(ConfigError, match=f"now has no '{part}': nothing declares no {what}"):
        check_names(function_of(f"x = now.{part}.anything"), now_dtype(Nothing(), ()), owner="nothing.decide")


def test_a_helper_is_checked_with_what_it_is_handed() -> None:
    told = message("x = misspells(now.p)")
    assert "parameters has no 'fest'; did you mean 'fast'?" in told
    assert told.split(":")[0].endswith("test_source_check.py")
    assert message("x = misspells(3.0)") == ""


def test_every_slot_of_decide_all_is_checked() -> None:
    assert "nows[0] has no 'fres'; did you mean 'fresh'?" in message("x = nows[0].fres", "nows", RECORDS)
    assert "now.ind" not in message("for now in nows:\n    x = now.ind.average", "nows", RECORDS)
    assert "has no 'averge'" in message("for i, now in enumerate(nows):\n    x = now.ind.averge", "nows", RECORDS)
    assert "nows is an array" in message("x = nows.fresh", "nows", RECORDS)


def test_rules_and_slippage_models_are_checked_like_decisions() -> None:
    class Rule(RiskRule):
        name = "rule"
        most = Param(1.0, low=0.0)

        @staticmethod
        def check(order: Any) -> None:
            if order.quantity > order.p.most:
                refuse(order, order.qty, order.p.most)

    class Model(SlippageModel):
        name = "model"

        @staticmethod
        def price(fill: Any) -> float:
            return fill.reference + fill.bar.hgh  # type: ignore[no-any-return]

    with pytest.raises(ConfigError, match=r"rule\.check: order has no 'quantity'; it has: qty, reference, entry, stop, "
                                          "target, side, kind, position_qty"):
        check_names(Rule.check, shown_to_rule(check_dtype(Rule(), ()), layout.FAULT_RULE), owner="rule.check")
    with pytest.raises(ConfigError, match=r"model\.price: fill\.bar has no 'hgh'; did you mean 'high'\?"):
        check_names(Model.price, fill_dtype(Model()), owner="model.price")
    reduce(SimpleNamespace(allowed=1.0), 0.5, 1.0, 1.0)


@pytest.mark.parametrize("name", ["trail", "trail_after", "held_stop", "held_target", "partial_distance",
                                  "partial_share"])
def test_what_belongs_to_protection_is_nothing_that_check_can_read(name: str) -> None:
    """And `protect` is told of the first four, which are filled in for it; what `take_partial` writes, of nobody."""
    reads = function_of(f"x = order.{name} + order.nothing", "order")
    dtype = check_dtype(RiskRule(), ())
    with pytest.raises(ConfigError, match=f"order has no '{name}'"):
        check_names(reads, shown_to_rule(dtype, layout.FAULT_RULE), owner="rule.check")
    unknown = "nothing" if not name.startswith("partial") else name
    listed = "it has: reference, entry, stop, target, trail, trail_after, held_stop, held_target, side, kind"
    with pytest.raises(ConfigError, match=f"order has no '{unknown}'; {listed}"):
        check_names(reads, shown_to_rule(dtype, layout.FAULT_PROTECT), owner="rule.protect")


def test_a_function_without_source_is_skipped() -> None:
    scope: dict[str, Any] = {}
    exec("def decide(now):\n    now.nothing.of.this", scope)
    assert source_of(scope["decide"]) is None
    check_names(scope["decide"], DTYPE)
    check_names(math.sqrt, DTYPE)


def test_source_that_is_not_what_runs_is_skipped() -> None:
    function = function_of("x = now.bar.close")
    file = function.__code__.co_filename
    linecache.cache[file] = (1, None, ["def decide(now):\n", "    x = now.nothing\n"], file)
    check_names(function, DTYPE)


def test_a_misspelt_name_stops_a_run_before_it_begins() -> None:
    from framework.backtest.compose import Plan, compose
    from framework.data import load_tape
    from framework.rules import PercentOfEquity

    class Misspelt(Strategy):
        name = "misspelt"

        @staticmethod
        def decide(now: Now) -> None:
            if now.bar.clos > 1.0:
                sell(now)

    with pytest.raises(ConfigError, match=r"misspelt\.decide: now\.bar has no 'clos'; did you mean 'close'\?"):
        compose(load_tape("synthetic", {"bars": 5}, ["A"], "1d"), [Plan(Misspelt())], PercentOfEquity())


# --- what may differ, and what is read past the arguments -------------------------------------------------------------


@pytest.mark.parametrize(("body", "why"), [
    ("return now.bar.close ** 3", "a power"),
    ("return now.bar.close ** now.p.fast", "a power"),
    ("return np.exp(now.bar.close)", "a function of numpy"),
    ("return np.mean(now.state.recent)", "a function of numpy"),
    ("return now.state.recent.sum()", "a reduction"),
    ("return now.state.recent.std()", "a reduction"),
    ("return sum(now.state.recent)", "a sum"),
    ("return round(now.bar.close, 2)", "rounding to digits"),
    ("return now.state.recent @ now.state.recent", "a product of matrices"),
    ("return random.random()", "not a function of what is known"),
    ("return TABLE[0]", "TABLE (ndarray) is read past the arguments"),
    ("return MANY[0]", "MANY (tuple) is read past the arguments"),
])
def test_operations_that_may_differ_are_named_with_their_line(body: str, why: str) -> None:
    (found,) = [text for text in doubtful(function_of(body)) if why in text]
    assert "past the arguments" in why + found or "<source of" in found


@pytest.mark.parametrize("body", [
    "return now.bar.close * 2.0 / 3.0 + math.exp(1.0) + math.sqrt(2.0) + 2 ** 10",
    "return np.sqrt(now.bar.close) + np.abs(-1.0) + LEVELS[0] * SCALE",
    "return round(now.bar.close) + abs(now.bar.open) + max(1.0, 2.0)",
    "return uses_price(now)",
])
def test_operations_that_agree_are_not_named(body: str) -> None:
    assert doubtful(function_of(body)) == []


def test_data_behind_modules_classes_closures_defaults_and_helpers_is_found() -> None:
    class Holder:
        values = np.arange(3.0)

    kept = [1.0]

    def helper() -> float:
        return kept[0]

    def decide(now: Any, given: Any = TABLE) -> float:
        return helper() + Holder.values[0] + given[0] + SCALE + LEVELS[0]  # type: ignore[no-any-return]

    assert {name for name, _ in captured(decide)} == {"kept", "Holder.values", "given"}
    assert [function.__name__ for function in reached(decide)] == ["decide", "helper"]
    assert dict(outside(decide))["SCALE"] == 2.0
