"""The pictures of docs/fills.md: read from the page, run on a simulator, and compared with what they show.

A picture is a block of text.  Its first lines are the data: ``bar 2  101 105 95 103  sell(now)`` gives open, high, low,
close (and volume) of a day and what the strategy does at its close; ``at 1.5`` does something at noon of day 1;
``given`` lists settings.  Then the bars are drawn over an axis of prices, and the last lines tell fills, orders and
equity.
Every picture must also hold upside down: prices mirrored at 100, buying and selling swapped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from framework import strategy as verbs
from framework.model.enums import CashKind, OrderKind, OrderStatus, Role
from framework.model.records import UNSET
from tests.reference import ReferenceStrategy, Settings
from tests.reference.hand import FLAT, simulate, slip, sort_events
from tests.reference.tapes import PERIOD, instrument, tape_of

PAGE = Path(__file__).parents[2] / "docs" / "fills.md"
SECTION = "## What a bar cannot tell"
DAY = 86_400_000_000_000
MIRROR = 200.0
"""A price and its mirror image add up to this."""

CLOSING = (Role.END, Role.DELISTED)
PRICED = ("place_limit", "place_stop", "place_stop_limit")
OPPOSITE = {"buy": "sell", "sell": "buy", "BUY": "SELL", "SELL": "BUY"}

FILL = re.compile(r"bar (\d+) (open|range|close) +(bought|sold) ([\d.]+) at ([\d.+*/() =-]+?)(,.*)?")

Fill = tuple[int, str, float, float]
"""Bar, phase, signed quantity and price."""


def day(number: float) -> int:
    """Return a time in days as ns; pictures write it where an order takes a time."""
    return round(number * DAY)


def value_of(text: str) -> float:
    """Return the value of an arithmetic text; when it is an equation, both sides must agree."""
    assert re.fullmatch(r"[\d\s.,+*/()=-]+", text), f"{text!r} is no arithmetic"
    values = [float(eval(side.replace(",", ""))) for side in text.split("=")]
    assert all(value == pytest.approx(values[-1]) for value in values), f"{text!r} is wrong: {values}"
    return values[-1]


def slug(title: str) -> str:
    """Return a heading as the name of a test without `test_`."""
    return re.sub(r"\W+", "_", title.lower()).strip("_")


@dataclass
class Picture:
    """One picture as its page has it: what is given, drawn and told."""

    title: str
    bars: dict[int, tuple[float, ...]] = field(default_factory=dict)
    actions: dict[float, list[str]] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    drawing: list[str] = field(default_factory=list)
    told: dict[str, list[str]] = field(default_factory=dict)

    def holds(self) -> None:
        """Raise AssertionError unless the run does what is told and drawn, upright and upside down."""
        result, levels = self.run()
        fills = fills_of(result)
        assert fills == [pytest.approx(fill) for fill in self.fills()]
        self.tells(result)
        self.draws(fills, levels)
        mirrored = self.turned()
        result, _ = mirrored.run(upside_down=True)
        assert fills_of(result) == [pytest.approx(fill) for fill in turned(self.fills())], "upside down"
        mirrored.tells(result)

    def but(self, bars: Mapping[int, tuple[float, ...]] | None = None, **given: Any) -> list[Fill]:
        """Return the fills with other bars or settings."""
        other = replace(self, bars={**self.bars, **(bars or {})}, given={**self.given, **given})
        return fills_of(other.run()[0])

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self, *, upside_down: bool = False) -> tuple[Any, set[float]]:
        """Return the result of the chosen simulator, and the levels at which protection was seen to stand."""
        given = dict(self.given)
        neighbour = int(given.pop("neighbour", max(self.bars) + 1 if any(t % 1 for t in self.actions) else 0))
        lot, tick = given.pop("lot", 1.0), given.pop("tick", 0.0)
        flows = [(PERIOD * time, 0, CashKind.DIVIDEND, -amount if upside_down else amount)
                 for time, amount in given.pop("dividends", ())]
        series = [[self.bars[number] for number in sorted(self.bars)], [FLAT] * (2 * neighbour)]
        tape = in_days(tape_of(*series[: 2 if neighbour else 1],
                               instruments=[instrument(lot, tick), instrument()][: 2 if neighbour else 1], flows=flows))
        levels: set[float] = set()
        names = vocabulary(upside_down)

        def decide_all(nows: Any) -> None:
            now = nows[0]
            levels.update(level for level in (now.position.stop, now.position.target) if level != UNSET)
            for action in self.actions.get(now.clock.time_ns / DAY, ()):
                eval(action, {**names, "now": now})

        settings = Settings(**{"capital": 1000.0, **given, "slippage": slip(given.get("slippage", 0.0))})
        symbols = [0, 1] if neighbour else [0]
        return simulate(tape, [ReferenceStrategy(symbols, decide_all=decide_all)], settings), levels

    def turned(self) -> Picture:
        """Return the picture with its bars upside down; its actions are turned when they are run."""
        bars = {number: (MIRROR - o, MIRROR - low, MIRROR - high, MIRROR - close, *volume)
                for number, (o, high, low, close, *volume) in self.bars.items()}
        return replace(self, bars=bars)

    # --- what is told -------------------------------------------------------------------------------------------------

    def fills(self) -> list[Fill]:
        """Return the fills that are told."""
        found = []
        for line in self.told["fill"] if self.told["fill"] != ["none"] else ():
            match = FILL.fullmatch(line)
            assert match, f"{self.title}: no fill: {line!r}"
            side = 1 if match[3] == "bought" else -1
            found.append((int(match[1]), match[2], side * float(match[4]), value_of(match[5])))
        return found

    def tells(self, result: Any) -> None:
        """Raise AssertionError unless orders, equity, ambiguous bars and excursions are those of the result."""
        orders = ", ".join(f"{number} {Role(order.role).name.lower()} {words(OrderStatus(order.status))}"
                           for number, order in enumerate(result.orders, 1))
        assert [orders] == self.told["orders"]
        assert value_of(self.told["equity"][0]) == pytest.approx(result.marks[-1].equity)
        assert self.told["ambiguous"] == [f"{result.counters['ambiguous'] or 'no'} bar"]
        assert ("gapped" in " ".join(self.told["fill"])) == (result.counters["gapped"] > 0)
        if "excursions" in self.told:
            found = [value_of(text.strip(" ,")) for text in re.split(r"mae|mfe", self.told["excursions"][0])[1:]]
            assert found == pytest.approx([result.trades[0].mae, result.trades[0].mfe])

    # --- what is drawn ------------------------------------------------------------------------------------------------

    def draws(self, fills: list[Fill], levels: set[float]) -> None:
        """Raise AssertionError unless bars, fills and levels stand where they belong."""
        head, *rows = self.drawing
        columns = {int(match[1]): match.start() + 2 for match in re.finditer(r"bar (\d+)", head)}
        prices = [float(row.split()[0]) for row in rows]
        assert {bar for bar, *_ in fills} <= set(columns), "a bar with a fill is not drawn"
        steps = {round(above - below, 9) for above, below in pairwise(prices)}
        assert len(steps) == 1, f"the axis has steps of {steps}"
        for price, row in zip(prices, rows, strict=True):
            for number, column in columns.items():
                where = f"{self.title}: bar {number} at {price:g}: {row!r}"
                drawn = row.replace("┄", " ").ljust(column + 2)[column - 1:column + 2]
                assert drawn == self.cell(number, price, fills), where
        for number in columns:
            assert {self.bars[number][1], self.bars[number][2]} <= set(prices), f"bar {number} is cut off"
        labelled = {price for price, row in zip(prices, rows, strict=True) if re.search(r"┄ +\w", row)}
        assert levels <= labelled, f"{levels - labelled} is not drawn"
        written = self.written(fills)
        assert labelled <= levels | written, f"{labelled - levels - written} is no level"

    def written(self, fills: list[Fill]) -> set[float]:
        """Return the prices that the actions name, and those at the distances that they name from the fills."""
        found = set()
        for action in (action for actions in self.actions.values() for action in actions):
            found |= {float(price) for price in re.findall(r"(?:, |stop=|target=)(\d+)\b", action)}
            found |= {price - (1 if qty > 0 else -1) * float(distance) for *_, qty, price in fills
                      for distance in re.findall(r"(?:trail|stop_offset)=(\d+)", action)}
        return found

    def cell(self, number: int, price: float, fills: list[Fill]) -> str:
        """Return what a bar has in the row of a price: the tick of its open, its body or a fill, that of its close."""
        open_, high, low, close = self.bars[number][:4]
        sides = {qty > 0 for bar, _, qty, at in fills if bar == number and at == pytest.approx(price)}
        left, right = "─" if price == open_ else " ", "─" if price == close else " "
        body = {" ": {" ": "│", "─": "├"}, "─": {" ": "┤", "─": "┼"}}[left][right] if low <= price <= high else " "
        if sides:
            body = "◆" if len(sides) == 2 else "▲" if True in sides else "▼"
        return left + body + right


def words(status: OrderStatus) -> str:
    """Return a status in words."""
    return status.name.lower().replace("_", " ")


def fills_of(result: Any) -> list[Fill]:
    """Return the fills of a result by bar and phase."""
    found = []
    for fill in result.fills:
        order = result.orders[fill.order_id]
        at_close = order.kind == OrderKind.MARKET_ON_CLOSE or order.role in CLOSING
        phase = "open" if fill.time == fill.bar * DAY else "close" if at_close else "range"
        found.append((fill.bar, phase, fill.side * fill.qty, fill.price))
    return found


def turned(fills: list[Fill]) -> list[Fill]:
    """Return fills upside down."""
    return [(bar, phase, -qty, MIRROR - price) for bar, phase, qty, price in fills]


def in_days(tape: Any) -> Any:
    """Return a tape of one or two symbols with bars of a day; those of the second are half as long."""
    first = tape.series[1]
    tape.flow_time = [round(time * DAY / PERIOD) for time in tape.flow_time]
    for name in ("open_time", "close_time"):
        times = getattr(tape, name)
        setattr(tape, name, [t * DAY // PERIOD if row < first else t * DAY // (2 * PERIOD)
                             for row, t in enumerate(times)])
    sort_events(tape, [0] * first + [1] * (len(tape.close_time) - first))
    return tape


def vocabulary(upside_down: bool) -> dict[str, Any]:
    """Return the names that actions use; upside down, verbs and sides are those of the other side."""
    names = {name: getattr(verbs, name) for name in verbs.__all__}
    if upside_down:
        names = {name: mirrored(name, names[OPPOSITE.get(name, name)]) for name in names}
    return {**names, "day": day}


def mirrored(name: str, thing: Any) -> Any:
    """Return a verb that is called with prices and sides upright and asks for their mirror image."""
    if not callable(thing) or isinstance(thing, type):
        return thing
    verb: Callable[..., None] = thing

    def turn(now: Any, *values: Any, **named: Any) -> None:
        if name in PRICED:
            values = (values[0], *(MIRROR - price for price in values[1:]))
        elif name == "move_stop":
            values = (MIRROR - values[0],)
        verb(now, *values, **{key: MIRROR - value if key in ("stop", "target") else value
                              for key, value in named.items()})

    return turn


# --- reading ----------------------------------------------------------------------------------------------------------


def section() -> str:
    """Return the part of the page that has the pictures."""
    return PAGE.read_text(encoding="utf-8").partition(SECTION)[2]


def pictures() -> dict[str, Picture]:
    """Return the pictures of the page by the slug of their heading."""
    found = {}
    for part in re.split(r"^#### ", section(), flags=re.MULTILINE)[1:]:
        title, _, rest = part.partition("\n")
        block = re.search(r"^```text\n(.*?)^```$", rest, re.MULTILINE | re.DOTALL)
        assert block, f"{title} has no picture"
        found[slug(title)] = read(title, block[1])
    return found


def read(title: str, block: str) -> Picture:
    """Return the picture that a block of text draws."""
    picture = Picture(title)
    last = 0.0
    for line in block.splitlines():
        key, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if match := re.match(r"bar (\d+) ((?: *\d+(?:\.\d+)?)+)(?: +(\w+\(.*))?$", line):
            last = int(match[1]) + 1.0
            picture.bars[int(match[1])] = tuple(float(number) for number in match[2].split())
            add(picture, last, match[3])
        elif match := re.match(r"at ([\d.]+) +(\w+\(.*)$", line):
            add(picture, float(match[1]), match[2])
        elif re.match(r" +\w+\(now", line):
            add(picture, last, line.strip())
        elif key == "given":
            picture.given = eval(f"dict({rest})")
        elif key in ("fill", "orders", "equity", "ambiguous", "excursions"):
            picture.told.setdefault(key, []).append(rest)
        elif re.match(r" +(bar \d+ *)+$", line) or re.match(r" +\d+( |$)", line):
            picture.drawing.append(line)
        else:
            assert not line.strip() or re.fullmatch(r" +O +H +L +C( +V)?", line), f"{title}: {line!r}"
    return picture


def add(picture: Picture, time: float, action: str | None) -> None:
    """Have a picture do something at a time in days."""
    if action:
        picture.actions.setdefault(time, []).append(action)
