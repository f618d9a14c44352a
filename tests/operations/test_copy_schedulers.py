"""Explaining waiting tasks reads a tenant's rows once in a while, however many pages ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine.domain.definition import Concurrency
from engine.domain.explanation import Cause, Explanation
from engine.ids import new_id
from engine.models import Task
from engine.operations import copy_schedulers
from engine.operations.copy_schedulers import SchedulerCopies
from engine.operations.explain_tasks import explain_tasks
from engine.states import ConcurrencyStrategy
from engine.store import sync_db
from engine.store.query import Operation, Step, statements
from engine.types import TriggerRequest
from tests.operations.bench import Bench, step
from tests.operations.scheduled import scheduled, worker

QUEUED_ACTIONS = "WITH RECURSIVE actions"
"""Of the statement that is run once for each copy."""


class Pages:
    """What all pages of one web process ask with."""

    def __init__(self) -> None:
        self.copies = SchedulerCopies()

    def why(self, bench: Bench, *ids: Any) -> list[Explanation]:
        found = sync_db.run(explain_tasks(bench.tenant_id, ids, bench.now, self.copies))
        return [found[task_id] for task_id in ids]


@contextmanager
def reading(copies: int) -> Iterator[None]:
    """Expect so many copies to be made."""
    with CaptureQueriesContext(connection) as captured:
        yield
    made = sum(QUEUED_ACTIONS in query["sql"] for query in captured.captured_queries)
    assert made == copies


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def busy(bench: Bench) -> Bench:
    """A bench whose only slot is taken."""
    scheduled(bench)
    worker_id = worker(bench, slots=1)
    bench.assign(bench.start(), worker_id=worker_id)
    return bench


def test_requests_within_five_seconds_read_the_rows_once(busy: Bench, pages: Pages) -> None:
    first, second = busy.trigger(TriggerRequest("flow"), TriggerRequest("flow"))
    with reading(copies=1):
        (before,) = pages.why(busy, first)
    busy.pass_time(4.9)
    with reading(copies=0), CaptureQueriesContext(connection) as captured:
        (after,), (behind,) = pages.why(busy, first), pages.why(busy, second)
    assert before == after
    assert (after.cause, after.details["ahead"]) == (Cause.SLOTS_FULL, 0)
    assert (behind.cause, behind.details["ahead"]) == (Cause.SLOTS_FULL, 1)
    asked = [q for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]]
    assert len(asked) == 4, "its row and whether an engine schedules its tenant, for each"
    busy.pass_time(0.2)
    with reading(copies=1):
        assert pages.why(busy, first)[0].cause is Cause.WORKERS_STALE, "by what is so now"


def test_a_task_that_came_after_the_rows_were_read_is_found(busy: Bench, pages: Pages) -> None:
    (first,) = busy.trigger()
    pages.why(busy, first)
    (newer,) = busy.trigger()
    with reading(copies=1):
        (found,) = pages.why(busy, newer)
    assert (found.cause, found.details["ahead"]) == (Cause.SLOTS_FULL, 1)
    with reading(copies=0):
        assert pages.why(busy, newer, first)[0] == found


def test_one_with_a_group_that_came_later_is_found_too(busy: Bench, pages: Pages) -> None:
    chain = (Concurrency("'key'", 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN),)
    busy.put(step("work", concurrency=chain))
    first = busy.trigger()[0]
    pages.why(busy, first)
    newer = busy.trigger()[0]
    with reading(copies=1):
        assert pages.why(busy, newer)[0].cause is Cause.GROUP_FULL
    with reading(copies=0):
        assert [found.cause for found in pages.why(busy, first, newer)] == [
            Cause.SLOTS_FULL,
            Cause.GROUP_FULL,
        ]


def test_one_behind_all_that_is_read_is_not_looked_for_again(
    busy: Bench, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_schedulers, "QUEUE_HEAD", 2)
    ids = busy.trigger(*[TriggerRequest("flow")] * 4)
    with reading(copies=1):
        pages.why(busy, *ids)
    with reading(copies=0):
        (found,) = pages.why(busy, ids[3])
    assert found.cause is Cause.SLOTS_FULL


def test_one_that_no_copy_has_is_looked_for_once(busy: Bench, pages: Pages) -> None:
    (first,) = busy.trigger()
    pages.why(busy, first)
    (lost,) = busy.trigger()
    Task.objects.filter(id=lost).update(due_at=None, concurrency_keys="{}")  # no copy reads it so
    with reading(copies=1):
        pages.why(busy, lost)
    with reading(copies=0):
        pages.why(busy, lost)
        pages.why(busy, first)


def test_queues_of_other_actions_are_read_as_they_are_asked_for(busy: Bench, pages: Pages) -> None:
    (first,) = busy.trigger()
    busy.put(step("other"), name="other")
    (second,) = busy.trigger(TriggerRequest("other"))
    with reading(copies=1):
        assert pages.why(busy, first)[0].cause is Cause.SLOTS_FULL
        assert pages.why(busy, second)[0].cause is Cause.NO_WORKER


def test_tenants_share_nothing(busy: Bench, pages: Pages) -> None:
    (first,) = busy.trigger()
    other = Bench()
    other_task = other.start()
    with reading(copies=1):
        assert pages.why(busy, first)[0].cause is Cause.SLOTS_FULL
        assert pages.why(other, other_task)[0].cause is Cause.NO_ENGINE
        assert sync_db.run(explain_tasks(other.tenant_id, [first], busy.now, pages.copies)) == {}
    assert pages.copies.place(other.tenant_id).copy is None


def test_a_reading_that_fails_keeps_nobody_waiting(
    busy: Bench, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = busy.trigger()
    monkeypatch.setitem(statements(), "task.queued_actions", "SELECT 1 / 0, %(tenant_id)s")
    with pytest.raises(Exception, match="division by zero") as kept:
        pages.why(busy, first)
    monkeypatch.undo()
    is_locked = pages.copies.place(busy.tenant_id).lock.locked()
    assert (kept.value, is_locked) == (kept.value, False), "who keeps the error keeps no lock"
    assert pages.why(busy, first)[0].cause is Cause.SLOTS_FULL


def test_copies_go_when_they_are_old_or_too_many(
    busy: Bench, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = busy.trigger()
    pages.why(busy, first)
    kept = pages.copies.place(busy.tenant_id)
    monkeypatch.setattr(copy_schedulers, "MOST_TASKS", 1)
    pages.copies.trim(busy.now)
    assert pages.copies.place(busy.tenant_id) is kept, "the last one stays, however large"
    newest = pages.copies.place(new_id())
    newest.copy = kept.copy
    pages.copies.trim(busy.now)
    assert pages.copies.place(busy.tenant_id) is not kept
    busy.pass_time(5)
    pages.copies.trim(busy.now)
    assert pages.copies.count() == 0


class NoticedLock:
    """A lock that tells when somebody is about to wait for it."""

    def __init__(self) -> None:
        self.lock, self.asked = threading.Lock(), threading.Event()

    def locked(self) -> bool:
        return self.lock.locked()

    def __enter__(self) -> None:
        if self.lock.locked():
            self.asked.set()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_one_request_reads_while_others_wait_for_it(busy: Bench, pages: Pages) -> None:
    (first,) = busy.trigger()
    place = pages.copies.place(busy.tenant_id)
    place.lock = lock = NoticedLock()  # type: ignore[assignment]  # as much of a lock as is used

    def operation() -> Operation[Any]:
        return explain_tasks(busy.tenant_id, [first], busy.now, pages.copies)

    building = Asking(operation())
    while building.found is None and not lock.locked():
        building.go_on(_answer(building.asked))
    waiting = Asking(operation())
    other = threading.Thread(target=waiting.go_on_with, args=[building.answers[:]])
    other.start()
    assert lock.asked.wait(10)
    while building.found is None:
        building.go_on(_answer(building.asked))
    other.join(10)
    assert waiting.found == building.found, "without asking more than what came before the lock"
    assert building.found[first].cause is Cause.SLOTS_FULL


class Asking:
    """An operation that is answered by hand."""

    def __init__(self, operation: Operation[Any]) -> None:
        self._operation = operation
        self.asked = next(operation)
        self.answers: list[Any] = []
        self.found: Any = None

    def go_on_with(self, answers: Sequence[list[list[Any]]]) -> None:
        for answer in answers:
            self.go_on(answer)

    def go_on(self, answer: list[list[Any]]) -> None:
        self.answers.append(answer)
        try:
            self.asked = self._operation.send(answer)
        except StopIteration as stop:
            self.found = stop.value


def _answer(queries: Step) -> list[list[Any]]:
    assert isinstance(queries, Sequence), "explaining changes nothing"
    texts = statements()
    results = []
    with connection.cursor() as cursor:
        for query in queries:
            cursor.execute(texts[query.name], query.params)
            results.append([query.row(*row) for row in cursor.fetchall()])
    return results
