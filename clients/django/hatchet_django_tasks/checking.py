"""What `manage.py check` says of the settings of a backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import iscoroutinefunction
from typing import Any

from django.core import checks
from django.db import DatabaseError, connections

from hatchet_django_tasks.discovery import tasks_of
from hatchet_django_tasks.task_options import options_of
from hatchet_django_tasks.wishes import NAME

OPTIONS = {
    "database": "the alias of the database that Hatchet shares, or whose commits a remote backend waits for",
    "remote": "True: Hatchet is on another database, and reached with the official SDK",
    "tenant": "the id of the tenant, where the role of the connection may act for several",
    "prefix": "what the names of workflows begin with",
    "dashboard_url": "the address of the tenant in Hatchet's dashboard (https://…/t/default), for links to runs",
    "modules": "modules with tasks beside the `tasks` of every app",
}
_SCHEMA = "SELECT to_regprocedure('hatchet_v1.complete(uuid, integer, jsonb)') IS NOT NULL"


def problems_of(backend: Any, databases: Iterable[str] | None) -> list[checks.CheckMessage]:
    """Databases are asked only if the command names them: `manage.py check --database default`."""
    found = list(_in_options(backend))
    if not found:
        found += _in_tasks(backend)
        if backend.database in (databases or ()) and not backend.is_remote:
            found += _in_database(backend)
    return found


def _in_options(backend: Any) -> Iterator[checks.CheckMessage]:
    where = f"TASKS['{backend.alias}']"
    for name in sorted(backend.options.keys() - OPTIONS.keys()):
        hint = f"There are: {', '.join(OPTIONS)}."
        yield checks.Error(f"{where} has an unknown option '{name}'.", hint=hint, id="hatchet.E001")
    if backend.database not in connections:
        yield checks.Error(f"{where} names no database: '{backend.database}'.", id="hatchet.E002")
    elif not backend.is_remote and connections[backend.database].vendor != "postgresql":
        yield checks.Error(f"{where} needs Postgres, or the option 'remote'.", id="hatchet.E003")
    for queue in sorted(backend.queues):
        if not NAME.fullmatch(queue):
            yield checks.Error(
                f"{where}: the queue '{queue}' may hold only letters, digits, dots, dashes and underscores.",
                id="hatchet.E004",
            )


def _in_tasks(backend: Any) -> Iterator[checks.CheckMessage]:
    for task in tasks_of(backend):
        if options_of(task).atomic and iscoroutinefunction(task.func):
            yield checks.Error(
                f"{task.module_path} is a coroutine and cannot be atomic.", id="hatchet.E005"
            )


def _in_database(backend: Any) -> Iterator[checks.CheckMessage]:
    try:
        with connections[backend.database].cursor() as cursor:
            cursor.execute(_SCHEMA)
            is_there = cursor.fetchone()[0]
    except DatabaseError:
        is_there = False
    if not is_there:
        yield checks.Warning(
            f"The database '{backend.database}' has no schema hatchet_v1 that this role may use.",
            hint="Migrate Hatchet, then give the role its rights: manage.py sqlrole grant.",
            id="hatchet.W001",
        )
