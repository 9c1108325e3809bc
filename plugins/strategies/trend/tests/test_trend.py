"""The package as a whole: what it registers, and the conformance kit over all of it."""

from __future__ import annotations

import pytest
from framework_strategy_trend import register_strategies

from framework import Strategy
from framework.testing import check_plugin


def test_the_package_registers_them() -> None:
    assert [cls.name for cls in register_strategies()] == [
        "ma_cross", "ema_cross", "trend_following", "momentum", "momentum_scalper", "range_breakout", "quick_flip",
        "supertrend"]  # fmt: skip


@pytest.mark.parametrize("cls", register_strategies(), ids=lambda cls: cls.name)
def test_every_strategy_passes_the_conformance_kit(cls: type[Strategy]) -> None:
    report = check_plugin(cls)
    assert report.passed, str(report)
