"""Spaces of searches and the conditions in them: what is taken, what is refused, what is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.constraints import parse_constraint
from framework.errors import ConfigError
from framework.research.space import Dimension, Space, make_space
from framework.research.subject import Subject
from tests.search_cases import config_of

NAMES = ["fast", "slow", "risk.drawdown.max_drawdown", "mode"]


def space_of(space: dict[str, Any], *constraints: str, **sections: Any) -> Space:
    """Return the space of a section over the moving-average cross."""
    return make_space(Subject(config_of({}, **sections)), space, constraints)


# --- constraints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "values", "expected"), [
    ("fast < slow", {"fast": 5, "slow": 20}, True),
    ("fast < slow", {"fast": 20, "slow": 20}, False),
    ("fast <= slow", {"fast": 20, "slow": 20}, True),
    ("2 < fast < slow", {"fast": 2, "slow": 9}, False),
    ("slow >= 2 * fast + 1", {"fast": 4, "slow": 9}, True),
    ("slow // fast != 3 and slow % 2 == 0", {"fast": 4, "slow": 10}, True),
    ("not fast > slow or mode == 'long'", {"fast": 9, "slow": 4, "mode": "long"}, True),
    ("risk.drawdown.max_drawdown < 0.2", {"risk.drawdown.max_drawdown": 0.1}, True),
    ("abs(fast - slow) >= 10", {"fast": 5, "slow": 14}, False),
    ("max(fast, slow) / min(fast, slow) > 2", {"fast": 5, "slow": 14}, True),
    ("-fast < 0", {"fast": 5}, True),
])
def test_a_constraint_means_what_python_would_mean(text: str, values: dict[str, Any], expected: bool) -> None:
    constraint = parse_constraint(text, NAMES)
    assert constraint.holds(values) is expected
    assert constraint.names <= values.keys()


@given(st.integers(-50, 50), st.integers(1, 50), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
       st.sampled_from(["+", "-", "*", "/", "//", "%"]))
def test_arithmetic_and_comparisons_agree_with_pythons_own(fast: int, slow: int, comparison: str, sign: str) -> None:
    """Python's own evaluation of the same text is the oracle."""
    text = f"fast {sign} slow {comparison} 7"
    expected = eval(text, {"__builtins__": {}}, {"fast": fast, "slow": slow})
    assert parse_constraint(text, NAMES).holds({"fast": fast, "slow": slow}) is expected


@pytest.mark.parametrize("text", [
    "__import__('os').system('true') == 0", "fast.__class__ == 1", "(lambda: fast)() > 1", "fast ** 9 > 1",
    "[x for x in (1,)] == fast", "open('x') > fast", "fast[0] > 1", "f'{fast}' == '1'", "fast if slow else 1 > 2",
    "fast is slow", "fast in (1, 2)", "(fast := 3) > 2", "max(fast, key=abs) > 1", "max() > fast", "1j < fast",
])
def test_a_constraint_is_never_code(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_constraint(text, NAMES)


@pytest.mark.parametrize(("text", "message"), [
    ("fats < slow", "unknown parameter 'fats'; did you mean 'fast'?"),
    ("fast + slow", "is not a condition"),
    ("1 < 2", "names no parameter"),
    ("fast <", "is not an expression"),
    ("", "is not an expression"),
    ("fast ** 2 < 3", "'fast ** 2' is not taken"),
    ("fast < " + "1 + " * 500 + "1", "at most 500"),
])
def test_a_bad_constraint_is_named_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("*", r"\*").replace("?", r"\?")):
        parse_constraint(text, NAMES)


def test_a_constraint_that_divides_by_zero_says_with_which_values() -> None:
    with pytest.raises(ConfigError, match=r"slow / fast > 1.*fast = 0, slow = 3"):
        parse_constraint("slow / fast > 1", NAMES).holds({"fast": 0, "slow": 3})


# --- spaces -----------------------------------------------------------------------------------------------------------


def test_a_grid_has_every_allowed_pair_once_in_order() -> None:
    """32 lengths, of which 32 * 31 / 2 = 496 pairs are in order."""
    lengths = {"low": 5, "high": 98, "step": 3}
    points = list(space_of({"fast": lengths, "slow": lengths}, "fast < slow").grid())
    expected = [{"fast": f, "slow": s} for f in range(5, 99, 3) for s in range(5, 99, 3) if f < s]
    assert points == expected
    assert len(points) == 496


def test_a_step_of_tenths_gives_the_numbers_that_one_would_write() -> None:
    space = space_of({"stop_atr": {"low": 0.1, "high": 0.7, "step": 0.1}}, strategy={"name": "ema_cross"})
    assert space.dimensions[0].grid() == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def test_without_a_section_the_bounds_of_the_strategy_are_the_space() -> None:
    described = space_of({}).described()["dimensions"]
    assert described == {"fast": {"low": 2, "high": 200, "step": 1, "log": False},
                         "slow": {"low": 3, "high": 400, "step": 1, "log": False}}


def test_missing_ends_of_a_range_are_the_parameters_bounds() -> None:
    (dimension,) = space_of({"fast": {"high": 9}}).dimensions
    assert dimension.grid() == (2, 3, 4, 5, 6, 7, 8, 9)


def test_parameters_of_rules_slippage_and_sizing_have_names_of_their_own() -> None:
    space = space_of({"risk": {"drawdown": {"max_drawdown": [0.1, 0.2]}}, "slippage": {"bps": [1, 2]},
                      "sizing": {"percent": {"low": 10, "high": 20, "step": 5}}, "ma_cross": {"fast": [5]}},
                     risk={"drawdown": {}}, slippage={"name": "fixed"})
    assert [one.path for one in space.dimensions] == ["risk.drawdown.max_drawdown", "slippage.bps", "sizing.percent",
                                                      "ma_cross.fast"]
    assert space.size == 2 * 2 * 3 * 1


def test_a_constraint_may_name_a_parameter_that_does_not_vary() -> None:
    """`slow` is 30 in the configuration."""
    assert [p["fast"] for p in space_of({"fast": [20, 25, 30, 40]}, "fast < slow").grid()] == [20, 25]


def test_two_uses_of_one_strategy_are_searched_apart() -> None:
    """By label, and by number; what comes out goes to the use that was meant."""
    uses = [{"name": "ma_cross"}, {"name": "ma_cross", "label": "slow"}, {"name": "ma_cross"}]
    space = space_of({"slow.fast": [5, 6], "ma_cross#2": {"fast": [7, 8]}}, strategy=uses)
    assert [one.path for one in space.dimensions] == ["slow.fast", "ma_cross#2.fast"]
    made = Subject(config_of({}, strategy=uses)).configured({"slow.fast": 6, "ma_cross#2.fast": 8})
    assert [use.params for use in made.strategies] == [{}, {"fast": 6}, {"fast": 8}]
    assert made.labels == ("ma_cross", "slow", "ma_cross#2")


TWO = [{"name": "ma_cross"}, {"name": "ema_cross"}]


@pytest.mark.parametrize(("space", "constraints", "sections", "message"), [
    ({"fasst": [1]}, (), {}, "fasst: no such parameter; did you mean 'fast'?"),
    ({"fast": []}, (), {}, "no values"),
    ({"fast": [5, 5]}, (), {}, "come twice"),
    ({"fast": 5}, (), {}, "write a list of values"),
    ({"fast": [5, 500]}, (), {}, "out of bounds"),
    ({"fast": [5.5]}, (), {}, "whole number"),
    ({"fast": {"low": 9, "high": 5}}, (), {}, "is above high"),
    ({"fast": {"low": 5, "hihg": 9}}, (), {}, "unknown key 'hihg'; did you mean 'high'?"),
    ({"fast": {"low": 5, "high": 9, "step": 0}}, (), {}, "step = 0"),
    ({"fast": {"low": 5, "high": 9, "step": 1.5}}, (), {}, "step = 1.5"),
    ({"fast": {"low": 5, "high": 9, "log": 1}}, (), {}, "log = 1"),
    ({"fast": [5, 9], "slow": [5]}, ("fast < slow",), {}, "none of the 2 points satisfies them (fast < slow)"),
    ({"fast": [5], "slow": [9]}, ("fast < slow", "fast > slow"), {}, "contradict"),
    ({"fast": [5], "ma_cross.fast": [6]}, (), {}, "are the same parameter"),
    ({"fast": [5]}, (), {"strategy": TWO}, "2 strategies have it; write ma_cross.fast or ema_cross.fast"),
    ({"risk": {"drawdwn": {"max_drawdown": [0.1]}}}, (), {"risk": {"drawdown": {}}},
     "risk.drawdwn.max_drawdown: no such parameter; did you mean 'risk.drawdown.max_drawdown'?"),
])
def test_a_bad_space_is_refused_with_its_key(space: dict[str, Any], constraints: tuple[str, ...],
                                             sections: dict[str, Any], message: str) -> None:
    import re

    with pytest.raises(ConfigError, match=re.escape(message)):
        space_of(space, *constraints, **sections)


def test_a_strategy_without_bounds_has_an_empty_space() -> None:
    from framework import Param, Strategy, plugins

    class Unbounded(Strategy):
        """One parameter that could be anything."""

        name = "unbounded_for_space"
        size = Param(1.0)

    plugins.registry().add("strategy", Unbounded)
    with pytest.raises(ConfigError, match="is empty and no parameter of a strategy has bounds"):
        space_of({}, strategy={"name": "unbounded_for_space"})


def test_contradictions_of_an_endless_space_are_found_by_drawing() -> None:
    with pytest.raises(ConfigError, match="none of 20,000 random points"):
        space_of({"stop_atr": {"low": 1.0, "high": 5.0}}, "stop_atr < 0.5", strategy={"name": "ema_cross"})


def test_a_range_without_a_step_is_no_grid() -> None:
    space = space_of({"stop_atr": {"low": 1.0, "high": 5.0}}, strategy={"name": "ema_cross"})
    with pytest.raises(ConfigError, match="a grid needs its values; name a step"):
        list(space.grid())


def test_draws_of_a_range_fill_it_evenly_and_those_of_its_logarithm_too() -> None:
    """The median of uniform draws is the middle, of logarithmic ones the geometric mean: sqrt(1 * 100) = 10."""
    random = np.random.default_rng(3)
    even = [Dimension("x", None, 1.0, 100.0).draw(random) for _ in range(4_000)]
    log = [Dimension("x", None, 1.0, 100.0, log=True).draw(random) for _ in range(4_000)]
    assert np.median(even) == pytest.approx(50.5, rel=0.05)
    assert np.median(log) == pytest.approx(10.0, rel=0.1)
    assert min(even) >= 1.0
    assert max(log) <= 100.0


@given(st.integers(-5, 20), st.integers(0, 30), st.integers(1, 7), st.integers(0, 2**31))
def test_what_is_drawn_of_a_stepped_range_is_in_its_grid(low: int, width: int, step: int, seed: int) -> None:
    one = Dimension("x", None, low, low + width, step, False, True)
    assert one.draw(np.random.default_rng(seed)) in one.grid()
    assert one.grid() == tuple(range(low, low + width + 1, step))


def test_corners_are_the_ends_of_every_dimension() -> None:
    space = space_of({"fast": {"low": 5, "high": 9}, "slow": [30, 10, 20]})
    assert space.corners() == [{"fast": 5, "slow": 10}, {"fast": 5, "slow": 30}, {"fast": 9, "slow": 10},
                               {"fast": 9, "slow": 30}]
