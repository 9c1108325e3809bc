"""A state, what is plugged into it, and the way forward: what every driver of the step holds.

`advance` runs whole chunks, grows the logs, and turns the fault of a plug-in into the author's own traceback: the
chunk is run again from its snapshot with the function as plain Python.
"""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import numpy as np

from framework.boundary import adapter
from framework.boundary.adapter import Adapter, compile_adapter, interpret_adapter
from framework.boundary.tables import Block
from framework.engine import layout, state
from framework.engine.blocks import state_block, tape_block
from framework.engine.layout import State, Tape
from framework.engine.loop import advance
from framework.engine.state import RecordMemory
from framework.errors import StrategyError
from framework.model.enums import Reason, Status

CHUNK_SECONDS = 0.05
"""How long one chunk may take: Ctrl-C and progress wait no longer."""

FIRST_CHUNK = 64
MOST_EVENTS = 1 << 20


@attrs.define(eq=False)
class Plug:
    """One function of a plug-in and the field of the state that holds its address.

    kind, at: what a fault of it is reported as: layout.FAULT_..., and its slots or rules (None: anywhere).
    owner: what messages call it.
    """

    kind: int
    at: frozenset[int] | None
    owner: str
    function: Callable[..., Any]
    dtype: np.dtype
    form: str
    array: str
    rows: tuple[int, ...]
    field: str
    interpreted: bool = False
    note: str = ""
    adapter: Adapter | None = None

    def bind(self, into: State, interpreted: bool | None = None) -> None:
        """Compile or wrap the function and write its address into the state.

        A function that cannot be compiled is interpreted, and `note` says why.
        """
        wanted = self.interpreted if interpreted is None else interpreted
        adapter = None
        if not wanted:
            try:
                adapter = compile_adapter(self.function, self.dtype, self.form)
            except Exception as error:
                self.note = f"{self.owner} runs interpreted: {first_line(error)}"
        if adapter is None:
            adapter = interpret_adapter(self.function, self.dtype, self.form)
        self.adapter = adapter
        for row in self.rows:
            getattr(into, self.array)[self.field][row] = adapter.address


def first_line(error: BaseException) -> str:
    """Return the line of a compiler's message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Failed in", "During:", "File ", "def ", "<"))]
    return (told or lines or [type(error).__name__])[0]


@attrs.define(eq=False)
class Simulation:
    """One run of the step over one tape, from event `next` on.

    symbols: names, for messages.  keep: whatever must stay alive as long as addresses point into it (columns).
    remarks: what rules say of the data they will be asked on; outcomes: what they have to say of the run so far.
    """

    state: State
    tape: Tape
    nows: RecordMemory
    checks: RecordMemory
    plugs: list[Plug]
    symbols: tuple[str, ...]
    keep: Any
    remarks: list[str] = attrs.field(factory=list)
    outcomes: Callable[[], list[str]] = list
    next: int = 0
    status: Status = Status.RUNNING
    _identity: np.ndarray = attrs.field(init=False)
    _tape_block: Block = attrs.field(init=False)
    _state_block: Block = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._identity = identity(self)
        self._tape_block = tape_block(self.tape)
        self._hold(self.state)

    def _hold(self, held: State) -> None:
        self.state, self._state_block = held, state_block(held)

    @property
    def events(self) -> int:
        """The number of events of the tape."""
        return int(self.tape.event_time.size)

    @property
    def notes(self) -> list[str]:
        """What the user is told once: plug-ins that could not be compiled, and what rules remark."""
        return [*dict.fromkeys(plug.note for plug in self.plugs if plug.note), *self.remarks, *self.outcomes()]

    def advance(self, last: int) -> Status:
        """Process events until `next` >= last, growing logs as needed; raises the author's error on a fault.

        Whole groups of simultaneous events are processed, so `next` may end behind `last`.
        """
        before = state.copy_memory(self.state, self.nows, self.checks, logs=False)
        began = self.next
        with held_interrupts() as interrupts:
            self._run(last)
            if self.status == Status.FAULT:
                self._explain(began, last, before)
        if interrupts:
            raise KeyboardInterrupt
        return self.status

    def step(self, last: int | None = None) -> Status:
        """Process the next group of events, or those up to `last`, without a snapshot: the cheap way.

        Raises StrategyError when a plug-in fails; without a snapshot there is no way back, so that the simulation
        ends there.
        """
        if self.status != Status.RUNNING:
            raise StrategyError(f"the simulation has ended ({self.status.name.lower()}); put a new one together")
        if self._run(self.next + 1 if last is None else last) == Status.FAULT:
            account = self.state.account[0]
            raise self._failure(int(account["fault_kind"]), int(account["fault_at"]))
        return self.status

    def _failure(self, kind: int, at: int) -> BaseException:
        """Return the error of a fault without running anything again."""
        if kind == layout.FAULT_REFUSED:
            return self._refused(self.state.refusals[at])
        plug = self._plug(kind, at)
        return self._fault_error(plug, kind, at, self.next, plug.adapter.take_fault() if plug.adapter else None)

    def _plug(self, kind: int, at: int) -> Plug:
        """Return the plug-in function that a fault names."""
        asked = layout.FAULT_SLIPPAGE if kind == layout.FAULT_PRICE else kind
        return next(p for p in self.plugs if p.kind == asked and (p.at is None or at in p.at))

    def _run(self, last: int) -> Status:
        while True:
            event, status = advance(self._state_block.argument, self._tape_block.argument, self.next, last)
            self.next, self.status = int(event), Status(status)
            if self.status != Status.FULL:
                return self.status
            self._hold(state.grow(self.state))

    def _back(self, event: int, memory: dict[str, np.ndarray]) -> None:
        self._hold(state.restore_memory(self.state, memory, self.nows, self.checks))
        self.next, self.status = event, Status.RUNNING

    def chunks(self, last: int | None = None) -> Iterator[int]:
        """Advance in chunks of about CHUNK_SECONDS until `last` (default: the end); yield the next event after each."""
        last = self.events if last is None else min(last, self.events)
        size = FIRST_CHUNK
        while self.next < last and self.status == Status.RUNNING:
            began = time.perf_counter()
            self.advance(min(last, self.next + size))
            elapsed = time.perf_counter() - began
            size = int(max(1, min(MOST_EVENTS, size * min(8.0, CHUNK_SECONDS / max(elapsed, 1e-6)))))
            yield self.next

    def snapshot(self) -> bytes:
        """Return all that has happened so far as bytes; `restore` continues from there, in any process."""
        memory = state.copy_memory(self.state, self.nows, self.checks, logs=True)
        memory["next"] = np.array([self.next], np.int64)
        memory["identity"] = self._identity
        return state.pack(memory)

    def restore(self, data: bytes) -> None:
        """Continue from a snapshot of a simulation that was put together alike; ConfigError for that of another."""
        memory = state.unpack(data, self.state, self._identity)
        position = int(memory.pop("next")[0])
        self._hold(state.restore_memory(self.state, memory, self.nows, self.checks))
        self.next = position
        self.status = Status(int(self.state.account["status"][0]))

    def _explain(self, began: int, last: int, before: dict[str, np.ndarray]) -> None:
        """Run a failed chunk again with the failing function as plain Python, and raise what it raises."""
        account = self.state.account[0]
        kind, at, event = int(account["fault_kind"]), int(account["fault_at"]), self.next
        if kind == layout.FAULT_REFUSED:
            error = self._refused(self.state.refusals[at].copy())
            self._back(began, before)
            raise error
        plug = self._plug(kind, at)
        fault = plug.adapter.take_fault() if plug.adapter else None
        if fault is None and kind != layout.FAULT_PRICE:
            self._back(began, before)
            plug.bind(self.state, interpreted=True)
            self._run(last)
            fault = plug.adapter.take_fault() if plug.adapter else None
            event = self.next
        self._back(began, before)
        raise self._fault_error(plug, kind, at, event, fault)

    def _fault_error(self, plug: Plug, kind: int, at: int, event: int, fault: BaseException | None) -> BaseException:
        import traceback

        if isinstance(fault, KeyboardInterrupt):
            return fault
        moment = np.datetime_as_string(np.datetime64(int(self.tape.event_time[event]), "ns"), unit="s") + "Z"
        symbol = ""
        if kind == layout.FAULT_DECIDE:
            symbol = self.symbols[int(self.state.slots["symbol"][at])]
        elif kind in layout.FAULTS_OF_SLIPPAGE:
            symbol = self.symbols[at]
        where = f"{plug.owner} failed{f' on {symbol}' if symbol else ''} at {moment}"
        if kind == layout.FAULT_PRICE:
            price = float(self.state.request["result"][0])
            message = f"{where}: it returned the price {price!r}; a fill price must be finite and above 0"
            return StrategyError(message, function=plug.owner, symbol=symbol, bar_time=moment)
        if fault is None:
            message = f"{where}: the compiled function raised; run with --interpreted to see its traceback"
            return StrategyError(message, function=plug.owner, symbol=symbol, bar_time=moment)
        details = "".join(traceback.format_exception(type(fault), fault, author_part(fault)))
        error = StrategyError(f"{where}: {type(fault).__name__}: {fault}", function=plug.owner, symbol=symbol,
                              bar_time=moment, details=details)
        error.__cause__ = fault
        return error

    def _refused(self, row: np.void) -> StrategyError:
        symbol = self.symbols[int(row["symbol"])]
        moment = np.datetime_as_string(np.datetime64(int(row["time"]), "ns"), unit="s") + "Z"
        told = (f"names {row['value']:g} where the expected price is {row['limit']:g}; a stop belongs on the losing "
                "side, a target on the winning side, and a distance is above 0")
        if row["reason"] == Reason.NOT_A_NUMBER:
            told = f"carries the number {row['value']:g}; prices and quantities are finite and above 0"
        return StrategyError(f"[run] strict = true: an order of {symbol} at {moment} {told}", function="decide",
                             symbol=symbol, bar_time=moment)


def identity(made: Simulation) -> np.ndarray:
    """Return a hash of what a simulation is put together from, before its first event, uint8[32]."""
    digest = hashlib.sha256()
    plugs = [(plug.owner, plug.kind, plug.form, plug.rows, adapter.layout_of(plug.dtype)) for plug in made.plugs]
    tape = made.tape
    ends = [[int(times[0]), int(times[-1])] if times.size else [] for times in (tape.event_time, tape.close_time)]
    capital = float(made.state.account["cash"][0])
    digest.update(repr((made.symbols, plugs, tape.event_time.size, tape.close.size, ends, capital)).encode())
    for record in (made.state.settings, made.state.strategies):
        fixed = [name for name in record.dtype.names or () if name not in state.ADDRESSES]
        digest.update(repr(record[fixed].tolist()).encode())
    fixed = ["tick", "lot", "min_qty", "min_notional", "multiplier", "borrow", "final", "end_role"]
    digest.update(repr((made.state.symbols[fixed].tolist(), made.state.slots["ready"].tolist())).encode())
    closes = np.split(tape.close, [int(tape.series[-1])])
    for memory in (made.nows.tails, made.checks.tails, *(part[-1000:] for part in closes), tape.flow_time,
                   tape.flow_rate):
        digest.update(memory.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


@contextmanager
def held_interrupts() -> Iterator[list[int]]:
    """Keep Ctrl-C for the end of a chunk: raised inside a callback from compiled code it would be lost.

    A second Ctrl-C is raised where it arrives, for a function of an author that does not come back.  A process that
    ignores SIGINT, as one that a shell put into the background, goes on ignoring it.
    """
    pending: list[int] = []
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield pending
        return

    def keep(number: int, frame: Any) -> None:
        if pending:
            raise KeyboardInterrupt
        pending.append(number)

    previous = signal.signal(signal.SIGINT, keep)
    try:
        yield pending
    finally:
        signal.signal(signal.SIGINT, previous if previous is not None else signal.SIG_DFL)


def author_part(fault: BaseException) -> Any:
    """Return the traceback of an exception without the frames of the boundary: the author's own comes first."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == adapter.__file__:
        trace = trace.tb_next
    return trace
