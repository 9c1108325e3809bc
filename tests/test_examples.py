"""Every example runs as its head says, trades, and leaves a report; shortened where the data are long."""

from __future__ import annotations

import json
import runpy
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from framework import Train, plugins
from framework.cli import main
from framework.data import load_tape

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))
NEEDS_CANDLES = "five_coins"
SHORTER: dict[str, tuple[str, ...]] = {
    "intraday": ("--set", "data.bars=4_000"),
    "order_book": (),
    "rotation": (),
    "us_stocks": ("--set", "run.end=2007-12-31"),
}
"""What shortens an example; the others trade 2005 and 2006 of their years."""


def backtest(example: Path, folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """Run `framework backtest` on an example and return its answer; the run's folder is `folder`/out."""
    code = main(["backtest", str(example), "--json", "--out", str(folder / "out"), *options])
    told = capsys.readouterr()
    assert code == 0, told.err
    answer: dict[str, Any] = json.loads(told.out)
    return answer


def trades_of(folder: Path) -> pl.DataFrame:
    """Return the trades that a run wrote, after a look at its report."""
    report = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "</html>" in report
    return pl.read_parquet(folder / "out" / "trades.parquet")


def write_candles(folder: Path, symbols: list[str]) -> None:
    """Write what a vendor of candles sends: one file a coin with the open time in milliseconds."""
    tape = load_tape("synthetic", {"bars": 900, "seed": 11, "volatility": 0.7, "drift": 0.6}, symbols, "1d")
    folder.mkdir()
    for number, symbol in enumerate(symbols):
        rows = tape.rows(number)
        pl.DataFrame({"open_time": tape.open_time[rows] // 1_000_000,
                      **{name: getattr(tape, name)[rows] for name in ("open", "high", "low", "close", "volume")},
                      }).write_csv(folder / f"{symbol}.csv")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_head_of_an_example_says_how_to_run_it(example: Path) -> None:
    """By the command that the tests below give."""
    assert f"\n# framework backtest examples/{example.name}\n" in example.read_text(encoding="utf-8")


@pytest.mark.parametrize("example", [path for path in EXAMPLES if path.stem != NEEDS_CANDLES],
                         ids=lambda path: path.stem)
def test_an_example_trades_and_leaves_a_report(example: Path, tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    """At least five round trips, with money won or lost in them."""
    shorter = SHORTER.get(example.stem, ("--set", "run.end=2006-12-31"))
    answer = backtest(example, tmp_path, capsys, *shorter)
    assert answer["trades"] >= 5
    trades = trades_of(tmp_path)
    assert trades.height == answer["trades"]
    assert (trades["pnl"] != 0.0).any()


def test_every_installed_strategy_of_the_house_has_an_example() -> None:
    """By name, in the file that its users copy."""
    shown = set()
    for path in EXAMPLES:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))["strategy"]
        shown |= {section["name"] for section in (sections if isinstance(sections, list) else [sections])}
    of_the_house = {row.name for row in plugins.registry().listed()
                    if row.kind == "strategy" and row.distribution.startswith("trading-framework-strategy-")}
    assert len(of_the_house) >= 16
    assert of_the_house <= shown


def test_the_five_coins_run_on_candles_of_a_vendor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Risk, heat, drawdown and tax bite: the report tells regimes, refusals and what is left after tax."""
    coins = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT"]
    write_candles(tmp_path / "candles", coins)
    path = (tmp_path / "candles" / "{symbol}.csv").as_posix()
    answer = backtest(ROOT / "examples" / "five_coins.toml", tmp_path, capsys, "--set", f'data.path="{path}"')
    trades = trades_of(tmp_path)
    assert set(trades["symbol"]) == set(coins)
    stats = answer["stats"]
    gains = trades["pnl"] + trades["fees"] - trades["cash_flows"]
    won = gains.filter(gains > 0.0).sum()
    assert stats["Tax"] == pytest.approx(0.30 * won, rel=1e-9)  # each gain in price, no loss or fee is offset
    assert stats["Post-tax Return [%]"] == pytest.approx(stats["Return [%]"] - 100.0 * stats["Tax"] / 100_000.0)
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for word in ("portfolio_heat", "regime", "1% of every sale withheld"):
        assert word in report


def test_the_classifier_is_trained_in_every_leg_on_what_lies_before(capsys: pytest.CaptureFixture[str]) -> None:
    """Two legs, trained on two years each; a label that needs a bar after training is none, and the legs trade."""
    pytest.importorskip("sklearn")
    script = runpy.run_path(str(ROOT / "examples" / "machine_learning.py"))
    tape = load_tape("sample", {}, ["IBM"], None)
    until = int(np.datetime64("2003-01-02", "ns").astype(np.int64))
    train = Train(script["Boosted"](), tape.truncate(until - 1), ("IBM",), None, until, 1)
    features, labels = script["samples_of"](train, "IBM")
    last = int(np.searchsorted(tape.close_time, until)) - 1
    changes = tape.close[5:] > tape.close[:-5]
    assert labels.tolist() == changes[last - 4 - labels.size: last - 4].tolist()  # the last label ends before `until`
    assert features.shape == (labels.size, 6)
    found = script["main"](end="2008-12-31")
    assert [str(fit["trained_until"])[:10] for fit in found.out.fits] == [
        str(leg.window.test_start.date()) for leg in found.legs]
    assert len(found.legs) == 2
    assert found.stats["# Trades"] > 10
    assert "trained on" in capsys.readouterr().out
