"""A trace as bars over one line of time, for a drawing without client code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.domain.engine_spans import QUEUED, RUN, SERVICE, WAITING, WORKING
from engine.domain.spans import TASK_ID, Span, SpanEvent
from engine.domain.trace_context import span_hex
from engine.models.trace_queries import spans_at, trace_of, traced_run
from engine.states import SpanKind, SpanStatus
from tenants.access import TenantAccess

SPANS_SHOWN = 300
MOST_BYTES = 4 * 1024 * 1024
WIDTH = 1000
"""Of the drawing, in its own units; a bar has at least `_NARROWEST` of them."""
_NARROWEST = 4
DEEPEST = 12
_TICKS = 4
_SECOND_NS = 1_000_000_000
_CLOCKS_DIFFER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Bar:
    """One span and its place; `depth` is how far it is indented."""

    span: Span
    depth: int
    x: int
    width: int
    state: str

    @property
    def dom_id(self) -> str:
        return f"span-{span_hex(self.span.span_id)}"

    @property
    def is_engines(self) -> bool:
        return self.span.service_name == SERVICE

    @property
    def label(self) -> str:
        """The engine's spans by what they are of, others by their names."""
        name, attributes = self.span.name, self.span.attributes
        if name == RUN:
            return attributes.get("hatchet.workflow_name", name)
        if not self.is_engines:
            return name
        words = name.rpartition(".")[2].replace("start_step_run", "running")
        step = attributes.get("hatchet.step_name") or attributes.get("hatchet.event_key", "")
        return f"{step} {words}".strip()

    @property
    def seconds(self) -> float:
        return self.span.duration_ns / _SECOND_NS

    @property
    def attributes(self) -> list[tuple[str, str]]:
        return sorted(self.span.attributes.items())

    @property
    def events(self) -> Sequence[SpanEvent]:
        return self.span.events


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Bars in the order of the tree. `ticks` are seconds since the beginning, at equal distances."""

    trace_id: UUID
    bars: Sequence[Bar]
    ticks: Sequence[float]
    hidden: int


def trace_context(access: TenantAccess, run_id: UUID) -> Waterfall | None:
    """Draw what of its trace is about a run and what came of it. None: there is no such run."""
    now = datetime.now(UTC)
    run = traced_run(access.tenant.id, run_id)
    if run is None:
        return None
    places = trace_of(run, now).of_run()
    spans = spans_at(
        access.tenant.id,
        places[:SPANS_SHOWN],
        room=MOST_BYTES,
        may_view_payloads=access.can_view_payloads,
    )
    return draw(spans, now, hidden=max(0, len(places) - SPANS_SHOWN))


def draw(spans: Sequence[Span], now: datetime, *, hidden: int = 0) -> Waterfall:
    """Place spans, of which there is one at least."""
    start = min(span.started_at for span in spans)
    length = max(1, *(_end_ns(span, start) for span in spans))
    bars = [
        Bar(span, min(depth, DEEPEST), *_extent(span, start, length), _state(span, now))
        for depth, span in _in_order(spans)
    ]
    ticks = [length / _SECOND_NS * tick / _TICKS for tick in range(_TICKS + 1)]
    return Waterfall(spans[0].trace_id, bars, ticks, hidden)


def _begin_ns(span: Span, start: datetime) -> int:
    return (span.started_at - start) // timedelta(microseconds=1) * 1000


def _end_ns(span: Span, start: datetime) -> int:
    return _begin_ns(span, start) + span.duration_ns


def _extent(span: Span, start: datetime, length: int) -> tuple[int, int]:
    """Where a bar begins, and how wide it is."""
    begin = min(_begin_ns(span, start) * WIDTH // length, WIDTH - _NARROWEST)
    return begin, max(span.duration_ns * WIDTH // length, _NARROWEST)


def _in_order(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Each span before those within it, with its depth; those whose parent is not here stand by themselves."""
    known = {span.span_id: span for span in spans}
    parents = {span.span_id: _parent_of(span, known, spans) for span in spans}
    within: dict[int | None, list[Span]] = defaultdict(list)
    for span in spans:
        within[parents[span.span_id]].append(span)
    seen: set[int] = set()
    waiting: list[tuple[int, Span]] = [(0, span) for span in reversed(within[None])]
    left = iter(spans)
    while True:
        while waiting:
            depth, span = waiting.pop()
            if span.span_id not in seen:
                seen.add(span.span_id)
                yield depth, span
                waiting += [(depth + 1, each) for each in reversed(within[span.span_id])]
        # Who says that it is its own ancestor stands by itself, too.
        following = next((span for span in left if span.span_id not in seen), None)
        if following is None:
            return
        waiting.append((0, following))


def _parent_of(span: Span, known: dict[int, Span], spans: Iterable[Span]) -> int | None:
    """A worker's span hangs where its run was triggered; it is drawn in the attempt that it is."""
    if span.kind is SpanKind.CONSUMER and (task_id := span.attributes.get(TASK_ID)):
        attempts = [
            each
            for each in spans
            if each.name == WORKING
            and each.service_name == SERVICE
            and each.attributes.get(TASK_ID) == task_id
            and each.retry_count == span.retry_count
            and each.started_at <= span.started_at + _CLOCKS_DIFFER
        ]
        if attempts:
            return attempts[-1].span_id
    return span.parent_span_id if span.parent_span_id in known else None


def _state(span: Span, now: datetime) -> str:
    """The word that its colour stands for."""
    if span.status is SpanStatus.ERROR:
        return "failed"
    if span.service_name == SERVICE and span.name in (QUEUED, WAITING):
        return "queued" if span.name == QUEUED else "waiting"
    if span.service_name == SERVICE and span.status is SpanStatus.UNSET:
        ended = span.started_at + timedelta(microseconds=span.duration_ns // 1000)
        return "running" if ended >= now else "cancelled"
    return "completed"
