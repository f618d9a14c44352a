"""Statements of engine/sql/audit.sql: what clients change over gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.store.query import Query, no_row, the_value
from tenants.audit.actors import Actor
from tenants.audit.declared import Acts, Changes
from tenants.audit.models import ActorKind
from tenants.audit.recording import context_of
from tenants.token_claims import VerifiedToken


def begin(declared: Changes, caller: VerifiedToken) -> Query[None]:
    actor = Actor(ActorKind.TOKEN, str(caller.token_id), user_agent="gRPC")
    context = context_of(declared, actor, caller.tenant_id)
    return Query("audit.begin", {"context": context, "token_id": caller.token_id}, no_row)


def record(
    declared: Acts, caller: VerifiedToken, *, resource_id: str, details: Mapping[str, Any]
) -> Query[int]:
    return Query(
        "audit.record",
        {
            "tenant_id": caller.tenant_id,
            "token_id": caller.token_id,
            "action": declared.action,
            "kind": declared.kind,
            "resource_id": resource_id,
            "after": orjson.dumps(details).decode(),
        },
        the_value,
    )
