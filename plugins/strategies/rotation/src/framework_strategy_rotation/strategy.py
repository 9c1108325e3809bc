"""Hold the strongest symbols of a universe in equal parts, and choose anew from time to time.

Source: Jegadeesh and Titman (1993), "Returns to Buying Winners and Selling Losers", Journal of Finance 48(1): returns
of the last months, without the very last bars, rank the symbols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from framework import Now, Param, Strategy, compiled, target
from framework.indicators import Bars, Expression, roc


@compiled
def is_ranked(now: Any) -> bool:
    """Return whether a symbol's momentum is known and its last bar is young enough."""
    return bool(0 <= now.age <= now.p.stale and now.ind.momentum == now.ind.momentum)


@compiled
def rank_of(nows: Any, i: int, side: float) -> int:
    """Return how many of the symbols that can be ranked are stronger (side 1) or weaker (side -1) than symbol i.

    Of equals the one that comes first in the config is ranked first.
    """
    rank = 0
    for j in range(len(nows)):
        if is_ranked(nows[j]):
            ahead = side * (nows[j].ind.momentum - nows[i].ind.momentum)
            if ahead > 0.0 or (ahead == 0.0 and j < i):
                rank += 1
    return rank


class Rotation(Strategy):
    """Hold the `top` symbols by momentum in equal parts; with `bottom` sell the weakest as well.

    At the first close after `every`, all symbols are ranked by the change of their close over `lookback` bars, the last
    `skip` bars left out; one whose last bar is older than `stale` is not. One counts as strong only above `minimum`, as
    weak only below -`minimum`; places that nobody takes stay in cash. A position is brought to its part when it is off
    by more than `tolerance`.
    """

    name = "rotation"
    lookback = Param(126, low=2, high=1_000, doc="bars of the change that ranks")
    skip: Any = Param(5, low=0, high=100, doc="last bars that it leaves out")
    top = Param(2, low=1, high=50, doc="symbols held long")
    bottom = Param(0, low=0, high=50, doc="symbols held short")
    minimum = Param(0.0, low=-100.0, high=100.0, doc="change in percent that a long exceeds")
    every = Param("30d", is_duration=True, doc="time between rankings; \"none\": at every close")
    stale = Param("7d", is_duration=True, doc="age of the last bar from which on a symbol is left out")
    invested = Param(0.98, low=0.0, high=10.0, doc="gross exposure over equity when all places are taken")
    tolerance = Param(0.02, low=0.0, high=1.0, doc="fraction of equity by which a position may be off")
    shared: ClassVar[Mapping[str, Any]] = {"next": 0}

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the change of the close in percent."""
        return {"momentum": roc(bars.close, self.lookback).shift(self.skip)}

    @staticmethod
    def decide_all(nows: Sequence[Now]) -> None:
        """Rank when the time has come, and move each symbol to its part."""
        p, shared, time = nows[0].p, nows[0].shared, nows[0].clock.time_ns
        if time < shared.next:
            return
        shared.next = time + p.every
        part = p.invested / (p.top + p.bottom)
        for i in range(len(nows)):
            now = nows[i]
            wanted = 0.0
            if is_ranked(now):
                if now.ind.momentum > p.minimum and rank_of(nows, i, 1.0) < p.top:
                    wanted = part
                elif now.ind.momentum < -p.minimum and rank_of(nows, i, -1.0) < p.bottom:
                    wanted = -part
            held = now.position.qty * now.bar.close / now.account.equity
            if abs(wanted - held) > p.tolerance or (wanted == 0.0 and held != 0.0):
                target(now, weight=wanted)
