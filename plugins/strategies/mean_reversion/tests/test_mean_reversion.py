"""Bollinger, z-score and RSI, rule by rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from framework_strategy_mean_reversion import register_strategies
from framework_strategy_mean_reversion.reversion import BollingerReversion, RsiReversion, ZscoreReversion

from framework import Strategy
from framework.indicators import Bars
from framework.model.enums import Side, Verb
from framework.testing import Decision, check_plugin, decide_once

BANDS = {"upper": 110.0, "middle": 100.0, "lower": 90.0}


def touch(low: float, high: float, close: float, qty: float = 0.0, **params: Any) -> Decision:
    """Return what bollinger wants after a bar between bands at 90, 100 and 110."""
    return decide_once(BollingerReversion(**params), bar={"low": low, "high": high, "close": close}, ind=BANDS,
                       position={"qty": qty})


def test_a_touch_of_the_lower_band_buys_with_a_stop_of_2_and_a_target_of_3_percent() -> None:
    (intent,) = touch(90.0, 99.0, 95.0)
    assert (intent.verb, intent.side) == (Verb.ORDER, Side.BUY)
    assert (intent.stop_offset, intent.target_offset) == (1.9, 2.85)  # 2 % and 3 % of 95


def test_a_touch_of_the_upper_band_sells() -> None:
    (intent,) = touch(101.0, 110.0, 105.0)
    assert (intent.side, intent.stop_offset, intent.target_offset) == (Side.SELL, 2.1, 3.15)
    assert touch(101.0, 110.0, 105.0, shorts=False) == ()


@pytest.mark.parametrize("bar", [
    (90.1, 99.0, 95.0),  # no touch
    (90.0, 101.0, 100.0),  # back at the middle already
    (101.0, 109.9, 105.0),
    (99.0, 110.0, 100.0),
])
def test_no_entry_without_a_touch_or_when_the_way_back_is_done(bar: tuple[float, float, float]) -> None:
    assert touch(*bar) == ()


def test_a_bar_that_touches_both_bands_counts_for_the_side_of_its_close() -> None:
    assert touch(89.0, 111.0, 95.0)[0].side == Side.BUY
    assert touch(89.0, 111.0, 105.0)[0].side == Side.SELL


def test_the_middle_band_closes_either_side() -> None:
    assert [intent.verb for intent in touch(99.0, 101.0, 100.0, 5.0)] == [Verb.CLOSE]
    assert [intent.verb for intent in touch(99.0, 101.0, 100.0, -5.0)] == [Verb.CLOSE]
    assert touch(89.0, 99.0, 99.9, 5.0) == ()
    assert touch(100.0, 111.0, 100.1, -5.0) == ()


def stretched(z: float, qty: float = 0.0, pending: float = 0.0, **params: Any) -> Decision:
    """Return what zscore wants at a distance of z; the ATR is 2."""
    return decide_once(ZscoreReversion(**params), ind={"z": z, "atr": 2.0}, position={"qty": qty, "pending": pending})


def test_two_deviations_from_the_mean_enter_against_them() -> None:
    (intent,) = stretched(-2.0)
    assert (intent.side, intent.stop_offset, intent.target_offset) == (Side.BUY, 8.0, None)  # 4 ATRs of 2
    (intent,) = stretched(2.0)
    assert (intent.side, intent.stop_offset) == (Side.SELL, 8.0)
    assert stretched(2.0, shorts=False) == ()
    for z in (-1.99, 0.0, 1.99, np.nan):
        assert stretched(z) == ()
    assert stretched(-2.0, pending=5.0) == ()


def test_half_a_deviation_from_the_mean_closes() -> None:
    for qty, z in ((5.0, -0.5), (5.0, 3.0), (-5.0, 0.5), (-5.0, -3.0)):
        assert [intent.verb for intent in stretched(z, qty)] == [Verb.CLOSE]
    for qty, z in ((5.0, -0.51), (-5.0, 0.51), (5.0, np.nan)):
        assert stretched(z, qty) == ()


def swing(rsi: float, qty: float = 0.0, **params: Any) -> Decision:
    """Return what rsi wants; the ATR is 2."""
    return decide_once(RsiReversion(**params), ind={"rsi": rsi, "atr": 2.0}, position={"qty": qty})


def test_an_rsi_below_30_buys_and_above_70_sells() -> None:
    (intent,) = swing(29.9)
    assert (intent.side, intent.stop_offset) == (Side.BUY, 6.0)
    (intent,) = swing(70.1)
    assert (intent.side, intent.stop_offset) == (Side.SELL, 6.0)
    assert swing(70.1, shorts=False) == ()
    for rsi in (30.0, 50.0, 70.0, np.nan):
        assert swing(rsi) == ()


def test_an_rsi_of_50_closes_either_side() -> None:
    for qty in (5.0, -5.0):
        assert [intent.verb for intent in swing(50.0, qty)] == [Verb.CLOSE]
    assert swing(49.9, 5.0) == ()
    assert swing(50.1, -5.0) == ()
    assert [intent.verb for intent in swing(41.0, -5.0, leave=60.0)] == []
    assert [intent.verb for intent in swing(40.0, -5.0, leave=60.0)] == [Verb.CLOSE]


def test_each_looks_at_the_lengths_that_its_rule_names() -> None:
    read = [", ".join(map(repr, cls().indicators(Bars()).values())) for cls in register_strategies()]
    assert read == [", ".join(f"bollinger(close, 20, 2).{band}" for band in ("upper", "middle", "lower")),
                    "zscore(close, 20), atr(bars, 14)", "rsi(close, 14), atr(bars, 14)"]


def test_the_package_registers_them() -> None:
    assert [cls.name for cls in register_strategies()] == ["bollinger", "zscore", "rsi"]


@pytest.mark.parametrize("cls", register_strategies(), ids=lambda cls: cls.name)
def test_every_strategy_passes_the_conformance_kit(cls: type[Strategy]) -> None:
    report = check_plugin(cls)
    assert report.passed, str(report)
