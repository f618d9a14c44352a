"""The official TypeScript SDK, unmodified: a small journey through everything it is used for.

Its packages are installed from npm, pinned, where node is present.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from engine.states import SpanKind, Status
from tests.e2e.stack import ROOT
from tests.e2e.tenant import Client, Tenant, wait_for

PROGRAMS = Path(__file__).parent / "typescript"
TSX = "node_modules/tsx/dist/cli.mjs"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None, reason="needs node and npm"
)


@pytest.fixture(scope="module")
def programs() -> Path:
    """The directory of the programs, with the SDK beside them."""
    subprocess.run([ROOT / "scripts/install_npm.sh", PROGRAMS], check=True, timeout=600)
    return PROGRAMS


@pytest.fixture(scope="module")
def client(programs: Path, tenant: Tenant) -> Client:
    """A client program, beside a worker that offers every task."""
    name = "typescript"
    environment = {**tenant.environment, "E2E_WORKER_NAME": name}
    worker = tenant.stack.spawn(name, ["node", TSX, "worker.ts"], environment, programs)
    tenant.services.append(worker)
    client = tenant.start_program(["node", TSX, "answer_calls.ts"], programs)
    worker.wait_until(lambda: bool(tenant.ready_worker(name)), "become ready")
    return client


def test_tasks_are_given_their_input_and_return_their_output(client: Client) -> None:
    found = client.call("run", name="ts-double", input={"value": 21})
    assert found == {"ts-double": {"value": 42}}
    given = {"n": [1, "zwölf"]}
    echoed = client.call("run", name="ts-echo", input=given, metadata={"a": "b"})["ts-echo"]
    assert (echoed["input"], echoed["metadata"]["a"]) == (given, "b")
    assert client.call("run", name="ts-echo")["ts-echo"]["input"] == {}
    values = client.call("runMany", name="ts-double", inputs=[{"value": n} for n in range(20)])
    assert [item["ts-double"]["value"] for item in values] == [2 * n for n in range(20)]


def test_a_task_that_fails_is_tried_again_and_its_error_is_told(
    client: Client, tenant: Tenant
) -> None:
    run_id = client.call("start", name="ts-failing")
    tenant.wait_for_status(run_id, Status.FAILED)
    assert tenant.marks("failing") == ["0", "1"]
    with pytest.raises(AssertionError, match="the reason is kept: äöü €"):
        client.call("result", runId=run_id)


def test_steps_of_a_workflow_are_given_what_their_parents_returned(client: Client) -> None:
    found = client.call("run", name="ts-invoice", input={"cents": 1000})
    assert found == {"net": {"cents": 1000}, "tax": {"cents": 200}, "total": {"cents": 1200}}


def test_a_task_starts_children_and_waits_for_them(client: Client, tenant: Tenant) -> None:
    run_id = client.call("start", name="ts-parent", input={"values": [3, 1, 2]})
    assert client.call("result", runId=run_id)["ts-parent"] == {"values": [6, 2, 4]}
    children = tenant.rows("SELECT 1 FROM engine_run WHERE parent_task_id = %s", run_id)
    assert len(children) == 3


def test_a_durable_task_sleeps_waits_for_an_event_and_runs_again_from_a_step(
    client: Client, tenant: Tenant
) -> None:
    run_id = client.call("start", name="ts-sleeper", input={"who": "Ada"})
    push: dict[str, Any] = {"key": "ts:answered", "scope": "Ada"}
    client.call("push", **push, payload={"who": "Grace", "value": 1})
    client.call("push", **push, payload={"who": "Ada", "value": 4})
    assert client.call("result", runId=run_id)["ts-sleeper"] == {"who": "Ada", "doubled": 8}
    assert tenant.marks("sleeper-slept") == ["Ada"]
    # From its first step: it sleeps again, and the event that was waited for before still counts.
    client.call("branch", runId=run_id, nodeId=1)
    tenant.wait_for_marks("sleeper-slept", 2)
    tenant.wait_for_status(run_id, Status.COMPLETED)
    assert client.call("result", runId=run_id)["ts-sleeper"] == {"who": "Ada", "doubled": 8}


def test_a_batch_is_handed_over_as_soon_as_it_is_full(client: Client) -> None:
    inputs = [{"group": "g", "value": n} for n in range(3)]
    found = client.call("runMany", name="ts-batch", inputs=inputs)
    expected = [{"group": "g", "value": n, "size": 3} for n in range(3)]
    assert [item["ts-batch"] for item in found] == expected


def test_streamed_chunks_arrive_whole_and_in_order(client: Client, tenant: Tenant) -> None:
    parts = [f"{n}: Chunk € " * (n % 7) for n in range(1, 100)]
    run_id = client.call("start", name="ts-chunks", input={"parts": parts})
    tenant.open_gate("chunks")
    followed = client.call("follow", runId=run_id)
    assert "".join(followed) == "".join(parts)


def test_a_cancelled_task_is_told_so(client: Client, tenant: Tenant) -> None:
    run_id = client.call("start", name="ts-endless")
    tenant.wait_for_marks("endless-begun")
    client.call("cancel", runId=run_id)
    tenant.wait_for_status(run_id, Status.CANCELLED)
    assert tenant.wait_for_marks("endless-ended") == ["true"]
    wait_for("the run to be listed", lambda: tenant.statuses([run_id]))


def test_spans_of_an_instrumented_worker_are_of_its_run(
    programs: Path, tenant: Tenant, client: Client
) -> None:
    """Without a context manager of its own the SDK begins traces of its own; attributes name the run."""
    environment = {**tenant.environment, "E2E_WORKER_NAME": "traced"}
    worker = tenant.stack.spawn("traced", ["node", TSX, "traced.ts"], environment, programs)
    tenant.services.append(worker)
    worker.wait_until(lambda: bool(tenant.ready_worker("traced")), "become ready")
    run_id = client.call("start", name="ts-traced")
    kinds = "SELECT name, kind FROM engine_span WHERE run_id = %s"

    def spans() -> dict[str, int]:
        found = dict(tenant.rows(kinds, UUID(run_id)))
        return found if {"charge", "hatchet.start_step_run"} <= found.keys() else {}

    assert wait_for("the spans", spans)["hatchet.start_step_run"] == SpanKind.CONSUMER
