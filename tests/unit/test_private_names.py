"""A name with a leading underscore is used by the file that defines it, and by no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "engine"
ALLOWED = {
    "engine/api/not_offered.py: request._request": "REST framework's only way to what it wraps",
    "engine/api/run_export.py: request._request": "the same",
    "engine/api/views.py: request._request": "the same",
    "engine/domain/cel/answers.py: part._ids": "of another object of the same class, which it makes",
    "engine/management/supervision.py: os._exit": "Python's documented way to end a process at once",
    "engine/models/wide_columns.py: model._meta": "Django's documented interface to a model's fields",
    "engine/models/wide_columns.py: rows.model._meta": "the same",
    "engine/rpc/fronts/native.py: context._initial_sent": "pygrpc-native's, which it corrects",
    "engine/rpc/fronts/native.py: self._encode": "the same",
    "engine/rpc/fronts/native.py: self._stopping": "the same",
}
"""What is read although it looks private, and why. Whoever does without one deletes its entry."""
NAMED_TUPLE = {"_replace", "_make", "_asdict", "_fields"}
"""A named tuple's public methods, which begin so that no field can have their names."""


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLE


def _defined(tree: ast.AST) -> set[str]:
    """Return every name that the module defines or assigns, as a name or as an attribute of its own."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _faults(source: str) -> Iterator[str]:
    """Yield private names that are read off others, inherited from another file, or imported."""
    tree = ast.parse(source)
    defined = _defined(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"import {alias.name}" for alias in node.names if _is_private(alias.name))
        elif isinstance(node, ast.Attribute) and _is_private(node.attr):
            is_own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            if not (is_own and node.attr in defined):
                yield ast.unparse(node)


def test_private_names_stay_in_the_file_that_defines_them() -> None:
    faults = {
        f"{path.relative_to(ENGINE.parent)}: {fault}"
        for path in sorted(ENGINE.rglob("*.py"))
        if not {"pb", "migrations"} & set(path.parts)
        for fault in _faults(path.read_text())
    }
    assert faults == set(ALLOWED)


@pytest.mark.parametrize(
    "planted",
    [
        "other._name",
        "self.part._name = 1",
        "self._inherited()",
        "super()._name()",
        "from engine.domain import _name",
    ],
)
def test_what_is_private_to_another_file_is_found(planted: str) -> None:
    assert len(list(_faults(planted))) == 1


def test_what_is_a_modules_own_is_not_found() -> None:
    own = "class A:\n def _f(self):\n  self._a = self._f()\n  return row._replace(b=1).__class__"
    assert list(_faults(own)) == []
