"""Which fills made a trade, worked by hand: partial exits, flips, several slots, and what is still open."""

from __future__ import annotations

import numpy as np

from framework.backtest.round_trips import entry_bars, exits
from framework.model.enums import Role
from framework.model.records import FILL, TRADE
from tests.sample_result import sample_result


def fills_of(*rows: tuple[int, int, float, float]) -> np.ndarray:
    """Return fills given as (slot, side, qty, position after), one a bar, each with a fee of 1 and slippage of 0.5."""
    table = np.zeros(len(rows), FILL)
    for name, values in zip(("slot", "side", "qty", "position"), zip(*rows, strict=True), strict=True):
        table[name] = values
    table["id"] = table["bar"] = table["time"] = np.arange(1, len(rows) + 1)
    table["fee"], table["slippage"] = 1.0, 0.5
    return table


def trades_of(*slots: int) -> np.ndarray:
    table = np.zeros(len(slots), TRADE)
    table["slot"], table["id"] = slots, np.arange(1, len(slots) + 1)
    return table


def test_the_exits_of_a_trade_are_the_fills_that_reduced_it():
    # buys 10, adds 5, sells 5, sells the last 10
    fills = fills_of((0, 1, 10, 10), (0, 1, 5, 15), (0, -1, 5, 10), (0, -1, 10, 0))
    trade, found = exits(fills, trades_of(0))
    assert trade.tolist() == [0, 0]
    assert found["id"].tolist() == [3, 4]
    assert entry_bars(fills, trades_of(0)).tolist() == [1]


def test_a_flip_closes_with_what_was_held_and_begins_the_next_trade():
    # long 10; sells 16: closes 10 of them, short 6; buys 6 back
    fills = fills_of((0, 1, 10, 10), (0, -1, 16, -6), (0, 1, 6, 0))
    trade, found = exits(fills, trades_of(0, 0))
    assert trade.tolist() == [0, 1]
    assert found["qty"].tolist() == [10.0, 6.0]
    assert found["fee"].tolist() == [0.625, 1.0]  # 10 / 16
    assert found["slippage"].tolist() == [0.3125, 0.5]
    assert entry_bars(fills, trades_of(0, 0)).tolist() == [1, 2]


def test_slots_do_not_mix_and_open_trades_have_no_exits():
    fills = fills_of((1, 1, 5, 5), (0, -1, 3, -3), (1, -1, 2, 3), (0, 1, 3, 0), (0, 1, 4, 4), (1, -1, 3, 0),
                     (0, -1, 1, 3))
    # slot 0: a short trade of fills 2 and 4, then an open one of 5 and 7; slot 1: fills 1, 3 and 6
    trades = trades_of(0, 1)
    trade, found = exits(fills, trades)
    assert [(int(t), int(i)) for t, i in zip(trade, found["id"], strict=True)] == [(0, 4), (1, 3), (1, 6)]
    assert entry_bars(fills, trades).tolist() == [2, 1]


def test_no_fills_or_no_trades_make_no_exits():
    assert len(exits(np.empty(0, FILL), trades_of(0))[0]) == 0
    assert len(exits(fills_of((0, 1, 1, 1)), trades_of())[1]) == 0
    assert entry_bars(np.empty(0, FILL), trades_of(0)).tolist() == [-1]


def test_a_result_lists_exits_with_the_id_of_their_trade_and_their_reason():
    run = sample_result(bars=300, per_slot=20)
    assert run.exits["trade"].to_list() == run.trades["id"].to_list()
    assert run.exits["reason"].to_list() == run.trades["exit_reason"].to_list()
    assert run.exits["qty"].to_list() == run.trades["qty"].to_list()
    assert set(run.exits["reason"]) <= {role.name.lower() for role in Role}


def test_exits_of_a_real_run_add_up_to_what_was_entered():
    import framework

    run = framework.backtest(data="synthetic", strategy="ema_cross", symbols=["A", "B"], params={"fast": 5})
    assert len(run.exits) >= len(run.trades) > 5
    sums = run.exits.select("trade", "qty").group_by("trade").sum().sort("trade")
    trades = run.trades.sort("id")
    assert sums["trade"].to_list() == trades["id"].to_list()
    assert np.allclose(sums["qty"].to_numpy(), trades["qty"].to_numpy())
