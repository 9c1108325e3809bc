"""The moving-average crosses, decision by decision."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from framework_strategy_trend.crosses import EmaCross, MaCross

from framework.indicators import Bars
from framework.model.enums import Side, Verb
from framework.model.records import UNSET


def decided(strategy: Any, qty: float, now: tuple[float, float], before: tuple[float, float]) -> list[Any]:
    """Return the intents of one decision; the pairs are (fast, slow), the close is 100 and the ATR 3."""
    view = SimpleNamespace(
        position=SimpleNamespace(qty=qty),
        ind=SimpleNamespace(fast=now[0], slow=now[1], atr=3.0),
        prev=SimpleNamespace(fast=before[0], slow=before[1]),
        bar=SimpleNamespace(close=100.0),
        p=SimpleNamespace(stop_atr=2.0),
        intents=[SimpleNamespace() for _ in range(4)],
        intent_count=0,
    )
    strategy.decide(view)
    return view.intents[: view.intent_count]


@pytest.mark.parametrize("strategy", [MaCross, EmaCross])
def test_the_cross_upwards_buys(strategy: Any) -> None:
    (intent,) = decided(strategy, 0.0, (11.0, 10.0), (10.0, 10.0))
    assert (intent.verb, intent.side) == (Verb.ORDER, Side.BUY)


def test_the_stop_of_ema_cross_is_two_atrs_below_the_close_and_ma_cross_has_none() -> None:
    assert decided(EmaCross, 0.0, (11.0, 10.0), (9.0, 10.0))[0].stop == 94.0  # 100 - 2 * 3
    assert decided(MaCross, 0.0, (11.0, 10.0), (9.0, 10.0))[0].stop == UNSET


@pytest.mark.parametrize("strategy", [MaCross, EmaCross])
@pytest.mark.parametrize(
    ("qty", "now", "before"),
    [
        (0.0, (12.0, 10.0), (11.0, 10.0)),  # above already
        (0.0, (9.0, 10.0), (11.0, 10.0)),  # downwards, without a position
        (5.0, (11.0, 10.0), (9.0, 10.0)),  # upwards, with a position
        (0.0, (10.0, 10.0), (9.0, 10.0)),  # touches only
    ],
)
def test_nothing_else_is_no_view(strategy: Any, qty: float, now: tuple[float, float],
                                 before: tuple[float, float]) -> None:
    assert decided(strategy, qty, now, before) == []


@pytest.mark.parametrize("strategy", [MaCross, EmaCross])
def test_the_cross_downwards_closes(strategy: Any) -> None:
    (intent,) = decided(strategy, 5.0, (9.0, 10.0), (11.0, 10.0))
    assert intent.verb == Verb.CLOSE


def test_only_ema_cross_closes_while_the_fast_average_stays_below() -> None:
    assert [intent.verb for intent in decided(EmaCross, 5.0, (8.0, 10.0), (9.0, 10.0))] == [Verb.CLOSE]
    assert decided(MaCross, 5.0, (8.0, 10.0), (9.0, 10.0)) == []


def test_they_declare_the_averages_that_they_read() -> None:
    assert set(MaCross().indicators(Bars())) == {"fast", "slow"}
    assert set(EmaCross().indicators(Bars())) == {"fast", "slow", "atr"}
