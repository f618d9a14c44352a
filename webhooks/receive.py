"""`POST …/webhooks/<name>`: whoever knows the address may send; what is sent must prove itself.

Plain Django, none of the REST kit: an `Authorization` header here is not meant for our tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

import orjson
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse

from engine.api.events import pushed_event
from tenants.installation import installation
from tenants.rest.errors import AnyDict, error_body
from webhooks.accept import accept, refuse_too_large
from webhooks.arrived import Arrived
from webhooks.models import Webhook
from webhooks.queries import find_receiver
from webhooks.records import Outcome

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
NOT_FOUND = "there is no such webhook"


def receive(request: HttpRequest, tenant: str, name: str) -> HttpResponse:
    if not _UUID.fullmatch(tenant):
        return _refusal(400, "tenant is not a UUID")
    webhook = find_receiver(UUID(tenant), name) if "\0" not in name else None
    if webhook is None:
        return _refusal(404, NOT_FOUND)
    now, headers = datetime.now(UTC), _headers(request.META)
    address = str(request.META.get("REMOTE_ADDR", ""))
    try:
        body = request.body
    except RequestDataTooBig:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        most = installation().grpc_max_message_bytes
        arrived = Arrived(headers, b"", now, address)
        outcome = refuse_too_large(webhook, arrived, body_bytes=length, most=most)
    else:
        outcome = accept(webhook, Arrived(headers, body, now, address))
    return _answer(webhook, outcome)


def _answer(webhook: Webhook, outcome: Outcome) -> HttpResponse:
    """What the sender is told. Challenges are given back as they came."""
    if outcome.error:
        return _refusal(outcome.status, outcome.error)
    if outcome.challenge is not None:
        return _json({"challenge": outcome.challenge})
    if outcome.status == 204 or outcome.event is None:
        return HttpResponse(status=204)
    event = pushed_event(webhook.tenant_id, outcome.event, webhook.name)
    return _json({"message": "ok", "event": event})


def _refusal(status: int, sentence: str) -> HttpResponse:
    # Who comes too often is told when to come again; an empty reserve has a call after 20 ms.
    headers = {"Retry-After": "1"} if status == HTTPStatus.TOO_MANY_REQUESTS else None
    return JsonResponse(error_body(status, sentence), status=status, headers=headers)


def _json(shape: AnyDict) -> HttpResponse:
    return HttpResponse(orjson.dumps(shape), content_type="application/json")


def _headers(meta: Mapping[str, object]) -> dict[str, str]:
    """Return the request's headers by their names in lower case."""
    headers = {
        key[5:].replace("_", "-").lower(): str(value)
        for key, value in meta.items()
        if key.startswith("HTTP_")
    }
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if meta.get(key):
            headers[key.replace("_", "-").lower()] = str(meta[key])
    return headers
