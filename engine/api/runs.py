"""Lists of runs: full rows, counts, ids and names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Count, F, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.payloads import load_payloads
from engine.api.room import Room, packed
from engine.api.run_selection import RunSelection
from engine.api.run_shapes import group_by_run, run_summary, run_without_tasks, task_summary
from engine.api.views import EngineView
from engine.models import Run, Task
from engine.models.durable_queries import which_are_off_worker
from engine.models.names import Names, load_names
from engine.models.run_queries import lean_runs
from engine.models.task_queries import lean_tasks
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.errors import AnyDict, bad_request
from tenants.rest.paging import Page, count_up_to, whole
from tenants.rest.render import metadata

MOST_NAMES = 10_000
IDS_AT_A_TIME = 10_000


@dataclass(frozen=True, slots=True)
class ListedRuns:
    selection: RunSelection = part(RunSelection)
    only_tasks: bool = in_query.flag("only_tasks")
    with_payloads: bool = in_query.flag("include_payloads", True)
    is_counted: bool = in_query.flag("include_num_pages", True)
    page: Page = part(Page)


@dataclass(frozen=True, slots=True)
class CountedRuns:
    selection: RunSelection = part(RunSelection)
    only_tasks: bool = in_query.flag("only_tasks", False)


@dataclass(frozen=True, slots=True)
class NamedRuns:
    ids: list[UUID] = in_query.uuids("external_ids", is_required=True)


class RunListView(EngineView):
    @takes_query(ListedRuns)
    def get(self, request: Request, listed: ListedRuns, **_: Any) -> Response:
        selection, page, with_payloads = listed.selection, listed.page, listed.with_payloads
        may_view, room = self.access.can_view_payloads, Room()
        if listed.only_tasks:
            tasks = selection.tasks(self.tenant.id)
            total = count_up_to(tasks) if listed.is_counted else None
            chunks = page.chunks(tasks)
            make_rows: Callable[..., list[AnyDict]] = task_rows
        else:
            runs = selection.runs(self.tenant.id)
            total = count_up_to(runs) if listed.is_counted else None
            chunks, make_rows = page.chunks(runs), run_rows
        rows: list[object] = []
        for chunk in chunks:
            rows += packed(
                make_rows(chunk, room=room, with_payloads=with_payloads, may_view=may_view)
            )
        return Response(page.answer(rows, total))


class RunCountView(EngineView):
    @takes_query(CountedRuns)
    def get(self, request: Request, counted: CountedRuns, **_: Any) -> Response:
        selection, tenant_id = counted.selection, self.tenant.id
        rows = selection.tasks(tenant_id) if counted.only_tasks else selection.runs(tenant_id)
        return Response({"count": rows.order_by().count()})


class RunIdsView(EngineView):
    """All of them, however many: whoever acts on them by their ids must miss none."""

    @takes_query(RunSelection)
    def get(self, request: Request, selection: RunSelection, **_: Any) -> Response:
        runs = selection.runs(self.tenant.id)
        ids = runs.values_list("id", flat=True).iterator(chunk_size=IDS_AT_A_TIME)
        parts = []
        while some := list(islice(ids, IDS_AT_A_TIME)):
            parts.append(orjson.dumps(some)[1:-1])
        return Response(orjson.Fragment(b"[%b]" % b",".join(parts)))


class RunNamesView(EngineView):
    @takes_query(NamedRuns)
    def get(self, request: Request, named: NamedRuns, **_: Any) -> Response:
        wanted = named.ids
        if not wanted:
            raise bad_request("external_ids is required", field="external_ids")
        if len(wanted) > MOST_NAMES:
            raise bad_request(f"at most {MOST_NAMES} external_ids", field="external_ids")
        found = Run.objects.filter(tenant_id=self.tenant.id, id__in=wanted).order_by("-id")
        runs = list(found.only("id", "workflow_id", "created_at"))
        names = load_names([run.workflow_id for run in runs], [])
        return Response(whole([_name_row(run, names) for run in runs]))


def _name_row(run: Run, names: Names) -> AnyDict:
    return {
        "metadata": metadata(run.id, run.created_at),
        "displayName": names.run_display_name(run.id, run.workflow_id),
    }


def tasks_of_runs(runs: Sequence[Run]) -> list[Task]:
    """The tasks of these runs in creation order: by id where a run is its task, else by run."""
    single = [run.id for run in runs if not run.is_dag]
    dags = [run.id for run in runs if run.is_dag]
    tasks = list(lean_tasks().filter(id__in=single)) if single else []
    if dags:
        tasks.extend(_steps_of(dags).order_by("id"))
    return tasks


def _steps_of(dag_run_ids: Collection[UUID]) -> QuerySet[Task]:
    of_dags = lean_tasks().filter(run_id__in=dag_run_ids, id__gte=min(dag_run_ids))
    return of_dags.exclude(run_id=F("id"))


def numbers_of_children(runs: Sequence[Run]) -> dict[UUID, int]:
    """How many tasks each of these runs has beside itself."""
    dags = [run.id for run in runs if run.is_dag]
    if not dags:
        return {}
    counted = _steps_of(dags).values_list("run_id").annotate(number=Count("id"))
    return dict(counted.order_by())


def without_room(runs: Sequence[Run], room: Room) -> dict[UUID, int]:
    """Take room for the tasks of these runs; return how many those have for whose tasks there is none."""
    left_out = {}
    numbers = numbers_of_children(runs)
    for run in runs:
        number = numbers.get(run.id, 0)
        if number > room.children:
            left_out[run.id] = number
        else:
            room.children -= number
    return left_out


def run_rows(
    runs: Sequence[Run], *, room: Room, with_payloads: bool, may_view: bool
) -> list[AnyDict]:
    left_out = without_room(runs, room)
    tasks = tasks_of_runs([run for run in runs if run.id not in left_out])
    payloads = load_payloads(
        run_ids=[run.id for run in runs],
        tasks=tasks,
        wanted=with_payloads,
        may_view=may_view,
        room=room,
    )
    names = load_names([run.workflow_id for run in runs], [task.step_id for task in tasks])
    groups = group_by_run(tasks, [run.id for run in runs])
    evicted = which_are_off_worker([run for run in runs if run.id in left_out])
    return [
        run_without_tasks(run, left_out[run.id], names, payloads, is_evicted=run.id in evicted)
        if run.id in left_out
        else run_summary(run, groups[run.id], names, payloads)
        for run in runs
    ]


def task_rows(
    tasks: Sequence[Task], *, room: Room, with_payloads: bool, may_view: bool
) -> list[AnyDict]:
    run_ids = {task.run_id for task in tasks}
    runs: dict[UUID, Run] = lean_runs().in_bulk(run_ids) if run_ids else {}
    payloads = load_payloads(
        run_ids=run_ids, tasks=tasks, wanted=with_payloads, may_view=may_view, room=room
    )
    names = load_names([task.workflow_id for task in tasks], [task.step_id for task in tasks])
    return [
        task_summary(task, runs[task.run_id], names, payloads)
        for task in tasks
        if task.run_id in runs
    ]
