"""The pictures of docs/fills.md: each rule about what a bar cannot tell has one, and a test of the same name.

Each test runs its picture as the page has it, on the engine and on the reference, upright and upside down; most then
change the bar a little and see the rule let go.
"""

from __future__ import annotations

import re
import sys

import pytest

from tests.reference import pictures
from tests.reference.pictures import Picture, day

PICTURES = pictures.pictures()


@pytest.fixture
def shown(request: pytest.FixtureRequest, both_simulators: None) -> Picture:
    """The picture under the heading that the test is named after, which holds."""
    picture = PICTURES[request.node.originalname.removeprefix("test_")]
    picture.holds()
    return picture


# --- the page ---------------------------------------------------------------------------------------------------------


def test_every_heading_has_its_test_and_every_test_its_heading() -> None:
    tests = {name.removeprefix("test_") for name, value in vars(sys.modules[__name__]).items()
             if name.startswith("test_") and "shown" in value.__code__.co_varnames[: value.__code__.co_argcount]}
    assert tests == set(PICTURES)
    assert len(PICTURES) == pictures.section().count("\n#### ")


def test_the_table_names_every_picture_and_links_to_it() -> None:
    links = re.findall(r"\[([^\]]+)\]\(#([\w-]+)\)", pictures.section().partition("\n### ")[0])
    assert [title for title, _ in links] == [picture.title for picture in PICTURES.values()]
    assert [anchor for _, anchor in links] == [name.replace("_", "-") for name in PICTURES]


@pytest.mark.parametrize(("old", "new"), [
    ("fill       bar 2 range  sold 5 at 96", "fill       bar 2 range  sold 5 at 95"),
    ("fill       bar 2 range  sold", "fill       bar 2 open   sold"),
    ("fill       bar 2 range  sold 5", "fill       bar 2 range  sold 4"),
    ("3 target position closed", "3 target filled"),
    ("= 980", "= 981"),
    ("5 * (96 - 100)", "6 * (96 - 100)"),
    ("ambiguous  1", "ambiguous  no"),
    ("bar 2   101 105", "bar 2   101 106"),
    ("stop=96", "stop=97"),
    ("▼", "▲"),
    ("▼", "│"),
    ("├", "│"),
    ("─┤", " │"),
    ("   104 ", "   103 "),
    ("┄ stop", ""),
    ("┄ target", ""),
    ("\n   105", "\n   107"),
])
def test_a_picture_that_is_wrong_does_not_hold(old: str, new: str) -> None:
    """One thing changed in the text of the first picture of a range."""
    text = pictures.section().partition("#### Stop before target")[2].partition("```text\n")[2].partition("```")[0]
    pictures.read("as it is", text).holds()
    assert old in text
    with pytest.raises(AssertionError):
        pictures.read("wrong", text.replace(old, new, 1)).holds()


# --- at the open ------------------------------------------------------------------------------------------------------


def test_gap_through_a_stop(shown: Picture) -> None:
    assert shown.but({2: (98, 98, 94, 95)}) == [(1, "open", 5, 100), (2, "range", -5, 97)]  # no gap: at the stop


def test_gap_through_a_limit(shown: Picture) -> None:
    assert shown.but({1: (99, 100, 95, 97)}) == [(1, "range", 5, 98)]
    assert shown.but(slippage=0.1) == [(1, "open", 5, 96)]  # nobody pushes a limit


def test_gap_through_a_target(shown: Picture) -> None:
    assert shown.but({2: (102, 106, 101, 105)}) == [(1, "open", 5, 100), (2, "range", -5, 103)]


def test_gap_through_a_stop_limit(shown: Picture) -> None:
    assert shown.but({1: (103, 106, 102, 105)}) == [(1, "open", 5, 103)]  # the open does better than its limit
    assert shown.but({2: (105, 106, 104, 105)}) == []  # the price never comes back


def test_entry_beyond_its_own_stop(shown: Picture) -> None:
    assert shown.but({1: (98, 99, 97.5, 98)}) == [(1, "open", 5, 98)]
    assert shown.but({1: (97, 99, 97, 98)}) == [(1, "open", 5, 97), (1, "open", -5, 97)]  # at it is beyond it


def test_open_before_range(shown: Picture) -> None:
    assert shown.but({2: (97, 98, 95, 96)}) == [(1, "open", 5, 100), (2, "open", -5, 97)]  # the stop, placed before


# --- within the range -------------------------------------------------------------------------------------------------


def test_stop_before_target(shown: Picture) -> None:
    assert shown.but({2: (101, 105, 97, 103)}) == [(1, "open", 5, 100), (2, "range", -5, 104)]


def test_stop_before_entry(shown: Picture) -> None:
    assert shown.but({2: (100, 101, 97, 99)}) == [(1, "open", 5, 100), (2, "range", 3, 98)]


def test_nearest_entry_first(shown: Picture) -> None:
    assert shown.but(participation=0.6) == [(1, "range", 4, 99), (1, "range", 2, 98)]


def test_two_rungs_in_one_bar(shown: Picture) -> None:
    assert shown.but({2: (100, 105, 96, 103)}) == [(1, "open", 6, 100), (2, "range", -6, 96)]


def test_two_stops_in_one_bar(shown: Picture) -> None:
    assert shown.but({2: (97, 98, 96.5, 97)}) == [(1, "open", 5, 100), (2, "open", -2, 97)]


def test_both_siblings_in_one_bar(shown: Picture) -> None:
    assert shown.but({1: (99, 104, 95, 101)}) == [(1, "range", 4, 96)]  # 3 to the limit, 4 to the stop
    assert shown.but({1: (99.5, 104, 95, 101)}) == [(1, "range", 4, 96)]  # as far: the first that was placed


def test_limit_touched_but_not_traded_through(shown: Picture) -> None:
    assert shown.but(limit_through=0) == [(1, "range", 5, 98)]
    assert shown.but(limit_through=2) == []


def test_stop_limit_touched_inside_a_bar(shown: Picture) -> None:
    assert shown.but({2: (104, 105, 103, 104)}) == [(2, "range", 5, 103)]
    assert shown.but({2: (105, 106, 104, 105)}) == []


def test_cut_stop_becomes_a_market_order(shown: Picture) -> None:
    assert shown.but(participation=0.8) == [(1, "range", 8, 102)]


# --- entered in this bar ----------------------------------------------------------------------------------------------


def test_entry_and_its_stop_in_one_bar(shown: Picture) -> None:
    assert shown.but({1: (100, 105, 96.5, 104)}) == [(1, "range", 5, 98), (1, "range", -5, 104)]


def test_entry_and_its_target_in_one_bar(shown: Picture) -> None:
    assert shown.but({1: (97, 105, 97, 103)}) == [(1, "open", 5, 97), (1, "range", -5, 104)]  # in at the open


def test_target_by_the_close(shown: Picture) -> None:
    assert shown.but({1: (100, 106, 97, 103.9)}) == [(1, "range", 5, 98)]


def test_entry_at_the_open_sees_the_whole_bar(shown: Picture) -> None:
    assert shown.but({1: (100, 104, 97, 101)}) == [(1, "open", 5, 100), (1, "range", -5, 97)]


def test_stop_that_did_not_see_the_open(shown: Picture) -> None:
    assert shown.but({1: (102, 104, 101.5, 102)}) == [(1, "range", 5, 103)]


def test_stop_above_the_whole_bar(shown: Picture) -> None:
    assert shown.but(slippage=0.0) == [(1, "range", 5, 100), (1, "range", -5, 99)]  # within the bar: its own price


def test_excursion_of_the_entry_bar(shown: Picture) -> None:
    """An entry at the open of the bar has the low of 95 in its books."""
    at_open = pictures.Picture("", {**shown.bars, 1: (100, 103, 95, 101)}, shown.actions)
    assert at_open.run()[0].trades[0].mae == pytest.approx(-0.05)


# --- trailing ---------------------------------------------------------------------------------------------------------


def test_trail_does_not_move_within_a_bar(shown: Picture) -> None:
    assert shown.but({2: (100, 106, 96, 104)}) == [(1, "open", 5, 100), (2, "range", -5, 96)]  # where it stood


def test_trail_counts_the_entry_bar_by_its_close(shown: Picture) -> None:
    assert shown.but({1: (100, 108, 99, 100)}) == [(1, "open", 5, 100)]  # 96 is not touched by 97


def test_trail_wakes_at_the_mark(shown: Picture) -> None:
    assert shown.but({2: (100, 104, 98, 104)}) == [(1, "open", 5, 100)]  # 4 of profit are too few, 7 come too late


# --- at the close -----------------------------------------------------------------------------------------------------


def test_stop_before_market_on_close(shown: Picture) -> None:
    assert shown.but({2: (100, 101, 98, 99)}) == [(1, "open", 5, 100), (2, "close", -5, 99)]


def test_entry_at_the_close_has_not_seen_the_bar(shown: Picture) -> None:
    assert shown.but({1: (100, 101, 95, 96)}) == [(1, "close", 5, 96), (1, "range", -5, 96)]  # beyond its stop: gapped


def test_stop_before_the_last_close(shown: Picture) -> None:
    assert shown.but({2: (100, 101, 98, 99)}) == [(1, "open", 5, 100), (2, "close", -5, 99)]


def test_last_close_of_a_delisted_symbol(shown: Picture) -> None:
    assert shown.but(delisted_after=2) == [(1, "open", 5, 100)]  # two days of silence are allowed
    assert shown.but({2: (100, 101, 96, 98)}) == [(1, "open", 5, 100), (2, "range", -5, 96)]


# --- the account and the clock ----------------------------------------------------------------------------------------


def test_liquidation_against_a_stop(shown: Picture) -> None:
    assert shown.but({3: (90, 91, 89, 90)}) == [(1, "open", 90, 100), (3, "open", -90, 90)]
    gapped = pictures.Picture("", {**shown.bars, 3: (90, 91, 89, 90)}, shown.actions, shown.given).run()[0]
    assert [order.filled for order in gapped.orders] == [90, 90, 0]  # entry, stop, liquidation


def test_margin_is_called_by_the_close(shown: Picture) -> None:
    assert shown.but({2: (99, 100, 92, 93)}) == [(1, "open", 90, 100), (3, "open", -90, 94)]


def test_time_inside_a_bar(shown: Picture) -> None:
    assert day(1.5) == 129_600_000_000_000
    later = {1.0: [action.replace("1.5", "2") for action in shown.actions[1.0]]}
    assert pictures.fills_of(pictures.Picture("", shown.bars, later).run()[0]) == [(1, "range", 5, 98)]


def test_order_placed_inside_a_bar(shown: Picture) -> None:
    earlier = {1.0: shown.actions[1.5]}
    assert pictures.fills_of(pictures.Picture("", shown.bars, earlier).run()[0]) == [(1, "range", 5, 98)]


def test_stop_moved_inside_a_bar(shown: Picture) -> None:
    earlier = {1.0: shown.actions[1.0], 2.0: shown.actions[2.5]}
    fills = pictures.fills_of(pictures.Picture("", shown.bars, earlier).run()[0])
    assert fills == [(1, "open", 5, 100), (2, "range", -5, 99)]


def test_dividend_inside_a_bar(shown: Picture) -> None:
    """A stop at the open of the bar comes before noon."""
    gapped = pictures.Picture("", {**shown.bars, 2: (97, 98, 96, 97)}, shown.actions, shown.given).run()[0]
    assert gapped.marks[-1].equity == 1000 + 5 * (97 - 100)
