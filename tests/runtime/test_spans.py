"""The engine writes spans in batches; each export learns how many of its own were of unknown runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest

from engine.domain.spans import NewSpan
from engine.errors import ResourceExhausted
from engine.ids import new_id
from engine.models import Span
from engine.otlp.intake import Intake
from engine.otlp.spans import SpanReader
from engine.runtime.engine import HatchetEngine
from engine.tracing_config import TracingConfig
from tests.otlp import request, span
from tests.recorder import Recorder
from tests.runtime.harness import trigger, with_django, workflow


def spans_of(tenant_id: UUID, *run_ids: UUID) -> list[NewSpan]:
    reader = SpanReader(tenant_id, Intake(TracingConfig()), datetime.now(UTC))
    return [each for each in reader.read(request(*map(span, run_ids))) if each is not None]


async def test_exports_share_a_batch_and_each_gets_its_own_answer(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, recorder: Recorder
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    (run_id,) = await trigger(engine, tenant_id)
    unknown = await asyncio.gather(
        engine.record_spans(spans_of(tenant_id, run_id, new_id())),
        engine.record_spans(spans_of(stranger_id, run_id, run_id, run_id)),
        engine.record_spans(spans_of(tenant_id, run_id)),
    )
    assert list(unknown) == [1, 3, 0]
    flushed = await recorder.wait_for("batcher.flushed", batcher="spans")
    assert flushed.measurements["rows"] == 6
    stored = await with_django(lambda: Span.objects.filter(run_id=run_id).count())
    assert stored == 2


async def test_when_too_many_wait_exporters_are_told_to_wait(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.spans.batcher, "_max_waiting", 0)
    with pytest.raises(ResourceExhausted, match="spans"):
        await engine.record_spans(spans_of(tenant_id, new_id()))
