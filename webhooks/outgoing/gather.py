"""Makes messages of what has happened: one at a time, so that their positions grow as they become visible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from engine.ids import new_id
from engine.store.changes import Changes
from engine.store.query import Operation, Query, fetch
from webhooks.outgoing import store
from webhooks.outgoing.kinds import TEST
from webhooks.outgoing.messages import body_of, test_body
from webhooks.outgoing.store import EndpointRow, NewMessage, OccurrenceRow

TOPIC = "webhook_endpoints"
"""What open pages of endpoints listen to."""
SILENCE = timedelta(seconds=30)


def gather(limit: int, now: datetime, *, looks_for_silence: bool = False) -> Operation[int]:
    """Turn the next occurrences into messages; return how many there were.

    None if another engine is at it: it does the same.
    """
    [is_ours] = yield from fetch(store.take_turn())
    if not is_ours:
        return 0
    if looks_for_silence:
        yield from fetch(store.note_silent_workers(now - SILENCE, now))
    rows = yield from fetch(store.occurrences(limit))
    if not rows:
        return 0
    tenant_ids = sorted({row.tenant_id for row in rows})
    endpoints = yield from fetch(store.endpoints_of(tenant_ids))
    messages = _messages_of(rows, endpoints)
    if messages:
        yield from fetch(_insert(messages, now))
        yield Changes(pages={(one.tenant_id, TOPIC) for one in messages})
    yield from fetch(store.forget([row.id for row in rows]))
    return len(rows)


def send_test(tenant_id: UUID, endpoint_id: UUID, now: datetime) -> Operation[UUID]:
    """Put a message on its way to one endpoint; return the id of its dispatch."""
    yield from fetch(store.wait_for_turn())
    body = test_body(tenant_id, endpoint_id, now)
    message = NewMessage(new_id(), tenant_id, TEST.name, None, now, body, [endpoint_id])
    [made] = yield from fetch(_insert([message], now))
    yield Changes(pages={(tenant_id, TOPIC)})
    return made


def _messages_of(
    rows: Sequence[OccurrenceRow], endpoints: Sequence[EndpointRow]
) -> list[NewMessage]:
    of_tenant: dict[UUID, list[EndpointRow]] = defaultdict(list)
    for endpoint in endpoints:
        of_tenant[endpoint.tenant_id].append(endpoint)
    messages = []
    for row in rows:
        wanting = [one.id for one in of_tenant[row.tenant_id] if _wants(one, row)]
        if wanting:
            messages.append(
                NewMessage(
                    new_id(), row.tenant_id, row.kind, row.subject_id, row.at, body_of(row), wanting
                )
            )
    return messages


def _wants(endpoint: EndpointRow, row: OccurrenceRow) -> bool:
    """Workflows narrow what is told of runs, and nothing else."""
    if row.kind not in endpoint.kinds:
        return False
    is_of_some = row.workflow_id is not None and bool(endpoint.workflow_ids)
    return not is_of_some or row.workflow_id in endpoint.workflow_ids


def _insert(messages: Sequence[NewMessage], now: datetime) -> Query[UUID]:
    dispatch_ids = [new_id() for one in messages for _ in one.endpoint_ids]
    return store.insert(messages, dispatch_ids, now)
