"""Why attempts end, in one set of words: pages, the event log and the API say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.states import TaskEventKind as Kind

ENDING_LENGTH = 2_000
"""How many characters of an attempt's message are looked at."""
OUT_OF_REASSIGNMENTS = "Task reached its maximum reassignment count"
BY_STRATEGY = "Cancelled due to concurrency strategy"
NOT_IN_TIME = "No worker took the task within its schedule timeout."
PAUSED_TOO_LONG = "The workflow was paused for longer than its queue's time to live."
NOT_DELIVERED = "Could not send task to worker"
BY_WORKER = "Its worker cancelled it."

END_WORDS: Mapping[Kind, str] = {
    Kind.FINISHED: "Completed",
    Kind.FAILED: "Failed",
    Kind.CANCELLED: "Cancelled",
    Kind.TIMED_OUT: "Execution timeout",
    Kind.SCHEDULING_TIMED_OUT: "Schedule timeout",
    Kind.REASSIGNED: "Worker lost",
    Kind.SKIPPED: "Skipped",
    Kind.RATE_LIMIT_ERROR: "Rate limit could not be evaluated",
}
"""What ends an attempt, by the kind of the event that says so."""
_CLOSER = {
    BY_STRATEGY: "Concurrency strategy",
    PAUSED_TOO_LONG: "Paused for too long",
    OUT_OF_REASSIGNMENTS: "Worker lost too often",
}
_SILENT = {
    Kind.FINISHED: "The task completed.",
    Kind.FAILED: "The task failed and said nothing.",
    Kind.CANCELLED: "It was cancelled.",
    Kind.SKIPPED: "It was skipped.",
}


class Ending(NamedTuple):
    """`words` are two or three for a label, `sentence` what is known besides."""

    words: str
    sentence: str


def ending_of(kind: Kind, message: str) -> Ending:
    """Return why an attempt ended, by the event that says that it did; `message` is the event's."""
    words = END_WORDS[kind]
    if message.startswith(NOT_DELIVERED):
        words = "Not delivered"
    words = _CLOSER.get(message, words)
    return Ending(words, gist(message) or _SILENT.get(kind, f"{words}."))


def cancelled_by(who: str) -> str:
    """Return what the event log says of a task that somebody cancelled."""
    return f"Cancelled by {who}."


def token_words(name: str) -> str:
    """Return how an API token is named that did something."""
    return f"the API token {name}" if name else "an API token"


def gist(text: str) -> str:
    """Return the line that says most: the last of a Python traceback, the first of anything else."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[-1] if lines[0].startswith("Traceback ") else lines[0]
