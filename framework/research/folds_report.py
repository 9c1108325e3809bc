"""What a cross-validation writes: its splits and paths, the daily returns of the paths, and a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from framework.backtest.write import write_json, write_table
from framework.research.page import definitions, head, listed, page, rows_table, section, soft
from framework.research.search_charts import HEIGHT, MARGIN, WIDE, shown, svg, text

if TYPE_CHECKING:
    from framework.research.folds import Validation

PATHS_DRAWN = 40
"""Paths that are drawn, the first ones; all of them are counted."""

POINTS = 400
"""Days of a drawn path, evenly chosen."""


def write_validation(found: Validation, report: bool, command: Sequence[str]) -> None:
    """Write walk_forward.json, paths.parquet and report.html into the folder of the search."""
    folder = found.search.folder
    assert folder is not None
    write_json(folder / "walk_forward.json", {**found.document(), "command": list(command)})
    write_table(folder / "paths.parquet", found.table)
    if report:
        Path(folder / "report.html").write_text(validation_html(found), encoding="utf-8")


def validation_html(found: Validation) -> str:
    """Return the whole report as the text of one HTML file."""
    parts = (header, believed, curves, paths_table, splits_table, steady, provenance)
    return page(f"{found.search.study.config.name} · {found.settings.method}", (part(found) for part in parts))


def figure(value: float | None) -> str:
    """Return a number for a table."""
    return "n/a" if value is None or not np.isfinite(value) else f"{value:,.2f}"


def header(found: Validation) -> str:
    """What was done, and how the paths did."""
    study = found.search.study
    name = study.objective.names[0]
    ratios = np.array([one["Sharpe Ratio"] for one in found.of_paths])
    known = ratios[np.isfinite(ratios)]
    told = (f"{len(found.folds)} splits of {len(found.time):,} days; in each the best of "
            f"{len(found.search.outcomes):,} trials by {name} on the days that train, {found.purge.days} days before "
            f"and {found.embargo.days} after every test left out; on {', '.join(study.tape.symbols[:6])}"
            f"{f' and {len(study.tape.symbols) - 6} more' if len(study.tape.symbols) > 6 else ''}")
    inside, outside = (float(np.mean([getattr(fold, side) for fold in found.folds])) for side in ("value", "out"))
    lost = float(np.mean(known < 0.0)) if len(known) else None
    figures = [(f"{name}, chosen by", figure(inside)), (f"{name}, tested", figure(outside)),
               ("Sharpe Ratio of the paths", figure(float(np.median(known)) if len(known) else None)),
               ("Paths that lose", "n/a" if lost is None else f"{lost:.0%}"), ("Paths", f"{len(found.paths)}")]
    return head(f"{study.config.name}: {found.settings.method}", told, figures)


def believed(found: Validation) -> str:
    """How far the best of all trials can be believed: one sentence for each statistic."""
    evidence = found.search.evidence
    return section("How far to believe it", listed(evidence.sentences if evidence is not None else ()),
                   soft("The statistics are of the search over all days; the paths below say how its choices do on "
                        "days that they did not see."))


def curves(found: Validation) -> str:
    """The growth of every path."""
    days = np.unique(np.linspace(0, len(found.time) - 1, min(POINTS, len(found.time))).astype(int))
    growth = np.cumprod(1.0 + found.paths[:PATHS_DRAWN], axis=1)[:, days]
    low, high = float(min(1.0, growth.min())), float(max(1.0, growth.max()))
    span = high - low or 1.0
    across = MARGIN + (WIDE - MARGIN - 20) * np.arange(len(days)) / max(1, len(days) - 1)

    def y(value: float) -> float:
        return HEIGHT - MARGIN - (value - low) / span * (HEIGHT - MARGIN - 20)

    drawn = ["".join(f"{'L' if k else 'M'}{x:.1f} {y(float(value)):.1f}"
                     for k, (x, value) in enumerate(zip(across, path, strict=True))) for path in growth]
    lines = "".join(f'<path class="way" style="opacity:{max(0.25, 1.0 / len(drawn)):.2f}" d="{d}"/>' for d in drawn)
    first, last = (str(np.datetime64(int(found.time[at]), "ns").astype("M8[D]")) for at in (0, -1))
    body = [f'<path class="axis" d="M{MARGIN} 12V{HEIGHT - MARGIN:.1f}H{WIDE - 10}"/>',
            f'<path class="axis" d="M{MARGIN} {y(1.0):.1f}H{WIDE - 10}" style="opacity:.3"/>', lines,
            text(MARGIN - 6, y(low) + 4, f"{low:.2f}", "end"), text(MARGIN - 6, y(high) + 4, f"{high:.2f}", "end"),
            text(MARGIN, HEIGHT - MARGIN + 22, first, "start"), text(WIDE - 20, HEIGHT - MARGIN + 22, last, "end")]
    more = f" The first {PATHS_DRAWN} of {len(found.paths)} are drawn." if len(found.paths) > PATHS_DRAWN else ""
    return section("The paths", soft("Growth of 1 along each path: every day comes from a split that did not train on "
                                     f"it.{more}"), svg("".join(body), "growth of the paths", WIDE))


def paths_table(found: Validation) -> str:
    """The statistics of every path."""
    names = list(found.of_paths[0])
    rows = [[str(number), *(figure(one[name]) for name in names)] for number, one in enumerate(found.of_paths, 1)]
    return section("Path by path", rows_table(("path", *names), rows))


def splits_table(found: Validation) -> str:
    """What every split chose."""
    study = found.search.study
    paths, name = [one.path for one in study.space.dimensions], study.objective.names[0]
    rows = [[", ".join(str(group + 1) for group in fold.split.groups), f"{len(fold.split.train):,}",
             f"{len(fold.split.test):,}", *(shown(fold.params[path]) for path in paths), figure(fold.value),
             figure(fold.out)] for fold in found.folds]
    return section("Split by split", rows_table(("tested", "days to train", "days tested", *paths, f"in {name}",
                                                 f"out {name}"), rows))


def steady(found: Validation) -> str:
    """How steady the choices are."""
    rows = [(one.path, f"{shown(one.common)} ({100 * one.share:.0f} %)",
             "n/a" if one.spread is None else f"{one.spread:.2f}") for one in found.stability]
    return section("Stability of the parameters",
                   soft("spread: the deviation of the choices over that of the space; 0 is always the same, 1 is no "
                        "better than chance."), rows_table(("parameter", "most often", "spread"), rows))


def provenance(found: Validation) -> str:
    """What is needed to do it again."""
    study = found.search.study
    settings = {key: getattr(found.settings, key) for key in ("method", "folds", "test_folds", "purge", "embargo")}
    rows = [("folds", ", ".join(f"{key} = {value}" for key, value in settings.items() if value is not None)),
            ("sampler", f"{study.settings.sampler}, seed {study.config.run.seed}"), ("data", study.tape.fingerprint),
            ("versions", ", ".join(f"{name} {version}" for name, version in study.document()["versions"].items()))]
    return section("To do it again", definitions(rows))
