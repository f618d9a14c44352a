"""Tells open pages that something changed; what it is now they fetch, and are shown what they may see."""

from __future__ import annotations

from uuid import UUID

import orjson
from django.db import connection

CHANNEL = "hatchet_live"
MEMBERS = "members"
"""Who belongs to a tenant, with which role, and who is invited."""


def tell_pages(tenant_id: UUID, *topics: str) -> None:
    """Have the pages of a tenant that watch these topics look again, when the transaction commits."""
    message = orjson.dumps({"t": str(tenant_id), "topics": topics}).decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, message])
