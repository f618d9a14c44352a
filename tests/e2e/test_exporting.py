"""The processes send their own spans and lines to a collector, and write lines as JSON, as they are configured."""

from __future__ import annotations

import json
import time
import urllib.request

import grpc

from engine.pb import events_pb2 as pb
from tests.e2e.stack import Stack
from tests.e2e.tenant import Tenant
from tests.test_exporting import TRACE, lines_in, spans_in
from tests.webhooks.receiver import PATIENCE_SECONDS, Receiver, receiving


def push(tenant: Tenant, traceparent: str) -> None:
    with grpc.insecure_channel(tenant.stack.grpc_address) as channel:
        call = channel.unary_unary(
            "/EventsService/Push",
            request_serializer=pb.PushEventRequest.SerializeToString,
            response_deserializer=pb.Event.FromString,
        )
        metadata = (("authorization", f"Bearer {tenant.token}"), ("traceparent", traceparent))
        request = pb.PushEventRequest(key="order:paid", payload="{}")
        call(request, metadata=metadata, timeout=PATIENCE_SECONDS)


def wait_for(collector: Receiver, *names: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing := set(names) - spans_in(collector.so_far()).keys():
        assert time.monotonic() < deadline, f"{missing} did not come"
        time.sleep(0.05)


def test_engine_and_web_send_what_they_do(own_stack: Stack, own_tenant: Tenant) -> None:
    with receiving() as collector:
        own_stack.environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url(""),
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "SERVER_LOGGER_FORMAT": "json",
        }
        engine, web = own_stack.start_engine(), own_stack.start_web()
        push(own_tenant, f"00-{TRACE}-00f067aa0ba902b7-01")
        urllib.request.urlopen(f"{own_stack.server_url}/api/v1/meta").close()
        wait_for(collector, "EventsService.Push", "push_calls", "GET api/v1/meta")
        assert (engine.stop(), web.stop()) == (0, 0)
        received = collector.so_far()
    spans = spans_in(received)
    assert spans["EventsService.Push"].trace_id.hex() == TRACE
    bodies = b"".join(one.body for one in received)
    assert b"hatchet-engine" in bodies
    assert b"hatchet-web" in bodies
    (line,) = [text for text in lines_in(received) if "serves gRPC" in text]
    written = [json.loads(text) for text in engine.output.splitlines() if text.startswith("{")]
    (same,) = [entry for entry in written if entry["message"] == line]
    assert same["engine_id"] in line
