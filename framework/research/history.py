"""What a finished run has left behind for those who look at it afterwards: its days, its trades, its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from framework.backtest.metrics import daily_returns
from framework.data.calendars import account_days
from framework.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

    from framework.backtest.result import Result

Floats = NDArray[np.float64]


@attrs.frozen(eq=False)
class History:
    """The days and trades of a run.

    returns: float64[days], daily returns on the account's calendar, the first against the capital.
    pnl: float64[trades], profit of each closed trade after fees in order of exit, account currency.
    capital: at the start.  equity: at the end.  annualization: days a year.  seed: of the run.
    settings: the section [monte_carlo] of its configuration, empty when it has none.  where: for messages.
    """

    returns: Floats
    pnl: Floats
    capital: float
    equity: float
    annualization: float = 252.0
    seed: int = 1
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    where: str = "the run"


def history_of_run(folder: str | Path) -> History:
    """Read a run's folder; raises ConfigError when it is none and DataError when a file of it cannot be read."""
    path = Path(folder)
    if not path.is_dir():
        raise ConfigError(f"no run folder at {str(path)!r}; name one that `framework backtest` has written")
    run = _json(path / "run.json")
    equity = _table(path / "equity.parquet", ("time", "equity"))
    return _history(run, equity, _table(path / "trades.parquet", ("exit_time", "pnl")), str(path), path / "run.json")


def history_of_result(result: Result) -> History:
    """Return the history of a finished run that is still in memory: that of the folder which it would write."""
    from framework.backtest.recorded import of_result

    run = of_result(result)
    return _history(run.document, run.table("equity"), run.table("trades"), "the run", "the run")


def _history(run: Any, equity: pl.DataFrame, trades: pl.DataFrame, where: str, source: str | Path) -> History:
    """Return the history of a run's document and tables; source: where the document is, for messages."""
    try:
        calendar, capital = str(run["data"]["account_calendar"]), float(run["capital"])
        annualization, seed = float(run["annualization"]), int(run["seed"])
        settings = dict(run.get("config", {}).get("monte_carlo", {}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{source} is not that of a run: {error!r}; run the backtest again") from error
    marks = equity["equity"].to_numpy()
    days = daily_equity(equity["time"].dt.timestamp("ns").to_numpy(), marks, calendar)
    return History(
        returns=daily_returns(days, capital),
        pnl=trades.sort("exit_time", maintain_order=True)["pnl"].to_numpy().astype(np.float64),
        capital=capital,
        equity=float(marks[-1]) if len(marks) else capital,
        annualization=annualization,
        seed=seed,
        settings=settings,
        where=where,
    )


def daily_equity(time: NDArray[np.int64], equity: Floats, calendar: str) -> Floats:
    """Return equity at the last mark of each day of the account's calendar; time: int64[marks], ns UTC, in order."""
    if not len(time):
        return np.empty(0)
    day = np.maximum.accumulate(account_days(calendar, time))
    last: NDArray[np.int64] = np.append(np.flatnonzero(np.diff(day)), len(day) - 1)
    marks: Floats = np.asarray(equity, np.float64)
    return marks[last]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{str(path.parent)!r} is no run folder: it has no {path.name}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; run the backtest again") from error


def _table(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    import polars as pl

    if not path.is_file():
        raise ConfigError(f"{str(path.parent)!r} is no run folder: it has no {path.name}")
    try:
        return pl.read_parquet(path, columns=list(columns))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"cannot read {path}: {error}; run the backtest again") from error
