"""Room: whether the logs can take what comes next."""

from __future__ import annotations

from framework.boundary.jit import inlined


@inlined
def logs_have_room(s):
    """Return whether the logs of orders, fills, trades and refusals can take the most that one group may write."""
    account = s.account[0]
    margins = s.margins
    return (account.orders + margins[0] <= s.orders.size and account.fills + margins[1] <= s.fills.size
            and account.trades + margins[2] <= s.trades.size and account.refusals + margins[3] <= s.refusals.size)


@inlined
def marks_have_room(s):
    """Return whether the logs of marks, days and cash flows can take one more group."""
    account, margins = s.account[0], s.margins
    return (account.marks + margins[4] <= s.marks.size and account.days + margins[5] <= s.days.size
            and account.cash_flows + margins[6] <= s.cash_flows.size)
