"""Distributions of plug-ins on disk, for tests: a module and its metadata, nothing is installed."""

from __future__ import annotations

import textwrap
from pathlib import Path


def write_distribution(folder: Path, distribution: str, modules: dict[str, str], *, version: str = "1.0",
                       entry_points: dict[str, str] | None = None) -> Path:
    """Write modules and a dist-info of one distribution into a folder that is, or will be, on sys.path.

    modules: source by module name.  entry_points: value by name; by default each module under its own name.
    """
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    points = entry_points if entry_points is not None else {name: name for name in modules}
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("[framework]\n" + "\n".join(lines) + "\n")
    return info


STRATEGY = """
    from framework import hookimpl

    @hookimpl
    def register_strategies():
        from framework import Strategy

        class Quiet(Strategy):
            name = "{name}"

        return [Quiet]
"""


def strategy_source(name: str) -> str:
    """Return a module that registers one strategy, which never trades."""
    return textwrap.dedent(STRATEGY).format(name=name)
