"""Which package of the house brings which plug-in, for whoever asks for one that is not installed.

The framework imports none of them; this is what their names are, so that a message can say what to install.
"""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "trading-framework-"

_BROUGHT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "strategy": {
        "mean-reversion": ("bollinger", "rsi", "zscore"),
        "order-book": ("order_book_imbalance",),
        "regime-grid": ("regime_grid",),
        "rotation": ("rotation",),
        "router": ("router",),
        "stat-arb": ("stat_arb",),
        "trend": ("ema_cross", "ma_cross", "momentum", "momentum_scalper", "quick_flip", "range_breakout", "supertrend",
                  "trend_following"),
        "volatility-regime": ("volatility_regime",),
    },
    "slippage": {"fixed": ("fixed",), "spread": ("spread",), "volume-impact": ("volume_impact",)},
}

PACKAGES: Mapping[tuple[str, str], str] = {
    (kind, name): f"{PREFIX}{kind}-{package}"
    for kind, packages in _BROUGHT.items() for package, names in packages.items() for name in names
}
"""(kind, name) -> the distribution that brings it."""
