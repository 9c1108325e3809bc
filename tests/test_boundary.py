"""The compiled boundary: adapters, views, borrowed arrays and the cache that is keyed by content."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from framework.boundary import adapter as boundary
from framework.boundary.adapter import (
    RECORD,
    RECORDS,
    RESULT,
    compile_adapter,
    content_of,
    contents_held,
    interpret_adapter,
)
from framework.boundary.address import CALLBACK
from framework.boundary.jit import JIT, compiled, content_key, entry
from framework.boundary.tables import Block, opener, tables_type
from framework.boundary.view import view_at
from framework.model.records import record

INNER = record(("fast", "f8"), ("slow", "f8"))
SEEN = record(("universe", "i8"), ("result", "f8"), ("count", "i8"), ("is_open", "?"), ("ind", INNER),
              ("orders", INNER, (3,)), ("window", "f8", (4,)))
WAYS = [pytest.param(compile_adapter, id="compiled"), pytest.param(interpret_adapter, id="interpreted")]


@compiled
def double(x):  # type: ignore[no-untyped-def]
    """Return twice x."""
    return 2.0 * x


def write_everything(seen):  # type: ignore[no-untyped-def]
    """Write every kind of field."""
    seen.count += 1
    seen.is_open = seen.ind.fast > seen.ind.slow
    seen.orders[1].slow = double(seen.ind.fast)
    seen.window[2] = seen.ind.slow


def call(address: int, pointer: int) -> int:
    """Call an adapter as the loop does."""
    return int(CALLBACK(address)(pointer))


@pytest.mark.parametrize("make", WAYS)
def test_an_adapter_shows_every_kind_of_field_under_its_own_name(make) -> None:  # type: ignore[no-untyped-def]
    """Scalars, truth values, nested records, arrays of records and arrays of numbers are read and written."""
    rows = np.zeros(1, SEEN)
    rows["ind"]["fast"], rows["ind"]["slow"] = 3.0, 2.0
    made = make(write_everything, SEEN, RECORD)
    assert call(made.address, rows.ctypes.data) == boundary.OK
    assert call(made.address, rows.ctypes.data) == boundary.OK
    assert rows["count"][0] == 2
    assert bool(rows["is_open"][0]) is True
    assert rows["orders"]["slow"][0].tolist() == [0.0, 6.0, 0.0]
    assert rows["window"][0].tolist() == [0.0, 0.0, 2.0, 0.0]


@pytest.mark.parametrize("make", WAYS)
def test_a_function_with_a_result_stores_it(make) -> None:  # type: ignore[no-untyped-def]
    """RESULT: 1.5 + 2 * 2 = 5.5 lands in the field `result`."""
    rows = np.zeros(1, SEEN)
    rows["ind"]["fast"], rows["ind"]["slow"] = 1.5, 2.0
    made = make(lambda seen: seen.ind.fast + double(seen.ind.slow), SEEN, RESULT)
    assert call(made.address, rows.ctypes.data) == boundary.OK
    assert rows["result"][0] == 5.5


@pytest.mark.parametrize("make", WAYS)
def test_a_universe_is_seen_as_one_sequence(make) -> None:  # type: ignore[no-untyped-def]
    """RECORDS: every one of the three adjacent records is reached, by index and by iteration."""
    rows = np.zeros(3, SEEN)
    rows["universe"] = 3

    def rank(nows):  # type: ignore[no-untyped-def]
        for i in range(len(nows)):
            nows[i].count = i
        for now in nows:
            now.count += 10

    made = make(rank, SEEN, RECORDS)
    assert call(made.address, rows.ctypes.data) == boundary.OK
    assert rows["count"].tolist() == [10, 11, 12]


@pytest.mark.parametrize("make", WAYS)
def test_an_exception_becomes_a_fault_and_never_leaves_the_adapter(make, capfd) -> None:  # type: ignore[no-untyped-def]
    """A division by zero in the function answers FAULT; nothing is printed, nothing is raised."""
    rows = np.zeros(1, SEEN)

    def divide(seen):  # type: ignore[no-untyped-def]
        seen.count = 1 // seen.count

    made = make(divide, SEEN, RECORD)
    assert call(made.address, rows.ctypes.data) == boundary.FAULT
    assert capfd.readouterr().err == ""
    if not made.is_compiled:
        assert isinstance(made.take_fault(), ZeroDivisionError)
        assert made.take_fault() is None


def test_an_interrupt_inside_an_interpreted_function_is_kept_for_the_driver() -> None:
    """KeyboardInterrupt is not an Exception: it must stop the loop all the same."""

    def interrupted(seen):  # type: ignore[no-untyped-def]
        raise KeyboardInterrupt

    made = interpret_adapter(interrupted, SEEN, RECORD)
    assert call(made.address, np.zeros(1, SEEN).ctypes.data) == boundary.FAULT
    assert isinstance(made.take_fault(), KeyboardInterrupt)


def test_a_view_shares_the_bytes_of_the_record() -> None:
    """What the view writes is in the array, and the other way round."""
    rows = np.zeros(1, SEEN)
    seen = view_at(rows.ctypes.data, SEEN)
    seen.ind.fast = 7.0
    rows["count"] = 5
    assert rows["ind"]["fast"][0] == 7.0
    assert seen.count == 5
    with pytest.raises(TypeError, match="structured"):
        view_at(rows.ctypes.data, np.dtype("f8"))


# --- the cache --------------------------------------------------------------------------------------------------------


def module_with(folder: Path, name: str, factor: float) -> None:
    """Write a module with a helper that multiplies by `factor`, keeping the file's date."""
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(f"""
        from framework.boundary.jit import compiled

        FACTOR = {factor!r}

        @compiled
        def scale(x):
            return x * FACTOR
    """))
    os.utime(path, (1_600_000_000, 1_600_000_000))


def result_in_a_new_process(folder: Path, cache: Path, through_module: bool) -> float:
    """Compile a function that calls the helper of another file, in a process of its own, and return its result."""
    called = "helper_of_author.scale" if through_module else "scale"
    script = textwrap.dedent(f"""
        import numpy as np
        import helper_of_author
        from helper_of_author import scale
        from framework.boundary.adapter import RESULT, compile_adapter
        from framework.boundary.address import CALLBACK
        from framework.model.records import record

        SEEN = record(("result", "f8"), ("x", "f8"))

        def author(seen):
            return {called}(seen.x)

        rows = np.zeros(1, SEEN)
        rows["x"] = 10.0
        made = compile_adapter(author, SEEN, RESULT)
        assert CALLBACK(made.address)(rows.ctypes.data) == 0
        print(rows["result"][0])
    """)
    environment = {**os.environ, "FRAMEWORK_CACHE_DIR": str(cache), "PYTHONPATH": str(folder),
                   "PYTHONDONTWRITEBYTECODE": "1"}
    path = folder / "author_script.py"
    path.write_text(script)
    done = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.skipif(not JIT, reason="nothing is compiled")
@pytest.mark.parametrize("through_module", [False, True], ids=["imported by name", "through its module"])
def test_an_edit_of_a_helper_in_another_file_is_never_missed(tmp_path: Path, through_module: bool) -> None:
    """The helper's factor changes from 2 to 3 between two runs, the file keeps its date: 20 becomes 30."""
    cache = tmp_path / "cache"
    module_with(tmp_path, "helper_of_author", 2.0)
    assert result_in_a_new_process(tmp_path, cache, through_module) == 20.0
    assert result_in_a_new_process(tmp_path, cache, through_module) == 20.0
    module_with(tmp_path, "helper_of_author", 3.0)
    assert result_in_a_new_process(tmp_path, cache, through_module) == 30.0


@pytest.mark.skipif(not JIT, reason="nothing is compiled")
def test_compiled_code_is_found_again_by_a_second_process(tmp_path: Path) -> None:
    """The second process adds no file to the cache."""
    cache = tmp_path / "cache"
    module_with(tmp_path, "helper_of_author", 2.0)
    result_in_a_new_process(tmp_path, cache, False)
    before = sorted(p.name for p in cache.rglob("*.nb*"))
    assert before
    result_in_a_new_process(tmp_path, cache, False)
    assert sorted(p.name for p in cache.rglob("*.nb*")) == before


def test_content_names_code_constants_helpers_and_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two functions differ in their key when anything that they reach differs."""
    monkeypatch.syspath_prepend(str(tmp_path))
    module_with(tmp_path, "helper_one", 2.0)
    module_with(tmp_path, "helper_two", 3.0)
    one, two = importlib.import_module("helper_one"), importlib.import_module("helper_two")
    first, second = content_of(one.scale), content_of(two.scale)
    assert first is not None
    assert second is not None
    assert content_key(first) != content_key(second)
    assert content_key(first) == content_key(content_of(one.scale) or [])


def test_the_members_of_an_enumeration_are_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CALM = 1 and CALM = 2 are frozen into compiled code, so they make different keys, as constants of classes do."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, value in (("mode_one", 1), ("mode_two", 2)):
        (tmp_path / f"{name}.py").write_text(
            f"from enum import IntEnum\n\nclass Mode(IntEnum):\n    CALM = {value}\n\n"
            f"class Other:\n    LIMIT = {value}\n\n"
            "def calm(seen):\n    return seen.count == Mode.CALM\n\ndef other(seen):\n    return Other.LIMIT\n")
    one, two = importlib.import_module("mode_one"), importlib.import_module("mode_two")
    assert content_key(content_of(one.calm) or []) != content_key(content_of(two.calm) or [])
    assert content_key(content_of(one.other) or []) != content_key(content_of(two.other) or [])


def test_content_is_held_for_one_run_and_looked_at_anew_for_the_next() -> None:
    """While a run is put together a function is looked at once; a global that is set between two runs is seen."""
    space: dict[str, Any] = {"FACTOR": 2.0}
    exec("def scale(seen):\n    return seen.x * FACTOR\n", space)
    for factor in (3.0, 4.0):
        with contents_held():
            held = content_of(space["scale"])
            space["FACTOR"] = factor
            assert content_of(space["scale"]) is held
        assert content_of(space["scale"]) != held


def test_a_function_over_a_mutable_global_is_not_cached() -> None:
    """A list has no stable content, so that no key could vouch for it."""
    mutable = [1.0]
    assert content_of(lambda seen: seen.x + mutable[0]) is None


# --- borrowed arrays --------------------------------------------------------------------------------------------------


class Example(NamedTuple):
    """A tuple of arrays, as a kernel's state is."""

    numbers: np.ndarray
    grid: np.ndarray
    rows: np.ndarray


EXAMPLE = Example(np.zeros(1), np.zeros((1, 1), np.int64), np.zeros(1, INNER))
open_example = opener(tables_type("Example", EXAMPLE))


@entry
def use_arrays(block, i):  # type: ignore[no-untyped-def]
    """Read and write every kind of array of a block."""
    s = open_example(block)
    s.numbers[i] = s.rows[i].fast + s.grid[i, 1]
    s.rows[0] = s.rows[i]
    return s.numbers.size + s.grid.shape[1]


def test_kernels_read_and_write_the_arrays_of_a_block() -> None:
    """numbers[1] = 2.5 + 7, row 0 becomes a copy of row 1, and 3 + 2 = 5 extents."""
    held = Example(np.zeros(3), np.array([[0, 5], [0, 7], [0, 9]]), np.zeros(3, INNER))
    held.rows["fast"][1] = 2.5
    block = Block(tables_type("Example", EXAMPLE), held)
    assert use_arrays(block.argument, 1) == 5
    assert held.numbers.tolist() == [0.0, 9.5, 0.0]
    assert held.rows["fast"].tolist() == [2.5, 2.5, 0.0]


def test_a_block_refuses_arrays_that_kernels_were_not_compiled_for() -> None:
    """float32 where float64 is expected would be read as garbage."""
    held = EXAMPLE._replace(numbers=np.zeros(3, np.float32))
    with pytest.raises(TypeError, match="numbers is float32"):
        Block(tables_type("Example", EXAMPLE), held)


@pytest.mark.skipif(not JIT, reason="Python checks its own indices")
def test_bounds_are_checked_when_numba_is_asked_to() -> None:
    """NUMBA_BOUNDSCHECK=1: an index behind the end raises IndexError instead of reading on."""
    script = textwrap.dedent("""
        import tests.test_boundary as t
        import numpy as np
        held = t.Example(np.zeros(3), np.zeros((3, 2), np.int64), np.zeros(3, t.INNER))
        block = t.Block(t.tables_type("Example", t.EXAMPLE), held)
        try:
            t.use_arrays(block.argument, 3)
        except IndexError as error:
            print("IndexError", error)
    """)
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parent.parent)
    assert done.stdout.startswith("IndexError")


def test_an_attribute_that_shares_the_name_of_a_global_is_not_content():
    """`now.ind.atr` is a column; `atr` in the module, which has no stable content, is another thing."""
    seen = {"atr": object()}
    exec("def decide(now):\n    now.result = now.atr * 2.0\ndef reads(now):\n    now.result = atr", seen)
    assert content_of(seen["decide"]) is not None
    assert content_of(seen["reads"]) is None


OTHER_PROCESS = """
import sys, types, numpy as np
from framework.boundary.adapter import compile_adapter
module, is_there = {module!r}, {is_there}
space = {{"__name__": module}}
exec(compile("def twice(shown):\\n    shown.x = 2.0 * shown.x\\n", "twice.py", "exec"), space)
if is_there:
    sys.modules.setdefault(module, types.ModuleType(module))
compile_adapter(space["twice"], np.dtype([("x", "f8")]))
"""


@pytest.mark.skipif(not JIT, reason="compares compiled code on disk")
@pytest.mark.parametrize("first", [("only_there", True), ("only_there", False)], ids=["imported", "sent by value"])
@pytest.mark.parametrize("second", [("__main__", True), ("only_there", False)], ids=["a script", "sent by value"])
def test_code_of_a_module_that_cannot_be_imported_is_compiled_anew(first: tuple[str, bool], second: tuple[str, bool],
                                                                   tmp_path: Path) -> None:
    """As that of a strategy that a worker of a cluster was sent, or of a module that another process does not have."""
    for module, is_there in (first, second):
        code = OTHER_PROCESS.format(module=module, is_there=is_there)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                              env={**os.environ, "FRAMEWORK_CACHE_DIR": str(tmp_path)})
        assert done.returncode == 0, done.stderr
