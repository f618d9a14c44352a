"""Spans are stored under the runs of their own tenant, once."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection

from engine.domain.spans import NewSpan
from engine.ids import new_id
from engine.models import Span
from engine.operations.record_spans import record_spans
from engine.otlp.intake import Intake
from engine.otlp.spans import SpanReader
from engine.store import sync_db
from engine.tracing_config import TracingConfig
from engine.types import TriggerRequest
from tests.operations.bench import Bench, step
from tests.otlp import request, span


def spans_of(tenant_id: UUID, *run_ids: UUID | None) -> list[NewSpan]:
    reader = SpanReader(tenant_id, Intake(TracingConfig()), datetime.now(UTC))
    sent = request(
        *(span(run_id, attributes={"instrumentor": "hatchet", "n": 1}) for run_id in run_ids)
    )
    return [found for found in reader.read(sent) if found is not None]


def record(spans: list[NewSpan]) -> list[bool]:
    return sync_db.run(record_spans(spans))


@pytest.fixture
def run_id(bench: Bench) -> UUID:
    bench.put()
    (run_id,) = bench.trigger()
    return run_id


def test_spans_of_known_runs_are_stored_and_the_others_told(bench: Bench, run_id: UUID) -> None:
    spans = spans_of(bench.tenant_id, run_id, new_id(), None, run_id)
    assert record(spans) == [True, False, True, True]
    stored = {row.id: row for row in Span.objects.filter(tenant_id=bench.tenant_id)}
    assert stored.keys() == {spans[0].id, spans[2].id, spans[3].id}
    row = stored[spans[0].id]
    assert (row.run_id, row.trace_id, row.span_id) == (run_id, spans[0].trace_id, spans[0].span_id)
    assert (row.name, row.service_name, row.duration_ns) == ("work", "billing", 10**9)
    assert (row.started_at, row.attributes) == (spans[0].started_at, spans[0].attributes)
    assert stored[spans[2].id].run_id is None


def test_a_span_that_names_a_step_is_of_its_run(bench: Bench) -> None:
    bench.put(step("a"), step("b"), name="dag")
    (run_id,) = bench.trigger(TriggerRequest("dag"))
    assert record(spans_of(bench.tenant_id, bench.steps(run_id)["a"])) == [True]
    assert Span.objects.get(tenant_id=bench.tenant_id).run_id == run_id


def test_another_tenants_run_is_as_good_as_unknown(bench: Bench, run_id: UUID) -> None:
    stranger = Bench()
    assert record(spans_of(stranger.tenant_id, run_id)) == [False]
    # In one batch with the owner's, too.
    both = spans_of(stranger.tenant_id, run_id) + spans_of(bench.tenant_id, run_id)
    assert record(both) == [False, True]
    assert not Span.objects.filter(tenant_id=stranger.tenant_id).exists()


def test_what_is_sent_again_is_stored_once(bench: Bench, run_id: UUID) -> None:
    spans = spans_of(bench.tenant_id, run_id, run_id)
    assert record(spans) == record(spans) == record([*spans, *spans])[:2] == [True, True]
    assert Span.objects.filter(tenant_id=bench.tenant_id).count() == 2


def test_they_lie_in_the_partition_of_their_day(bench: Bench, run_id: UUID) -> None:
    (made,) = spans_of(bench.tenant_id, run_id)
    record([made])
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM engine_span WHERE id = %s", [made.id])
        assert cursor.fetchone() == (f"engine_span_{datetime.now(UTC):%Y%m%d}",)


def test_nothing_to_store_asks_for_nothing(bench: Bench) -> None:
    assert record([]) == []
