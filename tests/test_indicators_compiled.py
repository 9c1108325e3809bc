"""Compiling: once per step, never per parameter, kept on disk by content, and equal to plain Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from indicator_cases import hourly, walk

from framework.boundary.jit import JIT
from framework.indicators import Bars, ColumnCache, bollinger, ema, evaluate, macd, registered, sma

ROOT = Path(__file__).parent.parent
BARS = Bars()

ALL_OF_THEM = """
import hashlib
import numpy as np
from framework.indicators import registered
rng = np.random.default_rng(5)
close = 100 + np.cumsum(rng.normal(size=150))
close[[0, 1, 70]] = np.nan
close = np.concatenate((close, 100 + np.cumsum(rng.normal(size=700))))
n = len(close)
columns = {"open": close - rng.normal(size=n) / 9, "high": close + rng.random(n), "low": close - rng.random(n),
           "close": close, "volume": rng.random(n), "bars_in_session": np.arange(n) % 24 + 1.0,
           "anchor": np.arange(n) % 50 // 40 * 1.0}
columns |= {"x": close, "y": columns["open"], "market": columns["open"], "bid": columns["low"], "ask": columns["high"],
            "bid_size": columns["volume"], "ask_size": close, "bids": columns["volume"], "asks": close}
still = {name: np.concatenate((x[:80], np.zeros(60), np.full(60, 7.0))) for name, x in columns.items()}
digest = hashlib.sha256()
for name, one, data in [(name, one, data) for name, one in registered().items() for data in (columns, still)]:
    inputs = [data[name] for name in one.arrays]
    for length in (2, 3, 13):
        parameters = {name: max(length + 2 * i, int(p.low or 0)) if p.kind is int else p.default
                      for i, (name, p) in enumerate(one.parameters.items())}
        values = one.compute(*inputs, **parameters)
        digest.update(np.where(np.isnan(values), 12345.0, values).tobytes())
print(digest.hexdigest())
"""


def run(program: str, **environment: str) -> str:
    """Run a program in a fresh interpreter; return what it printed."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False,
                          env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not JIT, reason="compares compiled code")
def test_a_change_of_a_parameter_never_recompiles() -> None:
    """496 pairs of averages, bands of any width and length: one compiled signature each."""
    tape, cache = hourly(walk(60)), ColumnCache()
    for slow in range(2, 34):
        for fast in range(2, slow):
            evaluate(sma(BARS.close, fast) - sma(BARS.close, slow), tape, 0, cache)
            evaluate(ema(BARS.close, fast) - ema(BARS.close, slow), tape, 0, cache)
            evaluate(macd(BARS.close, fast, slow, fast).line, tape, 0, cache)
            evaluate(bollinger(BARS.close, slow, fast / 7).upper, tape, 0, cache)
    for one in (sma, ema, macd, bollinger):
        assert len(one.column.signatures) == 1  # type: ignore[attr-defined]


@pytest.mark.skipif(not JIT, reason="compares compiled code")
def test_compiled_equals_plain_python_bit_for_bit() -> None:
    """The same steps with the JIT off, where a division by zero raises: on prices of 0 and on still ones as well."""
    assert run(ALL_OF_THEM, NUMBA_DISABLE_JIT="1") == run(ALL_OF_THEM)


@pytest.mark.slow
@pytest.mark.skipif(not JIT, reason="compares compiled code")
def test_no_step_leaves_its_window() -> None:
    """With numba's bounds checks on, which compiles everything once more, the same bits come out."""
    assert run(ALL_OF_THEM, NUMBA_BOUNDSCHECK="1") == run(ALL_OF_THEM)


def test_everything_works_with_the_jit_off() -> None:
    """Columns, streams and a step that raises, in plain Python."""
    program = """
import numpy as np
from framework.boundary.jit import JIT
from framework.errors import StrategyError
from framework.indicators import Bars, Ohlcv, Stream, adx, bollinger, ema, indicator, rsi
assert not JIT
bars = Bars()
stream = Stream([ema(rsi(bars.close, 3), 2), bollinger(bars.close, 3).upper,
                 adx(bars, 2).plus_di - bars.close.shift(1)])
close = np.array([1.0, 2.0, 1.5, 3.0, 2.5, 2.75, 4.0])
live = [stream.push(Ohlcv(c, c + 1, c - 1, c)) for c in close]
assert np.array_equal([x[0] for x in live], ema.compute(rsi.compute(close, length=3), length=2), equal_nan=True)
assert live[-1][1] == bollinger.compute(close, length=3)[0][-1]

@indicator(inputs=("x",), parameters={}, lookback=lambda p: 0, source="this test")
def inverse(s, window, x):
    return 1 / x

assert not inverse.is_compiled
try:
    inverse.compute(np.array([1.0, 0.0]))
except StrategyError as error:
    print(error)
"""
    assert "inverse raised ZeroDivisionError" in run(program, NUMBA_DISABLE_JIT="1")


@pytest.mark.skipif(not JIT, reason="compares compiled code")
def test_a_second_process_loads_from_disk_and_compiles_nothing(tmp_path: Path) -> None:
    """Cache statistics of numba: first a miss, then a hit; one compile takes well under ten seconds."""
    program = """
import numpy as np
from framework.indicators import sma
sma.compute(np.arange(5.0), length=2)
print(sum(sma.column.stats.cache_hits.values()), sum(sma.column.stats.cache_misses.values()))
"""
    assert run(program, FRAMEWORK_CACHE_DIR=str(tmp_path)) == "0 1"
    assert run(program, FRAMEWORK_CACHE_DIR=str(tmp_path)) == "1 0"


@pytest.mark.skipif(not JIT, reason="compares compiled code")
def test_kernels_of_two_processes_do_not_answer_for_each_other_in_a_third(tmp_path: Path) -> None:
    """Their parts have equal names, which count the functions of a process; each must keep to its own parts."""
    program = """
import numpy as np
from framework.indicators import sma, wma
for one in ({}):
    print(one.compute(np.arange(600.0) ** 2, length=2)[-1].hex())
"""
    alone = [run(program.format(one), FRAMEWORK_CACHE_DIR=str(tmp_path)) for one in ("sma,", "wma,")]
    together = run(program.format("sma, wma"), FRAMEWORK_CACHE_DIR=str(tmp_path))
    assert together.split() == alone
    assert alone[0] != alone[1]


@pytest.mark.skipif(not JIT, reason="compares compiled code")
def test_a_helper_edited_in_another_file_is_not_answered_from_a_stale_cache(tmp_path: Path) -> None:
    """A package's step calls a helper of another module; the helper changes between two processes."""
    (tmp_path / "steps_of_a_package.py").write_text("""
from framework.indicators import indicator
from helpers_of_a_package import scale
@indicator(inputs=("x",), parameters={}, lookback=lambda p: 0, source="this test")
def scaled(s, window, x):
    return scale(x)
""")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
from steps_of_a_package import scaled
print(scaled.compute(np.array([1.0]))[0], sum(scaled.column.stats.cache_hits.values()))
"""
    answers = []
    for factor in (2.0, 2.0, 3.0):
        (tmp_path / "helpers_of_a_package.py").write_text(
            f"from framework.boundary.jit import compiled\n@compiled\ndef scale(x):\n    return x * {factor}\n")
        answers.append(run(program, FRAMEWORK_CACHE_DIR=str(tmp_path / "cache"), PYTHONDONTWRITEBYTECODE="1"))
    assert answers == ["2.0 0", "2.0 1", "3.0 0"]


def test_importing_indicators_compiles_nothing() -> None:
    """Each step is compiled when it is first used."""
    assert run("from framework.indicators import registered\n"
               "print(sum(one._column is not None for one in registered().values()))") == "0"


def test_each_built_in_is_compiled() -> None:
    """None of ours falls back to Python unnoticed."""
    for one in registered().values():
        if one.__module__.startswith("framework.indicators."):
            assert one.is_compiled is JIT


@pytest.mark.skipif(not JIT, reason="times compiled code")
@pytest.mark.parametrize("one", [sma, ema], ids=lambda one: one.name)
def test_a_column_takes_time_linear_in_its_bars_and_none_per_length(one: object) -> None:
    """Length 1,000 costs what length 10 costs, within a factor of three: the best of several runs each."""
    import time

    values = np.ascontiguousarray(walk(200_000).close)

    def seconds(length: int) -> float:
        best = 1e9
        for _ in range(7):
            start = time.perf_counter()
            one.compute(values, length=length)  # type: ignore[attr-defined]
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(1000) < 3.0 * seconds(10)
