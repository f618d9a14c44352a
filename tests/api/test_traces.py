"""Traces over REST: the engine's own spans, those that clients sent, and who may see what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from pytest_django import Settings

from engine.domain.trace_context import attempt_span, span_hex, with_traceparent
from engine.ids import new_id
from engine.models import Run
from engine.operations.record_spans import record_spans
from engine.otlp.intake import Intake
from engine.otlp.spans import SpanReader
from engine.store import sync_db
from engine.tracing_config import TracingConfig
from tenants.models import Member, Tenant
from tests.api.client import Answer, ApiClient
from tests.api.factories import complete, fail, make_workflow, push_event, start_run, step, tasks_of
from tests.cast import Cast
from tests.otlp import SECOND_NS, now_ns, request, span

TRACE = UUID("4bf92f3577b34da6a3ce929d0e0e4736")
BROUGHT = f"00-{TRACE.hex}-00f067aa0ba902b7-01"
ENGINES = "hatchet.engine."


def store(tenant: Tenant, *spans: Any) -> None:
    """Store spans as the collector does."""
    reader = SpanReader(tenant.id, Intake(TracingConfig()), datetime.now(UTC))
    assert all(sync_db.run(record_spans([each for each in reader.read(request(*spans)) if each])))
    assert reader.refused == {}


def in_trace(trace_id: UUID, run_id: UUID | None, name: str, **given: Any) -> Any:
    return span(run_id, name, trace_id=trace_id.bytes, **given)


def ask(client: ApiClient, tenant: Tenant, identity: object, **query: Any) -> Answer:
    path = f"/api/v1/stable/tenants/{tenant.id}/traces"
    return client.get(path, {"run_external_id": str(identity)} | query)


def rows(client: ApiClient, tenant: Tenant, identity: object, **query: Any) -> list[dict[str, Any]]:
    answer = ask(client, tenant, identity, **query)
    assert answer.status == 200, answer.content
    found: list[dict[str, Any]] = answer.json["rows"]
    return found


def names(found: Sequence[dict[str, Any]]) -> list[str]:
    return [row["spanName"].removeprefix(ENGINES) for row in found]


@pytest.fixture
def run(cast: Cast) -> Run:
    make_workflow(cast.tenant)
    run = start_run(cast.tenant)
    complete(tasks_of(run)[0], {})
    return run


def test_a_run_has_a_trace_without_any_instrumentation(
    cast: Cast, api: ApiClient, run: Run
) -> None:
    answer = ask(api, cast.tenant, run.id)
    whole, queued, working = answer.json["rows"]
    assert names([whole, queued, working]) == ["workflow_run", "queued", "start_step_run"]
    assert {row["traceId"] for row in (whole, queued, working)} == {run.id.hex}
    assert {row["parentSpanId"] for row in (queued, working)} == {whole["spanId"]}
    assert "parentSpanId" not in whole
    assert (whole["statusCode"], whole["spanKind"]) == ("OK", "INTERNAL")
    assert whole["serviceName"] == "hatchet-engine"
    assert whole["spanAttributes"]["hatchet.span_source"] == "engine"
    assert whole["spanAttributes"]["hatchet.workflow_name"].startswith("greet-")
    assert working["spanAttributes"]["hatchet.step_name"] == "greet"
    assert [event["name"] for event in working["events"]] == ["STARTED"]
    assert answer.json["retryCounts"] == [0]
    assert answer.json["pagination"] == {"current_page": 1, "num_pages": 1, "next_page": 1}


def test_spans_of_clients_join_in_the_order_of_their_beginnings(
    cast: Cast, api: ApiClient, run: Run
) -> None:
    store(
        cast.tenant,
        in_trace(run.id, run.id, "later", start_time_unix_nano=now_ns() + 9 * SECOND_NS),
        in_trace(run.id, None, "trigger", attributes={"instrumentor": "hatchet"}),
        in_trace(run.id, run.id, "retried", attributes={"hatchet.retry_count": 1}),
    )
    found = rows(api, cast.tenant, run.id)
    assert set(names(found)[:2]) == {"trigger", "retried"}
    assert names(found)[-1] == "later"
    assert [row["createdAt"] for row in found] == sorted(row["createdAt"] for row in found)
    assert ask(api, cast.tenant, run.id).json["retryCounts"] == [0, 1]
    later = found[-1]
    assert later["resourceAttributes"] == {"service.name": "billing", "host.name": "a"}
    assert (later["scopeName"], later["scopeVersion"]) == ("tests", "1.2")
    assert later["durationNs"] == SECOND_NS


def test_a_trace_that_metadata_bring_is_the_runs(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant)
    run = start_run(cast.tenant, metadata={"traceparent": BROUGHT})
    store(cast.tenant, in_trace(TRACE, None, "trigger", attributes={"instrumentor": "hatchet"}))
    found = rows(api, cast.tenant, run.id)
    assert names(found) == ["trigger", "workflow_run", "queued"]
    assert {row["traceId"] for row in found} == {TRACE.hex}
    assert found[1]["parentSpanId"] == "00f067aa0ba902b7"


def test_parents_children_and_events_are_one_trace(cast: Cast, api: ApiClient) -> None:
    """Whichever of them is asked for; each hangs below what it came of."""
    make_workflow(cast.tenant, "greet", step("greet"), event_triggers=("order",))
    event = push_event(cast.tenant, "order", {})
    parent = Run.objects.get(tenant_id=cast.tenant.id)
    child = start_run(cast.tenant, parent_task_id=parent.id, child_index=0)
    complete(tasks_of(parent)[0], {})
    for asked in (parent, child):
        found = rows(api, cast.tenant, asked.id)
        assert sorted(names(found)) == [
            *("event", "queued", "queued", "start_step_run"),
            *("workflow_run", "workflow_run"),
        ]
        assert {row["traceId"] for row in found} == {event.event_id.hex}
        of_run = {
            row["spanAttributes"].get("hatchet.workflow_run_id"): row
            for row in found
            if row["spanName"].endswith("workflow_run")
        }
        (happened,) = [row for row in found if row["spanName"].endswith(".event")]
        assert happened["spanAttributes"]["hatchet.event_key"] == "order"
        assert of_run[str(parent.id)]["parentSpanId"] == happened["spanId"]
        assert of_run[str(child.id)]["parentSpanId"] == span_hex(attempt_span(parent.id, 0))
        assert span_hex(attempt_span(parent.id, 0)) in {row["spanId"] for row in found}


def test_a_task_of_a_graph_has_its_runs_trace(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant, "dag", step("one"), step("two", "one"))
    run = start_run(cast.tenant, "dag")
    fail(tasks_of(run)[0], "no luck")
    found = rows(api, cast.tenant, tasks_of(run)[0].id)
    assert found == rows(api, cast.tenant, run.id)
    (working,) = [row for row in found if row["spanName"].endswith("start_step_run")]
    assert (working["statusCode"], working["spanAttributes"]["hatchet.step_name"]) == (
        "ERROR",
        "one",
    )


def test_a_long_trace_comes_in_pages(cast: Cast, api: ApiClient, run: Run) -> None:
    store(cast.tenant, *(in_trace(run.id, run.id, f"s{n}") for n in range(7)))
    whole = rows(api, cast.tenant, run.id)
    assert len(whole) == 10
    parts = [rows(api, cast.tenant, run.id, offset=offset, limit=4) for offset in (0, 4, 8)]
    assert [len(part) for part in parts] == [4, 4, 2]
    assert [*parts[0], *parts[1], *parts[2]] == whole
    assert ask(api, cast.tenant, run.id, limit=4).json["pagination"]["num_pages"] == 3
    assert rows(api, cast.tenant, run.id, offset=100) == []


class TestWhoMaySeeWhat:
    def test_payloads_are_for_those_who_may_see_them(
        self, cast: Cast, api: ApiClient, run: Run
    ) -> None:
        secret = {"hatchet.payload": '{"pin":1}', "mine": "x"}
        store(cast.tenant, in_trace(run.id, run.id, "worker", attributes=secret))
        Member.objects.filter(user=cast.viewer).update(can_view_payloads=False)

        def seen(client: ApiClient) -> dict[str, str]:
            found = rows(client, cast.tenant, run.id)
            (row,) = [row for row in found if row["spanName"] == "worker"]
            told: dict[str, str] = row["spanAttributes"]
            return told

        assert seen(api)["hatchet.payload"] == '{"pin":1}'
        assert "hatchet.payload" not in seen(ApiClient(user=cast.viewer))
        assert seen(ApiClient(user=cast.viewer))["mine"] == "x"

    def test_another_tenants_runs_are_not_found(self, cast: Cast, api: ApiClient, run: Run) -> None:
        make_workflow(cast.other_tenant)
        theirs = start_run(cast.other_tenant)
        for unknown in (theirs.id, new_id()):
            assert ask(api, cast.tenant, unknown).status == 404

    def test_another_tenants_spans_of_the_same_trace_are_not_shown(
        self, cast: Cast, api: ApiClient
    ) -> None:
        for tenant in (cast.tenant, cast.other_tenant):
            make_workflow(tenant)
        run = start_run(cast.tenant, metadata={"traceparent": BROUGHT})
        theirs = start_run(cast.other_tenant, metadata={"traceparent": BROUGHT})
        store(cast.other_tenant, in_trace(TRACE, theirs.id, "secret"))
        assert names(rows(api, cast.tenant, run.id)) == ["workflow_run", "queued"]

    def test_spans_that_name_the_run_are_shown_whatever_their_trace(
        self, cast: Cast, api: ApiClient, run: Run
    ) -> None:
        store(cast.tenant, span(run.id, "cancelled-by-a-worker"))
        assert "cancelled-by-a-worker" in names(rows(api, cast.tenant, run.id))

    def test_a_run_that_only_claims_to_be_of_the_event_is_not_of_the_trace(
        self, cast: Cast, api: ApiClient, run: Run
    ) -> None:
        """A span may name any run of its tenant, in whatever trace."""
        other = start_run(cast.tenant)
        store(cast.tenant, in_trace(run.id, other.id, "stray"))
        found = rows(api, cast.tenant, run.id)
        assert "stray" in names(found)
        assert names(found).count("workflow_run") == 1


def test_where_nothing_is_collected_the_answer_is_empty(
    cast: Cast, api: ApiClient, run: Run, settings: Settings
) -> None:
    assert ApiClient().get("/api/v1/meta").json["observabilityEnabled"] is True
    settings.HATCHET = replace(settings.HATCHET, tracing=None)
    assert ask(api, cast.tenant, run.id).json == {}
    assert ask(api, cast.tenant, new_id()).status == 404
    assert ApiClient().get("/api/v1/meta").json["observabilityEnabled"] is False


def test_texts_that_do_not_fit_into_an_answer_are_left_out(
    cast: Cast, api: ApiClient, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.api.room._MESSAGES", 0)
    store(cast.tenant, in_trace(run.id, run.id, "worker", attributes={"a": "x" * 1_000}))
    (row,) = [row for row in rows(api, cast.tenant, run.id) if row["spanName"] == "worker"]
    assert int(row["spanAttributes"]["hatchet__omitted_bytes"]) > 1_000


def test_what_workers_are_told_is_what_is_shown(cast: Cast, api: ApiClient, run: Run) -> None:
    told = orjson.loads(with_traceparent(None, run.id, None))["traceparent"]
    whole = rows(api, cast.tenant, run.id)[0]
    assert told == f"00-{whole['traceId']}-{whole['spanId']}-01"
