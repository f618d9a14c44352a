"""Which tasks a project has: those in the modules `tasks` of its apps, and in further ones that settings name."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from hatchet_django_tasks.wishes import is_task


def tasks_of(backend: Any) -> list[Any]:
    """Return each task of a backend once, by its path."""
    found = {
        value.module_path: value
        for module in _modules(backend)
        for value in vars(module).values()
        if is_task(value) and value.backend == backend.alias
    }
    return [found[path] for path in sorted(found)]


def for_queues(backend: Any, queues: frozenset[str] | None) -> list[Any]:
    """Return each task once for every queue it may be enqueued to, of all or some of the queues."""
    chosen = []
    for task in tasks_of(backend):
        offered = backend.queues or {task.queue_name}
        served = sorted(offered if queues is None else offered & queues)
        chosen += [replace(task, queue_name=queue) for queue in served]
    return chosen


def _modules(backend: Any) -> list[ModuleType]:
    names = [
        f"{app.name}.tasks"
        for app in apps.get_app_configs()
        if app.module is not None and module_has_submodule(app.module, "tasks")
    ]
    return [import_module(name) for name in (*names, *backend.modules)]
