"""Slippage as half of the bid-ask spread: `spread`.

This module is what the entry point names.  It imports the model when it is asked for, so that
`framework --help` need not load the compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from framework import hookimpl

if TYPE_CHECKING:
    from framework import SlippageModel


@hookimpl
def register_slippage_models() -> list[type[SlippageModel]]:
    """Return the slippage models of this package."""
    from framework_slippage_spread.model import Spread

    return [Spread]
