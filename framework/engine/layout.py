"""The state of the step: records that describe the account, and tuples that carry them into the kernels.

Everything the step knows is here, in arrays: a snapshot is a copy of them, and two drivers that hold the same
arrays continue alike.  Logs only grow; the driver enlarges them when `advance` says FULL.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from framework.model.records import MAX_ORDERS, padded, record

WORKING_MAX = MAX_ORDERS + 3
"""Working orders per slot: those of the strategy, a protective stop and target, and a liquidation."""

USES_FILLS = 1
USES_ORDERS = 2
USES_BAR = 4
USES_CLOCK = 8
USES_ACCOUNT = 16
USES_VOLUME = 32
USES_VOLATILITY = 64
USES_PAST = 128
USES_TRIPS = 256
USES_CORRELATION = 512
"""Bits of `uses`: what costs something to fill in, and is filled in only for functions that read it.

`slot.uses` tells it of a strategy, `settings.slippage_uses` of the slippage model, `settings.check_uses` of the
sizing and risk rules.
"""

SETTINGS = record(
    ("leverage", "f8"), ("cash_buffer", "f8"), ("shorts", "i8"), ("taker", "f8"), ("maker", "f8"), ("per_share", "f8"),
    ("per_order", "f8"), ("minimum", "f8"), ("participation", "f8"), ("volume_window", "i8"), ("limit_through", "f8"),
    ("start", "i8"), ("end", "i8"), ("slippage", "i8"), ("slippage_uses", "i8"), ("check_uses", "i8"),
    ("request", "i8"), ("slippage_indicators", "i8"),
    ("log_marks", "i8"), ("strict", "i8"),
    ("watches", "i8"), ("maintenance", "f8"), ("protects", "i8"), ("trip_window", "i8"), ("correlation_days", "i8"),
    ("accrues", "i8"), ("interest", "f8"), ("loan", "f8"), ("max_slippage", "f8"), ("max_slippage_rule", "i8"),
    ("has_details", "i8"),
    ("own_volume", "i8"),
    ("taxes", "i8"), ("tax_rate", "f8"), ("tds", "f8"), ("credit_tds", "i8"), ("offset_losses", "i8"),
    ("deduct_fees", "i8"), ("count_cash_flows", "i8"), ("first_month", "i8"), ("tax_last", "i8"),
)
"""taker, maker: fractions; participation: a fraction, 0 without a cap; start, end: decisions in [start, end), ns.

watches: whether a rule looks at marks; protects: whether one gives openings their stop or target.  trip_window: round
trips that rules are shown in sums; correlation_days: daily returns in a correlation.
maintenance: the least equity over exposure, 0 without one.  accrues: whether nights cost or earn anything; interest,
loan: fractions a year of a cash balance above and below 0.  max_slippage: of an opening's fill, a fraction of its
reference, inf without a limit; max_slippage_rule: the row of the rule that sets it.  has_details: whether bars have
finer ones inside.  own_volume: whether a fill sees the volume of its own bar.

taxes: whether they are paid inside the run, by what follows; tax_rate: of taxable gains, with its cess.  tds: withheld
of sales, a fraction, 0 without taxes.  tax_last: the mark at which the run ends.
"""

ACCOUNT = record(
    ("cash", "f8"), ("equity", "f8"), ("exposure", "f8"), ("carried", "f8"), ("peak", "f8"), ("day_start_equity", "f8"),
    ("reserved", "f8"), ("proceeds", "f8"), ("heat", "f8"), ("working_notional", "f8"),
    ("marked_equity", "f8"), ("marked_exposure", "f8"),
    ("alarm_below", "f8"), ("alarm_above", "f8"), ("alarm_margin", "f8"),
    ("day", "i8"), ("time", "i8"), ("open_positions", "i8"), ("committed_positions", "i8"), ("working", "i8"),
    ("orders", "i8"), ("fills", "i8"), ("trades", "i8"), ("refusals", "i8"), ("marks", "i8"), ("days", "i8"),
    ("ambiguous", "i8"), ("gapped", "i8"), ("stamp", "i8"), ("status", "i8"), ("fault_kind", "i8"), ("fault_at", "i8"),
    ("expiry", "i8"), ("final", "i8"), ("called", "i8"),
    ("week", "i8"), ("month", "i8"), ("week_start_equity", "f8"), ("month_start_equity", "f8"),
    ("losing_streak", "i8"), ("last_exit_time", "i8"), ("unfilled", "i8"),
    ("begun", "i8"), ("begun_since", "i8"), ("begun_after", "i8"),
    ("cash_flows", "i8"), ("next_flow", "i8"), ("flow_due", "i8"),
    ("tax_due", "i8"), ("tax_year", "i8"), ("tax_end", "i8"), ("has_tax_year", "i8"), ("owes_tax", "i8"),
    ("tax_gains", "f8"), ("tax_losses", "f8"), ("tax_withheld", "f8"), ("open_losses", "f8"), ("tax_base", "f8"),
    ("tax_owed", "f8"),
)
"""marked_equity, marked_exposure: at the last mark, `time`.  carried, proceeds: totals of the symbols; reserved, heat,
working_notional: of the slots.  orders .. days, cash_flows: rows used of each log.  next_flow, flow_due: the tape's
next cash flow, and when it or taxes are due.  expiry: no working order expires earlier.
final: the first event of the next group that ends a symbol.  called: whether the last mark was below maintenance.

alarm_*: rules look at a mark with equity <= alarm_below, equity > alarm_above or equity < alarm_margin * exposure.
unfilled: working openings of which nothing has filled.  begun: round trips of the day, begun_since of them since the
mark at begun_after.

tax_due: taxes are settled at the first mark then or later, FOREVER without any.  tax_year, tax_end: the year in which
the tax year under way begins, and its end in ns; has_tax_year: whether it has a trade or a sale; tax_gains, tax_losses,
tax_withheld: of it, the losses <= 0.  open_losses: of earlier ones, to be set off, <= 0.  tax_base, tax_owed, owes_tax:
what tax years whose books are closed are taxed on and owe, until a mark pays it, and whether there are any.
"""

FAULT_DECIDE, FAULT_SLIPPAGE, FAULT_PRICE, FAULT_RULE, FAULT_WATCH, FAULT_REFUSED = 1, 2, 3, 4, 5, 6
FAULT_PROTECT = 7
"""What `fault_kind` says: which plug-in failed; `fault_at` is its slot or its place among the rules."""

FAULTS_OF_SLIPPAGE = (FAULT_SLIPPAGE, FAULT_PRICE)
"""Faults whose `fault_at` is a symbol."""

FOREVER = (1 << 63) - 1
"""A time that never comes."""

LINE = 64
"""Bytes of a line of the cache."""


def in_lines(dtype: np.dtype) -> np.dtype:
    """Return a record's layout with as many bytes as fill whole lines of the cache."""
    return padded(dtype, -(-dtype.itemsize // LINE) * LINE)


SYMBOL = in_lines(record(
    ("net", "f8"), ("mark", "f8"), ("value", "f8"), ("multiplier", "f8"), ("closed", "i8"), ("working", "i8"),
    ("held", "i8"), ("asleep_until", "i8"),
    ("longs", "f8"), ("shorts", "f8"), ("carried", "f8"), ("pending_buys", "f8"), ("pending_sells", "f8"),
    ("leaving_longs", "f8"), ("leaving_shorts", "f8"), ("proceeds_longs", "f8"), ("proceeds_shorts", "f8"),
    ("proceeds", "f8"),
    ("budget", "f8"), ("tick", "f8"), ("lot", "f8"), ("min_qty", "f8"), ("min_notional", "f8"),
    ("bar", "i8"), ("openings", "i8"), ("committed", "i8"), ("waiting", "i8"),
    ("touch_low", "f8"), ("touch_high", "f8"),
    ("final", "i8"), ("end_role", "i8"), ("ended", "i8"), ("borrow", "f8"),
))
"""What every bar touches comes first: one line of the cache.

bar: row of the bar in progress or just closed; closed: row of the last closed bar, -1 before the first.
held: slots with a position; asleep_until: the least of its slots'.  waiting: bits of WAITS_...  touch_low, touch_high:
a bar that stays strictly between them touches no working order.
longs, shorts: units that slots hold, both >= 0; carried: the value of the larger side, which is what remains when the
other leaves.  pending_...: units in working orders that are not protective; leaving_..., proceeds_...: of them, market
reductions, and what they free; proceeds: what they free of the larger side.
final: the first event of the group of its last close, FOREVER when that ends nothing; end_role: the Role of the exits
then; ended: whether it is over.  borrow: what a short position costs, a fraction of its value a year.
"""

SLOT = in_lines(record(
    ("qty", "f8"), ("high_water", "f8"), ("lowest", "f8"), ("highest", "f8"), ("working", "i8"), ("bars_held", "i8"),
    ("entry_bar", "i8"), ("entered_inside", "i8"),
    ("asleep_until", "i8"), ("decide", "i8"), ("pointer", "i8"), ("ready", "i8"), ("uses", "i8"), ("symbol", "i8"),
    ("wake_flat", "i8"), ("wake_held", "i8"), ("indicators", "i8"), ("first_column", "i8"), ("strategy", "i8"),
    ("fills_seen", "i8"), ("last_fill", "i8"), ("entry_price", "f8"), ("worst", "f8"), ("best", "f8"),
    ("reserved", "f8"), ("heat", "f8"), ("notional", "f8"), ("openings", "i8"),
    ("pending_buys", "f8"), ("pending_sells", "f8"), ("leaving_longs", "f8"), ("leaving_shorts", "f8"),
    ("proceeds_longs", "f8"), ("proceeds_shorts", "f8"),
    ("unfilled", "i8"), ("entry_time", "i8"), ("touched", "i8"),
    ("qty_in", "f8"), ("cost_in", "f8"), ("qty_out", "f8"), ("value_out", "f8"), ("realised", "f8"), ("fees", "f8"),
    ("slippage", "f8"), ("cash_flows", "f8"), ("trade_fills", "i8"),
    ("partial_distance", "f8"), ("partial_share", "f8"), ("touch_low", "f8"), ("touch_high", "f8"),
    ("walked", "i8"), ("trail_due", "i8"),
))
"""One strategy on one symbol: its position, the trade in progress and the totals of its working orders.

What every bar of a position touches comes first, what a decision touches next.

wake_flat, wake_held: addresses of bool columns, 0 for none; asleep_until: the row of the bar at which it is asked next.
entry_bar: the bar in which the position began, or the last of which it has seen finer bars before the mark.
partial_distance, partial_share: how far, a fraction of the entry price, a share of the position is closed that began
with an entry to which a rule gave a first target; the share is 0 without one, and once that is placed.
touch_low, touch_high: as in SYMBOL, of its own orders.  walked: the last bar whose finer bars were matched one by one.
trail_due: whether its orders changed since its stop was last looked at for trailing.
worst, best: excursions up to the last change of entry_price; lowest, highest: prices since then.
"""

WORK = record(
    ("id", "i8"), ("side", "i8"), ("kind", "i8"), ("role", "i8"), ("reduce_only", "i8"), ("tag", "i8"), ("group", "i8"),
    ("tif", "i8"), ("until", "i8"), ("oco", "i8"), ("call", "i8"),
    ("active_from", "i8"), ("born_inside", "i8"), ("tried", "i8"), ("filled", "i8"), ("charged", "i8"),
    ("bracketed", "i8"), ("remaining", "f8"), ("price", "f8"), ("next_price", "f8"), ("limit", "f8"), ("entry", "f8"),
    ("risk_each", "f8"), ("unit_cost", "f8"), ("free", "f8"), ("reserved_qty", "f8"), ("proceeds_each", "f8"),
    ("stop", "f8"), ("stop_offset", "f8"),
    ("target", "f8"), ("target_offset", "f8"),
    ("trail", "f8"), ("trail_after", "f8"), ("partial_distance", "f8"), ("partial_share", "f8"), ("raw_fee", "f8"),
    ("fee", "f8"),
)
"""One working order; price is UNSET for a market order and for a trail that is not active yet.

until: the time at which it expires, FOREVER without one.  call: which intent of its decision placed it.
"""

WAITS_MOVE, WAITS_SESSION, WAITS_CHANCE, WAITS_TRIGGER, WAITS_CLOSE = 1, 2, 4, 8, 16
"""What waits for a symbol's next open: a move of a stop, the session of a DAY order, an order that has one chance; for
its next range: a stop-limit; for its next close: a market-on-close order."""

AT_OPEN, IN_RANGE, AT_CLOSE = 0, 1, 2
"""The phases in which fills happen."""

STRATEGY = record(("first_slot", "i8"), ("slots", "i8"), ("decide_all", "i8"), ("shared_bytes", "i8"),
                  ("shared_offset", "i8"))
"""Its slots are adjacent; shared_offset is the place of the shared memory inside their records of `now`."""

RULE = record(("address", "i8"), ("watch", "i8"), ("protect", "i8"), ("pointer", "i8"), ("indicators", "i8"),
              ("alert_at", "f8"), ("nearest", "f8"), ("alerts", "i8"), ("alerted_at", "i8"))
"""A sizing rule (row 0) or risk rule; `pointer` is its record.

alert_at: the share of a limit from which on it is told that it is near; nearest, alerts, alerted_at: the largest share
that was measured, how often it was told and when first.
"""


class Tape(NamedTuple):
    """The market data of a run as the kernels read it: plain one-dimensional arrays, read-only."""

    event_time: np.ndarray
    event_kind: np.ndarray
    event_symbol: np.ndarray
    event_bar: np.ndarray
    series: np.ndarray
    open_time: np.ndarray
    close_time: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    account_day: np.ndarray
    local_minute: np.ndarray
    weekday: np.ndarray
    bars_in_session: np.ndarray
    minutes_to_close: np.ndarray
    detail: np.ndarray
    """int64, (bars + 1): finer bars of bar i are rows detail[i]:detail[i + 1], at least one, of times and prices,
    behind the bars themselves; one element when there are none."""
    flow_time: np.ndarray
    """int64: the cash flows of the data, in order of time."""
    flow_symbol: np.ndarray
    flow_kind: np.ndarray
    flow_rate: np.ndarray
    nights: np.ndarray
    """int32, (bars): how many nights follow the bar's close; empty where nights cost and earn nothing."""
    day_before: np.ndarray
    """int64, (bars): the last bar of the symbol on an earlier day of the account than the bar's, a row before its first
    without one; empty where no rule compares days."""


class State(NamedTuple):
    """All that changes, and what was plugged in (addresses), as arrays."""

    settings: np.ndarray
    account: np.ndarray
    symbols: np.ndarray
    slots: np.ndarray
    working: np.ndarray
    """WORK, (slots, WORKING_MAX): the first `slot.working` of each row, in order of acceptance."""
    strategies: np.ndarray
    rules: np.ndarray
    slot_of: np.ndarray
    """int64, (strategies, symbols): the slot, or -1."""
    symbol_first: np.ndarray
    """int64, (symbols + 1): slots of symbol s are symbol_slots[symbol_first[s]:symbol_first[s + 1]]."""
    symbol_slots: np.ndarray
    columns: np.ndarray
    """int64: addresses of indicator columns, by slot.first_column."""
    rule_columns: np.ndarray
    """int64, (rules, symbols, most indicators of a rule): addresses of their columns."""
    nows: np.ndarray
    """HEADER, one per slot, strided over the records of `now`."""
    tails: np.ndarray
    """float64, (slots, words): the same memory from `ind` on."""
    shared: np.ndarray
    """uint8, (strategies, bytes): the shared memory of each strategy."""
    now_bytes: np.ndarray
    """uint8, (slots, stride): the records of `now` as bytes."""
    checks: np.ndarray
    """ORDER_CHECK, one per rule, strided over the rules' records."""
    check_tails: np.ndarray
    """float64, (rules, words): the same memory from `ind` on."""
    request: np.ndarray
    """FILL_REQUEST, one."""
    request_tails: np.ndarray
    """float64, (1, words): the same memory from `ind` on."""
    slippage_columns: np.ndarray
    """int64, (symbols, indicators of the slippage model): addresses of their columns."""
    active: np.ndarray
    """int64, (symbols): scratch, the events of a group whose symbols have something to do."""
    due: np.ndarray
    """int64, (most, 3): scratch of the open phase: id, slot, whether it is an opening."""
    parent: np.ndarray
    """WORK, one: scratch, a copy of the order that is being filled."""
    queue: np.ndarray
    """int64, (most, 2): scratch of the intake: slot, number of the intent."""
    wanted: np.ndarray
    """float64, as long as queue: what each intent wants to open; UNSET leaves it to the sizing rule."""
    margins: np.ndarray
    """int64, (7,): free rows that each log needs before a group, in the order of the logs below."""
    orders: np.ndarray
    fills: np.ndarray
    trades: np.ndarray
    refusals: np.ndarray
    marks: np.ndarray
    days: np.ndarray
    cash_flows: np.ndarray
