"""What a task is stored with for the scheduler: the keys of its concurrency groups, its rate limits."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

import orjson

from engine.domain.cel.expressions import Variables
from engine.domain.concurrency import Keys, chains_of
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.domain.rate_limits import make_limits


@lru_cache(maxsize=10_000)
def keyed_steps(version: RegisteredVersion) -> frozenset[UUID]:
    """Return the steps whose tasks are stored with keys."""
    limited = (step.id for step in version.steps if step.definition.rate_limits)
    return frozenset((*chains_of(version), *limited))


def with_limits(
    keys: Keys, step: RegisteredStep, variables: Variables, before: str | None = None
) -> Keys:
    """Return a task's keys with what it claims of rate limits, evaluated unless it was stored `before`."""
    if not step.definition.rate_limits or keys.error:
        return keys
    limits = make_limits(step.definition, variables, before)
    if limits.error or keys.stored is None:
        return Keys(limits.stored, limits.error)
    form = orjson.loads(keys.stored) | orjson.loads(limits.stored or b"{}")
    return Keys(orjson.dumps(form).decode())
