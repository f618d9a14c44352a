"""Endpoints whose path names a run, a task, a workflow or a worker: the tenant is the resource's."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api import idempotency
from engine.api.errors import handle_engine_exception
from engine.models import Run, Task, Worker, Workflow
from engine.models.run_queries import lean_runs
from engine.models.task_queries import lean_tasks
from engine.store.answered_requests import RequestKey
from tenants.rest.errors import ApiError, bad_request
from tenants.rest.schema import IDEMPOTENCY_KEY
from tenants.rest.views import TenantView
from tenants.row_by_id import RowById

_runs = RowById(lean_runs)
_tasks = RowById(lean_tasks)


class EngineView(TenantView):
    """An endpoint with `{tenant}` in its path.

    A POST with an `Idempotency-Key` is one transaction with the answer that is kept for it. Where answers
    hold secrets none is kept, and no key taken.
    """

    takes_idempotency_key: ClassVar[bool] = True
    request_key: RequestKey | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not idempotency.wants_one_answer(request):
            return super().dispatch(request, *args, **kwargs)
        with transaction.atomic():
            response = super().dispatch(request, *args, **kwargs)
            if response.status_code >= 400:
                transaction.set_rollback(True)
            elif self.request_key is not None and isinstance(response, Response):
                idempotency.keep(self.request_key, response)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if idempotency.wants_one_answer(request._request):
            if not self.takes_idempotency_key:
                raise bad_request(f"this takes no {IDEMPOTENCY_KEY}: its answer is not kept")
            self.request_key = idempotency.claim(
                request._request, self.tenant.id, may_view=self.access.can_view_payloads
            )

    def get_exception_handler(self) -> Any:
        return handle_engine_exception


class RunView(EngineView):
    path_ids = ("run",)
    run: Run

    def find_tenant(self) -> UUID:
        run = _runs.find(self.ids["run"])
        if run is None:
            raise ApiError(404, "there is no such run")
        self.run = run
        return run.tenant_id


class TaskView(EngineView):
    path_ids = ("task",)
    task: Task

    def find_tenant(self) -> UUID:
        task = _tasks.find(self.ids["task"])
        if task is None:
            raise ApiError(404, "there is no such task")
        self.task = task
        return task.tenant_id


class WorkflowView(EngineView):
    path_ids = ("workflow",)
    workflow: Workflow

    def find_tenant(self) -> UUID:
        workflow = Workflow.objects.filter(id=self.ids["workflow"]).first()
        if workflow is None:
            raise ApiError(404, "there is no such workflow")
        self.workflow = workflow
        return workflow.tenant_id


class WorkerView(EngineView):
    path_ids = ("worker",)
    worker: Worker

    def find_tenant(self) -> UUID:
        worker = Worker.objects.filter(id=self.ids["worker"]).first()
        if worker is None:
            raise ApiError(404, "there is no such worker")
        self.worker = worker
        return worker.tenant_id
