"""What the terms of the query bar ask of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from dashboard.query_bar import Term
from dashboard.run_filters import id_prefix, with_id
from engine.models import run_conditions as conditions

HIDDEN = "Inputs are not searched: your membership does not include seeing payloads."


@dataclass(frozen=True, slots=True)
class Asked:
    """`condition` holds for the runs that are meant, within the times; `problems` are sentences."""

    condition: Q
    since: datetime | None
    until: datetime | None
    problems: tuple[str, ...]


def asked_by(terms: Iterable[Term], tenant_id: UUID, *, may_view: bool) -> Asked:
    """Every term must hold."""
    condition, problems = Q(), list[str]()
    since = until = None
    for term in terms:
        if term.field == "since" and not term.is_negated:
            since = max(since, term.value) if since else term.value
            continue
        if term.field == "until" and not term.is_negated:
            until = min(until, term.value) if until else term.value
            continue
        if term.field == "input" and not may_view:
            problems.append(HIDDEN)
            continue
        found = _condition(term, tenant_id, may_view=may_view)
        condition &= ~found if term.is_negated else found
    return Asked(condition, since, until, tuple(dict.fromkeys(problems)))


def _condition(term: Term, tenant_id: UUID, *, may_view: bool) -> Q:
    if term.field == "text":
        return _mentions(term.value, may_view=may_view)
    return _CONDITIONS[term.field](term, tenant_id)


_CONDITIONS: Mapping[str, Callable[[Term, UUID], Q]] = {
    "status": lambda term, _: Q(status__in=term.value),
    "trigger": lambda term, _: Q(trigger__in=term.value),
    "workflow": lambda term, tenant_id: conditions.of_workflows(tenant_id, term.value),
    "event": lambda term, _: conditions.like("event_key", term.value),
    "error": lambda term, _: conditions.failed_with(term.value),
    "metadata": lambda term, _: (
        conditions.metadata_reads if term.sign == "=" else conditions.metadata_holds
    )(term.path, term.value),
    "input": lambda term, _: conditions.input_has(term.path.rpartition(".")[2], term.value),
    "duration": lambda term, _: conditions.lasting(term.sign, term.value),
    "attempt": lambda term, _: conditions.with_attempt(term.sign, term.value),
    "worker": lambda term, tenant_id: conditions.on_worker(tenant_id, term.value),
    "tag": lambda term, _: conditions.tagged(term.value),
    "at": lambda term, _: conditions.under_way_at(term.value),
    "since": lambda term, _: Q(created_at__gte=term.value),
    "until": lambda term, _: Q(created_at__lte=term.value),
    "id": lambda term, _: with_id(term.value) if id_prefix(term.value) else Q(pk__in=[]),
}


def _mentions(text: str, *, may_view: bool) -> Q:
    """Runs that say a text anywhere: their id, metadata, event key, errors, input."""
    found = conditions.metadata_mentions(text) | conditions.event_key_mentions(text)
    found |= conditions.failed_with(text)
    if may_view:
        found |= conditions.input_mentions(text)
    return found | with_id(text) if id_prefix(text) else found
