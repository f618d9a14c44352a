"""The rules of the house that no linter knows: sizes, places, and what the pure rules may not ask."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")}
OUTSIDE_THE_CONTRACTS = {"tests", "benchmarks", "proto"}
GENERATED = ("engine/pb/", "engine/migrations/", "tenants/migrations/", "webhooks/migrations/")

MODULE_LINES, FUNCTION_LINES, TEMPLATE_COLUMNS = 400, 50, 120

CLOCK_AND_CHANCE = {"now", "utcnow", "today", "uuid1", "uuid4", "uuid7"}


@cache
def modules() -> dict[str, str]:
    """The text of each module that people write, by its path."""
    found = chain(*(ROOT.glob(f"{name}/**/*.py") for name in sorted(PACKAGES | {"examples"})))
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in found}
    return {path: text for path, text in texts.items() if not path.startswith(GENERATED)}


def functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, int]]:
    """Name and lines of every function, those in classes and in other functions too."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from functions(node, owner)
            continue
        if not isinstance(node, ast.ClassDef):
            yield owner + node.name, (node.end_lineno or 0) - node.lineno + 1
        yield from functions(node, f"{owner}{node.name}.")


def test_modules_stay_under_four_hundred_lines() -> None:
    lines = {path: len(text.splitlines()) for path, text in modules().items()}
    assert {path: count for path, count in lines.items() if count > MODULE_LINES} == {}


def test_functions_stay_under_fifty_lines() -> None:
    lines = {
        f"{path} {name}": count
        for path, text in modules().items()
        for name, count in functions(ast.parse(text))
    }
    assert len(lines) > 1_000
    assert {name: n for name, n in lines.items() if n > FUNCTION_LINES} == {}


def test_templates_stay_under_a_hundred_and_twenty_columns() -> None:
    templates = sorted((ROOT / "templates").rglob("*.html"))
    assert templates
    assert [
        f"{path.relative_to(ROOT)}:{number}"
        for path in templates
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > TEMPLATE_COLUMNS
    ] == []


def test_every_package_stands_under_the_import_contracts() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    roots = settings["tool"]["importlinter"]["root_packages"]
    assert set(roots) | OUTSIDE_THE_CONTRACTS == PACKAGES


def test_the_pure_rules_ask_neither_the_clock_nor_chance() -> None:
    """The import contracts forbid modules; `datetime` and `uuid` are needed for their types."""
    assert [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for path, text in modules().items()
        if path.startswith("engine/domain/")
        for node in ast.walk(ast.parse(text))
        if (isinstance(node, ast.Call) and name_of(node.func) in CLOCK_AND_CHANCE)
        or (isinstance(node, ast.ImportFrom) and imported(node) & CLOCK_AND_CHANCE)
    ] == []


def name_of(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else ""


def imported(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}
