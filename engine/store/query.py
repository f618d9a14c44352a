"""Queries as values, and operations as generators of them.

A store function returns a `Query`. An operation yields batches of queries and receives their rows, so
the same body runs on the engine's async pool and on Django's own connection. It does no I/O itself.
Between its queries it yields `Changes`: what others are to learn of once the transaction has committed;
and `Wanting`: attempts that might be written as running at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast
from uuid import UUID

from engine import states
from engine.domain.assignment import ReadyTask
from engine.domain.cel.answers import Answers
from engine.store.changes import Changes
from engine.store.placing import Places, Wanting

Row = TypeVar("Row")
Result = TypeVar("Result")

SQL_FOLDERS = [Path(__file__).resolve().parent.parent / "sql"]
"""Apps above the engine add theirs at their start."""
_NAME = re.compile(r"^-- name: ([a-z_]+\.[a-z_]+)$", re.MULTILINE)
_STATE = re.compile(r"(?<!:):([A-Z]\w*(?:\.[A-Z_]+)?)")


@dataclass(frozen=True, slots=True)
class Query(Generic[Row]):
    """A named statement with its parameters; `row` builds one result from the columns in order.

    A payload it reads that `is_for_start` goes into what a worker is sent, where a mark may stand for it.
    """

    name: str
    params: Mapping[str, Any]
    row: Callable[..., Row]
    is_for_start: bool = False


Step = Sequence[Query[Any]] | Changes | Wanting
"""What an operation yields: queries, whose rows it is sent, what it changed, or attempts to be placed."""

Operation = Generator[Step, Sequence[list[Any]], Result]
"""It is sent the rows of each query; `place` says what it is sent for attempts."""


Arguments = ParamSpec("Arguments")


class Repeatable(Generator[Step, Sequence[list[Any]], Result], Generic[Result]):
    """An operation that can be begun anew: iterating it begins it.

    Nothing that its arguments hold may be changed by it, and ids that its expressions see are arguments.
    """

    def __init__(self, begin: Callable[[], Operation[Result]], name: str) -> None:
        self._begin = begin
        self.__qualname__ = name
        self._begun: Operation[Result] | None = None

    def __iter__(self) -> Operation[Result]:
        return self._begin()

    def send(self, value: Any) -> Step:
        if self._begun is None:
            self._begun = self._begin()
        return self._begun.send(value)

    def throw(self, *given: Any) -> Step:
        if self._begun is None:
            self._begun = self._begin()
        return self._begun.throw(*given)


def repeatable(
    operation: Callable[Arguments, Operation[Result]],
) -> Callable[Arguments, Operation[Result]]:
    """Make an operation one that can be begun anew, as those are that evaluate costly expressions."""

    @wraps(operation)
    def begin(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Operation[Result]:
        return Repeatable(lambda: operation(*args, **kwargs), operation.__qualname__)

    return begin


def name_of(operation: Operation[Any]) -> str:
    """Return what an operation is called: the function that made it, unless `called` something else."""
    name: str = getattr(operation, "__qualname__", "")
    return name


def called(name: str, operation: Operation[Result]) -> Operation[Result]:
    """Name an operation whose own function says little."""
    operation.__qualname__ = name  # type: ignore[attr-defined]  # generators have one, the type has not
    return operation


def fetch(query: Query[Row]) -> Operation[list[Row]]:
    """Run one query and return its rows."""
    (rows,) = yield (query,)
    return rows


def fetch_all(*queries: Query[Any]) -> Operation[Sequence[list[Any]]]:
    """Run independent queries in one round trip and return the rows of each."""
    return (yield queries)


class Last(tuple[Query[Any], ...]):
    """Queries after which an operation asks for nothing more: they commit in the same round trip."""

    __slots__ = ()


def fetch_last(*queries: Query[Any]) -> Operation[Sequence[list[Any]]]:
    """Like `fetch_all`, as the last thing of the whole operation."""
    return (yield Last(queries))


def place(ready: Sequence[tuple[UUID, ReadyTask]]) -> Operation[Places]:
    """Ask which of these attempts may be written as running, and where; it costs no round trip."""
    places: Any = yield Wanting(ready)
    return cast("Places", places)


def breathe() -> Operation[None]:
    """Let an event loop turn to others in the middle of a long calculation."""
    yield ()


def insisting(operation: Operation[Result], answers: Answers) -> Operation[Result]:
    """Drive an operation no further than provisional answers reach: Unanswered, nothing committed."""
    return called(name_of(operation), _insisting(operation, answers))


def _insisting(operation: Operation[Result], answers: Answers) -> Operation[Result]:
    operation = iter(operation)
    is_committed = False
    try:
        step = next(operation)
        while True:
            if not isinstance(step, Changes):
                if step:
                    answers.insist()
                is_committed = isinstance(step, Last)
            step = operation.send((yield step))
    except StopIteration as stop:
        if is_committed and answers.asked:
            raise RuntimeError("an operation evaluated a costly expression after its end") from None
        answers.insist()
        result: Result = stop.value
        return result
    except Exception:
        answers.insist()
        raise


def no_row(*_columns: object) -> None:
    """Row builder of statements whose rows nobody reads. Every statement must return rows."""


Value = TypeVar("Value")


def the_value(value: Value) -> Value:
    """Row builder of statements with one column."""
    return value


@cache
def statements() -> dict[str, str]:
    """Return every named statement, by name.

    `:Status.QUEUED` in a file stands for the number of that member of an enum of engine.states,
    `:RETRY_QUEUE_PRIORITY` for a constant. Raises AttributeError for a name that is not there, TypeError for
    one that is no number, and ValueError for a statement's name that is bad or repeated.
    """
    found: dict[str, str] = {}
    for path in sorted(path for folder in SQL_FOLDERS for path in folder.glob("*.sql")):
        parts = _NAME.split(path.read_text())
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in found or name.split(".")[0] != path.stem:
                raise ValueError(f"{path.name}: bad or repeated statement name {name}")
            found[name] = _STATE.sub(_number_of, text.strip().rstrip(";"))
    return found


def _number_of(match: re.Match[str]) -> str:
    return f"{attrgetter(match[1])(states):d}"
