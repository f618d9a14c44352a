"""Endpoints that lead to a receiver of the test's own, and runs to be told of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async

from engine.runtime.engine import HatchetEngine
from tests.runtime.harness import FakeWorker, trigger, with_django
from tests.webhooks.receiver import Answer, Answers, Received, Receiver
from webhooks.models import Dispatch, DispatchState, Endpoint
from webhooks.outgoing import changes
from webhooks.outgoing.changes import NewEndpoint
from webhooks.outgoing.kinds import KINDS

RUN_KINDS = [kind for kind in KINDS if kind.startswith("run.")]


async def endpoint_for(
    tenant_id: UUID, receiver: Receiver, *kinds: str, **options: Any
) -> tuple[Endpoint, str]:
    new = NewEndpoint(url=receiver.url(), kinds=kinds or RUN_KINDS, **options)
    return await with_django(lambda: changes.create_endpoint(tenant_id, new, datetime.now(UTC)))


async def came(receiver: Receiver, count: int) -> list[Received]:
    return await sync_to_async(receiver.wait_for, thread_sensitive=False)(count)


async def complete_runs(engine: HatchetEngine, tenant_id: UUID, count: int = 1) -> list[UUID]:
    worker = await FakeWorker.connect(engine, tenant_id, slots=count)
    runs = await trigger(engine, tenant_id, count)
    for _ in runs:
        await worker.complete(await worker.next_start())
    return runs


def failing(kind: str, times: int) -> Answers:
    """Refuse the first so many messages of a kind."""
    left = [times]

    def answer(received: Received) -> Answer:
        if received.kind == kind and left[0] > 0:
            left[0] -= 1
            return Answer(500, b"not now")
        return Answer()

    return answer


def all_are(endpoint: Endpoint, state: DispatchState, count: int) -> bool:
    found = Dispatch.objects.filter(endpoint_id=endpoint.id).values_list("state", flat=True)
    return list(found) == [state] * count
