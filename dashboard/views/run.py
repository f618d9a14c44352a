"""One run: what it was given, where it stands, what happened, what came out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render

from dashboard import snippets
from dashboard.attempts import Attempt, Times, attempts_of, deciding_attempt, times_of
from dashboard.definitions import definition_of, drawing, on_failure_steps
from dashboard.durable_run import DurableTasks, durable_context, durable_tasks_of
from dashboard.event_words import words_of
from dashboard.gantt import chart_of
from dashboard.gate import PageRequest, tenant_page
from dashboard.payloads import (
    HEAD_BYTES,
    SMALL_BYTES,
    Shown,
    attachment,
    download,
    show_stored,
    show_text,
)
from dashboard.rendering import render_fragment
from dashboard.waterfall import trace_context
from engine.domain.definition import WorkflowDefinition
from engine.models import task_queries
from engine.models.run_queries import runs_of, with_attempt_times, with_workflow_names
from engine.models.runs import LogLine, Payload, Run, Task
from engine.models.wide_columns import with_small
from engine.operations import copy_schedulers
from engine.operations.explain_tasks import explain_tasks
from engine.states import LogLevel, PayloadKind, RunTrigger, Status
from engine.store import sync_db
from tenants.installation import installation

TABS = {
    "timeline": "Timeline",
    "attempts": "Attempts",
    "logs": "Logs",
    "children": "Child runs",
    "trace": "Trace",
}
DURABLE_TAB = {"durable": "Durable log"}
EVENTS_SHOWN = 400
LOG_LINES_SHOWN = 500
MOST_LOG_BYTES = 32 * 1024 * 1024
EXPLAINED = 20
CHILDREN_SHOWN = 200
LONGEST_SEARCH = 200
LEVELS = {level.name.lower(): level for level in LogLevel}
ERROR_HEAD_BYTES = 8 * 1024
OUTCOME_BYTES = 1024 * 1024
SHORTEST_HEAD = 256
"""What all steps show of their outputs and errors, and each of them at least."""
_KINDS = {
    "input": PayloadKind.INPUT,
    "output": PayloadKind.OUTPUT,
    "error": PayloadKind.ERROR,
}


@tenant_page()
def detail(request: PageRequest, run_id: UUID) -> HttpResponse:
    return render(request, "dashboard/run/detail.html", _context(request, run_id))


@tenant_page()
def live(request: PageRequest, run_id: UUID) -> HttpResponse:
    return render_fragment(request, "dashboard/run/_run.html", _context(request, run_id))


def _context(request: PageRequest, run_id: UUID) -> dict[str, Any]:
    run, tasks = _load(request, run_id)
    readable_ids = {task.id: getattr(task, "readable_id", "") for task in tasks}
    attempts = attempts_of(task_queries.past_events(run), readable_ids)
    whole = definition_of(getattr(run, "definition", None))
    definition = whole if run.is_dag else None
    steps = _steps(definition, tasks)
    durable = durable_tasks_of(request.tenant.id, whole, tasks)
    tabs = (DURABLE_TAB | TABS) if durable.tasks else TABS
    tab = request.GET.get("tab", "")
    if tab not in tabs:
        tab = "durable" if durable.tasks and not run.is_dag else "timeline"
    given = show_stored(getattr(run, "input_head", None), getattr(run, "input_length", None))
    return {
        "run": run,
        "status": Status(run.status),
        "is_running": run.status == Status.RUNNING,
        "trigger": RunTrigger(run.trigger),
        "input": given,
        "can_view_payloads": request.access.can_view_payloads,
        "tasks": steps,
        "failures": _failures(steps),
        "steps_in_order": sorted(steps, key=lambda step: step["state"] != "failed"),
        "others": [step for step in steps if step["state"] != "failed"],
        "waits": _waits(request, steps),
        "graph": drawing(definition, {step["name"]: step for step in steps})
        if definition
        else None,
        "tabs": list(tabs.items()),
        "tab": tab,
        "readable_ids": readable_ids,
        "durable": durable,
        "snippets": _snippets(request, run, given),
        "times": _times(run, attempts),
        "gantt": chart_of(attempts, datetime.now(UTC)),
        "deciding": deciding_attempt(attempts, Status(run.status)),
    } | _tab_context(request, tab, run, readable_ids, durable)


def _load(request: PageRequest, run_id: UUID) -> tuple[Run, list[Task]]:
    runs = with_workflow_names(runs_of(request.tenant.id))
    runs = with_small(runs.defer("desired_labels"), "additional_metadata", HEAD_BYTES)
    if request.access.can_view_payloads:
        runs = task_queries.with_input_head(runs, HEAD_BYTES)
    runs = task_queries.with_history(runs, EVENTS_SHOWN)
    run = task_queries.with_definition(runs).filter(id=run_id).first()
    if run is None:
        raise Http404("no such run")
    steps = len((getattr(run, "definition", None) or {}).get("steps", ()))
    head = max(min(HEAD_BYTES, OUTCOME_BYTES // max(steps, 1)), SHORTEST_HEAD)
    tasks = task_queries.tasks_of_run(run_id)
    if request.access.can_view_payloads:
        return run, list(task_queries.with_outcome_heads(tasks, head))
    return run, list(task_queries.with_error_heads(tasks, head))


def _snippets(request: PageRequest, run: Run, given: Shown | None) -> list[snippets.Snippet]:
    text = given.text if given and not given.is_cut else None
    url, name = installation().server_url, getattr(run, "workflow_name", None)
    return snippets.of_run(url, request.tenant.id, run.id, name or "", text) if name else []


def _times(run: Run, attempts: Sequence[Attempt]) -> Times | None:
    """How long the run waited and ran; None if only its row tells, as of a run with a very long log."""
    is_whole = len(getattr(run, "history", [])) < EVENTS_SHOWN
    return times_of(attempts, datetime.now(UTC)) if attempts and is_whole else None


def _steps(definition: WorkflowDefinition | None, tasks: list[Task]) -> list[dict[str, Any]]:
    """Every task in step order; a step of the definition without a task yet is pending."""
    made = {getattr(task, "readable_id", "") or str(task.id): task for task in tasks}
    names = [step.readable_id for step in definition.steps] if definition else list(made)
    on_failure = on_failure_steps(definition)
    return [
        {"name": name, "is_on_failure": name in on_failure, **_task_context(made.get(name))}
        for name in names
    ]


def _failures(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps that failed for good, in the order in which they did."""
    failed = [step for step in steps if step["state"] == "failed"]
    return sorted(failed, key=lambda step: (step["task"].finished_at, step["task"].id))


def _task_context(task: Task | None) -> dict[str, Any]:
    if task is None:
        return {"task": None, "state": "pending"}
    status = Status(task.status)
    head, length = getattr(task, "output_head", None), getattr(task, "output_length", None)
    error_head, error_length = getattr(task, "error_head", None), getattr(task, "error_length", 0)
    return {
        "task": task,
        "dom_id": str(task.id),
        "state": "skipped" if task.is_skipped else status.name.lower(),
        "attempt": task.retry_count + 1,
        "output": show_stored(head, length) if status is Status.COMPLETED else None,
        "error": show_text(error_head, error_length) if status is Status.FAILED else None,
        "last_error": show_text(error_head, error_length) if not status.is_final else None,
    }


def _waits(request: PageRequest, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Why the queued tasks do not run, a few of many."""
    queued = [step for step in steps if step["task"] and step["task"].status == Status.QUEUED]
    ids = [step["task"].id for step in queued[:EXPLAINED]]
    if not ids:
        return []
    found = sync_db.run(
        explain_tasks(request.tenant.id, ids, datetime.now(UTC), copy_schedulers.shared)
    )
    return [
        {"name": step["name"], "why": found[step["task"].id]}
        for step in queued
        if step["task"].id in found
    ]


def _tab_context(
    request: PageRequest,
    tab: str,
    run: Run,
    readable_ids: dict[UUID, str],
    durable: DurableTasks,
) -> dict[str, Any]:
    if tab == "durable":
        return durable_context(durable, request.GET)
    if tab == "logs":
        return _logs(request, run, readable_ids)
    if tab == "trace":
        return {"trace": trace_context(request.access, run.id)}
    if tab == "children":
        children = task_queries.children_of_run(request.tenant.id, list(readable_ids))
        return _children(list(with_attempt_times(with_workflow_names(children))[:CHILDREN_SHOWN]))
    events = list(task_queries.event_log(run.id, error_size=ERROR_HEAD_BYTES)[: EVENTS_SHOWN + 1])
    shown, has_more = events[:EVENTS_SHOWN], len(events) > EVENTS_SHOWN
    if tab == "attempts":
        return {"attempts": attempts_of(shown, readable_ids), "has_more": has_more}
    timeline = []
    for event in shown:
        words, state = words_of(event.kind)
        timeline.append(
            {
                "event": event,
                "words": words,
                "state": state,
                "task_name": readable_ids.get(event.task_id, "") if run.is_dag else "",
                "attempt": event.retry_count + 1,
            }
        )
    return {"timeline": timeline, "has_more": has_more}


def _children(shown: list[Run]) -> dict[str, Any]:
    """Children with how many there are in each state, as far as one of them is shown."""
    total = getattr(shown[0], "of_all", 0) if shown else 0
    counts = {Status(child.status): getattr(child, "of_status", 0) for child in shown}
    return {
        "children": shown,
        "total": total,
        "counts": [(status, counts[status]) for status in Status if status in counts],
        "uncounted": total - sum(counts.values()),
        "has_more": total > len(shown),
    }


def _logs(request: PageRequest, run: Run, readable_ids: dict[UUID, str]) -> dict[str, Any]:
    lines = task_queries.log_lines(run.id, most_metadata=SMALL_BYTES)
    level = LEVELS.get(request.GET.get("level", ""))
    text = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_SEARCH]
    if level is not None:
        lines = lines.filter(level__gte=level)
    if text:
        lines = lines.filter(message__icontains=text)
    kept = {"level": level.name.lower() if level else "", "q": text}
    kept = {name: value for name, value in kept.items() if value}
    after = _uuid(request.GET.get("after", ""))
    if after is not None:
        lines = lines.filter(id__gt=after)
    found = list(lines[: LOG_LINES_SHOWN + 1])
    return {
        "lines": [_line(line, readable_ids) for line in found[:LOG_LINES_SHOWN]],
        "log_after": after,
        "live_query": urlencode(kept | ({"after": after} if after else {})),
        "log_query": urlencode(kept),
        "log_level": kept.get("level", ""),
        "log_text": text,
        "levels": list(LEVELS),
        "log_next": found[LOG_LINES_SHOWN - 1].id if len(found) > LOG_LINES_SHOWN else None,
    }


def _line(line: LogLine, readable_ids: dict[UUID, str]) -> dict[str, Any]:
    return {
        "line": line,
        "level": LogLevel(line.level).name.lower(),
        "task_name": readable_ids.get(line.task_id, ""),
        "attempt": line.retry_count + 1,
    }


@tenant_page()
def download_log(request: PageRequest, run_id: UUID) -> HttpResponse:
    """The log as text, one line a line; of a very long one the beginning, and a line that says so."""
    if not runs_of(request.tenant.id).filter(id=run_id).exists():
        raise Http404("no such run")
    lines = task_queries.log_texts(run_id).values_list("created_at", "level", "message")
    text, room = [], MOST_LOG_BYTES
    for created_at, level, message in lines.iterator(chunk_size=LOG_LINES_SHOWN):
        line = f"{created_at:%Y-%m-%dT%H:%M:%S.%fZ} {LogLevel(level).name:5} {message}\n".encode()
        room -= len(line)
        if room < 0:
            text.append(b"[The log is longer. The API has the rest.]\n")
            break
        text.append(line)
    return attachment(b"".join(text), f"run-{run_id}.log", "text/plain; charset=utf-8")


@tenant_page()
def download_payload(request: PageRequest, run_id: UUID, kind: str, owner_id: UUID) -> HttpResponse:
    """Input of the run, or output or error of one of its tasks, exactly as stored."""
    payload_kind = _KINDS.get(kind)
    if payload_kind is None:
        raise Http404("no such kind of payload")
    if payload_kind is not PayloadKind.ERROR and not request.access.can_view_payloads:
        raise Http404("payloads are hidden from this member")
    owners = runs_of(request.tenant.id).filter(id=run_id)
    if payload_kind is PayloadKind.INPUT:
        belongs = owner_id == run_id and owners.exists()
    else:
        tasks = Task.objects.filter(tenant_id=request.tenant.id, run_id=run_id, id=owner_id)
        belongs = tasks.exists()
    payload: Payload | None = (
        task_queries.payload(owner_id, payload_kind).first() if belongs else None
    )
    if payload is None:
        raise Http404("no such payload")
    is_error = payload_kind is PayloadKind.ERROR
    name = f"{kind}-{owner_id}.{'txt' if is_error else 'json'}"
    media_type = "text/plain; charset=utf-8" if is_error else "application/json"
    return download(payload.data, name, media_type)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
