"""What an installation looks like: its cache, its versions, its platform."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = ("trading-framework", "numpy", "numba", "llvmlite", "polars", "attrs", "pluggy", "click", "rich", "plotly",
            "exchange-calendars", "bokeh-sampledata", "pandas", "pyarrow")
"""The distributions whose versions matter to a report of an error."""

TESTED, EXPECTED, UNKNOWN = "tested", "expected to work", "unknown"


def engine_folder() -> Path:
    """Return where the compiled engine of these sources and versions is kept."""
    from framework.boundary.jit import cache_directory, engine_key

    return cache_directory() / engine_key()


def engine_is_compiled() -> bool:
    """Return whether a run has left the compiled engine on disk; True with the JIT off, when there is nothing to do."""
    from framework.boundary.jit import JIT

    return not JIT or any(engine_folder().glob("*.nbc"))


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder, 0 when it does not exist."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def platform_support(system: str, machine: str) -> str:
    """Return how well this platform is known: Linux on x86-64 is tested, some others are expected to work."""
    machine = machine.lower()
    is_x86, is_arm = machine in ("x86_64", "amd64"), machine in ("arm64", "aarch64")
    if system == "Linux" and is_x86:
        return TESTED
    if (system in ("Linux", "Darwin") and is_arm) or (system == "Windows" and is_x86):
        return EXPECTED
    return UNKNOWN


def versions() -> dict[str, str | None]:
    """Return the version of every package that matters, None where it is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def describe_platform() -> dict[str, str]:
    """Return the platform and the word for its support."""
    system, machine = platform.system(), platform.machine()
    return {
        "system": system,
        "machine": machine,
        "python": sys.executable,
        "support": platform_support(system, machine),
    }
