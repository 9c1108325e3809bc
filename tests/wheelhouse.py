"""Wheels and clean environments for tests: built from copies of the sources, installed without the network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("framework", "src", "pyproject.toml", "README.md", "LICENSE")
"""What a distribution is built from; nothing else of a checkout gets near a wheel."""


@attrs.frozen
class Environment:
    """A virtual environment, the variables to run it with, and an empty folder to stand in."""

    python: Path
    here: Path
    variables: dict[str, str]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command with this environment's interpreter."""
        done = subprocess.run([str(self.python), *command], capture_output=True, text=True, cwd=self.here,
                              env=self.variables)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def framework(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the framework's command."""
        return self.run(str(self.python.parent / "framework"), *arguments, check=check)


def build_wheel(source: Path, target: Path) -> Path:
    """Build one wheel from a copy of a distribution's sources and return its path."""
    copy = target / "source"
    copy.mkdir(parents=True)
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif (source / part).exists():
            shutil.copy(source / part, copy / part)
    command = ["wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(target), str(copy)]
    done = subprocess.run([sys.executable, "-m", "pip", *command], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(target.glob("*.whl"))


OURS = ("trading_framework", "__editable__")
"""How the names of files begin by which this interpreter knows the distributions of the house."""


def borrow_packages(folder: Path) -> Path:
    """Fill a folder with links to all third-party packages of this interpreter, and of those that it borrows itself."""
    folder.mkdir()
    own = [sysconfig.get_path("purelib"), *(path for path in sys.path if path.endswith("site-packages"))]
    for place in dict.fromkeys(own):
        for entry in sorted(Path(place).iterdir()):
            if not entry.name.startswith(OURS) and not (folder / entry.name).exists():
                (folder / entry.name).symlink_to(entry)
    return folder


def clean_environment(base: Path, allowed: Sequence[str] | None) -> Environment:
    """Make a new virtual environment and an empty folder.

    allowed: the distributions whose plug-ins may be seen there; the environment then borrows all third-party
    packages from this interpreter's.  None: it has pip and nothing else.
    """
    venv.create(base / "venv", with_pip=allowed is None)
    python = base / "venv" / "bin" / "python"
    (base / "here").mkdir()
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("PYTHONPATH", "FRAMEWORK_PLUGINS"):
        variables.pop(name, None)
    if allowed is not None:
        variables["FRAMEWORK_PLUGINS"] = ",".join(allowed)
        purelib = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                                 capture_output=True, text=True, check=True).stdout.strip()
        (Path(purelib) / "borrowed.pth").write_text(f"{borrow_packages(base / 'borrowed')}\n")
    return Environment(python, base / "here", variables)


def install(environment: Environment, wheel: Path) -> None:
    """Install one wheel, and nothing it depends on."""
    environment.run("-m", "pip", "install", "-q", "--no-index", "--no-deps", "--ignore-installed", str(wheel))
