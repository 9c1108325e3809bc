"""What research adds to the report of a run: how far to believe it, and what else its days could have made.

Both are read from the run's folder, so that `framework backtest`, `monte-carlo` and `report` end with the same page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from framework.backtest.monte_carlo_section import FILE
from framework.backtest.recorded import DOCUMENT, LEGS, read_document
from framework.backtest.report import with_section
from framework.backtest.tables import row, table
from framework.backtest.write import write_whole
from framework.errors import DataError
from framework.research.folders import JOURNAL
from framework.research.history import History, history_of_run
from framework.research.sharpe import (
    deflated_sharpe_ratio,
    minimum_backtest_length,
    moments,
    probabilistic_sharpe_ratio,
)

REPORT = "report.html"

SAME = 1e-9
"""Sharpe ratios per day that are closer are those of one trial."""

METHODS = {"block_bootstrap": "blocks of its days", "bootstrap": "single days of it",
           "gbm": "normal log returns of its mean and deviation", "trade_reshuffle": "its trades in another order"}
"""What a path of each method is made of."""


def complete_report(folder: Path) -> None:
    """Put what research knows of a run into its report.html; nothing happens where there is none.

    That of a walk-forward says itself how far to believe it.
    Raises ConfigError or DataError for a folder that cannot be read or written.
    """
    path = folder / REPORT
    if not path.is_file():
        return
    page = path.read_text(encoding="utf-8")
    if not read_document(folder / DOCUMENT).get(LEGS):
        page = with_section(page, "belief", belief_section(folder))
    if (folder / FILE).is_file():
        page = with_section(page, "monte-carlo", monte_carlo_section(read_document(folder / FILE)))
    write_whole(path, page)


# --- how far to believe it --------------------------------------------------------------------------------------------


def belief_section(folder: Path) -> str:
    """Return the section that says how far a run can be believed: one sentence for each statistic."""
    run = read_document(folder / DOCUMENT)
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in beliefs(history_of_run(folder), earlier(folder, run)))
    return f'<h2>How far to believe it</h2><ul class="notes">{told}</ul>'


def earlier(folder: Path, run: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the Sharpe ratios per day of all trials of searches beside a run: of its strategies, on its data."""
    if not any(folder.resolve().parent.glob(f"*/{JOURNAL}")):
        return ()
    from framework.research.journal import earlier_sharpes

    try:
        return earlier_sharpes(folder, {"fingerprint": run["fingerprint"], "config": run["config"]}, ())
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / 'run.json'} is not that of a run: {error!r}; run the backtest again") from error


def beliefs(history: History, sharpes: tuple[float, ...]) -> list[str]:
    """Return one sentence for each statistic of a run. sharpes: per day, of the trials of searches beside it."""
    probable = probabilistic_sharpe_ratio(history.returns)
    if math.isnan(probable.value):
        return [probable.sentence]
    own = moments(history.returns).sharpe
    every = sharpes if any(abs(one - own) < SAME for one in sharpes) else (own, *sharpes)
    if len(every) == 1:
        return [probable.sentence, "No search of these strategies on these data lies beside this run, so that it is "
                "taken for the only trial; every other one that was made, and not written down, makes it less "
                "probable."]
    length = minimum_backtest_length(len(every), own * math.sqrt(history.annualization),
                                     len(history.returns) / history.annualization)
    return [probable.sentence, deflated_sharpe_ratio(history.returns, np.array(every)).sentence, length.sentence]


# --- Monte Carlo ------------------------------------------------------------------------------------------------------


def monte_carlo_section(document: Mapping[str, Any]) -> str:
    """Return the section on a simulation, monte_carlo.json: what it says, and each estimate with its way there."""
    found = document["estimates"]
    unit = "trades" if document["method"] == "trade_reshuffle" else "days"
    intro = (f"{document['paths']:,} paths of {document['steps']:,} {unit}, made of {METHODS[document['method']]}; "
             f"seed {document['seed']}.")
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in [*said(document), *map(sentence_of,
                                                                                       document["notes"])])
    counts = [f"at {count:,}" for count, _ in next(iter(found.values()))["trace"][:-1]]
    lines = [row([escape(name), number(one["value"]), f"{number(one['low'])} to {number(one['high'])}",
                  *(number(value) for _, value in one["trace"][:-1]), "" if one["settled"] else "not settled"])
             for name, one in found.items()]
    heads = ["", "Value", "95% interval", *counts, ""]
    shown = table(heads, lines, caption="Losses and drawdowns are positive. Intervals are those of the simulation.")
    return f'<h2>Monte Carlo</h2><p class="soft">{escape(intro)}</p><ul class="notes">{told}</ul>{shown}'


def said(document: Mapping[str, Any]) -> list[str]:
    """Return what a simulation says in plain sentences, those that its method has."""
    values = {name: one["value"] for name, one in document["estimates"].items()}
    span = f"{document['steps']:,} days"
    told = []
    if "Horizon VaR 95 [%]" in values:
        told += [f"One path in twenty loses {number(values['Horizon VaR 95 [%]'])} % or more of the equity within "
                 f"{span}; the mean loss of those is {number(values['Horizon CVaR 95 [%]'])} %.",
                 f"One path in a hundred loses {number(values['Horizon VaR 99 [%]'])} % or more within {span}, and "
                 f"{number(values['1-Day VaR 99 [%]'])} % or more on its first day.",
                 f"{number(values['Loss Probability [%]'])} % of the paths end below their start."]
    told += [f"Half of the paths see a drawdown of {number(values['Median Drawdown [%]'])} % or more, one in twenty of "
             f"{number(values['Drawdown 95 [%]'])} % or more.",
             f"{number(values['Ruin Probability [%]'])} % of the paths fall to {document['ruin']:.0%} of their equity."]
    if "Deeper Than The Run [%]" in values:
        told.append(f"{number(values['Deeper Than The Run [%]'])} % of the orders of the same trades have a deeper "
                    "drawdown than the one that happened.")
    return told


def sentence_of(note: str) -> str:
    """Return a note as a sentence."""
    return f"{note[:1].upper()}{note[1:]}."


def number(value: float | None) -> str:
    """Return a figure for a reader."""
    return "n/a" if value is None else f"{value:,.2f}".replace("-", "−")
