"""Market data: the tape, the sources it is built from, calendars, timeframes and resampling.

timeframe  the texts "5m", "1d" and their lengths      calendars  sessions, days and clocks of exchanges
schedule   when the bars of a timeframe open and end    series     the bars of one symbol and the rules on them
tape       all symbols and every event in order         resample   longer bars by their scheduled end
details    finer bars inside the bars of a tape         source     the contract of a data source
load       from a source's name to a tape               frames     tables in memory as tapes
table      any kind of table and its columns            times      columns of times as instants
placement  from stamps to open and close times          gaps       scheduled bars that are missing
ingest     from a table to a valid series, or an error that names rows, rule and mend
split      one table of several symbols                 catalogue  a folder of checked bars in Parquet
vendor     files of any vendor as series
"""

from framework.data.catalogue import Catalogue, Entry
from framework.data.frames import from_frame, tape_from_frames
from framework.data.load import BUILT_IN, load_tape
from framework.data.resample import Bins, bins, resample
from framework.data.series import BarSeries, RepairReport
from framework.data.source import DataSource, Request
from framework.data.tape import Tape, build_tape

__all__ = [
    "BUILT_IN",
    "BarSeries",
    "Bins",
    "Catalogue",
    "DataSource",
    "Entry",
    "RepairReport",
    "Request",
    "Tape",
    "bins",
    "build_tape",
    "from_frame",
    "load_tape",
    "resample",
    "tape_from_frames",
]
