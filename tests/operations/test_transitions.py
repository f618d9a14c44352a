"""Whatever happens in whatever order, tasks and runs go only where engine.states.transitions says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from engine.models import Task
from engine.states import Status
from engine.states.transitions import (
    NEXT_ATTEMPT_ARROWS,
    RUN_ARROWS,
    TASK_ARROWS,
    TASK_STAGES,
    TaskFlags,
    TaskStage,
    task_stage,
)
from tests.operations.histories import (
    INPUTS,
    MOST_RUNS,
    MOVES,
    WORKFLOWS,
    Change,
    History,
    Move,
    changes_since,
    record_changes,
)

HISTORIES = 40
LENGTH = 45
NAMES = sorted(WORKFLOWS)
PLAIN = (
    "action_id",
    "status",
    "retry_count",
    "queue_priority",
    "is_delayed",
    "is_held",
    "is_evicted",
)
MOVE_OF = {move.name: move for move in MOVES}
ALWAYS = tuple(MOVE_OF[name] for name in ("assign", "complete", "evict"))
SECONDS = (1.0, 1.0, 11.0, 11.0, 70.0, 310.0)
EVENTS = ("skip", "cancel", "paid")
KINDS = ("move",) * 10 + ("trigger", "time", "event", "wrong move")

RARE = (
    "durable: assign, evict, restore, pause, unpause, assign",
    "durable: assign, evict, restore, pause, cancel",
    "durable: assign, evict, restore, cancel",
    "durable: assign, evict, fail",
    "durable: assign, evict, fail until later",
    "durable: assign, evict, fail for good",
    "durable: assign, evict, complete",
    "durable: assign, evict, cancel",
    "durable: assign, release slot, evict",
    "plain: assign, release slot, fail",
    "plain: assign, release slot, fail until later",
    "plain: assign, release slot, fail for good",
    "plain: assign, release slot, complete",
    "plain: assign, release slot, cancel",
    "waiting: event skip",
    "mixed without key: 11 s",
    "graph: cancel run first, replay rescue, replay run first",
    (
        "graph: assign first, complete first, assign second, complete second, 11 s, assign third,"
        " complete third, assign last, complete last, replay last"
    ),
    (
        "graph: assign first, complete first, assign second, fail for good second, 11 s, assign third,"
        " complete third, assign rescue, complete rescue, replay run first"
    ),
)
"""Histories for arrows that chance seldom takes: a workflow and what happens to its run."""

TaskArrow = tuple[TaskStage | None, TaskStage, int]
"""From, to, and by how much the number of the attempt grew."""


def stage_of(row: dict[str, Any]) -> TaskStage:
    flags = TaskFlags(
        Status(row["status"]),
        is_delayed=row["is_delayed"],
        is_held=row["is_held"],
        is_evicted=row["is_evicted"],
        is_skipped=row["is_skipped"],
        is_slot_released=row["is_slot_released"],
        has_due_at=row["due_at"] is not None,
        has_worker=row["worker_id"] is not None,
    )
    return task_stage(flags)


def task_arrow(change: Change) -> TaskArrow | None:
    """Return the arrow that a task took, None if it stayed. AssertionError if there is none."""
    assert change.after is not None, "a task's row is never deleted"
    before = stage_of(change.before) if change.before else None
    after = stage_of(change.after)
    retried = change.after["retry_count"] - (change.before or change.after)["retry_count"]
    if before is after and not retried:
        return None
    arrows = {0: TASK_ARROWS, 1: NEXT_ATTEMPT_ARROWS}.get(retried, {})
    assert after in arrows.get(before, ()), f"{before} to {after}, {retried} attempts later"
    return before, after, retried


def run_arrow(change: Change) -> tuple[Status | None, Status] | None:
    """Return the arrow that a run took, None if it stayed. AssertionError if there is none."""
    assert change.after is not None, "a run's row is never deleted"
    before = Status(change.before["status"]) if change.before else None
    after = Status(change.after["status"])
    assert after.is_final == (change.after["finished_at"] is not None)
    if before is after:
        return None
    assert after in RUN_ARROWS[before], f"run from {before} to {after}"
    return before, after


def all_arrows() -> tuple[set[Any], set[Any]]:
    of_tasks = {
        (before, after, retried)
        for retried, arrows in enumerate((TASK_ARROWS, NEXT_ATTEMPT_ARROWS))
        for before, following in arrows.items()
        for after in following
    }
    return of_tasks, {(before, after) for before, found in RUN_ARROWS.items() for after in found}


class Walk:
    """One history: what happened, and how the rows stand that came of it."""

    def __init__(self, history: History, taken: Counter[Any], chance: Random) -> None:
        self.history = history
        self.taken = taken
        self.chance = chance
        self.names = chance.sample(NAMES, 3)
        self.moves = [*ALWAYS, *chance.sample(MOVES, len(MOVES) // 2)]
        self.happened: list[str] = []
        self.rows: dict[str, dict[str, dict[str, Any]]] = {"task": {}, "run": {}}

    def tasks(self) -> list[Task]:
        return [task_of(row) for _, row in sorted(self.rows["task"].items())]

    def look(self) -> None:
        """Follow what has changed."""
        for change in changes_since():
            self.taken[task_arrow(change) if change.name == "task" else run_arrow(change)] += 1
            assert change.after is not None
            self.rows[change.name][change.after["id"]] = change.after
        self._check_agreement()

    def _check_agreement(self) -> None:
        """A run is final with its tasks, and a standalone one stands where its task does."""
        statuses_of: dict[str, set[Status]] = defaultdict(set)
        for task in self.rows["task"].values():
            statuses_of[task["run_id"]].add(Status(task["status"]))
        for run_id, run in self.rows["run"].items():
            statuses, status = statuses_of[run_id], Status(run["status"])
            if status.is_final:
                assert all(status.is_final for status in statuses)
            elif not run["is_dag"]:
                assert not any(status.is_final for status in statuses)
            if status.is_final and not run["is_dag"]:
                assert statuses == {status}

    def happen(self) -> None:
        """Let something happen: mostly to a task that it suits, sometimes to one that it does not."""
        chance, tasks = self.chance, self.tasks()
        kind = chance.choice(KINDS) if tasks else "trigger"
        if kind == "time":
            self.pass_time(chance.choice(SECONDS))
        elif kind == "event":
            self.push(chance.choice(EVENTS))
        elif kind == "trigger":
            if len(self.rows["run"]) < MOST_RUNS:
                is_assigned = chance.random() < 0.3
                name, given = chance.choice(self.names), chance.choice(INPUTS)
                self.trigger(name, given, is_assigned=is_assigned)
        else:
            task = chance.choice(tasks)
            suited = [move for move in self.moves if move.suits(task)]
            self.move(chance.choice(suited if suited and kind == "move" else MOVES), task)

    def follow(self, told: str) -> None:
        """Let this happen to a run of a workflow: "11 s", "event skip", "assign", or "assign first" of several."""
        name, what_happens = told.split(": ")
        kind = name.removesuffix(" without key")
        self.trigger(kind, INPUTS[kind != name])
        for what in what_happens.split(", "):
            if what.endswith(" s"):
                self.pass_time(float(what.removesuffix(" s")))
            elif what.startswith("event "):
                self.push(what.removeprefix("event "))
            else:
                tasks = self.tasks()
                named = {task.action_id.removeprefix("flow:"): task for task in tasks}
                step = next((step for step in named if what.endswith(f" {step}")), None)
                task = named[step] if step else tasks[0]
                self.move(MOVE_OF[what.removesuffix(f" {step}")], task)

    def trigger(self, name: str, given: bytes = INPUTS[0], *, is_assigned: bool = False) -> None:
        self.happened.append(f"trigger {name} {given!r} {is_assigned}")
        start = History.trigger_assigned if is_assigned else History.trigger
        start(self.history, name, given)
        self.look()

    def pass_time(self, seconds: float) -> None:
        self.happened.append(f"{seconds} s")
        self.history.pass_time(seconds)
        self.look()

    def push(self, key: str) -> None:
        self.happened.append(f"event {key}")
        self.history.push(key)
        self.look()

    def move(self, move: Move, task: Task) -> None:
        self.happened.append(f"{move.name} {task.action_id} of run {task.run_id}")
        move.act(self.history, task)
        self.look()


def task_of(row: dict[str, Any]) -> Task:
    """Return a task as a move needs it, from its row in JSON."""
    ids = {
        name: UUID(row[name])
        for name in row
        if name.endswith("id") and row[name] and name not in PLAIN
    }
    return Task(**{name: row[name] for name in PLAIN}, **ids)


@pytest.fixture
def history(db: None) -> History:
    record_changes()
    history = History()
    changes_since()
    return history


@contextmanager
def walking(history: History, taken: Counter[Any], seed: int = 0) -> Iterator[Walk]:
    """Take a walk whose rows are gone afterwards; an error tells what happened on it."""
    walk = Walk(history, taken, Random(seed))
    with transaction.atomic():
        try:
            yield walk
        except (AssertionError, ValueError) as error:
            error.add_note(f"seed {seed}: " + ", ".join(walk.happened))
            raise
        transaction.set_rollback(True)


def test_no_history_leaves_the_arrows_and_every_arrow_is_taken(history: History) -> None:
    taken: Counter[Any] = Counter()
    for seed in range(HISTORIES):
        with walking(history, taken, seed) as walk:
            for _ in range(LENGTH):
                walk.happen()
    for rare in RARE:
        with walking(history, taken) as walk:
            walk.follow(rare)
    of_tasks, of_runs = all_arrows()
    assert (of_tasks | of_runs) - taken.keys() == set()


@pytest.mark.parametrize(
    "flags",
    [
        TaskFlags(Status.RUNNING, has_due_at=True),
        TaskFlags(Status.RUNNING, is_delayed=True, has_due_at=True, has_worker=True),
        TaskFlags(Status.QUEUED, has_due_at=True, has_worker=True),
        TaskFlags(Status.COMPLETED, has_due_at=True),
        TaskFlags(Status.FAILED, is_evicted=True),
    ],
)
def test_what_no_task_can_look_like_is_refused(flags: TaskFlags) -> None:
    with pytest.raises(ValueError, match="no task can look like this"):
        task_stage(flags)


def test_stages_differ_in_what_tells_them() -> None:
    for stage, wanted in TASK_STAGES.items():
        either: dict[str, Any] = {
            name: False for name, flag in wanted._asdict().items() if flag is None
        }
        assert task_stage(wanted._replace(**either)) is stage
