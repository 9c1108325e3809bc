"""Make, enlarge, save and restore the state of the step.

The arrays are allocated once; only the logs grow, by doubling, between two calls of `advance`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from framework.boundary import pool
from framework.engine import layout
from framework.engine.layout import State, Tape
from framework.errors import ConfigError
from framework.model.records import (
    CASH_FLOW,
    DAY,
    FILL,
    FILL_REQUEST,
    MARK,
    MAX_ORDERS,
    ORDER,
    REFUSAL,
    TRADE,
)

LOGS = ("orders", "fills", "trades", "refusals", "marks", "days", "cash_flows")
"""The tables of a run: `account` counts the rows that are used of each."""

BINDINGS = {"slots": ("decide", "pointer", "wake_flat", "wake_held"), "settings": ("slippage", "request"),
            "strategies": ("decide_all",), "rules": ("address", "watch", "protect", "pointer")}
"""Fields that hold addresses of this process: a snapshot never carries them over."""

ADDRESSES = frozenset(name for names in BINDINGS.values() for name in names)

NEVER = -1
"""A close time that no bar has: what a decision is shown of the market is filled in afresh after a restore."""

OPEN_ROWS = "open_rows"
"""In a copy without logs: the rows of the orders that were working."""

MEMORY = ("account", "symbols", "slots", "working", "shared", "rules", *LOGS)
"""What changes as events go by, besides the records of `now` and those that rules see."""


class RecordMemory:
    """Adjacent records of different layouts with one stride: the engine sees heads and tails, plug-ins their names.

    A row more than asked for keeps the views strided, so that one compiled step serves any number of rows.  The stride
    is an odd number of lines of the cache: what is hot in many records does not compete for the same places of it.
    """

    def __init__(self, head: np.dtype, rows: int, itemsizes: Sequence[int]) -> None:
        self.head = head
        lines = -(-max([head.itemsize + 16, *itemsizes]) // layout.LINE)
        self.stride = (lines | 1) * layout.LINE
        self.bytes = np.zeros((rows + 1) * self.stride, np.uint8)
        self.heads = np.ndarray((rows + 1,), head, self.bytes, 0, (self.stride,))
        words = (self.stride - head.itemsize) // 8
        self.tails = np.ndarray((rows + 1, words), np.float64, self.bytes, head.itemsize, (self.stride, 8))

    def address(self, row: int) -> int:
        """Return the address of a row."""
        return int(self.bytes.ctypes.data + row * self.stride)

    def record(self, row: int, dtype: np.dtype) -> np.ndarray:
        """Return one row under a plug-in's own layout, as an array without dimensions."""
        return np.ndarray((), dtype, self.bytes, row * self.stride)

    @property
    def rows(self) -> np.ndarray:
        """All rows as bytes, uint8 (rows, stride)."""
        return self.bytes.reshape(-1, self.stride)


def tape_of(data: Any, nights: np.ndarray, day_before: np.ndarray) -> Tape:
    """Return the arrays of a data tape that the kernels read: what is joined with finer bars, and the rest.

    nights: after each bar, empty where they are free.  day_before: as `days_before` returns it, empty without a use.
    """
    own = {"nights": nights, "day_before": day_before}
    columns = {name: getattr(data, name) for name in Tape._fields if name not in (*own, *data.joined)}
    return Tape(**columns, **data.joined, **own)


def days_before(series: np.ndarray, account_day: np.ndarray) -> np.ndarray:
    """Return for every bar the last one of its symbol on an earlier day, int64; without one the row before its first.

    series: rows where the symbols begin, and the end of the last.  account_day: of each bar, never falling within a
    symbol.

    >>> days_before(np.array([0, 4, 6]), np.array([1, 1, 2, 5, 1, 1])).tolist()
    [-1, -1, 1, 2, 3, 3]
    """
    rows = np.arange(int(series[-1]))
    begins = np.ones(rows.size, bool)
    begins[1:] = account_day[1 : rows.size] != account_day[: rows.size - 1]
    begins[series[:-1][np.diff(series) > 0]] = True
    return np.asarray(np.maximum.accumulate(np.where(begins, rows, 0)) - 1, np.int64)


BARS_A_ROW = (8, 16, 32, 32, 1, 32, 32)
"""How many bars there are to each row of the logs to begin with, in the order of LOGS: one entry may make four orders.

Rows that are not written to take no memory; to grow costs a copy.
"""


def most_fills(slots: int) -> int:
    """Return the fills that one group of events may bring at most; it brings no more orders than that either."""
    return slots * (2 * MAX_ORDERS + 2 * layout.WORKING_MAX)


def margins(slots: int, rules: int, log_marks: bool, cash_flows: int) -> np.ndarray:
    """Return the rows that one group of events may write to each log at most."""
    orders = most_fills(slots)
    refusals = slots * (MAX_ORDERS * (rules + 6) + 1 + layout.WORKING_MAX)
    return np.array([orders, orders, orders, refusals, int(log_marks), 2, cash_flows], np.int64)


def allocate_logs(sizes: Sequence[int]) -> dict[str, np.ndarray]:
    """Return empty logs of these many rows, in the order of LOGS."""
    return {name: pool.MEMORY.empty(size, dtype) for name, dtype, size
            in zip(LOGS, (ORDER, FILL, TRADE, REFUSAL, MARK, DAY, CASH_FLOW), sizes, strict=True)}


def on_lines(rows: int, dtype: np.dtype) -> np.ndarray:
    """Return empty records, the first at the beginning of a line of the cache."""
    memory = np.zeros(rows * dtype.itemsize + layout.LINE, np.uint8)
    return np.ndarray((rows,), dtype, memory, -memory.ctypes.data % layout.LINE)


def allocate(symbols: int, slot_strategies: Sequence[int], slot_symbols: Sequence[int], rules: int,
             rule_indicators: int, columns: int, nows: RecordMemory, checks: RecordMemory, shared_bytes: int,
             bars: int, log_marks: bool = True, cash_flows: int = 0) -> State:
    """Return a state with everything empty but the plan of slots: which strategy looks at which symbol.

    bars: of the run; the log of marks has room for one each, the others for a part of it, as BARS_A_ROW says, before
    they grow.
    cash_flows: the most that flow in one group of events.
    """
    slots = len(slot_strategies)
    strategies = max(slot_strategies) + 1
    slot_of = np.full((strategies, symbols), -1, np.int64)
    slot_of[list(slot_strategies), list(slot_symbols)] = np.arange(slots)
    by_symbol = np.argsort(np.asarray(slot_symbols), kind="stable").astype(np.int64)
    first = np.searchsorted(np.asarray(slot_symbols)[by_symbol], np.arange(symbols + 1)).astype(np.int64)
    need = margins(slots, rules, log_marks, cash_flows)
    rows = [2 * int(margin) + 64 + bars // each for margin, each in zip(need, BARS_A_ROW, strict=True)]
    rows[LOGS.index("marks")] = bars + 1 if log_marks else 1
    rows[LOGS.index("cash_flows")] = 2 * cash_flows
    most = slots * layout.WORKING_MAX
    state = State(
        settings=np.zeros(1, layout.SETTINGS), account=np.zeros(1, layout.ACCOUNT),
        symbols=on_lines(symbols, layout.SYMBOL), slots=on_lines(slots, layout.SLOT),
        working=np.zeros((slots, layout.WORKING_MAX), layout.WORK), strategies=np.zeros(strategies, layout.STRATEGY),
        rules=np.zeros(rules, layout.RULE), slot_of=slot_of, symbol_first=first, symbol_slots=by_symbol,
        columns=np.zeros(columns, np.int64), rule_columns=np.zeros((rules, symbols, max(1, rule_indicators)), np.int64),
        nows=nows.heads, tails=nows.tails, shared=np.zeros((strategies, shared_bytes), np.uint8),
        now_bytes=nows.rows,
        checks=checks.heads, check_tails=checks.tails, request=np.zeros(0, FILL_REQUEST),
        request_tails=np.zeros((0, 1)), slippage_columns=np.zeros((symbols, 1), np.int64),
        active=np.zeros(symbols, np.int64), due=np.zeros((most, 3), np.int64), parent=np.zeros(1, layout.WORK),
        queue=np.zeros((slots * MAX_ORDERS, 2), np.int64),
        wanted=np.zeros(slots * MAX_ORDERS), margins=need, **allocate_logs(rows))
    state.slots["strategy"], state.slots["symbol"] = slot_strategies, slot_symbols
    return state


def grow(state: State) -> State:
    """Return the state with every log that is nearly full enlarged to twice its size; the rest is the same memory."""
    account = state.account[0]
    larger = {}
    for name, margin in zip(LOGS, state.margins, strict=True):
        log = getattr(state, name)
        if account[name] + margin > log.size:
            fresh = pool.MEMORY.empty(max(2 * log.size, int(account[name] + 2 * margin)), log.dtype)
            fresh[: account[name]] = log[: account[name]]
            larger[name] = fresh
    return state._replace(**larger)


def used_logs(state: State) -> dict[str, np.ndarray]:
    """Return the used rows of every log."""
    account = state.account[0]
    return {name: getattr(state, name)[: account[name]] for name in LOGS}


def copy_memory(state: State, nows: RecordMemory, checks: RecordMemory, logs: bool) -> dict[str, np.ndarray]:
    """Return copies of all that changes; of the logs, without `logs`, only the rows that may still change."""
    names = [name for name in MEMORY if name not in LOGS and name != "working"]
    memory = {name: np.array(getattr(state, name)) for name in names}
    memory["working"] = state.working[:, : int(state.slots["working"].max())].copy()
    if logs:
        memory.update({name: rows.copy() for name, rows in used_logs(state).items()})
    else:
        memory[OPEN_ROWS] = state.orders[working_rows(state)].copy()
    memory["nows"], memory["checks"] = nows.tails.copy(), checks.tails.copy()
    return memory


def working_rows(state: State) -> np.ndarray:
    """Return the rows of the orders log that may still change: those of working orders."""
    used = np.arange(state.working.shape[1]) < state.slots["working"][:, None]
    return np.asarray(state.working["id"][used] - 1)


def restore_memory(state: State, memory: Mapping[str, np.ndarray], nows: RecordMemory, checks: RecordMemory) -> State:
    """Put a copy back, keeping this process's addresses; return the state (its logs may be other arrays now)."""
    for name, saved in memory.items():
        if name in ("nows", "checks"):
            (nows if name == "nows" else checks).tails[:] = saved
        elif name == "working":
            state.working[:, : saved.shape[1]] = saved
        elif name in LOGS:
            log = getattr(state, name)
            if saved.size > log.size:
                state = state._replace(**{name: np.empty(2 * saved.size, log.dtype)})
            getattr(state, name)[: saved.size] = saved
        elif name != OPEN_ROWS:
            here = getattr(state, name)
            kept = {field: here[field].copy() for field in BINDINGS.get(name, ())}
            here[...] = saved
            for field, values in kept.items():
                here[field] = values
    nows.heads["bar"]["close_time"][:] = NEVER
    if OPEN_ROWS in memory:
        state.orders[working_rows(state)] = memory[OPEN_ROWS]
    return state


def pack(memory: Mapping[str, np.ndarray]) -> bytes:
    """Return a copy of the memory as bytes (numpy's npz): plain arrays, nothing that could run."""
    buffer = io.BytesIO()
    raw: dict[str, Any] = {name: np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
                           for name, array in memory.items()}
    np.savez(buffer, **raw)
    return buffer.getvalue()


def unpack(data: bytes, state: State, identity: np.ndarray) -> dict[str, np.ndarray]:
    """Return the memory that `pack` wrote, in the layouts of `state`; ConfigError when it is not that of `identity`."""
    memory: dict[str, np.ndarray] = {}
    try:
        opened = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"these {len(data)} bytes are not a snapshot: {error}") from error
    with opened as saved:
        if "identity" not in saved.files or not np.array_equal(saved["identity"], identity):
            raise ConfigError("the snapshot is of another run: its bars, plug-ins, parameters or terms differ; restore "
                              "it into a simulation that was put together alike")
        for name in saved.files:
            if name == "identity":
                continue
            raw = saved[name]
            if name in ("nows", "checks"):
                like = state.tails if name == "nows" else state.check_tails
                memory[name] = np.frombuffer(raw.tobytes(), like.dtype).reshape(like.shape)
            elif name == "next":
                memory[name] = np.frombuffer(raw.tobytes(), np.int64)
            else:
                like = getattr(state, name)
                array = np.frombuffer(raw.tobytes(), like.dtype)
                memory[name] = array if name in LOGS else array.reshape(like.shape[0], -1) if like.ndim > 1 else array
    return memory
