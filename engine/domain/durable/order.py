"""Whether the branches of a durable task's program run side by side, as its log shows.

Pure. A program of one branch makes its next call when the one before is complete: another call at that
place is an error of the program. Branches that run side by side may make theirs in another order each time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from engine.domain.durable.calls import Node
from engine.domain.durable.state import END, LogState
from engine.states import DurableKind

_NEVER = datetime.max.replace(tzinfo=UTC)


class Mark(NamedTuple):
    """When a call was made, and when it was complete: by the orders the task was told of, and by the clock."""

    node: Node
    kind: DurableKind
    is_awaited: bool
    recorded_after: int | None
    order: int | None
    created_at: datetime
    satisfied_at: datetime | None


class Span(NamedTuple):
    """The nodes of a branch whose calls were made when `order` was the last one told: first and last."""

    branch_id: int
    order: int
    first_node: int
    last_node: int


def find_reaches(spans: Iterable[Span], state: LogState) -> list[tuple[int, int]]:
    """Return (order, node), both ascending: the calls up to that node come before any higher order is told.

    A call that was new in a replay may lie behind calls that were made later in the program: it counts
    with those.
    """
    firsts: dict[int, int] = {}
    lasts: dict[int, int] = {}
    for span in spans:
        if state.is_active(Node(span.branch_id, span.first_node)):
            firsts[span.order] = min(firsts.get(span.order, END), span.first_node)
        if state.is_active(Node(span.branch_id, span.last_node)):
            lasts[span.order] = max(lasts.get(span.order, 0), span.last_node)
    reaches: list[tuple[int, int]] = []
    highest = 0
    for order in sorted(firsts):
        highest = max(highest, lasts.get(order, 0))
        reaches.append((order, highest))
    later = END
    for at in reversed(range(len(reaches))):
        order, highest = reaches[at]
        reaches[at] = order, min(highest, later - 1)
        later = min(later, firsts[order])
    return reaches


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
