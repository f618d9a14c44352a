"""Runs Django's tasks within a worker of the official SDK."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from traceback import format_exception
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections, reset_queries, transaction
from django.utils import timezone
from hatchet_sdk import Context, Hatchet
from pydantic import BaseModel

from hatchet_django_tasks.current import run_id
from hatchet_django_tasks.discovery import for_queues
from hatchet_django_tasks.interface import (
    TaskContext,
    TaskError,
    TaskResult,
    TaskResultStatus,
    as_json,
    signals,
)
from hatchet_django_tasks.remote import RESULT_KEY
from hatchet_django_tasks.task_options import options_of
from hatchet_django_tasks.wishes import workflow_of


class Arguments(BaseModel):
    """The input of every run."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


def workflows_of(hatchet: Hatchet, backend: Any, queues: frozenset[str] | None) -> list[Any]:
    """Return what a worker registers: a workflow for each task and queue."""
    return [_workflow(hatchet, backend, task) for task in for_queues(backend, queues)]


def _workflow(hatchet: Hatchet, backend: Any, task: Any) -> Any:
    run = _async_runner(backend, task) if iscoroutinefunction(task.func) else _runner(backend, task)
    options = options_of(task).for_sdk()
    name = workflow_of(task, backend.prefix)
    return hatchet.task(name=name, input_validator=Arguments, **options)(run)


def _runner(backend: Any, task: Any) -> Callable[[Arguments, Context], dict[str, Any]]:
    def run(given: Arguments, ctx: Context) -> dict[str, Any]:
        _clean_up()
        running = _Running(backend, task, given, ctx)
        try:
            return running.carry_out()
        finally:
            running.leave()
            _clean_up()

    return run


def _async_runner(backend: Any, task: Any) -> Callable[[Arguments, Context], Any]:
    async def run(given: Arguments, ctx: Context) -> dict[str, Any]:
        running = _Running(backend, task, given, ctx)
        try:
            await running.tell(signals.task_started)
            try:
                value = await task.func(*running.given(), **running.result.kwargs)
                output = running.succeed(value)
            except BaseException as error:
                running.fail(error)
                await running.tell(signals.task_finished)
                raise
            await running.tell(signals.task_finished)
            return output
        finally:
            running.leave()
            await sync_to_async(_clean_up)()

    return run


class _Running:
    """One attempt at a task; its result is what signals and the task's context show."""

    def __init__(self, backend: Any, task: Any, given: Arguments, ctx: Context) -> None:
        self._backend, self._task, self._ctx = backend, task, ctx
        metadata = ctx.additional_metadata or {}
        now = timezone.now()
        self.result = TaskResult(
            task=task,
            id=str(metadata.get(RESULT_KEY, ctx.workflow_run_id)),
            status=TaskResultStatus.RUNNING,
            enqueued_at=None,
            started_at=now,
            last_attempted_at=now,
            finished_at=None,
            args=given.args,
            kwargs=given.kwargs,
            backend=backend.alias,
            errors=[],
            worker_ids=[ctx.worker_id] * ctx.attempt_number,
        )
        self._token = run_id.set(ctx.workflow_run_id)

    def leave(self) -> None:
        run_id.reset(self._token)

    def given(self) -> list[Any]:
        context = [TaskContext(task_result=self.result)] if self._task.takes_context else []
        return [*context, *self.result.args]

    def call(self) -> dict[str, Any]:
        """Call the task; an atomic one is completed by the commit of what it has written."""
        if not options_of(self._task).atomic:
            return self.succeed(self._task.func(*self.given(), **self.result.kwargs))
        with transaction.atomic(using=self._backend.database):
            output = self.succeed(self._task.func(*self.given(), **self.result.kwargs))
            self._backend.transport.complete(self._ctx.task_run_id, self._ctx.retry_count, output)
        return output

    def carry_out(self) -> dict[str, Any]:
        sender = type(self._backend)
        signals.task_started.send(sender, task_result=self.result)
        try:
            output = self.call()
        except BaseException as error:
            self.fail(error)
            signals.task_finished.send(sender, task_result=self.result)
            raise
        signals.task_finished.send(sender, task_result=self.result)
        return output

    async def tell(self, signal: Any) -> None:
        await sync_to_async(signal.send)(type(self._backend), task_result=self.result)

    def succeed(self, value: Any) -> dict[str, Any]:
        normal = as_json(value)
        self._set(status=TaskResultStatus.SUCCESSFUL, _return_value=normal)
        return {"return_value": normal}

    def fail(self, error: BaseException) -> None:
        kind = type(error)
        trace = "".join(format_exception(error))
        path = f"{kind.__module__}.{kind.__qualname__}"
        self.result.errors.append(TaskError(exception_class_path=path, traceback=trace))
        self._set(status=TaskResultStatus.FAILED)

    def _set(self, **changes: Any) -> None:
        for name, value in {"finished_at": timezone.now(), **changes}.items():
            object.__setattr__(self.result, name, value)


def _clean_up() -> None:
    """As between two requests: connections that are broken or too old are closed."""
    reset_queries()
    close_old_connections()
