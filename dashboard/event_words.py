"""What each kind of the event log is called, and which state's colour and shape it wears."""

from __future__ import annotations

from engine.states import TaskEventKind as Kind

WORDS: dict[Kind, tuple[str, str]] = {
    Kind.QUEUED: ("Queued", "queued"),
    Kind.ASSIGNED: ("Assigned to a worker", "running"),
    Kind.SENT_TO_WORKER: ("Sent to the worker", "running"),
    Kind.STARTED: ("Started", "running"),
    Kind.ACKNOWLEDGED: ("Acknowledged by the worker", "running"),
    Kind.FINISHED: ("Completed", "completed"),
    Kind.FAILED: ("Failed", "failed"),
    Kind.RETRYING: ("Retrying", "queued"),
    Kind.CANCELLED: ("Cancelled", "cancelled"),
    Kind.TIMED_OUT: ("Timed out", "failed"),
    Kind.REASSIGNED: ("Worker lost; queued again", "warning"),
    Kind.SLOT_RELEASED: ("Slot released", "running"),
    Kind.TIMEOUT_REFRESHED: ("Timeout extended", "running"),
    Kind.RETRIED_BY_USER: ("Replayed by a user", "queued"),
    Kind.SCHEDULING_TIMED_OUT: ("No worker took it in time", "failed"),
    Kind.REQUEUED_NO_WORKER: ("Waiting: no worker can take it now", "warning"),
    Kind.REQUEUED_RATE_LIMIT: ("Waiting: rate limit reached", "warning"),
    Kind.SKIPPED: ("Skipped", "skipped"),
    Kind.COULD_NOT_SEND_TO_WORKER: ("Could not be sent to the worker", "warning"),
    Kind.RATE_LIMIT_ERROR: ("Rate limit could not be evaluated", "failed"),
    Kind.CREATED: ("Created", "queued"),
    Kind.DURABLE_EVICTED: ("Moved off its worker while it waits", "paused"),
    Kind.DURABLE_RESTORING: ("Brought back to a worker", "running"),
    Kind.WAITING_FOR_BATCH: ("Waiting for its batch", "queued"),
    Kind.BATCH_FLUSHED: ("Batch flushed", "running"),
}


def words_of(kind: int) -> tuple[str, str]:
    """Return the sentence and the state name of a kind; a newer engine may write unknown kinds."""
    try:
        return WORDS[Kind(kind)]
    except ValueError:
        return f"Event {kind}", "pending"
