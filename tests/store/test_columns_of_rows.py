"""A statement's columns are named as the parameters of what makes its rows, in the same order.

Rows are made by position, which is fast, and silent about two columns that changed places.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.db import connection

from engine import store
from engine.store import queues
from engine.store.binary import prepare
from engine.store.query import no_row, statements, the_value
from engine.store.queues import QueuedRow
from engine.store.runs import KeyData
from webhooks import tables as webhook_tables
from webhooks.alerts import store as alerts_store
from webhooks.outgoing import store as outgoing_store

Builder = Callable[..., Any]


def builders_in(module: ModuleType) -> dict[str, Builder]:
    """Return what makes the rows of each statement that a module of the store names, by statement."""
    found: dict[str, Builder] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Query":
            name, _, row = node.args
            found[ast.literal_eval(name)] = eval(ast.unparse(row), vars(module))  # noqa: S307  # our own code
    return found


def builders() -> dict[str, Builder]:
    found: dict[str, Builder] = {}
    for module in pkgutil.iter_modules(store.__path__, "engine.store."):
        found |= builders_in(importlib.import_module(module.name))
    return (
        found
        | builders_in(outgoing_store)
        | builders_in(alerts_store)
        | builders_in(webhook_tables)
    )


BUILDERS = builders()
FILLED_LATER = {(KeyData, "outputs_size")}
"""Fields of rows that another statement answers for."""


def columns_of(name: str, text: str) -> list[str]:
    """Ask the database which columns a statement answers with."""
    statement = prepare(name, text)
    with connection.cursor() as cursor:
        pgconn = cursor.connection.pgconn
        assert pgconn.prepare(b"described", statement.text, statement.oids).error_message == b""
        described = pgconn.describe_prepared(b"described")
        cursor.execute("DEALLOCATE described")
    return [(described.fname(i) or b"").decode() for i in range(described.nfields)]


def problem_of(columns: list[str], builder: Builder) -> str | None:
    """Return what is wrong between a statement's columns and what makes a row of them."""
    if builder is no_row:
        return None if columns else "returns no rows"
    if builder is the_value:
        return None if len(columns) == 1 else f"one value of {columns}"
    parameters = parameters_of(builder)
    return None if columns == parameters else f"{columns} for {parameters}"


def parameters_of(builder: Builder) -> list[str]:
    if builder is queues._placed:
        return [*QueuedRow._fields, "queued_at"]
    parameters = list(inspect.signature(builder).parameters)
    return [name for name in parameters if (builder, name) not in FILLED_LATER]


def test_every_statement_has_one_that_makes_its_rows() -> None:
    assert set(BUILDERS) == set(statements())


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_columns_are_named_as_the_row_is(name: str) -> None:
    assert problem_of(columns_of(name, statements()[name]), BUILDERS[name]) is None


def test_a_queued_row_is_told_from_its_place() -> None:
    names: list[Any] = [*QueuedRow._fields]
    row, place = queues._placed(*names, "queued_at")
    assert row == QueuedRow(*names)
    assert tuple(place) == ("queued_at", "id")


def test_columns_that_changed_places_are_noticed() -> None:
    columns = [*QueuedRow._fields]
    assert problem_of(columns, QueuedRow) is None
    columns[-1], columns[-2] = columns[-2], columns[-1]
    assert problem_of(columns, QueuedRow) is not None
    assert problem_of(columns[:-1], QueuedRow) is not None
    assert problem_of(["id", "name"], the_value) is not None
    assert problem_of([], no_row) is not None
