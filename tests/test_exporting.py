"""What the processes send to others: OTLP to a collector that is one, errors to a server as Sentry's."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pytest_django import Settings

from engine import export_config, telemetry
from engine.environment import ConfigError, Environment
from engine.export_config import ExportConfig
from engine.exporting import exporting
from engine.ids import new_id
from hatchet_site.spans import span_requests
from tenants.log_fields import fields_of, serve_tenant
from tests.webhooks.receiver import Received, Receiver, receiving

DSN = "SERVER_ALERTING_SENTRY_DSN"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
log = logging.getLogger("hatchet.exporting-test")


@pytest.fixture(autouse=True)
def _as_in_a_process(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What the machine's own variables say is not meant; all lines are told."""
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    caplog.set_level(logging.INFO)


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def config_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ExportConfig:
    """The exporters read standard variables themselves, so they must be in the environment, too."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return ExportConfig.from_environment(Environment(variables))


def spans_in(received: list[Received]) -> dict[str, Span]:
    found: dict[str, Span] = {}
    for one in received:
        if one.path == "/v1/traces":
            message = traces_pb.ExportTraceServiceRequest.FromString(one.body)
            for resource in message.resource_spans:
                for scope in resource.scope_spans:
                    found |= {span.name: span for span in scope.spans}
    return found


def lines_in(received: list[Received]) -> dict[str, dict[str, Any]]:
    """Attributes, severity and trace by what a line says."""
    found: dict[str, dict[str, Any]] = {}
    for one in received:
        if one.path == "/v1/logs":
            message = logs_pb.ExportLogsServiceRequest.FromString(one.body)
            for resource in message.resource_logs:
                for scope in resource.scope_logs:
                    for line in scope.log_records:
                        found[line.body.string_value] = attributes_of(line) | {
                            "logger": scope.scope.name,
                            "severity": line.severity_text,
                            "trace": line.trace_id.hex(),
                        }
    return found


def attributes_of(item: Any) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in item.attributes
    }


def test_nothing_is_sent_unless_it_is_asked_for() -> None:
    assert ExportConfig.from_environment(Environment({})) == ExportConfig(otlp=None, sentry=None)
    with exporting(ExportConfig(otlp=None, sentry=None), "engine"):
        assert not telemetry.is_heard("grpc.answered")


def test_spans_are_parts_of_each_other_and_of_their_callers_trace(
    monkeypatch: pytest.MonkeyPatch, collector: Receiver
) -> None:
    config = config_of(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url(""),
        OTEL_EXPORTER_OTLP_HEADERS="x-team=acme",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
    )
    with exporting(config, "engine"):
        assert telemetry.is_heard("grpc.answered")
        given = {"method": "EventsService.Push", "traceparent": f"00-{TRACE}-{PARENT}-01"}
        with telemetry.span("grpc.answered", given) as call:
            with telemetry.span("database.operation", {"operation": "push_events"}) as inner:
                inner.metadata |= {"outcome": "committed", "error": ""}
            log.info("tenant %s: an event", TRACE)
            call.metadata["code"] = "OK"
        with pytest.raises(LookupError), telemetry.span("loop.tick", {"loop": "clock"}):
            raise LookupError
    assert not telemetry.is_heard("grpc.answered")
    received = collector.so_far()
    spans = spans_in(received)
    push, inner_span = spans["EventsService.Push"], spans["push_events"]
    assert (push.trace_id.hex(), push.parent_span_id.hex()) == (TRACE, PARENT)
    assert (inner_span.trace_id, inner_span.parent_span_id) == (push.trace_id, push.span_id)
    assert (push.kind, inner_span.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_INTERNAL)
    assert attributes_of(inner_span) == {
        "hatchet.operation": "push_events",
        "hatchet.outcome": "committed",
    }
    assert push.start_time_unix_nano <= inner_span.start_time_unix_nano
    assert inner_span.end_time_unix_nano <= push.end_time_unix_nano
    assert (push.status.code, spans["loop clock"].status.code) == (0, 2)
    line = lines_in(received)[f"tenant {TRACE}: an event"]
    assert line["trace"] == TRACE
    assert {one.headers["x-team"] for one in received} == {"acme"}
    resource = attributes_of(
        traces_pb.ExportTraceServiceRequest.FromString(
            next(one.body for one in received if one.path == "/v1/traces")
        )
        .resource_spans[0]
        .resource
    )
    assert resource["service.name"] == "hatchet-engine"
    assert resource["deployment.environment"] == "test"


def test_lines_have_their_ids_as_attributes(
    monkeypatch: pytest.MonkeyPatch, collector: Receiver
) -> None:
    config = config_of(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url(""),
        OTEL_TRACES_EXPORTER="none",
        SERVER_OTEL_SERVICE_NAME="our-hatchet",
    )
    task_id = new_id()
    with exporting(config, "web"):
        assert not telemetry.is_heard("grpc.answered")
        try:
            raise LookupError("gone")
        except LookupError:
            log.exception("task %s is lost", task_id)
        logging.getLogger("urllib3.connectionpool").warning("the collector is away")
    (received,) = collector.so_far()
    lines = lines_in([received])
    assert lines.keys() == {f"task {task_id} is lost"}
    line = lines[f"task {task_id} is lost"]
    assert line["hatchet.task_id"] == str(task_id)
    assert (line["severity"], line["logger"]) == ("ERROR", "hatchet.exporting-test")
    assert (line["exception.type"], line["exception.message"]) == ("LookupError", "gone")
    assert "raise LookupError" in line["exception.stacktrace"]
    assert b"our-hatchet" in received.body


class Collector(traces_grpc.TraceServiceServicer, logs_grpc.LogsServiceServicer):
    def __init__(self) -> None:
        self.spans: list[str] = []
        self.lines: list[str] = []
        self.authorizations: set[str] = set()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  (the name of an RPC)
        self.authorizations.add(dict(context.invocation_metadata())["authorization"])
        if isinstance(request, traces_pb.ExportTraceServiceRequest):
            for resource in request.resource_spans:
                self.spans += [one.name for scope in resource.scope_spans for one in scope.spans]
            return traces_pb.ExportTraceServiceResponse()
        for resource in request.resource_logs:
            records = [one for scope in resource.scope_logs for one in scope.log_records]
            self.lines += [one.body.string_value for one in records]
        return logs_pb.ExportLogsServiceResponse()


def test_the_guides_variables_lead_to_a_collector_over_grpc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, told = grpc.server(ThreadPoolExecutor(2)), Collector()
    add: Any
    for add in (
        traces_grpc.add_TraceServiceServicer_to_server,
        logs_grpc.add_LogsServiceServicer_to_server,
    ):
        add(told, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    config = config_of(
        monkeypatch,
        SERVER_OTEL_COLLECTOR_URL=f"127.0.0.1:{port}",
        SERVER_OTEL_INSECURE="true",
        SERVER_OTEL_COLLECTOR_AUTH="Bearer secret",
        SERVER_OTEL_TRACE_ID_RATIO="1",
    )
    try:
        with exporting(config, "engine"), telemetry.span("loop.tick", {"loop": "clock"}):
            log.warning("the clock ticks")
    finally:
        server.stop(None).wait()
    assert told.spans == ["loop clock"]
    assert "the clock ticks" in told.lines
    assert told.authorizations == {"Bearer secret"}


def test_a_ratio_of_nothing_sends_no_spans(
    monkeypatch: pytest.MonkeyPatch, collector: Receiver
) -> None:
    config = config_of(
        monkeypatch,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector.url("/v1/traces"),
        SERVER_OTEL_TRACE_ID_RATIO="0",
    )
    with exporting(config, "engine"), telemetry.span("loop.tick", {"loop": "clock"}):
        pass
    assert collector.so_far() == []


def test_a_collector_that_is_away_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.exporting.otlp._LEFT_SECONDS", 0.05)
    config = config_of(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    with exporting(config, "engine"), telemetry.span("loop.tick", {"loop": "clock"}):
        log.info("hello")
    assert not telemetry.is_heard("grpc.answered")


def test_requests_are_told_by_their_routes(
    monkeypatch: pytest.MonkeyPatch, collector: Receiver, settings: Settings, client: Any, db: None
) -> None:
    settings.MIDDLEWARE = [f"{span_requests.__module__}.span_requests", *settings.MIDDLEWARE]
    config = config_of(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url(""))
    with exporting(config, "web"):
        client.get("/api/v1/no/such/path")
        client.get("/login", headers={"traceparent": "not one"})
        client.generic("PROPFIND", "/login")
    spans = spans_in(collector.so_far())
    assert {"GET login", "other login"} <= spans.keys()
    assert attributes_of(spans["GET login"])["hatchet.status"] == 200


def events_in(received: list[Received]) -> list[dict[str, Any]]:
    found = []
    for one in received:
        is_packed = one.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(one.body) if is_packed else one.body
        found += [json.loads(line) for line in body.splitlines() if b'"exception"' in line]
    return found


def test_errors_are_reported_without_what_people_entrusted_to_us(
    monkeypatch: pytest.MonkeyPatch, collector: Receiver
) -> None:
    dsn = collector.url("/42").replace("http://", "http://public-key@")
    config = config_of(
        monkeypatch,
        **{DSN: dsn, "SERVER_ALERTING_SENTRY_ENVIRONMENT": "staging"},
    )
    tenant_id = new_id()
    with exporting(config, "engine"):
        payload = "-".join(["secret"] * 3)  # not as it stands in the source, which is reported
        try:
            raise LookupError(f"{len(payload)} too many")
        except LookupError:
            log.exception("tenant %s: its scheduler failed", tenant_id)
        log.warning("no error")
    (event,) = events_in(collector.so_far())
    assert event["tags"] == {"process": "engine", "tenant_id": str(tenant_id)}
    assert event["environment"] == "staging"
    assert event["exception"]["values"][0]["type"] == "LookupError"
    assert payload not in json.dumps(event)
    assert collector.so_far()[0].path == "/api/42/envelope/"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:99999"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "ftp://x"}, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
        ({"SERVER_OTEL_COLLECTOR_URL": "http://"}, "SERVER_OTEL_COLLECTOR_URL"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "SERVER_OTEL_TRACE_ID_RATIO": "2"},
            "SERVER_OTEL_TRACE_ID_RATIO",
        ),
        ({"SERVER_OTEL_METRICS_ENABLED": "true"}, "SERVER_OTEL_METRICS_ENABLED"),
        ({DSN: "https://sentry.example.com"}, DSN),
        ({"SERVER_ALERTING_SENTRY_ENABLED": "true"}, DSN),
        (
            {DSN: "https://k@sentry.example.com/1", "SERVER_ALERTING_SENTRY_SAMPLE_RATE": "nan"},
            "SERVER_ALERTING_SENTRY_SAMPLE_RATE",
        ),
    ],
)
def test_a_wrong_word_is_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        ExportConfig.from_environment(Environment(variables))


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, {DSN: "https://k@sentry.example.com/1"}],
)
def test_a_package_that_is_not_there_is_named(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_config, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"requirements-export\.txt"):
        ExportConfig.from_environment(Environment(variables))


@pytest.mark.parametrize(
    "off",
    [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}],
)
def test_the_standard_switches_turn_it_off(off: dict[str, str]) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"} | off
    assert ExportConfig.from_environment(Environment(variables)).otlp is None


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("hatchet", logging.INFO, __file__, 1, message, args, None)


@pytest.mark.parametrize(
    ("message", "args", "fields"),
    [
        ("task %s is lost", ("t",), {"task_id": "t"}),
        ("%d%% of tenant %s: run %r, %s", (3, "a", "b", "c"), {"tenant_id": "a", "run_id": "b"}),
        ("Worker %s left %s", ("w", "x"), {"worker_id": "w"}),
        ("one %s process ended", ("web",), {}),
        ("%(tenant_id)s has %(epoch)d", ({"tenant_id": "a", "epoch": 1},), {"tenant_id": "a"}),
        ("100% of it", (), {}),
    ],
)
def test_the_word_in_front_of_an_id_names_its_field(
    message: str, args: tuple[object, ...], fields: dict[str, str]
) -> None:
    assert Context().run(fields_of, record(message, *args)) == fields


def test_lines_of_a_request_have_its_tenant() -> None:
    tenant_id = new_id()

    def serve() -> None:
        serve_tenant(tenant_id)
        assert fields_of(record("hello")) == {"tenant_id": str(tenant_id)}
        assert fields_of(record("tenant %s", "other")) == {"tenant_id": "other"}

    Context().run(serve)
    assert Context().run(fields_of, record("hello")) == {}
