"""A configuration against the signatures of the classes and functions that it names; without torch."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable
from typing import cast

from data.errors import UserError
from systems.command import schema
from systems.command.schema import Value

KEYWORDS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}
LINK = re.compile(r"\$\{([\w.]+)\}")


def nearest(word: str, options: list[str]) -> str:
    near = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    listed = ", ".join(sorted(set(options))) or "none"
    return f"; did you mean {near[0]}?" if near else f"; there are: {listed}."


class Walk:
    """Goes through a config tree and knows, across `${links}`, where each value was written.

    example: by the path of a value, what to say after what it must be.
    """

    def __init__(self, raw: dict[str, Value], example: Callable[[str], str] = lambda path: "") -> None:
        self.raw, self.example = raw, example
        self.used: set[str] = set()  # paths of all values that the checked nodes come to

    def check(self, value: Value, raw: Value, path: str) -> None:
        raw, path = self._origin(raw, path)
        if isinstance(value, dict):
            if "_target_" in value:
                self._check_call(value, raw, path)
            for key, child in value.items():
                self.check(child, raw[key] if isinstance(raw, dict) else child, f"{path}.{key}")
        elif isinstance(value, list):
            for index, child in enumerate(value):
                self.check(child, raw[index] if isinstance(raw, list) else child, f"{path}.{index}")
        else:
            self.used.add(path)

    def origin(self, path: str) -> str:
        """Where the value of a path is written, which may not go through a link any more."""
        node, found = cast(Value, self.raw), ""
        for part in path.split("."):
            node, found = self._origin(node, found)
            node = node.get(part) if isinstance(node, dict) else None
            found = f"{found}.{part}" if found else part
        return found

    def _origin(self, raw: Value, path: str) -> tuple[Value, str]:
        while isinstance(raw, str) and (link := LINK.fullmatch(raw)):
            path, raw = link[1], self.raw
            for part in path.split("."):
                raw, _ = self._origin(raw, "")
                assert isinstance(raw, dict), f"${{{path}}} goes through a value"
                raw = raw[part]
        return raw, path

    def _check_call(self, value: dict[str, Value], raw: Value, path: str) -> None:
        target = str(value["_target_"])
        found = schema.find(target)
        if found is None:
            hint = nearest(target, schema.names_in_module(target))
            raise UserError(f"{path}._target_={target}: there is no such class or function{hint}")
        signature = schema.signature(found)
        for key, child in value.items():
            if key in KEYWORDS:
                continue
            parameter = signature.parameters.get(key)
            if parameter is None and not signature.takes_any:
                raise UserError(f"{path}.{key}: {target} takes no {key}{nearest(str(key), list(signature.parameters))}")
            if parameter is not None and not (isinstance(child, dict) and "_target_" in child):
                written = raw[key] if isinstance(raw, dict) else child
                self._check_type(parameter.annotation, child, written, f"{path}.{key}")
        required = [key for key, parameter in signature.parameters.items() if parameter.required]
        lacking = [key for key in required if key not in value]
        if lacking and not value.get("_partial_") and not value.get("_args_"):
            raise UserError(f"{path}.{lacking[0]} is missing: {target} needs it; say +{path}.{lacking[0]}=VALUE")

    def _check_type(self, annotation: ast.expr | None, value: Value, raw: Value, path: str) -> None:
        if (leaf := schema.of_leaves(annotation)) and isinstance(value, dict):
            for key, child in value.items():
                inner = annotation if isinstance(child, dict) else leaf
                if not (isinstance(child, dict) and "_target_" in child):
                    self._check_type(inner, child, raw[key] if isinstance(raw, dict) else child, f"{path}.{key}")
            return
        wanted = schema.mismatch(annotation, value)
        if wanted:
            _, origin = self._origin(raw, path)
            raise UserError(f"{origin}={value} must be {wanted}{self.example(origin)}")
