"""The backend against a real Hatchet on the project's own database."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Worker, finished, wait_for
from django.contrib.admin import site
from django.core.checks import run_checks
from django.db import connection, transaction
from django.utils import timezone
from django_tasks import TaskResultStatus, default_task_backend
from django_tasks.exceptions import TaskResultDoesNotExist, TaskResultMismatch
from django_tasks.signals import task_enqueued
from hatchet_django_tasks.admin import RunAdmin
from hatchet_django_tasks.backend import HatchetBackend
from hatchet_django_tasks.models import Run
from shop import tasks
from shop.models import Note

pytestmark = pytest.mark.usefixtures("worker")


def fact(view: str, column: str, run_id: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM hatchet_v1.{view} WHERE id = %s", [run_id])
        return cursor.fetchone()[0]


def test_a_task_runs_when_its_transaction_commits() -> None:
    with transaction.atomic():
        Note.objects.create(text="paid")
        result = tasks.add.enqueue(40, second=2)
        result.refresh()
        assert result.status == TaskResultStatus.READY
    finished(result)
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, 42)
    assert (result.args, result.kwargs) == ([40], {"second": 2})
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert result.attempts == len(result.worker_ids) == 1
    assert result.errors == []


def test_what_is_rolled_back_never_was() -> None:
    with transaction.atomic():
        result = tasks.add.enqueue(1)
        transaction.set_rollback(True)
    with pytest.raises(TaskResultDoesNotExist):
        tasks.add.get_result(result.id)


def test_a_failure_tells_its_class_and_traceback() -> None:
    result = finished(tasks.fail.enqueue("none left"))
    (error,) = result.errors
    assert result.status == TaskResultStatus.FAILED
    assert error.exception_class is tasks.OutOfStock
    assert "raise OutOfStock(words)" in error.traceback
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


def test_a_task_is_tried_again_as_its_options_say() -> None:
    result = finished(tasks.fail_at_first.enqueue())
    assert (result.return_value, result.attempts) == (2, 2)
    (error,) = result.errors
    assert error.exception_class is tasks.OutOfStock
    assert result.started_at < result.last_attempted_at


def test_a_value_that_is_no_json_fails_the_task() -> None:
    result = finished(tasks.give_what_is_no_json.enqueue())
    assert result.errors[0].exception_class is TypeError


def test_arguments_that_are_no_json_are_refused_before_anything_is_stored() -> None:
    with pytest.raises(TypeError):
        tasks.add.enqueue(object())


def test_coroutines_run_too() -> None:
    async def enqueue() -> Any:
        return await tasks.add_later.aenqueue(1, 2)

    result = finished(asyncio.run(enqueue()))
    assert result.return_value == 3
    assert Note.objects.filter(text="1 and 2").exists()


def test_queue_and_priority_reach_hatchet() -> None:
    result = finished(tasks.mail.enqueue("a@b.test"))
    assert result.return_value == {"to": "a@b.test", "at": [1.5, None, True]}
    assert fact("runs", "workflow", result.id) == "shop.tasks.mail--mail"
    assert fact("runs", "priority", result.id) == 3
    low = finished(tasks.add.using(priority=-50).enqueue(1))
    assert fact("runs", "priority", low.id) == 1
    assert low.task.queue_name == "default"


def test_a_task_may_be_told_to_wait() -> None:
    far = tasks.add.using(run_after=timezone.now() + timedelta(days=1)).enqueue(1)
    far.refresh()
    assert far.status == TaskResultStatus.READY
    run_after = timezone.now() + timedelta(seconds=1)
    soon = finished(tasks.add.using(run_after=run_after).enqueue(1))
    assert soon.started_at >= run_after


def test_what_an_atomic_task_writes_is_written_once() -> None:
    text = f"once {uuid.uuid4()}"
    result = finished(tasks.note_once.enqueue(text))
    assert (result.return_value, result.attempts) == (2, 2)
    assert Note.objects.filter(text=text).count() == 1


def test_code_knows_its_run_and_logs_tell_it(worker: Worker) -> None:
    result = finished(tasks.tell_run.enqueue())
    assert result.return_value == result.id
    wait_for(lambda: f"INFO [{result.id}] said within a run" in worker.output)


@pytest.mark.parametrize("wrong", ["", "no id", "\0", "9" * 5_000, str(uuid.uuid4())])
def test_an_id_that_nobody_has_is_no_result(wrong: str) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        default_task_backend.get_result(wrong)


def test_another_tasks_result_is_a_mismatch() -> None:
    result = finished(tasks.add.enqueue(1))
    with pytest.raises(TaskResultMismatch):
        tasks.mail.get_result(result.id)
    assert tasks.add.get_result(result.id).return_value == 1


def test_the_signal_tells_the_id() -> None:
    heard: list[Any] = []

    def hear(sender: type, task_result: Any, **_: Any) -> None:
        heard.append((sender, task_result.id))

    task_enqueued.connect(hear)
    try:
        result = tasks.add.enqueue(1)
    finally:
        task_enqueued.disconnect(hear)
    assert heard == [(HatchetBackend, result.id)]


def test_the_admin_links_to_the_run() -> None:
    result = finished(tasks.add.enqueue(1))
    shown = RunAdmin(Run, site)
    run = shown.get_queryset(None).get(pk=result.id)
    assert (run.workflow, run.status) == ("shop.tasks.add", "COMPLETED")
    link = f'<a href="https://hatchet.test/t/default/runs/{result.id}">open</a>'
    assert shown.in_dashboard(run) == link
    assert not shown.has_change_permission(None)


def test_the_database_passes_the_checks() -> None:
    assert [one for one in run_checks(databases=["default"]) if "hatchet" in one.id] == []


def test_a_worker_that_is_stopped_lets_a_task_end(tmp_path: Path) -> None:
    path = tmp_path / "go"
    leaving = Worker("--queue", "mail")
    result = tasks.wait_for_file.using(queue_name="mail").enqueue(str(path))
    begun = Path(f"{path}.begun")
    wait_for(begun.exists)
    leaving.process.terminate()
    path.touch()
    assert finished(result).return_value == "done"
    leaving.stop()


def test_a_worker_begins_anew_when_code_changes() -> None:
    watching = Worker("--autoreload", "--queue", "mail")
    try:
        wait_for(lambda: watching.output.count("shop.tasks.add--mail") == 1)
        os.utime(tasks.__file__)
        wait_for(lambda: watching.output.count("shop.tasks.add--mail") == 2)
    finally:
        watching.stop()
