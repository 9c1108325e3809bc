"""What the tests of searches share: a small market, a configuration over it, and the ledger of its search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framework.backtest.config import Config, config_from_dict
from framework.data.tape import Tape
from framework.research.executors import LocalExecutor
from framework.research.journal import Journal
from framework.research.optimize import run_study
from framework.research.study import Study, prepare

BARS = 1_500

DOCUMENT: dict[str, Any] = {
    "run": {"capital": 100_000.0},
    "data": {"source": "synthetic", "symbols": ["A"], "timeframe": "1h", "bars": BARS, "seed": 4},
    "strategy": {"name": "ma_cross", "params": {"fast": 10, "slow": 30}},
    "fees": {"taker_bps": 2},
}


def config_of(optimize: dict[str, Any], **sections: Any) -> Config:
    """Return a configuration with a section [optimize] and other sections in place of DOCUMENT's."""
    return config_from_dict({**DOCUMENT, **sections, "optimize": optimize})


def study_of(optimize: dict[str, Any], tape: Tape | None = None, **sections: Any) -> Study:
    """Return a study that is ready to run."""
    return prepare(config_of(optimize, **sections), tape)


def ledger_of(study: Study, path: Path, workers: int | None = 1) -> list[tuple[Any, ...]]:
    """Run a study with threads and return its ledger."""
    import attrs

    settings = attrs.evolve(study.settings, executor="local", workers=workers)
    journal = Journal.create(path, study.document())
    try:
        run_study(attrs.evolve(study, settings=settings), journal, 0.0, None)
        return journal.ledger()
    finally:
        journal.close()


def local(study: Study, workers: int = 1) -> LocalExecutor:
    """Return threads for a study."""
    return LocalExecutor(study.setup, study.cache, workers)
