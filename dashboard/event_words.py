"""What each kind of the event log is called, and which state's colour and shape it wears."""

from __future__ import annotations

from engine.domain.endings import END_WORDS
from engine.states import TaskEventKind as Kind

_ENDS = {
    Kind.FINISHED: "completed",
    Kind.FAILED: "failed",
    Kind.CANCELLED: "cancelled",
    Kind.TIMED_OUT: "failed",
    Kind.SCHEDULING_TIMED_OUT: "cancelled",
    Kind.REASSIGNED: "warning",
    Kind.SKIPPED: "skipped",
    Kind.RATE_LIMIT_ERROR: "failed",
}
WORDS: dict[Kind, tuple[str, str]] = {
    Kind.QUEUED: ("Queued", "queued"),
    Kind.ASSIGNED: ("Assigned to a worker", "running"),
    Kind.SENT_TO_WORKER: ("Sent to the worker", "running"),
    Kind.STARTED: ("Started", "running"),
    Kind.ACKNOWLEDGED: ("Acknowledged by the worker", "running"),
    Kind.RETRYING: ("Retrying", "queued"),
    Kind.SLOT_RELEASED: ("Slot released", "running"),
    Kind.TIMEOUT_REFRESHED: ("Timeout extended", "running"),
    Kind.RETRIED_BY_USER: ("Replayed by a user", "queued"),
    Kind.REQUEUED_NO_WORKER: ("Waiting: no worker can take it now", "warning"),
    Kind.REQUEUED_RATE_LIMIT: ("Waiting: rate limit reached", "warning"),
    Kind.COULD_NOT_SEND_TO_WORKER: ("Could not be sent to the worker", "warning"),
    Kind.CREATED: ("Created", "queued"),
    Kind.DURABLE_EVICTED: ("Moved off its worker while it waits", "paused"),
    Kind.DURABLE_RESTORING: ("Brought back to a worker", "running"),
    Kind.WAITING_FOR_BATCH: ("Waiting for its batch", "queued"),
    Kind.BATCH_FLUSHED: ("Batch flushed", "running"),
} | {kind: (words, _ENDS[kind]) for kind, words in END_WORDS.items()}


def words_of(kind: int) -> tuple[str, str]:
    """Return the sentence and the state name of a kind; a newer engine may write unknown kinds."""
    try:
        return WORDS[Kind(kind)]
    except ValueError:
        return f"Event {kind}", "pending"
