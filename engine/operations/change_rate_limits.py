"""Sets, pauses and deletes rate limits."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.errors import NotFound
from engine.states import RateLimitWindow
from engine.store import rate_limits
from engine.store.changes import Changes
from engine.store.query import Operation, fetch


def put_rate_limit(
    tenant_id: UUID, key: str, limit: int, window: RateLimitWindow, now: datetime
) -> Operation[None]:
    """Set a limit, or give it other settings: workers do so whenever they start, and nothing is refilled."""
    yield from fetch(rate_limits.put(tenant_id, key, limit, window, now))
    yield _changed(tenant_id, key)


def pause_rate_limit(
    tenant_id: UUID, key: str, until: datetime, now: datetime
) -> Operation[datetime]:
    """Give out nothing of a key until then; return when the pause ends, which is never earlier than it was."""
    ends = yield from fetch(rate_limits.pause(tenant_id, key, until, now))
    if not ends:
        raise NotFound(f'there is no rate limit "{key}"')
    yield _changed(tenant_id, key)
    return ends[0]


def delete_rate_limit(tenant_id: UUID, key: str) -> Operation[None]:
    """Forget a limit: tasks that brought it along have it made again, others wait until it is set."""
    if not (yield from fetch(rate_limits.delete(tenant_id, key))):
        raise NotFound(f'there is no rate limit "{key}"')
    yield _changed(tenant_id, key)


def _changed(tenant_id: UUID, key: str) -> Changes:
    return Changes(limits=[(tenant_id, key)], pages={(tenant_id, "rate-limits")})
