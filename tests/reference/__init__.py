"""A plain-Python simulator of docs/fills.md, written from that page alone, to hold against the compiled step."""

from tests.reference.market import ReferenceResult, Settings
from tests.reference.simulator import ReferenceStrategy, simulate

__all__ = ["ReferenceResult", "ReferenceStrategy", "Settings", "simulate"]
