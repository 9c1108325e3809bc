"""The comparison with other backtesters reckons right, finds trades that differ, and writes what it found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import backtest  # noqa: E402
import comparison  # noqa: E402
import optimize  # noqa: E402
from comparison import Side, compare_trades, run_side, times_faster, write_between  # noqa: E402


def told(seconds: list[float], bars: int = 100, **more: Any) -> comparison.Told:
    """Return what a side would tell of one round; its processor's time is half of the wall's."""
    return {"wall": seconds, "processor": [value / 2.0 for value in seconds], "first": 9.0, "peak": 3 << 20,
            "version": "1", "bars": bars, **more}


def with_trades(equity: float = 1_000.0, **changed: Any) -> comparison.Told:
    """Return what a side that made two trades would tell, with something changed."""
    found = {"entry_bar": [1, 5], "exit_bar": [3, 9], "entry_price": [10.0, 11.0], "exit_price": [12.0, 10.5]}
    return {**told([1.0]), "equity": equity, "refused": None,
            "found": {name: np.array(values) for name, values in {**found, **changed}.items()}}


def test_a_ratio_is_the_median_of_the_rounds_by_the_bar_with_its_extremes() -> None:
    """Ours 1, 2, 4 s for 100 bars; theirs 5, 8, 10 s for 50 bars are 10, 16, 20 s for 100: 10, 8 and 5 times."""
    ours = [told([1.0]), told([1.0, 2.0, 9.0]), told([4.0])]
    theirs = [told([5.0], 50), told([8.0], 50), told([10.0], 50)]
    assert times_faster(ours, theirs, backtest.bars_of) == {"median": 8.0, "lowest": 5.0, "highest": 10.0,
                                                            "processor": 8.0}


def test_the_processor_ratio_comes_from_the_time_on_the_processor() -> None:
    """A side that waits: 4 s on the wall and 1 s on the processor, beside one with 1 s and 0.5 s."""
    waiting = {**told([4.0]), "processor": [1.0]}
    assert times_faster([told([1.0])], [waiting], backtest.bars_of) == {"median": 4.0, "lowest": 4.0, "highest": 4.0,
                                                                       "processor": 2.0}


def test_a_side_of_one_round_is_compared_with_every_round_of_ours() -> None:
    """6 s against 1, 2 and 3 s: 6, 3 and 2 times."""
    ours = [told([1.0]), told([2.0]), told([3.0])]
    found = times_faster(ours, [told([6.0])], backtest.bars_of)
    assert (found["median"], found["lowest"], found["highest"]) == (3.0, 2.0, 6.0)


def test_a_rate_counts_bars_and_a_search_the_bars_of_all_pairs() -> None:
    """100 bars in 2 s are 50 a second; with 4 pairs 200."""
    assert comparison.summary([told([2.0])], backtest.bars_of)["units_per_second"] == 50.0
    assert comparison.summary([told([2.0], pairs=4)], optimize.trial_bars)["units_per_second"] == 200.0


def test_memory_is_the_most_of_all_rounds() -> None:
    """Not of the first."""
    assert comparison.summary([told([1.0]), {**told([1.0]), "peak": 7}], backtest.bars_of)["peak_bytes"] == 3 << 20


def test_equal_trades_are_found_the_same_up_to_rounding() -> None:
    """A price and an equity that differ by 1e-12 of themselves are rounding."""
    other = with_trades(1_000.0 * (1 + 1e-12), entry_price=[10.0 * (1 + 1e-12), 11.0])
    assert compare_trades(with_trades(), other)["same"]


@pytest.mark.parametrize("changed", [
    {"entry_bar": [1, 6]}, {"exit_bar": [4, 9]}, {"entry_price": [10.0, 11.000001]}, {"exit_price": [12.000001, 10.5]},
    {"equity": 1_000.00001}, {"exit_price": [12.0, float("nan")]}, {"equity": float("nan")},
    {"entry_bar": [1], "exit_bar": [3], "entry_price": [10.0], "exit_price": [12.0]},
])
def test_a_changed_trade_is_found(changed: dict[str, Any]) -> None:
    """A bar, a price, the equity, a missing trade, a number that is none: each alone is a difference."""
    assert not compare_trades(with_trades(), with_trades(**changed))["same"]
    assert not compare_trades(with_trades(**changed), with_trades())["same"]


def test_sides_without_any_trade_are_not_the_same() -> None:
    """Nothing was compared then."""
    empty = with_trades(entry_bar=[], exit_bar=[], entry_price=[], exit_price=[])
    assert not compare_trades(empty, empty)["same"]


def test_a_trade_that_differs_in_a_later_round_is_found() -> None:
    """Every round is looked at, and the one that differs is told."""
    found = backtest.checked("x", [with_trades(), with_trades(exit_bar=[3, 10])], [with_trades()])
    assert not found["same"]
    assert not found["bars_equal"]


def test_a_changed_return_of_a_pair_is_found() -> None:
    """All 496 pairs, one of them a thousandth better."""
    pairs = np.array([(a, b) for a in range(32) for b in range(a)])
    ours = {"found": {"pairs": pairs, "returns": np.full(496, 0.1)}}
    other = {"found": {"pairs": pairs, "returns": np.full(496, 0.1)}}
    assert optimize.compare_returns(ours, other)["same"]
    other["found"]["returns"][77] += 0.001
    assert not optimize.compare_returns(ours, other)["same"]
    other["found"]["returns"][77] = np.nan
    assert not optimize.compare_returns(ours, other)["same"]
    fewer = {"found": {name: values[:-1] for name, values in ours["found"].items()}}
    assert not optimize.compare_returns(ours, fewer)["same"]


def test_the_tables_show_every_side_and_say_what_was_missed() -> None:
    """Every side runs once in 1 s a bar, so that all ratios are 1: what wants more is missed."""
    rounds = {name: [with_trades()] for name in backtest.SIDES}
    ratios = {mine: {name: times_faster(rounds[mine], one, backtest.bars_of) for name, one in rounds.items()}
              for mine in backtest.AGAINST}
    equal = ratios[backtest.OURS][backtest.OURS]
    wanted = [{**bar._asdict(), **equal, "met": bar.least <= 1.0} for bar in backtest.BARS]
    text = backtest.text_of({
        "bars": 100, "rounds": 1, "machine": "m", "kernel": "k", "ratios": ratios, "wanted": wanted,
        "sides": {name: {**comparison.summary(one, backtest.bars_of), "trades": 2} for name, one in rounds.items()},
        "rates_by_length": {"backtrader": {50: 1.0, 100: 2.0}},
        "trades": [backtest.checked(name, rounds[name], rounds[mine])
                   for name, mine in backtest.SAME_TRADES.items()]})
    for name in backtest.SIDES:
        assert re.search(rf"^\| {re.escape(name)} +\| +100 +\| +100 +\| 1.00 \(1.00 to 1.00\)", text, re.M), name
    assert text.count("MISSED") == sum(bar.least > 1.0 for bar in backtest.BARS)
    assert len(re.findall(r"\| +met \|", text)) == sum(bar.least <= 1.0 for bar in backtest.BARS)


def test_figures_have_three_significant_digits_in_a_table_that_lines_up() -> None:
    """Of any size, and the first column to the left."""
    assert [comparison.digits(value) for value in (12_345.6, 99.95, 1.2345, 0.00012345)] == ["12,300", "100", "1.23",
                                                                                          "0.000123"]
    assert comparison.spread_text({"median": 2.0, "lowest": 1.5, "highest": 1_000.0}) == "2.00 (1.50 to 1,000)"
    assert comparison.table(["a", "bbb"], [["long", "1"], ["x", "22"]]) == (
        "| a    | bbb |\n| ---- | --: |\n| long |   1 |\n| x    |  22 |")


def test_every_side_is_held_to_trades_of_ours() -> None:
    """Only those that are the measure are compared with nothing."""
    assert backtest.SIDES.keys() - backtest.SAME_TRADES.keys() == {backtest.OURS, backtest.ENTRY, backtest.GUARDED}


def test_peers_are_pinned_by_name_and_version_and_their_scripts_exist() -> None:
    """In a file of requirements each."""
    for side in [*backtest.SIDES.values(), *optimize.SIDES.values()]:
        assert (comparison.PEERS / side.script).exists()
        if side.environment:
            lines = (comparison.PEERS / f"requirements-{side.environment}.txt").read_text().splitlines()
            assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)


def test_a_page_gets_the_text_between_its_marks_and_nothing_else_changes(tmp_path: Path) -> None:
    """Twice the same is once."""
    page = tmp_path / "page.md"
    page.write_text("# Top\n\n<!-- t: written by its command -->\nold\n<!-- end of t -->\n\nrest\n")
    write_between(page, "t", "new | table")
    write_between(page, "t", "new | table")
    assert page.read_text() == ("# Top\n\n<!-- t: written by its command -->\n\nnew | table\n\n<!-- end of t -->\n\n"
                                "rest\n")
    with pytest.raises(SystemExit, match="no place for the table"):
        write_between(page, "u", "x")


def test_the_documented_page_has_its_marks_and_a_row_for_every_side() -> None:
    """The table in the documentation is one that the command wrote."""
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    inside = text.partition("<!-- backtest: written by its command -->")[2].partition("<!-- end of backtest -->")[0]
    for name in backtest.SIDES:
        assert re.search(rf"^\| {re.escape(name)} *\|", inside, re.M), name
    assert "DIFFERENT" not in inside


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the bars of the comparison, few of them."""
    folder = tmp_path_factory.mktemp("bars")
    comparison.write_bars(folder, 4_000)
    return folder


@pytest.fixture(scope="module")
def plain(bars: Path) -> comparison.Told:
    """Run the side that the others are held to."""
    return run_ours(backtest.OURS, bars)


def run_ours(name: str, folder: Path) -> comparison.Told:
    """Run one of our sides."""
    side = backtest.SIDES[name]
    assert side.environment is None
    return run_side(name, side, folder, 3_000, 1)


def test_our_sides_make_the_trades_that_they_are_held_to(bars: Path, plain: comparison.Told) -> None:
    """By the public call, asked at every close and interpreted; memory, times and version are told."""
    assert plain["found"]["entry_bar"].size > 20
    assert plain["peak"] > 10 << 20
    assert len(plain["wall"]) == 1
    for name in (backtest.PUBLIC, backtest.ASKED, backtest.INTERPRETED):
        assert compare_trades(plain, run_ours(name, bars))["same"]


def test_stops_targets_trails_and_rules_do_their_work_in_the_guarded_side(bars: Path, plain: comparison.Told) -> None:
    """It trades at least as often as the plain one, some exits are its stops', and no rule refuses an entry."""
    guarded = run_ours(backtest.GUARDED, bars)
    assert guarded["found"]["entry_bar"].size >= plain["found"]["entry_bar"].size
    assert guarded["refused"] == 0
    assert not np.array_equal(guarded["found"]["exit_bar"], plain["found"]["exit_bar"])


def test_a_side_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    """Its own message, and the name of the side."""
    with pytest.raises(SystemExit, match=r"(?s)broken failed:.*bars\.npz"):
        run_side("broken", Side("with_framework.py", ("compiled", "wake", "both")), tmp_path, 10, 1)


@pytest.mark.parametrize("script", ["backtest.py", "optimize.py"])
def test_a_comparison_tells_its_options(script: str) -> None:
    """Without running anything."""
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / script, "--help"], capture_output=True, text=True,
                          check=True)
    assert "--write PAGE" in done.stdout
