"""The interactive figure of a run, for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from framework.backtest.charts import Envelope, envelope
from framework.errors import ConfigError

if TYPE_CHECKING:
    import plotly.graph_objects

    from framework.backtest.result import Result

SYMBOLS_SHOWN = 8
POINTS = 2000
"""Pixel columns of each line: what a screen can show."""


def figure(result: Result) -> plotly.graph_objects.Figure:
    """Return a plotly figure: equity beside buy and hold, drawdown, and the trades on the closes of the first symbols.

    Lines are cut to the minimum and maximum of each pixel column. Raises ConfigError when plotly is not installed.
    """
    try:
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise ConfigError("plot() needs plotly, which is not installed: pip install plotly") from error
    shown = result.symbols[:SYMBOLS_SHOWN] if result.prices is not None else ()
    rows = 2 + len(shown)
    sheet = make_subplots(
        rows=rows,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.12 / rows,
        row_heights=[3.0, 1.2, *[2.0] * len(shown)],
        subplot_titles=["Equity", "Drawdown [%]", *shown],
    )
    marks = result.records.marks
    for row, values, name in ((1, marks["equity"], "Equity"), (2, -100.0 * result.drawdowns.fraction, "Drawdown")):
        line = envelope(marks["time"], values, values, result.window.start, result.window.end, POINTS)
        sheet.add_trace(
            go.Scatter(x=dates(line), y=line.value, name=name, mode="lines", fill="tozeroy" if row == 2 else None),
            row=row,
            col=1,
        )
    growth = result.benchmark_growth(result.window.start)
    if growth is not None:
        time, value = growth.curve()
        value = result.capital * value
        line = envelope(time, value, value, result.window.start, result.window.end, POINTS)
        style = {"dash": "dot", "width": 1}
        sheet.add_trace(
            go.Scatter(x=dates(line), y=line.value, name="Buy and hold", mode="lines", line=style), row=1, col=1
        )
    for row, symbol in enumerate(shown, start=3):
        add_symbol(sheet, result, symbol, row)
    sheet.update_layout(
        height=420 + 220 * len(shown),
        showlegend=False,
        template="plotly_white",
        hovermode="x unified",
        margin={"l": 60, "r": 20, "t": 40, "b": 30},
    )
    return sheet


def dates(line: Envelope) -> np.ndarray:
    """Return the times of a line as datetime64."""
    return line.time.astype("datetime64[ns]")


def add_symbol(sheet: plotly.graph_objects.Figure, result: Result, symbol: str, row: int) -> None:
    """Draw the closes of one symbol and the entries and exits of its trades into a row of the figure."""
    import plotly.graph_objects as go

    prices = result.prices
    if prices is None or symbol not in prices.symbols:
        return
    index = prices.symbols.index(symbol)
    bars = slice(int(prices.series[index]), int(prices.series[index + 1]))
    close = prices.close[bars]
    line = envelope(prices.close_time[bars], close, close, result.window.start, result.window.end, POINTS)
    sheet.add_trace(
        go.Scatter(x=dates(line), y=line.value, name=symbol, mode="lines", line={"width": 1}), row=row, col=1
    )
    trades = result.records.trades
    trades = trades[trades["symbol"] == result.symbols.index(symbol)]
    for time, price, name, marker in (
        ("entry_time", "entry_price", "entry", "circle-open"),
        ("exit_time", "exit_price", "exit", "circle"),
    ):
        colour = np.where(trades["pnl"] > 0, "#12805c", "#c4352b")
        sheet.add_trace(
            go.Scatter(
                x=trades[time].astype("datetime64[ns]"),
                y=trades[price],
                name=name,
                mode="markers",
                marker={"symbol": marker, "size": 7, "color": colour},
            ),
            row=row,
            col=1,
        )
