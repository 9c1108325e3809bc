"""The page on indicators runs and lists what there is; the benchmark answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import talib

from framework.indicators import registered, sma

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "indicators.md").read_text()


def page_namespace() -> dict[str, Any]:
    """Run the code blocks of the page in order in one namespace."""
    namespace: dict[str, Any] = {"__name__": "docs_indicators"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, namespace)
    return namespace


def test_each_code_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """And the assertions in them hold; the weighted average written there is TA-Lib's."""
    namespace = page_namespace()
    said = capsys.readouterr().out
    assert "would read 1 bars of the future" in said
    assert "indicator centred sees the future: its output value at bar 0" in said
    close = namespace["price"] ** 1.1
    assert namespace["ramp"].compute(close, length=9)[8:] == pytest.approx(talib.WMA(close, 9)[8:], rel=1e-12)


def test_each_built_in_stands_in_the_table_with_its_line_and_its_source() -> None:
    """The signature, the first line of the docstring and the source, word for word."""
    for name, one in registered().items():
        if one.__module__.startswith("framework.indicators."):
            row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}("))
            assert f"`{name}{one.__signature__}`" in row
            assert one.summary in row
            assert row.endswith(f"| {one.cost} | {one.source} |")
            for output in one.outputs if len(one.outputs) > 1 else ():
                assert f".{output}" in row


def test_the_example_in_the_docstring_of_compute_holds() -> None:
    """sma of 1, 2, 4 over two bars: nothing, 1.5, 3."""
    assert str(sma.compute([1.0, 2.0, 4.0], length=2)) == "[nan 1.5 3. ]"  # type: ignore[arg-type]


def test_the_benchmark_gives_a_ratio_for_each_built_in() -> None:
    """On few bars: it is the form that is tested here."""
    done = subprocess.run([sys.executable, "benchmarks/indicators.py", "--bars", "2000", "--json"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["indicators"]
    assert {row["indicator"] for row in rows} == {
        name for name, one in registered().items() if one.__module__.startswith("framework.indicators.")}
    assert all(row["ratio"] is None or row["ratio"] > 0 for row in rows)
    assert all(row["live_us"] > 0 for row in rows)
