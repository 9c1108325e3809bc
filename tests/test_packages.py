"""Whoever asks for what a package of the house brings is told its name."""

from __future__ import annotations

import pytest

from framework import plugins
from framework.errors import PluginNotFound
from framework.packages import PACKAGES, PREFIX


def test_the_table_names_what_the_packages_bring() -> None:
    """Every strategy and slippage model of a distribution of the house, and nothing else."""
    found = {(item.kind, item.name): item.plugin.distribution for kind in ("strategy", "slippage")
             for item in plugins.registry().found(kind) if item.plugin.distribution.startswith(f"{PREFIX}{kind}-")}
    assert found == dict(PACKAGES)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it; a name that nobody knows has none."""
    monkeypatch.setattr(plugins, "_entry_points", lambda: iter(()))
    bare = plugins.Registry(None)
    for kind, name in (("strategy", "supertrend"), ("slippage", "volume_impact")):
        with pytest.raises(PluginNotFound, match=f"unknown {kind} '{name}'.*pip install {PACKAGES[kind, name]}"):
            bare.find(kind, name)
    with pytest.raises(PluginNotFound) as caught:
        bare.find("strategy", "no_such_strategy")
    assert "pip install" not in str(caught.value)


def test_a_package_that_is_left_out_is_not_said_to_be_missing() -> None:
    """It is there, and the list of what is allowed keeps it out."""
    with pytest.raises(PluginNotFound, match="is not in the allow-list") as caught:
        plugins.Registry(frozenset()).find("strategy", "supertrend")
    assert "pip install" not in str(caught.value)
