"""The limits that this installation enforces, and those of what belongs to this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from tenants.resources import LIMIT_REACHED, Limit, LimitReached, Resource


def enforced() -> Mapping[Resource, Limit]:
    """Return what holds for tenants without limits of their own; nothing is enforced that is not there."""
    return settings.HATCHET.limits


def hold(tenant_id: UUID, resource: Resource, amount: int, count: Callable[[], int]) -> None:
    """Refuse what was just added in the caller's transaction if there is too much of it now.

    `count` is called once nobody else can add any more. LimitReached: the caller undoes it.
    """
    limit = enforced().get(resource)
    if limit is None:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenants_lock_limit(%s, %s)", [tenant_id, resource.value])
        given = [tenant_id, resource.value, count(), amount, limit.value]
        try:
            with transaction.atomic():
                cursor.execute("SELECT tenants_hold(%s, %s, %s, %s, %s)", given)
        except DatabaseError as error:
            if (reached := limit_reached(error)) is None:
                raise
            raise reached from error


def limit_reached(error: DatabaseError) -> LimitReached | None:
    """Return the refusal that an error of the database stands for, if it is one."""
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) != LIMIT_REACHED:
        return None
    return LimitReached(str(cause).split("\n", 1)[0])
