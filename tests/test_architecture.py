"""The shape of the code: files that can be seen whole, no import cycle, imports that go down the floors only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for folder in ("framework", "plugins", "tests", "benchmarks")
                 for path in (ROOT / folder).rglob("*.py"))
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 600, 80


def relative(path: Path) -> str:
    """Return the name of a file for messages."""
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_600_lines() -> None:
    """Tests and benchmarks as well."""
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_function_of_the_framework_is_longer_than_80_lines() -> None:
    """Docstring included."""
    long = {}
    for path in SOURCES:
        if path.is_relative_to(ROOT / "framework"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    if length > MOST_LINES_OF_A_FUNCTION:
                        long[f"{relative(path)}:{node.lineno} {node.name}"] = length
    assert long == {}


def test_no_import_cycle() -> None:
    """Imports inside functions count too; those for type checking only do not."""
    graph = grimp.build_graph("framework", exclude_type_checking_imports=True)
    cycles = [(importer, *back) for importer in sorted(graph.modules)
              for imported in sorted(graph.find_modules_directly_imported_by(importer))
              if (back := graph.find_shortest_chain(importer=imported, imported=importer)) is not None]
    assert cycles == []


def test_imports_go_down_the_floors_only() -> None:
    """The contract in pyproject.toml."""
    command = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_forbidden_import_is_found(tmp_path: Path) -> None:
    """The contract bites: an engine that imports the command line is refused."""
    package = tmp_path / "framework"
    for name in ("engine", "cli"):
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "engine" / "bad.py").write_text("import framework.cli\n")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.importlinter]\nroot_package = "framework"\n[[tool.importlinter.contracts]]\nname = "floors"\n'
        'type = "layers"\ncontainers = ["framework"]\nlayers = ["cli", "engine"]\n'
    )
    command = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "framework.engine.bad -> framework.cli" in done.stdout


@pytest.mark.parametrize("module", ["framework", "framework.cli"])
def test_importing_costs_nothing_heavy(module: str) -> None:
    """`framework --help` answers at once because nothing heavy is imported before it is used."""
    heavy = ("exchange_calendars", "numba", "pandas", "plotly", "polars", "pyarrow")
    program = f"import {module}, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
