"""The plug-in door: discovery, isolation, names, allow-lists, and the page of hooks."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pluggy
import pytest
from plugin_dist import strategy_source, write_distribution

import framework
from framework import hookspecs, plugins
from framework.errors import PluginError, PluginNotFound
from framework.hookspecs import Session, hookimpl
from framework.plugins import Registry

DOCS = Path(__file__).resolve().parent.parent / "docs" / "plugins.md"
HOOKS = [name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "framework_spec")]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path for distributions; what is imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(plugins.ALLOW, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not discovered anything yet."""
    monkeypatch.setattr(plugins, "_current", [])
    monkeypatch.delenv(plugins.ALLOW, raising=False)


def plugin_of(registry: Registry, distribution: str) -> plugins.Plugin:
    """Return what became of the one entry point of a distribution."""
    return next(plugin for plugin in registry.plugins if plugin.distribution == distribution)


# --- finding ----------------------------------------------------------------------------------------------------------


def test_an_installed_strategy_is_found_by_its_name(site: Path) -> None:
    write_distribution(site, "my-dist", {"my_plugin": strategy_source("quiet")})
    found = Registry().find("strategy", "quiet")
    assert issubclass(found, framework.Strategy)
    assert found.name == "quiet"


def test_an_unknown_name_proposes_the_nearest_and_lists_what_is_installed(site: Path) -> None:
    write_distribution(site, "my-dist", {"my_plugin": strategy_source("sma_cross")})
    with pytest.raises(PluginNotFound) as caught:
        Registry(["my-dist"]).find("strategy", "sma_cros")
    assert str(caught.value).startswith(
        "unknown strategy 'sma_cros'; did you mean 'sma_cross'? installed: sma_cross"
    )


def test_an_unknown_name_far_from_all_says_what_is_installed(site: Path) -> None:
    write_distribution(site, "my-dist", {"my_plugin": strategy_source("sma_cross")})
    with pytest.raises(PluginNotFound, match="unknown strategy 'zzz'; installed: sma_cross. .*new strategy NAME"):
        Registry(["my-dist"]).find("strategy", "zzz")


def test_an_unknown_kind_is_refused_with_the_kinds_there_are(fresh: None) -> None:
    with pytest.raises(PluginNotFound, match="unknown kind of plug-in 'strategi'; did you mean 'strategy'"):
        plugins.find("strategi", "quiet")


def test_the_built_in_rules_and_sources_come_by_the_same_door(fresh: None) -> None:
    listed = {(row.kind, row.name) for row in plugins.registry().listed() if row.distribution == plugins.OURS}
    assert {("sizing", "percent_of_equity"), ("risk", "portfolio_heat"), ("data_source", "sample")} <= listed


def test_a_class_that_is_uninstalled_is_gone(site: Path) -> None:
    info = write_distribution(site, "my-dist", {"my_plugin": strategy_source("quiet")})
    assert Registry().find("strategy", "quiet")
    for file in info.iterdir():
        file.unlink()
    info.rmdir()
    with pytest.raises(PluginNotFound):
        Registry().find("strategy", "quiet")


# --- isolation --------------------------------------------------------------------------------------------------------


def test_a_plugin_that_fails_to_import_harms_nobody_else_and_keeps_its_traceback(site: Path) -> None:
    write_distribution(site, "good-dist", {"good_plugin": strategy_source("quiet")})
    write_distribution(site, "bad-dist", {"bad_plugin": "raise RuntimeError('no licence')"})
    registry = Registry()
    assert registry.find("strategy", "quiet").name == "quiet"
    row = next(row for row in registry.listed() if row.distribution == "bad-dist")
    assert (row.kind, row.name, row.state) == ("plugin", "bad_plugin", "broken")
    assert "RuntimeError: no licence" in row.error
    assert 'bad_plugin.py", line 1' in row.details


def test_a_plugin_that_exits_at_import_is_broken_and_does_not_end_the_process(site: Path) -> None:
    write_distribution(site, "bad-dist", {"bad_plugin": "import sys; sys.exit(3)"})
    assert "SystemExit: 3" in plugin_of(Registry(), "bad-dist").error


def test_whoever_asks_for_what_a_broken_plugin_would_bring_is_told_of_it(site: Path) -> None:
    write_distribution(site, "bad-dist", {"bad_plugin": "raise RuntimeError('no licence')"})
    with pytest.raises(PluginNotFound) as caught:
        Registry().find("strategy", "quiet")
    assert "plug-in 'bad_plugin' of bad-dist 1.0 (import of 'bad_plugin' failed: RuntimeError: no licence)" in str(
        caught.value
    )
    assert "no licence" in caught.value.details


def test_an_entry_point_that_names_no_module_is_broken(site: Path) -> None:
    write_distribution(site, "bad-dist", {}, entry_points={"gone": "no_such_module_at_all"})
    assert "ModuleNotFoundError" in plugin_of(Registry(), "bad-dist").error


def test_a_hook_that_raises_is_named_with_its_plugin(site: Path) -> None:
    source = """
        from framework import hookimpl

        @hookimpl
        def register_strategies():
            raise ValueError("no strategies today")
    """
    write_distribution(site, "bad-dist", {"bad_plugin": source})
    registry = Registry()
    registry.found("strategy")
    plugin = plugin_of(registry, "bad-dist")
    assert plugin.error == "register_strategies raised ValueError: no strategies today"
    assert str(plugin) == "plug-in 'bad_plugin' of bad-dist 1.0"


def test_a_misspelt_hook_is_an_error_that_names_the_hook_that_was_meant(site: Path) -> None:
    source = """
        from framework import hookimpl

        @hookimpl
        def register_strategys():
            return []
    """
    write_distribution(site, "bad-dist", {"bad_plugin": source})
    write_distribution(site, "good-dist", {"good_plugin": strategy_source("quiet")})
    registry = Registry()
    assert plugin_of(registry, "bad-dist").error == (
        "unknown hook 'register_strategys'; did you mean 'register_strategies'?"
    )
    assert registry.find("strategy", "quiet").name == "quiet"


def test_a_hook_that_asks_for_an_argument_there_is_not_is_an_error(site: Path) -> None:
    source = """
        from framework import hookimpl

        @hookimpl
        def register_strategies(universe):
            return []
    """
    write_distribution(site, "bad-dist", {"bad_plugin": source})
    plugin = plugin_of(Registry(), "bad-dist")
    assert plugin.state == "broken"
    assert "universe" in plugin.error


def test_a_plugin_without_any_hook_is_told_to_mark_its_functions(site: Path) -> None:
    write_distribution(site, "bad-dist", {"bad_plugin": "def register_strategies():\n    return []\n"})
    assert "implements no hook; mark its functions with @framework.hookimpl" in plugin_of(Registry(), "bad-dist").error


def test_two_entry_points_to_one_module_break_the_second_and_leave_the_first(site: Path) -> None:
    source = strategy_source("quiet")
    write_distribution(site, "my-dist", {"my_plugin": source}, entry_points={"a": "my_plugin", "b": "my_plugin"})
    registry = Registry()
    assert registry.find("strategy", "quiet")
    assert [plugin.state for plugin in registry.plugins if plugin.distribution == "my-dist"] == ["ok", "broken"]


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "returned None (NoneType); it must return a list of subclasses of framework.Strategy"),
        ("'ema_cross'", "returned 'ema_cross' (str); it must return a list"),
        ("['ema_cross']", "returned 'ema_cross' (str); it must return a list of subclasses of framework.Strategy"),
        ("[int]", "returned the class int; it must return a list of subclasses of framework.Strategy"),
        ("[framework.Strategy]", "returned the class Strategy; it must return"),
        ("[framework.SlippageModel]", "returned the class SlippageModel; it must return"),
        ("[type('A', (framework.Strategy,), {'name': 'Bad Name'})]", "with the name 'Bad Name'; a name is lower-case"),
        ("[type('A', (framework.Strategy,), {})]", "with the name ''; a name is lower-case"),
        ("[type('A', (framework.Strategy,), {'name': 3})]", "with the name 3; a name is lower-case"),
    ],
)
def test_a_wrong_return_value_is_an_error_that_names_the_hook(site: Path, returned: str, said: str) -> None:
    source = f"""
        import framework

        @framework.hookimpl
        def register_strategies():
            return {returned}
    """
    write_distribution(site, "bad-dist", {"bad_plugin": source})
    registry = Registry()
    assert [item.plugin.distribution for item in registry.found("strategy")].count("bad-dist") == 0
    error = plugin_of(registry, "bad-dist").error
    assert error.startswith("register_strategies returned")
    assert said in error


# --- one name, one plug-in --------------------------------------------------------------------------------------------


def test_two_plugins_of_one_name_are_an_error_naming_both_distributions(site: Path) -> None:
    write_distribution(site, "first-dist", {"first_plugin": strategy_source("quiet")})
    write_distribution(site, "second-dist", {"second_plugin": strategy_source("quiet")}, version="2.1")
    with pytest.raises(PluginError, match="'quiet' is registered by first-dist 1.0 and second-dist 2.1"):
        Registry().find("strategy", "quiet")


def test_two_plugins_of_one_name_harm_nobody_who_uses_another(site: Path) -> None:
    write_distribution(site, "first-dist", {"first_plugin": strategy_source("quiet")})
    write_distribution(site, "second-dist", {"second_plugin": strategy_source("quiet")})
    write_distribution(site, "third-dist", {"third_plugin": strategy_source("calm")})
    registry = Registry()
    assert registry.find("strategy", "calm").name == "calm"
    assert [row.state for row in registry.listed() if row.name == "quiet"] == ["duplicate", "duplicate"]


# --- allow-lists ------------------------------------------------------------------------------------------------------


def test_a_distribution_outside_the_allow_list_is_not_even_imported(site: Path) -> None:
    write_distribution(site, "first-dist", {"first_plugin": strategy_source("quiet")})
    write_distribution(site, "second-dist", {"second_plugin": "raise SystemExit('imported')"})
    registry = Registry(["First_Dist"])
    assert registry.find("strategy", "quiet")
    assert plugin_of(registry, "second-dist").state == "not allowed"
    assert "second_plugin" not in sys.modules


def test_the_environment_holds_the_allow_list(site: Path, fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    write_distribution(site, "first-dist", {"first_plugin": strategy_source("quiet")})
    monkeypatch.setenv(plugins.ALLOW, "other-dist, third-dist")
    with pytest.raises(PluginNotFound, match="first-dist is not in the allow-list"):
        plugins.find("strategy", "quiet")


def test_a_configuration_can_narrow_the_environments_list_but_not_widen_it(
    site: Path, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(plugins.ALLOW, "first-dist,second-dist")
    assert plugins.use(["second-dist", "third-dist"]).allow == {"second-dist"}
    assert plugins.use(None).allow == {"first-dist", "second-dist"}


def test_the_same_allow_list_does_not_discover_again(fresh: None) -> None:
    assert plugins.use(["first-dist"]) is plugins.use(["First.Dist"])


# --- classes of this session ------------------------------------------------------------------------------------------


def quiet_class(name: str) -> type[Any]:
    """Return a strategy that never trades."""
    return type("Quiet", (framework.Strategy,), {"name": name})


def test_a_class_of_the_session_is_found_and_replaced_by_a_later_one_of_its_name(fresh: None) -> None:
    first, second = quiet_class("quiet"), quiet_class("quiet")
    plugins.registry().add("strategy", first)
    plugins.registry().add("strategy", second)
    assert plugins.find("strategy", "quiet") is second
    plugins.use([])
    assert plugins.find("strategy", "quiet") is second


def test_a_class_of_the_session_cannot_take_the_name_of_an_installed_one(site: Path) -> None:
    write_distribution(site, "my-dist", {"my_plugin": strategy_source("quiet")})
    with pytest.raises(PluginError, match="'quiet' is already installed by my-dist; give your class another name"):
        Registry().add("strategy", quiet_class("quiet"))


def test_a_class_of_another_kind_is_refused(fresh: None) -> None:
    model = type("Free", (framework.SlippageModel,), {"name": "free"})
    with pytest.raises(PluginError, match="subclasses of framework.Strategy"):
        plugins.registry().add("strategy", model)
    rule = type("Rule", (framework.RiskRule,), {"name": "some_rule"})
    with pytest.raises(PluginError, match="is a risk plug-in, and a sizing plug-in is needed"):
        plugins.registry().add("sizing", rule)


# --- each hook --------------------------------------------------------------------------------------------------------


class Everything:
    """A plug-in that implements every hook and remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    @hookimpl
    def register_strategies(self) -> list[Any]:
        return [quiet_class("a_strategy")]

    @hookimpl
    def register_slippage_models(self) -> list[Any]:
        return [type("Model", (framework.SlippageModel,), {"name": "a_model"})]

    @hookimpl
    def register_risk_rules(self) -> list[Any]:
        return [
            type("Rule", (framework.RiskRule,), {"name": "a_rule"}),
            type("Size", (framework.SizingRule,), {"name": "a_size"}),
        ]

    @hookimpl
    def register_brokers(self) -> list[Any]:
        return [type("Venue", (framework.Broker,), {"name": "a_venue"})]

    @hookimpl
    def register_data_sources(self) -> list[Any]:
        return [type("Source", (framework.DataSource,), {"name": "a_source"})]

    @hookimpl
    def register_commands(self) -> list[Any]:
        import click

        return [click.Command("a-verb")]

    @hookimpl
    def session_started(self, session: Session) -> None:
        self.heard.append(("started", session.name))

    @hookimpl
    def order_updated(self, order: Any) -> None:
        self.heard.append(("order", order["id"]))

    @hookimpl
    def fill_recorded(self, session: Session, fill: Any) -> None:
        self.heard.append(("fill", fill["id"]))

    @hookimpl
    def session_finished(self, session: Session, result: Any) -> None:
        self.heard.append(("finished", result))


@pytest.fixture
def everything(fresh: None) -> Everything:
    """The plug-in `Everything`, registered in this process."""
    plugin = Everything()
    plugins.registry()._register(plugins.Plugin("everything", "every-dist", "1.0", "test", module=plugin))
    return plugin


@pytest.mark.parametrize(
    ("kind", "name"),
    [("strategy", "a_strategy"), ("slippage", "a_model"), ("risk", "a_rule"), ("sizing", "a_size"),
     ("broker", "a_venue"), ("data_source", "a_source"), ("command", "a-verb")],
)
def test_each_register_hook_brings_its_kind(everything: Everything, kind: str, name: str) -> None:
    assert plugins.find(kind, name).name == name
    assert [item.kind for item in plugins.registry().named(name)] == [kind]


def test_observers_hear_of_sessions_orders_and_fills_with_the_arguments_they_ask_for(everything: Everything) -> None:
    session = Session("backtest", "a run", {})
    plugins.notify("session_started", session=session)
    plugins.notify("order_updated", session=session, order={"id": 1})
    plugins.notify("fill_recorded", session=session, fill={"id": 2})
    plugins.notify("session_finished", session=session, result="r")
    assert everything.heard == [("started", "a run"), ("order", 1), ("fill", 2), ("finished", "r")]


def test_an_observer_that_raises_is_named(fresh: None) -> None:
    class Deaf:
        @hookimpl
        def session_started(self, session: Session) -> None:
            raise OSError("disk full")

    plugins.registry()._register(plugins.Plugin("deaf", "deaf-dist", "1.0", "test", module=Deaf()))
    with pytest.raises(PluginError, match="plug-in 'deaf' of deaf-dist 1.0: session_started raised OSError: disk full"):
        plugins.notify("session_started", session=Session("backtest", "x", {}))


def test_a_verb_of_the_framework_cannot_be_taken(fresh: None) -> None:
    class Thief:
        @hookimpl
        def register_commands(self) -> list[Any]:
            import click

            return [click.Command("backtest")]

    plugins.registry()._register(plugins.Plugin("thief", "thief-dist", "1.0", "test", module=Thief()))
    assert plugins.registry().found("command") == []
    assert "a verb 'backtest', which belongs to the framework" in plugin_of(plugins.registry(), "thief-dist").error


# --- the page of hooks ------------------------------------------------------------------------------------------------


def test_the_page_of_hooks_lists_every_hook_that_the_design_names() -> None:
    assert sorted(HOOKS) == sorted([
        "register_strategies", "register_slippage_models", "register_risk_rules", "register_brokers",
        "register_data_sources", "register_commands", "session_started", "order_updated", "fill_recorded",
        "session_finished",
    ])  # fmt: skip


@pytest.mark.parametrize("hook", HOOKS)
def test_the_exact_signature_of_every_hook_stands_in_the_documentation(hook: str) -> None:
    signature = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "")
    assert f"def {hook}{signature}" in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_docstring(hook: str) -> None:
    assert (getattr(hookspecs, hook).__doc__ or "").strip()


def test_pluggy_knows_our_hooks_by_the_name_of_the_project() -> None:
    manager = pluggy.PluginManager("framework")
    manager.add_hookspecs(hookspecs)
    assert {name for name in vars(manager.hook) if not name.startswith("_")} == set(HOOKS)


# --- the public names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(framework.__all__))
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(framework, name) is not None


def test_the_table_of_homes_and_the_public_names_agree() -> None:
    assert set(framework.__all__) == {*framework._MODULE_OF, "backtest", "__version__"}
    assert set(framework.__all__) <= set(dir(framework))


def test_an_unknown_public_name_is_an_attribute_error_with_the_nearest_one() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Strategi'; did you mean 'Strategy'"):
        framework.Strategi  # noqa: B018
