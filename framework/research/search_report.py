"""The report of a search: one HTML file that needs no network, no script and no other file.

It holds no wall-clock time and nothing of who ran the trials: equal searches give equal bytes.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from html import escape
from itertools import combinations

import numpy as np

from framework.research.neighbourhood import PLATEAU, SPIKE
from framework.research.page import definitions, head, listed, page, rows_table, section, soft
from framework.research.search import Search
from framework.research.search_charts import Axis, Floats, heat_map, make_axis, parallel, pictures, scatter, shown, way
from framework.research.trial import Outcome

LISTED = 15
"""Trials in the table of the best."""

HEAT_MAPS = 6
"""Pairs of parameters that are drawn, those that matter most."""

AXES = 10
"""Parameters among the parallel coordinates, those that matter most."""


def search_html(search: Search) -> str:
    """Return the whole report of a search as the text of one HTML file."""
    view = View(search)
    parts = (header, best_table, neighbours, believed, maps, lines, one_by_one, front, progress, provenance)
    return page(f"{search.study.config.name} · search", (part(view) for part in parts))


class View:
    """The complete trials of a search as arrays, and its parameters as axes, those that matter most first."""

    def __init__(self, search: Search) -> None:
        self.search, self.study = search, search.study
        self.trials = search.complete
        self.objective = self.study.objective.names[0]
        self.values: Floats = np.array([(one.values or (np.nan,))[0] for one in self.trials])
        self.losses: Floats = np.array([self.study.objective.losses(one.values or ())[0] for one in self.trials])
        axes = [make_axis(one.path, [trial.params[one.path] for trial in self.trials], one.log)
                for one in self.study.space.dimensions]
        varied = [axis for axis in axes if len(axis.marks) > 1]
        self.axes = sorted(varied, key=lambda axis: -matters(axis, self.losses))
        self.best = next(i for i, one in enumerate(self.trials) if one.number == search.best.number)


def matters(axis: Axis, losses: Floats) -> float:
    """Return the share of the objective's variance between the levels of a parameter (the correlation ratio)."""
    whole = float(np.var(losses))
    if whole == 0.0:
        return 0.0
    counts = np.bincount(axis.level, minlength=len(axis.marks))
    sums = np.bincount(axis.level, weights=losses, minlength=len(axis.marks))
    known = counts > 0
    means = sums[known] / counts[known]
    return float(np.average((means - losses.mean()) ** 2, weights=counts[known]) / whole)


def header(view: View) -> str:
    """What was searched, and the best of it."""
    search, study = view.search, view.study
    near = search.neighbourhood
    space = ", ".join(one.path for one in study.space.dimensions)
    told = (f"{len(search.outcomes):,} trials over {space} by {study.settings.sampler}; all of them begin at "
            f"{study.config.run.start} on {', '.join(study.tape.symbols[:6])}"
            f"{f' and {len(study.tape.symbols) - 6} more' if len(study.tape.symbols) > 6 else ''}")
    figures = [(f"Best {view.objective}", shown(near.best)),
               *((path, shown(value)) for path, value in search.best.params.items()),
               ("Its neighbours", "n/a" if np.isnan(near.around) else shown(near.around)),
               ("All trials", shown(near.middle)), ("It stands on a", near.verdict),
               ("Trades", f"{search.best.statistics.get('# Trades', 0):,}")]
    states = Counter(one.state for one in search.outcomes if one.values is None)
    without = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
    lost = [f"{sum(states.values()):,} trials have no value: {without}"] if states else []
    return head(f"{study.config.name}: search for {', '.join(study.objective.names)}", told, figures,
                "; ".join([*lost, *search.notes]))


def table(view: View, rows: list[Outcome]) -> str:
    """Return trials as a table."""
    paths = [one.path for one in view.study.space.dimensions]
    names = view.study.objective.names
    more = [name for name in ("Return [%]", "Sharpe Ratio", "# Trades") if name not in names]
    lines = []
    for one in rows:
        lines.append([str(one.number), *(shown(one.params[path]) for path in paths),
                      *(shown(value) for value in one.values or ()),
                      *("n/a" if one.statistics.get(name) is None else shown(one.statistics[name]) for name in more)])
    return rows_table(("trial", *paths, *names, *more), lines)


def best_table(view: View) -> str:
    """The best trials by the first objective."""
    return section("The best trials", table(view, view.search.leaders(LISTED)))


def neighbours(view: View) -> str:
    """Whether the best is a plateau or a spike."""
    near = view.search.neighbourhood
    meaning = {PLATEAU: "Neighbouring parameters do nearly as well: the result does not hang on this very point.",
               SPIKE: "Neighbouring parameters do no better than any others: this is what chance looks like. Do not "
                      "trade it."}.get(near.verdict, "Look at the pictures before believing it.")
    lost = f" {near.lost} of the neighbours have no value." if near.lost else ""
    return section("Plateau or spike", f"<p>{escape(f'{near}. {meaning}{lost}')}</p>",
                  f'<p class="soft">The best of {len(view.trials):,} trials is the luckiest of them as well; what it '
                  "made here is more than it will make elsewhere.</p>")


def believed(view: View) -> str:
    """How far the best can be believed: one sentence for each statistic."""
    evidence = view.search.evidence
    if evidence is None:
        return ""
    counted = (f"{len(view.search.earlier):,} trials of earlier searches on the same data are counted as well."
               if view.search.earlier else "")
    return section("How far to believe it", listed(evidence.sentences), soft(counted))


def legend(view: View) -> str:
    """The colours and what they stand for."""
    best = view.values[view.best]
    worst = view.values[int(np.argmin(np.abs(view.losses - np.quantile(view.losses, 0.95))))]
    return (f'<div class="scale"></div><div class="ends"><span>{escape(shown(float(worst)))} or worse</span>'
            f"<span>{escape(shown(float(best)))}</span></div>")


def maps(view: View) -> str:
    """Heat maps of the pairs of parameters that matter most."""
    pairs = sorted(combinations(range(len(view.axes)), 2), key=sum)[:HEAT_MAPS]
    drawn = [partial(heat_map, view.axes[a], view.axes[b], view.values, view.losses, view.best, view.objective)
             for a, b in pairs]
    if not drawn:
        return ""
    told = "Each cell is the best trial in it" if len(view.axes) > 2 else "Each cell is a trial, or the best of some"
    return section(f"{view.objective} over pairs of parameters", legend(view),
                  soft(f"{told}; the best of all is outlined."), pictures(drawn))


def lines(view: View) -> str:
    """Parallel coordinates."""
    if len(view.axes) < 2:
        return ""
    objective = make_axis(view.objective, view.values.tolist())
    return section("Every trial as a line", parallel(view.axes[:AXES], objective, view.losses))


def one_by_one(view: View) -> str:
    """The objective over each parameter."""
    objective = make_axis(view.objective, view.values.tolist())
    drawn = [partial(scatter, axis, objective, view.losses, [view.best]) for axis in view.axes]
    told = " ".join(f"{axis.name} explains {100 * matters(axis, view.losses):.0f} % of the variance."
                    for axis in view.axes)
    return section("One parameter at a time", soft(told),
                  pictures(drawn))


def front(view: View) -> str:
    """The trials that no other one beats, with several objectives."""
    names = view.study.objective.names
    if len(names) < 2:
        return ""
    numbers = {one.number for one in view.search.front}
    ringed = [i for i, one in enumerate(view.trials) if one.number in numbers]
    first, second = (make_axis(name, [float((one.values or ())[k]) for one in view.trials])
                     for k, name in enumerate(names[:2]))
    return section("The front", '<p class="soft">No other trial beats these in everything.</p>',
                  scatter(first, second, view.losses, ringed), table(view, view.search.front))


def progress(view: View) -> str:
    """The best so far, trial by trial."""
    return section("The way to the best", way([one.number for one in view.trials], view.values, view.losses))


def provenance(view: View) -> str:
    """What is needed to do it again."""
    study = view.study
    document = study.document()
    rows = [("space", "; ".join(f"{path}: {', '.join(f'{k} {v}' for k, v in one.items() if v is not None)}"
                                for path, one in document["space"]["dimensions"].items())),
            ("constraints", "; ".join(document["space"]["constraints"]) or "none"),
            ("sampler", f"{study.settings.sampler}, seed {study.config.run.seed}"),
            ("objective", "; ".join(f"{direction} {name}" for name, direction in
                                    zip(study.objective.names, study.objective.directions, strict=True))),
            ("min_trades", f"{study.objective.min_trades}"), ("data", study.tape.fingerprint),
            ("versions", ", ".join(f"{name} {version}" for name, version in document["versions"].items()))]
    return section("To do it again", definitions(rows))
