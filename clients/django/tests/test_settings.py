"""Wrong settings, options and tasks are refused where they are written; no Hatchet is needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django_tasks import task
from django_tasks.exceptions import InvalidTaskError
from hatchet_django_tasks import hatchet
from hatchet_django_tasks.backend import HatchetBackend
from hatchet_django_tasks.discovery import for_queues, tasks_of
from hatchet_django_tasks.task_options import options_of
from hatchet_django_tasks.wishes import priority_of, workflow_of
from shop import tasks


def problems(queues: tuple[str, ...] = ("default",), **options: Any) -> list[str]:
    backend = HatchetBackend("default", {"QUEUES": list(queues), "OPTIONS": options})
    return [str(problem.id) for problem in backend.check()]


def test_good_settings_have_no_problems() -> None:
    assert problems(queues=("default", "mail")) == []


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"tenent": "x"}, ["hatchet.E001"]),
        ({"database": "nowhere"}, ["hatchet.E002"]),
        ({"queues": ("a b", "ä")}, ["hatchet.E004", "hatchet.E004"]),
    ],
)
def test_bad_settings_are_told(given: Any, found: list[str]) -> None:
    assert problems(**given) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"retries": -1},
        {"retries": True},
        {"execution_timeout": 5},
        {"schedule_timeout": timedelta()},
    ],
)
def test_bad_options_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        hatchet(**wrong)
    with pytest.raises(TypeError):
        hatchet(retry=1)


def test_options_become_those_of_the_sdk() -> None:
    given = options_of(tasks.fail_at_first).for_sdk()
    assert (given["retries"], given["execution_timeout"]) == (1, timedelta(seconds=30))
    assert "atomic" not in given
    limited = hatchet(rate_limits=lambda: ["limit"], concurrency=2)(lambda: None)
    made = options_of(type("Task", (), {"func": staticmethod(limited)})).for_sdk()
    assert (made["rate_limits"], made["concurrency"]) == (["limit"], 2)


def test_priorities_are_thirds() -> None:
    found = [priority_of(tasks.add.using(priority=one)) for one in (-100, -34, -33, 0, 33, 34, 100)]
    assert found == [1, 1, 2, 2, 2, 3, 3]


def test_a_workflow_is_a_task_and_a_queue() -> None:
    backend = HatchetBackend("default", {"QUEUES": ["default", "mail"], "OPTIONS": {}})
    assert workflow_of(tasks.mail) == "shop.tasks.mail--mail"
    names = {workflow_of(one) for one in for_queues(backend, None)}
    assert {"shop.tasks.add", "shop.tasks.add--mail"} <= names
    assert {workflow_of(one) for one in for_queues(backend, frozenset({"mail"}))} == {
        name for name in names if name.endswith("--mail")
    }
    assert "shop.tasks.far_add" not in {one.module_path for one in tasks_of(backend)}


def undiscovered() -> None:
    pass


def test_a_name_that_hatchet_cannot_have_is_refused() -> None:
    undiscovered.__qualname__ = "x" * 300
    with pytest.raises(InvalidTaskError, match="cannot name a workflow"):
        task()(undiscovered)


def test_only_tasks_of_the_same_database_are_atomic() -> None:
    @hatchet(atomic=True)
    def far() -> None:
        pass

    far.__qualname__ = "far"
    with pytest.raises(InvalidTaskError, match="atomic"):
        task(backend="remote")(far)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backend": "nobody"}, "nobody"),
        ({"slots": 0}, "at least 1"),
        ({"name": "a b"}, "--name may hold"),
        ({"queue": ["letters"]}, "no such queue: letters"),
    ],
)
def test_the_worker_refuses_what_it_cannot_do(options: Any, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("hatchet_worker", **options)
