"""Go with the side of the order book that holds more.

Source: Cont, Kukanov and Stoikov (2014), "The Price Impact of Order Book Events": over short times prices move with the
imbalance between what is bid and what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from framework import Now, Param, Strategy, buy, close_position, sell
from framework.indicators import Bars, Expression, atr, imbalance, spread_bps


class OrderBookImbalance(Strategy):
    """Buy where bids outweigh asks and sell where asks outweigh bids, in data that have an order book.

    Imbalance: the sizes of the best `levels` bids less those of as many asks, over both, -1 to 1. Out when it no longer
    leans to the position's side, after `hold` bars, or at the stop. No entry while the spread is wider than allowed.
    """

    name = "order_book_imbalance"
    levels = Param(5, low=1, high=10, doc="levels of the book that are added up on each side")
    enter = Param(0.6, low=0.05, high=1.0, doc="imbalance that an entry reaches")
    leave = Param(0.0, low=-1.0, high=1.0, doc="imbalance to the position's side at which it is closed")
    hold = Param(10, low=1, high=1_000, doc="bars after which a position is closed")
    spread_bps_most = Param(10.0, low=0.1, high=1_000.0, doc="widest spread for an entry, basis points")
    stop_atr = Param(2.0, low=0.1, high=20.0, doc="distance of the stop, in ATRs of 14 bars")
    shorts = Param(True, doc="whether the short side is traded")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the imbalance, the spread, and the average true range for the stop."""
        return {"imbalance": imbalance(bars.bid_depth(self.levels), bars.ask_depth(self.levels)),
                "spread": spread_bps(bars.bid(), bars.ask()), "atr": atr(bars, 14)}

    @staticmethod
    def decide(now: Now) -> None:
        """Leave when the book has turned or time is over; enter with the heavier side."""
        p, ind, held = now.p, now.ind, now.position.qty
        if held != 0.0:
            side = 1.0 if held > 0.0 else -1.0
            if side * ind.imbalance <= p.leave or now.position.bars_held >= p.hold:
                close_position(now)
        elif now.position.pending == 0.0 and ind.spread <= p.spread_bps_most:
            if ind.imbalance >= p.enter:
                buy(now, stop_offset=p.stop_atr * ind.atr)
            elif ind.imbalance <= -p.enter and p.shorts:
                sell(now, stop_offset=p.stop_atr * ind.atr)
