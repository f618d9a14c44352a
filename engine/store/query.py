"""Queries as values, and operations as generators of them.

A store function returns a `Query`. An operation yields batches of queries and receives their rows, so
the same body runs on the engine's async pool and on Django's own connection. It does no I/O itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")

SQL_FOLDER = Path(__file__).resolve().parent.parent / "sql"
_NAME = re.compile(r"^-- name: ([a-z_]+\.[a-z_]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Query(Generic[Row]):
    """A named statement with its parameters; `row` builds one result from the columns in order."""

    name: str
    params: Mapping[str, Any]
    row: Callable[..., Row]


Operation = Generator[Sequence[Query[Any]], Sequence[list[Any]], Result]


def fetch(query: Query[Row]) -> Operation[list[Row]]:
    """Run one query and return its rows."""
    (rows,) = yield (query,)
    return rows


def fetch_all(*queries: Query[Any]) -> Operation[Sequence[list[Any]]]:
    """Run independent queries in one round trip and return the rows of each."""
    return (yield queries)


class Last(tuple[Query[Any], ...]):
    """Queries after which an operation asks for nothing more: they commit in the same round trip."""

    __slots__ = ()


def fetch_last(*queries: Query[Any]) -> Operation[Sequence[list[Any]]]:
    """Like `fetch_all`, as the last thing of the whole operation."""
    return (yield Last(queries))


def no_row(*_columns: object) -> None:
    """Row builder of statements whose rows nobody reads. Every statement must return rows."""


Value = TypeVar("Value")


def the_value(value: Value) -> Value:
    """Row builder of statements with one column."""
    return value


@cache
def statements() -> dict[str, str]:
    """Return every named statement of engine/sql, by name."""
    found: dict[str, str] = {}
    for path in sorted(SQL_FOLDER.glob("*.sql")):
        parts = _NAME.split(path.read_text())
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in found or name.split(".")[0] != path.stem:
                raise ValueError(f"{path.name}: bad or repeated statement name {name}")
            found[name] = text.strip().rstrip(";")
    return found
