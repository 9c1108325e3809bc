"""The error tree and its helper."""

import doctest

import pytest

from framework import errors


def test_every_error_named_in_the_tree_of_the_docstring_exists_and_is_exported() -> None:
    drawn = {line.split()[-1] if "──" not in line else line.split("── ")[1].split()[0] for line in _tree_lines()}
    assert drawn == set(errors.__all__) - {"did_you_mean", "FrameworkError"}


def test_every_exported_error_is_a_framework_error() -> None:
    for name in set(errors.__all__) - {"did_you_mean"}:
        assert issubclass(getattr(errors, name), errors.FrameworkError)


def test_a_plugin_that_is_not_found_is_a_plugin_error() -> None:
    assert issubclass(errors.PluginNotFound, errors.PluginError)


def test_strategy_error_carries_symbol_bar_time_and_the_authors_traceback() -> None:
    error = errors.StrategyError(
        "boom", function="a.decide", symbol="AAPL", bar_time="2010-01-04T21:00:00Z", details="t"
    )
    assert (str(error), error.symbol, error.bar_time, error.details) == ("boom", "AAPL", "2010-01-04T21:00:00Z", "t")


def test_order_refused_carries_rule_value_and_limit() -> None:
    error = errors.OrderRefused("too much", rule="portfolio_heat", value=0.31, limit=0.30)
    assert (error.rule, error.value, error.limit) == ("portfolio_heat", 0.31, 0.30)


def test_outcome_unknown_carries_the_client_order_id() -> None:
    assert errors.OutcomeUnknown("lost", client_order_id="c-1").client_order_id == "c-1"


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("sma_cros", ["sma_cross", "ema_cross"], "; did you mean 'sma_cross'?"),
        ("capitol", ["capital", "start"], "; did you mean 'capital'?"),
        ("aapl", ["AAPL", "MSFT"], "; did you mean 'AAPL'?"),
        ("zzz", ["sma_cross"], ""),
        ("anything", [], ""),
    ],
)
def test_did_you_mean_names_the_nearest_known_name_or_nothing(name: str, known: list[str], expected: str) -> None:
    assert errors.did_you_mean(name, known) == expected


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(errors).failed == 0


def _tree_lines() -> list[str]:
    return [line for line in (errors.__doc__ or "").splitlines() if "──" in line]
