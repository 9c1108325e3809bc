"""Market data: the tape, the sources it is built from, calendars, timeframes and resampling.

timeframe  the texts "5m", "1d" and their lengths      calendars  sessions, days and clocks of exchanges
schedule   when the bars of a timeframe open and end    series     the bars of one symbol and the rules on them
tape       all symbols and every event in order         source     the contract of a data source
load       from a source's name to a tape
"""

from framework.data.load import BUILT_IN, load_tape
from framework.data.series import BarSeries, RepairReport
from framework.data.source import DataSource, Request
from framework.data.tape import Tape, build_tape

__all__ = [
    "BUILT_IN",
    "BarSeries",
    "DataSource",
    "RepairReport",
    "Request",
    "Tape",
    "build_tape",
    "load_tape",
]
