"""The checks of declared indicators: no column sees the future, and one bar at a time gives the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np

from framework.data import Tape, bins
from framework.data.book import BOOK_FIELDS, levels_of
from framework.data.timeframe import parse_timeframe
from framework.indicators import ColumnCache, Expression, Ohlcv, Stream, evaluate
from framework.indicators.columns import bins_in_session
from framework.indicators.expression import FIELDS, OWN, PLACE, Application, Clock, Field, Output, parts_of
from framework.source_check import captured
from framework.testing.markets import change_future, quiet_cuts
from framework.testing.report import Failed
from framework.testing.runs import moment

CUTS = 8
TIMEFRAMES = ("1d", "4h", "1h", "15m", "5m", "1m", "10s", "1s")
"""Timeframes for the kit's bars, longest first."""

@attrs.frozen(eq=False)
class ColumnChecks:
    """The declared indicators of one plug-in over some markets."""

    expressions: Mapping[str, Expression]
    tapes: Mapping[str, Tape]

    def places(self) -> Iterator[tuple[str, Expression, str, Tape, int, np.ndarray]]:
        """Yield every column: its name and expression, the market's name and tape, the symbol and the values."""
        for label, tape in self.tapes.items():
            cache = ColumnCache()
            for symbol in range(tape.n_symbols):
                for name, expression in self.expressions.items():
                    yield name, expression, label, tape, symbol, evaluate(expression, tape, symbol, cache)

    def causal(self) -> str:
        """No value changes when the bars after it are missing or are others, and no step reads data of its own."""
        self._steps_read_nothing()
        futures: dict[int, list[tuple[int, str, Tape, ColumnCache]]] = {}
        for name, expression, label, tape, symbol, column in self.places():
            if id(tape) not in futures:
                futures[id(tape)] = list(_futures(tape))
            closes = tape.close_time[tape.rows(symbol)]
            for cut, called, other, cache in futures[id(tape)]:
                known = int(np.searchsorted(closes, cut, side="right"))
                again = evaluate(expression, other, symbol, cache)
                at = first_difference(column[:known], again[:known])
                if at is not None:
                    raise Failed(f"column {name!r}, {expression!r}, sees the future: on {tape.symbols[symbol]} "
                                 f"({label}) at {moment(closes[at])} it is {float(column[at])!r} with all bars and "
                                 f"{float(again[at])!r} {called} {moment(cut)}")
        return f"{len(self.expressions)} columns, {CUTS} cuts in each market"

    def _steps_read_nothing(self) -> None:
        for name, expression in self.expressions.items():
            for application in applications(expression):
                for read, value in captured(application.indicator.step):
                    raise Failed(f"column {name!r}, {expression!r}: the step of {application.indicator.name} reads "
                                 f"{read} ({type(value).__name__}) past its arguments; keep what it needs in its state")

    def incremental(self) -> str:
        """A Stream that is given one bar after another answers the column, bit for bit."""
        for name, expression, label, tape, symbol, column in self.places():
            closes = tape.close_time[tape.rows(symbol)]
            at = first_difference(column, streamed(expression, tape, symbol))
            if at is not None:
                live = float(streamed(expression, tape, symbol)[at])
                raise Failed(f"column {name!r}, {expression!r}, on {tape.symbols[symbol]} ({label}) at "
                             f"{moment(closes[at])}: {float(column[at])!r} as a column, {live!r} one bar at a time")
        return f"{len(self.expressions)} columns"


def _futures(tape: Tape) -> Iterator[tuple[int, str, Tape, ColumnCache]]:
    for cut in quiet_cuts(tape, CUTS):
        yield cut, "without the bars after", tape.truncate(cut), ColumnCache()
        yield cut, "with other bars after", change_future(tape, cut), ColumnCache()


def first_difference(one: np.ndarray, other: np.ndarray) -> int | None:
    """Return the first place at which two columns differ in a bit (any NaN equals any NaN), None when they agree."""
    same = (one.view(np.int64) == other.view(np.int64)) | (np.isnan(one) & np.isnan(other))
    differing = np.flatnonzero(~same)
    return int(differing[0]) if differing.size else None


def applications(expression: Expression) -> Iterator[Application]:
    """Yield every applied indicator inside an expression."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Output):
            yield node.application
        waiting += parts_of(node)


def clocks_of(expressions: Iterable[Expression]) -> tuple[tuple[str, ...], str]:
    """Return the symbols that expressions name, and a timeframe shorter than all that they name."""
    symbols: set[str] = set()
    lengths: set[int] = set()
    waiting = list(expressions)
    while waiting:
        node = waiting.pop()
        clock = node.clock
        if clock is not None and clock.symbol:
            symbols.add(clock.symbol)
        if clock is not None and clock.timeframe:
            lengths.add(parse_timeframe(clock.timeframe))
        waiting += parts_of(node)
    for timeframe in TIMEFRAMES:
        length = parse_timeframe(timeframe)
        if all(longer % length == 0 and longer > length for longer in lengths):
            return by_place(symbols), timeframe
    return by_place(symbols), TIMEFRAMES[-1]


def by_place(symbols: Iterable[str]) -> tuple[str, ...]:
    """Return the symbols that stand behind a first one: for places all up to the farthest, then the names."""
    places = [int(symbol.removeprefix(PLACE)) for symbol in symbols if symbol.startswith(PLACE)]
    named = sorted(symbol for symbol in symbols if not symbol.startswith(PLACE))
    return (*(f"{PLACE}{place}" for place in range(1, max(places, default=0) + 1)), *named)


def streamed(expression: Expression, tape: Tape, symbol: int) -> np.ndarray:
    """Return an expression over one symbol's bars as a Stream gives it, bars of other clocks pushed when they end."""
    stream = Stream([expression])
    feeds = [(clock, *_bars_of(clock, tape, symbol)) for clock in stream.clocks if clock != OWN]
    pushed = [0] * len(feeds)
    ends, rows = _bars_of(OWN, tape, symbol)
    values = np.empty(ends.size)
    for i in range(ends.size):
        due = sorted((int(end[k]), number, k) for number, (_, end, _) in enumerate(feeds)
                     for k in range(pushed[number], int(np.searchsorted(end, ends[i], side="right"))))
        for _, number, k in due:
            clock, _, bars = feeds[number]
            stream.push(bars[k], clock.symbol, clock.timeframe)
            pushed[number] = k + 1
        values[i] = (stream.push(rows[i]) or (np.nan,))[0]
    return values


def _bars_of(clock: Clock, tape: Tape, symbol: int) -> tuple[np.ndarray, list[Any]]:
    """Return the ends [ns] and the bars of a clock, as a stream is pushed them."""
    if clock.symbol is not None:
        is_place = clock.symbol not in tape.symbols and clock.symbol.startswith(PLACE)
        symbol = int(clock.symbol.removeprefix(PLACE)) if is_place else tape.symbol_index(clock.symbol)
    rows, book = tape.rows(symbol), tape.book_of(symbol)
    places = tape.bars_in_session[rows]
    if clock.timeframe is None or clock.timeframe == tape.timeframes[symbol]:
        ends, columns = tape.close_time[rows], [*(getattr(tape, name)[rows] for name in FIELDS), places]
    else:
        longer = bins(tape, symbol, clock.timeframe)
        ends = longer.end_time
        columns = [*(getattr(longer, name) for name in FIELDS), bins_in_session(places, longer.first_bar)]
        book = {name: column[longer.last_bar] for name, column in book.items()}
    made = [Ohlcv(*numbers) for numbers in zip(*(column.tolist() for column in columns), strict=True)]
    if not book:
        return ends, made
    quotes = zip(*(column.tolist() for column in book.values()), strict=True)
    return ends, [SimpleNamespace(**bar._asdict(), **dict(zip(book, quote, strict=True)))
                  for bar, quote in zip(made, quotes, strict=True)]


def depth_of(expressions: Iterable[Expression]) -> int:
    """Return how many levels of an order book expressions read, 0 for none."""
    waiting, read = list(expressions), []
    while waiting:
        node = waiting.pop()
        if isinstance(node, Field) and node.name in BOOK_FIELDS:
            read.append(node.name)
        waiting += parts_of(node)
    return levels_of(read)
