"""Decides which workflows an event starts, and how often: one run for each filter that is true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from engine.domain.cel.expressions import try_filter
from engine.states import CelSource
from engine.store.events import TriggerMatch
from engine.store.filters import Failure, FilterRow
from engine.store.query import Operation, breathe
from engine.types import EventRecord

MAX_FAILURES = 100
"""How many failed expressions of one push are written down."""
AT_ONCE = 100
"""How many filters are evaluated before others have their turn."""


class Passed(NamedTuple):
    """An event that starts a workflow; the filter that let it pass, if the workflow has any."""

    event: EventRecord
    version_id: UUID
    filter_id: UUID | None = None
    filter_payload: bytes | None = None


def pass_filters(
    records: Sequence[EventRecord], matches: Sequence[TriggerMatch], rows: Sequence[FilterRow]
) -> Operation[tuple[list[Passed], list[Failure]]]:
    """Return, in the order of the events, what starts, and the expressions that failed.

    A workflow without filters is started whatever the scope. One with filters needs an event of a
    filter's scope: an event without a scope starts nothing there. `rows` are the filters of their scopes.
    """
    matches_of: dict[str, list[TriggerMatch]] = defaultdict(list)
    for match in matches:
        matches_of[match.key].append(match)
    by_scope: dict[tuple[UUID, str], list[FilterRow]] = defaultdict(list)
    for row in rows:
        by_scope[row.workflow_id, row.scope].append(row)
    passed: list[Passed] = []
    failures: list[Failure] = []
    evaluated = 0
    for record in records:
        for match in matches_of[record.key]:
            if not match.has_filters:
                passed.append(Passed(record, match.version_id))
                continue
            own = by_scope.get((match.workflow_id, record.scope or ""), ())
            for first in range(0, len(own), AT_ONCE):
                some = own[first : first + AT_ONCE]
                passed += [
                    Passed(record, match.version_id, row.id, bytes(row.payload))
                    for row in _true_ones(some, record, failures)
                ]
                evaluated += len(some)
                if evaluated >= AT_ONCE:
                    evaluated = 0
                    yield from breathe()
    return passed, failures[:MAX_FAILURES]


def _true_ones(
    rows: Sequence[FilterRow], record: EventRecord, failures: list[Failure]
) -> Iterator[FilterRow]:
    for row in rows:
        if not row.expression.strip():
            continue
        found = _evaluate(row, record)
        if found is True:
            yield row
        elif found is not False:
            failures.append(
                Failure(
                    CelSource.FILTER, row.workflow_id, record.event_id, row.expression, str(found)
                )
            )


def _evaluate(row: FilterRow, record: EventRecord) -> Any:
    """Return what the filter says of the event, or why it cannot say."""
    variables: Mapping[str, bytes | str] = {
        "input": record.payload,
        "payload": bytes(row.payload),
        "additional_metadata": record.additional_metadata or b"{}",
        "event_id": str(record.event_id),
        "event_key": record.key,
    }
    found = try_filter(row.expression, variables)
    return found.value if found.error is None else found.error
