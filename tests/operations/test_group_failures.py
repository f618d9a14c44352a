"""Failed attempts are counted into groups of those that are the same, and groups come back."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from engine.errors import InvalidArgument, NotFound
from engine.models import ErrorGroup, ErrorTally, FailedAttempt, Task
from engine.models.error_queries import in_state, shares, state_of
from engine.models.run_selection import selected_runs
from engine.operations.change_error_groups import assign_error_group, set_error_state
from engine.operations.choose_runs import matching_runs
from engine.operations.group_failures import group_failures
from engine.states import ErrorState, Status
from engine.store import sync_db
from engine.types import RunFilter
from tenants.models import Member, User
from tests.operations.bench import Bench, on_failure, step


def fail(bench: Bench, error: bytes = b"ValueError: bad 1", *, runs: int = 1) -> list[UUID]:
    ids = [bench.trigger()[0] for _ in range(runs)]
    for run_id in ids:
        bench.run_to_failure(run_id, error)
    return ids


def count(bench: Bench) -> list[tuple[bool, bool]]:
    return [(g.is_new, g.is_reopened) for g in sync_db.run(group_failures(bench.now)).groups]


def groups(bench: Bench) -> list[ErrorGroup]:
    return list(ErrorGroup.objects.filter(tenant_id=bench.tenant_id).order_by("message"))


def test_equal_failures_are_one_group_and_others_another(bench: Bench) -> None:
    bench.put()
    fail(bench, b"ValueError: bad 1")
    *_, last = fail(bench, b"ValueError: bad 4711", runs=2)
    fail(bench, b"ValueError: worse")
    assert count(bench) == [(True, False)] * 2
    bad, worse = groups(bench)
    assert (bad.type, bad.message, bad.count, bad.final_count) == ("ValueError", "bad <n>", 3, 3)
    assert (worse.message, worse.count) == ("worse", 1)
    assert bad.run_id == bad.task_id == last
    assert count(bench) == [], "none is counted twice"
    bench.pass_time(60)
    fail(bench, b"ValueError: bad 5")
    assert count(bench) == [(False, False)]
    (bad, _) = groups(bench)
    assert bad.count == 4
    assert bad.last_seen_at - bad.first_seen_at == timedelta(seconds=60)


def test_attempts_with_a_retry_count_and_are_not_final(bench: Bench) -> None:
    run_id = bench.start(step("work", retries=1))
    for _ in range(2):
        bench.assign(run_id)
        bench.report(bench.failed(run_id))
    count(bench)
    (group,) = groups(bench)
    assert (group.count, group.final_count, group.retry_count) == (2, 1, 1)


def test_time_outs_count_and_lost_workers_only_at_the_end(bench: Bench) -> None:
    run_id = bench.start(step("work", execution_timeout="10s", execution_timeout_seconds=10.0))
    bench.assign(run_id)
    bench.expire(after_seconds=11)
    assert bench.status(run_id) is Status.FAILED
    count(bench)
    (group,) = groups(bench)
    assert group.message == "Task exceeded timeout of <n>s"


def test_what_completes_or_is_cancelled_makes_no_group(bench: Bench) -> None:
    bench.put()
    (done,), (gone,) = bench.trigger(), bench.trigger()
    bench.run_to_end(done)
    bench.cancel(gone)
    assert not FailedAttempt.objects.filter(tenant_id=bench.tenant_id).exists()


def test_tallies_tell_versions_and_workers(bench: Bench) -> None:
    bench.put()
    first, second = bench.worker(), bench.worker()
    for worker_id in (first, second, second):
        (run_id,) = bench.trigger()
        bench.assign(run_id, worker_id=worker_id)
        bench.report(bench.failed(run_id, should_not_retry=True))
    count(bench)
    bench.put(step("work", retries=2))
    bench.pass_time(3_600)
    fail(bench, b"boom")
    count(bench)
    (group,) = groups(bench)
    versions = shares(group.id, "version", 9)
    assert [(share.name, share.number) for share in versions] == [
        ("version 1", 3),
        ("version 2", 1),
    ]
    assert versions[1].first_hour - versions[0].first_hour == timedelta(hours=1)
    workers = {share.id: share.number for share in shares(group.id, "worker", 9)}
    assert (workers[first], workers[second]) == (1, 2)
    assert ErrorTally.objects.filter(group=group).count() == 3


def test_a_resolved_group_is_open_again_when_it_fails_anew(bench: Bench) -> None:
    bench.put()
    fail(bench)
    count(bench)
    (group,) = groups(bench)
    sync_db.run(set_error_state(bench.tenant_id, group.id, ErrorState.RESOLVED, bench.now))
    fail(bench)  # at the same instant: it may have been what was resolved
    assert count(bench) == [(False, False)]
    assert groups(bench)[0].state == ErrorState.RESOLVED
    bench.pass_time(1)
    fail(bench)
    assert count(bench) == [(False, True)]
    (group,) = groups(bench)
    assert (group.state, group.reopened_at) == (ErrorState.OPEN, bench.now)
    bench.pass_time(1)
    fail(bench)
    assert count(bench) == [(False, False)], "it is told once"


def test_a_muted_group_stays_so_until_its_time_is_over(bench: Bench) -> None:
    bench.put()
    fail(bench)
    count(bench)
    (group,) = groups(bench)
    until = bench.now + timedelta(hours=1)
    sync_db.run(
        set_error_state(bench.tenant_id, group.id, ErrorState.MUTED, bench.now, muted_until=until)
    )
    bench.pass_time(10)
    fail(bench)
    assert count(bench) == [(False, False)]
    (group,) = groups(bench)
    assert state_of(group, bench.now) is ErrorState.MUTED
    later = bench.now + timedelta(hours=2)
    assert state_of(group, later) is ErrorState.OPEN
    mine = ErrorGroup.objects.filter(tenant_id=bench.tenant_id)
    for now, state in ((bench.now, ErrorState.MUTED), (later, ErrorState.OPEN)):
        for other in ErrorState:
            assert mine.filter(in_state(other, now)).exists() is (other is state)
    with pytest.raises(InvalidArgument):
        sync_db.run(
            set_error_state(
                bench.tenant_id, group.id, ErrorState.MUTED, bench.now, muted_until=bench.now
            )
        )


def test_groups_of_others_are_out_of_reach(bench: Bench) -> None:
    bench.put()
    fail(bench)
    count(bench)
    (group,) = groups(bench)
    other = Bench()
    with pytest.raises(NotFound):
        sync_db.run(set_error_state(other.tenant_id, group.id, ErrorState.RESOLVED, bench.now))
    with pytest.raises(NotFound):
        sync_db.run(assign_error_group(other.tenant_id, group.id, None))
    assert groups(bench)[0].state == ErrorState.OPEN


def test_only_members_are_assigned(bench: Bench) -> None:
    bench.put()
    fail(bench)
    count(bench)
    (group,) = groups(bench)
    ann = User.objects.create_user("ann@example.org", "x" * 20)
    with pytest.raises(NotFound):
        sync_db.run(assign_error_group(bench.tenant_id, group.id, ann.id))
    Member.objects.create(tenant_id=bench.tenant_id, user=ann)
    sync_db.run(assign_error_group(bench.tenant_id, group.id, ann.id))
    assert groups(bench)[0].assignee_id == ann.id
    sync_db.run(assign_error_group(bench.tenant_id, group.id, None))
    assert groups(bench)[0].assignee_id is None
    with pytest.raises(NotFound):
        sync_db.run(assign_error_group(bench.tenant_id, group.id, uuid4()))


def test_the_runs_of_a_group_are_selected_by_lists_and_bulk_actions_alike(bench: Bench) -> None:
    bench.put()
    bad = fail(bench, b"bad", runs=2)
    fail(bench, b"worse")
    count(bench)
    group, _ = groups(bench)
    wanted = RunFilter(since=None, statuses=(Status.FAILED,), error_group_id=group.id)
    assert {run.id for run in selected_runs(bench.tenant_id, wanted)} == set(bad)
    assert set(sync_db.run(matching_runs(bench.tenant_id, wanted))) == set(bad)
    bench.replay(bad[0])
    assert {run.id for run in selected_runs(bench.tenant_id, wanted)} == {bad[1]}


def test_a_step_of_a_graph_fails_into_a_group_of_its_own(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b"), on_failure())
    by_action = dict(Task.objects.filter(run_id=run_id).values_list("action_id", "id"))
    for action in ("flow:a", "flow:b"):
        bench.run_to_failure(by_action[action], b"boom")
    count(bench)
    assert {(group.action_id, group.run_id) for group in groups(bench)} == {
        ("flow:a", run_id),
        ("flow:b", run_id),
    }
