"""What came to webhooks, and what endpoints were told, goes when it is old enough for its tenant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from engine.ids import id_at
from engine.operations.retention.choose import choose_period
from engine.store import sync_db
from tests.api.client import ApiClient
from tests.cast import Cast
from tests.operations.days import clear
from webhooks.models import (
    Delivery,
    Dispatch,
    DispatchState,
    EventOrigin,
    Message,
    Verdict,
    Webhook,
)

NOW = datetime.now(UTC)


def ago(days: float) -> dict[str, Any]:
    return {"id": id_at(NOW - timedelta(days=days))}


def fill(cast: Cast, webhook: Webhook) -> None:
    """Have a delivery, a message on its way and one that arrived: of ten days ago, and of sixteen."""
    for days in (10, 16):
        Delivery.objects.create(
            **ago(days),
            tenant_id=cast.tenant.id,
            webhook=webhook,
            received_at=NOW,
            verdict=Verdict.ACCEPTED,
            status=200,
        )
        known = {"tenant_id": cast.tenant.id, "kind": "run.created", "body": b"{}", "at": NOW}
        message = Message.objects.create(message_id=ago(days)["id"], **known)
        for state in (DispatchState.PENDING, DispatchState.DELIVERED):
            Dispatch.objects.create(
                id=UUID(int=ago(days)["id"].int + len(state)),
                tenant_id=cast.tenant.id,
                endpoint_id=UUID(int=len(state)),
                message_id=message.message_id,
                position=message.position,
                state=state,
                due_at=NOW,
                created_at=NOW,
            )


def counts() -> list[int]:
    return [model.objects.count() for model in (Delivery, Message, Dispatch)]


def make_webhook(cast: Cast) -> Webhook:
    new = {
        "name": "a",
        "sourceName": "GENERIC",
        "eventKeyExpression": "'order'",
        "authType": "API_KEY",
        "auth": {"headerName": "X-Key", "apiKey": "a secret"},
    }
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/webhooks"
    assert ApiClient(user=cast.owner).post(path, new).status == 200
    return Webhook.objects.get()


def test_two_weeks_are_kept(cast: Cast) -> None:
    fill(cast, make_webhook(cast))
    clear(NOW, limit=1)
    assert counts() == [1, 1, 2]
    assert not Delivery.objects.filter(id__lt=ago(11)["id"]).exists()


def test_a_tenant_keeps_them_for_longer_or_not_as_long(cast: Cast) -> None:
    fill(cast, make_webhook(cast))
    sync_db.run(choose_period(cast.tenant.id, "deliveries", "17d"))
    clear(NOW)
    assert counts() == [2, 2, 4]
    sync_db.run(choose_period(cast.tenant.id, "deliveries", "24h"))
    clear(NOW)
    assert counts() == [0, 0, 0]


def test_origins_go_with_their_events(cast: Cast) -> None:
    EventOrigin.objects.create(event_id=ago(33)["id"], webhook_name="a")
    EventOrigin.objects.create(event_id=ago(3)["id"], webhook_name="a")
    clear(NOW, limit=1)
    assert [one.event_id for one in EventOrigin.objects.all()] == [ago(3)["id"]]
