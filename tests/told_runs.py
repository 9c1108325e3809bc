"""Runs made by hand for the tests of the tools: twelve bars of one symbol, and a strategy whose every step is known.

        open high low close
    1    100  101  99   100    warm-up
    2    100  101  99   100    warm-up: the mean of two closes is defined here, and one bar before as well from 3 on
    3    100  101  99    99    asked, nothing; asleep from here on until a close above 100
    4     99  100  98    99    asleep
    5     99  104  99   103    buys 10 with a stop at 98
    6    103  105 102   104    filled at the open, 103
    7    104  104  97    99    stopped out at 98
    8     99  100  98   100    asked once more after the fill, at 7; asleep
    9    100  112 100   111    buys with its stop at 120: refused, the wrong side of 111
   10    111  116 110   115    buys 10 with a stop at 103: heat 120 of at most 59.70, so 4.975 are left
   11    115  116 114   115    filled at the open, 115
   12    115  117 114   116    held
"""

from __future__ import annotations

from pathlib import Path

from framework import plugins
from framework.cli import main
from framework.indicators import sma
from framework.strategy import Param, Strategy, buy

BARS = [(100, 101, 99, 100), (100, 101, 99, 100), (100, 101, 99, 99), (99, 100, 98, 99), (99, 104, 99, 103),
        (103, 105, 102, 104), (104, 104, 97, 99), (99, 100, 98, 100), (100, 112, 100, 111), (111, 116, 110, 115),
        (115, 116, 114, 115), (115, 117, 114, 116)]

CONFIG = """
[run]
capital = 10_000
[data]
source = "csv"
path = "{symbol}.csv"
symbols = ["HAND"]
stamp = "open"
[strategy]
name = "handmade"
[fees]
taker_bps = 10
[risk.portfolio_heat]
max_heat = 0.006
"""


class Handmade(Strategy):
    """Buys at a close above 100, with stops that are chosen for what they bring about."""

    name = "handmade"
    qty = Param(10.0, low=1.0, high=1000.0)

    def indicators(self, bars):
        return {"mean": sma(bars.close, 2)}

    def wake(self, bars):
        return {"flat": bars.close > 100}

    @staticmethod
    def decide(now):
        if now.position.qty == 0 and now.bar.close > 100:
            if now.bar.close < 110:
                buy(now, qty=now.p.qty, stop=now.bar.close - 5)
            elif now.bar.close < 112:
                buy(now, qty=now.p.qty, stop=120.0)
            else:
                buy(now, qty=now.p.qty, stop=now.bar.close - 12)


def write_bars(folder: Path, changed: dict[int, tuple[float, float, float, float]] | None = None) -> None:
    """Write HAND.csv, daily bars from 2024-01-01 on; changed: other bars by their number."""
    rows = ["time,open,high,low,close,volume"]
    for number, bar in enumerate(BARS, start=1):
        prices = (changed or {}).get(number, bar)
        rows.append(f"2024-01-{number:02}T00:00:00Z,{','.join(map(str, prices))},1000")
    (folder / "HAND.csv").write_text("\n".join(rows) + "\n")


def make_run(folder: Path, name: str, *settings: str) -> Path:
    """Run the configuration in `folder` by the command line into the folder of that name; return it."""
    plugins.registry().add("strategy", Handmade)
    (folder / "hand.toml").write_text(CONFIG)
    flags = [part for setting in settings for part in ("--set", setting)]
    out = folder / name
    assert main(["backtest", str(folder / "hand.toml"), "--out", str(out), "--no-report", *flags]) == 0
    return out
