"""The folders that research writes into: a new one, or one that is not kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framework.errors import ConfigError

JOURNAL = "trials.sqlite"
"""The file of a search's folder that holds its trials."""


def leg_folder(number: int) -> Path:
    """Return where a leg lies within the folder of its walk-forward; number: from 1 on."""
    return Path("legs") / f"{number:03d}"


def refuse_existing(folder: Path, otherwise: str = "") -> None:
    """Raise ConfigError when a folder that is to be written exists; otherwise: what else could be done."""
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"the folder {str(folder)!r} exists already; name another one with --out{otherwise}")


def make_folder(folder: Path) -> None:
    """Make a folder with its parents; one that is there stays.  Raises ConfigError when that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {str(folder)!r}: {error.strerror or error}; name a writable place "
                          "with --out") from error


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield the path of a folder that can be made, and that is removed at the end with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="framework-", ignore_cleanup_errors=True) as name:
        yield Path(name) / "run"
