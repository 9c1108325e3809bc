"""The audit: each fault that is planted is found and named, and an honest configuration has none."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framework
from framework.cli.app import run
from framework.errors import ConfigError
from framework.indicators import Bars, Expression, Indicator, sma
from framework.research.audit import neighbours, settles
from framework.research.subject import Subject
from framework.strategy import Now, Param, Strategy, buy, close_position
from framework.testing import synthetic_market
from tests.test_research_report import Page, sections

BARS = 700
TAPE = synthetic_market(BARS, ("AAA",), "1d", "trending", 3)
ANSWERS = TAPE.close.copy()
"""Closes that a cheat has seen."""


class Batch(Indicator[Any]):
    """An indicator whose column is a function of the whole array; its step answers the value itself."""

    def __init__(self, name: str, function: Any) -> None:
        def step(s: Any, window: Any, x: float) -> float:
            """Return the value itself."""
            return x

        step.__name__ = name
        self.function = function
        super().__init__(step, inputs=("x",), bar_inputs=(), parameters={}, outputs=(), state={}, lookback=lambda p: 0,
                         window=None, check=None, source="a cheat", cost="O(1)")

    def columns(self, parameters: Any, inputs: Any, bounds: Any = None) -> np.ndarray:
        """Return the function of the whole input, of each symbol's for several."""
        parts = pairwise([0, len(inputs[0])] if bounds is None else bounds.tolist())
        return np.concatenate([np.asarray(self.function(inputs[0][i:j]), np.float64) for i, j in parts]).reshape(1, -1)


def centred(close: np.ndarray) -> np.ndarray:
    """Return the mean of five bars around each."""
    return np.convolve(np.pad(close, 2, mode="edge"), np.full(5, 0.2), mode="valid")


def expanding(close: np.ndarray) -> np.ndarray:
    """Return the mean of all bars so far: causal, and never free of where the data begins."""
    return np.cumsum(close) / np.arange(1, close.size + 1)


def follows(function: Any) -> type[Strategy]:
    """Return a strategy that is long while the close is above one column."""

    class Follows(Strategy):
        """Long while the close is above a column."""

        name = "follows"

        def indicators(self, bars: Bars) -> dict[str, Expression]:
            return {"honest": sma(bars.close, 5), "planted": Batch(function.__name__, function)(bars.close)}

        @staticmethod
        def decide(now: Now) -> None:
            if now.position.qty == 0.0 and now.bar.close > now.ind.planted:
                buy(now)
            elif now.position.qty > 0.0 and now.bar.close < now.ind.planted:
                close_position(now)

    return Follows


class Knife(Strategy):
    """Buy and hold at one value of its parameter, trade at a loss at any other."""

    name = "knife"
    edge = Param(10, low=1, high=100)
    state = {"bars": 0}  # noqa: RUF012 - declared as an author would

    def indicators(self, bars: Bars) -> dict[str, Expression]:
        return {"mean": sma(bars.close, 20)}

    @staticmethod
    def decide(now: Now) -> None:
        now.state.bars += 1
        if now.position.qty == 0.0:
            buy(now)
        elif now.p.edge != 10 and now.state.bars % 2 == 0:
            close_position(now)


def rising() -> Any:
    """Return a market that rises nearly every day, so that holding it has a high ratio."""
    rng = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(0.001 + 0.002 * rng.standard_normal(300)))
    day = np.datetime64("2020-01-01") + np.arange(300)
    return {"time": day.astype("M8[us]").tolist(), "open": close, "high": close * 1.001, "low": close * 0.999,
            "close": close, "volume": np.full(300, 1e6)}


def names(found: framework.Audit) -> dict[str, list[str]]:
    """Return what each check found, by subject."""
    return {look.name: [one.subject for one in look.findings] for look in found.looks}


def test_an_honest_strategy_has_only_its_costs_to_fear() -> None:
    """Nothing sees the future, repaints or hangs on history."""
    found = framework.audit(data=TAPE, strategy="ma_cross", fees={"taker_bps": 2})
    told = names(found)
    assert told["look-ahead"] == told["repaint"] == told["history"] == []
    assert list(told) == ["look-ahead", "repaint", "history", "costs", "cliffs"]
    assert found.passed == (not found.findings)


def test_a_run_without_a_decision_has_nothing_to_audit() -> None:
    class Silent(Strategy):
        name = "silent"

    with pytest.raises(ConfigError, match="nothing to audit: silent never bought or sold"):
        framework.audit(data={"source": "synthetic", "bars": 100}, symbols=["A"], strategy=Silent)


def test_fills_that_see_the_volume_of_their_own_bar_are_found() -> None:
    found = framework.audit(data=TAPE, strategy="ma_cross", fees={"taker_bps": 2}, fills={"volume_basis": "bar"})
    assert names(found)["look-ahead"] == ["[fills] volume_basis"]


def test_a_centred_window_is_found_with_its_column_and_bar() -> None:
    """The planted column is named, the honest one beside it is not; decisions that follow from it are found too."""
    found = framework.audit(data=TAPE, strategy=follows(centred), fees={"taker_bps": 2})
    assert names(found)["look-ahead"] == ["follows.planted", "decisions"]
    column, decision = found["look-ahead"].findings
    assert "sees the future: on AAA (the data) at 2020-" in column.message
    assert "a decision depends on bars after 202" in decision.message
    assert not found.passed


def test_a_column_that_is_not_what_was_shown_repaints_and_hangs_on_history() -> None:
    """An expanding mean sees no future; its step shows another number; data that begins later never agrees."""
    told = names(framework.audit(data=TAPE, strategy=follows(expanding), fees={"taker_bps": 2}))
    assert told["look-ahead"] == []
    assert told["repaint"] == ["follows.planted"]
    assert told["history"] == ["follows.planted"]


def test_a_decision_that_reads_past_its_argument_is_found() -> None:
    """Truncated data would not show it: the array stays whole."""

    class Cheat(Strategy):
        """Long before a rise."""

        name = "cheat"
        state = {"bars": 0}  # noqa: RUF012 - declared as an author would

        @staticmethod
        def decide(now: Now) -> None:
            i = now.state.bars
            now.state.bars += 1
            if now.position.qty == 0.0 and i + 1 < 700 and ANSWERS[i + 1] > now.bar.close:
                buy(now)
            elif now.position.qty > 0.0 and i + 1 < 700 and ANSWERS[i + 1] < now.bar.close:
                close_position(now)

    found = framework.audit(data=TAPE, strategy=Cheat, fees={"taker_bps": 2}, interpreted=True)
    first, *_ = found["look-ahead"].findings
    assert first.subject == "cheat.decide"
    assert "reads ANSWERS (ndarray) past its argument" in first.message


def test_a_spike_among_its_neighbours_is_a_cliff() -> None:
    """At 10 it holds a rising market; at 9 and at 11 it trades every other bar and pays for it."""
    found = framework.audit(data=rising(), strategy=Knife, symbols=["X"], timeframe="1d", stamp="close",
                            fees={"taker_bps": 30})
    assert names(found)["cliffs"] == ["edge", "edge"]
    assert "edge = 9 in place of 10" in found["cliffs"].findings[0].message
    assert [one.get("edge") for one in found["cliffs"].figures] == [None, 9, 11]


@pytest.mark.parametrize(("bps", "told"), [(0.0, "nothing is paid"), (3.0, "at twice the costs"), (14.0, "take all")])
def test_what_costs_do_is_found(bps: float, told: str) -> None:
    """Trading every other bar of a rise of 0.1 % a day brings 1.28 % without costs; a basis point takes 0.28 %."""
    found = framework.audit(data=rising(), strategy=Knife, params={"edge": 50}, symbols=["X"], timeframe="1d",
                            stamp="close", fees={"taker_bps": bps})
    finding, = found["costs"].findings
    assert told in finding.message
    returns = [one["Return [%]"] for one in found["costs"].figures]
    assert returns == sorted(returns, reverse=True)


def test_costs_of_slippage_are_taken_away_and_multiplied() -> None:
    """10 bps of slippage alone: without it the result is that of no costs, with twice it that of 20 bps, nearly."""
    common: dict[str, Any] = {"data": rising(), "strategy": Knife, "params": {"edge": 50}, "symbols": ["X"],
                              "timeframe": "1d", "stamp": "close"}
    found = framework.audit(**common, slippage={"name": "fixed", "bps": 4.0})
    none, _, twice, _ = (one["Return [%]"] for one in found["costs"].figures)
    assert none == pytest.approx(framework.backtest(**common).stats["Return [%]"], rel=1e-12)
    double = framework.backtest(**common, slippage={"name": "fixed", "bps": 8.0}).stats["Return [%]"]
    assert twice == pytest.approx(double, abs=0.2)


def test_settling_is_counted_from_the_warm_up() -> None:
    """Of size 100, differences above 0.1 count: the last one, 0.2, is the third bar behind a warm-up of two."""
    full = np.array([np.nan, np.nan, 100.0, 100.0, 100.0, 100.0, 100.0])
    late = np.array([np.nan, np.nan, 104.0, 100.05, 100.2, 100.05, 100.0])
    assert settles(full, late, 2) == 3
    assert settles(full, full, 2) == 0
    assert settles(np.full(3, np.nan), np.full(3, np.nan), 0) == 0


def test_neighbours_are_a_tenth_away_and_inside_the_bounds() -> None:
    """10 has 9 and 11; a whole number steps at least 1; at the bound there is one side only."""
    from framework.backtest.api import settle

    def of(value: int) -> list[Any]:
        config, _ = settle(None, TAPE, Knife, {"params": {"edge": value}})
        return neighbours(Subject(config).targets["edge"])

    assert (of(10), of(50), of(1), of(100)) == ([9, 11], [45, 55], [2], [90])


def test_the_command_says_1_when_something_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without costs there is a finding; --json holds it; the folder too; bad input is 2."""
    path = tmp_path / "audit.toml"
    path.write_text('[data]\nsource = "synthetic"\nsymbols = ["A"]\ntimeframe = "1d"\nbars = 600\nseed = 4\n'
                    '[strategy]\nname = "ma_cross"\n', encoding="utf-8")
    assert run(["audit", str(path), "--json", "--out", str(tmp_path / "a")]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"] is False
    assert answer["run"] == str(tmp_path / "a")
    costs = next(one for one in answer["checks"] if one["check"] == "costs")
    assert "nothing is paid" in costs["findings"][0]["message"]
    assert json.loads((tmp_path / "a" / "audit.json").read_text(encoding="utf-8"))["findings"] == answer["findings"]
    page = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    checked = Page(page)
    assert (checked.open, checked.links) == ([], [])
    assert sections(page) == [*(one["check"] for one in answer["checks"]), "To do it again"]
    assert "nothing is paid for trading" in page
    assert run(["audit", str(path), "--out", str(tmp_path / "b"), "--no-report"]) == 1
    assert not (tmp_path / "b" / "report.html").exists()
    assert "FOUND costs" in capsys.readouterr().out
    assert run(["audit", str(path), "--set", "strategy.name=no_such"]) == 2
