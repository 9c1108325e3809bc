"""Due orders: those that an open or a close fills, of all symbols together, reductions first."""

from __future__ import annotations

from framework.boundary.jit import kernel
from framework.engine.layout import AT_OPEN
from framework.engine.matching import RUNNING, fill_order
from framework.engine.orders import find_order


@kernel
def append_due(s, slot_number, order, count):
    """Append an order of a slot to the scratch of due orders; return how many there are now."""
    s.due[count, 0], s.due[count, 1] = order.id, slot_number
    s.due[count, 2] = 0 if order.reduce_only else 1
    return count + 1


@kernel
def sort_due(due, count):
    """Sort the scratch of due orders by (opening, id): Shell's sort, in place, no memory of its own."""
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            identity, slot_number, opens = due[i, 0], due[i, 1], due[i, 2]
            j = i
            while j >= gap and (due[j - gap, 2] > opens or (due[j - gap, 2] == opens and due[j - gap, 0] > identity)):
                for c in range(3):
                    due[j, c] = due[j - gap, c]
                j -= gap
            due[j, 0], due[j, 1], due[j, 2] = identity, slot_number, opens
        gap //= 2


@kernel
def fill_due(s, t, count, time, phase):
    """Fill what still works of the due orders, at the open or the close of their symbols' bars."""
    sort_due(s.due, count)
    for i in range(count):
        if s.account[0].status != RUNNING:
            return
        slot_number = s.due[i, 1]
        k = find_order(s, slot_number, s.due[i, 0])
        if k >= 0:
            bar = s.symbols[s.slots[slot_number].symbol].bar
            fill_order(s, t, slot_number, k, t.open[bar] if phase == AT_OPEN else t.close[bar], bar, time, phase)
