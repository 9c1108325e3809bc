"""From a configuration to a result: the backtest, its statistics and its report.

The package can be called: ``framework.backtest(data=frame, strategy="ema_cross")`` is
`framework.backtest.api.backtest`.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.backtest.result import Result

_ABOUT = __doc__


def _documentation(_: ModuleType) -> str:
    """Return what `help(framework.backtest)` says: of the package, then of the function that it is."""
    from framework.backtest.api import backtest

    parameters = inspect.signature(backtest).parameters.values()
    short = inspect.Signature([parameter.replace(annotation=parameter.empty) for parameter in parameters])
    return f"{_ABOUT}\nframework.backtest{short}\n\n{inspect.getdoc(backtest)}\n"


class _CallablePackage(ModuleType):
    """A package that is also the function of the same name, whichever of the two was imported first."""

    __doc__ = property(_documentation)

    @property
    def __signature__(self) -> inspect.Signature:
        from framework.backtest.api import backtest

        return inspect.signature(backtest)

    def __call__(self, *arguments: Any, **options: Any) -> Result:
        from framework.backtest.api import backtest

        return backtest(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
