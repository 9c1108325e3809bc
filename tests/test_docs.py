"""What is written for readers is true: blocks of code run, configurations load, links lead somewhere.

The Python blocks of one page run in order as one program, in a process and an empty folder of their own.  A command
of a console block runs there too; `make` is only asked what it would do.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from framework import hookspecs
from framework.backtest.config import config_from_dict

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("plugins/*/*/README.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"`([\w.-]+\.toml)`[^`]*\n\n```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)

PREAMBLE = """
import framework
from framework.data import load_tape
frame = load_tape("synthetic", {"bars": 300}, ["SYNTH"], "1d").bars("SYNTH")
class MyBreakout(framework.Strategy):
    name = "my_breakout"
    length = framework.Param(20, low=2)
    @staticmethod
    def decide(now):
        if now.position.qty == 0:
            framework.buy(now)
"""
"""What pages on parts of the framework take for granted: a table of prices and a strategy of the reader's."""


def relative(path: Path) -> str:
    """Return the name of a page for messages."""
    return str(path.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language."""
    return [text for name, text in BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


def is_signatures(block: str) -> bool:
    """Return whether a block lists signatures only."""
    return all(line.startswith("def ") and not line.endswith(":") for line in block.splitlines() if line)


def run(command: list[str], folder: Path) -> str:
    """Run a command of this installation in a folder and return what it printed."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def write_named_files(page: Path, folder: Path) -> None:
    """Write the configurations that a page tells its reader to put into a file."""
    for name, text in NAMED.findall(page.read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=relative)
def test_the_python_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """And the assertions in them hold."""
    programs = [block for block in blocks(page, "python") if not is_signatures(block)]
    complete = [text for text in blocks(page, "toml") if {"data", "strategy"} <= set(tomllib.loads(text))]
    if complete:
        (tmp_path / "run.toml").write_text(complete[0], encoding="utf-8")
    preamble = "" if page.name in ("README.md", "data.md", "indicators.md") else PREAMBLE
    (tmp_path / "page.py").write_text(preamble + "\n".join(programs), encoding="utf-8")
    run([sys.executable, "page.py"], tmp_path)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=relative)
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """In order, in one folder."""
    write_named_files(page, tmp_path)
    for line in "".join(blocks(page, "console")).splitlines():
        assert line.startswith("$ "), f"{relative(page)}: a console block holds commands only, not {line!r}"
        command = shlex.split(line.removeprefix("$ "))
        if command[0] == "make":
            run(["make", "-n", *command[1:]], ROOT)
        else:
            run(command, tmp_path)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "toml")], ids=relative)
def test_the_toml_blocks_of_a_page_are_what_they_seem(page: Path) -> None:
    """Whole configurations are accepted; every other block is TOML."""
    for text in blocks(page, "toml"):
        document = tomllib.loads(text)
        if {"data", "strategy"} <= set(document):
            config_from_dict(document, ROOT)


def test_signatures_of_hooks_in_the_documentation_are_those_of_the_code() -> None:
    """Every hook stands there with its arguments."""
    listed = [re.match(r"def (\w+)\((.*)\)", line) for page in PAGES for block in blocks(page, "python")
              if is_signatures(block) for line in block.splitlines() if line]
    names = {found[1]: [part.split(":")[0].strip() for part in found[2].split(",") if ":" in part]
             for found in listed if found}
    assert names
    for name, arguments in names.items():
        code = getattr(hookspecs, name).__code__
        assert list(code.co_varnames[: code.co_argcount]) == arguments, name


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_links_of_a_page_lead_to_files(page: Path) -> None:
    """Relative links only; the anchor is not looked at."""
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{relative(page)} links to {target}"


def test_the_index_names_every_page() -> None:
    """A page that nobody finds is not documentation."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index, page.name
