"""What the official SDK sends for ordinary workflows is understood, its defaults included."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path

import pytest

from engine.rpc.server import RpcServer
from engine.states import StepKind
from tests.rpc import client as test_client
from tests.rpc.recording_engine import RecordingEngine

ROOT = Path(__file__).resolve().parents[2]


def _readable_token(port: int) -> str:
    """The SDK reads the claims before it connects; nothing checks the signature here."""
    claims = {
        "sub": str(test_client.TENANT_ID),
        "server_url": "http://127.0.0.1",
        "grpc_broadcast_address": f"127.0.0.1:{port}",
    }
    parts = [json.dumps({"alg": "ES256"}), json.dumps(claims), "signature"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


async def test_the_official_sdk_registers_its_workflows(
    server: RpcServer, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _readable_token(server.port)
    monkeypatch.setattr(test_client, "TOKEN", token)
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.rpc.register_with_sdk",
        str(server.port),
        token,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, complaints = await program.communicate()
    assert program.returncode == 0, complaints.decode()
    single, graph, durable = (definition for _, definition in engine.calls["put_workflow"])
    assert (single.name, single.is_dag) == ("Single", False)
    assert json.loads(single.input_json_schema)["properties"]["number"]["type"] == "integer"
    assert (graph.name, graph.event_triggers, graph.default_priority) == (
        "Graph",
        ("order:created",),
        2,
    )
    first, second, mend = graph.steps
    assert (first.readable_id, first.action_id) == ("first", "graph:first")
    assert (first.retries, first.backoff_factor, first.backoff_max_seconds) == (3, 2.0, 10)
    assert (first.execution_timeout_seconds, first.schedule_timeout_seconds) == (5, 120)
    assert second.parents == ("first",)
    assert mend.kind is StepKind.ON_FAILURE
    assert (durable.steps[0].is_durable, durable.steps[0].slots) == (True, {"durable": 1})
