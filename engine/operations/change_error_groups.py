"""What people do about groups of failures: resolve, mute, open again, assign."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.errors import InvalidArgument, NotFound
from engine.states import ErrorState
from engine.store import error_groups
from engine.store.query import Operation, fetch


def set_error_state(
    tenant_id: UUID,
    group_id: UUID,
    state: ErrorState,
    now: datetime,
    *,
    muted_until: datetime | None = None,
) -> Operation[None]:
    """Resolve, mute or open a group; without an end it is muted for good. NotFound: there is none."""
    if muted_until is not None and muted_until <= now:
        raise InvalidArgument("a group is muted until a time to come")
    query = error_groups.set_state(tenant_id, group_id, state, now, muted_until=muted_until)
    if not (yield from fetch(query)):
        raise NotFound("there is no such group of errors")


def assign_error_group(tenant_id: UUID, group_id: UUID, user_id: UUID | None) -> Operation[None]:
    """Give a group to a member, or to nobody. NotFound: there is no such group or member."""
    if not (yield from fetch(error_groups.assign(tenant_id, group_id, user_id))):
        raise NotFound("there is no such group of errors, or no such member")
