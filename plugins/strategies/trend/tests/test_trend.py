"""The package as a whole: what it registers, and the conformance kit over all of it."""

from __future__ import annotations

import pytest
from framework_strategy_trend import register_strategies

from framework import Strategy
from framework.indicators import Bars
from framework.testing import check_plugin


def test_the_package_registers_them() -> None:
    assert [cls.name for cls in register_strategies()] == [
        "ma_cross", "ema_cross", "trend_following", "momentum", "momentum_scalper", "range_breakout", "quick_flip",
        "supertrend"]  # fmt: skip


@pytest.mark.parametrize(("name", "read"), [
    ("ma_cross", "sma(close, 20), sma(close, 50)"),
    ("ema_cross", "ema(close, 12), ema(close, 26), atr(bars, 14)"),
    ("trend_following", "ema(close, 9), ema(close, 21), ema(close, 50), adx(bars, 14).adx"),
    ("momentum", "rsi(close, 14), macd(close, 12, 26, 9).histogram, adx(bars, 14).adx, atr(bars, 14)"),
    ("momentum_scalper", "ema(close, 9), ema(close, 21), adx(bars, 14).adx, macd(close, 12, 26, 9).histogram, "
                         "atr(bars, 14), bar_number(bars)"),
    ("range_breakout", "close, highest(high, 20).shift(1), lowest(low, 20).shift(1), atr(bars, 14), "
                       "atr(bars, 14).shift(4), sma(volume, 20), ema(close, 50), adx(bars, 14).adx"),
    ("quick_flip", "highest(high, 20).shift(1), lowest(low, 20).shift(1), atr(bars, 14), (close - open)"),
    ("supertrend", "supertrend(bars, 10, 3).line, supertrend(bars, 10, 3).direction"),
])
def test_each_looks_at_the_lengths_that_its_rule_names(name: str, read: str) -> None:
    (cls,) = [cls for cls in register_strategies() if cls.name == name]
    assert ", ".join(map(repr, cls().indicators(Bars()).values())) == read


@pytest.mark.parametrize("cls", register_strategies(), ids=lambda cls: cls.name)
def test_every_strategy_passes_the_conformance_kit(cls: type[Strategy]) -> None:
    report = check_plugin(cls)
    assert report.passed, str(report)
