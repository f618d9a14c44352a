"""Which tenant, run, task, worker and engine a line of the processes' own log is about.

They come from three places: the words in front of ids in the message (`"task %s is lost"` has a task's),
the arguments that a message names (`"%(tenant_id)s"`), and the request that is being served.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from uuid import UUID

FIELDS = ("tenant_id", "run_id", "task_id", "worker_id", "engine_id")
_CONVERSION = re.compile(
    r"(?:\b(tenant|run|task|worker|engine) )?%(?:%|[-#0 +]*(?:\d+|\*)?(?:\.(?:\d+|\*))?[a-zA-Z])",
    re.IGNORECASE,
)
_MOST_MESSAGES = 1_000

_served_tenant: ContextVar[UUID | None] = ContextVar("the tenant a request is about", default=None)


def serve_tenant(tenant_id: UUID) -> None:
    """Say whose request over HTTP is served from now on; a call over gRPC says it by its token."""
    _served_tenant.set(tenant_id)


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return the ids of a line by the names of their fields."""
    found: dict[str, object] = {"tenant_id": _served_tenant.get() or _calling_tenant()}
    if isinstance(record.args, Mapping):
        found |= {name: record.args.get(name) for name in FIELDS if name in record.args}
    elif record.args:
        found |= {name: record.args[place] for place, name in _places(str(record.msg))}
    return {name: str(value) for name, value in found.items() if value is not None}


def _calling_tenant() -> UUID | None:
    # The log is set up before there are models, which this would want.
    from tenants.caller import calling

    caller = calling.get()
    return None if caller is None else caller.tenant_id


@lru_cache(maxsize=_MOST_MESSAGES)
def _places(message: str) -> tuple[tuple[int, str], ...]:
    """Which arguments of a message are ids of what, as the word before each says."""
    arguments = [match for match in _CONVERSION.finditer(message) if not match[0].endswith("%%")]
    return tuple(
        (place, f"{match[1].lower()}_id") for place, match in enumerate(arguments) if match[1]
    )
