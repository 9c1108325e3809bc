"""The imbalance of the order book, rule by rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from framework_strategy_order_book import register_strategies
from framework_strategy_order_book.strategy import OrderBookImbalance

import framework
from framework import DataError, Instrument
from framework.data import BarSeries, build_tape
from framework.indicators import Bars, evaluate
from framework.model.enums import Side, Verb
from framework.testing import Decision, check_plugin, decide_once, synthetic_market


def look(imbalance: float, qty: float = 0.0, spread: float = 5.0, bars_held: int = 1, pending: float = 0.0,
         **params: Any) -> Decision:
    """Return what the strategy wants at an imbalance; the ATR is 3."""
    return decide_once(OrderBookImbalance(**params), ind={"imbalance": imbalance, "spread": spread, "atr": 3.0},
                       position={"qty": qty, "bars_held": bars_held, "pending": pending})


def test_an_imbalance_of_six_tenths_enters_with_the_heavier_side() -> None:
    (intent,) = look(0.6)
    assert (intent.verb, intent.side, intent.stop_offset) == (Verb.ORDER, Side.BUY, 6.0)  # 2 ATRs of 3
    (intent,) = look(-0.6)
    assert (intent.side, intent.stop_offset) == (Side.SELL, 6.0)
    assert look(-0.6, shorts=False) == ()
    for value in (0.59, 0.0, -0.59, np.nan):
        assert look(value) == ()
    assert look(0.6, pending=5.0) == ()


def test_no_entry_while_the_spread_is_wider_than_ten_basis_points() -> None:
    assert len(look(0.9, spread=10.0)) == 1
    assert look(0.9, spread=10.1) == ()
    assert look(0.9, spread=np.nan) == ()


def test_a_book_that_has_evened_out_closes_either_side() -> None:
    for qty, value in ((5.0, 0.0), (5.0, -0.9), (-5.0, 0.0), (-5.0, 0.9)):
        assert [intent.verb for intent in look(value, qty)] == [Verb.CLOSE]
    for qty, value in ((5.0, 0.01), (-5.0, -0.01)):
        assert look(value, qty) == ()
    assert [intent.verb for intent in look(0.2, 5.0, leave=0.2)] == [Verb.CLOSE]


def test_ten_bars_are_the_longest_that_a_position_is_held() -> None:
    assert look(0.9, 5.0, bars_held=9) == ()
    assert [intent.verb for intent in look(0.9, 5.0, bars_held=10)] == [Verb.CLOSE]


def test_the_imbalance_adds_up_five_levels_of_each_side() -> None:
    """Bids 100, 90, 80, 70, 60 are 400, asks 20 each are 100: 300 / 500 = 0.6; two levels: 150 / 230."""
    sizes = {f"bid_size_{level}": [110.0 - 10 * level] * 3 for level in range(1, 6)}
    sizes |= {f"ask_size_{level}": [20.0] * 3 for level in range(1, 6)}
    prices = {f"bid_{level}": [100.0 - level] * 3 for level in range(1, 6)}
    prices |= {f"ask_{level}": [100.0 + level] * 3 for level in range(1, 6)}
    opens = np.arange(3) * 60_000_000_000
    flat = np.full(3, 100.0)
    series = BarSeries(Instrument("A"), "1m", opens, opens + 60_000_000_000, flat, flat, flat, flat, flat,
                       book={**prices, **sizes})
    tape = build_tape([series])
    for levels, expected in ((5, 0.6), (2, 150.0 / 230.0)):
        column = evaluate(OrderBookImbalance(levels=levels).indicators(Bars())["imbalance"], tape, 0)
        assert column.tolist() == pytest.approx([expected] * 3)
    spread = evaluate(OrderBookImbalance().indicators(Bars())["spread"], tape, 0)
    assert spread.tolist() == [200.0] * 3  # 2 of 100


def test_data_without_a_book_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="order_book_imbalance: an indicator reads bid_size_1 of AAA"):
        framework.backtest(data=synthetic_market(100), strategy="order_book_imbalance")
    with pytest.raises(DataError, match="bid_size_4 of AAA.*3 levels"):
        framework.backtest(data=synthetic_market(100, levels=3), strategy="order_book_imbalance")


def test_it_earns_where_the_book_tells_and_pays_its_costs_where_it_does_not() -> None:
    """Half of the next bar is told by the book in one market, nothing in the other."""
    data = {"source": "synthetic", "symbols": ["A"], "timeframe": "5m", "bars": 3_000, "levels": 5, "seed": 3}
    told, silent = (framework.backtest(data={**data, "book_signal": signal}, strategy="order_book_imbalance",
                                       fees={"taker_bps": 1}).stats for signal in (0.5, 0.0))
    assert told["Return [%]"] > 5.0
    assert silent["Return [%]"] < 0.0
    assert told["# Trades"] > 100


def test_the_package_registers_it() -> None:
    assert [cls.name for cls in register_strategies()] == ["order_book_imbalance"]


def test_it_passes_the_conformance_kit() -> None:
    report = check_plugin(OrderBookImbalance)
    assert report.passed, str(report)
