"""What exporters of spans may send, and what becomes of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import orjson
import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from engine.domain.spans import NewSpan
from engine.ids import new_id, time_of
from engine.otlp import spans as reading
from engine.otlp.intake import Intake
from engine.otlp.spans import MOST_SPANS, SpanReader
from engine.states import SpanKind, SpanStatus
from engine.tracing_config import TracingConfig
from tests.otlp import SECOND_NS, now_ns, pairs, request, span, value_of

TENANT, RUN = new_id(), new_id()


def read(
    *spans: trace_pb2.Span, intake: Intake | None = None
) -> tuple[list[NewSpan], dict[str, int]]:
    """What is to be stored, and how many are not by why."""
    reader = SpanReader(TENANT, intake or Intake(TracingConfig()), datetime.now(UTC))
    found = [each for each in reader.read(request(*spans)) if each is not None]
    return found, dict(reader.refused)


def one(**given: Any) -> NewSpan:
    (found,), refused = read(span(RUN, **given))
    assert refused == {}
    return found


def attributes_of(found: NewSpan) -> dict[str, str]:
    told: dict[str, str] = orjson.loads(found.attributes)
    told.pop("hatchet.workflow_run_id")
    return told


def test_a_span_is_stored_as_it_was_sent() -> None:
    begun = now_ns() - 5 * SECOND_NS + 123_456_789
    found = one(
        name="charge",
        trace_id=bytes(15) + b"\x07",
        span_id=b"\xff" * 8,
        parent_span_id=bytes(7) + b"\x05",
        kind=trace_pb2.Span.SPAN_KIND_CLIENT,
        status=trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR, message="no luck"),
        start_time_unix_nano=begun,
        end_time_unix_nano=begun + 1_234_567,
        attributes={"hatchet.retry_count": 2, "ok": True, "n": -7, "f": 1.5, "t": "ä"},
    )
    assert (found.tenant_id, found.about, found.retry_count) == (TENANT, RUN, 2)
    assert (found.trace_id, found.span_id, found.parent_span_id) == (UUID(int=7), -1, 5)
    assert (found.name, found.kind) == ("charge", SpanKind.CLIENT)
    assert (found.status, found.status_message) == (SpanStatus.ERROR, "no luck")
    assert (found.service_name, found.scope_name, found.scope_version) == (
        "billing",
        "tests",
        "1.2",
    )
    assert found.started_at.timestamp() == pytest.approx(begun / 1e9, abs=1e-5)
    assert found.duration_ns == 1_234_567
    told = {"hatchet.retry_count": "2", "ok": "true", "n": "-7", "f": "1.5", "t": "ä"}
    assert attributes_of(found) == told
    assert orjson.loads(found.resource_attributes) == {"service.name": "billing", "host.name": "a"}


def test_lists_and_objects_are_json_and_bytes_are_hex() -> None:
    found = one(attributes={"l": ["a", 1, {"k": b"\x00\xff"}], "b": b"\x01", "none": {}})
    assert attributes_of(found) == {"l": '["a",1,{"k":"00ff"}]', "b": '"01"', "none": "{}"}


@pytest.mark.parametrize("keeps", [True, False])
def test_where_payloads_are_encrypted_spans_keep_none(keeps: bool) -> None:
    intake = Intake(TracingConfig(keeps_payloads=keeps))
    (found,), _ = read(span(RUN, attributes={"hatchet.payload": "pin", "a": "b"}), intake=intake)
    assert attributes_of(found) == ({"hatchet.payload": "pin"} if keeps else {}) | {"a": "b"}


def test_exceptions_are_kept_with_their_time() -> None:
    event = trace_pb2.Span.Event(
        name="exception",
        time_unix_nano=now_ns(),
        attributes=pairs({"exception.type": "ValueError"}),
    )
    (kept,) = orjson.loads(one(events=[event]).events)
    assert (kept["name"], kept["attributes"]) == ("exception", {"exception.type": "ValueError"})
    assert datetime.fromisoformat(kept["time"]).tzinfo is not None


class TestWhoseASpanIs:
    @pytest.mark.parametrize(
        ("attributes", "why"),
        [
            ({"hatchet.tenant_id": str(new_id())}, "of another tenant"),
            ({"hatchet.tenant_id": "nobody"}, "of another tenant"),
            ({"hatchet.workflow_run_id": "no uuid"}, "of a run that is not known here"),
            ({"hatchet.workflow_run_id": f"{{{RUN}}}"}, "of a run that is not known here"),
            ({"hatchet.step_run_id": "x" * 5_000}, "of a run that is not known here"),
        ],
    )
    def test_another_tenants_and_nobodys_are_refused(
        self, attributes: dict[str, str], why: str
    ) -> None:
        assert read(span(None, attributes=attributes)) == ([], {why: 1})

    def test_spans_of_no_run_are_for_clients_of_ours_alone(self) -> None:
        assert read(span(None, "GET /")) == ([], {"of no run": 1})
        (found,), _ = read(span(None, attributes={"instrumentor": "hatchet"}))
        assert found.about is None

    @pytest.mark.parametrize(
        "name", ["hatchet.workflow_run_id", "hatchet.child_workflow_run_id", "hatchet.step_run_id"]
    )
    def test_any_of_three_attributes_names_it(self, name: str) -> None:
        (found,), _ = read(span(None, attributes={name: str(RUN)}))
        assert found.about == RUN

    def test_the_tenants_own_id_is_no_harm(self) -> None:
        assert one(attributes={"hatchet.tenant_id": str(TENANT)}).about == RUN


@pytest.mark.parametrize(
    "given",
    [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": os.urandom(17)},
        {"span_id": b"abc"},
        {"span_id": bytes(8)},
        {"parent_span_id": b"1"},
        {"parent_span_id": os.urandom(1_000)},
    ],
)
def test_ids_that_are_none_are_refused(given: dict[str, Any]) -> None:
    assert read(span(RUN, **given)) == ([], {"with an id that is none": 1})
    assert one(parent_span_id=bytes(8)).parent_span_id is None


class TestTimes:
    @pytest.mark.parametrize(
        "begun",
        [0, 1, now_ns() - 8 * 86_400 * SECOND_NS, now_ns() + 7_200 * SECOND_NS, 2**64 - 1],
        ids=["never", "1970", "eight days ago", "in two hours", "never to come"],
    )
    def test_far_off_beginnings_are_refused(self, begun: int) -> None:
        assert read(span(RUN, start_time_unix_nano=begun, end_time_unix_nano=begun)) == (
            [],
            {"that began too long ago or in the future": 1},
        )

    @pytest.mark.parametrize("end", [0, now_ns() - 3_600 * SECOND_NS, 2**64 - 1], ids=range(3))
    def test_ends_that_cannot_be_are_refused(self, end: int) -> None:
        why = "that ended before it began or long after"
        assert read(span(RUN, end_time_unix_nano=end)) == ([], {why: 1})

    def test_clocks_may_differ_by_minutes_and_exporters_be_late(self) -> None:
        for seconds in (-6 * 86_400, 1_800):
            begun = now_ns() + seconds * SECOND_NS
            assert one(start_time_unix_nano=begun, end_time_unix_nano=begun).duration_ns == 0


class TestIds:
    def test_a_span_sent_again_is_the_same(self) -> None:
        again = span(RUN)
        (first, second), _ = read(again, again)
        assert first.id == second.id
        assert one().id != one().id

    def test_they_lie_at_the_beginning_but_never_before_the_run(self) -> None:
        day = 86_400 * SECOND_NS
        early = one(start_time_unix_nano=now_ns() - day, end_time_unix_nano=now_ns())
        assert time_of(early.id) == time_of(RUN)
        late = one(
            start_time_unix_nano=now_ns() + 60 * SECOND_NS, end_time_unix_nano=now_ns() + day
        )
        assert time_of(late.id) - late.started_at < timedelta(milliseconds=1)
        assert {early.id.version, late.id.version} == {7}


class TestBounds:
    def test_a_hundred_thousand_attributes_are_cut_and_counted(self) -> None:
        kept = attributes_of(one(attributes={f"k{n}": n for n in range(100_000)}))
        assert kept.pop("otel.dropped_attributes_count") == str(100_001 - 128)
        assert len(kept) == 127

    def test_long_values_and_names_are_cut(self) -> None:
        found = one(name="n" * 5_000, attributes={"a": "x" * 100_000, "k" * 9_000: "y"})
        kept = attributes_of(found)
        assert len(found.name) == 255 and found.name.endswith("…")
        assert len(kept["a"]) == 4_096 and kept["a"].endswith("…")
        assert max(map(len, kept)) == 255

    def test_all_of_them_together_have_a_bound(self) -> None:
        found = one(attributes={f"k{n}": "ä" * 4_000 for n in range(100)})
        assert 30_000 < len(found.attributes) < 40_000
        assert int(attributes_of(found)["otel.dropped_attributes_count"]) > 80

    def test_deep_values_end(self) -> None:
        deep: Any = "x"
        for _ in range(20):
            deep = [deep]
        assert attributes_of(one(attributes={"d": deep}))["d"] == '[[[[["…"]]]]]'

    def test_a_nul_is_replaced_everywhere(self) -> None:
        found = one(name="a\0b", attributes={"k\0": "v\0"})
        assert found.name == "a\ufffdb"
        assert attributes_of(found) == {"k\ufffd": "v\ufffd"}

    def test_numbers_that_mean_nothing_here_count_as_none(self) -> None:
        found = one(
            kind=77,
            status=trace_pb2.Status(code=cast(Any, 9)),
            attributes={"hatchet.retry_count": "x"},
        )
        assert (found.kind, found.status, found.retry_count) == (
            SpanKind.UNSPECIFIED,
            SpanStatus.UNSET,
            0,
        )
        for odd in (2**62, -1, "1e3", 1.5):
            assert one(attributes={"hatchet.retry_count": odd}).retry_count == 0

    def test_events_and_links_have_a_bound_and_are_counted(self) -> None:
        events = [trace_pb2.Span.Event(name="e", attributes=pairs({"s": "x" * 4_000}))] * 50
        found = one(events=events, links=[trace_pb2.Span.Link()] * 3)
        kept = orjson.loads(found.events)
        assert len(kept) == 32
        assert len(found.events) < 40_000
        assert attributes_of(found) == {
            "otel.dropped_events_count": "18",
            "otel.dropped_links_count": "3",
        }

    def test_a_request_holds_so_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "MOST_SPANS", 3)
        found, refused = read(*(span(RUN) for _ in range(5)))
        assert len(found) == 3
        assert refused == {"beyond 3 spans of one request": 2}
        assert MOST_SPANS == 10_000

    def test_a_run_has_so_many_and_another_its_own(self) -> None:
        intake = Intake(TracingConfig(spans_per_run=3))
        found, refused = read(*(span(RUN) for _ in range(5)), intake=intake)
        assert (len(found), refused) == (3, {"beyond 3 spans of one run": 2})
        assert read(span(RUN), intake=intake)[0] == []
        assert len(read(span(new_id()), intake=intake)[0]) == 1

    def test_and_so_has_a_trace_of_spans_that_name_none(self) -> None:
        intake = Intake(TracingConfig(spans_per_run=3))
        given: dict[str, Any] = {
            "trace_id": os.urandom(16),
            "attributes": {"instrumentor": "hatchet"},
        }
        assert len(read(*(span(None, **given) for _ in range(5)), intake=intake)[0]) == 3

    def test_a_tenant_sends_so_many_a_minute(self) -> None:
        intake = Intake(TracingConfig(spans_per_minute=4))
        found, refused = read(*(span(RUN) for _ in range(6)), intake=intake)
        assert (len(found), refused) == (4, {"beyond 4 spans a minute": 2})
        assert intake.refusal_of(new_id(), new_id()) == ""

    def test_so_many_runs_are_counted_and_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("engine.otlp.intake._MOST_RUNS", 10)
        intake = Intake(TracingConfig())
        for _ in range(100):
            intake.refusal_of(TENANT, new_id())
        assert len(intake._of_run) == 10


class TestSampling:
    def test_a_part_of_the_traces_is_kept_each_as_a_whole(self) -> None:
        intake = Intake(TracingConfig(sampling_rate=0.1))
        traces = [os.urandom(16) for _ in range(3_000)]
        reader = SpanReader(TENANT, intake, datetime.now(UTC))
        spans = [span(RUN, trace_id=trace) for trace in traces for _ in range(2)]
        found = [each for each in reader.read(request(*spans)) if each]
        kept = {each.trace_id for each in found}
        assert 200 < len(kept) < 400
        assert len(found) == 2 * len(kept)
        assert reader.sampled_out == 6_000 - len(found)
        assert reader.refused == {}

    def test_ids_that_are_made_in_a_row_are_sampled_alike(self) -> None:
        """A trace that begins with a run has the run's id: a time and a number that counts up."""
        intake = Intake(TracingConfig(sampling_rate=0.5))
        assert 400 < sum(intake.samples(new_id()) for _ in range(1_000)) < 600

    def test_all_or_nothing(self) -> None:
        ends = (UUID(int=0), UUID(int=2**128 - 1))
        assert all(Intake(TracingConfig()).samples(each) for each in ends)
        assert not any(Intake(TracingConfig(sampling_rate=0.0)).samples(each) for each in ends)


def test_values_of_all_kinds_are_read() -> None:
    assert value_of({"a": [True]}).kvlist_value.values[0].key == "a"
