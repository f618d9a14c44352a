"""Whether the branches of a durable task's program run side by side, as its log shows.

Pure. A program of one branch makes its next call when the one before is complete: another call at that
place is an error of the program. Branches that run side by side may make theirs in another order each time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from engine.domain.durable import Node
from engine.domain.durable_state import LogState
from engine.states import DurableKind

_NEVER = datetime.max.replace(tzinfo=UTC)


class Mark(NamedTuple):
    """When a call was recorded, and when it was complete: by the orders given out, and by the clock."""

    node: Node
    kind: DurableKind
    is_awaited: bool
    recorded_after: int | None
    order: int | None
    created_at: datetime
    satisfied_at: datetime | None


def run_side_by_side(marks: Iterable[Mark], state: LogState) -> bool:
    """Say whether, up to the next node, some call was recorded while another was waited for.

    Memos have no order; their values are handed in before the branch goes on.
    """
    last_order = 0.0
    last_value_at = datetime.min.replace(tzinfo=UTC)
    for mark in sorted(marks):
        if not state.is_active(mark.node):
            continue
        if mark.node.node_id > state.node_id + 1:
            break
        if mark.recorded_after is not None and mark.recorded_after < last_order:
            return True
        if mark.created_at < last_value_at:
            return True
        if mark.kind is DurableKind.MEMO:
            last_value_at = max(last_value_at, mark.satisfied_at or _NEVER)
        elif mark.kind is DurableKind.WAIT_FOR or mark.is_awaited:
            last_order = max(last_order, math.inf if mark.order is None else mark.order)
    return False
