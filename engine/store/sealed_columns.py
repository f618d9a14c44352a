"""Which parameters and columns of statements are payloads that may be stored otherwise than as they came.

Inputs, outputs, payloads of events and what durable logs remember are. Errors are not, for the log of the run
tells them too, and neither are payloads of filters, which are copies of what the filter's row says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from engine.states import PayloadKind
from engine.store.query import Query


class Written(NamedTuple):
    """Names of a statement's parameters.

    `tenants` is one id, or one for each of the payloads. Of those that have an owner and a kind large ones may
    be objects.
    """

    data: str
    tenants: str
    owners: str = ""
    kind: PayloadKind | None = None


WRITTEN = {
    "run.insert": Written("inputs", "tenant_ids", "ids", PayloadKind.INPUT),
    "run.insert_standalone": Written("inputs", "kind_tenant_ids", "ids", PayloadKind.INPUT),
    "event.insert": Written("payloads", "tenant_id", "ids", PayloadKind.EVENT),
    "task.complete_standalone": Written("outputs", "tenant_ids", "ids", PayloadKind.OUTPUT),
    "task.complete_of_dag": Written("outputs", "tenant_ids", "ids", PayloadKind.OUTPUT),
    "durable_entry.insert": Written("results", "tenant_ids"),
    "durable_entry.update": Written("results", "tenant_ids"),
    "durable_wait.insert": Written("payloads", "tenant_ids"),
    "durable_wait.satisfy": Written("payloads", "tenant_ids"),
}
READ = {
    "durable_entry.in_ranges": 13,
    "durable_entry.of_children": 13,
    "durable_entry.with_keys": 13,
    "durable_wait.look_back": 2,
    "durable_wait.of_entries": 9,
    "event.by_id": 1,
    "payload.read": 4,
    "run.details": 2,
    "run.key_data": 1,
    "run.results": 7,
    "step_wait.data": 2,
    "task.assign": 14,
    "task.outputs_of_runs": 3,
    "task.undelivered_of_worker": 14,
}
"""The number of the column, from 0."""
MARKED = frozenset({"run.results"})
"""Those that tell apart by a mark what cannot be read, beside those for STARTs."""
SHOWN = frozenset({"payload.read"})
"""Those for people: what cannot be read now is left out of what else they ask for."""


class Payload(NamedTuple):
    """What is about to be written; without `kind` it stays in its row."""

    tenant_id: UUID
    data: bytes
    owner_id: UUID | None = None
    kind: PayloadKind | None = None


def payloads_of(query: Query[Any], written: Written) -> Iterator[Payload | None]:
    """Yield a statement's payloads in order, None where there is none."""
    params = query.params
    listed: list[bytes | None] = params[written.data]
    tenants = params[written.tenants]
    if "kinds" in params and written.tenants == "kind_tenant_ids":
        tenants = [tenants[number - 1] for number in params["kinds"]]
    elif isinstance(tenants, UUID):
        tenants = [tenants] * len(listed)
    owners = params[written.owners] if written.owners else [None] * len(listed)
    for tenant_id, owner_id, data in zip(tenants, owners, listed, strict=True):
        yield None if data is None else Payload(tenant_id, data, owner_id, written.kind)
