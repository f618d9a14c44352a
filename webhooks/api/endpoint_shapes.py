"""How outgoing endpoints and their messages look in answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from engine.api.run_shapes import without_nones
from tenants.rest.errors import AnyDict
from tenants.rest.render import metadata, timestamp
from webhooks.models import Dispatch, DispatchState, Endpoint, Message
from webhooks.outgoing.signing import name_of


def endpoint_shape(endpoint: Endpoint, secret: str | None = None) -> AnyDict:
    return without_nones(
        {
            "metadata": metadata(endpoint.id, endpoint.created_at, endpoint.updated_at),
            "tenantId": str(endpoint.tenant_id),
            "url": endpoint.url,
            "description": endpoint.description,
            "kinds": endpoint.kinds,
            "workflowIds": [str(each) for each in endpoint.workflow_ids],
            "isPaused": bool(endpoint.pause_reason),
            "pauseReason": endpoint.pause_reason or None,
            "pausedAt": timestamp(endpoint.paused_at),
            "failingSince": timestamp(endpoint.failing_since),
            "previousSecretExpiresAt": timestamp(endpoint.previous_expires_at),
            "secret": secret,
        }
    )


def messages_of(dispatches: Sequence[Dispatch]) -> dict[UUID, Message]:
    """Return the messages by their ids, without their bodies."""
    wanted = [one.message_id for one in dispatches]
    found = Message.objects.filter(message_id__in=wanted).defer("body")
    return {message.message_id: message for message in found}


def message_shape(dispatch: Dispatch, message: Message) -> AnyDict:
    is_pending = dispatch.state == DispatchState.PENDING
    return without_nones(
        {
            "messageId": str(dispatch.message_id),
            "webhookId": name_of(dispatch.message_id),
            "cursor": str(dispatch.position),
            "kind": message.kind,
            "subjectId": None if message.subject_id is None else str(message.subject_id),
            "happenedAt": timestamp(message.at),
            "state": dispatch.state,
            "attempts": dispatch.attempts,
            "nextAttemptAt": timestamp(dispatch.due_at) if is_pending else None,
            "finishedAt": timestamp(dispatch.finished_at),
            "status": dispatch.status,
            "error": dispatch.error or None,
            "log": [_attempt_shape(entry) for entry in dispatch.log],
        }
    )


def whole_message_shape(dispatch: Dispatch, message: Message, *, may_view: bool) -> AnyDict:
    shape = message_shape(dispatch, message)
    if may_view:
        shape["body"] = bytes(message.body).decode()
    else:
        shape["payloadsRestricted"] = True
    return shape


def _attempt_shape(entry: dict[str, Any]) -> AnyDict:
    shown = entry | {"at": timestamp(datetime.fromisoformat(entry["at"]))}
    shown["error"] = entry["error"] or None
    shown["answer"] = entry["answer"] or None
    return without_nones(shown)
