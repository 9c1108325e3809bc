"""Check the names in an author's function on its source, before anything is compiled.

A misspelt `now.ind.fst` or `buy(now, stpo=...)` would otherwise be pages of a compiler's messages.  The record layouts
say what exists; simple aliases (`p = now.p`, `for fill in now.fills`) are followed, and so are helpers that a record is
handed to.  What cannot be followed is left to the compiler; a function without source is not checked.
"""

from __future__ import annotations

import ast
import builtins
import enum
import functools
import inspect
import linecache
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from framework.boundary.adapter import RECORD, RECORDS, adapter_key, plain_function
from framework.errors import ConfigError, did_you_mean

WRITABLE = ("state", "shared")
"""Parts of a record that a plug-in may write; all else are copies."""

INTERNAL = frozenset({"intents", "intent_count", "intents_refused", "result", "allowed", "refused", "value", "limit",
                      "nearness", "alarm_below", "alarm_above", "alarm_margin", "flattens", "partial_distance",
                      "partial_share"})
"""Fields that the verbs write; messages do not list them."""

DECLARED = {"ind": "indicators", "prev": "indicators", "p": "parameters", "tag": "tags", "state": "state",
            "shared": "shared"}
"""Parts that exist only when the plug-in declares something."""

VERBS = ("framework.strategy", "framework.risk")
"""Modules whose functions write records on an author's behalf: their calls are checked, their bodies are not."""

HOLDERS = (types.ModuleType, type, types.FunctionType)
"""What data can be kept on as an attribute."""

MISSING = object()

CONSTANTS_MAX = 64
"""A tuple of more elements than this is data, not a table of constants."""

EXACT_NUMPY = frozenset({"abs", "absolute", "ceil", "copysign", "fabs", "float64", "floor", "fmax", "fmin", "int64",
                         "isfinite", "isinf", "isnan", "maximum", "minimum", "sign", "sqrt", "trunc"})
"""Functions of numpy that give the same bits compiled and interpreted."""

INEXACT_METHODS = frozenset({"cumprod", "cumsum", "dot", "mean", "prod", "std", "sum", "var"})
"""Methods of arrays that add up in another order when compiled."""


_PASSED: set[str] = set()
"""The content of functions that were checked and found right."""


@attrs.frozen
class Shape:
    """What is known of an expression: a record, or an array of records.

    path: how messages call it.  is_written: whether the plug-in may write its fields.
    """

    path: str
    dtype: np.dtype
    many: bool = False
    is_written: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The fields of the record."""
        return self.dtype.names or ()

    def field(self, name: str) -> Shape | None:
        """Return the shape of a field, None when it is a number or an array of numbers."""
        part = self.dtype.fields[name][0]  # type: ignore[index]
        base, many = (part.subdtype[0], True) if part.subdtype else (part, False)
        written = self.is_written or name in WRITABLE
        return Shape(f"{self.path}.{name}", base, many, written) if base.names else None


@attrs.frozen
class Source:
    """The syntax tree of one function and the file that it stands in."""

    file: str
    tree: ast.FunctionDef


def check_names(function: Callable[..., Any], dtype: np.dtype, form: str = RECORD, owner: str = "") -> None:
    """Raise ConfigError for the first name in `function` that does not exist, with file, line and what does.

    dtype: the record that the function is called with, or with an array of, when form is RECORDS.  owner: what messages
    call the function, such as ``ema_cross.decide``.  Names that are checked: fields of records, keywords of calls to
    Python functions, globals, attributes of modules.
    """
    plain = plain_function(function)
    key = adapter_key(plain, dtype, form) if isinstance(plain, types.FunctionType) else None
    if key in _PASSED:
        return
    source = source_of(plain)
    if source is None or not source.tree.args.args:
        return
    first = source.tree.args.args[0].arg
    shape = Shape(f"{first}[i]", dtype, many=True) if form == RECORDS else Shape(first, dtype)
    _check(plain, source, {first: shape}, shape, owner or plain.__qualname__, set())
    if key is not None:
        _PASSED.add(key)


def source_of(function: Callable[..., Any]) -> Source | None:
    """Return the syntax tree of a plain function, None when its source is not there or is not the one that runs."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    tree = _parsed("".join(linecache.getlines(code.co_filename, function.__globals__)))
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if line == code.co_firstlineno and _is_source_of(node, code):
                return Source(code.co_filename, node)
    return None


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text) if text else None
    except SyntaxError:
        return None


def _is_source_of(node: ast.FunctionDef, code: types.CodeType) -> bool:
    """Return whether a tree can be the source of a code object: a file may have been edited since its import."""
    known = names_of_code(code)
    body = [child for statement in node.body for child in ast.walk(statement)]
    return {child.attr for child in body if isinstance(child, ast.Attribute)} <= known


def names_of_code(code: types.CodeType) -> set[str]:
    """Return every name of a code object and of the functions inside it."""
    inner = [names_of_code(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*inner)


def value_of(function: Callable[..., Any], name: str) -> Any:
    """Return what a name that is not local means to a function; MISSING when it means nothing."""
    code = function.__code__
    if name in code.co_freevars:
        try:
            return (function.__closure__ or ())[code.co_freevars.index(name)].cell_contents
        except ValueError:
            return None
    return function.__globals__.get(name, getattr(builtins, name, MISSING))


def _check(function: Callable[..., Any], source: Source, shapes: dict[str, Shape], root: Shape, owner: str,
           seen: set[Any]) -> None:
    """Check one function whose parameters have these shapes, then the helpers that it hands records to."""
    key = (function.__code__, tuple((name, shape.dtype, shape.many) for name, shape in shapes.items()))
    if key in seen:
        return
    seen.add(key)
    scope = _Scope(function, source, shapes, root, owner)
    nodes = [node for statement in source.tree.body for node in ast.walk(statement) if isinstance(node, ast.expr)]
    for node in sorted(nodes, key=lambda n: (n.lineno, n.col_offset, n.end_lineno or 0, n.end_col_offset or 0)):
        scope.check(node)
    for helper, handed in scope.helpers:
        found = source_of(helper)
        if found is not None:
            _check(helper, found, handed, root, owner, seen)


class _Scope:
    """One function: its names, what they stand for, and the check of every node."""

    def __init__(self, function: Callable[..., Any], source: Source, shapes: dict[str, Shape], root: Shape,
                 owner: str) -> None:
        self.function, self.source, self.shapes, self.root, self.owner = function, source, shapes, root, owner
        self.bindings: dict[str, list[ast.expr | tuple[str, ast.expr] | None]] = {}
        arguments = source.tree.args
        self.parameters = {a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
        self.parameters |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}
        self.resolving: set[str] = set()
        self.helpers: list[tuple[Callable[..., Any], dict[str, Shape]]] = []
        for statement in source.tree.body:
            for node in ast.walk(statement):
                self._bind(node)

    # --- what names stand for ---

    def _bind(self, node: ast.AST) -> None:
        """Remember what a node gives names to."""
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind_target(target, value)
            case ast.AnnAssign(target=target, value=value):
                self._bind_target(target, value)
            case ast.NamedExpr(target=target, value=value):
                self._bind_target(target, value)
            case ast.For(target=target, iter=iterated) | ast.comprehension(target=target, iter=iterated):
                self._bind_each(target, iterated)
            case ast.AugAssign(target=ast.Name(id=name)) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                self.bindings.setdefault(name, []).append(None)
            case ast.ExceptHandler(name=str(name)):
                self.bindings.setdefault(name, []).append(None)
            case ast.alias(name=name, asname=asname):
                self.bindings.setdefault(asname or name.partition(".")[0], []).append(None)
            case ast.Name(id=name, ctx=ast.Store()) if name not in self.bindings:
                self.bindings[name] = []

    def _bind_target(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self.bindings.setdefault(target.id, []).append(value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
            for i, part in enumerate(target.elts):
                self._bind_target(part, parts[i] if len(parts) == len(target.elts) else None)

    def _bind_each(self, target: ast.expr, iterated: ast.expr) -> None:
        """Bind the target of a loop: over an array of records it is one of them."""
        match target, iterated:
            case ast.Tuple(elts=[ast.Name(id=number), ast.Name(id=name)]), ast.Call(
                    func=ast.Name(id="enumerate"), args=[inner]):
                self.bindings.setdefault(number, []).append(None)
                self.bindings.setdefault(name, []).append(("each", inner))
            case ast.Name(id=name), _:
                self.bindings.setdefault(name, []).append(("each", iterated))
            case _:
                self._bind_target(target, None)

    def shape(self, node: ast.expr) -> Shape | None:
        """Return the shape of an expression, None when it is no record or cannot be followed."""
        match node:
            case ast.Name(id=name):
                return self._shape_of_name(name)
            case ast.NamedExpr(value=value):
                return self.shape(value)
            case ast.Attribute(value=value, attr=attr):
                base = self.shape(value)
                return base.field(attr) if base is not None and not base.many and attr in base.names else None
            case ast.Subscript(value=value, slice=index):
                base = self.shape(value)
                if base is None or not base.many or isinstance(index, ast.Slice):
                    return base if base is not None and base.many else None
                return attrs.evolve(base, many=False, path=f"{base.path.removesuffix('[i]')}[{ast.unparse(index)}]")
        return None

    def _shape_of_name(self, name: str) -> Shape | None:
        if name in self.resolving:
            return None
        bindings = self.bindings.get(name)
        if bindings is None:
            return self.shapes.get(name)
        if name in self.parameters or not bindings:
            return None
        self.resolving.add(name)
        found: list[Shape | None] = []
        for bound in bindings:
            if isinstance(bound, tuple):
                each = self.shape(bound[1])
                found.append(attrs.evolve(each, many=False) if each is not None and each.many else None)
            else:
                found.append(self.shape(bound) if bound is not None else None)
        self.resolving.discard(name)
        first = found[0]
        same = all(one is not None and first is not None and (one.dtype, one.many) == (first.dtype, first.many)
                   for one in found)
        return first if same else None

    def value(self, node: ast.expr) -> Any:
        """Return what an expression of global names and attributes means now; MISSING when it is something else."""
        match node:
            case ast.Name(id=name) if name not in self.bindings and name not in self.parameters:
                return value_of(self.function, name)
            case ast.Attribute(value=inner, attr=attr):
                owner = self.value(inner)
                if isinstance(owner, (types.ModuleType, enum.EnumType)):
                    return getattr(owner, attr, MISSING)
        return MISSING

    # --- the checks ---

    def check(self, node: ast.AST) -> None:
        """Raise ConfigError when a node names something that does not exist."""
        match node:
            case ast.Attribute():
                self._check_attribute(node)
            case ast.Name(id=name, ctx=ast.Load()):
                self._check_name(node, name)
            case ast.Call():
                self._check_call(node)
            case ast.Subscript(value=value, ctx=ast.Store()):
                self._check_item_store(node, value)

    def _fail(self, node: ast.AST, message: str) -> None:
        line = getattr(node, "lineno", 0)
        raise ConfigError(f"{self.source.file}:{line}: {self.owner}: {message}")

    def _check_attribute(self, node: ast.Attribute) -> None:
        base = self.shape(node.value)
        if base is None:
            owner = self.value(node.value)
            if isinstance(owner, (types.ModuleType, enum.EnumType)) and getattr(owner, node.attr, MISSING) is MISSING:
                shown = ast.unparse(node.value)
                self._fail(node, f"{shown} has no {node.attr!r}{did_you_mean(node.attr, dir(owner))}")
            return
        if base.many:
            self._fail(node, f"{base.path.removesuffix('[i]')} is an array; read one element, as in "
                             f"{base.path.removesuffix('[i]')}[i].{node.attr}")
        if node.attr not in base.names:
            self._fail(node, self._no_field(base, node.attr))
        if isinstance(node.ctx, ast.Store) and not base.is_written:
            self._fail(node, self._not_written(f"{base.path}.{node.attr}"))

    def _no_field(self, base: Shape, name: str) -> str:
        """Say that a record has no such field, what is near and what there is."""
        what = f"{base.path} has no {name!r}"
        if base.path == self.root.path and name in DECLARED:
            return f"{what}: {self.owner.partition('.')[0]} declares no {DECLARED[name]}"
        known = [field for field in base.names if field not in INTERNAL]
        near = did_you_mean(name, known)
        elsewhere = [shape.path for field in self.root.names if field not in INTERNAL
                     and (shape := self.root.field(field)) is not None and name in shape.names]
        if elsewhere and not near:
            near = f"; did you mean {elsewhere[0]}.{name}?"
        return f"{what}{near}{'' if near else ';'} it has: {', '.join(known)}"

    def _not_written(self, path: str) -> str:
        parts = [f"{self.root.path}.{name}" for name in WRITABLE if name in self.root.names]
        rule = f"only {' and '.join(parts)} can be written" if parts else "declare a state to keep something"
        return f"{path} is written; what a plug-in is shown are copies: {rule}"

    def _check_item_store(self, node: ast.Subscript, value: ast.expr) -> None:
        if isinstance(value, ast.Attribute):
            base = self.shape(value.value)
            if base is not None and not (base.is_written or value.attr in WRITABLE):
                self._fail(node, self._not_written(ast.unparse(node)))

    def _check_name(self, node: ast.AST, name: str) -> None:
        if name in self.parameters or name in self.bindings or value_of(self.function, name) is not MISSING:
            return
        from framework import strategy

        known = {*self.parameters, *self.bindings, *self.function.__globals__, *strategy.__all__}
        near = did_you_mean(name, sorted(known))
        where = " (import it from framework)" if name in strategy.__all__ else ""
        self._fail(node, f"unknown name {name!r}{where}{near}")

    def _check_call(self, node: ast.Call) -> None:
        callee = self.value(node.func)
        helper = plain_function(callee) if callee is not MISSING else None
        starred = any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)
        if not isinstance(helper, types.FunctionType) or starred:
            return
        signature = inspect.signature(helper)
        known = list(signature.parameters)
        shown = ast.unparse(node.func)
        has_rest = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        for keyword in node.keywords:
            if keyword.arg not in known and not has_rest:
                near = did_you_mean(str(keyword.arg), known)
                self._fail(keyword.value, f"{shown}() has no argument {keyword.arg!r}{near}{'' if near else ';'} "
                                          f"it takes: {', '.join(known)}")
        try:
            bound = signature.bind(*node.args, **{str(k.arg): k.value for k in node.keywords})
        except TypeError as error:
            self._fail(node, f"{shown}(): {error}; it takes: {', '.join(known)}")
            return
        handed = {name: shape for name, argument in bound.arguments.items()
                  if isinstance(argument, ast.expr) and (shape := self.shape(argument)) is not None}
        if handed and helper.__module__ not in VERBS:
            self.helpers.append((helper, {name: attrs.evolve(shape, path=name) for name, shape in handed.items()}))


def reached(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Yield a function and every Python function that it reaches through globals and closures, each once.

    The framework's own verbs are left out.
    """
    waiting: list[Any] = [plain_function(function)]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen or not isinstance(current, types.FunctionType):
            continue
        seen.add(id(current))
        yield current
        for _, value in outside(current):
            helper = plain_function(value)
            if isinstance(helper, types.FunctionType) and helper.__module__ not in VERBS:
                waiting.append(helper)


def outside(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a function reads that is neither an argument nor local: (name, value).

    Attributes of modules, classes and functions are followed, as in `settings.FACTOR`; defaults count as read.
    """
    import dis

    plain: Any = function
    codes = [plain.__code__]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        name, value = "", MISSING
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF"):
                if value is not MISSING:
                    yield name, value
                name = str(step.argval)
                is_cell = "DEREF" in step.opname
                value = MISSING if is_cell and name not in plain.__code__.co_freevars else value_of(plain, name)
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(value, HOLDERS):
                name, value = f"{name}.{step.argval}", getattr(value, str(step.argval), MISSING)
            elif value is not MISSING:
                yield name, value
                value = MISSING
        if value is not MISSING:
            yield name, value
    names = plain.__code__.co_varnames[: plain.__code__.co_argcount]
    defaults: Sequence[Any] = plain.__defaults__ or ()
    yield from zip(names[len(names) - len(defaults):], defaults, strict=True)
    yield from (plain.__kwdefaults__ or {}).items()


def captured(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Return the data that a function, or a helper of it, reads past its arguments: (name, value), each once.

    Data are arrays, lists, dicts, sets, other objects that can change, and tuples of more than CONSTANTS_MAX elements.
    """
    found: dict[str, Any] = {}
    for current in reached(function):
        for name, value in outside(current):
            if _is_data(value):
                found.setdefault(name, value)
    return list(found.items())


def _is_data(value: Any) -> bool:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic, type, enum.Enum)):
        return False
    if isinstance(value, tuple):
        return len(value) > CONSTANTS_MAX or any(_is_data(part) for part in value)
    if isinstance(value, np.random.Generator):
        return True
    return not (callable(value) or isinstance(value, types.ModuleType))


def doubtful(function: Callable[..., Any]) -> list[str]:
    """Return what in a function, or a helper of it, may differ between compiled and interpreted, each with its line.

    That are powers, sums and numpy's functions, whose last bit depends on who computes them; `round` to digits; and
    data read past the arguments, which compiled code holds as it was when it was compiled.
    """
    found = [f"{name} ({type(value).__name__}) is read past the arguments: compiled code keeps it as it was when it "
             "was compiled" for name, value in captured(function)]
    for current in reached(function):
        source = source_of(current)
        if source is None:
            continue
        for node in sorted((n for n in ast.walk(source.tree) if isinstance(n, ast.expr)), key=lambda n: n.lineno):
            why = _why_doubtful(node, _Scope(current, source, {}, Shape("", np.dtype([])), ""))
            if why:
                found.append(f"{source.file}:{node.lineno}: {ast.unparse(node)}: {why}")
    return list(dict.fromkeys(found))


def _why_doubtful(node: ast.expr, scope: _Scope) -> str:
    """Return why one expression may differ in its last bit, "" when it does not."""
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            is_constant = isinstance(left, ast.Constant) and isinstance(right, ast.Constant)
            return "" if is_constant else "a power; multiply, or use math.pow or math.sqrt"
        case ast.BinOp(op=ast.MatMult()):
            return "a product of matrices; add up in a loop"
        case ast.Call(func=ast.Name(id="sum")) if scope.value(node.func) is sum:
            return "a sum; add up in a loop"
        case ast.Call(func=ast.Name(id="round"), args=[_, _]) if scope.value(node.func) is round:
            return "rounding to digits; use math.floor(x * 10.0 + 0.5) / 10.0 or the like"
        case ast.Call(func=ast.Attribute(value=value, attr=name)):
            owner = scope.value(value)
            module = owner.__name__ if isinstance(owner, types.ModuleType) else ""
            if module.partition(".")[0] == "numpy":
                return "" if name in EXACT_NUMPY else "a function of numpy; use math, or a loop"
            if module in ("random", "time"):
                return "not a function of what is known at the bar"
            if owner is MISSING and name in INEXACT_METHODS:
                return "a reduction of an array; add up in a loop"
    return ""
