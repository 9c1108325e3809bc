"""Symbols named by their places among those of a strategy, whatever they are called and whoever else runs beside."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import framework
from framework import ConfigError, Now, Param, Strategy, Train, buy, close_position
from framework.backtest.compose import Plan, declared_by, plan_slots, symbols_named
from framework.data import Tape
from framework.indicators import Bars, ColumnCache, Condition, Expression, ema, evaluate, sma
from framework.testing import check_plugin, synthetic_market

BARS = Bars()


class Follower(Strategy):
    """Hold a symbol while the first of the strategy's symbols is above its average."""

    name = "follower_by_place"
    length = Param(10, low=2, high=100)

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the distance of the first symbol from its average, and the second's close."""
        leader = bars.symbol(0)
        return {"lead": leader.close - sma(leader.close, self.length), "second": bars.symbol(1).close}

    def wake(self, bars: Bars) -> Mapping[str, Condition]:
        """Ask where the first symbol is on the other side."""
        lead = self.indicators(bars)["lead"]
        return {"flat": lead > 0.0, "held": lead < 0.0}

    @staticmethod
    def decide(now: Now) -> None:
        """Follow."""
        if now.position.qty == 0.0 and now.ind.lead > 0.0:
            buy(now)
        elif now.position.qty > 0.0 and now.ind.lead < 0.0:
            close_position(now)


@pytest.fixture(scope="module")
def tape() -> Tape:
    """Four symbols."""
    return synthetic_market(150, ("AAA", "BBB", "CCC", "DDD"))


def test_a_place_is_a_symbol_of_the_strategy_in_the_order_of_the_run(tape: Tape) -> None:
    """Of BBB and DDD the second is DDD, however the configuration lists them."""
    plan = Plan(Follower(), ("DDD", "BBB"))
    assert symbols_named(plan, tape) == ("BBB", "DDD")
    cache = ColumnCache()
    plan_slots(tape, [plan], [declared_by(plan, tape)], cache)
    found = {repr(key[-1]) for key in cache._entries if isinstance(key, tuple)}
    assert "DDD:close" in found
    assert "(BBB:close - sma(BBB:close, 10))" in found
    assert not any("#" in text for text in found)


def test_a_place_gives_what_the_name_gives(tape: Tape) -> None:
    """Of prices, indicators and longer bars."""
    by_place, by_name = Bars(symbols=("BBB", "DDD")), BARS
    for pick in (lambda bars: bars.close, lambda bars: ema(bars.timeframe("2d").close, 5)):
        assert pick(by_place.symbol(1)) == pick(by_name.symbol("DDD"))
    assert by_place.timeframe("2d").symbol(0).close == by_name.timeframe("2d").symbol("BBB").close
    unknown = evaluate(BARS.symbol(2).close, tape, 0)  # where no strategy says otherwise, of the run
    assert np.array_equal(unknown, evaluate(BARS.symbol("CCC").close, tape, 0), equal_nan=True)


def test_a_run_over_some_symbols_does_what_a_run_with_their_names_does(tape: Tape) -> None:
    """The first of BBB and DDD leads, not the first of the run."""

    class Named(Follower):
        """The same with names."""

        name = "follower_by_name"

        def indicators(self, bars: Bars) -> Mapping[str, Expression]:
            leader = bars.symbol("BBB")
            return {"lead": leader.close - sma(leader.close, self.length), "second": bars.symbol("DDD").close}

    for cls in (Follower, Named):
        framework.backtest(data=tape, strategy=cls)
    one, other = (framework.backtest(data=tape, strategy={"name": name, "symbols": ["BBB", "DDD"]})
                  for name in ("follower_by_place", "follower_by_name"))
    assert one.fills.drop("strategy").equals(other.fills.drop("strategy"))
    assert one.fills.height > 4
    search = framework.optimize(data=tape, strategy={"name": "follower_by_place", "symbols": ["BBB", "DDD"]},
                                space={"length": [10, 20]}, executor="local", workers=1)
    assert search.outcomes[0].error == ""
    assert search.outcomes[0].values is not None


def test_training_reads_places_as_decisions_do(tape: Tape) -> None:
    """The second of CCC and DDD."""
    train = Train(Follower(), tape, ("CCC", "DDD"), None, int(tape.close_time.max()) + 1, 1)
    second = train.columns("CCC")["second"]
    assert np.array_equal(second, evaluate(BARS.symbol("DDD").close, tape, 2), equal_nan=True)


def test_the_conformance_kit_hands_it_as_many_symbols_as_it_names() -> None:
    """A strategy that reads its second symbol passes."""
    report = check_plugin(Follower)
    assert report.passed, str(report)
    assert "names others by their places" in str(report)


def test_places_that_are_not_there_are_refused_before_the_run(tape: Tape) -> None:
    """With how many there are, and which."""
    with pytest.raises(ConfigError, match=r"symbol\(1\).*there are 1: CCC"):
        declared_by(Plan(Follower(), ("CCC",)), tape)
    with pytest.raises(ConfigError, match=r"symbol\(-1\)"):
        BARS.symbol(-1)
    with pytest.raises(ConfigError, match=r"symbol\(9\).*there are 4: AAA, BBB, CCC, DDD"):
        evaluate(BARS.symbol(9).close, tape, 0)
    with pytest.raises(ConfigError, match='a text such as "MSFT", or a place'):
        BARS.symbol(True)
