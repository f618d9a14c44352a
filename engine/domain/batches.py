"""What ties tasks that run in batches together."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

MAX_BATCH_BYTES = 4_000_000
"""What the payloads of a batch may come to: it travels as one message of at most 4 MiB."""

ITEM_OVERHEAD_BYTES = 320
"""What an item adds to that message beside its input: its ids, and the frame of its payload."""


class BatchGroup(NamedTuple):
    """The tasks of a step that may share a batch, and the rules for it."""

    step_id: UUID
    key: str
    max_size: int
    interval_seconds: float
    max_runs: int


class BatchPlace(NamedTuple):
    """Where a task waits for its batch, and how many bytes it adds to one."""

    group: BatchGroup
    size: int


def max_batch_bytes(message_bytes: int) -> int:
    """Return the same where messages may hold less. Where they may hold more, batches do not."""
    return min(MAX_BATCH_BYTES, message_bytes - (4 * 1024 * 1024 - MAX_BATCH_BYTES))
