"""How the event log of a task looks in answers (V1TaskEvent)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django.db.models import F, QuerySet

from engine.api.payloads import Payloads
from engine.api.room import Room
from engine.api.run_shapes import without_nones
from engine.ids import id_at, number_of, time_of
from engine.models import TaskEvent
from engine.models.wide_columns import Values, octet_length, wide_values
from engine.states import TaskEventKind
from tenants.rest.errors import AnyDict
from tenants.rest.render import timestamp

_WITH_ERROR = {TaskEventKind.FAILED, TaskEventKind.TIMED_OUT, TaskEventKind.SCHEDULING_TIMED_OUT}
_CLOCKS_DIFFER = timedelta(minutes=1)


def events_of_run(run_id: UUID) -> QuerySet[TaskEvent]:
    """A run's event log, newest first, with `message_length`.

    Nothing happened before the run: older partitions are skipped.
    """
    log = TaskEvent.objects.filter(run_id=run_id, id__gte=log_floor(run_id))
    measured = log.defer("message").annotate(message_length=octet_length(F("message")))
    return cast("QuerySet[TaskEvent]", measured.order_by("-id"))


def log_floor(run_id: UUID) -> UUID:
    """The smallest id that a row about this run can have, whichever machine's clock made it."""
    return id_at(time_of(run_id) - _CLOCKS_DIFFER)


def first_of_each_kind(events: Iterable[TaskEvent]) -> list[TaskEvent]:
    """Of newest-first events keep, for each task, attempt and kind, the first that happened."""
    seen: dict[tuple[UUID, int, int], TaskEvent] = {}
    for event in events:
        key = (event.task_id, event.retry_count, event.kind)
        seen.pop(key, None)
        seen[key] = event
    return sorted(seen.values(), key=lambda event: event.id, reverse=True)


def load_messages(events: Iterable[TaskEvent], room: Room) -> Values:
    """Fetch the messages of those of a run's events, as `events_of_run` has them, that say something."""
    spoken = [event for event in events if _says_something(event)]
    if not spoken:
        return {}
    log = TaskEvent.objects.filter(run_id=spoken[0].run_id, id__in=[event.id for event in spoken])
    return wide_values(log, ["message"], room=room.left)


def _says_something(event: Any) -> bool:
    return bool(event.message_length)


def event_rows(
    events: Sequence[TaskEvent],
    messages: Values,
    payloads: Payloads,
    name_of: Callable[[UUID], str | None],
) -> list[AnyDict]:
    """Return rows of one run's log, with its messages and errors as far as there is room for them."""
    room = payloads.room
    return [
        _event_row(
            event, room.text(messages.get(event.id, {}).get("message")) or "", payloads, name_of
        )
        for event in events
    ]


def _event_row(
    event: TaskEvent, message: str, payloads: Payloads, name_of: Callable[[UUID], str | None]
) -> AnyDict:
    kind = TaskEventKind(event.kind)
    has_error = kind in _WITH_ERROR
    return without_nones(
        {
            "id": number_of(event.id),
            "taskId": str(event.task_id),
            "timestamp": timestamp(event.at),
            "eventType": kind.name,
            "message": message,
            "errorMessage": (
                payloads.error_of(event.task_id, event.retry_count) if has_error else None
            ),
            "workerId": None if event.worker_id is None else str(event.worker_id),
            "taskDisplayName": name_of(event.task_id),
            "retryCount": event.retry_count,
            "attempt": event.retry_count + 1,
        }
    )
