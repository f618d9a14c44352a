"""Makes, changes and deletes the filters that clients manage."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.domain.cel.answers import asking_for
from engine.domain.cel.expressions import Environment, compile_expression
from engine.errors import InvalidArgument, NotFound
from engine.store import filters, workflows
from engine.store.filters import NewFilter
from engine.store.query import Operation, fetch, repeatable

_REPEATED = "the workflow has a filter of that scope, expression and payload already"
_UNKNOWN = "there is no such filter"


@repeatable
def create_filter(
    tenant_id: UUID, workflow_id: UUID, new: NewFilter, now: datetime
) -> Operation[UUID]:
    """Return the filter's id. NotFound: no such workflow. InvalidArgument: wrong, or there already."""
    asking_for(tenant_id)
    compile_expression(new.expression, Environment.FILTER, "expression", bool)
    if not (yield from fetch(workflows.live(tenant_id, workflow_id))):
        raise NotFound("there is no such workflow")
    made = yield from fetch(
        filters.insert(tenant_id, workflow_id, [new], is_declared=False, now=now)
    )
    if not made:
        raise InvalidArgument(_REPEATED)
    return made[0]


@repeatable
def update_filter(
    tenant_id: UUID,
    filter_id: UUID,
    *,
    scope: str | None,
    expression: str | None,
    payload: bytes | None,
    now: datetime,
) -> Operation[None]:
    """Change what is given; None leaves a part as it is."""
    if expression is not None:
        asking_for(tenant_id)
        compile_expression(expression, Environment.FILTER, "expression", bool)
    rows = yield from fetch(filters.lock(tenant_id, filter_id))
    if not rows:
        raise NotFound(_UNKNOWN)
    changed = NewFilter(
        scope=rows[0].scope if scope is None else scope,
        expression=rows[0].expression if expression is None else expression,
        payload=bytes(rows[0].payload) if payload is None else payload,
    )
    if (yield from fetch(filters.same(rows[0].workflow_id, changed.digest, filter_id))):
        raise InvalidArgument(_REPEATED)
    yield from fetch(filters.update(filter_id, changed, now))


def delete_filter(tenant_id: UUID, filter_id: UUID) -> Operation[None]:
    if not (yield from fetch(filters.delete(tenant_id, filter_id))):
        raise NotFound(_UNKNOWN)
