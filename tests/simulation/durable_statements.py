"""What the statements about the logs of durable tasks do, for rows in memory."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

import orjson

from engine.states import DurableKind, Status
from tests.simulation.statements import (
    Params,
    Rows,
    due_at,
    lock_logs,
    lock_tasks,
    statement,
)
from tests.simulation.store import Row, Transaction

# Logs


@statement("durable_task.begin", lock_logs)
def _(tx: Transaction, p: Params) -> Rows:
    begun = []
    for task_id in p["task_ids"]:
        log = tx.get("log", task_id) or {
            "task_id": task_id,
            "invocation": 0,
            "branch_id": 1,
            "order": 0,
            "forks": None,
            "restored": 0,
        }
        begins = {"invocation": log["invocation"] + 1, "node_id": 0, "passed": None}
        log = tx.put("log", task_id, **{**log, **begins})
        begun.append((task_id, log["invocation"]))
    return begun


@statement("durable_task.lock", lock_logs)
def _(tx: Transaction, p: Params) -> Rows:
    return _logs(tx, p)


@statement("durable_task.read")
def _(tx: Transaction, p: Params) -> Rows:
    return _logs(tx, p)


def _logs(tx: Transaction, p: Params) -> Rows:
    found = [log for task_id in sorted(p["task_ids"]) if (log := tx.get("log", task_id))]
    columns = ("invocation", "branch_id", "node_id", "order", "forks", "passed", "restored")
    return [(log["task_id"], None, *(log[name] for name in columns)) for log in found]


@statement("durable_task.states")
def _(tx: Transaction, p: Params) -> Rows:
    found = [row for task_id in p["task_ids"] if (row := tx.get("task", task_id))]
    return [
        (
            *(t["id"], t["tenant_id"], t["id"], t["version_id"], t["step_id"], t["status"]),
            *(t["is_evicted"], t["retry_count"], t["assigned_at"], None, None, None),
        )
        for t in found
    ]


@statement("durable_task.save")
def _(tx: Transaction, p: Params) -> Rows:
    names = {
        "branch_id": "branch_ids",
        "node_id": "node_ids",
        "order": "satisfied_orders",
        "forks": "forks",
        "passed": "passed",
        "restored": "restored_counts",
    }
    for at, task_id in enumerate(p["task_ids"]):
        tx.put("log", task_id, **{column: p[name][at] for column, name in names.items()})
    return []


@statement("durable_task.invocations")
def _(tx: Transaction, p: Params) -> Rows:
    found = [log for task_id in p["task_ids"] if (log := tx.get("log", task_id))]
    return [(log["task_id"], log["invocation"]) for log in found]


@statement("durable_task.deliveries")
def _(tx: Transaction, p: Params) -> Rows:
    found = []
    for task_id, retry_count in zip(p["task_ids"], p["retry_counts"], strict=True):
        log, t = tx.get("log", task_id), tx.get("task", task_id)
        if log and t:
            is_past = t["retry_count"] != retry_count and t["worker_id"] is not None
            found.append((task_id, retry_count, log["invocation"] - is_past))
    return found


@statement("durable_task.evict", lock_tasks)
def _(tx: Transaction, p: Params) -> Rows:
    evicted = []
    for task_id, retry_count in zip(p["task_ids"], p["retry_counts"], strict=True):
        t = tx.get("task", task_id)
        if t and t["status"] == Status.RUNNING and not t["is_evicted"]:
            assert t["retry_count"] == retry_count
            tx.put("task", task_id, is_evicted=True, worker_id=None)
            evicted.append((task_id, t["tenant_id"], task_id, retry_count))
    return evicted


@statement("durable_task.restore", lock_tasks)
def _(tx: Transaction, p: Params) -> Rows:
    restored = []
    for task_id in p["task_ids"]:
        t = tx.get("task", task_id)
        if t and t["status"] == Status.RUNNING and t["is_evicted"]:
            tx.put("task", task_id, status=Status.QUEUED)
            restored.append((task_id,))
    return restored


# Entries

_COLUMNS = (
    *("task_id", "branch_id", "node_id", "kind", "identity", "description", "detail", "label"),
    *("dedupe_key", "child_run_id", "is_awaited", "is_satisfied", "order", "result", "error"),
)


def _columns(entry: Row) -> tuple[Any, ...]:
    return tuple(entry[name] for name in _COLUMNS)


@statement("durable_entry.in_ranges")
def _(tx: Transaction, p: Params) -> Rows:
    return _in_ranges(tx, p)


def _in_ranges(tx: Transaction, p: Params) -> Rows:
    names = ("task_ids", "branch_ids", "first_nodes", "last_nodes")
    found = []
    for task_id, branch, first, last in zip(*(p[name] for name in names), strict=True):
        node = first
        while node <= last and (entry := tx.get("entry", task_id, branch, node)) is not None:
            found.append(_columns(entry))
            node += 1
    return found


@statement("durable_entry.outlines")
def _(tx: Transaction, p: Params) -> Rows:
    return [(*columns[:-2], None, None) for columns in _in_ranges(tx, p)]


@statement("durable_entry.with_keys")
def _(tx: Transaction, p: Params) -> Rows:
    wanted = set(zip(p["task_ids"], p["keys"], strict=True))
    return [_columns(e) for e in tx.scan("entry") if (e["task_id"], e["dedupe_key"]) in wanted]


@statement("durable_entry.of_children")
def _(tx: Transaction, p: Params) -> Rows:
    wanted = set(zip(p["task_ids"], p["run_ids"], strict=True))
    return [
        _columns(e)
        for e in tx.scan("entry")
        if (e["task_id"], e["child_run_id"]) in wanted and not e["is_satisfied"]
    ]


@statement("durable_entry.satisfied_since")
def _(tx: Transaction, p: Params) -> Rows:
    since = dict(zip(p["task_ids"], p["since"], strict=True))
    found = {
        e["task_id"]: None
        for e in tx.scan("entry")
        if e["task_id"] in since
        and e["is_satisfied"]
        and e["satisfied_at"] >= since[e["task_id"]]
        and (
            e["kind"] == DurableKind.WAIT_FOR or (e["kind"] == DurableKind.RUN and e["is_awaited"])
        )
    }
    return [(task_id,) for task_id in found]


@statement("durable_entry.orders")
def _(tx: Transaction, p: Params) -> Rows:
    found = [
        (e["task_id"], e["branch_id"], e["node_id"], e["order"])
        for e in tx.scan("entry")
        if e["task_id"] in p["task_ids"] and e["order"] is not None
    ]
    return sorted(found, key=lambda row: (row[0], row[3]))


@statement("durable_entry.reaches")
def _(tx: Transaction, p: Params) -> Rows:
    nodes: dict[tuple[UUID, int, int], list[int]] = defaultdict(list)
    for e in tx.scan("entry"):
        if e["task_id"] in p["task_ids"] and e["recorded_after"] is not None:
            group = e["task_id"], e["branch_id"], e["recorded_after"]
            nodes[group].append(e["node_id"])
    return sorted((*group, min(found), max(found)) for group, found in nodes.items())


@statement("durable_entry.marks")
def _(tx: Transaction, p: Params) -> Rows:
    names = ("branch_id", "node_id", "kind", "is_awaited", "recorded_after", "order")
    return [
        (*(e[name] for name in names), e["created_at"], e["satisfied_at"])
        for e in tx.scan("entry")
        if e["task_id"] == p["task_id"]
    ]


@statement("durable_entry.insert")
def _(tx: Transaction, p: Params) -> Rows:
    names = {
        "task_id": "task_ids",
        "branch_id": "branch_ids",
        "node_id": "node_ids",
        "kind": "kinds",
        "identity": "identities",
        "description": "descriptions",
        "detail": "details",
        "label": "labels",
        "dedupe_key": "dedupe_keys",
        "child_run_id": "child_run_ids",
        "is_awaited": "awaited",
        "is_satisfied": "satisfied",
        "order": "satisfied_orders",
        "recorded_after": "recorded_after",
        "result": "results",
        "error": "errors",
    }
    for at in range(len(p["task_ids"])):
        entry = {column: p[name][at] for column, name in names.items()}
        place = entry["task_id"], entry["branch_id"], entry["node_id"]
        assert tx.get("entry", *place) is None, f"{place} is taken"
        at_once = p["now"] if entry["is_satisfied"] else None
        tx.put("entry", *place, **entry, created_at=p["now"], satisfied_at=at_once)
    return []


@statement("durable_entry.update")
def _(tx: Transaction, p: Params) -> Rows:
    places = zip(p["task_ids"], p["branch_ids"], p["node_ids"], strict=True)
    for at, place in enumerate(places):
        columns = {"is_awaited": p["awaited"][at], "order": p["satisfied_orders"][at]}
        if p["outcomes"][at]:
            outcome = {"result": p["results"][at], "error": p["errors"][at]}
            columns |= {"is_satisfied": True, "satisfied_at": p["now"], **outcome}
        tx.put("entry", *place, **columns)
    return []


@statement("ended_child.take")
def _(tx: Transaction, p: Params) -> Rows:
    taken = [c for c in tx.scan("ended") if tx.try_lock("ended", c["run_id"])]
    for child in taken:
        tx.delete("ended", child["run_id"])
    return [(c["run_id"], c["tenant_id"], c["task_id"]) for c in taken]


# Waits


@statement("durable_wait.insert")
def _(tx: Transaction, p: Params) -> Rows:
    names = {
        "task_id": "task_ids",
        "branch_id": "branch_ids",
        "node_id": "node_ids",
        "ordinal": "ordinals",
        "group": "groups",
        "is_event": "events",
        "source": "sources",
        "data_key": "data_keys",
        "expression": "expressions",
        "scope": "scopes",
        "is_met": "met",
        "payload": "payloads",
    }
    for at in range(len(p["task_ids"])):
        wait = {column: p[name][at] for column, name in names.items()}
        until = due_at(p["now"], p["sleeps"][at])
        place = wait["task_id"], wait["branch_id"], wait["node_id"], wait["ordinal"]
        tx.put("wait", *place, **wait, due_at=until, is_dropped=False)
    return []


def _open_waits(tx: Transaction) -> list[Row]:
    return [w for w in tx.scan("wait") if not w["is_met"] and not w["is_dropped"]]


def _open_columns(wait: Row) -> tuple[Any, ...]:
    names = ("task_id", "branch_id", "node_id", "ordinal", "source", "expression", "scope")
    return tuple(wait[name] for name in names)


@statement("durable_wait.for_events")
def _(tx: Transaction, p: Params) -> Rows:
    found = [
        _open_columns(w) for w in _open_waits(tx) if w["is_event"] and w["source"] in p["keys"]
    ]
    return sorted(found, key=lambda row: row[:4])


@statement("durable_wait.due")
def _(tx: Transaction, p: Params) -> Rows:
    due = [w for w in _open_waits(tx) if w["due_at"] is not None and w["due_at"] <= p["now"]]
    return [_open_columns(w) for w in sorted(due, key=lambda w: w["due_at"])]


def _of(tx: Transaction, p: Params) -> list[Row]:
    places = set(zip(p["task_ids"], p["branch_ids"], p["node_ids"], strict=True))
    found = [w for w in tx.scan("wait") if (w["task_id"], w["branch_id"], w["node_id"]) in places]
    return sorted(found, key=_place)


def _place(wait: Row) -> tuple[UUID, int, int, int]:
    return wait["task_id"], wait["branch_id"], wait["node_id"], wait["ordinal"]


@statement("durable_wait.of_entries")
def _(tx: Transaction, p: Params) -> Rows:
    names = ("group", "is_event", "source", "data_key", "is_met", "payload")
    return [(*_place(w), *(w[name] for name in names)) for w in _of(tx, p) if not w["is_dropped"]]


@statement("durable_wait.satisfy")
def _(tx: Transaction, p: Params) -> Rows:
    names = ("task_ids", "branch_ids", "node_ids", "ordinals", "payloads")
    for *place, payload in zip(*(p[name] for name in names), strict=True):
        tx.put("wait", *place, is_met=True, payload=payload)
    return []


@statement("error_group.note")
@statement("ended_wait.insert")
def _(_tx: Transaction, _p: Params) -> Rows:
    """People read them, and nothing else does."""
    return []


@statement("durable_wait.forget")
def _(tx: Transaction, p: Params) -> Rows:
    for wait in _of(tx, p):
        tx.delete("wait", *_place(wait))
    return []


@statement("durable_wait.nodes")
def _(tx: Transaction, p: Params) -> Rows:
    found = {
        (w["branch_id"], w["node_id"]) for w in tx.scan("wait") if w["task_id"] == p["task_id"]
    }
    return sorted(found)


@statement("durable_wait.drop")
def _(tx: Transaction, p: Params) -> Rows:
    dropped = {
        (p["task_id"], branch, node): is_dropped
        for branch, node, is_dropped in zip(
            p["branch_ids"], p["node_ids"], p["dropped"], strict=True
        )
    }
    for wait in list(tx.scan("wait")):
        if (place := _place(wait)[:3]) in dropped:
            tx.put("wait", *_place(wait), is_dropped=dropped[place])
    return []


def forks_of(log: Row) -> list[tuple[int, int]]:
    """Return where each branch of a log leaves which other."""
    return [(parent, first) for parent, first in orjson.loads(log["forks"] or b"[]")]
