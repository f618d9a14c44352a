"""What the statements about runs, tasks and events do, for rows in memory. All runs have one task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.domain.definition_form import canonical_form
from engine.states import PayloadKind, RunTrigger, Status
from tests.simulation.store import Locks, Statement, Transaction, log_lock, task_lock

Params = Mapping[str, Any]
Rows = list[tuple[Any, ...]]

STATEMENTS: dict[str, tuple[Statement, Locks | None]] = {}


def statement(name: str, locks: Locks | None = None) -> Callable[[Statement], Statement]:
    def register(function: Statement) -> Statement:
        STATEMENTS[name] = function, locks
        return function

    return register


def lock_tasks(_: Transaction, params: Params) -> list[tuple[str, Any, bool]]:
    ids = params["ids"] if "ids" in params else params["task_ids"]
    return [task_lock(task_id) for task_id in sorted(ids)]


def lock_logs(_: Transaction, params: Params) -> list[tuple[str, Any, bool]]:
    return [log_lock(task_id) for task_id in sorted(params["task_ids"])]


def nothing(_: Transaction, __: Params) -> Rows:
    return []


for _name in (
    "lease.hold",
    "run.give_way",
    "run.ended_with_keys",
    "task_event.insert",
    "event.triggers",
    "filter.for_events",
    "step_wait.for_events",
    "worker.recover_late",
):
    STATEMENTS[_name] = nothing, None


def define(tx: Transaction, ids: Mapping[str, Any], name: str, step: StepDefinition) -> None:
    definition = canonical_form(WorkflowDefinition(name, (step,))).decode()
    tx.put("workflow", name, name=name, definition=definition, **ids)


@statement("workflow.resolve")
def _(tx: Transaction, p: Params) -> Rows:
    found = [tx.get("workflow", name) for name in p["names"]]
    return [(row["name"], row["version_id"]) for row in found if row]


@statement("workflow.versions")
def _(tx: Transaction, p: Params) -> Rows:
    return [
        (w["version_id"], w["workflow_id"], w["tenant_id"], w["definition"], [w["step_id"]])
        for w in tx.scan("workflow")
        if w["version_id"] in p["ids"]
    ]


# Runs


@statement("run.insert_standalone")
def _(tx: Transaction, p: Params) -> Rows:
    for at, task_id in enumerate(p["ids"]):
        kind = p["kinds"][at] - 1
        tx.put(
            "task",
            task_id,
            id=task_id,
            tenant_id=p["kind_tenant_ids"][kind],
            workflow_id=p["kind_workflow_ids"][kind],
            version_id=p["kind_version_ids"][kind],
            step_id=p["kind_step_ids"][kind],
            action_id=p["kind_action_ids"][kind],
            status=Status.QUEUED,
            priority=p["priorities"][at],
            retry_count=0,
            app_retry_count=0,
            internal_retry_count=0,
            worker_id=None,
            is_delayed=False,
            is_evicted=False,
            assigned_at=None,
            started_at=None,
            trigger=p["triggers"][at],
            input=p["inputs"][at],
            parent_task_id=(p["parent_task_ids"] or {at: None})[at],
            child_index=(p["child_indexes"] or {at: None})[at],
            child_key=(p["child_keys"] or {at: None})[at],
            output=None,
            error=None,
        )
    return []


@statement("run.find_external")
def _(tx: Transaction, p: Params) -> Rows:
    return [(i, i, None, False) for i in p["ids"] if tx.get("task", i)]


@statement("run.parents")
def _(tx: Transaction, p: Params) -> Rows:
    return [(i, i, 0, None, None) for i in p["task_ids"] if tx.get("task", i)]


@statement("run.results")
def _(tx: Transaction, p: Params) -> Rows:
    found = [row for i in sorted(p["ids"]) if (row := tx.get("task", i))]
    return [
        (
            row["id"],
            None,
            row["status"],
            row["id"],
            "step",
            row["status"],
            False,
            row["output"] if row["status"] == Status.COMPLETED else None,
            row["error"] if row["status"] == Status.FAILED else None,
        )
        for row in found
        if row["status"] >= Status.COMPLETED or not p["finished_only"]
    ]


# Tasks


def finish(tx: Transaction, task_id: Any, **columns: Any) -> bool:
    """End a task and its run; say whether that is a child of a durable task."""
    row = tx.put("task", task_id, is_delayed=False, is_evicted=False, **columns)
    if row["trigger"] != RunTrigger.DURABLE_CHILD:
        return False
    ended = {"tenant_id": row["tenant_id"], "task_id": row["parent_task_id"]}
    tx.put("ended", task_id, run_id=task_id, **ended)
    return True


@statement("task.assign", lock_tasks)
def _(tx: Transaction, p: Params) -> Rows:
    rows = []
    wanted = zip(p["ids"], p["retry_counts"], p["worker_ids"], strict=True)
    for task_id, retry_count, worker_id in wanted:
        row = tx.get("task", task_id)
        if row and (row["status"], row["retry_count"]) == (Status.QUEUED, retry_count):
            row = tx.put(
                "task",
                task_id,
                status=Status.RUNNING,
                worker_id=worker_id,
                assigned_at=p["now"],
                started_at=None,
                is_evicted=False,
            )
            ids = (task_id, task_id, retry_count, row["step_id"], row["version_id"], worker_id)
            child = (row["child_index"], row["child_key"])
            rows.append((*ids, p["now"], 1, None, None, *child, None, None, row["input"], None))
    return rows


@statement("task.start", lock_tasks)
def _(tx: Transaction, p: Params) -> Rows:
    started = []
    for task_id, retry_count in zip(p["ids"], p["retry_counts"], strict=True):
        row = tx.get("task", task_id)
        if row and (row["status"], row["retry_count"]) == (Status.RUNNING, retry_count):
            tx.put("task", task_id, started_at=p["now"])
            started.append((task_id, task_id))
    return started


@statement("task.complete_standalone", lock_tasks)
def _(tx: Transaction, p: Params) -> Rows:
    completed = []
    for task_id, count, output in zip(p["ids"], p["retry_counts"], p["outputs"], strict=True):
        row = tx.get("task", task_id)
        if row and (row["status"], row["retry_count"]) == (Status.RUNNING, count):
            is_child = finish(tx, task_id, status=Status.COMPLETED, output=output)
            completed.append((task_id, count, row["step_id"], row["version_id"], is_child))
    return completed


@statement("task.locate")
def _(tx: Transaction, p: Params) -> Rows:
    return [(i, t, i) for i, t in zip(p["ids"], p["tenant_ids"], strict=True) if tx.get("task", i)]


@statement("task.lock", lock_tasks)
def _(tx: Transaction, p: Params) -> Rows:
    return [_task_row(tx, i) for i in sorted(p["ids"]) if tx.get("task", i)]


@statement("task.by_ids")
def _(tx: Transaction, p: Params) -> Rows:
    return [_task_row(tx, i) for i in sorted(p["ids"]) if tx.get("task", i)]


def _task_row(tx: Transaction, task_id: Any) -> tuple[Any, ...]:
    t = tx.get("task", task_id)
    assert t is not None
    return (
        *(task_id, t["tenant_id"], task_id, t["workflow_id"], t["version_id"], t["step_id"]),
        *(t["action_id"], t["status"], t["priority"], t["retry_count"], t["app_retry_count"]),
        *(t["internal_retry_count"], t["worker_id"], t["is_delayed"], False, False, None),
        *(t["started_at"], None, None, False, None, t["is_evicted"], t["assigned_at"]),
    )


@statement("task.settle", lock_tasks)
def _(tx: Transaction, p: Params) -> Rows:
    settled = zip(p["ids"], p["statuses"], strict=True)
    return [(i,) for i, status in settled if finish(tx, i, status=Status(status))]


@statement("task.requeue", lock_tasks)
def _(tx: Transaction, p: Params) -> Rows:
    counts = zip(p["ids"], p["app_retry_counts"], p["internal_retry_counts"], strict=True)
    rows = []
    for task_id, app, internal in counts:
        row = tx.get("task", task_id)
        assert row is not None
        tx.put(
            "task",
            task_id,
            status=Status.QUEUED,
            retry_count=row["retry_count"] + 1,
            app_retry_count=app,
            internal_retry_count=internal,
            worker_id=None,
            is_evicted=False,
            assigned_at=None,
            started_at=None,
        )
        rows.append((task_id, row["retry_count"] + 1))
    return rows


@statement("task.reset_run")
def _(tx: Transaction, p: Params) -> Rows:
    return [(i,) for i in p["ids"]]


@statement("task.on_lost_workers")
def _(tx: Transaction, p: Params) -> Rows:
    found = [
        t
        for t in tx.scan("task")
        if t["worker_id"] in p["worker_ids"] and t["status"] == Status.RUNNING
    ]
    return sorted((t["id"], t["id"], t["retry_count"]) for t in found)


@statement("payload.insert")
def _(tx: Transaction, p: Params) -> Rows:
    for owner_id, kind, data in zip(p["owner_ids"], p["kinds"], p["data"], strict=True):
        if kind == PayloadKind.ERROR:
            tx.put("task", owner_id, error=data)
    return []


@statement("payload.delete_outputs")
def _(tx: Transaction, p: Params) -> Rows:
    for owner_id in p["owner_ids"]:
        tx.put("task", owner_id, output=None)
    return []


# Events


@statement("event.insert")
def _(tx: Transaction, p: Params) -> Rows:
    events = zip(p["ids"], p["keys"], p["scopes"], p["payloads"], strict=True)
    for event_id, key, scope, payload in events:
        columns = {"key": key, "scope": scope, "payload": payload, "seen_at": p["now"]}
        tx.put("event", event_id, id=event_id, **columns)
    return []


@statement("durable_wait.look_back")
def _(tx: Transaction, p: Params) -> Rows:
    found = []
    searches = zip(
        *(p[name] for name in ("numbers", "keys", "scopes", "since", "before_ids", "limits")),
        strict=True,
    )
    for number, key, scope, since, before_id, limit in searches:
        fitting = [
            e
            for e in tx.scan("event")
            if (e["key"], e["scope"]) == (key, scope)
            and e["seen_at"] >= since
            and e["id"] < before_id
        ]
        newest = sorted(fitting, key=lambda e: e["id"], reverse=True)[:limit]
        found += [(number, e["id"], e["payload"]) for e in newest]
    return found


def _scopes(is_shared: bool) -> Locks:
    return lambda _, p: [("scope", scope, is_shared) for scope in sorted(set(p["scopes"]))]


STATEMENTS["durable_wait.lock_scopes"] = nothing, _scopes(False)
STATEMENTS["durable_wait.share_scopes"] = nothing, _scopes(True)


def due_at(now: Any, seconds: float | None) -> Any:
    return None if seconds is None else now + timedelta(seconds=seconds)
