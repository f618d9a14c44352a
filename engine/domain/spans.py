"""Spans: as they come in, and as they are shown, whoever made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypedDict
from uuid import UUID

from engine.states import SpanKind, SpanStatus

RUN_ID = "hatchet.workflow_run_id"
CHILD_RUN_ID = "hatchet.child_workflow_run_id"
TASK_ID = "hatchet.step_run_id"
TENANT_ID = "hatchet.tenant_id"
RETRY_COUNT = "hatchet.retry_count"
PAYLOAD = "hatchet.payload"
"""Attributes of the SDKs' spans. The payload is for those who may see payloads."""
INSTRUMENTOR = "instrumentor"
SOURCE = "hatchet.span_source"


class SpanEvent(TypedDict):
    """Something that happened within a span; `time` in RFC 3339."""

    name: str
    time: str
    attributes: Mapping[str, str]


def event_at(name: str, at: datetime, attributes: Mapping[str, str]) -> SpanEvent:
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"name": name, "time": text, "attributes": attributes}


class NewSpan(NamedTuple):
    """A span to be stored. `about` is the run or the task that it names; None: it names its trace only.

    `resource_attributes`, `attributes` and `events` are the texts of JSON documents.
    """

    id: UUID
    tenant_id: UUID
    about: UUID | None
    retry_count: int
    trace_id: UUID
    span_id: int
    parent_span_id: int | None
    name: str
    kind: SpanKind
    status: SpanStatus
    status_message: str
    service_name: str
    scope_name: str
    scope_version: str
    started_at: datetime
    duration_ns: int
    resource_attributes: str
    attributes: str
    events: str

    @property
    def size(self) -> int:
        """Roughly its bytes."""
        texts = (self.resource_attributes, self.attributes, self.events, self.status_message)
        return 300 + sum(map(len, texts))


class Span(NamedTuple):
    """A span as it is shown. `run_id` is None if it names no run."""

    run_id: UUID | None
    trace_id: UUID
    span_id: int
    parent_span_id: int | None
    name: str
    kind: SpanKind
    status: SpanStatus
    started_at: datetime
    duration_ns: int
    retry_count: int = 0
    service_name: str = ""
    status_message: str = ""
    scope_name: str = ""
    scope_version: str = ""
    resource_attributes: Mapping[str, str] = {}
    attributes: Mapping[str, str] = {}
    events: Sequence[SpanEvent] = ()
