"""Why a task does not run now, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from engine.domain.assignment import Obstacle, Reason


class Cause(StrEnum):
    """What keeps a task; those of the scheduler have its obstacles' names."""

    NONE = "NONE"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    WORKFLOW_PAUSED = "WORKFLOW_PAUSED"
    RETRY_BACKOFF = "RETRY_BACKOFF"
    WAITING_FOR_CONDITIONS = "WAITING_FOR_CONDITIONS"
    WAITING_FOR_PARENTS = "WAITING_FOR_PARENTS"
    NO_ENGINE = "NO_ENGINE"
    GROUP_FULL = "GROUP_FULL"
    RATE_LIMITED = "RATE_LIMITED"
    NO_WORKER = "NO_WORKER"
    BOUND_TO_ANOTHER = "BOUND_TO_ANOTHER"
    LABEL_MISMATCH = "LABEL_MISMATCH"
    WORKERS_INACTIVE = "WORKERS_INACTIVE"
    WORKERS_STALE = "WORKERS_STALE"
    WORKERS_STALLED = "WORKERS_STALLED"
    WORKERS_PAUSED = "WORKERS_PAUSED"
    SLOTS_FULL = "SLOTS_FULL"
    BEHIND_OTHERS = "BEHIND_OTHERS"
    BATCH_FILLING = "BATCH_FILLING"
    BATCHES_RUNNING = "BATCHES_RUNNING"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`message` is one sentence; `details` are the numbers and ids in it, by name."""

    cause: Cause
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def needs_somebody(self) -> bool:
        """Whether nothing but a person, or a program started by one, will change it."""
        return self.cause in _STUCK or self.details.get("isMissing", False)


_STUCK = {
    Cause.NO_ENGINE,
    Cause.NO_WORKER,
    Cause.BOUND_TO_ANOTHER,
    Cause.LABEL_MISMATCH,
    Cause.WORKERS_INACTIVE,
    Cause.WORKERS_STALE,
    Cause.WORKERS_STALLED,
    Cause.WORKERS_PAUSED,
}


def clock(moment: datetime | float) -> str:
    at = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def explanation_of(reason: Reason | None, action_id: str, worker_name: str = "") -> Explanation:
    """Put the scheduler's reason into words; None means that the task is about to be assigned.

    `worker_name` is that of the worker the reason is about, if it is about one.
    """
    if reason is None:
        return Explanation(Cause.NONE, "It is about to be assigned to a worker.")
    cause = Cause[reason.obstacle.name]
    if reason.obstacle is Obstacle.GROUP_FULL:
        return _of_group(reason)
    if reason.obstacle is Obstacle.RATE_LIMITED:
        return _of_limit(reason)
    worker = worker_name or str(reason.worker_id)
    details = {"action": action_id, **_numbers(reason)}
    if worker_name:
        details["workerName"] = worker_name
    message = _WORDS[reason.obstacle].format(**_values(reason, action_id, worker))
    return Explanation(cause, message, details)


def _values(reason: Reason, action_id: str, worker: str) -> dict[str, object]:
    more = "or more " if reason.is_more_ahead else ""
    return {
        "action": action_id,
        "worker": worker,
        "slot": reason.slot_type or "default",
        "used": reason.used,
        "total": reason.total,
        "ahead": f"; {reason.ahead} {more}tasks of {action_id} go before it"
        if reason.ahead or reason.is_more_ahead
        else "",
    }


_WORDS = {
    Obstacle.NO_WORKER: "No worker that offers {action} is connected{ahead}.",
    Obstacle.BOUND_TO_ANOTHER: "It has to run on a worker that cannot take it{ahead}.",
    Obstacle.LABEL_MISMATCH: "No worker that offers {action} has the labels it asks for{ahead}.",
    Obstacle.WORKERS_INACTIVE: "No active worker offers {action}: worker {worker} has gone{ahead}.",
    Obstacle.WORKERS_STALE: "Worker {worker}, which offers {action}, sends no heartbeats{ahead}.",
    Obstacle.WORKERS_STALLED: (
        "Worker {worker}, which offers {action}, does not acknowledge what it is sent{ahead}."
    ),
    Obstacle.WORKERS_PAUSED: "Worker {worker}, which offers {action}, is paused{ahead}.",
    Obstacle.SLOTS_FULL: (
        "All {slot} slots of the workers that offer {action} are in use"
        " ({used} of {total} on worker {worker}){ahead}."
    ),
    Obstacle.BEHIND_OTHERS: "It waits for its turn{ahead}.",
    Obstacle.BATCH_FILLING: "Its batch fills: {used} of {total} are there.",
    Obstacle.BATCHES_RUNNING: "{used} of {total} batches of its group run already.",
}


def _numbers(reason: Reason) -> dict[str, Any]:
    found: dict[str, Any] = {
        "workerId": str(reason.worker_id) if reason.worker_id else None,
        "slotType": reason.slot_type or None,
        "used": reason.used if reason.total else None,
        "total": reason.total or None,
        "ahead": reason.ahead,
        "isMoreAhead": reason.is_more_ahead or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _of_group(reason: Reason) -> Explanation:
    assert reason.group is not None
    key = reason.group.key
    message = (
        f'It waits in the concurrency group "{_cut(key)}": {reason.used} of {reason.total} run,'
        f" {reason.ahead} wait before it."
    )
    details = {
        "key": key,
        "used": reason.used,
        "limit": reason.total,
        "ahead": reason.ahead,
        "holderIds": [str(holder) for holder in reason.holders[:_MOST_HOLDERS]],
    }
    return Explanation(Cause.GROUP_FULL, message, details)


def _of_limit(reason: Reason) -> Explanation:
    refusal = reason.refusal
    assert refusal is not None
    claim, state = refusal.claim, refusal.state
    message = str(refusal)
    if refusal.until is not None and not refusal.is_pause:
        message = f"{message[:-1]}, refilled at {clock(refusal.until)}."
    elif state is not None and refusal.until is None:
        message += " It wants more than there ever is."
    details: dict[str, Any] = {"key": claim.key, "units": claim.units, "ahead": reason.ahead}
    if state is None:
        details["isMissing"] = True
    else:
        details |= {
            "value": max(state.value, 0),
            "limit": state.limit,
            "window": state.window.name,
            "isPaused": refusal.is_pause,
        }
    if refusal.until is not None:
        details["until"] = datetime.fromtimestamp(refusal.until, UTC)
    return Explanation(Cause.RATE_LIMITED, message, details)


def of_waits(waits: Sequence[tuple[str | None, datetime | None]]) -> Explanation:
    """Put into words what a step's conditions wait for: event keys, or when sleeps end."""
    words = []
    for event_key, due_at in waits:
        if event_key is not None:
            words.append(f"the event {event_key}")
        elif due_at is not None:
            words.append(f"a sleep until {clock(due_at)}")
        else:
            words.append("a sleep its expression never accepts")
    details = {
        "events": [event_key for event_key, _ in waits if event_key is not None],
        "sleepsUntil": [due_at for _, due_at in waits if due_at is not None],
    }
    return Explanation(Cause.WAITING_FOR_CONDITIONS, f"It waits for {', '.join(words)}.", details)


def _cut(key: str) -> str:
    return key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…"


_LONGEST_KEY = 200
_MOST_HOLDERS = 100
