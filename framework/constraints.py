"""Constraints between parameters: a condition such as ``fast < slow``, read as an expression and never run as code.

The text is parsed into a tree of Python's grammar; only comparisons, `and`, `or`, `not`, + - * / // %, numbers, texts,
`abs`, `min`, `max` and names of parameters are taken, and turned into functions of the parameters' values.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from framework.errors import ConfigError, did_you_mean

Evaluator = Callable[[Mapping[str, Any]], Any]

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max}
TAKEN = "comparisons, and, or, not, + - * / // %, abs, min, max, numbers, texts and names of parameters"
LONGEST = 500


@attrs.frozen
class Constraint:
    """A condition between parameters.

    text: as written. names: the parameters it reads. function: their values -> whether it holds.
    """

    text: str
    names: frozenset[str]
    function: Evaluator = attrs.field(eq=False, repr=False)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether the values satisfy it; ConfigError when it cannot be evaluated, as for a division by zero."""
        try:
            return bool(self.function(values))
        except (ArithmeticError, TypeError) as error:
            shown = ", ".join(f"{name} = {values[name]!r}" for name in sorted(self.names))
            raise ConfigError(f"constraint {self.text!r} cannot be evaluated with {shown}: {error}") from error


def parse_constraint(text: str, known: Iterable[str]) -> Constraint:
    """Return the constraint of a text over the parameters `known`; ConfigError says what is not taken.

    >>> parse_constraint("fast < slow", ["fast", "slow"]).holds({"fast": 5, "slow": 20})
    True
    """
    if len(text) > LONGEST:
        raise ConfigError(f"constraint {text[:40]!r}... has {len(text)} characters, at most {LONGEST} are taken")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"constraint {text!r} is not an expression ({error}); write a condition such as "
                          "'fast < slow'") from error
    reader = _Reader(text, frozenset(known))
    if not isinstance(tree, ast.Compare | ast.BoolOp) and not (
            isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not)):
        raise ConfigError(f"constraint {text!r} is not a condition; compare something, as in 'fast < slow'")
    function = reader.read(tree)
    if not reader.names:
        raise ConfigError(f"constraint {text!r} names no parameter; there are: {', '.join(sorted(reader.known))}")
    return Constraint(text, frozenset(reader.names), function)


class _Reader:
    """Turns a syntax tree into functions, node by node."""

    def __init__(self, text: str, known: frozenset[str]) -> None:
        self.text, self.known = text, known
        self.names: set[str] = set()

    def read(self, node: ast.expr) -> Evaluator:
        """Return the function of one node; ConfigError for anything that is not taken."""
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float | str):
                return lambda values: value
            case ast.Name() | ast.Attribute():
                return self._name(node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.read(operand)
                return lambda values: not inner(values)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.read(operand)
                return lambda values: -inner(values)
            case ast.BoolOp(op=op, values=parts):
                functions = [self.read(part) for part in parts]
                if isinstance(op, ast.And):
                    return lambda values: all(one(values) for one in functions)
                return lambda values: any(one(values) for one in functions)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                combine, first, second = ARITHMETIC[type(op)], self.read(left), self.read(right)
                return lambda values: combine(first(values), second(values))
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARISONS for op in ops):
                return self._comparison([self.read(part) for part in (left, *others)],
                                        [COMPARISONS[type(op)] for op in ops])
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS and arguments:
                return self._call(FUNCTIONS[name], [self.read(part) for part in arguments])
        shown = ast.get_source_segment(self.text.strip(), node) or type(node).__name__
        raise ConfigError(f"constraint {self.text!r}: {shown!r} is not taken; a constraint is made of {TAKEN}")

    def _name(self, node: ast.expr) -> Evaluator:
        name = ast.unparse(node)
        if name not in self.known:
            near = did_you_mean(name, self.known)
            raise ConfigError(f"constraint {self.text!r}: unknown parameter {name!r}{near}; there are: "
                              f"{', '.join(sorted(self.known))}")
        self.names.add(name)
        return lambda values: values[name]

    @staticmethod
    def _call(function: Callable[..., Any], arguments: list[Evaluator]) -> Evaluator:
        return lambda values: function(*(argument(values) for argument in arguments))

    @staticmethod
    def _comparison(parts: list[Evaluator], tests: list[Callable[[Any, Any], bool]]) -> Evaluator:
        def compare(values: Mapping[str, Any]) -> bool:
            found = [part(values) for part in parts]
            return all(test(found[i], found[i + 1]) for i, test in enumerate(tests))

        return compare
