"""What a search varies: the parameters of a configuration's plug-ins, each under a name of its own.

A parameter of a strategy is called by its name (`fast`), or by the label or name of the strategy too (`ema_cross.fast`,
`ema_cross#2.fast`) where several have one of that name; those of others are called `risk.RULE.NAME`, `slippage.NAME`
and `sizing.NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from framework import plugins
from framework.backtest.compose import Plan
from framework.backtest.config import Config, Use
from framework.backtest.run import make
from framework.errors import ConfigError
from framework.parameters import Param, Value
from framework.risk import RiskRule, Rule, SizingRule
from framework.slippage import SlippageModel
from framework.strategy import Strategy

BASES: dict[str, type] = {"strategy": Strategy, "sizing": SizingRule, "risk": RiskRule, "slippage": SlippageModel}
GROUPS = ("risk", "slippage", "sizing")
"""First words of names that do not belong to a strategy."""


@attrs.frozen
class Target:
    """One parameter: the plug-in use that has it (kind and place), its name there, and its declaration.

    value: what the configuration sets it to. path: what the search calls it.
    """

    path: str
    kind: str
    place: int
    name: str
    param: Param
    value: Value
    owner: str


@attrs.frozen
class Parts:
    """The plug-ins of one trial."""

    plans: tuple[Plan, ...]
    sizing: SizingRule
    rules: tuple[RiskRule, ...]
    slippage: SlippageModel | None

    @property
    def others(self) -> list[Rule | SlippageModel]:
        """What is no strategy: the sizing rule, the risk rules, and the slippage model where there is one."""
        others: list[Rule | SlippageModel] = [self.sizing, *self.rules]
        return others if self.slippage is None else [*others, self.slippage]


class Subject:
    """A configuration whose parameters can be varied."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._uses: dict[str, tuple[Use, ...]] = {
            "strategy": tuple(Use(use.name, use.params) for use in config.strategies),
            "sizing": (config.sizing,),
            "risk": config.risk,
            "slippage": (config.slippage,) if config.slippage else (),
        }
        self._made: dict[tuple[str, int], Any] = {}
        self.targets: dict[str, Target] = {}
        self.ambiguous: dict[str, list[str]] = {}
        self._find_targets()

    def _find_targets(self) -> None:
        """Fill `targets` by path; short names that several strategies have stay out, with their long ones noted."""
        short: dict[str, list[Target]] = {}
        for kind, uses in self._uses.items():
            for place, use in enumerate(uses):
                made = self._made[kind, place] = make(kind, use, BASES[kind])
                for name, param in made.params().items():
                    prefix = {"strategy": self.config.labels[place] if kind == "strategy" else "",
                              "risk": f"risk.{use.name}"}.get(kind, kind)
                    target = Target(f"{prefix}.{name}", kind, place, name, param, getattr(made, name), use.name)
                    self.targets[target.path] = target
                    if kind == "strategy":
                        short.setdefault(name, []).append(target)
        for name, found in short.items():
            if len(found) == 1:
                self.targets[name] = attrs.evolve(found[0], path=name)
            else:
                self.ambiguous[name] = [target.path for target in found]

    @property
    def fixed(self) -> dict[str, Value]:
        """The value of every parameter in the configuration itself, by path."""
        return {path: target.value for path, target in self.targets.items()}

    def parts(self, values: Mapping[str, Value]) -> Parts:
        """Return the plug-ins with these values in place of the configuration's; ConfigError where one is refused."""
        changed: dict[tuple[str, int], dict[str, Value]] = {}
        for path, value in values.items():
            target = self.targets[path]
            changed.setdefault((target.kind, target.place), {})[target.name] = value
        made = dict(self._made)
        for key, params in changed.items():
            use = self._uses[key[0]][key[1]]
            made[key] = type(self._made[key])(**{**use.params, **params})
        plans = tuple(Plan(made["strategy", place], use.symbols, label=label) for place, (use, label)
                      in enumerate(zip(self.config.strategies, self.config.labels, strict=True)))
        rules = tuple(made["risk", place] for place in range(len(self._uses["risk"])))
        return Parts(plans, made["sizing", 0], rules, made.get(("slippage", 0)))

    @property
    def trained(self) -> list[int]:
        """The places of the strategies that are trained before they decide."""
        return [place for (kind, place), made in self._made.items() if kind == "strategy" and made.is_fitted()]

    def is_fixed(self, made: Any) -> bool:
        """Return whether a plug-in is the configuration's own, with none of its parameters varied."""
        return any(made is one for one in self._made.values())

    def configured(self, values: Mapping[str, Value]) -> Config:
        """Return the configuration with these values in it."""
        config = self.config
        for path, value in values.items():
            target = self.targets[path]
            if target.kind == "strategy":
                uses = list(config.strategies)
                use = uses[target.place]
                uses[target.place] = attrs.evolve(use, params={**use.params, target.name: value})
                config = attrs.evolve(config, strategies=tuple(uses))
            elif target.kind == "risk":
                rules = list(config.risk)
                rule = rules[target.place]
                rules[target.place] = Use(rule.name, {**rule.params, target.name: value})
                config = attrs.evolve(config, risk=tuple(rules))
            else:
                one: Use = getattr(config, target.kind)
                changed: dict[str, Any] = {target.kind: Use(one.name, {**one.params, target.name: value})}
                config = attrs.evolve(config, **changed)
        return config

    def session_classes(self) -> list[tuple[str, type]]:
        """Return the plug-ins that were handed over from Python: another process has to be given them."""
        found = []
        for (kind, _), made in self._made.items():
            owners = [item for item in plugins.registry().found(kind) if item.name == type(made).name]
            if any(item.plugin.distribution == plugins.HERE for item in owners):
                found.append((kind, type(made)))
        return found


def unknown_parameter(subject: Subject, path: str) -> ConfigError:
    """Return the error for a path that names no parameter of the configuration."""
    from framework.errors import did_you_mean

    if path in subject.ambiguous:
        ways = subject.ambiguous[path]
        return ConfigError(f"[optimize.space] {path}: {len(ways)} strategies have it; write {' or '.join(ways)}")
    near = did_you_mean(path, subject.targets)
    return ConfigError(f"[optimize.space] {path}: no such parameter{near}; there are: "
                       f"{', '.join(sorted(subject.targets))}")
