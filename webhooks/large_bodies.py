"""What the web process asks and tells about bodies to webhooks that are too long to be taken in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from webhooks.accept import refuse_too_large
from webhooks.arrived import Arrived
from webhooks.queries import find_receiver


def is_address(tenant_id: UUID, name: str) -> bool:
    """Whether a webhook has this address."""
    return "\0" not in name and find_receiver(tenant_id, name) is not None


def record_too_large(
    tenant_id: UUID, name: str, headers: Mapping[str, str], address: str, *, most: int
) -> None:
    """Record, if there is such a webhook, that a body for it was refused before it was taken in."""
    webhook = find_receiver(tenant_id, name) if "\0" not in name else None
    if webhook is None:
        return
    length = headers.get("content-length", "")
    said = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else most + 1
    arrived = Arrived(headers, b"", datetime.now(UTC), address)
    refuse_too_large(webhook, arrived, body_bytes=said, most=most)
