"""Reads of durable tasks' logs that streams ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from engine.domain.durable.calls import Node
from engine.domain.durable.order import Span, find_reaches
from engine.domain.durable.state import LogState
from engine.states import Status
from engine.store import durable_entries, durable_tasks
from engine.store.query import Operation, fetch_all


class Opening(NamedTuple):
    """What a stream must know of a durable task it meets for the first time.

    `reached` is the highest node of the present invocation. `recorded` are the completions of the active
    branch that have an order, in this order. `reaches` are (order, node), both ascending: the calls up to
    that node were made before the task was told of any higher order. `passed` are nodes before `reached`
    whose calls this invocation has still to make again. `restored` are the invocations before this one
    that were, in a row, evicted and restored at once. `given` is the last order given out on any branch.
    """

    invocation: int
    is_live: bool
    reached: int
    recorded: tuple[tuple[int, Node], ...]
    reaches: tuple[tuple[int, int], ...] = ()
    passed: tuple[int, ...] = ()
    restored: int = 0
    given: int = 0

    def serves(self, invocation: int) -> bool:
        """Say whether this is the task's latest delivery, and still on a worker."""
        return self.is_live and self.invocation == invocation

    def has_missed(self, invocation: int, nodes: Iterable[Node]) -> bool:
        """Say whether a delivery that was evicted waits for something that is complete."""
        complete = {node for _, node in self.recorded}
        return self.invocation == invocation and not complete.isdisjoint(nodes)


def load_openings(tenant_id: UUID, task_ids: Sequence[UUID]) -> Operation[dict[UUID, Opening]]:
    """Return where these tasks' logs stand; a task the tenant does not have is left out."""
    ids = sorted(set(task_ids))
    rows, states, orders, reaches = yield from fetch_all(
        durable_tasks.read(ids),
        durable_tasks.states(ids),
        durable_entries.orders(ids),
        durable_entries.reaches(ids),
    )
    log_of: dict[UUID, LogState] = {row.task_id: row.state for row in rows}
    recorded: dict[UUID, list[tuple[int, Node]]] = defaultdict(list)
    for row in orders:
        node = Node(row.branch_id, row.node_id)
        if row.task_id in log_of and log_of[row.task_id].is_active(node):
            recorded[row.task_id].append((row.order, node))
    spans: dict[UUID, list[Span]] = defaultdict(list)
    for reach in reaches:
        spans[reach.task_id].append(Span(*reach[1:]))
    return {
        task.id: Opening(
            log_of[task.id].invocation,
            task.status == Status.RUNNING and not task.is_evicted,
            log_of[task.id].node_id,
            tuple(recorded[task.id]),
            tuple(find_reaches(spans[task.id], log_of[task.id])),
            log_of[task.id].passed or (),
            log_of[task.id].restored,
            log_of[task.id].satisfied_order,
        )
        for task in states
        if task.tenant_id == tenant_id and task.id in log_of
    }
