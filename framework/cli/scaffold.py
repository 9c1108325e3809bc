"""The packages that `framework new KIND NAME` writes: a strategy, slippage model, risk rule or broker that works.

The files of each kind lie in `templates`; ``@word@`` in them stands for a name of the new package.
"""

from __future__ import annotations

import keyword
import os
import re
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from framework.errors import ConfigError

MODULES = {
    "strategy": ("strategy.py",),
    "slippage": ("model.py",),
    "risk": ("rule.py",),
    "broker": ("broker.py", "protocol.py", "venue.py"),
}
"""Each kind of package with the modules that it has besides `__init__`."""

WORDS = {"strategy": "strategy", "slippage": "slippage model", "risk": "risk rule", "broker": "broker"}

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
_LONGEST_NAME = 50


def write_package(kind: str, name: str, folder: Path) -> list[str]:
    """Write the package of a plug-in into a new folder and return its files, relative and sorted.

    kind: a key of `MODULES`.  Raises ConfigError for a name that is no plug-in name or is taken, and for a folder that
    exists or cannot be made; nothing is left behind then.
    """
    check_name(kind, name)
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{str(folder)!r} exists already; choose another name or another folder with --out")
    files = package_files(kind, name)
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


def check_name(kind: str, name: str) -> None:
    """Raise ConfigError unless a new plug-in of this kind can have this name."""
    if not _NAME.match(name) or len(name) > _LONGEST_NAME:
        mended = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
        hint = f"; did you mean {mended!r}?" if _NAME.match(mended) and len(mended) <= _LONGEST_NAME else ""
        raise ConfigError(
            f"{name!r} is no name for a {WORDS[kind]}{hint} A name is lower-case letters, digits and single "
            f"underscores, starts with a letter and has at most {_LONGEST_NAME} characters"
        )
    if keyword.iskeyword(name):
        raise ConfigError(f"{name!r} is a word of Python; choose another name")
    from framework import plugins

    if kind == "broker" and name == plugins.RESERVED_BROKER:
        raise ConfigError(f"broker {name!r} is the framework's own; choose another name")
    for item in plugins.registry().found(kind):
        if item.name == name:
            owner = item.plugin.distribution
            raise ConfigError(f"{kind} {name!r} is already installed by {owner}; choose another name")


def package_files(kind: str, name: str) -> dict[str, str]:
    """Return the content of every file of the package, by its path inside it."""
    package = f"framework_{kind}_{name}"
    source = f"src/{package}"
    values = {
        "kind": WORDS[kind],
        "name": name,
        "constant": name.upper(),
        "package": package,
        "distribution": f"trading-framework-{kind}-{name.replace('_', '-')}",
        "class": "".join(part.capitalize() for part in name.split("_")),
    }
    templates = {
        "pyproject.toml": _template("pyproject.toml"),
        "README.md": _template(f"{kind}/README.md"),
        f"{source}/__init__.py": _template(f"{kind}/__init__.py"),
        **{f"{source}/{module}": _template(f"{kind}/{module}") for module in MODULES[kind]},
        f"{source}/py.typed": "",
        f"tests/test_{name}.py": _template(f"{kind}/test.py"),
    }
    return {path: re.sub(r"@(\w+)@", lambda match: values[match[1]], text) for path, text in templates.items()}


def _template(path: str) -> str:
    """Return a template of this installation."""
    return (resources.files("framework.cli") / "templates" / f"{path}.tmpl").read_text(encoding="utf-8")
