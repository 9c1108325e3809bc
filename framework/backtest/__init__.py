"""From a configuration to a result: the backtest, its statistics and its report.

The package can be called: ``framework.backtest(data=frame, strategy="ema_cross")`` is
`framework.backtest.api.backtest`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.backtest.result import Result


class _CallablePackage(ModuleType):
    """A package that is also the function of the same name, whichever of the two was imported first."""

    def __call__(self, *arguments: Any, **options: Any) -> Result:
        from framework.backtest.api import backtest

        return backtest(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
