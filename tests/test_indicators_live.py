"""The live form equals the column bit for bit, and continues from a snapshot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indicator_cases import CASE_NAMES, CASES, HOUR, START, Case, Market, hourly, markets, same_bits, tape_of, walk

from framework.data import Tape
from framework.data.resample import bins
from framework.errors import ConfigError
from framework.indicators import (
    Bars,
    ColumnCache,
    Expression,
    Ohlcv,
    Stream,
    adx,
    anchored_vwap,
    atr,
    bollinger,
    ema,
    evaluate,
    lowest,
    macd,
    roc,
    rsi,
    session_vwap,
    sma,
    std,
    zscore,
)
from framework.indicators.columns import bins_in_session
from framework.indicators.expression import FIELDS

BARS = Bars()


def bar_of(market: Market, i: int) -> Ohlcv:
    """Return one bar of a market."""
    return Ohlcv(*(float(getattr(market, name)[i]) for name in Ohlcv._fields))


def pushed(stream: Stream, market: Market, first: int = 0) -> np.ndarray:
    """Return float64[expressions, bars]: what the stream answers bar by bar."""
    answers = [stream.push(bar_of(market, i)) for i in range(first, len(market))]
    return np.array(answers, np.float64).reshape(len(market) - first, len(stream.expressions)).T


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> Expression:
    """Draw an expression: fields, arithmetic, shifts and every indicator, nested."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from([BARS.open, BARS.high, BARS.low, BARS.close, BARS.volume]))
    x, n = draw(trees(depth - 1)), draw(st.integers(2, 9))
    kind = draw(st.integers(0, 22))
    if kind < 4:
        y = draw(st.one_of(trees(depth - 1), st.sampled_from([0, 1, -2.5, 1e9])))
        return [x + y, x - y, x * y, x / y][kind]
    made = [lambda: -x, lambda: x.shift(n), lambda: sma(x, n), lambda: ema(x, n), lambda: rsi(x, n),
            lambda: macd(x, n, n + 4, n).histogram, lambda: bollinger(x, n, 2.0).lower, lambda: std(x, n),
            lambda: zscore(x, n), lambda: roc(x, n), lambda: lowest(x, n), lambda: atr(BARS, n) * 1.0,
            lambda: adx(BARS, n).adx - x, lambda: 3 / x, lambda: x - x.shift(1)]
    if kind - 4 < len(made):
        return made[kind - 4]()
    case = draw(st.sampled_from(CASES))
    return draw(st.sampled_from(case.outputs(BARS, n))) - x


@pytest.mark.parametrize("case", CASES, ids=CASE_NAMES)
@settings(deadline=None, max_examples=30, derandomize=True)
@given(market=markets(), length=st.integers(2, 25))
def test_each_indicator_bar_by_bar_equals_its_column_bit_for_bit(case: Case, market: Market, length: int) -> None:
    """On calm, wild, flat, tiny, huge and short series."""
    if not len(market):
        return
    outputs, tape, cache = case.outputs(BARS, length), hourly(market), ColumnCache()
    live = pushed(Stream(outputs), market)
    for row, output in zip(live, outputs, strict=True):
        assert same_bits(row, evaluate(output, tape, 0, cache))


@settings(deadline=None, max_examples=150, derandomize=True)
@given(market=markets(60), some=st.lists(trees(), min_size=1, max_size=3))
def test_nested_expressions_bar_by_bar_equal_their_columns_bit_for_bit(market: Market, some: list[Expression]) -> None:
    """Indicators of indicators, divisions by zero, missing values in the middle."""
    if not len(market):
        return
    tape, cache = hourly(market), ColumnCache()
    for row, tree in zip(pushed(Stream(some), market), some, strict=True):
        assert same_bits(row, evaluate(tree, tape, 0, cache))


@settings(deadline=None, max_examples=40, derandomize=True)
@given(market=markets(60), some=st.lists(trees(), min_size=1, max_size=3), at=st.integers(0, 60))
def test_a_restored_stream_continues_bit_for_bit(market: Market, some: list[Expression], at: int) -> None:
    """A snapshot at any bar, restored into a fresh stream."""
    at = min(at, len(market))
    whole = pushed(Stream(some), market)
    before = Stream(some)
    for i in range(at):
        before.push(bar_of(market, i))
    after = Stream(some)
    after.restore(before.snapshot())
    assert after.snapshot() == before.snapshot()
    assert same_bits(np.array(after.values), np.array(before.values))
    assert same_bits(pushed(after, market, at), whole[:, at:])


def test_a_snapshot_continues_in_another_process(tmp_path: Path) -> None:
    """Saved here, loaded there, with the same answer at the next bar."""
    program = """
import sys
from pathlib import Path
from framework.indicators import Bars, Ohlcv, Stream, ema, macd, std
bars = Bars()
stream = Stream([ema(std(bars.close, 4), 5), macd(bars.close, 3, 6, 2).signal, bars.close.shift(2)])
stream.restore(Path(sys.argv[1]).read_bytes())
print([x.hex() for x in stream.push(Ohlcv(1.0, 3.0, 0.5, 2.25))])
"""
    stream = Stream([ema(std(BARS.close, 4), 5), macd(BARS.close, 3, 6, 2).signal, BARS.close.shift(2)])
    pushed(stream, walk(30))
    (tmp_path / "snapshot").write_bytes(stream.snapshot())
    answer = subprocess.run([sys.executable, "-c", program, str(tmp_path / "snapshot")], capture_output=True, text=True,
                            check=True, cwd=Path(__file__).parent.parent)
    expected = stream.push(Ohlcv(1.0, 3.0, 0.5, 2.25))
    assert expected is not None
    assert answer.stdout.strip() == str([x.hex() for x in expected])


def test_a_snapshot_of_other_expressions_or_a_damaged_one_is_refused_without_change() -> None:
    """Length 13 is not length 12; a byte less is not a snapshot."""
    stream = Stream([ema(BARS.close, 12)])
    pushed(stream, walk(20))
    kept = stream.snapshot()
    other = Stream([ema(BARS.close, 13)])
    for wrong in (other.snapshot(), kept[:-1], kept + b"\0", b"", b"x" * len(kept)):
        with pytest.raises(ConfigError, match="does not belong to a stream of ema"):
            stream.restore(wrong)
    assert stream.snapshot() == kept


def test_bars_of_other_clocks_are_pushed_when_finished_and_equal_the_column() -> None:
    """The tape's own order of closes drives the stream: bins and other symbols first, then the own bar."""
    tape = tape_of({"AAA": (walk(120, 1), "1h", HOUR, START),
                    "BBB": (walk(200, 2), "30m", HOUR // 2, START + 4 * HOUR)})
    four, other = BARS.timeframe("4h"), BARS.symbol("BBB")
    some = [ema(four.close, 3), BARS.close - four.high, sma(BARS.close / other.close, 4), rsi(other.close, 5).shift(2),
            adx(other.timeframe("2h"), 3).adx, (four.close - other.timeframe("2h").open) / 2,
            -four.close.shift(1) + 2 * four.open, session_vwap(four), session_vwap(other) / four.bars_in_session,
            anchored_vwap(four, 1 / four.bars_in_session - 1.0), anchored_vwap(BARS, four.close - four.open)]
    stream = Stream(some)
    for row, tree in zip(_driven_by(tape, stream).T, some, strict=True):
        assert same_bits(row, evaluate(tree, tape, 0))


def _driven_by(tape: Tape, stream: Stream) -> np.ndarray:
    """Push AAA's bars, and whatever else is finished at each of their closes."""
    waiting = []
    for clock in stream.clocks[1:]:
        symbol = tape.symbols.index(clock.symbol or "AAA")
        longer = bins(tape, symbol, clock.timeframe or tape.timeframes[symbol])
        places = bins_in_session(tape.bars_in_session[tape.rows(symbol)], longer.first_bar)
        for i, end in enumerate(longer.end_time):
            bar = Ohlcv(*(float(getattr(longer, name)[i]) for name in FIELDS), places[i])
            waiting.append((int(end), clock, bar))
    waiting.sort(key=lambda item: item[0])
    answers = []
    for i, now in enumerate(tape.close_time[tape.rows(0)]):
        while waiting and waiting[0][0] <= now:
            _, clock, bar = waiting.pop(0)
            assert stream.push(bar, symbol=clock.symbol, timeframe=clock.timeframe) is None
        answers.append(stream.push(Ohlcv(*(float(getattr(tape, name)[i]) for name in Ohlcv._fields))))
    return np.array(answers, np.float64)


def test_a_bar_nobody_reads_is_refused() -> None:
    """A wrong symbol would otherwise be silence."""
    stream = Stream([BARS.symbol("MSFT").close])
    with pytest.raises(ConfigError, match="reads the bars MSTF:; did you mean 'MSFT:'"):
        stream.push(Ohlcv(1, 1, 1, 1), symbol="MSTF")


def test_equal_parts_of_expressions_are_run_once() -> None:
    """Two expressions that share an average share its memory: the snapshot does not grow by a second window."""
    alone = len(Stream([sma(BARS.close, 50)]).snapshot())
    both = len(Stream([sma(BARS.close, 50), sma(BARS.close, 50) * 1.5]).snapshot())
    assert both - alone == 2 * 8  # the constant and the product


def test_memory_does_not_grow_with_the_number_of_bars() -> None:
    """The snapshot after 5,000 bars is as long as before the first."""
    stream = Stream([std(ema(BARS.close, 20), 30), atr(BARS, 14)])
    empty = len(stream.snapshot())
    pushed(stream, walk(5000))
    assert len(stream.snapshot()) == empty


def test_a_stream_of_nothing_answers_nothing() -> None:
    """A strategy without indicators is allowed."""
    stream = Stream([])
    assert stream.push(Ohlcv(1, 1, 1, 1)) == ()
    fresh = Stream([])
    fresh.restore(stream.snapshot())
