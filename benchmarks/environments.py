"""Virtual environments of the peers, made when they are first needed from peers/requirements-*.txt."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "bench-envs"


def environment(name: str) -> Path:
    """Return the interpreter of a peer's environment; it is made again when its requirements change."""
    requirements = HERE / "peers" / f"requirements-{name}.txt"
    folder = FOLDER / name
    python, stamp = folder / "bin" / "python", folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        sys.stderr.write(f"making the environment {folder.relative_to(HERE.parent)}\n")
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "-q", "-r", str(requirements)],
                       check=True, stdout=subprocess.DEVNULL)
        stamp.write_text(wanted)
    return python
