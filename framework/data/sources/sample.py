"""Real daily bars of five US stocks from the package bokeh_sampledata, adjusted for splits and dividends."""

from __future__ import annotations

import attrs
import numpy as np

from framework.data.schedule import schedule_around
from framework.data.series import BarSeries, Floats, Ohlcv
from framework.data.source import DataSource, Request, read_options
from framework.data.timeframe import DAY
from framework.errors import DataError, did_you_mean

EXCHANGE = "XNYS"
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


@attrs.frozen
class SampleOptions:
    """The sample has no options."""


class Sample(DataSource):
    """Daily bars of AAPL, FB, GOOG, IBM and MSFT, 2000-03-01 to 2013-03-01 or from their first day."""

    name = "sample"

    def load(self, request: Request) -> list[BarSeries]:
        """Return the bars of each symbol, on the sessions of XNYS."""
        read_options(SampleOptions, request.options, "source sample")
        if request.timeframe not in (None, "1d"):
            raise DataError(
                f"source sample: timeframe {request.timeframe!r}; rule: its bars are daily; mend: leave timeframe "
                'out; a strategy reads longer ones with bars.timeframe("1w")'
            )
        for symbol in request.symbols:
            if symbol not in SYMBOLS:
                raise DataError(
                    f"source sample: no symbol {symbol!r}{did_you_mean(symbol, SYMBOLS)}; there are: "
                    f"{', '.join(SYMBOLS)}"
                )
        return [_series(symbol, request) for symbol in request.symbols or SYMBOLS]


def _series(symbol: str, request: Request) -> BarSeries:
    try:
        from bokeh_sampledata import stocks
    except ImportError:
        raise DataError(
            "source sample: the package bokeh_sampledata is not installed; mend: install the extra "
            "trading-framework[demo], or choose another source"
        ) from None
    raw = getattr(stocks, symbol)
    day = np.array(raw["date"], dtype="datetime64[D]").astype(np.int64)
    schedule = schedule_around(EXCHANGE, "1d", int(day[0]) * DAY, int(day[-1]) * DAY)
    session = np.searchsorted(schedule.sessions.day, day)
    open_, high, low, close, volume, adjusted = (
        np.array(raw[name], dtype=np.float64) for name in ("open", "high", "low", "close", "volume", "adj_close")
    )
    prices = adjust(open_, high, low, close, volume, adjusted)
    instrument = request.instrument(symbol, exchange=EXCHANGE, is_adjusted=True)
    return BarSeries(instrument, "1d", schedule.open_of(session), schedule.end_of(session), *prices)


def adjust(open_: Floats, high: Floats, low: Floats, close: Floats, volume: Floats, adjusted_close: Floats) -> Ohlcv:
    """Return open, high, low, close, volume on the scale of the adjusted close.

    Prices are multiplied by adjusted_close / close and volume is divided by it, so that price * volume, the money
    that changed hands, stays what it was.  high and low include open and close to the last bit.
    """
    factor = adjusted_close / close
    open_ = open_ * factor
    high = np.maximum(high * factor, np.maximum(open_, adjusted_close))
    low = np.minimum(low * factor, np.minimum(open_, adjusted_close))
    return open_, high, low, adjusted_close, volume / factor
