"""The package that `framework new strategy` writes."""

from __future__ import annotations

import keyword
import os
import re
import shutil
import tempfile
from pathlib import Path

from framework.errors import ConfigError

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
_LONGEST_NAME = 50

PYPROJECT = '''\
[build-system]
requires = ["setuptools>=64"]
build-backend = "setuptools.build_meta"

[project]
name = "@distribution@"
version = "0.1.0"
description = "The strategy @name@ for trading-framework."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["trading-framework>=0.1,<0.2"]

[project.optional-dependencies]
test = ["pytest>=8.0"]

[project.entry-points.framework]
@name@ = "@package@"

[tool.setuptools.packages.find]
where = ["src"]

[tool.setuptools.package-data]
@package@ = ["py.typed"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["src"]
'''

INIT = '''\
"""The strategy `@name@`.

This module is what the entry point names.  It imports the strategy when it is asked for, so that the
command line stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from framework import hookimpl

if TYPE_CHECKING:
    from framework import Strategy


@hookimpl
def register_strategies() -> list[type[Strategy]]:
    """Return the strategies of this package."""
    from @package@.strategy import @class@

    return [@class@]
'''

STRATEGY = '''\
"""Trend following: long while the close is above its moving average, with a stop some ATRs below."""

from __future__ import annotations

from collections.abc import Mapping

from framework import Now, Param, Strategy, buy, close_position
from framework.indicators import Bars, Expression, atr, sma


class @class@(Strategy):
    """Buy when the close crosses above its average, close the position when it is below."""

    name = "@name@"
    length = Param(50, low=2, high=400, doc="bars of the average")
    stop_atr = Param(3.0, low=0.1, high=20.0, doc="distance of the stop below the close, in ATRs of 14 bars")

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Declare what `decide` reads as now.ind.NAME, and as now.prev.NAME of the bar before."""
        return {"close": bars.close, "average": sma(bars.close, self.length), "atr": atr(bars, 14)}

    @staticmethod
    def decide(now: Now) -> None:
        """Look at one symbol at its close; the orders placed here can fill from the next open on."""
        if now.position.qty == 0 and now.ind.close > now.ind.average and now.prev.close <= now.prev.average:
            buy(now, stop=now.bar.close - now.p.stop_atr * now.ind.atr)
        elif now.position.qty > 0 and now.ind.close < now.ind.average:
            close_position(now)
'''

TEST = '''\
"""What every strategy must keep, and what this one promises."""

import framework
import pytest
from framework.testing import check_plugin

from @package@.strategy import @class@


def test_the_strategy_passes_the_conformance_kit() -> None:
    report = check_plugin(@class@)
    assert report.passed, str(report)


def test_a_parameter_out_of_bounds_is_refused() -> None:
    with pytest.raises(framework.ConfigError, match="length"):
        @class@(length=1)
'''

README = '''\
# @distribution@

The strategy `@name@` for trading-framework: long while the close is above its moving average, with a stop some ATRs
below.

    pip install -e ".[test]"
    framework plugins check @name@
    pytest

Use it in a run:

```toml
[data]
source = "sample"
symbols = ["AAPL", "MSFT"]

[strategy]
name = "@name@"
params = { length = 50 }
```

| parameter | default | meaning |
|---|---|---|
| `length` | 50 | bars of the average |
| `stop_atr` | 3.0 | distance of the stop below the close, in ATRs of 14 bars |
'''


def write_strategy(name: str, folder: Path) -> list[str]:
    """Write the package of a strategy into a new folder and return its files, relative and sorted.

    Raises ConfigError for a name that is no plug-in name or is taken, and for a folder that exists or cannot be made;
    nothing is left behind then.
    """
    check_name(name)
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{str(folder)!r} exists already; choose another name or another folder with --out")
    files = package_files(name)
    scratch: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        scratch.chmod(0o755)
        for path, content in files.items():
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            (scratch / path).write_text(content, encoding="utf-8")
        os.rename(scratch, folder)
        scratch = None
    except OSError as error:
        raise ConfigError(f"cannot write {str(folder)!r}: {error.strerror or error}; name another --out") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    return sorted(files)


def check_name(name: str) -> None:
    """Raise ConfigError unless a new strategy can have this name."""
    if not _NAME.match(name) or len(name) > _LONGEST_NAME:
        mended = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
        hint = f"; did you mean {mended!r}?" if _NAME.match(mended) and len(mended) <= _LONGEST_NAME else ""
        raise ConfigError(
            f"{name!r} is no name for a strategy{hint} A name is lower-case letters, digits and single underscores, "
            f"starts with a letter and has at most {_LONGEST_NAME} characters"
        )
    if keyword.iskeyword(name):
        raise ConfigError(f"{name!r} is a word of Python; choose another name")
    from framework import plugins

    for item in plugins.registry().found("strategy"):
        if item.name == name:
            owner = item.plugin.distribution
            raise ConfigError(f"strategy {name!r} is already installed by {owner}; choose another name")


def package_files(name: str) -> dict[str, str]:
    """Return the content of every file of the package, by its path inside it."""
    package = f"framework_strategy_{name}"
    source = f"src/{package}"
    values = {
        "name": name,
        "package": package,
        "distribution": f"trading-framework-strategy-{name.replace('_', '-')}",
        "class": "".join(part.capitalize() for part in name.split("_")),
    }
    templates = {
        "pyproject.toml": PYPROJECT,
        "README.md": README,
        f"{source}/__init__.py": INIT,
        f"{source}/strategy.py": STRATEGY,
        f"{source}/py.typed": "",
        f"tests/test_{name}.py": TEST,
    }
    return {path: re.sub(r"@(\w+)@", lambda match: values[match[1]], text) for path, text in templates.items()}
