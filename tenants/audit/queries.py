"""Reading the audit log: narrowed, in pages by a cursor, or all of it in small parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from tenants.audit.models import ActorKind, AuditEntry

LARGEST_ID = 2**63 - 1
AT_ONCE = 500
_SEARCHED = ("actor_name", "action", "resource_name", "resource_id", "address")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the log is narrowed by; blank for no matter what.

    `actor` is a kind, an id or a name. `action` may be `cron.*`, `resource` may be `cron` or `cron:<id>`.
    """

    actor: str = ""
    action: str = ""
    resource: str = ""
    search: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_narrowed(self) -> bool:
        return self != Wanted()

    def condition(self) -> Q:
        wanted = Q()
        if self.actor in set(ActorKind):
            wanted &= Q(actor_kind=self.actor)
        elif self.actor:
            wanted &= Q(actor_id=self.actor) | Q(actor_name__iexact=self.actor)
        if self.action.endswith(".*"):
            wanted &= Q(action__startswith=self.action[:-1])
        elif self.action:
            wanted &= Q(action=self.action)
        if self.resource:
            kind, _, identity = self.resource.partition(":")
            wanted &= Q(resource_kind=kind)
            if identity:
                wanted &= Q(resource_id=identity)
        if self.search:
            wanted &= _found_in(self.search)
        if self.since is not None:
            wanted &= Q(at__gte=self.since)
        if self.until is not None:
            wanted &= Q(at__lt=self.until)
        return wanted


def _found_in(text: str) -> Q:
    found = Q()
    for column in _SEARCHED:
        found |= Q(**{f"{column}__icontains": text})
    return found


def entries_of(tenant_id: UUID, wanted: Wanted) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(wanted.condition(), tenant_id=tenant_id)


def newest_entries(
    entries: QuerySet[AuditEntry], *, before: int | None, limit: int
) -> tuple[list[AuditEntry], int | None]:
    """Return a page, the newest first, and the cursor of the next one if there is more."""
    older = entries if before is None else entries.filter(id__lt=before)
    rows = list(older.order_by("-id")[: limit + 1])
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def in_parts(entries: QuerySet[AuditEntry]) -> Iterator[list[AuditEntry]]:
    """Yield all entries, the oldest first, without ever holding more than a few of them."""
    after = 0
    while rows := list(entries.filter(id__gt=after).order_by("id")[:AT_ONCE]):
        yield rows
        after = rows[-1].id
