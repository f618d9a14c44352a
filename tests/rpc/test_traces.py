"""The collector of spans on the engine's port, and what workers are told of traces."""

from __future__ import annotations

import gzip
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import orjson
import pytest

from engine.config import GrpcFront
from engine.domain.trace_context import TraceContext, run_span
from engine.ids import new_id
from engine.pb import dispatcher_pb2 as pb
from engine.rpc.server import RpcServer, ServerSettings
from engine.tracing_config import TracingConfig
from engine.types import Action, ActionKind
from tests.otlp import request, span
from tests.recorder import recording
from tests.rpc.client import AUTH, TENANT_ID, Client, KnownToken, refusal
from tests.rpc.recording_engine import RecordingEngine

EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService/Export"
RUN = new_id()
BROUGHT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def tracing(
    engine: RecordingEngine, verifier: KnownToken, front: GrpcFront
) -> AsyncGenerator[grpc.aio.Channel]:
    """A channel to a server that takes spans."""
    settings = ServerSettings(host="127.0.0.1", port=0, front=front, tracing=TracingConfig())
    server = RpcServer(engine, verifier, settings)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel
    await server.stop(0)


@pytest.fixture
def collector(tracing: grpc.aio.Channel) -> Client:
    return Client(tracing)


async def test_spans_reach_the_engine(collector: Client, engine: RecordingEngine) -> None:
    with recording() as heard:
        answer = await collector.call(EXPORT, request(span(RUN, "a"), span(RUN, "b")))
    assert not answer.HasField("partial_success")
    (spans,) = engine.calls["record_spans"]
    assert [(each.tenant_id, each.about, each.name) for each in spans] == [
        (TENANT_ID, RUN, "a"),
        (TENANT_ID, RUN, "b"),
    ]
    (told,) = heard.named("spans.received", tenant_id=TENANT_ID)
    assert told.measurements == {"stored": 2, "refused": 0, "sampled_out": 0}


async def test_what_is_not_stored_is_told_by_why(
    collector: Client, engine: RecordingEngine
) -> None:
    engine.unknown_spans = 1
    foreign = span(RUN, attributes={"hatchet.tenant_id": str(new_id())})
    answer = await collector.call(
        EXPORT, request(span(RUN), foreign, foreign, span(None), span(RUN))
    )
    assert answer.partial_success.rejected_spans == 4
    assert answer.partial_success.error_message == (
        "spans that are not stored: 1 of a run that is not known here; "
        "2 of another tenant; 1 of no run"
    )


async def test_where_nothing_is_left_the_engine_is_not_asked(
    collector: Client, engine: RecordingEngine
) -> None:
    assert (await collector.call(EXPORT, request(span(None)))).partial_success.rejected_spans == 1
    assert not (await collector.call(EXPORT, request())).HasField("partial_success")
    assert not engine.calls


async def raw(channel: grpc.aio.Channel, message: bytes) -> Any:
    call: Any = channel.unary_unary(f"/{EXPORT}")
    return await call(message, metadata=AUTH)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
        (
            request(span(RUN, "name")).SerializeToString().replace(b"name", b"\xff\xfe\xfd\xfc"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (gzip.compress(b"\x0a" * 5_000_000, mtime=0), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (gzip.compress(b"\x0a" * 500, mtime=0)[:-9], grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x0a" * 10_000_000, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
    ids=["no message", "no UTF-8", "gzip bomb", "cut gzip", "10 MB"],
)
async def test_requests_that_cannot_be_read_are_refused_whole(
    message: bytes,
    code: grpc.StatusCode,
    tracing: grpc.aio.Channel,
    engine: RecordingEngine,
    front: GrpcFront,
) -> None:
    if front == "native" and len(message) > 4 * 1024 * 1024:
        pytest.skip("that front takes whole requests; docs/performance.md")
    assert (await refusal(raw(tracing, message)))[0] is code
    assert not engine.calls


async def test_compressed_requests_are_read(
    tracing: grpc.aio.Channel, engine: RecordingEngine
) -> None:
    whole = request(span(RUN, attributes={"n": "x" * 100_000})).SerializeToString()
    assert await raw(tracing, gzip.compress(whole)) == b""
    assert len(engine.calls["record_spans"]) == 1


async def test_without_a_collector_exporters_are_told_so(client: Client) -> None:
    """The SDKs' exporters then wait for a while before they try again."""
    code, sentence = await refusal(client.call(EXPORT, request(span(RUN))))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "Export" in sentence


class TestWorkers:
    """A START says which trace its run belongs to."""

    @staticmethod
    def action(metadata: bytes | None, kind: ActionKind = ActionKind.START) -> Action:
        ids = [new_id() for _ in range(4)]
        return Action(
            kind, TENANT_ID, RUN, ids[0], ids[1], "a:b", "b", 0, 1, ids[2], ids[3],
            payload=b"{}", additional_metadata=metadata,
        )  # fmt: skip

    async def told(self, client: Client, engine: RecordingEngine, action: Action) -> str | None:
        """The metadata that a worker gets."""
        stream = client.call("Dispatcher/ListenV2", pb.WorkerListenRequest(worker_id=str(new_id())))
        engine.session.actions.put_nowait(action)
        message = await stream.read()
        stream.cancel()
        return message.additional_metadata if message.HasField("additional_metadata") else None

    async def test_of_the_run_itself(self, collector: Client, engine: RecordingEngine) -> None:
        told = await self.told(collector, engine, self.action(b'{"a":"b"}'))
        context = TraceContext(RUN, run_span(RUN))
        assert orjson.loads(told or "") == {"a": "b", "traceparent": context.traceparent}

    async def test_or_the_one_it_brings(self, collector: Client, engine: RecordingEngine) -> None:
        metadata = f'{{"traceparent":"{BROUGHT}"}}'
        told = await self.told(collector, engine, self.action(metadata.encode()))
        assert told == metadata

    async def test_a_cancellation_says_nothing(
        self, collector: Client, engine: RecordingEngine
    ) -> None:
        assert await self.told(collector, engine, self.action(None, ActionKind.CANCEL)) is None

    async def test_without_a_collector_nothing_is_added(
        self, client: Client, engine: RecordingEngine
    ) -> None:
        assert await self.told(client, engine, self.action(None)) is None
