"""Trade the distance between two symbols that move together.

The logarithm of the first close is regressed on that of its partner over a rolling window. What the line leaves over,
in standard deviations of all that it left over in the window, is z; the slope is the hedge ratio: so much money in the
partner per unit of money in the first. Source: Vidyamurthy (2004), "Pairs Trading"; Engle and Granger (1987).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from framework import Now, Param, Strategy, buy, close_position, compiled, sell
from framework.indicators import Bars, Expression, beta, correlation, log, sma, std


@compiled
def z_of(ind: Any) -> float:
    """Return the residual of this bar over the deviation of the residuals of the window; 0 when they are all 0.

    The variance of the residuals of a least-squares line is that of the series times 1 - correlation^2.
    """
    variance = ind.deviation * ind.deviation * (1.0 - ind.correlation * ind.correlation)
    return ind.residual / math.sqrt(variance) if variance > 0.0 else 0.0


class StatArb(Strategy):
    """Sell the first symbol and buy its partner when the first is dear, the reverse when it is cheap.

    It takes two symbols, the second is the partner of the first. Entry at |z| >= enter_z, both legs or none, the
    partner's leg larger by the hedge ratio; exit when |z| has come back to exit_z, or has run away to stop_z: then
    it waits until z is back. A leg that is left alone is closed. Symbols beyond the second are not touched.
    """

    name = "stat_arb"
    window = Param(60, low=10, high=1_000, doc="bars of the regression")
    enter_z = Param(2.0, low=0.5, high=10.0, doc="distance that an entry reaches, in standard deviations")
    exit_z = Param(0.5, low=0.0, high=10.0, doc="distance at which the pair is closed")
    stop_z = Param(4.0, low=0.5, high=20.0, doc="distance at which it is given up")
    correlation_above = Param(0.5, low=0.0, high=1.0, doc="correlation in the window that an entry exceeds")
    gross = Param(0.5, low=0.01, high=10.0, doc="both legs together, fraction of equity")
    shared: ClassVar[Mapping[str, Any]] = {"gave_up": False}

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return hedge ratio, residual, correlation and deviation of the regression on the partner."""
        n, x, y = self.window, log(bars.symbol(1).close), log(bars.close)
        hedge = beta(y, x, n)
        return {"hedge": hedge, "residual": (y - sma(y, n)) - hedge * (x - sma(x, n)),
                "correlation": correlation(y, x, n), "deviation": std(y, n)}

    @staticmethod
    def decide_all(nows: Sequence[Now]) -> None:
        """Look at the pair where both bars have closed."""
        first, second = nows[0], nows[1]
        if not (first.fresh and second.fresh):
            return
        p, ind, shared = first.p, first.ind, first.shared
        z, held = z_of(ind), first.position.qty
        if abs(z) <= p.exit_z:
            shared.gave_up = False
        if held != 0.0 or second.position.qty != 0.0:
            direction = 1.0 if held > 0.0 else -1.0
            is_alone = (held == 0.0 or second.position.qty == 0.0) and first.position.pending == second.position.pending
            has_run_away = direction * z <= -p.stop_z
            if is_alone or has_run_away or direction * z >= -p.exit_z:
                shared.gave_up = has_run_away
                if held != 0.0:
                    close_position(first)
                if second.position.qty != 0.0:
                    close_position(second)
        elif (p.enter_z <= abs(z) < p.stop_z and not shared.gave_up and ind.hedge > 0.0
              and ind.correlation > p.correlation_above and first.position.pending == second.position.pending):
            weight = p.gross / (1.0 + ind.hedge)
            if z > 0.0:
                sell(first, weight=weight, group=1)
                buy(second, weight=weight * ind.hedge, group=1)
            else:
                buy(first, weight=weight, group=1)
                sell(second, weight=weight * ind.hedge, group=1)
