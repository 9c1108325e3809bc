"""Compare the speed, memory and results of a search with vectorbt's and backtesting.py's, in one run.

    python benchmarks/optimize.py [--bars 50000] [--rounds 3] [--json] [--memory BARS]

496 pairs of moving averages, fixed quantity, fee and slippage.  Every side is a process of its own in an environment of
its own; the sides alternate, round by round, and each warms up before it is timed.  Ours does all that
`framework.optimize` does, the journal on disk included.  The total return of every pair must be the same on every side.
Memory is the most that a side's process held, interpreter and libraries included.  Other work on the machine disturbs
the wall clock, so the processor's time is told as well (not that of backtesting.py's own processes, in which its work
is done); backtesting.py is timed on fewer pairs, and told by the pair.

--memory: what a Ray worker adds to a tape of so many bars, in private pages (USS), beyond what it needs with few.
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
ALL_PAIRS, FEW_PAIRS = 496, 6
TOLERANCE = 1e-9

SIDES: dict[str, tuple[str | None, str, str, int]] = {
    "framework, 2 threads": (None, "search_with_framework.py", "2", 2),
    "vectorbt as documented": ("vectorbt", "search_with_vectorbt.py", "idiomatic", 1),
    "framework, 1 thread": (None, "search_with_framework.py", "1", 2),
    "vectorbt bare arrays": ("vectorbt", "search_with_vectorbt.py", "numba", 1),
    "vectorbt bare arrays, Rust": ("vectorbt", "search_with_vectorbt.py", "rust", 1),
    "backtesting.py optimize": ("backtesting", "search_with_backtesting.py", str(FEW_PAIRS), 1),
}
"""name -> (environment or None for this one, script, its argument, repetitions a round)."""

OURS = "framework, 2 threads"
TARGETS = (("vectorbt as documented", 8.0), ("backtesting.py optimize", 150.0))
MEMORY_TARGET = ("vectorbt as documented", 5.0)


def write_bars(folder: Path, count: int) -> None:
    """Write seeded random five-minute bars for all sides."""
    tape = load_tape("synthetic", {"bars": count, "seed": 1}, ["A"], "5m")
    np.savez(folder / "bars.npz", open_time=tape.open_time, **{name: getattr(tape, name) for name in PRICES})


def run_side(name: str, folder: Path) -> dict[str, Any]:
    """Run one side once and return what it tells, its returns under "returns"."""
    where, script, argument, repeats = SIDES[name]
    python = Path(sys.executable) if where is None else environment(where)
    out = folder / "returns.npz"
    done = subprocess.run([python, PEERS / script, folder, str(repeats), out, argument], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    with np.load(out) as saved:
        told["returns"] = {tuple(pair): value for pair, value in zip(saved["pairs"].tolist(), saved["returns"].tolist(),
                                                                    strict=True)}
    return told


def summary(rounds: list[dict[str, Any]], bars: int) -> dict[str, Any]:
    """Return one side's seconds, rate and memory over all rounds."""
    wall, processor = ([value for one in rounds for value in one[key]] for key in ("wall", "processor"))
    pairs = rounds[0]["pairs"]
    return {"pairs": pairs, "seconds_median": statistics.median(wall), "seconds_best": min(wall),
            "seconds_worst": max(wall), "seconds_processor": statistics.median(processor),
            "pair_median": statistics.median(wall) / pairs, "pair_best": min(wall) / pairs,
            "pair_processor": statistics.median(processor) / pairs,
            "bars_per_second": bars * pairs / statistics.median(wall), "peak_bytes": max(one["peak"] for one in rounds),
            "first": rounds[0]["first"], "version": rounds[0]["version"]}


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the largest difference of the growth of any pair, relative."""
    mine, other = ours["returns"], theirs["returns"]
    shared = sorted(mine.keys() & other.keys())
    apart = max((abs((1.0 + mine[pair]) / (1.0 + other[pair]) - 1.0) for pair in shared), default=float("nan"))
    return {"pairs": len(shared), "difference": apart, "same": len(shared) == ALL_PAIRS and apart <= TOLERANCE}


def measure(bars: int, rounds: int) -> dict[str, Any]:
    """Run all sides in turn, `rounds` times, and return rates, ratios, memory, targets and compared returns."""
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bars(folder, bars)
        for number in range(rounds):
            for side in SIDES:
                if number == 0 or not side.startswith("backtesting"):
                    sys.stderr.write(f"round {number + 1} of {rounds}: {side}\n")
                    told[side].append(run_side(side, folder))
    sides = {side: summary(answers, bars) for side, answers in told.items()}
    ratios = {f"{ours} / {theirs}": {kind: sides[theirs][f"pair_{kind}"] / sides[ours][f"pair_{kind}"]
                                     for kind in ("median", "best", "processor")}
              for ours in SIDES for theirs in SIDES if ours.startswith("framework") and not theirs.startswith("fram")}
    targets = [{"theirs": theirs, "wanted_at_least": wanted, **ratios[f"{OURS} / {theirs}"],
                "met": ratios[f"{OURS} / {theirs}"]["median"] >= wanted} for theirs, wanted in TARGETS]
    theirs, wanted = MEMORY_TARGET
    less = sides[theirs]["peak_bytes"] / sides[OURS]["peak_bytes"]
    return {"bars": bars, "rounds": rounds, "kernel": sides[OURS]["version"], "columns": told[OURS][0]["columns"],
            "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "sides": sides, "ratios": ratios, "targets": targets,
            "memory": {"theirs": theirs, "times_less": less, "wanted_at_least": wanted, "met": less >= wanted},
            "returns": {f"{OURS} = {side}": compare(told[OURS][0], told[side][0]) for side in SIDES
                        if side.startswith(("vectorbt", "framework, 1"))}}


def show(told: dict[str, Any]) -> None:
    """Print the comparison as tables."""
    print(f"{ALL_PAIRS} pairs x {told['bars']:,} bars, {told['rounds']} rounds, kernel {told['kernel']}; ours computed "
          f"{told['columns']} columns and conditions\n")
    print(f"{'side':<30}{'pairs':>6}{'median s':>10}{'best':>9}{'worst':>9}{'processor':>11}{'M bars/s':>10}"
          f"{'peak MiB':>10}")
    for name, side in told["sides"].items():
        print(f"{name:<30}{side['pairs']:>6}{side['seconds_median']:>10.3f}{side['seconds_best']:>9.3f}"
              f"{side['seconds_worst']:>9.3f}{side['seconds_processor']:>11.3f}{side['bars_per_second'] / 1e6:>10.2f}"
              f"{side['peak_bytes'] / 2**20:>10.0f}")
    print(f"\n{'times faster, by the pair':<54}{'median':>8}{'best':>8}{'processor':>11}")
    for name, values in told["ratios"].items():
        print(f"{name:<54}{values['median']:>8.2f}{values['best']:>8.2f}{values['processor']:>11.2f}")
    print()
    for target in told["targets"]:
        print(f"{'met' if target['met'] else 'MISSED':<7} {OURS} >= {target['wanted_at_least']:g} x "
              f"{target['theirs']}: {target['median']:.2f}")
    memory = told["memory"]
    print(f"{'met' if memory['met'] else 'MISSED':<7} memory < 1/{memory['wanted_at_least']:g} of {memory['theirs']}: "
          f"1/{memory['times_less']:.2f}")
    print()
    for name, one in told["returns"].items():
        print(f"{'same returns' if one['same'] else 'DIFFERENT RETURNS':<18} {name}: {one['pairs']} pairs, apart by "
              f"{one['difference']:.1e}")


def worker_memory(bars: int) -> dict[str, Any]:
    """Return what a second Ray worker holds in private pages with a tape of so many bars, and with hardly any."""
    import psutil
    import ray

    from framework.research import ray_cluster
    from framework.research.study import prepare
    from framework.research.trial import Trial

    ray_cluster.import_ray()
    ray_cluster.start_local_cluster(ray, num_cpus=2, object_store_memory=(256 << 20) + 200 * bars, log_to_driver=False,
                                    include_dashboard=False, logging_level="error")
    used: dict[int, list[int]] = {}
    sys.path.insert(0, str(PEERS))
    from with_framework import Crossing

    from framework.backtest.api import settle

    for count in (2_000, bars):
        tape = load_tape("synthetic", {"bars": count, "seed": 1}, ["A"], "1m")
        section = {"space": {"fast": [100, 150], "slow": [400, 500, 600, 700]}, "objective": "Return [%]",
                   "min_trades": 0}
        config, tape = settle({"optimize": section}, tape, Crossing(), {})
        study = prepare(config, tape)
        executor = ray_cluster.RayExecutor(study.setup, 1 << 30, 2, classes=study.subject.session_classes())
        trials = [Trial(number, point) for number, point in enumerate(study.space.grid())]
        trades = max(one.statistics["# Trades"] for one in executor.outcomes(trials))
        told = ray.get([member.actor.about.remote() for member in executor._members])
        used[count] = sorted(psutil.Process(one["pid"]).memory_full_info().uss for one in told)
        assert all(not one["writeable"] and not one["missed"] for one in told), told
        executor.close()
    size = sum(getattr(tape, name).nbytes for name in ray_cluster.TAPE_ARRAYS)
    ray.shutdown()
    added = max(used[bars]) - max(used[2_000])
    return {"bars": bars, "tape_bytes": size, "worker_bytes": used[bars], "idle_bytes": used[2_000], "trades": trades,
            "added_bytes": added, "added_share": added / size, "met": added < 0.05 * size}


def main() -> None:
    """Print tables, or one JSON document; exit with 1 when a side found other returns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    parser.add_argument("--memory", type=int, metavar="BARS", help="measure a Ray worker's memory instead")
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(worker_memory(options.memory)))
        return
    told = measure(options.bars, options.rounds)
    if options.json:
        print(json.dumps(told))
    else:
        show(told)
    sys.exit(0 if all(one["same"] for one in told["returns"].values()) else 1)


if __name__ == "__main__":
    main()
