"""Results of megabytes with the official SDK: its callers get them, or an error that says what to do."""

from __future__ import annotations

import pytest

from tests.e2e.tenant import CallFailed, Client, Tenant, wait_for

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    tenant.start_worker("large")
    return tenant.start_client("large")


@pytest.mark.parametrize("call", ["run_one", "aio_run_one"])
def test_an_output_of_three_and_a_half_megabytes_arrives(client: Client, call: str) -> None:
    assert client.call(call, size=3_500_000) == 3_500_000


@pytest.mark.parametrize("call", ["run_three", "aio_run_three"])
def test_outputs_that_do_not_fit_together_raise_what_to_do(client: Client, call: str) -> None:
    assert client.call(call, size=MEGABYTE) == dict.fromkeys(("first", "second", "third"), MEGABYTE)
    with pytest.raises(CallFailed) as raised:
        client.call(call, size=2 * MEGABYTE)
    assert raised.value.kind == "FailedTaskRunExceptionGroup"
    told = str(raised.value)
    assert "GET /api/v1/stable/tasks/" in told and "SERVER_GRPC_MAX_MSG_SIZE" in told


def test_details_of_a_run_whose_outputs_do_not_fit_say_which_are_missing(client: Client) -> None:
    run_id = client.call("start_three", size=2 * MEGABYTE)
    wait_for("the end", lambda: client.call("details", run_id=run_id)["done"])
    tasks = client.call("details", run_id=run_id)["tasks"]
    assert [task["status"] for task in tasks] == ["COMPLETED"] * 3
    missing = [task for task in tasks if task["error"]]
    assert missing and len(missing) < 3
    assert all("GET /api/v1/stable/tasks/" in task["error"] for task in missing)
    assert all(task["size"] > MEGABYTE for task in tasks if not task["error"])


def test_a_chunk_of_two_megabytes_of_bytes_arrives(client: Client) -> None:
    assert client.call("stream") == [128 * 16_384 + len("the end"), "the end"]
