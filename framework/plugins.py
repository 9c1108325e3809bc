"""Find, check and list what is installed: strategies, slippage models, rules, brokers, data sources and verbs.

A plug-in that fails to import, misspells a hook or returns something of the wrong type is kept with its reason and
its traceback, and harms nobody who does not use it.  Two plug-ins that claim one name are an error for whoever asks
for that name, naming both distributions.

`FRAMEWORK_PLUGINS`, or ``[plugins] allow`` of a configuration, is an allow-list of distributions separated by commas:
code of any other distribution is then not even imported.
"""

from __future__ import annotations

import inspect
import os
import re
import threading
import traceback
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any

import attrs
import pluggy

from framework import hookspecs
from framework.errors import PluginError, PluginNotFound, did_you_mean
from framework.hookspecs import PROJECT, hookimpl
from framework.packages import PACKAGES

OURS = "trading-framework"
"""The distribution of the framework itself."""

HERE = "this session"
"""What stands for a distribution when a class was handed over from Python."""

ALLOW = "FRAMEWORK_PLUGINS"
"""The environment variable with the allow-list."""

OWN_STRATEGY = ("A strategy of your own is named once it is installed: `framework new strategy NAME` writes a package "
                "for the class and says how; from Python the class itself can be handed over, "
                "framework.backtest(..., strategy=MyStrategy)")
"""What to do with a class that lies in a file or a notebook."""

KINDS = {
    "strategy": "register_strategies",
    "slippage": "register_slippage_models",
    "risk": "register_risk_rules",
    "sizing": "register_risk_rules",
    "broker": "register_brokers",
    "data_source": "register_data_sources",
    "command": "register_commands",
}
"""Each kind of thing that a plug-in can bring, and the hook that brings it."""

RESERVED = frozenset({
    "audit", "backtest", "completion", "data", "demo", "diff", "doctor", "explain", "monte-carlo", "new", "optimize",
    "plugins", "replay", "report", "trade", "walk-forward",
})
"""Verbs of the command line that no plug-in can take."""

RESERVED_BROKER = "paper"
"""The broker whose fills come from matching, which no plug-in can take."""

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


@attrs.define
class Plugin:
    """One entry point and what became of it.

    state: "ok", "broken" or "not allowed".  error: one line, "" when there is none.  details: the traceback, if any.
    """

    name: str
    distribution: str
    version: str
    value: str
    state: str = "ok"
    error: str = ""
    details: str = ""
    module: Any = None

    def __str__(self) -> str:
        version = f" {self.version}" if self.version else ""
        return f"plug-in {self.name!r} of {self.distribution}{version}"

    def fail(self, error: str, details: str = "") -> None:
        """Keep the reason why this plug-in cannot be used."""
        self.state, self.error, self.details = "broken", error, details


@attrs.frozen
class Listed:
    """One row of `framework plugins`: a thing by kind and name, and where it comes from.

    kind: a key of `KINDS`, or "plugin" for a package that brought nothing because it is broken or not allowed.
    state: "ok", "duplicate", "broken" or "not allowed".
    """

    kind: str
    name: str
    distribution: str
    version: str
    state: str
    error: str = ""
    details: str = ""


@attrs.frozen
class Found:
    """A class, or a click command, with the plug-in that brought it."""

    kind: str
    name: str
    value: Any
    plugin: Plugin


class BuiltIn:
    """What the framework brings itself, by the same door as everybody: sizing and risk rules, data sources."""

    @hookimpl
    def register_risk_rules(self) -> list[Any]:
        """Return every rule of `framework.rules`."""
        from framework.rules import RULES

        return list(RULES)

    @hookimpl
    def register_data_sources(self) -> list[Any]:
        """Return every source of `framework.data`."""
        from framework.data.load import BUILT_IN

        return list(BUILT_IN.values())


class Registry:
    """Everything installed, discovered once.

    allow: names of the distributions whose plug-ins may be imported; None allows all.
    """

    def __init__(self, allow: Iterable[str] | None = None) -> None:
        self.allow = None if allow is None else frozenset(_normal(name) for name in allow)
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []
        self.added: dict[tuple[str, str], Found] = {}
        self._found: dict[str, list[Found]] = {}
        self._register(Plugin("built-in", OURS, _version(), "framework.plugins:BuiltIn", module=BuiltIn()))
        for point in _entry_points():
            self._load(point)

    def _load(self, point: metadata.EntryPoint) -> None:
        """Import one entry point; whatever goes wrong stays with it."""
        distribution = point.dist.name if point.dist else point.value
        plugin = Plugin(point.name, distribution, point.dist.version if point.dist else "", point.value)
        if self.allow is not None and _normal(distribution) not in self.allow:
            plugin.state = "not allowed"
            plugin.error = f"{distribution} is not in the allow-list of plug-ins ({', '.join(sorted(self.allow))})"
            self.plugins.append(plugin)
            return
        try:
            plugin.module = point.load()
        except (Exception, SystemExit) as error:
            plugin.fail(f"import of {point.value!r} failed: {type(error).__name__}: {error}", traceback.format_exc())
            self.plugins.append(plugin)
            return
        self._register(plugin)

    def _register(self, plugin: Plugin) -> None:
        """Hand a plug-in to pluggy and check that every hook it implements exists and takes what the hook gives."""
        self.plugins.append(plugin)
        if self.manager.is_registered(plugin.module):
            plugin.fail(f"{plugin.value!r} is named by two entry points; keep one")
            plugin.module = None
            return
        try:
            hash(plugin.module)
            self.manager.register(plugin.module, name=f"{plugin.distribution}:{plugin.name}")
            self.manager.check_pending()
        except Exception as error:
            known = _specified()
            callers = self.manager.get_hookcallers(plugin.module) or []
            unknown = [caller.name for caller in callers if caller.name not in known]
            self._forget(plugin)
            reasons = [f"unknown hook {name!r}{did_you_mean(name, known)}" for name in unknown]
            plugin.fail("; ".join(reasons) or " ".join(str(error).split()))
            return
        if not self.manager.get_hookcallers(plugin.module):
            self._forget(plugin)
            plugin.fail(f"{plugin.value!r} implements no hook; mark its functions with @framework.hookimpl")

    def _forget(self, plugin: Plugin) -> None:
        if self.manager.is_registered(plugin.module):
            self.manager.unregister(plugin.module)
        plugin.module = None

    def found(self, kind: str) -> list[Found]:
        """Return everything of one kind from plug-ins that are sound, in order of distribution."""
        hook = KINDS[kind]
        if hook not in self._found:
            self._found[hook] = [item for plugin in self.plugins for item in self._ask(plugin, hook)]
        items = [*self._found[hook], *self.added.values()]
        return [item for item in items if item.kind == kind and item.plugin.state == "ok"]

    def _ask(self, plugin: Plugin, hook: str) -> list[Found]:
        """Call one hook of one plug-in and check what it returns."""
        if plugin.state != "ok" or not _implements(self.manager, plugin.module, hook):
            return []
        try:
            answers = self.call(plugin, hook)
        except (Exception, SystemExit) as error:
            plugin.fail(f"{hook} raised {type(error).__name__}: {error}", traceback.format_exc())
            return []
        try:
            answer = answers[0] if answers else None
            return [_checked(plugin, hook, value) for value in _as_list(hook, answer)]
        except PluginError as error:
            plugin.fail(str(error))
            return []

    def call(self, plugin: Plugin, hook: str, **arguments: Any) -> list[Any]:
        """Call one hook of one plug-in alone, so that its failure is its own."""
        others = [other.module for other in self.plugins if other.module is not None and other is not plugin]
        return list(self.manager.subset_hook_caller(hook, others)(**arguments))

    def add(self, kind: str, value: Any) -> None:
        """Make a class that Python code defines usable by its name; the same name again replaces it.

        An installed class is usable as it is.  Raises PluginError when the class breaks its contract or an installed
        plug-in of that name is another class.
        """
        item = _checked(Plugin(HERE, HERE, "", f"{value!r}"), KINDS[kind], value)
        if item.kind != kind:
            raise PluginError(f"{_shown(value)} is a {item.kind} plug-in, and a {kind} plug-in is needed here")
        installed = [other for other in self.found(kind) if other.name == item.name and other.plugin.name != HERE]
        if any(other.value is value for other in installed):
            return
        if installed:
            raise PluginError(
                f"{kind} {item.name!r} is already installed by {installed[0].plugin.distribution}; "
                "give your class another name"
            )
        self.added[kind, item.name] = item

    def find(self, kind: str, name: str) -> Any:
        """Return the class of one kind and name.

        Raises PluginNotFound with the nearest name and all installed ones; PluginError when two plug-ins claim it.
        """
        if kind not in KINDS:
            raise PluginNotFound(f"unknown kind of plug-in {kind!r}{did_you_mean(kind, KINDS)}; kinds: {_join(KINDS)}")
        everything = self.found(kind)
        found = [item for item in everything if item.name == name]
        if len(found) == 1:
            return found[0].value
        if found:
            raise PluginError(_duplicate(found))
        known = sorted({item.name for item in everything})
        raise PluginNotFound(self._missing(kind, name, known), details=self._tracebacks())

    def named(self, name: str) -> list[Found]:
        """Return everything of one name, of whatever kind; raises PluginNotFound or PluginError as `find` does."""
        kinds = [kind for kind in KINDS if any(item.name == name for item in self.found(kind))]
        if not kinds:
            known = sorted({item.name for kind in KINDS for item in self.found(kind)})
            raise PluginNotFound(self._missing("plug-in", name, known), details=self._tracebacks())
        for kind in kinds:
            self.find(kind, name)
        return [item for kind in kinds for item in self.found(kind) if item.name == name]

    def _missing(self, kind: str, name: str, known: list[str]) -> str:
        """Say that nothing has this name, what is near, what is installed and what was left out."""
        message = f"unknown {kind.replace('_', ' ')} {name!r}{did_you_mean(name, known)}"
        message += ("" if message.endswith("?") else ";") + f" installed: {_join(known) or 'none'}"
        package = PACKAGES.get((kind, name))
        if package is not None and package not in {_normal(plugin.distribution) for plugin in self.plugins}:
            message += f". It comes with {package}, which is not installed: pip install {package}"
        elif package is None and kind == "strategy" and not did_you_mean(name, known):
            message += f". {OWN_STRATEGY}"
        broken = [plugin for plugin in self.plugins if plugin.state != "ok"]
        if broken:
            message += ". Left out: " + "; ".join(f"{plugin} ({plugin.error})" for plugin in broken)
            message += " - see `framework plugins`"
        return message

    def _tracebacks(self) -> str:
        return "\n".join(plugin.details for plugin in self.plugins if plugin.details)

    def listed(self) -> list[Listed]:
        """Return every thing that plug-ins bring, sorted by kind and name, then the plug-ins that cannot be used."""
        everything = [item for kind in KINDS for item in self.found(kind)]
        rows = []
        for item in sorted(everything, key=lambda item: (item.kind, item.name, item.plugin.distribution)):
            same = [other for other in everything if (other.kind, other.name) == (item.kind, item.name)]
            error = _duplicate(same) if len(same) > 1 else ""
            state = "duplicate" if error else "ok"
            plugin = item.plugin
            rows.append(Listed(item.kind, item.name, plugin.distribution, plugin.version, state, error))
        for plugin in self.plugins:
            if plugin.state != "ok":
                rows.append(Listed("plugin", plugin.name, plugin.distribution, plugin.version, plugin.state,
                                   plugin.error, plugin.details))
        return rows


_lock = threading.Lock()
_current: list[Registry] = []


def registry() -> Registry:
    """Return the registry of this process, discovering plug-ins at the first call."""
    with _lock:
        if not _current:
            _current.append(Registry(_allowed_by_environment()))
        return _current[0]


def use(allow: Iterable[str] | None = None) -> Registry:
    """Return a registry under an allow-list, discovering anew if it is not the present one.

    allow: distributions that may be imported; the list in the environment can only be narrowed by it.  Classes of this
    session stay known.
    """
    environment = _allowed_by_environment()
    names = environment
    if allow is not None:
        asked = frozenset(map(_normal, allow))
        names = asked if environment is None else asked & environment
    current = registry()
    if names != current.allow:
        renewed = Registry(names)
        renewed.added.update(current.added)
        with _lock:
            _current[:] = [renewed]
    return registry()


def find(kind: str, name: str) -> Any:
    """Return the installed class of one kind ("strategy", "slippage", "risk", "sizing", ...) and name.

    Raises PluginNotFound: ``unknown strategy 'sma_cros'; did you mean 'sma_cross'? installed: ...``.
    """
    return registry().find(kind, name)


def notify(hook: str, **arguments: Any) -> None:
    """Tell every observer; one that raises is a PluginError, because it would otherwise miss the rest in silence."""
    current = registry()
    for plugin in current.plugins:
        if plugin.state != "ok" or not _implements(current.manager, plugin.module, hook):
            continue
        try:
            current.call(plugin, hook, **arguments)
        except Exception as error:
            raise PluginError(
                f"{plugin}: {hook} raised {type(error).__name__}: {error}", details=traceback.format_exc()
            ) from error


def _allowed_by_environment() -> frozenset[str] | None:
    text = os.environ.get(ALLOW)
    return None if text is None else frozenset(_normal(name.strip()) for name in text.split(",") if name.strip())


def _entry_points() -> Iterator[metadata.EntryPoint]:
    """Yield our entry points in an order that does not depend on the file system."""
    points = metadata.entry_points(group=PROJECT)
    return iter(sorted(points, key=lambda point: (point.dist.name if point.dist else "", point.name, point.value)))


def _version() -> str:
    """Return the framework's version, "" when it runs from a source tree that is not installed."""
    try:
        return metadata.version(OURS)
    except metadata.PackageNotFoundError:
        return ""


def _normal(distribution: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _specified() -> list[str]:
    return [name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), f"{PROJECT}_spec")]


def _implements(manager: pluggy.PluginManager, module: Any, hook: str) -> bool:
    return any(caller.name == hook for caller in manager.get_hookcallers(module) or ())


def _as_list(hook: str, answer: Any) -> list[Any]:
    if isinstance(answer, (list, tuple)):
        return list(answer)
    raise PluginError(f"{hook} returned {_shown(answer)}; it must return a list of {_expected(hook)}")


def _expected(hook: str) -> str:
    return {
        "register_strategies": "subclasses of framework.Strategy",
        "register_slippage_models": "subclasses of framework.SlippageModel",
        "register_risk_rules": "subclasses of framework.RiskRule or framework.SizingRule",
        "register_brokers": "subclasses of framework.Broker",
        "register_data_sources": "subclasses of framework.DataSource",
        "register_commands": "click commands",
    }[hook]


def _kind_of(hook: str, value: Any) -> str | None:
    """Return the kind of a thing that a hook brought, None when it does not keep the contract."""
    if hook == "register_commands":
        import click

        return "command" if isinstance(value, click.Command) else None
    if not inspect.isclass(value):
        return None
    for kind, base in _bases(hook):
        if issubclass(value, base) and value is not base:
            return kind
    return None


def _bases(hook: str) -> list[tuple[str, type]]:
    """Return the classes that a hook may bring subclasses of, imported when first needed."""
    if hook == "register_strategies":
        from framework.strategy import Strategy

        return [("strategy", Strategy)]
    if hook == "register_slippage_models":
        from framework.slippage import SlippageModel

        return [("slippage", SlippageModel)]
    if hook == "register_risk_rules":
        from framework.risk import RiskRule, SizingRule

        return [("risk", RiskRule), ("sizing", SizingRule)]
    if hook == "register_data_sources":
        from framework.data.source import DataSource

        return [("data_source", DataSource)]
    from framework.broker import Broker

    return [("broker", Broker)]


def _checked(plugin: Plugin, hook: str, value: Any) -> Found:
    """Return one thing with its kind and name; raises PluginError naming plug-in and hook."""
    kind = _kind_of(hook, value)
    if kind is None:
        raise PluginError(f"{hook} returned {_shown(value)}; it must return a list of {_expected(hook)}")
    name = getattr(value, "name", None)
    pattern_is_kept = isinstance(name, str) and (_NAME.match(name.replace("-", "_") if kind == "command" else name))
    if not pattern_is_kept:
        raise PluginError(
            f"{hook} returned {_shown(value)} with the name {name!r}; a name is lower-case letters, digits and "
            "underscores and starts with a letter"
        )
    if kind == "command" and name in RESERVED:
        raise PluginError(f"{hook} returned a verb {name!r}, which belongs to the framework; give it another name")
    if kind == "broker" and name == RESERVED_BROKER:
        raise PluginError(f"{hook} returned a broker {name!r}, which is the framework's own; give it another name")
    return Found(kind, str(name), value, plugin)


def _shown(value: Any) -> str:
    return f"the class {value.__name__}" if inspect.isclass(value) else f"{value!r} ({type(value).__name__})"


def _duplicate(found: list[Found]) -> str:
    """Say that several plug-ins claim one name, each with its distribution."""
    owners = " and ".join(f"{item.plugin.distribution} {item.plugin.version}".rstrip() for item in found)
    kind = found[0].kind.replace("_", " ")
    return f"{kind} {found[0].name!r} is registered by {owners}; uninstall one of them or leave it out of {ALLOW}"


def _join(names: Iterable[str]) -> str:
    return ", ".join(names)
