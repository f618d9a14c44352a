"""The backend that settings name: `hatchet_django_tasks.backend.HatchetBackend`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from django.core import checks
from django.utils import timezone
from django.utils.module_loading import import_string

from hatchet_django_tasks import checking
from hatchet_django_tasks.interface import (
    BaseTaskBackend,
    InvalidTask,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    signals,
)
from hatchet_django_tasks.remote import RemoteTransport
from hatchet_django_tasks.sql import SqlTransport
from hatchet_django_tasks.task_options import options_of
from hatchet_django_tasks.wishes import (
    MAX_NAME_LENGTH,
    NAME,
    QUEUE_KEY,
    TASK_KEY,
    Attempt,
    Found,
    Transport,
    is_task,
    wish_for,
    workflow_of,
)

_STATUSES: Mapping[str, Any] = {
    "QUEUED": TaskResultStatus.READY,
    "RUNNING": TaskResultStatus.RUNNING,
    "COMPLETED": TaskResultStatus.SUCCESSFUL,
    "FAILED": TaskResultStatus.FAILED,
    "CANCELLED": TaskResultStatus.FAILED,
    "NOT_STARTED": TaskResultStatus.FAILED,
}
_RAISED = re.compile(r"^((?:[^\W\d]\w*\.)*[^\W\d]\w*)(?::|$)")
"""The last line of a traceback, but for texts of several lines."""


class HatchetBackend(BaseTaskBackend):  # type: ignore[misc]  # one of two, chosen as it is imported
    """OPTIONS are described in `checking`; QUEUES name the queues, as with every backend."""

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self.database: str = self.options.get("database", "default")
        self.is_remote: bool = self.options.get("remote", False)
        self.prefix: str = self.options.get("prefix", "")
        self.dashboard_url: str = self.options.get("dashboard_url", "")
        self.modules: tuple[str, ...] = tuple(self.options.get("modules", ()))

    @cached_property
    def transport(self) -> Transport:
        if self.is_remote:
            return RemoteTransport(self.database)
        return SqlTransport(self.database, self.options.get("tenant"))

    def validate_task(self, task: Any) -> None:
        super().validate_task(task)
        name = workflow_of(task, self.prefix)
        if len(name) > MAX_NAME_LENGTH or not NAME.fullmatch(name):
            raise InvalidTask(
                f'"{name}" cannot name a workflow: at most {MAX_NAME_LENGTH} letters, digits, dots,'
                " dashes and underscores."
            )
        if options_of(task).atomic and self.is_remote:
            raise InvalidTask("Only tasks on Hatchet's own database can be atomic.")

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        self.validate_task(task)
        result = self._result(task, "", args, kwargs)
        wish = wish_for(task, result.args, result.kwargs, prefix=self.prefix)
        object.__setattr__(result, "id", self.transport.enqueue(wish))
        object.__setattr__(result, "enqueued_at", timezone.now())
        signals.task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> Any:
        found = self.transport.find(result_id)
        task = None if found is None else _task_of(found)
        if found is None or task is None:
            raise TaskResultDoesNotExist(result_id)
        given = found.input
        result = self._result(task, result_id, given.get("args", []), given.get("kwargs", {}))
        starts = [attempt.started_at for attempt in found.attempts if attempt.started_at]
        changes = {
            "status": _STATUSES[found.status],
            "enqueued_at": found.enqueued_at,
            "started_at": starts[0] if starts else None,
            "last_attempted_at": starts[-1] if starts else None,
            "finished_at": found.finished_at,
            "errors": [_error(one) for one in found.attempts if one.error],
            "worker_ids": [one.worker_id or "" for one in found.attempts if one.started_at],
        }
        if changes["status"] == TaskResultStatus.SUCCESSFUL:
            changes["_return_value"] = (found.output or {}).get("return_value")
        for name, value in changes.items():
            object.__setattr__(result, name, value)
        return result

    def check(self, **kwargs: Any) -> Iterable[checks.CheckMessage]:
        return checking.problems_of(self, kwargs.get("databases"))

    def _result(self, task: Any, result_id: str, args: Any, kwargs: Any) -> Any:
        return TaskResult(
            task=task,
            id=result_id,
            status=TaskResultStatus.READY,
            enqueued_at=None,
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )


def _task_of(found: Found) -> Any:
    """Return the task of a run; None if it is a run of something else."""
    try:
        task = import_string(found.metadata[TASK_KEY])
    except (KeyError, ImportError, ValueError, TypeError, AttributeError):
        return None
    return task.using(queue_name=found.metadata.get(QUEUE_KEY)) if is_task(task) else None


def _error(attempt: Attempt) -> Any:
    """The text that the SDK's worker sent ends as Python's tracebacks do, with the name of the class."""
    text = attempt.error or ""
    path = "builtins.Exception"
    for line in reversed(text.splitlines()):
        if raised := _RAISED.match(line):
            path = raised[1] if "." in raised[1] else f"builtins.{raised[1]}"
            break
    return TaskError(exception_class_path=path, traceback=text)
