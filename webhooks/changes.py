"""Making, changing and deleting webhooks, for the API and the pages alike."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from django.db import IntegrityError, transaction

from engine.errors import InvalidArgument
from engine.operations.parts.count_usage import hold
from engine.store import sync_db
from tenants.installation import installation
from tenants.resources import Resource
from webhooks import expressions
from webhooks.credentials import Credentials
from webhooks.encryption import encrypt
from webhooks.models import AuthType, Webhook
from webhooks.source import Source
from webhooks.sources import all_sources

MOST_WEBHOOKS = 200
"""Of one tenant."""
LONGEST_NAME = 255
LONGEST_SECRET = 4_000
LONGEST_USER = 255
LONGEST_STATIC = 64 * 1024
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """What is known of a webhook before it exists. `static_payload` is a JSON object text that was judged."""

    name: str
    source_name: str
    event_key_expression: str
    scope_expression: str = ""
    static_payload: bytes | None = None
    returns_event: bool = True
    credentials: Credentials = field(repr=False)


def url_of(webhook: Webhook) -> str:
    """The address to be given to the sender."""
    path = f"/api/v1/stable/tenants/{webhook.tenant_id}/webhooks/{quote(webhook.name)}"
    return installation().server_url + path


def basic_secret(user: str, password: str) -> str:
    """Return what a sender encodes. InvalidArgument: such a user cannot be sent."""
    if not user or ":" in user or len(user) > LONGEST_USER:
        raise InvalidArgument(f"username must have 1 to {LONGEST_USER} characters and no colon")
    if not password:
        raise InvalidArgument("password is required")
    return f"{user}:{password}"


def create_webhook(tenant_id: UUID, new: NewWebhook, now: datetime) -> Webhook:
    """Make a webhook.

    InvalidArgument: something of it is wrong, or there is one of that name. LimitReached: there are enough.
    """
    _check_name(new.name)
    source = all_sources().get(new.source_name)
    if source is None:
        raise InvalidArgument(f"sourceName must be one of {', '.join(sorted(all_sources()))}")
    _check_credentials(source, new.credentials)
    expressions.check(tenant_id, new.event_key_expression, "eventKeyExpression")
    if new.scope_expression:
        expressions.check(tenant_id, new.scope_expression, "scopeExpression")
    _check_static(new.static_payload)
    if Webhook.objects.filter(tenant_id=tenant_id).count() >= MOST_WEBHOOKS:
        raise InvalidArgument(f"a tenant has at most {MOST_WEBHOOKS} webhooks")
    given = new.credentials
    is_signed = given.auth_type is AuthType.HMAC
    try:
        with transaction.atomic():
            made = Webhook.objects.create(
                tenant_id=tenant_id,
                name=new.name,
                source_name=source.name,
                event_key_expression=new.event_key_expression,
                scope_expression=new.scope_expression,
                static_payload=new.static_payload,
                returns_event=new.returns_event,
                auth_type=given.auth_type.value,
                header_name=given.header_name,
                algorithm=given.algorithm.value if is_signed else "",
                encoding=given.encoding.value if is_signed else "",
                secret=encrypt(given.secret),
                created_at=now,
                updated_at=now,
            )
            sync_db.run(hold(tenant_id, Resource.INCOMING_WEBHOOK, 1, now))
            return made
    except IntegrityError:
        raise InvalidArgument(f'there is a webhook named "{new.name}" already') from None


def update_webhook(
    webhook: Webhook,
    now: datetime,
    *,
    event_key_expression: str | None = None,
    scope_expression: str | None = None,
    static_payload: bytes | None = None,
    returns_event: bool | None = None,
) -> None:
    """Change what is given; a blank scope expression clears it. InvalidArgument: something is wrong."""
    changed = ["updated_at"]
    if event_key_expression is not None:
        expressions.check(webhook.tenant_id, event_key_expression, "eventKeyExpression")
        webhook.event_key_expression = event_key_expression
        changed.append("event_key_expression")
    if scope_expression is not None:
        if scope_expression:
            expressions.check(webhook.tenant_id, scope_expression, "scopeExpression")
        webhook.scope_expression = scope_expression
        changed.append("scope_expression")
    if static_payload is not None:
        _check_static(static_payload)
        webhook.static_payload = static_payload
        changed.append("static_payload")
    if returns_event is not None:
        webhook.returns_event = returns_event
        changed.append("returns_event")
    webhook.updated_at = now
    webhook.save(update_fields=changed)


def _check_name(name: str) -> None:
    """A name is part of an address: nothing that programs change in one on the way."""
    is_right = 0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()
    if not is_right or any(part in ("", ".", "..") for part in name.split("/")):
        raise InvalidArgument(
            f"name must have 1 to {LONGEST_NAME} printable characters, without blanks around it, "
            "and no part between slashes may be empty, . or .."
        )


def _check_credentials(source: Source, given: Credentials) -> None:
    if given.auth_type not in source.auth_types:
        allowed = ", ".join(kind.value for kind in source.auth_types)
        raise InvalidArgument(f"{source.title} proves itself by {allowed} only")
    if given.auth_type is not AuthType.BASIC and not _HEADER_NAME.fullmatch(given.header_name):
        raise InvalidArgument("the name of the header is not one that a header can have")
    if not given.secret.strip() or len(given.secret) > LONGEST_SECRET:
        raise InvalidArgument(f"the secret must have 1 to {LONGEST_SECRET} characters")
    if given.auth_type is AuthType.HMAC:
        try:
            source.check_secret(given.secret)
        except ValueError as error:
            raise InvalidArgument(f"signingSecret {error}") from error


def _check_static(payload: bytes | None) -> None:
    if payload is not None and len(payload) > LONGEST_STATIC:
        raise InvalidArgument(f"staticPayload is larger than {LONGEST_STATIC} bytes")
