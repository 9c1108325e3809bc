"""The journal of a study: every trial in an SQLite file, written by the one process that drives the study.

Tables: `study` (one row: what is searched, as JSON), `trials` (one row a trial) and `returns` (daily returns as
float64).  A trial is committed once it is known, so that whatever happens to the process afterwards,
`resume` continues behind it.  This is the only module of research that knows SQLite.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from framework.errors import ConfigError
from framework.research.folders import JOURNAL
from framework.research.trial import Outcome, sharpe_of, was_run

NAME = JOURNAL
FORMAT = 2

COMPARED = ("number", "params", "state", "objectives", "statistics", "error")
"""The columns that make two ledgers equal: when and where a trial ran is not one of them."""

TEXT = json.JSONEncoder(allow_nan=False, separators=(",", ":"))

SCHEMA: dict[str, tuple[dict[str, type], str]] = {
    "study": ({"id": int, "format": int, "created": str, "document": str}, "id"),
    "trials": ({"number": int, "params": str, "state": str, "objectives": str, "statistics": str, "error": str,
                "seconds": float, "worker": str, "finished": str}, "number"),
    "returns": ({"number": int, "daily": bytes}, "number"),
}


class Journal:
    """One study on disk."""

    def __init__(self, path: Path, database: Any) -> None:
        self.path, self._database = path, database

    @classmethod
    def create(cls, path: Path, document: Mapping[str, Any]) -> Journal:
        """Make a journal for a study, whole or not at all; the file must not hold one."""
        journal = cls(path, _connect(path))
        database = journal._database
        row = {"id": 1, "format": FORMAT, "created": _now(), "document": json.dumps(document, allow_nan=False)}
        with database.conn:
            database.execute("begin immediate")
            for name, (columns, key) in SCHEMA.items():
                database[name].create(columns, pk=key)
            database["study"].insert(row)
        return journal

    @classmethod
    def is_begun(cls, path: Path) -> bool:
        """Return whether a file holds a journal; one that was only about to be made does not."""
        if not path.is_file():
            return False
        try:
            database = _connect(path)
            try:
                return bool(database.table_names())
            finally:
                database.close()
        except sqlite3.DatabaseError:
            return True

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open the journal of an earlier run; ConfigError when there is none or it cannot be read."""
        if not path.is_file():
            raise ConfigError(f"nothing to resume: {str(path)!r} does not exist; name the folder of an earlier "
                              "`framework optimize`")
        try:
            journal = cls(path, _connect(path))
            found = next(iter(journal._database.query("select format from study")), {"format": None})["format"]
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{str(path)!r} cannot be read as the journal of a study: {error}") from error
        if found != FORMAT:
            raise ConfigError(f"{str(path)!r} has format {found}, this version reads {FORMAT}; run the study anew")
        return journal

    @property
    def document(self) -> dict[str, Any]:
        """What is searched, as it was when the study began."""
        row = next(iter(self._database.query("select document from study")))
        document: dict[str, Any] = json.loads(row["document"])
        return document

    def replace_document(self, document: Mapping[str, Any]) -> None:
        """Write what is searched anew, as when a study is given more trials."""
        with self._database.conn:
            self._database["study"].update(1, {"document": json.dumps(document, allow_nan=False)})

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Commit outcomes, all or none."""
        now = _now()
        trials = [(one.number, _text(one.params), one.state, _text(one.values), _text(one.statistics), one.error,
                   one.seconds, one.worker, now) for one in outcomes]
        if not trials:
            return
        returns = [(one.number, np.asarray(one.returns, "<f8").tobytes()) for one in outcomes
                   if one.returns is not None]
        with self._database.conn as connection:
            for name, rows in (("trials", trials), ("returns", returns)):
                places = ", ".join("?" * len(SCHEMA[name][0]))
                connection.executemany(f"insert into {name} values ({places})", rows)

    def outcomes(self) -> dict[int, Outcome]:
        """Return every trial by its number, without daily returns."""
        found = {}
        for row in self._database.query("select * from trials order by number"):
            values = json.loads(row["objectives"])
            found[row["number"]] = Outcome(
                row["number"], json.loads(row["params"]), row["state"], None if values is None else tuple(values),
                json.loads(row["statistics"]), row["error"], None, row["seconds"], row["worker"])
        return found

    def daily_returns(self) -> dict[int, np.ndarray]:
        """Return the daily returns that were kept, float64[days] by trial number."""
        return {row["number"]: np.frombuffer(row["daily"], "<f8")
                for row in self._database.query("select * from returns order by number")}

    def ledger(self) -> list[tuple[Any, ...]]:
        """Return the trials in their order as far as equal studies have them equal: COMPARED."""
        columns = ", ".join(COMPARED)
        return [tuple(row[name] for name in COMPARED)
                for row in self._database.query(f"select {columns} from trials order by number")]

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def earlier_sharpes(folder: Path, document: Mapping[str, Any], own_points: Iterable[Mapping[str, Any]]
                    ) -> tuple[float, ...]:
    """Return the Sharpe ratios per day of the trials of other searches, from the journals in the folders beside one.

    They are searches of the same strategies on the same data; NaN stands for a trial that never moved.  A point that
    several of them tried with one configuration counts once, one that this search tries itself (own_points) not at all;
    a journal that cannot be read is left out.
    """
    found: dict[str, float] = {}
    own = folder.resolve()
    others = [path for path in sorted(own.parent.glob(f"*/{NAME}")) if path.parent != own]
    mine = {_point(document, params) for params in own_points} if others else set()
    for path in others:
        try:
            journal = Journal.open(path)
        except ConfigError:
            continue
        try:
            other = journal.document
            if other.get("fingerprint") != document["fingerprint"] or strategies_of(other) != strategies_of(document):
                continue
            for one in journal.outcomes().values():
                point = _point(other, one.params)
                if was_run(one) and point not in mine:
                    found.setdefault(point, sharpe_of(one))
        except (sqlite3.DatabaseError, KeyError, ValueError):
            continue
        finally:
            journal.close()
    return tuple(found.values())


def _point(document: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """Return what makes two trials the same: the configuration, but for the search, and the parameters."""
    config = {name: section for name, section in document["config"].items() if name != "optimize"}
    return hashlib.sha256(_text([config, params]).encode()).hexdigest()


def strategies_of(document: Mapping[str, Any]) -> list[str]:
    """Return the names of the strategies of a study."""
    return [use["name"] for use in document["config"]["strategy"]]


def _connect(path: Path) -> Any:
    import sqlite_utils

    database = sqlite_utils.Database(path, execute_plugins=False)
    database.execute("pragma synchronous = normal")
    database.execute("pragma journal_mode = wal")
    return database


def _text(value: Any) -> str:
    return TEXT.encode(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
