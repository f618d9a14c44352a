"""The interface of tasks: Django's own from 6.0 on, the backport's before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import django

_PACKAGE = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"

_tasks: Any = import_module(_PACKAGE)
_base: Any = import_module(f"{_PACKAGE}.base")
_exceptions: Any = import_module(f"{_PACKAGE}.exceptions")
signals: Any = import_module(f"{_PACKAGE}.signals")

BaseTaskBackend: Any = import_module(f"{_PACKAGE}.backends.base").BaseTaskBackend
Task: Any = _base.Task
TaskContext: Any = _base.TaskContext
TaskError: Any = _base.TaskError
TaskResult: Any = _base.TaskResult
TaskResultStatus: Any = _base.TaskResultStatus
TaskResultDoesNotExist: Any = _exceptions.TaskResultDoesNotExist
InvalidTask: Any = getattr(_exceptions, "InvalidTask", None) or _exceptions.InvalidTaskError
InvalidTaskBackend: Any = (
    getattr(_exceptions, "InvalidTaskBackend", None) or _exceptions.InvalidTaskBackendError
)
task_backends: Any = _tasks.task_backends


def as_json(value: Any) -> Any:
    """Return a value as JSON would give it back. TypeError, ValueError: JSON cannot hold it."""
    if django.VERSION >= (6, 0):
        return import_module("django.utils.json").normalize_json(value)
    return import_module("django_tasks.utils").normalize_json(value)
