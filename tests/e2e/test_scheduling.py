"""Which task runs when and where, with the official SDK: slots, priorities, labels, paused workers."""

from __future__ import annotations

import signal
from uuid import UUID

import pytest

from engine.states import Status, TaskEventKind
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for

SLOTS = 2


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("scheduling")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("scheduling")


def test_a_worker_never_runs_more_than_its_slots(
    tenant: Tenant, client: Client, worker: WorkerProcess
) -> None:
    runs = client.call("start_occupying", gate="slots", count=7)
    tenant.wait_for_marks("slots", SLOTS)
    # This call is answered after the engine had every chance to assign more.
    client.call("see_worker", worker_id=str(worker.id))
    assert len(tenant.marks("slots")) == SLOTS
    tenant.open_gate("slots")
    for run_id in runs:
        assert client.call("result", run_id=run_id)["occupy"] == {"worker": str(worker.id)}
    running, most = 0, 0
    for line in tenant.marks("slots"):
        running += -1 if line == "out" else 1
        most = max(most, running)
    assert most == SLOTS


def test_more_important_runs_start_first(
    tenant: Tenant, client: Client, worker: WorkerProcess
) -> None:
    client.call("start_occupying", gate="line", count=SLOTS)
    tenant.wait_for_marks("line", SLOTS)
    runs = client.call("start_with_priorities", priorities=[1, 2, 3, 1, 2, 3])
    tenant.open_gate("line")
    for run_id in runs:
        client.call("result", run_id=run_id)
    # What the tasks write down is in the order of their threads; what the engine decided, in its log.
    assert assigned_priorities(tenant, runs[:6]) == [3, 3, 2, 2, 1, 1]
    assert "default 3" in tenant.marks("priorities")


def assigned_priorities(tenant: Tenant, runs: list[str]) -> list[int]:
    """The runs' priorities in the order of their assignment; of those assigned at once from the top."""
    found = tenant.rows(
        "SELECT r.priority FROM engine_run r JOIN engine_taskevent e ON e.run_id = r.id"
        " WHERE r.id = ANY(%s) AND e.kind = %s ORDER BY e.at, r.priority DESC",
        [UUID(run_id) for run_id in runs],
        TaskEventKind.ASSIGNED,
    )
    return [priority for (priority,) in found]


def test_a_task_may_give_its_slot_back_and_go_on(
    tenant: Tenant, client: Client, worker: WorkerProcess
) -> None:
    sharing = [client.call("start_sharing", gate="share") for _ in range(SLOTS)]
    tenant.wait_for_marks("share", SLOTS)
    tenant.open_gate("meanwhile")
    for run_id in client.call("start_occupying", gate="meanwhile", count=SLOTS):
        client.call("result", run_id=run_id)
    assert set(tenant.statuses(sharing).values()) == {Status.RUNNING}
    tenant.open_gate("share")
    for run_id in sharing:
        assert client.call("result", run_id=run_id) == {"share-slot": {"finished": "after all"}}
        assert "SLOT_RELEASED" in tenant.history(run_id)


def test_a_task_may_change_the_labels_of_its_worker(client: Client, worker: WorkerProcess) -> None:
    before = client.call("see_worker", worker_id=str(worker.id))
    assert before == {"status": "ACTIVE", "labels": {"model": "a", "zone": "north"}}
    client.call("run_relabel")
    after = client.call("see_worker", worker_id=str(worker.id))
    assert after["labels"] == {"model": "b", "version": "2", "zone": "north"}


def test_a_paused_worker_gets_nothing_new(
    tenant: Tenant, client: Client, worker: WorkerProcess
) -> None:
    tenant.open_gate("paused")
    client.call("pause", worker_id=str(worker.id))
    assert client.call("see_worker", worker_id=str(worker.id))["status"] == "PAUSED"
    (run_id,) = client.call("start_occupying", gate="paused", count=1)
    other = tenant.start_worker("scheduling")
    assert client.call("result", run_id=run_id)["occupy"] == {"worker": str(other.id)}
    client.call("pause", worker_id=str(other.id))
    client.call("unpause", worker_id=str(worker.id))
    (run_id,) = client.call("start_occupying", gate="paused", count=1)
    assert client.call("result", run_id=run_id)["occupy"] == {"worker": str(worker.id)}
    client.call("unpause", worker_id=str(other.id))


def test_a_worker_asked_to_stop_finishes_what_it_has_and_takes_nothing_new(
    tenant: Tenant, client: Client
) -> None:
    leaving = tenant.start_worker("scheduling")
    # More than the slots of all others: some are at the leaving one.
    runs = client.call("start_occupying", gate="leaving", count=3 * SLOTS)
    arrived = tenant.wait_for_marks("leaving", 3 * SLOTS)
    assert f"in {leaving.id}" in arrived
    leaving.service.process.send_signal(signal.SIGTERM)

    def is_paused() -> bool:
        return bool(
            tenant.rows("SELECT 1 FROM engine_worker WHERE id = %s AND is_paused", leaving.id)
        )

    wait_for("the leaving worker to be paused", is_paused)
    later = client.call("start_occupying", gate="leaving", count=SLOTS)
    tenant.open_gate("leaving")
    for run_id in [*runs, *later]:
        client.call("result", run_id=run_id)
    assert leaving.service.process.wait(60) == 0, leaving.service.output
    places = {client.call("result", run_id=run_id)["occupy"]["worker"] for run_id in later}
    assert str(leaving.id) not in places
