"""Runs of the engine end to end: benchmark, taxes, regimes and exits arrive in the result and in the report."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import polars as pl
import pytest

import framework
from framework.backtest.report import report_html
from framework.errors import ConfigError, FrameworkError

CONFIG = tomllib.loads("""
[run]
capital = 100_000
[data]
source = "synthetic"
symbols = ["BTC", "ETH", "SOL", "XRP", "ADA"]
bars = 1500
[strategy]
name = "ema_cross"
params = { fast = 8, slow = 21, stop_atr = 2.5 }
[fees]
taker_bps = 10
[slippage]
name = "fixed"
bps = 5
[sizing]
name = "regime"
risk = 0.15
[risk.portfolio_heat]
max_heat = 0.30
[benchmark]
symbol = "ETH"
[tax]
mode = "india_crypto"
""")


@pytest.fixture(scope="module")
def result():
    return framework.backtest(CONFIG)


def test_regimes_of_the_sizing_rule_cover_the_bars_that_its_note_counts(result):
    bars = result.regimes.bars
    note = next(note for note in result.stats.footnotes if note.startswith("regime: of"))
    assert f"of {sum(bars.values())} bars" in note
    assert len(result.regimes.place) == 5 * 1500
    assert (result.regimes.place[:10] == -1).all()


def test_every_trade_began_in_a_known_regime_and_the_split_sums_to_the_closed_profit(result):
    shares = result.attribution()["regime"]
    assert {share.name for share in shares} <= {"compression", "normal", "expansion", "extreme"}
    assert sum(share.trades for share in shares) == len(result.trades) > 30
    assert sum(share.pnl for share in shares) == pytest.approx(result.trades["pnl"].sum())


def test_the_regime_of_an_entry_is_that_of_the_bar_its_order_was_placed_at(result):
    """Looked up by time instead: the last bar closed when the order of the trade's first fill was placed."""
    tape, fills = result.prices, result.records.fills
    placed = result.records.orders["placed_time"][np.searchsorted(result.records.orders["id"], fills["order_id"])]
    for row, trade in enumerate(result.records.trades):
        first = np.flatnonzero((fills["slot"] == trade["slot"]) & (fills["time"] == trade["entry_time"])
                               & (fills["side"] == trade["side"]))[0]
        low, high = tape.series[trade["symbol"]], tape.series[trade["symbol"] + 1]
        bar = low + np.searchsorted(tape.close_time[low:high], placed[first], "right") - 1
        assert result.entry_regimes[row] == result.regimes.place[bar]


def test_exits_add_up_to_what_was_entered_and_earn_the_closed_profit(result):
    value = (pl.col("qty") * pl.col("price")).sum().alias("value")
    sums = result.exits.group_by("trade").agg(pl.col("qty").sum(), value)
    trades = result.trades.sort("id").join(sums, left_on="id", right_on="trade", how="left", suffix="_out")
    assert np.allclose(trades["qty_out"], trades["qty"])
    sign = np.where(trades["side"] == "long", 1.0, -1.0)
    earned = sign * (trades["value"] - trades["qty"] * trades["entry_price"]) - trades["fees"]
    assert np.allclose(earned, trades["pnl"])


def test_the_benchmark_is_the_symbol_that_the_configuration_names(result):
    low, high = result.prices.series[1], result.prices.series[2]
    close = result.prices.close[low:high]
    assert result.stats["Buy & Hold Return [%]"] == pytest.approx(100.0 * (close[-1] / close[0] - 1.0))
    assert np.isfinite(result.stats["Beta"])


def test_holding_all_symbols_from_the_first_close_has_beta_one_and_no_alpha():
    """A run that is its own benchmark, but for the first bar: bought at the second open, held to the end."""
    class Hold(framework.Strategy):
        name = "hold"

        @staticmethod
        def decide(now):
            if now.position.qty == 0 and now.position.pending == 0:
                framework.buy(now, weight=1.0)

    run = framework.backtest(data="synthetic", symbols=["ONE"], strategy=Hold, account={"cash_buffer": 0.0})
    assert run.stats["Beta"] == pytest.approx(1.0, abs=0.02)
    assert run.stats["Alpha"] == pytest.approx(0.0, abs=0.02)


def test_taxes_are_those_of_the_winners_and_leave_the_run_alone(result):
    gains = result.trades["pnl"] + result.trades["fees"] - result.trades["cash_flows"]
    winners = gains.filter(gains > 0).sum()
    assert result.stats["Tax"] == pytest.approx(0.30 * winners)
    sold = result.fills.filter(pl.col("side") == "sell")
    assert sum(year.withheld for year in result.tax_years) == pytest.approx(0.01 * (sold["qty"] * sold["price"]).sum())
    untaxed = framework.backtest({**{name: value for name, value in CONFIG.items() if name != "tax"}})
    assert untaxed.equity.equals(result.equity)


def test_the_report_shows_regimes_refusals_and_what_is_left_after_tax(result):
    page = report_html(result)
    for part in ("<h2>Regimes</h2>", "<h2>Taxes</h2>", "<h2>Refusals", "After taxes", "Buy and hold, ETH", "expansion"):
        assert part in page, part


def test_a_finished_run_answers_that_it_is_done(tmp_path, capsys):
    from framework.cli import main

    path = tmp_path / "coins.toml"
    path.write_text('[data]\nsource = "synthetic"\nsymbols = ["BTC"]\n[strategy]\nname = "ema_cross"\n')
    assert main(["backtest", str(path), "--json", "--no-report", "--out", str(tmp_path / "run")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"] == "done"
    low, high = answer["intervals"]["Sharpe Ratio"]
    assert low < answer["stats"]["Sharpe Ratio"] < high
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "done"


def test_a_benchmark_that_the_data_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="ETX"):
        framework.backtest(data="synthetic", symbols=["ETH"], strategy="ema_cross", benchmark={"symbol": "ETX"})
    with pytest.raises(FrameworkError, match="AAPX"):
        framework.backtest(data="sample", strategy="ema_cross", benchmark={"symbol": "AAPX"})
