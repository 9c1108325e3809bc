"""The record layouts that the compiled step, the tables and the tests share.

Every dtype is aligned, so that ctypes, numpy and compiled code agree on it.  Prices are in the account
currency, quantities in units of the instrument (signed where the name says position), times in
nanoseconds UTC.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

UNSET = -sys.float_info.max
"""The default of an optional number of a verb: no price and no indicator ever has this value."""

MAX_ORDERS = 32
"""Intents per decision and working orders per slot."""


def record(*fields: tuple[Any, ...]) -> np.dtype:
    """Return a dtype of (name, type) or (name, type, shape), aligned, and read by attribute in plain Python too.

    Records inside records begin and end on 8 bytes: numpy forgets their alignment once they are attribute-readable.
    """
    offsets, formats, end = [], [], 0
    for _, *form in fields:
        part = np.dtype(tuple(form) if len(form) > 1 else form[0])
        base = part.subdtype[0] if part.subdtype else part
        alignment = 8 if base.names else base.alignment
        end = -(-end // alignment) * alignment
        offsets.append(end)
        formats.append(part)
        end += part.itemsize
    layout: Any = {"names": [field[0] for field in fields], "formats": formats, "offsets": offsets,
              "itemsize": -(-end // 8) * 8, "aligned": True}
    return np.dtype((np.record, np.dtype(layout)))


def padded(dtype: np.dtype, itemsize: int) -> np.dtype:
    """Return the layout of a record with more bytes behind its fields, so that adjacent ones keep a distance."""
    fields: Any = dtype.fields
    names = list(dtype.names or ())
    layout: Any = {"names": names, "formats": [fields[name][0] for name in names],
                   "offsets": [fields[name][1] for name in names], "itemsize": itemsize, "aligned": True}
    return np.dtype((np.record, np.dtype(layout)))


# --- what a strategy sees: the header of `now` ------------------------------------------------------------------------

BAR = record(("open_time", "i8"), ("close_time", "i8"), ("open", "f8"), ("high", "f8"), ("low", "f8"),
             ("close", "f8"), ("volume", "f8"))

POSITION_VIEW = record(("qty", "f8"), ("pending", "f8"), ("entry_price", "f8"), ("pnl", "f8"), ("stop", "f8"),
                       ("target", "f8"), ("high_water", "f8"), ("bars_held", "i8"))

ACCOUNT_VIEW = record(("equity", "f8"), ("cash", "f8"), ("buying_power", "f8"), ("exposure", "f8"), ("peak", "f8"),
                      ("drawdown", "f8"), ("day_start_equity", "f8"), ("open_positions", "i8"))

CLOCK = record(("time_ns", "i8"), ("minute", "i8"), ("weekday", "i8"), ("bars_in_session", "i8"),
               ("minutes_to_close", "i8"), ("bars_held", "i8"))

INTENT = record(("verb", "i8"), ("side", "i8"), ("kind", "i8"), ("reduce_only", "i8"), ("tag", "i8"), ("group", "i8"),
                ("tif", "i8"), ("until", "i8"), ("oco", "i8"),
                ("qty", "f8"), ("weight", "f8"), ("price", "f8"), ("priority", "f8"),
                ("stop", "f8"), ("stop_offset", "f8"), ("target", "f8"), ("target_offset", "f8"),
                ("trail", "f8"), ("trail_after", "f8"), ("limit", "f8"),
                ("partial_distance", "f8"), ("partial_share", "f8"))

FILL_VIEW = record(("order_id", "i8"), ("time", "i8"), ("side", "i8"), ("role", "i8"), ("tag", "i8"), ("qty", "f8"),
                   ("price", "f8"), ("fee", "f8"))

ORDER_VIEW = record(("order_id", "i8"), ("side", "i8"), ("kind", "i8"), ("role", "i8"), ("tag", "i8"), ("qty", "f8"),
                    ("price", "f8"))

HEADER = record(
    ("fills", FILL_VIEW, (MAX_ORDERS,)), ("orders", ORDER_VIEW, (MAX_ORDERS,)), ("intents", INTENT, (MAX_ORDERS,)),
    ("account", ACCOUNT_VIEW), ("bar", BAR), ("clock", CLOCK), ("universe", "i8"), ("age", "i8"), ("fresh", "?"),
    ("fill_count", "i8"), ("order_count", "i8"), ("intent_count", "i8"), ("intents_refused", "i8"),
    ("position", POSITION_VIEW),
)
"""The fixed head of `now`; `ind`, `prev`, `p`, `state` and `shared` of one strategy follow it.

What every decision touches stands at the end, next to the strategy's own names: a few lines of the cache per slot.
"""

# --- what a slippage model and a risk rule see ------------------------------------------------------------------------

INSTRUMENT_VIEW = record(("tick", "f8"), ("lot", "f8"), ("min_qty", "f8"), ("min_notional", "f8"), ("multiplier", "f8"))

FILL_REQUEST = record(("result", "f8"), ("reference", "f8"), ("qty", "f8"), ("mean_volume", "f8"), ("volatility", "f8"),
                      ("bar", BAR), ("instrument", INSTRUMENT_VIEW))
"""The head of what a slippage model sees; `p` follows it.  qty is signed; bar is the last closed one."""

PAST = record(
    ("day", "i8"), ("week", "i8"), ("month", "i8"), ("week_start_equity", "f8"), ("month_start_equity", "f8"),
    ("round_trips", "i8"), ("losing_streak", "i8"), ("trades_today", "i8"), ("last_exit_time", "i8"),
)
"""What the account has behind it.

day, week, month: of the account calendar, counted from 1970 on; *_start_equity: marked at the last roll.  round_trips:
ended ones; losing_streak: of those, the last ones that lost; trades_today: round trips begun since the day rolled and
working openings of which nothing has filled.  last_exit_time: when the last round trip ended, ns.
"""

TRIPS = record(("count", "i8"), ("wins", "i8"), ("losses", "i8"), ("won", "f8"), ("lost", "f8"))
"""The last round trips in sums: won and lost are currency, both >= 0."""

ORDER_CHECK = record(
    ("result", "f8"), ("allowed", "f8"), ("refused", "i8"), ("value", "f8"), ("limit", "f8"), ("nearness", "f8"),
    ("alarm_below", "f8"), ("alarm_above", "f8"), ("alarm_margin", "f8"), ("flattens", "i8"),
    ("trail", "f8"), ("trail_after", "f8"), ("held_stop", "f8"), ("held_target", "f8"),
    ("partial_distance", "f8"), ("partial_share", "f8"),
    ("qty", "f8"), ("reference", "f8"), ("entry", "f8"), ("stop", "f8"), ("target", "f8"), ("side", "i8"),
    ("kind", "i8"),
    ("position_qty", "f8"), ("symbol_qty", "f8"), ("symbol_pending", "f8"), ("symbol_committed", "i8"),
    ("available", "f8"), ("heat", "f8"), ("slot_heat", "f8"), ("working_notional", "f8"),
    ("carried", "f8"), ("proceeds", "f8"),
    ("committed_positions", "i8"), ("correlation", "f8"), ("alert_at", "f8"),
    ("past", PAST), ("trips", TRIPS),
    ("bar", BAR), ("account", ACCOUNT_VIEW), ("clock", CLOCK), ("instrument", INSTRUMENT_VIEW),
)
"""The head of what a rule or a sizing rule sees of one opening; `p`, `ind` and `state` follow it.

What verbs write comes first.
"""

# --- the tables of a run: one row each, kept in the order in which they happened --------------------------------------

ORDER = record(("id", "i8"), ("parent", "i8"), ("slot", "i8"), ("symbol", "i8"), ("side", "i8"), ("kind", "i8"),
               ("role", "i8"), ("status", "i8"), ("reduce_only", "i8"), ("tag", "i8"), ("group", "i8"),
               ("tif", "i8"), ("until", "i8"), ("oco", "i8"),
               ("placed_time", "i8"), ("ended_time", "i8"), ("qty", "f8"), ("filled", "f8"), ("average_price", "f8"),
               ("price", "f8"), ("limit", "f8"), ("stop", "f8"), ("target", "f8"))
"""One order from acceptance to its end.  qty of a protective order is 0: the whole position at its fill.

price is what the order waits for, limit what a stop-limit becomes; both are UNSET where there is none.
until: when a DAY or GTD order expires, 0 when it does not or when its session has not begun.
"""

FILL = record(("id", "i8"), ("previous", "i8"), ("order_id", "i8"), ("time", "i8"), ("bar", "i8"), ("slot", "i8"),
              ("symbol", "i8"),
              ("side", "i8"), ("role", "i8"), ("tag", "i8"), ("qty", "f8"), ("price", "f8"), ("reference", "f8"),
              ("fee", "f8"), ("slippage", "f8"), ("position", "f8"), ("is_maker", "?"), ("is_cross", "?"),
              ("is_gapped", "?"))
"""One execution.  slippage is its cost in currency, >= 0; position is the slot's signed quantity after it.

previous is the id of the slot's fill before, 0 for its first: a decision finds its own fills without those of others.
"""

TRADE = record(("id", "i8"), ("slot", "i8"), ("symbol", "i8"), ("side", "i8"), ("exit_role", "i8"), ("bars", "i8"),
               ("fills", "i8"), ("entry_time", "i8"), ("exit_time", "i8"), ("qty", "f8"), ("entry_price", "f8"),
               ("exit_price", "f8"), ("pnl", "f8"), ("fees", "f8"), ("slippage", "f8"), ("cash_flows", "f8"),
               ("mae", "f8"), ("mfe", "f8"))
"""One round trip of a slot, flat to flat.

qty is the quantity entered in all; prices are averages over it; pnl is after fees and with cash_flows, the dividends,
funding and borrow of the position, > 0 where received; mae and mfe are the worst and best price excursion against and
for the position, as fractions of the entry price, mae <= 0 <= mfe.
"""

REFUSAL = record(("time", "i8"), ("slot", "i8"), ("symbol", "i8"), ("side", "i8"), ("verb", "i8"), ("reason", "i8"),
                 ("asked", "f8"), ("allowed", "f8"), ("value", "f8"), ("limit", "f8"))
"""One intent refused (allowed = 0) or reduced (0 < allowed < asked), with what the rule measured and its limit."""

CASH_FLOW = record(("id", "i8"), ("time", "i8"), ("slot", "i8"), ("symbol", "i8"), ("kind", "i8"), ("qty", "f8"),
                   ("base", "f8"), ("rate", "f8"), ("amount", "f8"))
"""Money that no fill moved; kind is a CashKind, amount > 0 where it is received.

rate applies to base: currency per unit to units (DIVIDEND), a fraction to a value in currency (the others; for nights
the fraction of all of them).  qty is the position's, signed, of TDS that of the sale; slot and symbol are -1 for
INTEREST and TAX, of the account.  base of TAX is what is taxed; what was withheld counts towards its amount.
"""

MARK = record(("time", "i8"), ("equity", "f8"), ("cash", "f8"), ("exposure", "f8"))
"""The account after marking at one instant; exposure is gross: the sum of |quantity| * price * multiplier."""

DAY = record(("day", "i8"), ("time", "i8"), ("equity", "f8"), ("exposure", "f8"))
"""The account at the last mark of one day of the account calendar; day counts days since 1970-01-01."""
