"""Changes one expression of the rules at a time and lists the changes that no test notices.

A path is a module or a folder below engine/domain or engine/operations; without one both are taken. Changes are
made in a copy of the repository. What survives is a missing test, or says the same as before.
"""

from __future__ import annotations

import argparse
import ast
import copy
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.database import ensure_database_url

ROOT = Path(__file__).resolve().parent.parent
RULES = ("engine/domain", "engine/operations")
TESTS = ("unit", "operations", "store", "simulation")
LEFT_OUT = shutil.ignore_patterns(".venv", ".git", "data", "node_modules", "*_cache", "__pycache__")
TIMEOUT_SECONDS = 300
PAIRS: tuple[tuple[type, type], ...] = (
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
    (ast.And, ast.Or),
    (ast.Add, ast.Sub),
)
OPPOSITES = dict(PAIRS) | {second: first for first, second in PAIRS}
OTHER_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
WAYS_OUT = (ast.Return, ast.Continue, ast.Break, ast.Raise)


class Mutant(NamedTuple):
    """A module's text with one change, and what was changed."""

    path: Path
    line: int
    change: str
    text: str


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield a module once for each change of an expression, and of each condition of an early way out."""
    tree = ast.parse(path.read_text())
    for place, node in enumerate(ast.walk(tree)):
        for number, changed in enumerate(changes_of(node)):
            other = copy.deepcopy(tree)
            target = next(found for i, found in enumerate(ast.walk(other)) if i == place)
            _replace(other, target, changes_of(target)[number])
            text = ast.unparse(ast.fix_missing_locations(other))
            change = f"{_first_line(node)}  ->  {_first_line(changed)}"
            yield Mutant(path, getattr(node, "lineno", 0), change, text)


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).split("\n")[0]


def changes_of(node: ast.AST) -> list[ast.AST]:
    """Return what may stand in a node's place."""
    match node:
        case ast.Compare(left, ops, comparators):
            places = [i for i, op in enumerate(ops) if type(op) in OPPOSITES]
            return [ast.Compare(left, _with_opposite(ops, i), comparators) for i in places]
        case ast.BoolOp(op, values):
            return [ast.BoolOp(OPPOSITES[type(op)](), values)]
        case ast.BinOp(left, op, right) if type(op) in OPPOSITES:
            return [ast.BinOp(left, OPPOSITES[type(op)](), right)]
        case ast.UnaryOp(ast.Not(), operand):
            return [operand]
        case ast.Constant(bool(value)):
            return [ast.Constant(not value)]
        case ast.Constant(int(number) | float(number)):
            return [ast.Constant(number + 1)]
        case ast.Name(name, ast.Load()) if name in OTHER_NAMES:
            return [ast.Name(OTHER_NAMES[name], ast.Load())]
        case ast.If(_, body, otherwise) if isinstance(body[-1], WAYS_OUT):
            return [ast.If(ast.Constant(False), body, otherwise)]
    return []


def _with_opposite(ops: list[ast.cmpop], place: int) -> list[ast.cmpop]:
    return [OPPOSITES[type(op)]() if i == place else op for i, op in enumerate(ops)]


def _replace(tree: ast.AST, target: ast.AST, changed: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, changed)
            elif isinstance(value, list) and any(item is target for item in value):
                setattr(parent, name, [changed if item is target else item for item in value])


@cache
def _importers() -> dict[str, list[Path]]:
    """Return by its dotted name the files that import a module."""
    found: dict[str, list[Path]] = defaultdict(list)
    folders = [*RULES, "engine/store", *(f"tests/{name}" for name in TESTS)]
    for path in sorted(file for name in folders for file in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                for name in names:
                    found[name].append(path)
    return found


def tests_for(path: Path, farthest: int) -> list[str]:
    """Return the test files at most so many imports away from a module; the nearest first."""
    reached, seen = [path], {path}
    for _ in range(farthest):
        for module in list(reached):
            dotted = ".".join(module.relative_to(ROOT).with_suffix("").parts)
            for importer in _importers().get(dotted, ()):
                if importer not in seen:
                    seen.add(importer)
                    reached.append(importer)
    return [str(file.relative_to(ROOT)) for file in reached if file.name.startswith("test_")]


def failure_of(mutant: Mutant, copied: Path, tests: list[str]) -> str | None:
    """Run the tests over a change; return what they say when one fails. One that hangs fails too."""
    changed = copied / mutant.path.relative_to(ROOT)
    before = changed.read_text()
    changed.write_text(mutant.text)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "--reuse-db", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=copied,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return "it hangs"
    finally:
        changed.write_text(before)
    return done.stdout if done.returncode else None


def survivors_of(
    path: Path, copied: Path, *, sample: int | None, farthest: int
) -> Iterator[Mutant]:
    """Yield the changes of a module that its tests do not notice, or of so many of them by chance.

    Raises SystemExit if the tests fail without a change.
    """
    mutants, tests = list(mutants_of(path)), tests_for(path, farthest)
    if sample is not None and sample < len(mutants):
        mutants = random.Random(0).sample(mutants, sample)
    print(
        f"{path.relative_to(ROOT)}: {len(mutants)} changes, {len(tests)} files of tests", flush=True
    )
    if mutants and (failure := failure_of(Mutant(path, 0, "", path.read_text()), copied, tests)):
        raise SystemExit(f"the tests fail without a change\n{failure}")
    for mutant in sorted(mutants, key=lambda mutant: mutant.line):
        if failure_of(mutant, copied, tests) is None:
            yield mutant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.mutation")
    parser.add_argument("paths", nargs="*", default=RULES)
    parser.add_argument("--sample", type=int, help="so many changes of each module, by chance")
    parser.add_argument("--farthest", type=int, default=4, help="tests within so many imports")
    given = parser.parse_args()
    ensure_database_url()
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "copy"
        shutil.copytree(ROOT, copied, ignore=LEFT_OUT)
        for path in (ROOT / name for name in given.paths):
            for module in [path] if path.is_file() else sorted(path.rglob("*.py")):
                for mutant in survivors_of(
                    module, copied, sample=given.sample, farthest=given.farthest
                ):
                    count += 1
                    print(
                        f"  {module.relative_to(ROOT)}:{mutant.line}  {mutant.change}", flush=True
                    )
    print(f"{count} survived")


if __name__ == "__main__":
    main()
