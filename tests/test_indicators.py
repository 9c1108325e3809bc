"""Expressions: what they are, what they refuse, and how anybody declares an indicator."""

from __future__ import annotations

import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from indicator_cases import hourly, same_bits, walk

from framework.boundary.jit import JIT, compiled
from framework.errors import ConfigError, StrategyError
from framework.indicators import (
    Bars,
    Expression,
    Indicator,
    Parameter,
    Place,
    Stream,
    adx,
    atr,
    bollinger,
    ema,
    evaluate,
    indicator,
    length,
    macd,
    number,
    registered,
    sma,
)
from framework.indicators.expression import OWN, Clock

BARS = Bars()


def test_equal_trees_are_equal_values_with_one_hash() -> None:
    """Parameters given by position, by name or as numpy integers make no difference."""
    left = ema(BARS.close, 12) - 2 * sma(BARS.timeframe("4h").high, np.int64(3)).shift(1)
    right = ema(x=Bars().close, length=12) - 2.0 * sma(Bars().timeframe("4h").high, 3).shift(1)
    assert left == right
    assert hash(left) == hash(right)
    assert len({left, right}) == 1


@pytest.mark.parametrize("other", [
    ema(BARS.close, 13), ema(BARS.high, 12), sma(BARS.close, 12), ema(BARS.close, 12).shift(1), -ema(BARS.close, 12),
    ema(BARS.timeframe("1d").close, 12), ema(BARS.symbol("B").close, 12), ema(BARS.close, 12) + 0,
], ids=repr)
def test_trees_that_differ_anywhere_are_not_equal(other: Expression) -> None:
    """Length, field, indicator, shift, sign, timeframe, symbol, arithmetic."""
    assert other != ema(BARS.close, 12)


def test_expressions_are_frozen_and_survive_pickling() -> None:
    """A worker process gets an equal tree."""
    tree = macd(BARS.close, 5, 8, 3).signal / atr(BARS.symbol("B").timeframe("1d"), 14)
    assert pickle.loads(pickle.dumps(tree)) == tree
    assert hash(pickle.loads(pickle.dumps(tree))) == hash(tree)
    with pytest.raises(AttributeError):
        tree.operator = "*"  # type: ignore[attr-defined]


def test_expressions_read_as_they_were_written() -> None:
    """The text is what errors and reports show."""
    shown = {
        (1 - BARS.close) / 2: "((1 - close) / 2)",
        -BARS.volume.shift(3): "-volume.shift(3)",
        3 + BARS.low * BARS.high: "(3 + (low * high))",
        1 / BARS.open: "(1 / open)",
        ema(BARS.symbol("BTC").timeframe("4h").close, 50): "ema(BTC:close@4h, 50)",
        adx(BARS.timeframe("4h"), 14).plus_di: "adx(bars@4h, 14).plus_di",
        bollinger(BARS.close, width=2.5).upper: "bollinger(close, 20, 2.5).upper",
    }
    assert [repr(tree) for tree in shown] == list(shown.values())


def test_clock_is_shared_or_the_own_one() -> None:
    """Equal clocks stay, constants fit, different ones meet on the strategy's own bars."""
    four_hours = BARS.timeframe("4h")
    assert (four_hours.close - 1).clock == Clock(None, "4h")
    assert ema(four_hours.close / four_hours.open, 5).shift(2).clock == Clock(None, "4h")
    assert (four_hours.close - BARS.close).clock == OWN
    assert (four_hours.close - BARS.timeframe("1d").close).clock == OWN
    assert atr(BARS.symbol("B"), 3).clock == Clock("B", None)


def test_lookback_is_composed_of_what_the_parts_declare() -> None:
    """sma 10 needs 9 bars, ema 5 of it 4 more, the shift 3 more: 16; the rsi beside it needs 14."""
    assert ema(sma(BARS.close, 10), 5).shift(3).lookback == 16
    assert (ema(sma(BARS.close, 10), 5).shift(3) + macd(BARS.close).line).lookback == 25
    assert macd(BARS.close).signal.lookback == 26 + 9 - 2
    assert adx(BARS, 14).adx.lookback == 27
    assert adx(BARS, 14).plus_di.lookback == 14
    assert (BARS.close * 2 - 1).lookback == 0


@pytest.mark.parametrize(("build", "message"), [
    (lambda: BARS.close.shift(-1), "would read 1 bars of the future"),
    (lambda: BARS.close.shift(1.0), "must be a whole number"),  # type: ignore[arg-type]
    (lambda: BARS.close.shift(True), "must be a whole number"),
    (lambda: sma(BARS.close, 0), "length = 0 must be at least 1"),
    (lambda: sma(BARS.close, 2.5), "length = 2.5 must be a whole number"),
    (lambda: sma(BARS.close, True), "length = True must be a whole number"),
    (lambda: sma(BARS.close, "9"), "length = '9' must be a whole number"),
    (lambda: sma(BARS.close), "missing a required argument: 'length'; it takes sma(x, length)"),
    (lambda: sma(BARS.close, 3, 4), "too many positional arguments"),
    (lambda: sma(BARS.close, lenght=3), "did you mean 'length'?"),
    (lambda: sma(BARS, 3), "choose one of .open, .high, .low, .close, .volume"),
    (lambda: sma(macd(BARS.close), 3), "has several outputs; choose one of .line, .signal, .histogram"),
    (lambda: sma([1.0, 2.0], 3), "is neither an expression nor a number"),
    (lambda: sma(5, 3), "sma of numbers alone (5)"),
    (lambda: atr(BARS.close, 3), "its first argument is bars"),
    (lambda: macd(BARS.close, 26, 12), "fast = 26 must be below slow = 12"),
    (lambda: macd(BARS.close).sginal, "did you mean 'signal'?"),
    (lambda: bollinger(BARS.close, 20, -1.0), "width = -1.0 must be at least 0"),
    (lambda: bollinger(BARS.close, 20, math.nan), "width = nan must be finite"),
    (lambda: BARS.close + "x", "'x' (str) is neither an expression nor a number"),
    (lambda: BARS.close * math.inf, "must be finite"),
    (lambda: BARS.close / None, "is neither an expression nor a number"),
    (lambda: bool(BARS.close), "a series without a truth value"),
    (lambda: BARS.timeframe(240), 'a text such as "5m"'),  # type: ignore[arg-type]
    (lambda: BARS.symbol(""), 'a text such as "MSFT"'),
    (lambda: sma.compute(np.zeros(3), length=2, lenght=2), "did you mean 'length'?"),
    (lambda: atr.compute(np.zeros(3), np.zeros(3), np.zeros(2)), "takes 3 arrays of one length"),
])
def test_a_mistake_is_named_with_the_value_and_the_mend(build: Any, message: str) -> None:
    """Never a traceback of numba or inspect."""
    with pytest.raises(ConfigError) as refused:
        build()
    assert message in str(refused.value)


def test_the_catalogue_says_what_each_is_its_source_and_its_cost() -> None:
    """One line each."""
    for one in registered().values():
        if one.__module__.startswith("framework.indicators."):
            assert one.summary.endswith(".")
            assert one.source
            assert one.cost in ("O(1)", "O(log length)", "O(length)")


def test_an_indicator_shows_how_it_is_called() -> None:
    """For a notebook."""
    assert repr(bollinger) == "<indicator bollinger(x, length=20, width=2.0)>"


# --- indicators of third parties --------------------------------------------------------------------------------------


@compiled
def halfway(left: float, right: float) -> float:
    """Return the middle: a helper that a step calls."""
    return (left + right) / 2.0


@indicator(inputs=("x", "y"), parameters={"length": length(), "gain": number(default=1.0)}, state={"total": float},
           lookback=lambda p: p.length, source="this test")
def meeting(s: Any, window: Any, x: float, y: float) -> float:
    """The running sum of the middles of two series."""
    s.total += s.gain * halfway(x, y)
    return s.total  # type: ignore[no-any-return]


@indicator(bar_inputs=("open", "high", "low", "close", "volume"), parameters={}, outputs=("typical", "turnover"),
           lookback=lambda p: (0, 2), source="this test")
def everything(s: Any, window: Any, open: float, high: float, low: float, close: float, volume: float) -> Any:
    """All five numbers of a bar, two outputs with lookbacks of their own."""
    typical = (open + high + low + close) / 4.0
    return typical, typical * volume


@indicator(inputs=("a", "b", "c", "d"), parameters={}, lookback=lambda p: 0, source="this test")
def four(s: Any, window: Any, a: float, b: float, c: float, d: float) -> float:
    """Four series."""
    return a + b - c * d


def test_a_step_of_anybody_runs_in_the_same_loop() -> None:
    """Two inputs, a helper, a real parameter: hand-worked 2 * (1 + 3)/2 = 4, then 4 + 2 * (2 + 6)/2 = 12."""
    result = meeting.compute(np.array([1.0, 2.0]), np.array([3.0, 6.0]), length=1, gain=2.0)
    assert math.isnan(result[0])
    assert result[1] == 12.0
    assert meeting.is_compiled is JIT


def test_steps_take_up_to_five_inputs_and_outputs_have_their_own_lookback() -> None:
    """And a live bar gives what the column gives."""
    market = walk(40)
    tape = hourly(market)
    many = everything(BARS)
    trees = [many.typical, many.turnover, four(BARS.open, BARS.high, BARS.low, 2.0), meeting(BARS.open, BARS.low, 3)]
    stream = Stream(trees)
    pushed = np.array([stream.push(BarOf(market, i)) for i in range(40)]).T
    columns = [evaluate(tree, tape, 0) for tree in trees]
    for column, live in zip(columns, pushed, strict=True):
        assert same_bits(column, live)
    assert [int(np.isnan(column).sum()) for column in columns] == [0, 2, 0, 3]
    np.testing.assert_array_equal(columns[2], market.open + market.high - market.low * 2.0)


class BarOf:
    """One bar of a market, by attribute."""

    def __init__(self, market: Any, i: int) -> None:
        for name in ("open", "high", "low", "close", "volume"):
            setattr(self, name, float(getattr(market, name)[i]))


def test_a_step_that_does_not_compile_runs_interpreted_and_says_so_once() -> None:
    """It is slower, not wrong."""

    @indicator(inputs=("x",), parameters={"length": length()}, lookback=lambda p: 0, source="this test")
    def uncompilable(s: Any, window: Any, x: float) -> float:
        """It formats text, which compiled code cannot."""
        return float(f"{x:.1f}") + s.count

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        values = [uncompilable.compute(np.array([1.26, 2.0]), length=1).tolist() for _ in range(2)]
    assert values == [[2.3, 4.0]] * 2
    assert not uncompilable.is_compiled
    assert len([w for w in told if "uncompilable does not compile" in str(w.message)]) == int(JIT)


def test_a_step_that_allocates_memory_runs_interpreted() -> None:
    """The compiled loop has no memory management; the warning says why."""

    @indicator(inputs=("x",), parameters={}, lookback=lambda p: 0, source="this test")
    def allocating(s: Any, window: Any, x: float) -> float:
        """It makes an array at every bar."""
        return float(np.full(3, x).sum())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert allocating.compute(np.array([1.0, 2.0])).tolist() == [3.0, 6.0]
    assert not allocating.is_compiled


def test_a_step_that_raises_shows_the_authors_own_traceback_and_the_value_it_raised_at() -> None:
    """Division by zero raises in compiled code as in Python."""

    @indicator(inputs=("x",), parameters={}, lookback=lambda p: 0, source="this test")
    def inverse(s: Any, window: Any, x: float) -> float:
        """1 / x without a guard."""
        return 1.0 / x

    with pytest.raises(StrategyError, match=r"inverse raised ZeroDivisionError: .*, at value 3 of its input") as raised:
        inverse.compute(np.array([1.0, math.nan, 2.0, 0.0, 4.0]))
    cause = raised.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    frames = []
    traceback = cause.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert frames[-1] == "inverse"


def test_seen_counts_as_count_does_where_it_is_compared_with_a_length() -> None:
    """Through holes and beyond the lookback, where it is a number larger than any length."""

    @indicator(inputs=("x",), parameters={"length": length()}, lookback=lambda p: p.length, source="this test",
               outputs=("is_young", "differs", "count"))
    def counting(s: Any, window: Any, x: float) -> tuple[float, float, float]:
        """Both counts compared with a length."""
        young = 1.0 if s.seen <= s.length else 0.0
        return young, young - (1.0 if s.count <= s.length else 0.0), float(s.count)

    values = np.arange(2000.0)
    values[[0, 700, 1500]] = np.nan
    young, differs, count = counting.compute(values, length=300)
    known = ~np.isnan(count)
    assert count[known].tolist() == list(range(301, 1998))
    assert not young[known].any()
    assert not differs[known].any()


def test_a_place_in_the_window_and_a_length_are_never_negative() -> None:
    """So that compiled code need not ask whether an index counts from the end; the record says so by its types."""

    @indicator(inputs=("x",), parameters={"length": length(), "shift": Parameter(int)},
               state={"at": Place, "turn": int}, lookback=lambda p: 0, source="this test")
    def placed(s: Any, window: Any, x: float) -> float:
        """Its place goes round, its turn below zero."""
        s.at = (s.at + 1) % s.length
        s.turn -= 1
        return float(s.at + s.shift + s.turn)

    assert [placed.layout[name].str[1:] for name in ("length", "shift", "at", "turn")] == ["i4", "i8", "u4", "i8"]
    assert placed.compute(np.zeros(4), length=3, shift=-5).tolist() == [-5.0, -5.0, -8.0, -8.0]
    with pytest.raises(ConfigError, match="length = 2147483648 must be at most 2147483647"):
        placed.compute(np.zeros(1), length=1 << 31, shift=0)


@pytest.mark.parametrize(("options", "message"), [
    ({"inputs": ("x",), "bar_inputs": ("close",)}, "its step must take (s, window, close, x)"),
    ({}, "declare inputs (series), bar_inputs (fields of bars) or both"),
    ({"bar_inputs": ("clsoe",)}, "did you mean 'close'?"),
    ({"inputs": ("x",), "state": {"count": int}}, "'count' is declared twice"),
    ({"inputs": ("x",), "state": {"memory": list}}, "must be int, float or Place"),
    ({"inputs": ("x", "y")}, "its step must take (s, window, x, y)"),
    ({"inputs": tuple("abcdef")}, "6 inputs are more than 5"),
])
def test_a_declaration_that_cannot_run_is_refused(options: dict[str, Any], message: str) -> None:
    """At import, not at the first bar."""
    with pytest.raises(ConfigError) as refused:
        @indicator(**{"parameters": {}, "lookback": lambda p: 0, "source": "this test", **options})
        def broken(s: Any, window: Any, x: float) -> float:
            """One input."""
            return x
    assert message in str(refused.value)


def test_two_indicators_of_one_name_are_refused_but_a_reload_is_not() -> None:
    """The error names both modules."""

    def step(s: Any, window: Any, x: float) -> float:
        return x

    def declare(module: str) -> Indicator[Expression]:
        step.__module__, step.__name__, step.__qualname__ = module, "twin", "twin"
        return indicator(inputs=("x",), parameters={}, lookback=lambda p: 0, source="this test")(step)

    declare("one_package")
    declare("one_package")
    with pytest.raises(ConfigError, match="'twin' is declared by one_package and by other_package"):
        declare("other_package")
