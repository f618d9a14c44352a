"""Endpoints whose path names a run, a task, a workflow or a worker: the tenant is the resource's."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from engine.api.errors import handle_engine_exception
from engine.models import Run, Task, Worker, Workflow
from engine.models.run_queries import lean_runs
from engine.models.task_queries import lean_tasks
from tenants.rest.errors import ApiError
from tenants.rest.views import TenantView


class EngineView(TenantView):
    """An endpoint with `{tenant}` in its path."""

    def get_exception_handler(self) -> Any:
        return handle_engine_exception


class RunView(EngineView):
    path_ids = ("run",)
    run: Run

    def find_tenant(self) -> UUID:
        run = lean_runs().filter(id=self.ids["run"]).first()
        if run is None:
            raise ApiError(404, "there is no such run")
        self.run = run
        return run.tenant_id


class TaskView(EngineView):
    path_ids = ("task",)
    task: Task

    def find_tenant(self) -> UUID:
        task = lean_tasks().filter(id=self.ids["task"]).first()
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
