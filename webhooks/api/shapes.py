"""How webhooks and their deliveries look in answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from engine.api.room import Room
from engine.api.run_shapes import without_nones
from engine.ids import id_at
from engine.models import Run
from engine.models.wide_columns import Wide
from tenants.rest.errors import AnyDict
from tenants.rest.render import metadata, timestamp
from webhooks.models import Delivery, Webhook

_CLOCKS_DIFFER = timedelta(minutes=1)
MOST_RUNS = 1_000


def webhook_shape(webhook: Webhook, room: Room, *, may_view: bool) -> AnyDict:
    """V1Webhook: nothing of its secret, and the static payload for those who may see payloads."""
    static = None if webhook.static_payload is None else bytes(webhook.static_payload)
    shown = room.json(Wide(len(static), static)) if static is not None and may_view else None
    return without_nones(
        {
            "metadata": metadata(webhook.id, webhook.created_at, webhook.updated_at),
            "tenantId": str(webhook.tenant_id),
            "name": webhook.name,
            "sourceName": webhook.source_name,
            "eventKeyExpression": webhook.event_key_expression,
            "scopeExpression": webhook.scope_expression or None,
            "staticPayload": shown,
            "authType": webhook.auth_type,
            "returnEventAsResponsePayload": webhook.returns_event,
        }
    )


def delivery_shape(delivery: Delivery, webhook_name: str) -> AnyDict:
    return without_nones(
        {
            "metadata": metadata(delivery.id, delivery.received_at),
            "tenantId": str(delivery.tenant_id),
            "webhookName": webhook_name,
            "receivedAt": timestamp(delivery.received_at),
            "remoteAddress": delivery.remote_address,
            "verdict": delivery.verdict,
            "isVerified": delivery.is_verified,
            "canBeRedelivered": delivery.can_be_redelivered,
            "status": delivery.status,
            "error": delivery.error or None,
            "eventKey": delivery.event_key,
            "scope": delivery.scope,
            "eventId": _text(delivery.event_id),
            "redeliveryOf": _text(delivery.redelivery_of),
            "headers": delivery.headers,
            "bodyBytes": delivery.body_bytes,
            "isBodyWhole": delivery.is_body_whole,
        }
    )


def whole_delivery_shape(delivery: Delivery, webhook_name: str, *, may_view: bool) -> AnyDict:
    """The same with what a list leaves out: the runs it started, and what is kept of its body."""
    shape = delivery_shape(delivery, webhook_name)
    shape["triggeredRuns"] = [{"workflowRunId": str(run.id)} for run in runs_of(delivery)]
    if may_view:
        shape["body"] = bytes(delivery.body).decode(errors="replace")
    else:
        shape["payloadsRestricted"] = True
    return shape


def runs_of(delivery: Delivery) -> Sequence[Run]:
    """Return the first runs that a delivery's event started."""
    if delivery.event_id is None:
        return []
    since = id_at(delivery.received_at - _CLOCKS_DIFFER)
    found = Run.objects.filter(event_id=delivery.event_id, id__gte=since)
    return list(found.only("id").order_by("id")[:MOST_RUNS])


def _text(identity: UUID | None) -> str | None:
    return None if identity is None else str(identity)
