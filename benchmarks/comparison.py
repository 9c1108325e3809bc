"""What the comparisons with other backtesters share: bars, sides as processes, ratios round by round, tables.

Other work on a machine disturbs a measurement, and seldom both sides alike.  So the sides alternate, every round gives
one ratio, and what is told of a ratio is the median of the rounds with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from environments import HERE, environment

PEERS = HERE / "peers"
PRICES = ("open", "high", "low", "close", "volume")
TOLERANCE = 1e-9
"""The largest relative difference of two sides that counts as rounding."""

Told = dict[str, Any]
"""What one run of a side told, with its arrays under "found"."""


class Side(NamedTuple):
    """One side of a comparison.

    script, arguments: of peers/, behind folder, bars, repetitions and file of results.  environment: None for this one.
    repeats: repetitions a round.  bars: the most it is given, 0 for all.  rounds: the most it takes part in, 0 for all.
    """

    script: str
    arguments: tuple[str, ...] = ()
    environment: str | None = None
    repeats: int = 1
    bars: int = 0
    rounds: int = 0

    def bars_of(self, count: int) -> int:
        """Return how many of so many bars it is given."""
        return min(self.bars or count, count)


def write_bars(folder: Path, count: int) -> None:
    """Write seeded random five-minute bars for all sides; fewer bars are the first ones of more."""
    from framework.data import load_tape

    tape = load_tape("synthetic", {"bars": count, "seed": 1}, ["A"], "5m")
    np.savez(folder / "bars.npz", open_time=tape.open_time, **{name: getattr(tape, name) for name in PRICES})


def run_side(name: str, side: Side, folder: Path, bars: int, repeats: int) -> Told:
    """Run one side in a process of its own and return what it tells."""
    python = Path(sys.executable) if side.environment is None else environment(side.environment)
    out = folder / "found.npz"
    done = subprocess.run([python, PEERS / side.script, folder, str(bars), str(repeats), out, *side.arguments],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    told: Told = json.loads(done.stdout.splitlines()[-1])
    with np.load(out) as saved:
        told["found"] = {key: saved[key] for key in saved.files}
    return {**told, "bars": bars}


def run_rounds(sides: dict[str, Side], folder: Path, bars: int, rounds: int) -> dict[str, list[Told]]:
    """Run all sides in turn, `rounds` times, and return by side what each round told."""
    told: dict[str, list[Told]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            if not side.rounds or number < side.rounds:
                sys.stderr.write(f"round {number + 1} of {rounds}: {name}\n")
                told[name].append(run_side(name, side, folder, side.bars_of(bars), side.repeats))
    return told


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the lowest and the highest."""
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def unit_seconds(rounds: Sequence[Told], kind: str, units: Callable[[Told], float]) -> list[float]:
    """Return by round the median seconds of a unit: a bar, or whatever else `units` counts of a run.

    kind: "wall" or "processor".
    """
    return [statistics.median(one[kind]) / units(one) for one in rounds]


def times_faster(ours: Sequence[Told], theirs: Sequence[Told], units: Callable[[Told], float]) -> dict[str, float]:
    """Return how many times as fast ours is by the unit: the spread over rounds, and the median in processor time.

    A side that took part in fewer rounds is compared again and again.
    """
    by_kind = {}
    for kind in ("wall", "processor"):
        mine, other = (unit_seconds(side, kind, units) for side in (ours, theirs))
        pairs = itertools.islice(zip(itertools.cycle(mine), itertools.cycle(other), strict=False),
                                 max(len(mine), len(other)))
        by_kind[kind] = [slow / fast for fast, slow in pairs]
    return {**spread(by_kind["wall"]), "processor": statistics.median(by_kind["processor"])}


def summary(rounds: Sequence[Told], units: Callable[[Told], float]) -> dict[str, Any]:
    """Return a side's seconds a repetition, its rate in units a second, and its memory over all rounds."""
    wall = [value for one in rounds for value in one["wall"]]
    return {"bars": rounds[0]["bars"], "repetitions": len(wall), "seconds": spread(wall),
            "units_per_second": 1.0 / statistics.median(unit_seconds(rounds, "wall", units)),
            "first": rounds[0]["first"], "peak_bytes": max(one["peak"] for one in rounds),
            "version": rounds[0]["version"]}


def compare_trades(ours: Told, theirs: Told) -> dict[str, Any]:
    """Return whether two sides made the same trades: how many, at which bars and prices, and the final equity."""
    mine, other = ours["found"], theirs["found"]
    counts = [int(side["entry_bar"].size) for side in (mine, other)]
    apart = abs(theirs["equity"] / ours["equity"] - 1.0)
    told: dict[str, Any] = {"trades": counts, "bars_equal": False, "price_difference": float("nan"),
                            "equity": [ours["equity"], theirs["equity"]], "equity_difference": apart}
    if counts[0] == counts[1] > 0:
        told["bars_equal"] = all(bool(np.array_equal(mine[key], other[key])) for key in ("entry_bar", "exit_bar"))
        told["price_difference"] = float(np.max([np.abs(other[key] / mine[key] - 1.0)
                                                 for key in ("entry_price", "exit_price")]))
    same = told["bars_equal"] and told["price_difference"] <= TOLERANCE and apart <= TOLERANCE
    return {**told, "same": bool(same)}


def machine() -> str:
    """Return what this runs on, in general words."""
    return (f"{platform.system()} on {platform.machine()}, {os.cpu_count()} virtual cores, Python "
            f"{platform.python_version()}")


def digits(value: float) -> str:
    """Return three significant digits."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100.0 else f"{rounded:#.3g}"


def spread_text(values: dict[str, float]) -> str:
    """Return a median with its lowest and highest in brackets."""
    return f"{digits(values['median'])} ({digits(values['lowest'])} to {digits(values['highest'])})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown that can be read as it is: the first column to the left, others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [" | ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in [header, *rows]]
    rule = " | ".join("-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths))
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])


def write_between(page: Path, name: str, text: str) -> None:
    """Put a text between the two marks of that name in a page; an error when they are not there."""
    begin, end = f"<!-- {name}: written by its command -->", f"<!-- end of {name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{page} has no place for the table: it needs the lines {begin!r} and {end!r}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def options_of(description: str | None, bars: int, rounds: int) -> argparse.ArgumentParser:
    """Return a parser of what all comparisons understand."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=bars)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between their marks in a page")
    return parser


def show(told: dict[str, Any], text: str, options: argparse.Namespace, name: str) -> None:
    """Print the tables or the document, and write the page if one is named."""
    print(json.dumps(told) if options.json else text)
    if options.write:
        write_between(options.write, name, text)
