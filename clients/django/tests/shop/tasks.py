"""One task for each thing that a task can be."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from django_tasks import TaskContext, task
from hatchet_django_tasks import hatchet, run_id

from shop.models import Note

log = logging.getLogger("shop")


class OutOfStock(Exception):
    pass


@task()
def add(first: int, second: int = 0) -> int:
    return first + second


@task()
def note(text: str) -> None:
    Note.objects.create(text=text)


@task(queue_name="mail", priority=50)
def mail(to: str) -> dict[str, Any]:
    return {"to": to, "at": [1.5, None, True]}


@task()
async def add_later(first: int, second: int) -> int:
    await Note.objects.acreate(text=f"{first} and {second}")
    return first + second


@task(takes_context=True)
@hatchet(retries=1, execution_timeout=timedelta(seconds=30))
def fail_at_first(context: TaskContext) -> int:
    if context.attempt == 1:
        raise OutOfStock("none left:\nnot one")
    return context.attempt


@task()
def fail(words: str) -> None:
    raise OutOfStock(words)


@task()
def give_what_is_no_json() -> object:
    return object()


@task(takes_context=True)
@hatchet(atomic=True, retries=2)
def note_once(context: TaskContext, text: str) -> int:
    """What its first attempt writes goes with it."""
    Note.objects.create(text=text)
    if context.attempt == 1:
        raise OutOfStock("after it wrote")
    return context.attempt


@task()
def tell_run() -> str:
    log.info("said within a run")
    return run_id.get()


@task()
def wait_for_file(path: str) -> str:
    """Says that it has begun by another file, and waits at most for a minute."""
    Path(f"{path}.begun").touch()
    for _ in range(600):
        if Path(path).exists():
            return "done"
        time.sleep(0.1)
    return "gave up"


@task(backend="remote")
def far_add(first: int, second: int) -> int:
    return first + second


@task(backend="remote")
def far_fail() -> None:
    raise OutOfStock("far away")
