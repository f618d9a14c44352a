"""Idempotency keys with the official SDK: what its callers see when a key is held."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from engine.states import Status
from tests.e2e.tenant import Client, Tenant

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> None:
    tenant.start_worker("once")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("once")


def test_a_second_run_learns_whose_run_holds_its_key(tenant: Tenant, client: Client) -> None:
    first = client.call("start", workflow="paid", order="one")
    assert client.call("start", workflow="paid", order="one") == {"holder": first}
    assert client.call("result", run_id=first) == {"pay": {"paid": "one"}}
    assert client.call("start", workflow="paid", order="one") == {"holder": first}
    assert tenant.marks("paid").count("one") == 1


def test_a_bulk_starts_the_others(tenant: Tenant, client: Client) -> None:
    held = client.call("start", workflow="paid", order="held")
    answer = client.call("start_many", workflow="paid", orders=["x", "held", "y"])
    assert answer["holders"] == [held]
    outcomes = [client.call("result", run_id=run_id) for run_id in answer["started"]]
    assert outcomes == [{"pay": {"paid": "x"}}, {"pay": {"paid": "y"}}]


def test_a_status_key_is_free_as_soon_as_the_result_is_known(
    tenant: Tenant, client: Client
) -> None:
    first = client.call("start", workflow="synced", order="s")
    tenant.wait_for_marks("syncing")
    assert client.call("start", workflow="synced", order="s") == {"holder": first}
    tenant.open_gate("sync-s")
    for _ in range(3):
        assert client.call("result", run_id=first) == {"sync": {"attempt": 2}}
        first = client.call("start", workflow="synced", order="s")
        assert isinstance(first, str)


def test_a_run_is_not_replayed_while_another_holds_its_key(tenant: Tenant, client: Client) -> None:
    first = client.call("start", workflow="synced", order="again")
    client.call("cancel", run_id=first)
    tenant.wait_for_status(first, Status.CANCELLED)
    second = client.call("start", workflow="synced", order="again")
    assert client.call("replay", run_id=first) == HTTPStatus.CONFLICT
    assert tenant.statuses([first]) == {first: Status.CANCELLED}
    tenant.open_gate("sync-again")
    client.call("result", run_id=second)
    assert client.call("replay", run_id=first) is None
    assert client.call("result", run_id=first).keys() == {"sync"}


def test_an_event_whose_key_is_held_starts_nothing(tenant: Tenant, client: Client) -> None:
    client.call("push", order="by-event")
    tenant.wait_for_marks("paid")
    client.call("push", order="by-event")
    last = client.call("start", workflow="paid", order="after")
    client.call("result", run_id=last)
    assert tenant.marks("paid").count("by-event") == 1
