"""What this server does not offer yet says so in a sentence that names it."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from tests.rpc.client import METHODS, PATIENCE_SECONDS, Client, refusal


@pytest.mark.parametrize(
    "name",
    [
        "Dispatcher/SendGroupKeyActionEvent",
    ],
)
async def test_a_missing_method_says_so(name: str, client: Client) -> None:
    method = METHODS[name]
    if method.client_streaming:
        call = client.converse(name)
    else:
        call = client.call(name, GetMessageClass(method.input_type)())
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await refusal(call) == (
            grpc.StatusCode.UNIMPLEMENTED,
            f"{method.full_name} is not implemented by this server",
        )
