"""The collector of OTLP over HTTP: what exporters of spans send, as protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import IO, Any, cast
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from engine.api.views import EngineView
from engine.errors import InvalidArgument
from engine.inflate import inflate
from engine.operations.record_spans import record_spans
from engine.otlp.answers import answer
from engine.otlp.intake import Intake
from engine.otlp.spans import SpanReader
from engine.store import sync_db
from engine.tracing_config import TracingConfig
from tenants.installation import installation
from tenants.rest.errors import ApiError

PROTOBUF = "application/x-protobuf"
_ENCODINGS = ("", "identity", "gzip", "deflate")


class SpansParser(BaseParser):
    """Takes requests within the bound of messages, compressed or not."""

    media_type = PROTOBUF

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        most = installation().grpc_max_message_bytes
        body = stream.read(most + 1)
        if len(body) > most:
            raise ApiError(413, f"the body is too large: at most {most} bytes")
        try:
            return ExportTraceServiceRequest.FromString(inflate(body, most))
        except DecodeError:
            raise InvalidArgument("the message cannot be parsed") from None


class ProtobufRenderer(BaseRenderer):
    """Refusals are messages: so the protocol wants it."""

    media_type = PROTOBUF
    format = "protobuf"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        encoded: bytes = Status(message=data["message"]).SerializeToString()
        return encoded


@cache
def _intake(config: TracingConfig) -> Intake:
    """What this process counts; the configuration is one."""
    return Intake(config)


class SpanCollectorView(EngineView):
    """Spans of the tenant of the API token. What is not stored of them is told in the answer."""

    path_ids = ()
    schema = cast(Any, None)  # the document of the API describes JSON
    parser_classes = cast(Any, (SpansParser,))
    takes_idempotency_key = False

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """Answer in the kind of the request."""
        if not (request.content_type or "").startswith(PROTOBUF):
            return super().perform_content_negotiation(request, force)
        renderer = ProtobufRenderer()
        return renderer, renderer.media_type

    def find_tenant(self) -> UUID:
        if self.token is None:
            raise ApiError(403, "send an API token: it says which tenant the spans are of")
        return self.token.tenant_id

    def post(self, request: Request, **_: Any) -> HttpResponse:
        config = settings.HATCHET.tracing
        if config is None:
            raise ApiError(404, "this server takes no spans: SERVER_OBSERVABILITY_ENABLED is off")
        encoding = request.headers.get("Content-Encoding", "").lower()
        if encoding not in _ENCODINGS:
            raise ApiError(415, "the body's Content-Encoding must be gzip, deflate or none")
        sent = cast(Any, request.data) or ExportTraceServiceRequest()  # an empty body is one
        reader = SpanReader(self.tenant.id, _intake(config), datetime.now(UTC))
        spans = [span for span in reader.read(sent) if span is not None]
        unknown = sync_db.run(record_spans(spans)).count(False) if spans else 0
        told = answer(self.tenant.id, reader, len(spans), unknown)
        return HttpResponse(told.SerializeToString(), content_type=PROTOBUF)
