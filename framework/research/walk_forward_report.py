"""What a walk-forward writes: the table of its legs, the stitched run, and a report of one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from framework.backtest.duration import nanoseconds
from framework.backtest.metrics import daily_returns
from framework.backtest.recorded import LEGS
from framework.backtest.report import MORE
from framework.backtest.write import TABLES, run_document, write_json, write_table
from framework.research.folders import leg_folder
from framework.research.page import definitions, head, listed, page, rows_table, section, soft
from framework.research.search_charts import HEIGHT, MARGIN, WIDE, shown, svg, text
from framework.research.sharpe import probabilistic_sharpe_ratio
from framework.research.stability import SHOWN, day, finite

if TYPE_CHECKING:
    from framework.research.walk_forward import Forward, Leg

BELIEVED = 0.95
"""The probability from which on a choice is taken for more than luck."""

POINTS = 1_500
"""Points of a drawn curve: more are put together, the lowest and the highest of each place kept."""


def document(found: Forward) -> dict[str, Any]:
    """Return what `--json` answers and walk_forward.json holds."""
    study = found.study
    legs = [{"leg": leg.window.number, "train_start": leg.window.train_start, "test_start": leg.window.test_start,
             "test_end": leg.window.test_end, "stitch_end": leg.window.stitch_end, "params": leg.params,
             "value": leg.value, "trials": leg.trials, "resumed": leg.resumed,
             "evidence": None if leg.evidence is None else leg.evidence.to_dict(),
             "in_sample": None if leg.inside is None else {name: finite(leg.inside[name]) for name in SHOWN},
             "out_of_sample": None if leg.outside is None else {name: finite(leg.outside[name]) for name in SHOWN}}
            for leg in found.legs]
    settings = study.config.walk_forward
    return {
        "run": None if found.folder is None else str(found.folder),
        "method": settings.method if settings else "", "legs": legs, "accepted": found.is_accepted,
        "acceptance": [{"criterion": one.name, "value": one.value, "rule": one.rule, "passed": one.passed}
                       for one in found.acceptance],
        "stability": [{"parameter": one.path, "values": list(one.values), "common": one.common, "share": one.share,
                       "changes": one.changes, "spread": one.spread} for one in found.stability],
        "efficiency": found.efficiency, "sentences": sentences(found), "stats": found.out.stats.as_json(),
        "notes": list(found.out.stats.footnotes),
        "trials": sum(leg.trials for leg in found.legs), "objective": list(study.objective.names),
        "unused_days": found.left.total_seconds() / 86_400, "seed": study.config.run.seed,
        "fingerprint": study.tape.fingerprint}


def write_forward(found: Forward, report: bool, command: Sequence[str]) -> None:
    """Write walk_forward.json, legs.parquet, and the stitched run: run.json, stats.json, its tables and report.html."""
    assert found.folder is not None
    folder, result = found.folder, found.out
    legs = [{"leg": leg.window.number, "folder": leg_folder(leg.window.number).as_posix(),
             "test_start": leg.window.test_start, "stitch_end": leg.window.stitch_end, "params": leg.params}
            for leg in found.legs]
    write_json(folder / "run.json", {**run_document(result, command, datetime.now(UTC)), LEGS: legs})
    write_json(folder / "walk_forward.json", {**document(found), "command": list(command),
                                              "study": found.study.document()})
    write_json(folder / "stats.json", result.stats.as_json())
    write_table(folder / "legs.parquet", found.table)
    for name in TABLES:
        write_table(folder / f"{name}.parquet", getattr(result, name))
    if report:
        (folder / "report.html").write_text(forward_html(found), encoding="utf-8")


def forward_html(found: Forward) -> str:
    """Return the whole report as the text of one HTML file that needs no network and no script."""
    parts = (header, accepted, believed, curve, legs_table, steady)
    return page(f"{found.study.config.name} · walk-forward", (*(part(found) for part in parts), MORE,
                                                              provenance(found)))


def figure(value: object) -> str:
    """Return a statistic for a table."""
    known = finite(value)
    return "n/a" if known is None else shown(round(known, 2)) if isinstance(value, float) else f"{value:,}"


def header(found: Forward) -> str:
    """What was done, and what came of it out of sample."""
    study, stats = found.study, found.stats
    first, last = found.legs[0].window, found.legs[-1].window
    told = (f"{len(found.legs)} legs, each the best of {found.legs[0].trials:,} trials by "
            f"{', '.join(study.objective.names)} on its training window, then run on what came next; out of sample "
            f"from {day(first.test_start)} to {day(last.stitch_end)} on {', '.join(study.tape.symbols[:6])}"
            f"{f' and {len(study.tape.symbols) - 6} more' if len(study.tape.symbols) > 6 else ''}")
    names = ("Return [%]", "Return (Ann.) [%]", "Sharpe Ratio", "Max. Drawdown [%]", "Win Rate [%]", "# Trades")
    tiles = [(name, figure(stats[name])) for name in names]
    kept = "n/a" if found.efficiency is None else f"{100 * found.efficiency:.0f} %"
    tiles.append(("Kept of the in-sample return", kept))
    tiles.append(("Verdict", "accepted" if found.is_accepted else "not accepted"))
    idle = sum(leg.params is None for leg in found.legs)
    notes = [f"{idle} legs stayed flat: no trial of theirs had a value"] if idle else []
    notes += list(found.out.stats.footnotes)
    return head(f"{study.config.name}: walk-forward", told, tiles, "; ".join(notes))


def accepted(found: Forward) -> str:
    """The table of acceptance, and the verdict beneath it."""
    rows = [(one.name, "pass" if one.passed else "fail",
             "n/a" if one.value is None else shown(round(one.value, 2)), one.rule) for one in found.acceptance]
    return section("Acceptance", rows_table(("criterion", "verdict", "out of sample", "rule"), rows),
                   soft(f"{found.verdict[:1].upper()}{found.verdict[1:]}."))


def believed(found: Forward) -> str:
    """What the days out of sample show, and how far the choices could be believed before them."""
    return section("How far to believe it", listed(sentences(found)))


def sentences(found: Forward) -> list[str]:
    """Return one sentence of each statistic: the days out of sample first, then the searches of the legs."""
    result = found.out
    out = probabilistic_sharpe_ratio(daily_returns(result.records.days["equity"], result.capital))
    told = []
    if np.isfinite(out.value):
        told.append(f"Out of sample, where nothing was chosen, the true Sharpe ratio is above zero with a probability "
                    f"of {out.value:.1%}, given {out.moments.days:,} days with their skew and fat tails; every other "
                    "walk-forward that was tried on these data makes it less.")
    known = [leg.evidence for leg in found.legs if leg.evidence is not None]
    if not known:
        return told
    legs = f"{len(known)} legs"
    ratios = np.array([one.deflated.value for one in known])
    told.append(f"Counting all trials of its own search, the choice of {int((ratios > BELIEVED).sum())} of {legs} was "
                f"more than luck with a probability above {BELIEVED:.0%} (deflated Sharpe ratio; in the median leg "
                f"{in_percent(median(ratios))}).")
    short = sum(not one.length.is_long_enough for one in known)
    told.append(f"The training windows of {short} of {legs} are shorter than the history below which luck alone shows "
                "such a Sharpe ratio among so many trials.")
    over = [one.overfitting.value for one in known if one.overfitting is not None]
    if over:
        told.append(f"The probability of overfitting on the training windows is {in_percent(median(over))} in the "
                    f"median leg; {sum(value >= 0.5 for value in over)} of {legs} were no better than noise.")
    checked = [one.superiority.reality_check for one in known if one.superiority is not None]
    if checked:
        told.append(f"White's reality check finds an edge in the trials of {sum(p < 0.05 for p in checked)} of {legs} "
                    "(p below 5 %).")
    notes = [note for one in known for note in one.notes]
    return [*told, *dict.fromkeys(notes)]


def median(values: Sequence[float] | np.ndarray) -> float | None:
    """Return the median of what is defined, None for nothing."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else None


def protection(leg: Leg) -> tuple[float | None, float | None]:
    """Return the deflated Sharpe ratio and the probability of overfitting of a leg's search, where they are known."""
    evidence = leg.evidence
    if evidence is None:
        return None, None
    return finite(evidence.deflated.value), None if evidence.overfitting is None else evidence.overfitting.value


def in_percent(value: float | None) -> str:
    """Return a probability for a reader."""
    return "n/a" if value is None else f"{value:.1%}"


def curve(found: Forward) -> str:
    """The stitched equity, the seams between legs marked."""
    marks = found.out.records.marks
    if not len(marks):
        return ""
    begin, end = int(marks["time"][0]), max(int(marks["time"][-1]), int(marks["time"][0]) + 1)
    equity = np.concatenate(([found.out.capital], marks["equity"]))
    low, high = float(equity.min()), float(equity.max())
    span = high - low or 1.0

    def x(time: float) -> float:
        return MARGIN + (time - begin) / (end - begin) * (WIDE - MARGIN - 20)

    def y(value: float) -> float:
        return HEIGHT - MARGIN - (value - low) / span * (HEIGHT - MARGIN - 20)

    seams = "".join(f'<path class="axis" d="M{x(nanoseconds(leg.window.test_start)):.1f} 12V{HEIGHT - MARGIN:.1f}" '
                    'style="opacity:.25"/>' for leg in found.legs[1:])
    points = thinned(marks["equity"])
    path = "".join(f"{'L' if k else 'M'}{x(float(marks['time'][i])):.1f} {y(float(marks['equity'][i])):.1f}"
                   for k, i in enumerate(points))
    body = [seams, f'<path class="axis" d="M{MARGIN} 12V{HEIGHT - MARGIN:.1f}H{WIDE - 10}"/>',
            f'<path class="way" d="{path}"/>', text(MARGIN - 6, y(low) + 4, f"{low:,.0f}", "end"),
            text(MARGIN - 6, y(high) + 4, f"{high:,.0f}", "end"),
            text(MARGIN, HEIGHT - MARGIN + 22, day(found.legs[0].window.test_start), "start"),
            text(WIDE - 20, HEIGHT - MARGIN + 22, day(found.legs[-1].window.stitch_end), "end")]
    return section("Out-of-sample equity, stitched",
                   soft("Each leg begins flat with the equity that the leg before left; lines are seams. Every "
                        "position was closed before its seam, with costs."),
                   svg("".join(body), "out-of-sample equity", WIDE))


def thinned(values: np.ndarray) -> list[int]:
    """Return which points to draw: all, or the lowest and the highest of each of POINTS / 2 places."""
    if len(values) <= POINTS:
        return list(range(len(values)))
    edges = np.linspace(0, len(values), POINTS // 2 + 1).astype(int)
    chosen = {0, len(values) - 1}
    for first, last in pairwise(edges):
        part = values[first:last]
        chosen |= {int(first + part.argmin()), int(first + part.argmax())}
    return sorted(chosen)


def legs_table(found: Forward) -> str:
    """One row a leg."""
    paths = [one.path for one in found.study.space.dimensions]
    names = ["leg", "train from", "test from", "test to", *paths, "deflated Sharpe", "overfit",
             *(f"{side} {name}" for name in ("Sharpe Ratio", "Return [%]", "Max. Drawdown [%]", "# Trades")
               for side in ("in", "out"))]
    rows = []
    for leg in found.legs:
        window = leg.window
        cells = [str(window.number), day(window.train_start), day(window.test_start), day(window.test_end)]
        cells += ["flat" if leg.params is None else shown(leg.params[path]) for path in paths]
        cells += [in_percent(value) for value in protection(leg)]
        for name in ("Sharpe Ratio", "Return [%]", "Max. Drawdown [%]", "# Trades"):
            cells += ["n/a" if stats is None else figure(stats[name]) for stats in (leg.inside, leg.outside)]
        rows.append(cells)
    return section("The legs", soft("in: the chosen parameters on the training window, out: on the whole test window. "
                                    "Deflated Sharpe ratio and probability of overfitting are those of the search on "
                                    "the training window."), rows_table(names, rows))


def steady(found: Forward) -> str:
    """How steady the chosen parameters are."""
    rows = [(one.path, ", ".join(shown(value) for value in one.values),
             f"{shown(one.common)} ({100 * one.share:.0f} %)", str(one.changes),
             "n/a" if one.spread is None else f"{one.spread:.2f}") for one in found.stability]
    return section("Stability of the parameters",
                   soft("spread: the deviation of the choices over that of the space; 0 is always the same, 1 is no "
                        "better than chance."),
                   rows_table(("parameter", "chosen, leg by leg", "most often", "changes", "spread"), rows))


def provenance(found: Forward) -> str:
    """What is needed to do it again."""
    study = found.study
    settings = study.config.to_dict().get("walk_forward", {})
    rows = [("windows", ", ".join(f"{key} = {value}" for key, value in settings.items())),
            ("unused at the end", f"{found.left.total_seconds() / 86_400:g} days"),
            ("sampler", f"{study.settings.sampler}, seed {study.config.run.seed}"), ("data", study.tape.fingerprint),
            ("versions", ", ".join(f"{name} {version}" for name, version in study.document()["versions"].items()))]
    return section("To do it again", definitions(rows))
