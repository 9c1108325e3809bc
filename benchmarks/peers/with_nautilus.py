"""The scenario in nautilus_trader: python with_nautilus.py FOLDER BARS REPEATS OUT.

As in its documentation: `BacktestEngine` over external bars, its own compiled indicators, logging and risk checks
bypassed, no analysis of the run.  Making bars and adding them is not counted.  A market order placed at a bar's close
is filled at that close; these bars have no gaps, so that this is the instant and the price of the next open.  A fill
model worsens fills by the slippage.  It keeps no equity by bar; that of the end is asked for.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import nautilus_trader
import numpy as np
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import FillModel
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar, BarType, BookOrder
from nautilus_trader.model.enums import AccountType, BookType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity, Instrument
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy
from scenario import BAR_NS, CAPITAL, FAST, FEE, QTY, SLIPPAGE, SLOW, Clock, load_bars, tell

VENUE = Venue("SIM")
INSTRUMENT = InstrumentId(Symbol("A"), VENUE)
BARS = BarType.from_str(f"{INSTRUMENT}-5-MINUTE-LAST-EXTERNAL")
DIGITS = 9
"""Of a price behind the point."""


class CrossingConfig(StrategyConfig, frozen=True):
    """What the strategy trades, how much, and the time of the last bar, at which nothing can be filled elsewhere."""

    instrument_id: InstrumentId
    bar_type: BarType
    qty: Decimal
    last: int


class Crossing(Strategy):
    """Hold a quantity from the cross upwards to the cross downwards."""

    def __init__(self, config: CrossingConfig) -> None:
        super().__init__(config)
        self.fast, self.slow = SimpleMovingAverage(FAST), SimpleMovingAverage(SLOW)

    def on_start(self) -> None:
        """Have the averages updated by the bars."""
        self.qty = Quantity(self.config.qty, 0)
        self.fast_before = self.slow_before = float("nan")
        self.register_indicator_for_bars(self.config.bar_type, self.fast)
        self.register_indicator_for_bars(self.config.bar_type, self.slow)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Buy on the cross upwards, close on the cross downwards."""
        if not self.slow.initialized:
            return
        fast, slow, fast_before, slow_before = self.fast.value, self.slow.value, self.fast_before, self.slow_before
        self.fast_before, self.slow_before = fast, slow
        if fast > slow and fast_before <= slow_before:
            if bar.ts_event < self.config.last and self.portfolio.is_flat(self.config.instrument_id):
                self.submit_order(self.order_factory.market(self.config.instrument_id, OrderSide.BUY, self.qty))
        elif fast < slow and fast_before >= slow_before and bar.ts_event < self.config.last:
            self.close_all_positions(self.config.instrument_id)

    def on_reset(self) -> None:
        """Begin anew."""
        self.fast.reset()
        self.slow.reset()


class Slipping(FillModel):
    """Fill all of an order at the price that is a fraction worse."""

    def get_orderbook_for_fill_simulation(self, instrument: Instrument, order: Any, best_bid: Price,
                                          best_ask: Price) -> OrderBook:
        """Return a book that holds enough at these prices."""
        book = OrderBook(instrument.id, BookType.L2_MBP)
        size = Quantity(10 * QTY, instrument.size_precision)
        for number, (side, price) in enumerate(((OrderSide.BUY, float(best_bid) * (1.0 - SLIPPAGE)),
                                                (OrderSide.SELL, float(best_ask) * (1.0 + SLIPPAGE))), 1):
            book.add(BookOrder(side, Price(price, DIGITS), size, number), 0, 0)
        return book


def make_engine(bars: dict[str, np.ndarray]) -> BacktestEngine:
    """Return an engine with venue, instrument, bars and strategy.

    A position for every entry (HEDGING) is faster than one that is opened again and again (NETTING).
    """
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True),
                                                 risk_engine=RiskEngineConfig(bypass=True), run_analysis=False))
    engine.add_venue(VENUE, oms_type=OmsType.HEDGING, account_type=AccountType.CASH, base_currency=USDT,
                     starting_balances=[Money(CAPITAL, USDT)], fill_model=Slipping())
    fee = Decimal(str(FEE))
    instrument = Equity(INSTRUMENT, INSTRUMENT.symbol, USDT, DIGITS, Price(10.0**-DIGITS, DIGITS), Quantity(1, 0), 0, 0,
                        maker_fee=fee, taker_fee=fee)
    engine.add_instrument(instrument)
    close_time = bars["open_time"] + BAR_NS
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close", "volume")},
                         index=pd.DatetimeIndex(close_time.view("M8[ns]"), name="timestamp", tz="UTC"))
    engine.add_data(BarDataWrangler(BARS, instrument).process(frame))
    engine.add_strategy(Crossing(CrossingConfig(instrument_id=INSTRUMENT, bar_type=BARS, qty=Decimal(int(QTY)),
                                                last=int(close_time[-1]))))
    return engine


def main(folder: Path, count: int, repeats: int, out: Path) -> None:
    """Run, then tell times, trades and the final equity."""
    bars = load_bars(folder, count)
    engine, clock = make_engine(bars), Clock()
    for _ in range(repeats):
        engine.reset()
        clock.start()
        engine.run()
        positions = sorted(engine.cache.positions(), key=lambda one: one.ts_opened)
        cash = float(engine.cache.account_for_venue(VENUE).balance_total(USDT))
        equity = cash + sum(float(one.signed_qty) for one in positions) * float(bars["close"][-1])
        clock.stop()
    closed = [one for one in positions if one.is_closed]
    times = {name: [getattr(one, f"ts_{word}") for one in closed] for name, word in (("entry", "opened"),
                                                                                   ("exit", "closed"))}
    tell(out, {**{f"{name}_bar": np.searchsorted(bars["open_time"], at) for name, at in times.items()},
               "entry_price": [one.avg_px_open for one in closed], "exit_price": [one.avg_px_close for one in closed]},
         **clock.told(warm_up=0), equity=equity, version=nautilus_trader.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
