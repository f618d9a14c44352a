"""Spans sent over HTTP: what is taken, what is refused, and what an exporter is told."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from typing import Any

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pytest_django import Settings

from engine.models import Run, Span
from tenants.models import Tenant, TokenScope
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, now, start_run
from tests.cast import Cast
from tests.otlp import request, span

PROTOBUF = "application/x-protobuf"
EMPTY = request().SerializeToString()


@pytest.fixture
def run(cast: Cast) -> Run:
    make_workflow(cast.tenant)
    return start_run(cast.tenant)


def send(client: ApiClient, body: bytes, kind: str = PROTOBUF, **headers: str) -> Any:
    return client.http.generic("POST", "/v1/traces", body, kind, headers=client._headers | headers)


def answered(response: Any) -> ExportTraceServiceResponse:
    assert response.status_code == 200, response.content
    assert response.headers["Content-Type"] == PROTOBUF
    return ExportTraceServiceResponse.FromString(response.content)


def refused(response: Any, status: int) -> str:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == PROTOBUF
    message: str = Status.FromString(response.content).message
    assert message
    return message


def stored(tenant: Tenant) -> list[str]:
    return sorted(Span.objects.filter(tenant_id=tenant.id).values_list("name", flat=True))


@pytest.mark.parametrize(
    ("compress", "encoding"),
    [(bytes, ""), (gzip.compress, "gzip"), (zlib.compress, "deflate")],
)
def test_spans_are_stored(
    cast: Cast, api: ApiClient, run: Run, compress: Any, encoding: str
) -> None:
    body = compress(request(span(run.id, "a"), span(run.id, "b")).SerializeToString())
    headers = {"Content-Encoding": encoding} if encoding else {}
    assert not answered(send(api, body, **headers)).HasField("partial_success")
    assert stored(cast.tenant) == ["a", "b"]


def test_what_is_not_stored_is_told(cast: Cast, api: ApiClient, run: Run) -> None:
    make_workflow(cast.other_tenant)
    theirs = start_run(cast.other_tenant)
    body = request(span(run.id, "mine"), span(theirs.id), span(None)).SerializeToString()
    partial = answered(send(api, body)).partial_success
    assert partial.rejected_spans == 2
    assert "1 of a run that is not known here" in partial.error_message
    assert stored(cast.tenant) == ["mine"]
    assert stored(cast.other_tenant) == []


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"\xff\xff", 400),
            (
                request(span(None, "name"))
                .SerializeToString()
                .replace(b"name", b"\xff\xfe\xfd\xfc"),
                400,
            ),
            (b"\x0a" * 10_000_000, 413),
            (gzip.compress(b"\x0a" * 50_000_000, mtime=0), 429),
            (gzip.compress(b"\x0a" * 500, mtime=0)[:-9], 400),
        ],
        ids=["no message", "no UTF-8", "10 MB", "gzip bomb", "cut gzip"],
    )
    def test_what_cannot_be_read_is_refused_whole(
        self, cast: Cast, api: ApiClient, body: bytes, status: int
    ) -> None:
        assert refused(send(api, body), status)
        assert stored(cast.tenant) == []

    def test_nothing_is_a_request_of_no_spans(self, api: ApiClient) -> None:
        for body in (EMPTY, b""):
            assert not answered(send(api, body)).HasField("partial_success")

    def test_json_is_not_taken(self, api: ApiClient) -> None:
        answer = send(api, b'{"resourceSpans":[]}', "application/json")
        assert answer.status_code == 415
        assert "application/json" in answer.json()["message"]

    def test_nor_other_encodings(self, api: ApiClient) -> None:
        message = refused(send(api, EMPTY, **{"Content-Encoding": "br"}), 415)
        assert "gzip" in message


class TestCallers:
    def test_a_token_is_needed(self, cast: Cast) -> None:
        assert refused(send(ApiClient(), EMPTY), 403)
        assert "API token" in refused(send(ApiClient(user=cast.owner), EMPTY), 403)
        assert refused(send(ApiClient(token="ey.not.valid"), EMPTY), 403)

    @pytest.mark.parametrize("scope", TokenScope)
    def test_readers_send_nothing(self, cast: Cast, run: Run, scope: TokenScope) -> None:
        client = ApiClient(token=create_token(cast.tenant, "scoped", scope=scope)[1])
        response = send(client, request(span(run.id)).SerializeToString())
        if scope is TokenScope.READ_ONLY:
            assert scope.value in refused(response, 403)
        else:
            answered(response)

    def test_an_archived_tenant_takes_nothing(self, cast: Cast, api: ApiClient) -> None:
        Tenant.objects.filter(id=cast.tenant.id).update(archived_at=now())
        assert refused(send(api, EMPTY), 403)

    def test_without_a_collector_nothing_is_taken(
        self, cast: Cast, api: ApiClient, run: Run, settings: Settings
    ) -> None:
        settings.HATCHET = replace(settings.HATCHET, tracing=None)
        message = refused(send(api, request(span(run.id)).SerializeToString()), 404)
        assert "SERVER_OBSERVABILITY_ENABLED" in message
        assert stored(cast.tenant) == []
