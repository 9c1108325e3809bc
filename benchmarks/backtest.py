"""Compare the speed, memory and trades of this framework with other backtesters', in one run.

    python benchmarks/backtest.py [--bars 1000000] [--rounds 5] [--json] [--write docs/benchmarks.md] [--scaling]

One symbol, one-in one-out moving-average cross 20/50, fixed quantity, fee and slippage, indicators computed in each
repetition.  Every side is a process of its own in an environment of its own; the sides alternate, round by round, and
each warms up before it is timed, so that compiling and importing are left out (`first` in the document tells them).
The clock starts with the prices in memory, in the form that the side wants them, and stops with the list of trades and
the equity at every bar; backtesting.py's statistics are not counted, and backtrader and nautilus_trader keep only the
last equity.  Slow sides are given fewer bars; their rates at half as many, and ours at as many, are told as well.

The trades of every side must be the same ones: their number, entry and exit bars, prices, and the final equity.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from comparison import (
    Side,
    Told,
    compare_trades,
    digits,
    machine,
    options_of,
    run_rounds,
    run_side,
    show,
    spread_text,
    summary,
    table,
    times_faster,
    unit_seconds,
    write_bars,
)


def ours(way: str, strategy: str, slippage: str = "both", repeats: int = 40) -> Side:
    """Return one of our own sides; a repetition is short, so that there are more of them."""
    return Side("with_framework.py", (way, strategy, slippage), repeats=repeats)


PUBLIC = "framework, by `framework.backtest`"
OURS, ASKED = "framework", "framework, no `wake`"
GUARDED, ASKED_GUARDED = "framework, stops and ten rules", "framework, stops and ten rules, no `wake`"
ENTRY = "framework, slippage at entry"
INTERPRETED = "framework, interpreted"
IDIOMATIC, NUMBA, RUST = "vectorbt, as documented", "vectorbt, bare arrays, numba", "vectorbt, bare arrays, Rust"

SIDES: dict[str, Side] = {
    OURS: ours("compiled", "wake"),
    IDIOMATIC: Side("with_vectorbt.py", ("idiomatic",), "vectorbt", repeats=10),
    ASKED: ours("compiled", "asked"),
    NUMBA: Side("with_vectorbt.py", ("numba",), "vectorbt", repeats=10),
    GUARDED: ours("compiled", "guarded"),
    RUST: Side("with_vectorbt.py", ("rust",), "vectorbt", repeats=10),
    ASKED_GUARDED: ours("compiled", "asked_guarded"),
    "backtesting.py": Side("with_backtesting.py", (), "backtesting", bars=200_000),
    ENTRY: ours("compiled", "wake", "entry"),
    PUBLIC: ours("public", "wake"),
    "backtrader": Side("with_backtrader.py", (), "backtrader", bars=100_000),
    INTERPRETED: ours("interpreted", "wake", repeats=1),
    "nautilus_trader": Side("with_nautilus.py", (), "nautilus", bars=100_000),
    f"{INTERPRETED}, no `wake`": ours("interpreted", "asked", repeats=1),
}
"""In the order in which they run: ours between the others."""

SAME_TRADES = {
    PUBLIC: OURS, ASKED: OURS, INTERPRETED: OURS, f"{INTERPRETED}, no `wake`": OURS, ASKED_GUARDED: GUARDED,
    IDIOMATIC: OURS, NUMBA: OURS, RUST: OURS, "backtesting.py": ENTRY, "backtrader": OURS, "nautilus_trader": OURS,
}
"""side -> which of ours has to make the same trades."""


class Bar(NamedTuple):
    """A ratio of rates that is wanted."""

    fast: str
    slow: str
    least: float
    aim: float | None = None


BARS = (
    Bar(OURS, IDIOMATIC, 8.0, 20.0),
    Bar(OURS, "backtesting.py", 150.0),
    Bar(OURS, "backtrader", 500.0),
    Bar(OURS, "nautilus_trader", 500.0),
    Bar(INTERPRETED, "backtesting.py", 8.0),
    Bar(GUARDED, OURS, 0.5),
    Bar(ASKED_GUARDED, ASKED, 0.5),
)

AGAINST = {OURS: "framework over it", ASKED: "no `wake` over it", PUBLIC: "public call over it"}
"""Those of ours whose ratios to all sides stand in the table, with the head of the column."""


def bars_of(told: Told) -> float:
    """Return the bars of a run, the unit of this comparison."""
    return float(told["bars"])


def checked(name: str, rounds: list[Told], reference: list[Told]) -> dict[str, Any]:
    """Return the comparison of a side's trades with ours; they have to be the same in each round."""
    compared = [compare_trades(reference[0], one) for one in rounds]
    different = [one for one in compared if not one["same"]]
    return {"side": name, "bars": rounds[0]["bars"], **(different or compared)[0]}


def rates_by_length(told: dict[str, list[Told]], extra: dict[tuple[str, int], Told]) -> dict[str, dict[int, float]]:
    """Return bars a second by side and number of bars, of the sides that ran on several."""
    rates: dict[str, dict[int, float]] = {}
    for (name, bars), one in extra.items():
        rates.setdefault(name, {})[bars] = 1.0 / unit_seconds([one], "wall", bars_of)[0]
    for name, lengths in rates.items():
        lengths[told[name][0]["bars"]] = summary(told[name], bars_of)["units_per_second"]
    return {name: dict(sorted(lengths.items())) for name, lengths in rates.items()}


def measure(bars: int, rounds: int) -> dict[str, Any]:
    """Run all sides and return rates, ratios, bars that are wanted and the comparison of trades."""
    extra: dict[tuple[str, int], Told] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_bars(folder, bars)
        told = run_rounds(SIDES, folder, bars, rounds)
        wanted = [(mine, SIDES[name].bars_of(bars)) for name, mine in SAME_TRADES.items()]
        halves = [(name, side.bars // 2) for name, side in SIDES.items() if 0 < side.bars <= bars]
        for name, count in [*wanted, *halves]:
            if count < SIDES[name].bars_of(bars) and (name, count) not in extra:
                sys.stderr.write(f"{count:,} bars: {name}\n")
                extra[name, count] = run_side(name, SIDES[name], folder, count, SIDES[name].repeats)
    ratios = {mine: {name: times_faster(told[mine], rounds, bars_of) for name, rounds in told.items()}
              for mine in AGAINST}
    wishes = []
    for bar in BARS:
        found = times_faster(told[bar.fast], told[bar.slow], bars_of)
        wishes.append({**bar._asdict(), **found, "met": found["median"] >= bar.least})
    return {
        "bars": bars, "rounds": rounds, "machine": machine(), "kernel": told[OURS][0]["version"],
        "sides": {name: {**summary(answers, bars_of), "trades": int(answers[0]["found"]["entry_bar"].size),
                         "refused": answers[0].get("refused")} for name, answers in told.items()},
        "ratios": ratios, "wanted": wishes, "rates_by_length": rates_by_length(told, extra),
        "trades": [checked(name, told[name], [extra[mine, count]] if (mine, count) in extra else told[mine])
                   for (name, mine), (_, count) in zip(SAME_TRADES.items(), wanted, strict=True)],
    }


def text_of(told: dict[str, Any]) -> str:
    """Return the comparison as tables."""
    sides = told["sides"]
    versions = {SIDES[name].environment or "": f"{name.partition(',')[0]} {side['version']}"
                for name, side in sides.items() if SIDES[name].environment}
    parts = [
        f"{told['bars']:,} bars, rounds: {told['rounds']}; {told['machine']}; kernel {told['kernel']}, "
        f"{', '.join(versions.values())}.",
        table(["side", "bars", "bars/s", "s a run", "trades", "peak MiB", *AGAINST.values()],
              [[name, f"{side['bars']:,}", digits(side["units_per_second"]), spread_text(side["seconds"]),
                f"{side['trades']:,}", f"{side['peak_bytes'] / 2**20:,.0f}",
                *("1" if name == mine else spread_text(told["ratios"][mine][name]) for mine in AGAINST)]
               for name, side in sides.items()]),
        table(["wanted", "ratio of rates", "in processor time", "at least", "aim", ""],
              [[f"{one['fast']} / {one['slow']}", spread_text(one), digits(one["processor"]), f"{one['least']:g}",
                f"{one['aim']:g}" if one["aim"] else "", "met" if one["met"] else "MISSED"] for one in told["wanted"]]),
        table(["bars/s by the number of bars", *(f"{n:,}" for n in lengths_of(told))],
              [[name, *(digits(rates[n]) if n in rates else "" for n in lengths_of(told))]
               for name, rates in told["rates_by_length"].items()]),
        table(["side", "its trades", "ours", "bars of entry and exit", "prices apart", "equity apart", "trades"],
              [[one["side"], *(f"{count:,}" for count in reversed(one["trades"])),
                "equal" if one["bars_equal"] else "DIFFERENT", f"{one['price_difference']:.0e}",
                f"{one['equity_difference']:.0e}", "same" if one["same"] else "DIFFERENT"] for one in told["trades"]]),
    ]
    return "\n\n".join(parts)


def lengths_of(told: dict[str, Any]) -> list[int]:
    """Return the numbers of bars at which rates are known."""
    return sorted({length for rates in told["rates_by_length"].values() for length in rates})


def main() -> None:
    """Print tables, or one JSON document; exit with 1 when a side made other trades."""
    parser = options_of(__doc__, bars=1_000_000, rounds=5)
    parser.add_argument("--scaling", action="store_true", help="measure how our step scales as well (scaling.py)")
    options = parser.parse_args()
    told = measure(options.bars, options.rounds)
    if options.scaling:
        import scaling

        told["scaling"] = scaling.measure(10_000_000)
    show(told, text_of(told), options, "backtest")
    if options.scaling and not options.json:
        scaling.show(told["scaling"])
    sys.exit(0 if all(one["same"] for one in told["trades"]) else 1)


if __name__ == "__main__":
    main()
