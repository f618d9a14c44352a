"""Batch tasks with the official SDK."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.e2e.tenant import Client, Tenant, WorkerProcess

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("batching")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("batching")


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"number": n} for n in range(count)]


def test_a_full_batch_runs_at_once_and_results_keep_the_order_of_the_calls(client: Client) -> None:
    found = client.call("run", task="by_size", items=numbered(6))
    assert [one["number"] for one in found] == list(range(6))
    assert [one["size"] for one in found] == [3] * 6
    assert len({one["first"] for one in found}) == 2


def test_the_interval_runs_what_is_there(client: Client) -> None:
    found = client.call("run", task="by_interval", items=numbered(2))
    assert [one["size"] for one in found] == [2, 2]


def test_batches_of_one(client: Client) -> None:
    found = client.call("run", task="one_by_one", items=numbered(4))
    assert [(one["number"], one["size"]) for one in found] == [(n, 1) for n in range(4)]


@pytest.mark.parametrize("groups", ["aabb", "aaab", "abab"])
def test_groups_do_not_mix(groups: str, client: Client) -> None:
    items = [{"group": group} for group in groups]
    found = client.call("run", task="by_group", items=items)
    assert [one["size"] for one in found] == [groups.count(group) for group in groups]


def test_a_key_that_is_no_text_fails_its_item_alone(client: Client) -> None:
    items: list[dict[str, Any]] = [{"group": "g"}, {"group": True}, {"group": "g"}, {"group": "g"}]
    good, bad, *others = client.call("run_apart", task="by_group", items=items)
    assert "failed to parse batch group key expression (input.group): " in bad
    assert "expected string output for batch key, got bool" in bad
    assert [one["size"] for one in (good, *others)] == [3, 3, 3]


def test_one_output_for_all(client: Client) -> None:
    assert client.call("run", task="broadcast", items=numbered(3)) == [{"sum": 3}] * 3


def test_ten_megabytes_are_three_batches(client: Client) -> None:
    found = client.call("run_large", count=100, size=100_000)
    assert [one["number"] for one in found] == list(range(100))
    sizes = Counter(one["first"] for one in found)
    assert sorted(sizes.values()) == [22, 39, 39]


def test_a_cancelled_batch_ends_all_its_runs_without_an_error(client: Client) -> None:
    assert client.call("run", task="cancelling", items=numbered(10)) == [{}] * 10


def test_a_failed_item_is_tried_again_alone(client: Client) -> None:
    first, second = client.call("run", task="second_try", items=numbered(2))
    assert (first["tried"]["size"], second["tried"]["size"]) == (2, 1)


def test_an_exception_fails_and_retries_every_item(tenant: Tenant, client: Client) -> None:
    found = client.call("run_apart", task="raising", items=numbered(2))
    assert all("the whole batch is broken" in one for one in found)
    assert len(tenant.marks("raised")) == 2


def test_items_have_children_plain_and_batched(client: Client) -> None:
    found = client.call("run", task="parents", items=numbered(2))
    assert found == [{"plain": 0, "batched": 0}, {"plain": 2, "batched": 1}]


def test_steps_of_several_runs_share_a_batch(client: Client) -> None:
    found = client.call("run", task="flow", items=numbered(2))
    assert [one["prepare"]["number"] for one in found] == [10, 11]
    assert [one["together"]["number"] for one in found] == [0, 1]
    assert [one["together"]["size"] for one in found] == [2, 2]
