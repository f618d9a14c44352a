"""Questions to costly expressions and their answers, so that pure code can ask without waiting.

Whoever drives a piece of work opens `Answers` for it. An expression that is too costly to be evaluated
on the spot notes its question there and goes on with a provisional error; the driver throws away what
was made of that, has the questions answered elsewhere, and begins the work again with the answers.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any, NamedTuple, Self
from uuid import UUID

from engine.errors import ResourceExhausted
from engine.ids import new_id

INLINE_SECONDS = 0.05
"""How long the expressions of one piece of work may take where they stand."""
SECONDS, SECONDS_EACH = 10.0, 0.005
"""How much CPU time the others of one piece of work may take elsewhere: of each tenant, and for each more."""
MOST_ASKED = 20_000
"""Questions of one round; the next one asks more."""
MOST_EXPRESSIONS = 250_000
"""How often one piece of work may evaluate anything beyond what is done on the spot."""
MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an expression came to: a value, or an error to be shown."""

    value: Any = None
    error: str | None = None


class Opaque(NamedTuple):
    """A value that is neither a number nor a text, as far as it is told: what kind it is, how it looks."""

    kind: str
    shown: str

    def __repr__(self) -> str:
        return self.shown


class Question(NamedTuple):
    """What an expression comes to with these values of its names; None asks if it compiles, and to what type."""

    expression: str
    environment: str
    values: tuple[bytes | str, ...] | None


class Unanswered(Exception):
    """Work used a provisional answer: answer what is asked and begin it again. Nothing was written."""


PROVISIONAL = Evaluated(error="the expression has not been evaluated yet")
NOWHERE = Evaluated(error="the expression is too costly to be evaluated here")
"""What every question gets where nobody waits for answers."""


_current: ContextVar[Answers | None] = ContextVar("answers", default=None)


class Answers:
    """What the questions of one piece of work came to so far, and what is left of its budgets.

    What is evaluated in its `with` block asks its questions here; leaving it ends an attempt.
    """

    __slots__ = (
        "_ids",
        "_ids_used",
        "_token",
        "asked",
        "expressions_left",
        "inline_left",
        "is_open",
        "known",
        "rounds",
        "seconds_left",
        "tenant_id",
    )

    def __init__(self, tenant_id: UUID | None = None) -> None:
        self.is_open = False
        self.known: dict[Question, Evaluated] = {}
        self.asked: dict[Question, UUID | None] = {}
        self.tenant_id = tenant_id
        self.inline_left = INLINE_SECONDS
        self.expressions_left = MOST_EXPRESSIONS
        self.seconds_left: dict[UUID | None, float] = {}
        self.rounds = 0
        self._ids: list[UUID] = []
        self._ids_used = 0
        self._token: Token[Answers | None]

    def __enter__(self) -> Self:
        """Begin the work, or begin it again once everything asked is answered."""
        self.inline_left = INLINE_SECONDS
        self.expressions_left = MOST_EXPRESSIONS
        self.rounds += 1
        self.is_open = True
        self._ids_used = 0
        self._token = _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        """End an attempt: only one that is to be begun again makes the same ids again."""
        _current.reset(self._token)
        self.is_open = False
        if not self.asked:
            self._ids.clear()

    def new_id(self) -> UUID:
        """Return a new id, the same one at this place of each attempt."""
        if self._ids_used == len(self._ids):
            self._ids.append(new_id())
        self._ids_used += 1
        return self._ids[self._ids_used - 1]

    def put(self, found: dict[Question, Evaluated]) -> None:
        self.known.update(found)
        for question in found:
            self.asked.pop(question, None)

    def part_of(self, tenant_id: UUID, *, is_whole: bool) -> Answers:
        """Return those for one tenant's part of the work; `is_whole` if it is all there is of it."""
        part = Answers(tenant_id)
        part.known, part.rounds = self.known, self.rounds
        own = [question for question, of in self.asked.items() if of == tenant_id]
        part.asked = dict.fromkeys(own or self.asked, tenant_id)
        part.seconds_left = dict(self.seconds_left)
        part._ids = self._ids if is_whole else []
        return part

    def forget_asked(self) -> None:
        """Others were given what is asked."""
        self.asked, self._ids = {}, []

    def insist(self) -> None:
        """Raise Unanswered if provisional answers were given since the work began."""
        if self.asked:
            raise Unanswered


def current_answers() -> Answers | None:
    """Return those of the work at hand; tasks begun by work that is over have none."""
    answers = _current.get()
    return answers if answers is not None and answers.is_open else None


def asking_for(tenant_id: UUID) -> None:
    """Say whose the questions are that follow: tenants take turns at being answered."""
    answers = current_answers()
    if answers is not None:
        answers.tenant_id = tenant_id


def repeated_id() -> UUID:
    """Return a new id that expressions may see; work that is begun again makes the same one."""
    answers = current_answers()
    return new_id() if answers is None else answers.new_id()


def ask(question: Question) -> Evaluated:
    """Return the answer, or a provisional one that `Answers.insist` will not let pass.

    Where nobody waits for answers, because the work cannot be begun again, the expression fails.
    ResourceExhausted: the work as a whole is too much.
    """
    answers = current_answers()
    if answers is None:
        return NOWHERE
    answers.expressions_left -= 1
    if answers.expressions_left < 0:
        raise ResourceExhausted(
            f"this needs more than {MOST_EXPRESSIONS} expressions evaluated: ask for less at once"
        )
    known = answers.known.get(question)
    if known is not None:
        return known
    if answers.rounds > MOST_ROUNDS:
        raise ResourceExhausted("what expressions are given changes too often; try again later")
    answers.asked[question] = answers.tenant_id
    if len(answers.asked) >= MOST_ASKED:
        raise Unanswered
    return PROVISIONAL
