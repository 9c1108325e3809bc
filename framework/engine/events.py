"""Events of the tape: when each is, what it is, and of which symbol and bar.

On a tape of one symbol the number of an event says it: bar b opens at event 2 * b and closes at the next one.  Its four
columns of events are not touched then; they would cost more to fetch than what most events do.
"""

from __future__ import annotations

import numpy as np

from framework.boundary.jit import inlined
from framework.model.enums import EventKind

CLOSE = int(EventKind.CLOSE)


@inlined
def is_lone(t):
    """Return whether the tape has one symbol."""
    return t.series.size == 2


@inlined
def bar_of(t, event):
    """Return the row of the bar that opens or closes."""
    return event // 2 if is_lone(t) else t.event_bar[event]


@inlined
def symbol_of(t, event):
    """Return the number of its symbol."""
    return 0 if is_lone(t) else np.int64(t.event_symbol[event])


@inlined
def closes(t, event):
    """Return whether the event is a close; else it is an open."""
    return event % 2 == 1 if is_lone(t) else t.event_kind[event] == CLOSE


@inlined
def time_of(t, event):
    """Return when it is, in ns."""
    if is_lone(t):
        return t.close_time[event // 2] if event % 2 == 1 else t.open_time[event // 2]
    return t.event_time[event]


@inlined
def end_of_group(t, first):
    """Return the event behind the group that `first` begins: equal time, equal kind."""
    last = first + 1
    if not is_lone(t):
        time, kind = t.event_time[first], t.event_kind[first]
        while last < t.event_time.size and t.event_time[last] == time and t.event_kind[last] == kind:
            last += 1
    return last
