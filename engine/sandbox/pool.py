"""Answers questions in processes of their own, from threads or from an event loop.

There is one pool a process. Its threads and their processes are started when something is asked, and
end when nothing is asked for a while.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from engine.domain.cel.answers import (
    SECONDS,
    SECONDS_EACH,
    Answers,
    Evaluated,
    Question,
    Unanswered,
)
from engine.domain.cel.expressions import TOO_MUCH_MEMORY
from engine.errors import ResourceExhausted
from engine.sandbox.evaluator import BROKEN_OFF, TOO_MUCH_TIME, Evaluator
from engine.sandbox.turns import TOO_MUCH_WAITS, Job, Turns

log = logging.getLogger("hatchet.expressions")

Result = TypeVar("Result")

MOST_PROCESSES = 2
IDLE_SECONDS = 60.0
_SHOWN_CHARACTERS = 200


class Sandbox:
    """Tenants take turns; one thread drives one process."""

    def __init__(self, processes: int = MOST_PROCESSES) -> None:
        self.counts: Counter[str] = Counter()
        """Answers, and of these the ones whose evaluation was cut short."""
        self._processes = processes
        self._turns = Turns()
        self._changed = threading.Condition()
        self._threads = self._idle = 0
        self._callers: Counter[UUID | None] = Counter()
        self._most_callers: tuple[int, int] | None = None

    def submit(self, job: Job) -> None:
        """Have a job's questions answered."""
        with self._changed:
            self._turns.add(job)
            self._call_thread()

    def _call_thread(self) -> None:
        if self._idle:
            self._changed.notify()
        elif self._threads < self._processes:
            self._threads += 1
            threading.Thread(target=self._serve, name="expressions", daemon=True).start()

    def limit_callers(self, of_a_tenant: int, together: int) -> None:
        """Let only so many threads wait for answers: a web process has few for everybody."""
        self._most_callers = of_a_tenant, together

    @contextmanager
    def calling(self, tenant_ids: Collection[UUID | None]) -> Iterator[None]:
        """Count a thread in that waits. ResourceExhausted if too many do."""
        with self._changed:
            if self._most_callers is not None:
                of_a_tenant, together = self._most_callers
                most = max((self._callers[tenant_id] for tenant_id in tenant_ids), default=0)
                if most >= of_a_tenant or self._callers.total() >= together:
                    raise ResourceExhausted(TOO_MUCH_WAITS)
            self._callers.update(tenant_ids)
        try:
            yield
        finally:
            with self._changed:
                self._callers.subtract(tenant_ids)
                self._callers += Counter()

    def _serve(self) -> None:
        evaluator: Evaluator | None = None
        while (job := self._next()) is not None:
            try:
                if evaluator is not None and not evaluator.is_usable:
                    evaluator.stop()
                    evaluator = None
                evaluator = evaluator or Evaluator()
                self._take_turn(job, evaluator)
            except Exception:
                log.exception("expressions could not be evaluated")
                job.fail("expressions cannot be evaluated at present")
            with self._changed:
                self._turns.resume(job)
        if evaluator is not None:
            evaluator.stop()

    def _next(self) -> Job | None:
        """Wait for a job; None means that the thread is to end, and it is counted out already."""
        with self._changed:
            while (job := self._turns.next()) is None:
                self._idle += 1
                was_woken = self._changed.wait(IDLE_SECONDS)
                self._idle -= 1
                if not was_woken and self._turns.is_empty:
                    self._threads -= 1
                    return None
            if not self._turns.is_empty:
                self._call_thread()
            return job

    def _take_turn(self, job: Job, evaluator: Evaluator) -> None:
        questions = job.turn()
        turn = evaluator.take_turn(questions)
        self.counts["answered"] += len(turn.answers)
        for question, answer in zip(questions, turn.answers, strict=False):
            if answer.error in _CUT_SHORT:
                kind = _CUT_SHORT[answer.error]
                self.counts[kind] += 1
                log.warning(
                    "tenant %s: %s (number %d that was %s, of %d): %r",
                    job.tenant_id,
                    answer.error,
                    self.counts[kind],
                    kind,
                    self.counts["answered"],
                    question.expression[:_SHOWN_CHARACTERS],
                )
        job.take(turn.answers, turn.seconds)


_CUT_SHORT: Mapping[str | None, str] = {
    TOO_MUCH_TIME: "too slow",
    TOO_MUCH_MEMORY: "too large",
    BROKEN_OFF: "broken off",
}

sandbox = Sandbox()


def _submit_all(answers: Answers) -> list[Job]:
    asked: dict[UUID | None, list[Question]] = defaultdict(list)
    for question, tenant_id in answers.asked.items():
        asked[tenant_id].append(question)
    jobs = [
        Job(
            tenant_id,
            questions,
            answers.seconds_left.get(tenant_id, SECONDS) + len(questions) * SECONDS_EACH,
        )
        for tenant_id, questions in asked.items()
    ]
    for job in jobs:
        sandbox.submit(job)
    return jobs


def answer(answers: Answers) -> None:
    """Wait until everything that is asked is answered, in a thread that may wait.

    ResourceExhausted: too much waits already.
    """
    with sandbox.calling(set(answers.asked.values())):
        for job in _submit_all(answers):
            _put(answers, job, job.answered.result())


async def answer_async(answers: Answers) -> None:
    """Wait until everything that is asked is answered. ResourceExhausted: too much waits already."""
    for job in _submit_all(answers):
        _put(answers, job, await asyncio.wrap_future(job.answered))


def _put(answers: Answers, job: Job, found: dict[Question, Evaluated]) -> None:
    answers.put(found)
    answers.seconds_left[job.tenant_id] = job.seconds_left


def settled(tenant_id: UUID, work: Callable[[], Result]) -> Result:
    """Return what the work comes to once its expressions are answered. It may be done several times."""
    answers = Answers(tenant_id)
    while True:
        try:
            return _attempt(answers, work)
        except Unanswered:
            answer(answers)


async def settled_async(tenant_id: UUID, work: Callable[[], Result]) -> Result:
    """Like `settled`, leaving the event loop to others meanwhile."""
    answers = Answers(tenant_id)
    while True:
        try:
            return _attempt(answers, work)
        except Unanswered:
            await answer_async(answers)


def _attempt(answers: Answers, work: Callable[[], Result]) -> Result:
    with answers:
        try:
            result = work()
        except Exception:
            answers.insist()
            raise
        answers.insist()
        return result
