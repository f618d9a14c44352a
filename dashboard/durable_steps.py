"""A durable task's log as people read it: step by step, what was called, what it waits for, since when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from dashboard.templatetags.dash import duration_text
from engine.domain.durable.calls import Node
from engine.domain.durable.state import Fork, LogState
from engine.domain.durations import parse_durable_sleep
from engine.models import DurableEntry, DurableTask, DurableWait, Run, Task, durable_queries
from engine.models.durable_queries import branches, entries_page, waits_of_entries
from engine.states import DurableKind, Status

STEPS_SHOWN = 100
DETAIL_BYTES = 128 * 1024
CONDITIONS_SHOWN = 20
ERROR_HEAD_BYTES = 2_000


@dataclass(slots=True)
class Condition:
    """One thing a step waits for. `until` is when a sleep ends that is still waited for."""

    icon: str
    words: str
    name: str = ""
    until: datetime | None = None
    is_met: bool = False
    is_endless: bool = False
    scope: str | None = None
    expression: str = ""
    since: datetime | None = None


@dataclass(slots=True)
class Step:
    """One entry. All `groups` must be met; conditions of one group are alternatives."""

    node_id: int
    branch_id: int
    state: str
    state_words: str
    title: Condition
    label: str | None
    began_at: datetime
    ended_at: datetime | None
    groups: list[list[Condition]] = field(default_factory=list)
    more: int = 0
    is_left: bool = False
    is_open: bool = False
    child: Run | None = None
    error: str = ""

    @property
    def shows_conditions(self) -> bool:
        """Whether the title does not say all that it waits for."""
        return bool(self.groups) and [len(group) for group in self.groups] != [1]


@dataclass(slots=True)
class Branch:
    """`first_node` and `parent_id` say where a branch that is not the first was made by a reset."""

    id: int
    is_current: bool
    parent_id: int | None
    first_node: int
    steps: list[Step]


@dataclass(slots=True)
class Steps:
    """One page of a log, the last steps at the end. `earlier` is where the page before it ends."""

    branches: list[Branch]
    has_forks: bool
    earlier: Node | None


def steps_of(task: Task, log: DurableTask, *, before: Node | None = None) -> Steps:
    """Read the end of a task's log, or what comes before a node of it."""
    entries, has_earlier = entries_page(
        task.id,
        before=before,
        size=STEPS_SHOWN,
        error_size=ERROR_HEAD_BYTES,
        most_detail=DETAIL_BYTES,
    )
    open_nodes = [_node(entry) for entry in entries if entry.satisfied_at is None]
    waits = waits_of_entries(task.id, open_nodes, most=CONDITIONS_SHOWN)
    forks = branches(log)
    state = LogState(
        branch_id=log.branch_id,
        forks=tuple(Fork(one.parent_id or 1, one.first_node) for one in forks[1:]),
    )
    children = _children(task, entries)
    shown: list[Branch] = []
    for branch_id, of_branch in groupby(entries, lambda entry: entry.branch_id):
        steps = []
        for entry in of_branch:
            node = _node(entry)
            is_left = not state.is_active(node)
            steps.append(_step(entry, waits.get(node, ()), children, task, is_left=is_left))
        shown.append(_branch(forks[branch_id - 1], log, steps))
    if before is None and (not shown or shown[-1].id != log.branch_id):
        shown.append(_branch(forks[log.branch_id - 1], log, []))
    return Steps(shown, len(forks) > 1, _node(entries[0]) if has_earlier else None)


def _node(entry: DurableEntry) -> Node:
    return Node(entry.branch_id, entry.node_id)


def _branch(fork: durable_queries.Branch, log: DurableTask, steps: list[Step]) -> Branch:
    return Branch(fork.id, fork.id == log.branch_id, fork.parent_id, fork.first_node, steps)


def _children(task: Task, entries: Iterable[DurableEntry]) -> dict[UUID, Run]:
    ids = [entry.child_run_id for entry in entries if entry.child_run_id is not None]
    found = Run.objects.filter(tenant_id=task.tenant_id, id__in=ids).only("id", "status")
    return {run.id: run for run in found} if ids else {}


def _step(
    entry: DurableEntry,
    waits: Sequence[DurableWait],
    children: Mapping[UUID, Run],
    task: Task,
    *,
    is_left: bool,
) -> Step:
    kind = DurableKind(entry.kind)
    groups, more = _groups(entry, waits)
    state, words = _state(entry, kind, task, is_left=is_left)
    child = children.get(entry.child_run_id) if entry.child_run_id else None
    return Step(
        entry.node_id,
        entry.branch_id,
        state,
        words,
        _title(kind, groups),
        entry.label,
        entry.created_at,
        entry.satisfied_at,
        groups if kind is DurableKind.WAIT_FOR else [],
        more,
        is_left,
        is_open=entry.satisfied_at is None and not is_left and not Status(task.status).is_final,
        child=child,
        error=getattr(entry, "error_head", None) or "",
    )


def _state(entry: DurableEntry, kind: DurableKind, task: Task, *, is_left: bool) -> tuple[str, str]:
    """The colour and shape of a step, and the word for it."""
    if entry.satisfied_at is not None:
        has_failed = getattr(entry, "error_head", None) is not None
        return ("failed", "Failed") if has_failed else ("completed", "Done")
    if is_left:
        return "skipped", "Not done"
    if Status(task.status).is_final:
        return "pending", "Open"
    return ("running", "Computing") if kind is DurableKind.MEMO else ("waiting", "Waiting")


def _title(kind: DurableKind, groups: list[list[Condition]]) -> Condition:
    if kind is DurableKind.MEMO:
        return Condition("copy", "Remembered value")
    if not groups:
        return Condition("completed", "Wait for nothing")
    if len(groups) == 1 and len(groups[0]) == 1:
        return groups[0][0]
    if len(groups) == 1:
        return Condition("waiting", "Wait for the first of")
    return Condition("waiting", "Wait for all of")


def _groups(entry: DurableEntry, waits: Sequence[DurableWait]) -> tuple[list[list[Condition]], int]:
    """What an entry waits for, and how many conditions more than are shown."""
    detail = getattr(entry, "small_detail", None)
    listed = json.loads(detail) if detail else []
    number = sum(len(one.get("or", [one])) for one in listed)
    if waits:
        by_group: dict[int, list[Condition]] = {}
        for wait in waits:
            by_group.setdefault(wait.group, []).append(_open_condition(wait))
        groups = list(by_group.values())
    elif detail is None and getattr(entry, "detail_length", None):
        groups = [[Condition("waiting", "More conditions than a page can show")]]
    else:
        groups = [[_condition(each) for each in one.get("or", [one])] for one in listed]
    shown, room = [], CONDITIONS_SHOWN
    for group in groups:
        if room > 0:
            shown.append(group[:room])
            room -= len(group)
    return shown, max(number - CONDITIONS_SHOWN, 0)


def _condition(said: Mapping[str, Any]) -> Condition:
    """A condition as the log keeps it for good."""
    if said["kind"] == "SLEEP":
        return _sleep(said["sleepDurationMs"] / 1000)
    if said["kind"] == "USER_EVENT":
        return Condition("event", "Event", said["eventKey"])
    return Condition("play", "Child run of", said["workflowName"])


def _open_condition(wait: DurableWait) -> Condition:
    """A condition that is still looked after, which is known more closely."""
    if wait.is_event:
        condition = Condition("event", "Event", wait.source)
        condition.scope, condition.since = wait.scope, wait.since
        condition.expression = wait.expression
    else:
        condition = _sleep(parse_durable_sleep(wait.source, "sleep"))
        condition.until, condition.is_endless = wait.due_at, wait.due_at is None
    condition.is_met = wait.satisfied_at is not None
    return condition


def _sleep(seconds: float) -> Condition:
    is_short = seconds < 60 and seconds == int(seconds)
    return Condition("clock", "Sleep", f"{seconds:.0f} s" if is_short else duration_text(seconds))
