"""Compare the speed and the trades of this framework with vectorbt's and backtesting.py's, in one run.

    python benchmarks/backtest.py [--bars 1000000] [--rounds 5] [--json] [--scaling]

One symbol, one-in one-out moving-average cross 20/50, fixed quantity, fee and slippage, indicators computed in each
repetition.  Every side is a process of its own in an environment of its own; the sides alternate, round by round, and
each warms up before it is timed, so that compiling and importing are left out (`first` tells them).  The clock starts
with the prices in memory and stops with the list of trades and the equity at every bar; backtesting.py's statistics
are not counted.  Other work on the machine disturbs the wall clock, so the processor's time is told as well.  The
trades of every side must be the same ones: entry and exit bars, prices and final equity.

vectorbt runs in three variants: as documented (pandas), and with bare arrays on its numba and its Rust engine.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from environments import HERE, environment

from framework.data import load_tape

PEERS = HERE / "peers"
PRICES = ("open", "high", "low", "close", "volume")
TOLERANCE = 1e-9

SIDES: dict[str, tuple[str | None, str, tuple[str, ...], int]] = {
    "framework compiled": (None, "with_framework.py", ("compiled", "both"), 5),
    "vectorbt as documented": ("vectorbt", "with_vectorbt.py", ("idiomatic",), 5),
    "framework compiled, slippage at entry": (None, "with_framework.py", ("compiled", "entry"), 5),
    "vectorbt bare arrays": ("vectorbt", "with_vectorbt.py", ("numba",), 5),
    "vectorbt bare arrays, Rust": ("vectorbt", "with_vectorbt.py", ("rust",), 5),
    "framework interpreted": (None, "with_framework.py", ("interpreted", "both"), 1),
    "backtesting.py": ("backtesting", "with_backtesting.py", (), 1),
}
"""name -> (environment or None for this one, script, its arguments, repetitions a round)."""

SAME_TRADES = [(ours, theirs) for ours, theirs in (
    ("framework compiled", "framework interpreted"),
    ("framework compiled", "vectorbt as documented"),
    ("framework compiled", "vectorbt bare arrays"),
    ("framework compiled", "vectorbt bare arrays, Rust"),
    ("framework compiled, slippage at entry", "backtesting.py"))]

TARGETS = (("framework compiled", "vectorbt as documented", 5.0),
           ("framework compiled", "backtesting.py", 100.0),
           ("framework interpreted", "backtesting.py", 8.0))
"""(ours, theirs, wanted ratio of rates)."""


def write_bars(folder: Path, count: int) -> None:
    """Write seeded random five-minute bars for all sides."""
    tape = load_tape("synthetic", {"bars": count, "seed": 1}, ["A"], "5m")
    np.savez(folder / "bars.npz", open_time=tape.open_time, **{name: getattr(tape, name) for name in PRICES})


def run_side(name: str, folder: Path) -> dict[str, Any]:
    """Run one side once and return what it tells, its trades under "trades"."""
    where, script, arguments, repeats = SIDES[name]
    python = Path(sys.executable) if where is None else environment(where)
    out = folder / "trades.npz"
    done = subprocess.run([python, PEERS / script, folder, str(repeats), out, *arguments], capture_output=True,
                          text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    with np.load(out) as saved:
        told["trades"] = {key: saved[key] for key in saved.files}
    return told


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return whether two sides made the same trades, and the largest relative differences."""
    counts = [int(side["trades"]["entry_bar"].size) for side in (ours, theirs)]
    told: dict[str, Any] = {"trades": counts, "equity": [ours["equity"], theirs["equity"]],
                            "equity_difference": abs(theirs["equity"] / ours["equity"] - 1.0)}
    same = counts[0] == counts[1] > 0 and told["equity_difference"] <= TOLERANCE
    if counts[0] == counts[1]:
        for key in ("entry_bar", "exit_bar"):
            told[f"{key}s_equal"] = bool(np.array_equal(ours["trades"][key], theirs["trades"][key]))
            same = same and told[f"{key}s_equal"]
        for key in ("entry_price", "exit_price"):
            difference = float(np.abs(theirs["trades"][key] / ours["trades"][key] - 1.0).max(initial=0.0))
            told[f"{key}_difference"], same = difference, same and difference <= TOLERANCE
    return {**told, "same": same}


def summary(rounds: list[dict[str, Any]], bars: int) -> dict[str, Any]:
    """Return one side's seconds over all rounds and its rate."""
    wall, processor = ([value for one in rounds for value in one[key]] for key in ("wall", "processor"))
    told = {"seconds_median": statistics.median(wall), "seconds_best": min(wall), "seconds_worst": max(wall),
            "seconds_processor": statistics.median(processor), "repetitions": len(wall),
            "bars_per_second": bars / statistics.median(wall), "first": rounds[0]["first"],
            "version": rounds[0]["version"]}
    simulation = [value for one in rounds for value in one.get("simulation_only", ())]
    if simulation:
        told["seconds_simulation_only_median"] = statistics.median(simulation)
    return told


def ratio(sides: dict[str, dict[str, Any]], ours: str, theirs: str) -> dict[str, float]:
    """Return how many times faster ours is, by medians, by best runs and by medians of processor time."""
    return {kind: sides[theirs][f"seconds_{kind}"] / sides[ours][f"seconds_{kind}"]
            for kind in ("median", "best", "processor")}


def measure(bars: int, rounds: int) -> dict[str, Any]:
    """Run all sides in turn, `rounds` times, and return rates, ratios, targets and the comparison of trades."""
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bars(folder, bars)
        for number in range(rounds):
            for side in SIDES:
                sys.stderr.write(f"round {number + 1} of {rounds}: {side}\n")
                told[side].append(run_side(side, folder))
    sides = {side: summary(answers, bars) for side, answers in told.items()}
    ratios = {f"{ours} / {theirs}": ratio(sides, ours, theirs) for ours in SIDES for theirs in SIDES
              if ours in ("framework compiled", "framework interpreted") and not theirs.startswith("framework")}
    targets = [{"ours": ours, "theirs": theirs, "wanted_at_least": wanted, **ratio(sides, ours, theirs),
                "met": ratio(sides, ours, theirs)["median"] >= wanted} for ours, theirs, wanted in TARGETS]
    return {"bars": bars, "rounds": rounds, "kernel": sides["framework compiled"]["version"],
            "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "sides": sides, "ratios": ratios, "targets": targets,
            "trades": {f"{ours} = {theirs}": compare(told[ours][0], told[theirs][0]) for ours, theirs in SAME_TRADES}}


def show(told: dict[str, Any]) -> None:
    """Print the comparison as tables."""
    print(f"{told['bars']:,} bars, {told['rounds']} rounds, kernel {told['kernel']}\n")
    print(f"{'side':<40}{'median s':>10}{'best':>9}{'worst':>9}{'processor':>11}{'M bars/s':>10}{'first s':>9}")
    for name, side in told["sides"].items():
        print(f"{name:<40}{side['seconds_median']:>10.4f}{side['seconds_best']:>9.4f}{side['seconds_worst']:>9.4f}"
              f"{side['seconds_processor']:>11.4f}{side['bars_per_second'] / 1e6:>10.2f}{side['first']:>9.2f}")
    print(f"\n{'times faster':<66}{'median':>8}{'best':>8}{'processor':>11}")
    for name, values in told["ratios"].items():
        print(f"{name:<66}{values['median']:>8.2f}{values['best']:>8.2f}{values['processor']:>11.2f}")
    print()
    for target in told["targets"]:
        print(f"{'met' if target['met'] else 'MISSED':<7} {target['ours']} >= {target['wanted_at_least']:g} x "
              f"{target['theirs']}: {target['median']:.2f}")
    print()
    for name, one in told["trades"].items():
        print(f"{'same trades' if one['same'] else 'DIFFERENT TRADES':<17} {name}: {one['trades'][0]} and "
              f"{one['trades'][1]}, final equity apart by {one['equity_difference']:.1e}")


def main() -> None:
    """Print tables, or one JSON document; exit with 1 when a side made other trades."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    parser.add_argument("--scaling", action="store_true", help="measure how our step scales as well (scaling.py)")
    options = parser.parse_args()
    told = measure(options.bars, options.rounds)
    if options.scaling:
        import scaling

        told["scaling"] = scaling.measure(10_000_000)
    if options.json:
        print(json.dumps(told))
    else:
        show(told)
        if options.scaling:
            scaling.show(told["scaling"])
    sys.exit(0 if all(one["same"] for one in told["trades"].values()) else 1)


if __name__ == "__main__":
    main()
