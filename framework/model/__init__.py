"""What the market is made of: instruments, the closed vocabularies, and the record layouts beside them."""

from framework.model.enums import EventKind, OrderKind, OrderStatus, Reason, Role, Side, Status, TimeInForce, Verb
from framework.model.instrument import Instrument

__all__ = ["EventKind", "Instrument", "OrderKind", "OrderStatus", "Reason", "Role", "Side", "Status",
           "TimeInForce", "Verb"]
