"""Whose questions are answered next: tenants take turns, whatever each has asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple
from uuid import UUID

from engine.domain.cel.answers import Evaluated, Question
from engine.errors import ResourceExhausted

TURN_QUESTIONS = 64
TURN_BYTES = 1024 * 1024
MOST_WAITING = 100_000
MOST_WAITING_BYTES = 128 * 1024 * 1024
"""Questions of one tenant, and their data; whoever asks more is told to come again."""

TOO_MUCH_WAITS = "too many costly expressions wait to be evaluated; try again later"


class _Load(NamedTuple):
    """What is kept in memory for a job, or for all jobs of a tenant."""

    questions: int = 0
    size: int = 0

    def plus(self, other: _Load) -> _Load:
        return _Load(self.questions + other.questions, self.size + other.size)

    def minus(self, other: _Load) -> _Load:
        return _Load(self.questions - other.questions, self.size - other.size)


class Job:
    """Questions asked together; `answered` brings what all of them came to."""

    def __init__(
        self, tenant_id: UUID | None, questions: Sequence[Question], seconds: float
    ) -> None:
        self.tenant_id = tenant_id
        self.seconds_left = self._seconds = seconds
        self.answered: Future[dict[Question, Evaluated]] = Future()
        self.answered.set_running_or_notify_cancel()
        self._questions = deque(questions)
        self._found: dict[Question, Evaluated] = {}
        held = {id(value): len(value) for q in questions for value in q.values or ()}
        self.load = _Load(len(questions), sum(held.values()))
        if seconds <= 0:
            self._spend()

    def __len__(self) -> int:
        return len(self._questions)

    def turn(self) -> list[Question]:
        """Return the questions of its next turn."""
        taken: list[Question] = []
        size = 0
        for question in self._questions:
            size += sum(len(value) for value in question.values or ())
            if taken and (size > TURN_BYTES or len(taken) == TURN_QUESTIONS):
                break
            taken.append(question)
        return taken

    def take(self, answers: Sequence[Evaluated], seconds: float) -> None:
        """Take the answers to the first questions; what took too long together is not asked further."""
        for answer in answers:
            self._found[self._questions.popleft()] = answer
        self.seconds_left -= seconds
        if self.seconds_left <= 0:
            self._spend()

    def _spend(self) -> None:
        self.fail(f"the expressions of one call took longer than {self._seconds:g} s together")

    def fail(self, error: str) -> None:
        """Answer all questions that are left."""
        self._found |= dict.fromkeys(self._questions, Evaluated(error=error))
        self._questions.clear()

    def finish(self) -> None:
        self.answered.set_result(self._found)

    def refuse(self) -> None:
        self.answered.set_exception(ResourceExhausted(TOO_MUCH_WAITS))


class Turns:
    """The jobs that wait, in one line for each tenant; a tenant is served by one process at a time."""

    def __init__(self) -> None:
        self._lines: dict[UUID | None, deque[Job]] = {}
        """Of the tenants in the rotation and of those being served."""
        self._rotation: deque[UUID | None] = deque()
        self._loads: dict[UUID | None, _Load] = {}

    def add(self, job: Job) -> None:
        """Let a job wait for its turn; what is too much beside others of its tenant is refused."""
        if not len(job):
            job.finish()
            return
        before = self._loads.get(job.tenant_id, _Load())
        load = before.plus(job.load)
        if before.questions and (load.questions > MOST_WAITING or load.size > MOST_WAITING_BYTES):
            job.refuse()
            return
        self._loads[job.tenant_id] = load
        if job.tenant_id not in self._lines:
            self._lines[job.tenant_id] = deque()
            self._rotation.append(job.tenant_id)
        self._lines[job.tenant_id].append(job)

    @property
    def is_empty(self) -> bool:
        """Whether nobody has a turn to take; those being served may have more later."""
        return not self._rotation

    def next(self) -> Job | None:
        """Take the job whose turn it is; give it back with `resume`."""
        while self._rotation:
            tenant_id = self._rotation.popleft()
            if line := self._lines[tenant_id]:
                return line.popleft()
            del self._lines[tenant_id], self._loads[tenant_id]
        return None

    def resume(self, job: Job) -> None:
        """Let a job go on at its tenant's next turn, or answer it."""
        if len(job):
            self._lines[job.tenant_id].appendleft(job)
        else:
            self._loads[job.tenant_id] = self._loads[job.tenant_id].minus(job.load)
            job.finish()
        self._rotation.append(job.tenant_id)
