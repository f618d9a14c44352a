"""What a durable task is told of children that ended, and of memos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from engine.states import Status

CANCELLED_MESSAGE = "task was cancelled"


class ChildTask(NamedTuple):
    """One task of a child that ended. `output` is None if it returned nothing."""

    readable_id: str
    status: Status
    output: bytes | None = None
    error: str | None = None


class ChildOutcome(NamedTuple):
    """`error` is None if the child completed."""

    result: bytes
    error: str | None = None


def outcome_of_child(tasks: Sequence[ChildTask], status: Status) -> ChildOutcome:
    """Return what the parent is told of a child whose run came to `status`.

    The output of a run with one task stands for itself; of several, each has its place. A real error
    goes before a cancellation. A task of a completed run has an error if its output cannot be read.
    """
    if status is not Status.COMPLETED or any(task.error for task in tasks):
        errors = [task.error for task in tasks if task.status is Status.FAILED and task.error]
        if errors:
            return ChildOutcome(b"", errors[0])
        failed = status is Status.FAILED or any(task.status is Status.FAILED for task in tasks)
        return ChildOutcome(b"", "" if failed else CANCELLED_MESSAGE)
    if len(tasks) == 1:
        return ChildOutcome(as_object(tasks[0].output))
    outputs = [(task.readable_id, as_object(task.output)) for task in tasks if task.output]
    parts = (orjson.dumps(name) + b":" + output for name, output in outputs if output)
    return ChildOutcome(b"{" + b",".join(parts) + b"}")


def as_object(data: bytes | None) -> bytes:
    """Return the bytes if they are a JSON object, and nothing otherwise.

    A client that is sent anything else drops its stream, again and again.
    """
    if not data or not data.lstrip().startswith(b"{"):
        return b""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return b""
    return data
