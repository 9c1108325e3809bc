"""The instrument: its defaults and what it refuses."""

import pytest

from framework.errors import ConfigError
from framework.model import Instrument


def test_a_coin_trades_in_small_fractions_and_a_share_in_whole_ones():
    assert Instrument("BTCUSDT").lot == 1e-8
    assert Instrument("AAPL", exchange="XNYS").lot == 1.0
    assert Instrument("AAPL", exchange="XNYS", lot=0.001).lot == 0.001


def test_by_default_there_is_no_tick_and_no_minimum():
    coin = Instrument("BTCUSDT")
    assert (coin.tick, coin.min_qty, coin.min_notional, coin.multiplier, coin.currency) == (0.0, 0.0, 0.0, 1.0, "USD")
    assert not coin.is_adjusted


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lot", 0),
        ("lot", -1.0),
        ("multiplier", 0.0),
        ("tick", -0.01),
        ("min_qty", float("nan")),
        ("tick", float("inf")),
        ("min_notional", "10"),
        ("lot", True),
        ("currency", ""),
        ("exchange", " XNYS"),
        ("exchange", 5),
        ("is_adjusted", 1),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=rf"{field} = .*rule: "):
        Instrument("AAPL", **{field: value})


@pytest.mark.parametrize("symbol", ["", "  ", 5, None])
def test_a_symbol_is_a_text(symbol):
    with pytest.raises(ConfigError, match="symbol = "):
        Instrument(symbol)


def test_adjusted_prices_have_no_tick():
    with pytest.raises(ConfigError, match="lie on no grid"):
        Instrument("AAPL", is_adjusted=True, tick=0.01)


def test_equal_instruments_compare_equal_and_hash_alike():
    assert Instrument("A") == Instrument("A")
    assert hash(Instrument("A")) == hash(Instrument("A"))
    assert Instrument("A") != Instrument("A", tick=0.01)
