"""The backend with the official SDK, as where Hatchet has a database of its own."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from conftest import finished, wait_for
from django.db import transaction
from django_tasks import TaskResultStatus, task_backends
from django_tasks.exceptions import TaskResultDoesNotExist
from shop import tasks

pytestmark = pytest.mark.usefixtures("remote_worker")


def known(result: Any) -> Any:
    """The result, once Hatchet has the run."""

    def look() -> Any:
        try:
            return task_backends["remote"].get_result(result.id)
        except TaskResultDoesNotExist:
            return None

    return finished(wait_for(look))


def test_a_task_is_sent_when_its_transaction_has_committed() -> None:
    with transaction.atomic():
        result = tasks.far_add.enqueue(20, 22)
        with pytest.raises(TaskResultDoesNotExist):
            result.refresh()
    found = known(result)
    assert (found.status, found.return_value) == (TaskResultStatus.SUCCESSFUL, 42)
    assert (found.args, found.attempts, found.task.func) == ([20, 22], 1, tasks.far_add.func)


def test_what_is_rolled_back_is_not_sent() -> None:
    with transaction.atomic():
        result = tasks.far_add.enqueue(1, 1)
        transaction.set_rollback(True)
    after = tasks.far_add.enqueue(1, 2)
    known(after)
    with pytest.raises(TaskResultDoesNotExist):
        result.refresh()


def test_a_failure_tells_its_class() -> None:
    found = known(tasks.far_fail.enqueue())
    assert found.errors[0].exception_class is tasks.OutOfStock


@pytest.mark.parametrize("wrong", ["", "\0", str(uuid.uuid4())])
def test_an_id_that_nobody_has_is_no_result(wrong: str) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["remote"].get_result(wrong)
