"""Writing the audit log, in the transaction of what it tells of and with one statement.

What changes rows says who is at work (`recorded_changes`); the triggers of the tables write the entries.
What does anything else writes its entry itself (`Acting`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from uuid import UUID

import orjson
from django.db import connection, transaction

from tenants.audit.actors import Actor
from tenants.audit.declared import Acts, Changes, Declared

_LONGEST = 500

# A token's name is looked up: whoever calls with it has shown no more than its id.
_BEGIN = """
SELECT set_config('hatchet.audit', (%(context)s::jsonb || jsonb_strip_nulls(jsonb_build_object(
    'actor_name', (SELECT name FROM tenants_apitoken WHERE id = %(token_id)s::uuid)
)))::text, true)
"""
_END = "SELECT set_config('hatchet.audit', '', true)"
_INSERT = """
INSERT INTO tenants_auditentry (tenant_id, actor_kind, actor_id, actor_name, action, resource_kind, resource_id,
                                resource_name, after, address, user_agent)
VALUES (%(tenant_id)s::uuid, %(actor_kind)s, %(actor_id)s,
        coalesce((SELECT name FROM tenants_apitoken WHERE id = %(token_id)s::uuid), %(actor_name)s),
        %(action)s, %(resource_kind)s, %(resource_id)s, %(resource_name)s, %(after)s::jsonb,
        %(address)s, %(user_agent)s)
"""


@contextmanager
def recorded_changes(declared: Changes, actor: Actor, tenant_id: UUID | None) -> Iterator[None]:
    """Run the body in a transaction whose changes are told of as this actor's."""
    is_nested = connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        context = context_of(declared, actor, tenant_id)
        cursor.execute(_BEGIN, {"context": context, "token_id": actor.token_id})
        yield
        if is_nested:  # Otherwise it ends with the transaction.
            cursor.execute(_END)


def context_of(declared: Changes, actor: Actor, tenant_id: UUID | None) -> str:
    """Return the JSON that triggers read from the setting `hatchet.audit`."""
    context = _who(actor, tenant_id) | {"action": declared.action, "kind": declared.kind}
    return orjson.dumps(context).decode()


def record(
    declared: Acts,
    actor: Actor,
    tenant_id: UUID | None,
    *,
    resource_id: str = "",
    resource_name: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry, within the caller's transaction if there is one."""
    given = _who(actor, tenant_id) | {
        "token_id": actor.token_id,
        "action": declared.action,
        "resource_kind": declared.kind,
        "resource_id": resource_id,
        "resource_name": _clean(resource_name),
        "after": orjson.dumps(details).decode() if details else None,
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, given)


@dataclass(slots=True)
class Acting:
    """What somebody is about to do; the entry is written together with it, or else right after it."""

    declared: Acts
    actor: Actor
    tenant_id: UUID | None
    resource_id: str = ""
    _is_settled: bool = field(default=False, init=False)

    @contextmanager
    def on(self, resource_id: object = None) -> Iterator[dict[str, Any]]:
        """Run the body and write the entry in one transaction; the body may add details of what it did."""
        details: dict[str, Any] = {}
        self._is_settled = False
        try:
            with transaction.atomic():
                yield details
                self.finish(self.resource_id if resource_id is None else str(resource_id), details)
        finally:
            self._is_settled = True  # with an exception nothing was done

    def leave_out(self) -> None:
        """Nothing was done after all."""
        self._is_settled = True

    def finish(
        self, resource_id: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        """Write the entry unless that is done."""
        if self._is_settled:
            return
        self._is_settled = True
        record(
            self.declared,
            self.actor,
            self.tenant_id,
            resource_id=self.resource_id if resource_id is None else resource_id,
            details=details,
        )


class _Answer(Protocol):
    status_code: int


Answer = TypeVar("Answer", bound=_Answer)


def answer_audited(
    declared: Declared | None,
    actor: Callable[[], Actor],
    tenant_id: UUID | None,
    resource_id: str,
    answer: Callable[[Acting | None], Answer],
) -> Answer:
    """Let a view answer a request that may change something, and write what it declared."""
    if isinstance(declared, Changes) and not declared.in_parts:
        with recorded_changes(declared, actor(), tenant_id):
            return answer(None)
    if not isinstance(declared, Acts):
        return answer(None)
    acting = Acting(declared, actor(), tenant_id, resource_id)
    answered = answer(acting)
    if answered.status_code < 400:
        acting.finish()
    return answered


def _who(actor: Actor, tenant_id: UUID | None) -> dict[str, str | None]:
    return {
        "tenant_id": None if tenant_id is None else str(tenant_id),
        "actor_kind": actor.kind.value,
        "actor_id": actor.id,
        "actor_name": _clean(actor.name),
        "address": _clean(actor.address),
        "user_agent": _clean(actor.user_agent),
    }


def _clean(text: str) -> str:
    """What came from outside, such that it can be stored and shown."""
    return text.encode(errors="replace").decode().replace("\0", "")[:_LONGEST]
