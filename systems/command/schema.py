"""What a `_target_` accepts, read from its source with `ast`: nothing is imported, so checking takes milliseconds."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from data import ranges

Value = object  # whatever YAML can hold: a scalar, a list or a table of values
Definition = ast.ClassDef | ast.FunctionDef

SCALARS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a text"),
    "Path": ((str,), "a path"),
}
SEQUENCES = {"list", "tuple", "Sequence", "Iterable"}
MAPPINGS = {"dict", "Mapping", "Tree"}


@dataclass(frozen=True)
class Parameter:
    annotation: ast.expr | None
    required: bool


@dataclass(frozen=True)
class Signature:
    parameters: dict[str, Parameter]
    takes_any: bool  # has **kwargs, or could not be read


@dataclass(frozen=True)
class Found:
    """A definition, and the module file it stands in (to follow its imports and its base classes)."""

    node: Definition
    file: Path


@functools.cache
def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _module_file(names: tuple[str, ...]) -> Path | None:
    """The source file of a module, found without importing its packages."""
    if not all(name.isidentifier() for name in names):
        return None
    try:
        spec = find_spec(names[0])
    except ValueError:  # of __main__
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:  # also of a folder without an __init__.py
        path = Path(next(iter(spec.submodule_search_locations)))
    elif spec.origin is not None:
        path = Path(spec.origin).with_suffix("")
    else:
        return None
    path = path.joinpath(*names[1:])
    candidates = [path.with_suffix(".py"), path / "__init__.py"]
    return next((file for file in candidates if file.is_file()), None)


def _in_file(name: str, file: Path, module: tuple[str, ...]) -> Found | None:
    """`name` as defined in a module, or as imported into it by `from … import name`."""
    for node in ast.walk(_parse(file)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return Found(node, file)
        if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) == name for a in node.names):
            original = next(a.name for a in node.names if (a.asname or a.name) == name)
            package = module if file.name == "__init__.py" else module[:-1]
            start = package[: len(package) - node.level + 1] if node.level else ()
            return find(".".join([*start, *(node.module.split(".") if node.module else []), original]))
    return None


def find(target: str) -> Found | None:
    """The class or function that a dotted `_target_` names; None if there is no such thing in the sources."""
    *module, name = target.split(".")
    if not module:
        return None
    file = _module_file(tuple(module))
    return _in_file(name, file, tuple(module)) if file else None


def is_class(found: Found) -> bool:
    return isinstance(found.node, ast.ClassDef)


def names_in_module(target: str) -> list[str]:
    """The public classes and functions beside a target that was not found: candidates for "did you mean"."""
    *module, _ = target.split(".")
    file = _module_file(tuple(module)) if module else None
    body = _parse(file).body if file else []
    defined = [node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return [".".join((*module, name)) for name in defined if not name.startswith("_")]


def signature(found: Found) -> Signature:
    """Arguments of a function, of a class's `__init__`, or the fields of a dataclass."""
    if isinstance(found.node, ast.FunctionDef):
        return _function_signature(found.node, skip=0)
    for node in found.node.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return _function_signature(node, skip=1)
    inherited = [signature(base) for base in _bases(found)]
    parameters = {name: p for one in inherited for name, p in one.parameters.items()}
    if any("dataclass" in ast.unparse(decorator) for decorator in found.node.decorator_list):
        for node in found.node.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                parameters[node.target.id] = Parameter(node.annotation, required=node.value is None)
    return Signature(parameters, any(one.takes_any for one in inherited))


def _bases(found: Found) -> list[Found]:
    assert isinstance(found.node, ast.ClassDef)
    names = [base.id for base in found.node.bases if isinstance(base, ast.Name)]
    bases = [_in_file(name, found.file, ()) for name in names if name != found.node.name]
    return [base for base in bases if base is not None]


def _function_signature(node: ast.FunctionDef, skip: int) -> Signature:
    positional = [*node.args.posonlyargs, *node.args.args]
    first_default = len(positional) - len(node.args.defaults)
    parameters = {a.arg: Parameter(a.annotation, i < first_default) for i, a in enumerate(positional) if i >= skip}
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        parameters[argument.arg] = Parameter(argument.annotation, default is None)
    return Signature(parameters, node.args.kwarg is not None)


def of_leaves(annotation: ast.expr | None) -> ast.expr | None:
    """`T` of `Tree[T]`; None for what is no tree."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="Tree"), slice=leaf):
            return leaf
    return None


def mismatch(annotation: ast.expr | None, value: Value) -> str | None:
    """What the annotation asks for, in words, if `value` is not that; None if it fits or cannot be judged."""
    match annotation:
        case ast.Constant(value=None):
            return None if value is None else "null"
        case ast.Constant(value=str(quoted)):
            return mismatch(ast.parse(quoted, mode="eval").body, value)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([left, right], value)
        case ast.Name(id=name):
            return _scalar(name, value)
        case ast.Subscript(value=ast.Name(id=name), slice=inner):
            return _subscript(name, inner.elts if isinstance(inner, ast.Tuple) else [inner], value)
    return None


def _either(options: list[ast.expr], value: Value) -> str | None:
    wanted = [mismatch(option, value) for option in options]
    return None if None in wanted else " or ".join(dict.fromkeys(w for w in wanted if w))


def _scalar(name: str, value: Value) -> str | None:
    limits: ranges.Range | None = None
    if hasattr(ranges, name):
        kind, limits = get_args(getattr(ranges, name))
        name = kind.__name__
    if name in SEQUENCES | MAPPINGS:
        return _subscript(name, [], value)
    if name not in SCALARS:
        return None
    types, words = SCALARS[name]
    fits = isinstance(value, types) and (name == "bool" or not isinstance(value, bool))
    if limits is None:
        return None if fits else words
    return None if fits and isinstance(value, int | float) and value in limits else limits.words


def _subscript(name: str, inner: list[ast.expr], value: Value) -> str | None:
    if name == "Literal":
        allowed = [option.value for option in inner if isinstance(option, ast.Constant)]
        return None if value in allowed else "one of " + ", ".join(map(str, allowed))
    if name == "Optional":
        return None if value is None else mismatch(inner[0], value)
    if name == "Union":
        return _either(inner, value)
    if name in MAPPINGS:
        return None if isinstance(value, dict) else "a table"
    if name not in SEQUENCES:
        return None
    if not isinstance(value, list):
        return "a list"
    variadic = len(inner) == 2 and isinstance(inner[1], ast.Constant) and inner[1].value is Ellipsis
    if name == "tuple" and inner and not variadic:
        if len(value) != len(inner):
            return f"a list of {len(inner)} values"
        wrong = [w for option, v in zip(inner, value, strict=True) if (w := mismatch(option, v))]
    else:
        wrong = [w for v in value if inner and (w := mismatch(inner[0], v))]
    return f"a list, each {wrong[0]}" if wrong else None
