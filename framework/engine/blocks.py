"""The blocks by which kernels receive State and Tape: their types are fixed by the smallest examples of each."""

from __future__ import annotations

import numpy as np

from framework.boundary.tables import Block, opener, tables_type
from framework.engine.layout import State, Tape
from framework.engine.state import RecordMemory, allocate
from framework.model.records import FILL_REQUEST, HEADER, ORDER_CHECK


def _example_state() -> State:
    nows, checks = RecordMemory(HEADER, 1, []), RecordMemory(ORDER_CHECK, 1, [])
    made = allocate(1, [0], [0], 1, 1, 1, nows, checks, 0, 0)
    request = RecordMemory(FILL_REQUEST, 1, [])
    return made._replace(request=request.heads, request_tails=request.tails)


def _example_tape() -> Tape:
    kinds = {"event_kind": np.uint8, "event_symbol": np.int32, "account_day": np.int32, "local_minute": np.int16,
             "weekday": np.int8, "bars_in_session": np.int32, "minutes_to_close": np.int32, "flow_symbol": np.int32,
             "flow_kind": np.uint8, "nights": np.int32}
    floats = ("open", "high", "low", "close", "volume", "flow_rate")
    arrays = [np.zeros(1, np.float64 if name in floats else kinds.get(name, np.int64)) for name in Tape._fields]
    for array in arrays:
        array.flags.writeable = False
    return Tape(*arrays)


STATE = tables_type("State", _example_state())
TAPE = tables_type("Tape", _example_tape())

open_state = opener(STATE)
open_tape = opener(TAPE)


def state_block(state: State) -> Block:
    """Return the block of a state; a new one is needed when logs were enlarged."""
    return Block(STATE, state)


def tape_block(tape: Tape) -> Block:
    """Return the block of a tape."""
    return Block(TAPE, tape)
