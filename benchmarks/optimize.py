"""Compare the speed, memory and results of a search with vectorbt's and backtesting.py's, in one run.

    python benchmarks/optimize.py [--bars 50000] [--rounds 3] [--json] [--write PAGE] [--memory BARS]

496 pairs of moving averages, fixed quantity, fee and slippage.  Every side is a process of its own in an environment of
its own; the sides alternate, round by round, and each warms up before it is timed.  Ours does all that
`framework.optimize` does, the journal on disk included.  The total return of every pair must be the same on every side.
Memory is the most that a side's process held, interpreter and libraries included.  Other work on the machine disturbs
the wall clock, so the processor's time is told as well (not that of backtesting.py's own processes, in which its work
is done); backtesting.py is timed on fewer pairs, and told by the pair.

--memory: what a Ray worker adds to a tape of so many bars, in private pages (USS), beyond what it needs with few.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from comparison import (
    PEERS,
    TOLERANCE,
    Side,
    Told,
    digits,
    machine,
    options_of,
    run_rounds,
    show,
    spread_text,
    summary,
    table,
    times_faster,
    write_bars,
)

ALL_PAIRS, FEW_PAIRS = 496, 6

OURS, ONE_THREAD = "framework, 2 threads", "framework, 1 thread"
IDIOMATIC, LOOPED = "vectorbt, as documented", "backtesting.py optimize"

SIDES: dict[str, Side] = {
    OURS: Side("search_with_framework.py", ("2",), repeats=2),
    IDIOMATIC: Side("search_with_vectorbt.py", ("idiomatic",), "vectorbt"),
    ONE_THREAD: Side("search_with_framework.py", ("1",), repeats=2),
    "vectorbt, bare arrays, numba": Side("search_with_vectorbt.py", ("numba",), "vectorbt"),
    "vectorbt, bare arrays, Rust": Side("search_with_vectorbt.py", ("rust",), "vectorbt"),
    LOOPED: Side("search_with_backtesting.py", (str(FEW_PAIRS),), "backtesting", rounds=1),
}
"""In the order in which they run."""

WANTED = ((IDIOMATIC, 8.0), (LOOPED, 150.0))
WANTED_MEMORY = (IDIOMATIC, 5.0)


def trial_bars(told: Told) -> float:
    """Return the bars of all pairs of a run, the unit of this comparison."""
    return float(told["bars"] * told["pairs"])


def compare_returns(ours: Told, theirs: Told) -> dict[str, Any]:
    """Return the largest difference of the growth of any pair, relative."""
    mine, other = ({tuple(pair): value for pair, value in zip(side["found"]["pairs"].tolist(),
                                                             side["found"]["returns"].tolist(), strict=True)}
                   for side in (ours, theirs))
    shared = sorted(mine.keys() & other.keys())
    apart = float(np.max([abs((1.0 + mine[pair]) / (1.0 + other[pair]) - 1.0) for pair in shared] or [np.nan]))
    return {"pairs": len(shared), "difference": apart, "same": len(shared) == ALL_PAIRS and apart <= TOLERANCE}


def measure(bars: int, rounds: int) -> dict[str, Any]:
    """Run all sides in turn, `rounds` times, and return rates, ratios, memory, what is wanted and compared returns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bars(folder, bars)
        told = run_rounds(SIDES, folder, bars, rounds)
    sides = {side: {**summary(answers, trial_bars), "pairs": answers[0]["pairs"]} for side, answers in told.items()}
    ratios = {mine: {side: times_faster(told[mine], answers, trial_bars) for side, answers in told.items()}
              for mine in (OURS, ONE_THREAD)}
    theirs, least = WANTED_MEMORY
    less = sides[theirs]["peak_bytes"] / sides[OURS]["peak_bytes"]
    return {"bars": bars, "rounds": rounds, "kernel": sides[OURS]["version"], "columns": told[OURS][0]["columns"],
            "machine": machine(), "sides": sides, "ratios": ratios,
            "wanted": [{"slow": side, "least": wanted, **ratios[OURS][side],
                        "met": ratios[OURS][side]["median"] >= wanted} for side, wanted in WANTED],
            "memory": {"theirs": theirs, "times_less": less, "least": least, "met": less >= least},
            "returns": {side: compare_returns(told[OURS][0], answers[0]) for side, answers in told.items()
                        if side not in (OURS, LOOPED)}}


def text_of(told: dict[str, Any]) -> str:
    """Return the comparison as tables."""
    memory = told["memory"]
    return "\n\n".join([
        f"{ALL_PAIRS} pairs x {told['bars']:,} bars, rounds: {told['rounds']}; {told['machine']}; kernel "
        f"{told['kernel']}; ours computed {told['columns']} columns.",
        table(["side", "pairs", "bars/s", "s a run", "peak MiB", *(f"{mine} over it" for mine in told["ratios"])],
              [[name, str(side["pairs"]), digits(side["units_per_second"]), spread_text(side["seconds"]),
                f"{side['peak_bytes'] / 2**20:,.0f}", *(spread_text(found[name]) for found in told["ratios"].values())]
               for name, side in told["sides"].items()]),
        table(["wanted", "ratio", "in processor time", "at least", ""],
              [*([f"rate of {OURS} / {one['slow']}", spread_text(one), digits(one["processor"]), f"{one['least']:g}",
                  "met" if one["met"] else "MISSED"] for one in told["wanted"]),
               [f"memory of {memory['theirs']} / {OURS}", digits(memory["times_less"]), "", f"{memory['least']:g}",
                "met" if memory["met"] else "MISSED"]]),
        table(["returns compared with ours", "pairs", "apart", ""],
              [[name, str(one["pairs"]), f"{one['difference']:.0e}", "same" if one["same"] else "DIFFERENT"]
               for name, one in told["returns"].items()]),
    ])


def worker_memory(bars: int) -> dict[str, Any]:
    """Return what a second Ray worker holds in private pages with a tape of so many bars, and with hardly any."""
    import psutil
    import ray

    from framework.data import load_tape
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
        assert all(not one["writeable"] and not one["writeable_columns"] and not one["missed"] for one in told), told
        executor.close()
    size = sum(getattr(tape, name).nbytes for name in ray_cluster.TAPE_ARRAYS)
    ray.shutdown()
    added = max(used[bars]) - max(used[2_000])
    return {"bars": bars, "tape_bytes": size, "worker_bytes": used[bars], "idle_bytes": used[2_000], "trades": trades,
            "added_bytes": added, "added_share": added / size, "met": added < 0.05 * size}


def main() -> None:
    """Print tables, or one JSON document; exit with 1 when a side found other returns."""
    parser = options_of(__doc__, bars=50_000, rounds=3)
    parser.add_argument("--memory", type=int, metavar="BARS", help="measure a Ray worker's memory instead")
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(worker_memory(options.memory)))
        return
    told = measure(options.bars, options.rounds)
    show(told, text_of(told), options, "optimize")
    sys.exit(0 if all(one["same"] for one in told["returns"].values()) else 1)


if __name__ == "__main__":
    main()
