"""`POST …/sns/<tenant>/<event>`: notifications of a tenant's topics become events.

Plain Django, as for webhooks: SNS calls its JSON plain text, and has none of our credentials.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from engine.api.errors import STATUSES
from engine.errors import HatchetError
from engine.types import EventInput
from tenants.buckets import Buckets
from tenants.json_text import JsonRefused, read_json
from tenants.rest.errors import error_body
from webhooks.models import SnsTopic
from webhooks.push import push
from webhooks.sns.envelopes import (
    NOTIFICATION,
    Forged,
    Malformed,
    Unreachable,
    confirm,
    topic_of,
    verify,
)

LONGEST_BODY = 1024 * 1024
"""Four times what SNS sends at most."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
calls: Buckets[UUID] = Buckets(50.0, 100.0)
"""What of this process each tenant has been sent lately."""

log = logging.getLogger("hatchet.webhooks")


class _Refused(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def receive(request: HttpRequest, tenant: str, event: str) -> HttpResponse:
    try:
        _receive(request, tenant, event)
    except _Refused as refused:
        return _refusal(refused.status, str(refused))
    except HatchetError as error:
        return _refusal(STATUSES.get(error.code, 500), str(error))
    return HttpResponse(status=200)


def _receive(request: HttpRequest, tenant: str, event: str) -> None:
    if not _UUID.fullmatch(tenant):
        raise _Refused(400, "tenant is not a UUID")
    tenant_id = UUID(tenant)
    if not SnsTopic.objects.filter(tenant_id=tenant_id, tenant__archived_at=None).exists():
        raise _Refused(404, "no topic is registered here")
    if not calls.take(tenant_id):
        raise _Refused(429, "too many requests; wait a second")
    body = _body(request)
    envelope = _envelope(body)
    try:
        topic = topic_of(envelope)
    except Malformed as error:
        raise _Refused(400, str(error)) from error
    if not SnsTopic.objects.filter(tenant_id=tenant_id, topic_arn=topic).exists():
        raise _Refused(403, "this topic is not registered here")
    _check(envelope)
    if envelope["Type"] == NOTIFICATION:
        with transaction.atomic():
            push(tenant_id, EventInput(key=event, payload=body.strip()), datetime.now(UTC))


def _body(request: HttpRequest) -> bytes:
    too_long = _Refused(413, f"the body has more than {LONGEST_BODY} bytes")
    try:
        body = request.body
    except RequestDataTooBig:
        raise too_long from None
    if len(body) > LONGEST_BODY:
        raise too_long
    return body


def _envelope(body: bytes) -> Mapping[str, Any]:
    try:
        envelope = read_json(body)
    except JsonRefused as error:
        raise _Refused(400, f"the body {error}") from error
    if not isinstance(envelope, dict):
        raise _Refused(400, "the body must be a JSON object")
    return envelope


def _check(envelope: Mapping[str, Any]) -> None:
    """Verify the signature; a subscription that somebody asked for is confirmed."""
    try:
        verify(envelope)
        if envelope["Type"] != NOTIFICATION:
            confirm(envelope)
    except Forged:
        raise _Refused(403, "this is not signed by Amazon SNS") from None
    except Unreachable as error:
        log.warning("Amazon SNS could not be asked: %.300s", error)
        raise _Refused(503, "Amazon SNS could not be asked; send it again") from None


def _refusal(status: int, sentence: str) -> HttpResponse:
    return JsonResponse(error_body(status, sentence), status=status)
