"""Slippage models that declare indicators: read at the last closed bar of the fill's symbol, compiled or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import framework
from framework import Param, SlippageModel
from framework.boundary.jit import JIT
from framework.errors import ConfigError
from framework.indicators import Bars, Expression, roc, sma
from framework.testing import check_plugin

pytestmark = pytest.mark.kernels


class Drifting(SlippageModel):
    """A tenth of the last close's distance from its average, and of the other symbol's last change."""

    name = "drifting_of_this_test"
    length = Param(5, low=2, high=50)

    def indicators(self, bars: Bars) -> dict[str, Expression]:
        return {"average": sma(bars.close, self.length), "close": bars.close, "other": roc(bars.symbol("BBB").close, 1)}

    @staticmethod
    def price(fill: Any) -> float:
        far = abs(fill.ind.close / fill.ind.average - 1.0) + abs(fill.ind.other) / 100.0
        return fill.reference * (1.0 + (0.1 if fill.qty > 0 else -0.1) * far)  # type: ignore[no-any-return]


def run(**settings: Any) -> Any:
    """Return a run over two symbols."""
    return framework.backtest(data={"source": "synthetic", "bars": 250, "symbols": ["AAA", "BBB"], "seed": 4},
                              strategy="ma_cross", params={"fast": 12, "slow": 24}, **settings)


@pytest.mark.parametrize("interpreted", [False, True])
def test_every_fill_is_priced_by_the_last_closed_bar_of_its_symbol(interpreted: bool) -> None:
    result = run(slippage=Drifting(length=7), interpreted=interpreted)
    tape, rows = result.prices, result.records.fills
    assert set(rows["symbol"]) == {0, 1}
    for row in rows:
        of = tape.rows(int(row["symbol"]))
        last = int(np.searchsorted(tape.open_time[of], row["time"]))
        closes, others = tape.close[of][:last], tape.close[tape.rows(1)][:last]
        far = abs(closes[-1] / np.mean(closes[-7:]) - 1.0) + abs(others[-1] / others[-2] - 1.0)
        assert row["price"] == pytest.approx(row["reference"] * (1.0 + 0.1 * row["side"] * far), rel=1e-12)


@pytest.mark.skipif(not JIT, reason="the whole kit takes a minute without the compiler")
def test_a_model_with_indicators_passes_the_kit_when_it_minds_what_is_not_known_yet() -> None:
    def price(fill: Any) -> float:
        average = fill.ind.average if fill.ind.average > 0.0 else fill.reference
        return fill.reference + (1e-3 if fill.qty > 0 else -1e-3) * min(average, fill.reference)  # type: ignore[no-any-return]

    members = {"__doc__": "Minds it.", "name": "minding", "price": staticmethod(price),
               "indicators": lambda self, bars: {"average": sma(bars.close, 9)}}
    report = check_plugin(type("Minding", (SlippageModel,), members))
    assert report.passed, str(report)
    names = [check.name for check in report.checks]
    assert {"indicators do not see the future", "batch indicators equal incremental ones"} <= set(names)


def test_a_model_that_takes_what_is_not_known_yet_for_a_number_is_caught() -> None:
    report = check_plugin(type("Careless", (Drifting,), {"__doc__": "Careless.", "name": "careless"}))
    (failed,) = [check for check in report.failures if check.name == "prices are finite and above zero"]
    assert "gets nan with {'length': 5}" in failed.message


def test_a_name_that_is_not_declared_is_told_with_the_nearest_one() -> None:
    class Misspelt(Drifting):
        """Misspelt."""

        name = "misspelt_of_this_test"

        @staticmethod
        def price(fill: Any) -> float:
            return fill.ind.averge  # type: ignore[no-any-return]

    with pytest.raises(ConfigError, match="did you mean 'average'"):
        run(slippage=Misspelt())
