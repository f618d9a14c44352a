"""A replay claims its run's idempotency key again; who does not get it is left alone and told."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from engine.domain.definition import Idempotency
from engine.errors import Collision, IdempotencyCollision
from engine.models import IdempotencyKey, Run, Task
from engine.operations.choose_runs import matching_runs
from engine.operations.durable.branch_tasks import branch_task
from engine.states import IdempotencyMethod, Status
from engine.store import sync_db
from engine.types import RunFilter, TriggerRequest
from tests.operations.bench import Bench, step

TTL_SECONDS = 3600
STATUS, TTL = IdempotencyMethod.STATUS, IdempotencyMethod.TTL
CHAIN = (step("a"), step("b", "a"))


def left_alone(bench: Bench) -> dict[UUID, UUID]:
    """Runs that the last replay left alone, and who holds their keys."""
    return {each.colliding: each.existing for each in bench.replayed.refused}


def start(bench: Bench, key: str = "k") -> UUID:
    (run_id,) = bench.trigger(TriggerRequest("flow", b'{"key":"%s"}' % key.encode()))
    return run_id


def put(bench: Bench, method: IdempotencyMethod = STATUS, *, is_dag: bool = False) -> None:
    settings = Idempotency("input.key", TTL_SECONDS * 1000, method)
    bench.put(*(CHAIN if is_dag else ()), idempotency=settings)


def end(bench: Bench, run_id: UUID, *, is_dag: bool = False) -> None:
    for name in ("a", "b") if is_dag else ():
        bench.run_to_end(task_of(run_id, name))
    if not is_dag:
        bench.run_to_end(run_id)
    assert bench.status(run_id) is Status.COMPLETED


def task_of(run_id: UUID, name: str) -> UUID:
    return Task.objects.get(run_id=run_id, action_id=f"flow:{name}").id


def holder(bench: Bench) -> UUID | None:
    key = IdempotencyKey.objects.filter(tenant_id=bench.tenant_id).first()
    return key.run_id if key else None


@pytest.mark.parametrize("is_dag", [False, True])
def test_a_run_is_not_replayed_beside_the_holder_of_its_key(bench: Bench, is_dag: bool) -> None:
    put(bench, is_dag=is_dag)
    first = start(bench)
    end(bench, first, is_dag=is_dag)
    second = start(bench)
    asked = task_of(first, "b") if is_dag else first
    for wanted in (first, asked):
        assert bench.replay(wanted) == []
        assert left_alone(bench) == {first: second}
        assert bench.changes.ready == []
    assert bench.status(first) is Status.COMPLETED
    end(bench, second, is_dag=is_dag)
    assert bench.replay(first) != []
    assert left_alone(bench) == {}
    assert (bench.status(first), holder(bench)) == (Status.QUEUED, first)


def test_a_replayed_run_holds_its_key_until_it_ends_again(bench: Bench) -> None:
    put(bench)
    first = start(bench)
    end(bench, first)
    assert bench.replay(first) == [first]
    with pytest.raises(IdempotencyCollision) as caught:
        start(bench)
    assert caught.value.collisions[0].existing == first
    end(bench, first)
    assert holder(bench) == first
    assert start(bench) != first


@pytest.mark.parametrize("method", [STATUS, TTL])
def test_a_key_whose_time_is_over_is_claimed_for_as_long_again(
    bench: Bench, method: IdempotencyMethod
) -> None:
    put(bench, method)
    first = start(bench)
    end(bench, first)
    bench.pass_time(2 * TTL_SECONDS)
    IdempotencyKey.objects.filter(tenant_id=bench.tenant_id).delete()
    assert bench.replay(first) == [first]
    key = IdempotencyKey.objects.get(tenant_id=bench.tenant_id)
    assert (key.run_id, key.expires_at) == (first, bench.now + timedelta(seconds=TTL_SECONDS))


def test_within_its_time_a_run_is_replayed_under_the_key_it_holds(bench: Bench) -> None:
    put(bench, TTL)
    first = start(bench)
    before = IdempotencyKey.objects.get(tenant_id=bench.tenant_id).expires_at
    end(bench, first)
    bench.pass_time(60)
    assert bench.replay(first) == [first]
    assert IdempotencyKey.objects.get(tenant_id=bench.tenant_id).expires_at == before


def test_a_key_that_is_held_for_its_time_refuses_a_replay_even_when_its_run_ended(
    bench: Bench,
) -> None:
    put(bench, TTL)
    first = start(bench)
    end(bench, first)
    bench.pass_time(2 * TTL_SECONDS)
    second = start(bench)
    end(bench, second)
    assert bench.replay(first, second) == [second]
    assert left_alone(bench) == {first: second}


def test_in_a_bulk_the_others_go_on_and_one_of_equal_keys_does(bench: Bench) -> None:
    put(bench)
    runs = []
    for key in ("a", "a", "b", "c"):
        runs.append(start(bench, key))
        end(bench, runs[-1])
    now_holding = start(bench, "b")
    older, newer, refused, other = runs
    assert sorted(bench.replay(newer, older, refused, other)) == sorted([newer, other])
    assert left_alone(bench) == {older: newer, refused: now_holding}
    assert Run.objects.get(id=older).status == Status.COMPLETED


def test_a_filter_passes_by_the_refused(bench: Bench) -> None:
    put(bench)
    first, other = start(bench, "a"), start(bench, "b")
    end(bench, first)
    end(bench, other)
    second = start(bench, "a")
    everything = RunFilter(bench.now - timedelta(days=1))
    matching = sync_db.run(matching_runs(bench.tenant_id, everything))
    assert bench.replay(*matching) == [other]
    assert left_alone(bench) == {first: second}


def test_what_has_not_ended_is_passed_over_in_silence_and_claims_nothing(bench: Bench) -> None:
    put(bench, is_dag=True)
    first = start(bench)
    bench.run_to_end(task_of(first, "a"))
    bench.pass_time(2 * TTL_SECONDS)
    second = start(bench)
    assert bench.replay(first) == []
    assert left_alone(bench) == {}
    assert holder(bench) == second


@pytest.mark.parametrize("is_final", [True, False])
def test_a_durable_task_is_not_reset_beside_the_holder_of_its_runs_key(
    bench: Bench, is_final: bool
) -> None:
    settings = Idempotency("input.key", TTL_SECONDS * 1000, STATUS)
    bench.put(step("work", is_durable=True, slots={"durable": 1}), idempotency=settings)
    first = start(bench)
    bench.assign(first)
    if is_final:
        bench.report(bench.completed(first, b"{}"))
    else:
        bench.pass_time(2 * TTL_SECONDS)
    second = start(bench)
    reset = branch_task(bench.tenant_id, first, 1, 1, bench.now)
    with pytest.raises(IdempotencyCollision) as caught:
        sync_db.run(reset)
    assert caught.value.collisions == (Collision(second, first),)
    assert bench.task(first).retry_count == 0
    assert bench.status(first) is (Status.COMPLETED if is_final else Status.RUNNING)
