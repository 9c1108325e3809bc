"""What research adds to a run's report: how far to believe it, and its Monte Carlo, whichever verb made it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.backtest.report import MORE, with_section
from framework.cli import main
from framework.research.history import History, history_of_run
from framework.research.run_report import beliefs, complete_report, monte_carlo_section
from framework.research.sharpe import deflated_sharpe_ratio, probabilistic_sharpe_ratio
from tests.test_research_report import Page

RUN = """
[data]
source = "synthetic"
bars = 900
symbols = ["SYNTH"]
[strategy]
name = "ema_cross"
[monte_carlo]
horizon = 30
"""
SEARCH = RUN + """
[optimize]
executor = "local"
[optimize.space]
fast = [5, 8, 12]
slow = [20, 40]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with two configurations."""
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(RUN)
    Path("search.toml").write_text(SEARCH)
    return tmp_path


def titles(path: str) -> list[str]:
    """Return the titles of the sections of a report, and check that it is whole HTML without links."""
    text = Path(path).read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.links == []
    return re.findall(r"<h2>(.*?)</h2>", text)


def plain(path: str) -> str:
    """Return a report without its tags."""
    return re.sub(r"<[^>]+>", " ", Path(path).read_text(encoding="utf-8"))


def test_a_run_says_how_far_to_believe_it_without_being_asked(folder: Path) -> None:
    assert main(["backtest", "run.toml", "--out", "made"]) == 0
    assert "How far to believe it" in titles("made/report.html")
    assert "Monte Carlo" not in titles("made/report.html")
    assert "If this were the only strategy ever tried" in plain("made/report.html")
    assert "No search of these strategies on these data lies beside this run" in plain("made/report.html")


def test_trials_of_a_search_beside_a_run_are_counted_in_its_report(folder: Path) -> None:
    """Six of the search; the run is none of them: seven."""
    assert main(["optimize", "search.toml", "--out", "found", "--no-report"]) == 0
    assert main(["backtest", "run.toml", "--out", "made"]) == 0
    assert "Counting all 7 trials" in plain("made/report.html")
    assert "No search of these strategies" not in plain("made/report.html")


def test_the_best_of_a_search_is_counted_once(folder: Path) -> None:
    assert main(["optimize", "search.toml", "--out", "found", "--no-report"]) == 0
    assert main(["backtest", "found/best.toml", "--out", "made"]) == 0
    assert "Counting all 6 trials" in plain("made/report.html")


def test_monte_carlo_is_in_the_report_of_its_run(folder: Path) -> None:
    """Of `backtest --monte-carlo`; a later `monte-carlo` replaces it, and `report --rebuild` keeps it."""
    assert main(["backtest", "run.toml", "--out", "made", "--monte-carlo"]) == 0
    assert titles("made/report.html").count("Monte Carlo") == 1
    found = json.loads(Path("made/monte_carlo.json").read_text())
    worst = found["estimates"]["Horizon VaR 95 [%]"]["value"]
    assert f"One path in twenty loses {worst:,.2f}".replace("-", "−") in plain("made/report.html")
    assert "10,000 paths of 30 days" in plain("made/report.html")
    assert main(["monte-carlo", "made", "--method", "trade_reshuffle"]) == 0
    assert titles("made/report.html").count("Monte Carlo") == 1
    assert "its trades in another order" in plain("made/report.html")
    assert "of the orders of the same trades have a deeper drawdown" in plain("made/report.html")
    before = Path("made/report.html").read_bytes()
    assert main(["report", "made", "--rebuild"]) == 0
    assert Path("made/report.html").read_bytes() == before


def test_a_simulation_that_is_written_elsewhere_leaves_the_report_alone(folder: Path) -> None:
    assert main(["backtest", "run.toml", "--out", "made"]) == 0
    before = Path("made/report.html").read_bytes()
    assert main(["monte-carlo", "made", "--out", "other"]) == 0
    assert Path("made/report.html").read_bytes() == before
    assert main(["backtest", "run.toml", "--out", "bare", "--no-report", "--monte-carlo"]) == 0
    assert not Path("bare/report.html").exists()
    complete_report(Path("bare"))
    assert not Path("bare/report.html").exists()


def test_sentences_carry_the_figures_of_the_statistics() -> None:
    """With 20 earlier trials of Sharpe ratios from -0.1 to 0.09 a day."""
    returns = np.random.default_rng(3).normal(0.001, 0.01, 500)
    history = History(returns, np.empty(0), 1.0, 1.0)
    sharpes = tuple(float(x) for x in np.linspace(-0.1, 0.09, 20))
    own = float(returns.mean() / returns.std(ddof=1))
    told = beliefs(history, sharpes)
    assert told[0] == probabilistic_sharpe_ratio(returns).sentence
    assert told[1] == deflated_sharpe_ratio(returns, [own, *sharpes]).sentence
    assert "Among 21 trials" in told[2]
    assert beliefs(History(np.zeros(50), np.empty(0), 1.0, 1.0), sharpes) == [
        "Returns that do not vary have no Sharpe ratio, so nothing can be said about it."]


def test_what_is_not_known_is_said_as_such(folder: Path) -> None:
    assert main(["backtest", "run.toml", "--out", "made", "--monte-carlo", "--no-report"]) == 0
    document: dict[str, Any] = json.loads(Path("made/monte_carlo.json").read_text())
    document["estimates"]["1-Day Mean [%]"]["value"] = None
    assert "<td class=\"n\">n/a</td>" in monte_carlo_section(document)
    assert len(history_of_run("made").returns) > 800


def test_a_section_is_put_in_its_place_once() -> None:
    page = f"<main><p>a</p>\n{MORE}\n<p>b</p></main>"
    once = with_section(page, "x", "<h2>X</h2>")
    assert once == f'<main><p>a</p>\n<section id="x"><h2>X</h2></section>\n{MORE}\n<p>b</p></main>'
    again = with_section(with_section(once, "y", r"\1"), "x", "<h2>Z</h2>")
    assert again.index("Z") < again.index(r"\1") < again.index(MORE)
    assert "<h2>X</h2>" not in again
    assert with_section("<main></main>", "x", "c").endswith('<section id="x">c</section>\n</main>')
