"""The closed vocabularies of the market, as integers that compiled code and tables share."""

from __future__ import annotations

from enum import IntEnum


class Side(IntEnum):
    """The direction of an order, a fill or a position."""

    BUY = 1
    SELL = -1


class OrderKind(IntEnum):
    """What makes an order fill."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    """A limit order once its stop price was touched; its kind and price are those of the limit from then on."""
    MARKET_ON_CLOSE = 4
    """A market order for the close of a bar."""


class TimeInForce(IntEnum):
    """How long an order works."""

    GTC = 0
    """Good till cancelled."""
    DAY = 1
    """Until the session of its symbol ends."""
    GTD = 2
    """Good till a date: until a given time."""
    IOC = 3
    """Immediate or cancel: what its first chance does not fill is cancelled."""
    FOK = 4
    """Fill or kill: its first chance fills all of it, or it is cancelled."""


class Role(IntEnum):
    """Why an order exists; the reason of the fill that it causes."""

    ENTRY = 0
    EXIT = 1
    STOP = 2
    TARGET = 3
    TRAIL = 4
    END = 5
    """Closed at the last close of the run, as `close_at_end` asks."""
    DELISTED = 6
    """Closed at the last close of a symbol whose data ended early."""
    LIQUIDATION = 7
    """Closed at the open after the account fell below its maintenance margin."""
    HALT = 8
    """Closed at the open after a risk rule had asked for it."""


class OrderStatus(IntEnum):
    """Where an order stands; all but WORKING are final."""

    WORKING = 0
    FILLED = 1
    CANCELED = 2
    """By the strategy, by a replacement under the same tag, or the rest of an IOC or FOK order."""
    POSITION_CLOSED = 3
    """A protective order or a remainder whose position is gone."""
    CUT_AT_FILL = 4
    """The part of an opening that buying power at its fill did not cover."""
    REPLACED = 5
    """A protective order in whose place a newer entry put its own."""
    ENDED = 6
    """Still working when the data, or that of the symbol, ended."""
    EXPIRED = 7
    """The session of a DAY order, or the time of a GTD order, is over."""
    SIBLING_FILLED = 8
    """Another order of its `oco` number was filled."""
    MARGIN_CALL = 9
    """The account fell below its maintenance margin."""
    SLIPPAGE = 10
    """An opening whose slippage at its fill was above what a rule allows."""


class Verb(IntEnum):
    """What an intent asks for."""

    ORDER = 0
    CLOSE = 1
    TARGET = 2
    CANCEL = 3
    CANCEL_ALL = 4
    MOVE_STOP = 5


class Reason(IntEnum):
    """Why an intent was refused or reduced by the core; rules are numbered from RULE on."""

    NOT_A_NUMBER = 0
    """A price or quantity is NaN or infinite."""
    WRONG_SIDE = 1
    """A stop or target on the wrong side of the expected entry price."""
    BELOW_MINIMUM = 2
    """The quantity, rounded to the lot, is below the minimum quantity or notional."""
    NO_BUYING_POWER = 3
    """Reduced to, or refused for, the available buying power."""
    NOTHING_TO_CLOSE = 4
    """A reduction without a position, or with all of it already on its way out."""
    TOO_MANY_ORDERS = 5
    """More than 32 working orders of a slot, or intents of a decision."""
    SHORTS_NOT_ALLOWED = 6
    """`[account] shorts = false` and the order would open a short position."""
    UNKNOWN_TAG = 7
    """A cancel that names no working order."""
    GROUP_REFUSED = 8
    """Another leg of the group was refused."""
    WRONG_TERMS = 9
    """A time in force that there is not, or an `until` that is over or that the time in force does not take."""
    SYMBOL_ENDED = 10
    """The symbol had its last close."""
    MARGIN_CALL = 11
    """The account is below its maintenance margin."""
    RULE = 100
    """RULE + i: the i-th rule of the config."""


class CashKind(IntEnum):
    """Why money moves that no fill moved."""

    DIVIDEND = 0
    """An amount per unit, to whoever holds the symbol; a short position pays it."""
    FUNDING = 1
    """A rate on the value of a position in a perpetual future; long positions pay a positive rate."""
    BORROW = 2
    """What it costs to hold a short position over night."""
    INTEREST = 3
    """On cash: earned on a balance above 0, paid on one below."""
    TDS = 4
    """Tax that is withheld from the value of a sale; no part of a trade's profit."""
    TAX = 5
    """What the account pays for a tax year, or gets back of what was withheld."""


class Status(IntEnum):
    """Why `advance` returned."""

    RUNNING = 0
    """All events up to `last` are processed."""
    FULL = 1
    """A log is nearly full: enlarge it and call again."""
    FAULT = 2
    """A plug-in failed, or `strict` stopped the run."""
    RUINED = 3
    """Equity is zero or below: the run is over."""


class EventKind(IntEnum):
    """What an event of the tape says; CLOSE sorts before OPEN at the same instant."""

    CLOSE = 0
    OPEN = 1
