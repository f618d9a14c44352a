"""Stores spans of clients: those of runs that are there, and those that name none."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.spans import NewSpan
from engine.store import traces
from engine.store.query import Operation, fetch, fetch_last


def record_spans(spans: Sequence[NewSpan]) -> Operation[list[bool]]:
    """Return of each span whether it is stored, now or before: not if its run is none of its tenant's."""
    named = {(span.tenant_id, span.about) for span in spans if span.about is not None}
    found = (yield from fetch(traces.runs(sorted(named)))) if named else []
    run_of = {(row.tenant_id, row.id): row.run_id for row in found}
    known = [
        (span, run_of[span.tenant_id, span.about] if span.about else None)
        for span in spans
        if span.about is None or (span.tenant_id, span.about) in run_of
    ]
    if known:
        yield from fetch_last(traces.insert(known))
    return [span.about is None or (span.tenant_id, span.about) in run_of for span in spans]
