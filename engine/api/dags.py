"""Tasks of several DAG runs at once, for who looks at a list of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.payloads import load_payloads
from engine.api.room import MOST_CHILDREN, Room
from engine.api.run_shapes import group_by_run, task_summary
from engine.api.runs import numbers_of_children, tasks_of_runs
from engine.api.views import EngineView
from engine.models.names import load_names
from engine.models.run_queries import lean_runs
from tenants.rest import in_query
from tenants.rest.accepted import accept, part, takes_query
from tenants.rest.errors import bad_request

MOST_RUNS = 100


@dataclass(frozen=True, slots=True)
class NamedTenant:
    tenant_id: UUID = in_query.required_uuid("tenant")


@dataclass(frozen=True, slots=True)
class WantedDags:
    tenant: NamedTenant = part(NamedTenant)
    ids: list[UUID] = in_query.uuids("dag_ids", is_required=True)


class DagTasksView(EngineView):
    """The tenant is named in the query."""

    path_ids: ClassVar[tuple[str, ...]] = ()

    def find_tenant(self) -> UUID:
        return accept(NamedTenant, self.query).tenant_id

    @takes_query(WantedDags)
    def get(self, request: Request, given: WantedDags, **_: Any) -> Response:
        wanted = given.ids
        if not 1 <= len(wanted) <= MOST_RUNS:
            raise bad_request(f"dag_ids must name 1 to {MOST_RUNS} runs", field="dag_ids")
        found = lean_runs().filter(tenant_id=self.tenant.id, id__in=wanted, is_dag=True)
        runs = {run.id: run for run in found}
        number = sum(numbers_of_children(list(runs.values())).values())
        if number > MOST_CHILDREN and len(runs) > 1:
            raise bad_request(
                f"these runs have {number} tasks; name fewer runs, for at most {MOST_CHILDREN}",
                field="dag_ids",
            )
        tasks = tasks_of_runs(list(runs.values()))
        names = load_names(
            [run.workflow_id for run in runs.values()], [task.step_id for task in tasks]
        )
        payloads = load_payloads(
            run_ids=runs,
            tasks=tasks,
            wanted=True,
            may_view=self.access.can_view_payloads,
            room=Room(),
        )
        groups = group_by_run(tasks, runs)
        return Response(
            [
                {
                    "dagId": str(run_id),
                    "children": [
                        task_summary(task, runs[run_id], names, payloads) for task in groups[run_id]
                    ],
                }
                for run_id in dict.fromkeys(wanted)
                if run_id in runs
            ]
        )
