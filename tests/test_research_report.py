"""The report of a search: complete, self-contained, the same bytes for the same search, and its pictures true."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.research.optimize import search
from framework.research.page import rows_table
from framework.research.search_charts import (
    WIDE,
    WIDTH,
    chosen,
    colour,
    heat_map,
    make_axis,
    parallel,
    scatter,
    shares,
    way,
)
from framework.research.search_report import matters, search_html
from tests.search_cases import config_of

GRID: dict[str, Any] = {"sampler": "grid", "space": {"fast": [3, 5, 8, 13], "slow": [10, 20, 40]},
                        "constraints": ["fast < slow"]}


class Page(HTMLParser):
    """Collects tags and fails on one that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def sections(text: str) -> list[str]:
    """Return the titles of the sections."""
    return re.findall(r"<h2>(.*?)</h2>", text)


def test_numbers_stand_to_the_right_and_texts_to_the_left() -> None:
    """A column is one of numbers when all its cells are, but those that say that there is none; long texts wrap."""
    long = "150 % of the deepest drawdown of all"
    text = rows_table(("leg", "from", "chosen", "Return", "rule"),
                      [("1", "2020-01-01", "flat", "-1.5", long), ("2", "2020-02-01", "1,024", "n/a", "> 1")])
    assert text.startswith('<div class="scroll"><table>')
    assert re.findall(r"<th( .*?)?>(.*?)</th>", text) == [(' class="n"', "leg"), ("", "from"), (' class="n"', "chosen"),
                                                        (' class="n"', "Return"), ("", "rule")]
    assert re.findall(r"<td( .*?)?>(.*?)</td>", text)[:5] == [(' class="n"', "1"), ("", "2020-01-01"),
                                                            (' class="n"', "flat"), (' class="n"', "-1.5"),
                                                            (' class="long"', long)]


def test_a_picture_alone_is_drawn_for_the_whole_width(tmp_path: Path) -> None:
    """Two parameters make one heat map and two scatters; three make three heat maps, side by side like the scatters."""
    one = search_html(search(config_of(GRID), tmp_path / "one", report=False))
    assert widths(one) == {"Sharpe Ratio over pairs of parameters": [WIDE], "Every trial as a line": [WIDE],
                           "One parameter at a time": [WIDTH] * 2, "The way to the best": [WIDE]}
    more = {**GRID, "space": {**GRID["space"], "sizing.percent": [5.0, 10.0]}}
    assert widths(search_html(search(config_of(more), tmp_path / "more", report=False)))[
        "Sharpe Ratio over pairs of parameters"] == [WIDTH] * 3


def widths(text: str) -> dict[str, list[float]]:
    """Return the widths of the pictures of each section that has some; none reaches beyond its own."""
    found = {}
    for part in text.split("<section>"):
        drawn = re.findall(r'viewBox="0 0 (\S+) \S+"(.*?)</svg>', part, re.DOTALL)
        if drawn:
            found[sections(part)[0]] = [float(width) for width, _ in drawn]
        for width, body in drawn:
            assert max(float(x) for x in re.findall(r' (?:cx|x)="(.*?)"', body)) <= float(width)
    return found


def test_what_does_not_fit_scrolls_in_its_own_box_with_a_shadow(tmp_path: Path) -> None:
    """Every table and picture of the page stands in such a box; the shadow is not covered where more is hidden."""
    text = search_html(search(config_of(GRID), tmp_path / "run", report=False))
    style = re.sub(r"\s+", " ", text.partition("<style>")[2].partition("</style>")[0])
    box = style.partition(".scroll {")[2].partition("}")[0]
    assert "overflow-x: auto" in box
    assert len(re.findall(r"no-repeat local", box)) == len(re.findall(r"no-repeat[,;]", box)) == 2
    for tag in ("table", "svg"):
        assert text.count(f"<{tag}") == text.count(f'<div class="scroll"><{tag}') > 0


def test_a_report_has_its_sections_and_needs_nothing_else(tmp_path: Path) -> None:
    found = search(config_of(GRID), tmp_path / "run")
    text = search_html(found)
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") == text
    page = Page(text)
    assert page.open == []
    assert page.links == []
    assert "script" not in page.tags
    assert sections(text) == ["The best trials", "Plateau or spike", "How far to believe it",
                              "Sharpe Ratio over pairs of parameters",
                              "Every trial as a line", "One parameter at a time", "The way to the best",
                              "To do it again"]
    assert f"{found.best.values[0]:.4g}" in text  # type: ignore[index]


def test_the_same_search_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (search_html(search(config_of({**GRID, "executor": "local", "workers": workers}),
                                        tmp_path / str(workers))) for workers in (1, 2))
    assert first == second


def test_several_objectives_have_a_front_and_trials_without_a_value_are_counted(tmp_path: Path) -> None:
    found = search(config_of({**GRID, "objective": ["Sharpe Ratio", "# Trades"], "min_trades": 40}), tmp_path / "run")
    text = search_html(found)
    assert "The front" in sections(text)
    lost = len(found.outcomes) - len(found.complete)
    assert 0 < lost < 11
    assert f"{lost} trials have no value: {lost} few trades" in text


def test_one_parameter_has_no_map_and_no_lines(tmp_path: Path) -> None:
    text = search_html(search(config_of({"space": {"fast": [3, 5, 8]}}), tmp_path / "run"))
    assert "Every trial as a line" not in sections(text)
    assert "over pairs" not in text


def test_names_are_escaped(tmp_path: Path) -> None:
    text = search_html(search(config_of(GRID, run={"name": "<b>me</b>"}), tmp_path / "run"))
    assert "<b>me" not in text
    assert "&lt;b&gt;me" in text


# --- pictures ---------------------------------------------------------------------------------------------------------

LOSSES = np.array([3.0, 1.0, 2.0, 0.0])


def test_a_cell_of_a_heat_map_has_the_best_of_its_trials() -> None:
    """Trials 0 and 1 share the cell (1, 5); 1 has the smaller loss, so that its value, -1, is told."""
    across, up = make_axis("a", [1, 1, 2, 2]), make_axis("b", [5, 5, 5, 6])
    text = heat_map(across, up, -LOSSES, LOSSES, 3, "value")
    assert sorted(re.findall(r"<title>(.*?)</title>", text)) == ["a 1, b 5: -1", "a 2, b 5: -2", "a 2, b 6: -0"]
    assert text.count('class="best"') == 1


def test_many_values_are_put_together_evenly() -> None:
    axis = make_axis("a", list(range(100)))
    counts = np.bincount(axis.level)
    assert len(axis.marks) == 40
    assert set(counts.tolist()) == {2, 3}
    assert axis.marks[0] == "0"
    assert all(axis.level[int(mark)] == level for level, mark in enumerate(axis.marks))
    assert all(axis.level[int(mark) - 1] == level - 1 for level, mark in enumerate(axis.marks) if level)


def test_choices_and_truth_values_are_axes_too() -> None:
    axis = make_axis("kind", ["long", "short", "long"])
    assert axis.marks == ("long", "short")
    assert axis.place.tolist() == [0.0, 1.0, 0.0]
    assert make_axis("flag", [True, False]).marks == ("True", "False")


def test_a_logarithmic_axis_puts_10_between_1_and_100() -> None:
    assert make_axis("x", [1, 10, 100], log=True).place == pytest.approx([0.0, 0.5, 1.0])


def test_colours_go_from_dark_to_bright() -> None:
    """The ends of viridis."""
    assert (colour(0.0), colour(1.0), colour(-3.0), colour(9.0)) == ("#440154", "#fde725", "#440154", "#fde725")


def test_the_best_has_the_brightest_share_and_the_worst_ones_the_darkest() -> None:
    share = shares(np.arange(101.0))
    assert (share[0], share[95], share[100]) == (1.0, 0.0, 0.0)
    assert shares(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_what_is_drawn_of_many_has_all_of_the_best() -> None:
    losses = np.arange(5_000.0)[::-1]
    drawn = chosen(losses, 400)
    assert len(drawn) == 400
    assert drawn[-1] == 4_999
    assert set(range(4_960, 5_000)) <= set(drawn.tolist())


def test_a_parameter_explains_all_or_nothing_of_the_variance() -> None:
    losses = np.array([0.0, 0.0, 1.0, 1.0])
    assert matters(make_axis("a", [1, 1, 2, 2]), losses) == pytest.approx(1.0)
    assert matters(make_axis("b", [1, 2, 1, 2]), losses) == pytest.approx(0.0)
    assert matters(make_axis("b", [1, 2, 1, 2]), np.ones(4)) == 0.0


def test_pictures_of_a_single_trial_are_drawn() -> None:
    axis, value = make_axis("a", [1]), make_axis("value", [2.0])
    for text in (heat_map(axis, axis, np.ones(1), np.ones(1), 0, "value"), parallel([axis], value, np.ones(1)),
                 scatter(axis, value, np.ones(1), [0]), way([0], np.ones(1), np.ones(1))):
        assert "nan" not in text
        assert Page(text).open == []
