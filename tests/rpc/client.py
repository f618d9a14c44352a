"""A client of the server under test that shows its token with every call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from engine.rpc.server import SERVICES
from tenants.models import TokenScope
from tenants.token_claims import InvalidToken, VerifiedToken

TENANT_ID = UUID("018f0000-0000-7000-8000-00000000cafe")
PATIENCE_SECONDS = 30.0
TOKEN = "eyGood.token.text"
AUTH = (("authorization", f"bearer {TOKEN}"),)
METHODS = {
    f"{service.full_name}/{method.name}": method
    for service in SERVICES
    for method in service.methods
}


class KnownToken:
    """Knows one token, after one look at the database."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.scope = TokenScope.FULL
        self._known: VerifiedToken | None = None

    def forget(self) -> None:
        self._known = None

    def peek(self, token: str) -> VerifiedToken | None:
        return self._known if token == TOKEN else None

    def verify(self, token: str) -> VerifiedToken:
        if self.failure is not None:
            raise self.failure
        if token != TOKEN:
            raise InvalidToken("unknown")
        expires_at = datetime(2099, 1, 1, tzinfo=UTC)
        self._known = VerifiedToken(TENANT_ID, UUID(int=1), expires_at, self.scope)
        return self._known


class Client:
    """`await call("Dispatcher/Heartbeat", request)`; streams by the same names."""

    def __init__(
        self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]] = AUTH
    ) -> None:
        self.channel = channel
        self._metadata = metadata

    def call(self, name: str, request: Any, **options: Any) -> Any:
        kind = "stream" if METHODS[name].server_streaming else "unary"
        return self._open(name, f"unary_{kind}")(request, metadata=self._metadata, **options)

    def converse(self, name: str) -> Any:
        return self._open(name, "stream_stream")(metadata=self._metadata)

    def _open(self, name: str, kind: str) -> Any:
        method = METHODS[name]
        return getattr(self.channel, kind)(
            f"/{name}",
            GetMessageClass(method.input_type).SerializeToString,
            GetMessageClass(method.output_type).FromString,
        )


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """Return status and message of a call or stream that must fail."""
    try:
        if hasattr(call, "read"):
            while await call.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]  # not in the stubs
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError("the call was answered")


def stamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
