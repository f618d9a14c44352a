"""What is asked of Hatchet and what it answers, whichever way that goes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from hatchet_django_tasks.interface import Task

DEFAULT_QUEUE = "default"
NAME = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)
MAX_NAME_LENGTH = 255
TASK_KEY, QUEUE_KEY, BACKEND_KEY = "django_task", "django_queue", "django_backend"
"""What the runs' metadata tell."""


@dataclass(frozen=True)
class Wish:
    """A task to run; `input` and `metadata` are JSON."""

    workflow: str
    input: dict[str, Any]
    metadata: dict[str, str]
    priority: int
    run_after: datetime | None


@dataclass
class Attempt:
    started_at: datetime | None
    worker_id: str | None
    error: str | None


@dataclass
class Found:
    """A run as Hatchet has it; `status` is one of its words, `NOT_STARTED` that it could not be started."""

    status: str
    metadata: dict[str, Any]
    input: dict[str, Any]
    output: Any = None
    enqueued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: list[Attempt] = field(default_factory=list)


class Transport(Protocol):
    """A way to Hatchet."""

    def enqueue(self, wish: Wish) -> str:
        """Ask for a run; return the id of its result."""

    def find(self, result_id: str) -> Found | None:
        """Return what is known of a result, if anything is."""


def workflow_of(task: Any, prefix: str = "") -> str:
    """Return the name of the workflow that runs a task for a queue."""
    queue = "" if task.queue_name == DEFAULT_QUEUE else f"--{task.queue_name}"
    return f"{prefix}{task.module_path}{queue}"


def priority_of(task: Any) -> int:
    """Return Hatchet's priority, 1 to 3, for one of Django's, -100 to 100: a third each."""
    return 1 if task.priority < -33 else 2 if task.priority <= 33 else 3


def wish_for(task: Any, args: Any, kwargs: Any, *, prefix: str) -> Wish:
    return Wish(
        workflow_of(task, prefix),
        {"args": args, "kwargs": kwargs},
        {
            TASK_KEY: task.module_path,
            QUEUE_KEY: task.queue_name,
            BACKEND_KEY: task.backend,
        },
        priority_of(task),
        task.run_after,
    )


def is_task(value: object) -> bool:
    return isinstance(value, Task)
