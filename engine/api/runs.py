"""Lists of runs: full rows, counts, ids and names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import F
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.payloads import load_payloads
from engine.api.run_selection import RunSelection
from engine.api.run_shapes import group_by_run, run_summary, task_summary
from engine.api.views import EngineView
from engine.models import Run, Task
from engine.models.names import Names, load_names
from tenants.api.errors import AnyDict, bad_request
from tenants.api.paging import Page, count_up_to, whole
from tenants.api.render import metadata

MOST_NAMES = 10_000


class RunListView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        query = self.query
        selection = RunSelection.of(query, self.tenant.id)
        only_tasks = query.flag("only_tasks")
        with_payloads = query.flag("include_payloads", True)
        is_counted = query.flag("include_num_pages", True)
        page = Page.of(query)
        may_view = self.access.can_view_payloads
        if only_tasks:
            tasks = selection.tasks()
            total = count_up_to(tasks) if is_counted else None
            rows = task_rows(page.slice(tasks), with_payloads=with_payloads, may_view=may_view)
        else:
            runs = selection.runs()
            total = count_up_to(runs) if is_counted else None
            rows = run_rows(page.slice(runs), with_payloads=with_payloads, may_view=may_view)
        return Response(page.answer(rows, total))


class RunCountView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        query = self.query
        selection = RunSelection.of(query, self.tenant.id)
        rows = selection.tasks() if query.flag("only_tasks", False) else selection.runs()
        return Response({"count": rows.order_by().count()})


class RunIdsView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        selection = RunSelection.of(self.query, self.tenant.id)
        return Response(list(selection.runs().values_list("id", flat=True)))


class RunNamesView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        wanted = self.query.uuids("external_ids")
        if not wanted:
            raise bad_request("external_ids is required", field="external_ids")
        if len(wanted) > MOST_NAMES:
            raise bad_request(f"at most {MOST_NAMES} external_ids", field="external_ids")
        runs = list(Run.objects.filter(tenant_id=self.tenant.id, id__in=wanted).order_by("-id"))
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
    tasks = list(Task.objects.filter(id__in=single)) if single else []
    if dags:
        of_dags = Task.objects.filter(run_id__in=dags, id__gte=min(dags))
        tasks.extend(of_dags.exclude(run_id=F("id")).order_by("id"))
    return tasks


def run_rows(runs: Sequence[Run], *, with_payloads: bool, may_view: bool) -> list[AnyDict]:
    tasks = tasks_of_runs(runs)
    payloads = load_payloads(
        run_ids=[run.id for run in runs], tasks=tasks, wanted=with_payloads, may_view=may_view
    )
    names = load_names([run.workflow_id for run in runs], [task.step_id for task in tasks])
    groups = group_by_run(tasks, [run.id for run in runs])
    return [run_summary(run, groups[run.id], names, payloads) for run in runs]


def task_rows(tasks: Sequence[Task], *, with_payloads: bool, may_view: bool) -> list[AnyDict]:
    run_ids = {task.run_id for task in tasks}
    runs: dict[UUID, Run] = Run.objects.in_bulk(run_ids) if run_ids else {}
    payloads = load_payloads(run_ids=run_ids, tasks=tasks, wanted=with_payloads, may_view=may_view)
    names = load_names([task.workflow_id for task in tasks], [task.step_id for task in tasks])
    return [
        task_summary(task, runs[task.run_id], names, payloads)
        for task in tasks
        if task.run_id in runs
    ]
