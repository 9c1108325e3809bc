"""The space of a search: what each parameter may be, and the conditions between them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import attrs
import numpy as np

from framework.constraints import Constraint, parse_constraint
from framework.errors import ConfigError, did_you_mean
from framework.parameters import Value
from framework.research.subject import GROUPS, Subject, Target, unknown_parameter

SPEC_KEYS = ("low", "high", "step", "log")
MOST_LISTED = 1_000_000
"""Values that one parameter may have in a grid."""

TRIES = 20_000
"""Points that are drawn to find one which satisfies the constraints."""


@attrs.frozen
class Dimension:
    """What one parameter may be: the listed values, or a range.

    path: what the search calls it. values: in their order, or None for a range low..high (both inclusive).
    step: of a range, None for every number in it. log: whether draws are uniform in the logarithm.
    """

    path: str
    values: tuple[Value, ...] | None = None
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    is_whole: bool = False

    @property
    def size(self) -> int | None:
        """The number of values, None when there are infinitely many."""
        if self.values is not None:
            return len(self.values)
        return None if self.step is None else math.floor((self.high - self.low) / self.step * (1 + 1e-12)) + 1

    def at(self, place: int) -> Value:
        """Return the value at a place of a listed or stepped dimension."""
        if self.values is not None:
            return self.values[place]
        assert self.step is not None
        number = float(f"{self.low + place * self.step:.12g}")
        return int(number) if self.is_whole else min(number, self.high)

    def grid(self) -> tuple[Value, ...]:
        """Return all values; ConfigError when they cannot be listed."""
        size = self.size
        if size is None:
            raise ConfigError(f"[optimize.space] {self.path}: a grid needs its values; name a step between low = "
                              f"{self.low:g} and high = {self.high:g}, list values, or use another sampler")
        if size > MOST_LISTED:
            raise ConfigError(f"[optimize.space] {self.path}: {size:,} values, a grid takes at most {MOST_LISTED:,}; "
                              "name a larger step or use another sampler")
        return tuple(self.at(place) for place in range(size))

    def draw(self, random: np.random.Generator) -> Value:
        """Return a value at random: uniform over the values or the range (`log`: over its logarithm)."""
        size = self.size
        if size is not None and not self.log:
            return self.at(int(random.integers(size)))
        if self.log:
            drawn = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
            if size is not None and self.step is not None:
                return self.at(min(size - 1, max(0, round((drawn - self.low) / self.step))))
            return min(self.high, max(self.low, drawn))
        return float(random.uniform(self.low, self.high))

    def ends(self) -> tuple[Value, ...]:
        """Return the lowest and the highest value of a range or of numbers; of other values, all."""
        if self.values is None:
            size = self.size
            return (self.low, self.high) if size is None else (self.at(0), self.at(size - 1))
        order = self.order
        return tuple(dict.fromkeys((order[0], order[-1]))) if self.is_numeric else order

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers, which have an order and distances."""
        return self.values is None or all(isinstance(one, int | float) and not isinstance(one, bool)
                                          for one in self.values)

    @property
    def order(self) -> tuple[Value, ...]:
        """The listed values, numbers from the lowest to the highest."""
        listed = self.values or ()
        return tuple(sorted(listed, key=float)) if self.is_numeric else listed

    def described(self) -> dict[str, Any]:
        """Return the dimension as plain values, for the journal."""
        if self.values is not None:
            return {"values": list(self.values)}
        return {"low": self.low, "high": self.high, "step": self.step, "log": self.log}


@attrs.frozen(slots=False)
class Space:
    """The dimensions of a search and the constraints between parameters.

    fixed: values of parameters that do not vary but that constraints may name.
    """

    dimensions: tuple[Dimension, ...]
    constraints: tuple[Constraint, ...] = ()
    fixed: Mapping[str, Value] = attrs.field(factory=dict)

    @property
    def size(self) -> int | None:
        """The number of points before constraints, None when there are infinitely many."""
        sizes = [dimension.size for dimension in self.dimensions]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def allows(self, point: Mapping[str, Value]) -> bool:
        """Return whether a point satisfies every constraint."""
        if not self.constraints:
            return True
        values = {**self.fixed, **point}
        return all(constraint.holds(values) for constraint in self.constraints)

    def grid(self) -> Iterator[dict[str, Value]]:
        """Yield every point that satisfies the constraints; the last parameter varies fastest."""
        names = [dimension.path for dimension in self.dimensions]
        for values in itertools.product(*(dimension.grid() for dimension in self.dimensions)):
            point = dict(zip(names, values, strict=True))
            if self.allows(point):
                yield point

    @cached_property
    def count(self) -> int:
        """The number of points that satisfy the constraints; 0 when there are infinitely many."""
        return sum(1 for _ in self.grid()) if self.constraints else self.size or 0

    def draw(self, random: np.random.Generator) -> dict[str, Value]:
        """Return one point at random, whether or not it satisfies the constraints."""
        return {dimension.path: dimension.draw(random) for dimension in self.dimensions}

    def check(self) -> None:
        """Raise ConfigError when no point satisfies the constraints.

        A small space is searched whole, a large or endless one by TRIES random points.
        """
        if not self.constraints:
            return
        size = self.size
        if size is not None and size <= TRIES:
            if next(self.grid(), None) is not None:
                return
            looked = f"none of the {size:,} points satisfies them"
        else:
            random = np.random.default_rng(0)
            if any(self.allows(self.draw(random)) for _ in range(TRIES)):
                return
            looked = f"none of {TRIES:,} random points satisfies them"
        told = "; ".join(constraint.text for constraint in self.constraints)
        raise ConfigError(f"[optimize] constraints contradict each other or the space: {looked} ({told})")

    def corners(self, most: int = 4096) -> list[dict[str, Value]]:
        """Return the points at the ends of every dimension, at most so many (then a seeded sample of them)."""
        names = [dimension.path for dimension in self.dimensions]
        ends = [dimension.ends() for dimension in self.dimensions]
        count = math.prod(len(values) for values in ends)
        if count <= most:
            chosen: Iterator[tuple[Value, ...]] = itertools.product(*ends)
        else:
            random = np.random.default_rng(0)
            draws = [[values[int(i)] for i in random.integers(len(values), size=most)] for values in ends]
            chosen = iter([tuple(one[0] for one in ends), tuple(one[-1] for one in ends),
                           *zip(*draws, strict=True)])
        return [dict(zip(names, values, strict=True)) for values in chosen]

    def described(self) -> dict[str, Any]:
        """Return the space as plain values, for the journal."""
        return {"dimensions": {one.path: one.described() for one in self.dimensions},
                "constraints": [one.text for one in self.constraints]}


def make_space(subject: Subject, section: Mapping[str, Any], constraints: Sequence[str] = ()) -> Space:
    """Return the space of a section [optimize.space], or of the bounds of the strategies' parameters without one.

    Raises ConfigError for names that do not exist, values out of a parameter's bounds, and constraints that are
    misspelt or that no point satisfies.
    """
    specs = _flattened(section) if section else _from_bounds(subject)
    dimensions = []
    for path, spec in specs.items():
        target = subject.targets.get(path)
        if target is None:
            raise unknown_parameter(subject, path)
        dimensions.append(make_dimension(path, target, spec))
    same: dict[tuple[str, int, str], str] = {}
    for one in dimensions:
        target = subject.targets[one.path]
        other = same.setdefault((target.kind, target.place, target.name), one.path)
        if other != one.path:
            raise ConfigError(f"[optimize.space] {other} and {one.path} are the same parameter; keep one")
    if not dimensions:
        raise ConfigError("[optimize.space] is empty and no parameter of a strategy has bounds; name a parameter with "
                          "its values, such as fast = [5, 10, 20]")
    known = subject.targets
    space = Space(tuple(dimensions), tuple(parse_constraint(text, known) for text in constraints), subject.fixed)
    space.check()
    return space


def _flattened(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return specs by path: nested tables are a dotted name, tables of SPEC_KEYS a range."""
    specs: dict[str, Any] = {}

    def walk(prefix: str, table: Mapping[str, Any], depth: int) -> None:
        for key, value in table.items():
            path = f"{prefix}{key}"
            is_group = (depth == 0 and key in GROUPS) or (depth == 1 and prefix == "risk.")
            if isinstance(value, Mapping) and (is_group or (value and not set(value) & set(SPEC_KEYS)
                                                            and all(_is_spec(one) for one in value.values()))):
                walk(f"{path}.", value, depth + 1)
            else:
                specs[path] = value

    walk("", section, 0)
    return specs


def _is_spec(value: Any) -> bool:
    return isinstance(value, list | tuple | Mapping)


def _from_bounds(subject: Subject) -> dict[str, Any]:
    """Return a range for every parameter of a strategy that has bounds or choices."""
    found: dict[str, Any] = {}
    taken: set[tuple[int, str]] = set()
    for path, target in sorted(subject.targets.items(), key=lambda item: item[0].count(".")):
        key = target.place, target.name
        if target.kind == "strategy" and key not in taken and _has_bounds(target):
            taken.add(key)
            found[path] = {}
    order = list(subject.targets)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def _has_bounds(target: Target) -> bool:
    param = target.param
    return bool(param.choices) or param.type is bool or (param.low is not None and param.high is not None)


def make_dimension(path: str, target: Target, spec: Any) -> Dimension:
    """Return the dimension of one key of [optimize.space]: a list of values, or a table of low, high, step and log."""
    where = f"[optimize.space] {path}"
    if isinstance(spec, list | tuple):
        if not spec:
            raise ConfigError(f"{where} = []: no values; list at least one")
        values = tuple(target.param.validate(f"{where}: {target.owner}", target.name, value) for value in spec)
        if len(set(values)) < len(values):
            raise ConfigError(f"{where} = {list(spec)!r}: values come twice; keep each once")
        return Dimension(path, values)
    if not isinstance(spec, Mapping):
        raise ConfigError(f"{where} = {spec!r}: write a list of values, such as [5, 10, 20], or a range, such as "
                          "{ low = 20, high = 200, step = 10 }; a parameter that does not vary belongs under params")
    for key in spec:
        if key not in SPEC_KEYS:
            raise ConfigError(f"{where}: unknown key {key!r}{did_you_mean(str(key), SPEC_KEYS)}; a range has: "
                              f"{', '.join(SPEC_KEYS)}")
    if target.param.choices is not None or target.param.type is bool:
        if spec:
            raise ConfigError(f"{where}: {target.name} is no number; list its values")
        choices: tuple[Value, ...] = target.param.choices or (False, True)
        return Dimension(path, tuple(choices))
    return _range(path, where, target, spec)


def _range(path: str, where: str, target: Target, spec: Mapping[str, Any]) -> Dimension:
    """Return the range of a number, its missing ends taken from the parameter's bounds."""
    param = target.param
    if param.is_duration:
        raise ConfigError(f"{where}: {target.name} is a duration; list its values, such as [\"12h\", \"1d\"]")
    ends = spec.get("low", param.low), spec.get("high", param.high)
    if None in ends:
        raise ConfigError(f"{where}: {'low' if ends[0] is None else 'high'} is missing and the parameter has no "
                          "such bound")
    low, high = (float(param.validate(f"{where}: {target.owner}", target.name, end)) for end in ends)
    if low > high:
        raise ConfigError(f"{where}: low = {low:g} is above high = {high:g}; exchange them")
    is_whole = param.type is int
    step = spec.get("step", param.step if param.step is not None else 1 if is_whole else None)
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | float) or not math.isfinite(step)
                             or step <= 0 or (is_whole and step != int(step))):
        raise ConfigError(f"{where}: step = {step!r}; it must be {'a whole number' if is_whole else 'a number'} above "
                          "0")
    log = spec.get("log", False)
    if not isinstance(log, bool) or (log and low <= 0):
        raise ConfigError(f"{where}: log = {log!r} with low = {low:g}; log is true or false, and needs low > 0")
    return Dimension(path, None, low, high, step, log, is_whole)
