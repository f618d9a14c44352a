"""Which runs a bulk action is about, and how many of them it takes into one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from engine.errors import InvalidArgument
from engine.store import runs
from engine.store.query import Operation, fetch
from engine.types import RunFilter

MOST_MATCHED = 20_000
AT_ONCE = 1_000


def matching_runs(tenant_id: UUID, run_filter: RunFilter) -> Operation[list[UUID]]:
    """Return all runs a filter selects, the newest first.

    InvalidArgument if there are more than one call can act on: nothing is done to some of them only.
    """
    found = yield from fetch(runs.matching(tenant_id, run_filter, MOST_MATCHED + 1))
    if len(found) > MOST_MATCHED:
        raise InvalidArgument(
            f"the filter selects more than {MOST_MATCHED} runs and nothing was done: "
            "narrow it, for instance by since and until, or name the runs by their ids"
        )
    return found


def few_at_a_time(ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    """Yield each id once, in parts that are to be acted on in a transaction each."""
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), AT_ONCE):
        yield unique[start : start + AT_ONCE]
