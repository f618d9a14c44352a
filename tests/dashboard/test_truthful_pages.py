"""What pages say of runs is so: why they ended, how long they ran, how many there are, who started them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.test import Client

from dashboard.attempts import attempts_of, deciding_attempt, times_of
from engine.domain import endings
from engine.ids import new_id
from engine.models import CronMiss, Run, Task
from engine.models.task_queries import PastEvent
from engine.operations import copy_schedulers
from engine.operations.explain_tasks import explain_tasks
from engine.states import CronMissCause, LogLevel, RunTrigger, Status
from engine.states import TaskEventKind as Kind
from engine.store import sync_db
from tenants.models import Tenant
from tests.dashboard import factories

START = datetime(2026, 5, 4, 12, tzinfo=UTC)


def page(client: Client, tenant: Tenant, path: str) -> str:
    answer = client.get(f"/t/{tenant.slug}/{path}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def ended(tenant: Tenant, status: Status, kind: Kind, message: str) -> Run:
    run = factories.make_run(factories.make_version(tenant), status)
    task = Task.objects.get(run_id=run.id)
    factories.add_event(task, Kind.QUEUED)
    factories.add_event(task, Kind.STARTED, after_ms=5)
    factories.add_event(task, kind, message=message, after_ms=9)
    return run


F, X = Status.FAILED, Status.CANCELLED


@pytest.mark.parametrize(
    ("status", "kind", "message", "words", "sentence"),
    [
        (X, Kind.SCHEDULING_TIMED_OUT, endings.NOT_IN_TIME, "Schedule timeout", "No worker took"),
        (F, Kind.TIMED_OUT, "Task exceeded timeout of 60s", "Execution timeout", "timeout of 60s"),
        (X, Kind.CANCELLED, endings.BY_STRATEGY, "Concurrency strategy", "due to concurrency"),
        (X, Kind.CANCELLED, endings.cancelled_by("a@b.c"), "Cancelled", "Cancelled by a@b.c."),
        (X, Kind.CANCELLED, endings.PAUSED_TOO_LONG, "Paused for too long", "longer than its"),
        (F, Kind.REASSIGNED, endings.OUT_OF_REASSIGNMENTS, "Worker lost too often", "maximum"),
        (F, Kind.FAILED, "Traceback (most recent call last):\n x\nBoom: no", "Failed", "Boom: no"),
    ],
)
def test_why_a_run_ended_is_said_in_the_same_words_everywhere(
    viewer: Client,
    tenant: Tenant,
    status: Status,
    kind: Kind,
    message: str,
    words: str,
    sentence: str,
) -> None:
    run = ended(tenant, status, kind, message)
    text = page(viewer, tenant, f"runs/{run.id}")
    head = text[text.index('id="ending"') : text.index('aria-label="Facts"')]
    assert f"<b>{words}</b>" in head
    assert sentence in head
    attempts = page(viewer, tenant, f"runs/{run.id}?tab=attempts")
    details = attempts[attempts.index('id="details"') :]
    assert words in details or status.name.capitalize() == words
    assert sentence in details
    timeline = text[text.index('id="details"') :]
    assert endings.END_WORDS[kind] in timeline
    assert sentence in timeline
    operation = explain_tasks(tenant.id, [run.id], datetime.now(UTC), copy_schedulers.shared)
    explanation = sync_db.run(operation)[run.id]
    assert explanation.details["ending"] == words
    assert sentence in explanation.message


def test_a_graph_says_which_step_ended_it(viewer: Client, tenant: Tenant) -> None:
    steps = [factories.step("a"), factories.step("b"), factories.step("c", "a", "b")]
    version = factories.make_version(tenant, "flow", steps)
    states = {"a": F, "b": F, "c": X}
    run = factories.make_run(version, F, step_states=states)
    tasks = {t.step_id: t for t in Task.objects.filter(run_id=run.id)}
    a, b, c = (tasks[s.id] for s in version.steps.order_by("ordinal"))
    factories.add_event(b, Kind.FAILED, message="first to fail", after_ms=5)
    factories.add_event(a, Kind.FAILED, message="second to fail", after_ms=7)
    factories.add_event(c, Kind.CANCELLED, message="The step a failed.", after_ms=9)
    text = page(viewer, tenant, f"runs/{run.id}?tab=logs")
    head = text[text.index('id="ending"') : text.index('aria-label="Facts"')]
    assert '<a href="#step-b">b</a>' in head
    assert "first to fail" in head
    assert "second" not in head


def test_a_run_that_goes_on_or_completed_has_no_ending(viewer: Client, tenant: Tenant) -> None:
    run = ended(tenant, Status.COMPLETED, Kind.FINISHED, "")
    assert 'id="ending"' not in page(viewer, tenant, f"runs/{run.id}")
    retried = ended(tenant, Status.RUNNING, Kind.FAILED, "boom")
    assert 'id="ending"' not in page(viewer, tenant, f"runs/{retried.id}")


def past(task: int, retry: int, kind: Kind, second: float, said: str = "") -> PastEvent:
    return PastEvent(
        UUID(int=task), retry, int(kind), START + timedelta(seconds=second), None, said
    )


def test_time_between_attempts_is_no_running_time() -> None:
    log = [
        past(1, 0, Kind.QUEUED, 0),
        past(1, 0, Kind.STARTED, 2),
        past(1, 0, Kind.REASSIGNED, 10),
        past(1, 1, Kind.QUEUED, 10),
    ]
    attempts = attempts_of(log[::-1], {})
    times = times_of(attempts, START + timedelta(seconds=100))
    assert (times.ran, times.is_running) == (timedelta(seconds=8), False)
    assert (times.waited, times.is_waiting) == (timedelta(seconds=92), True)
    log += [past(1, 1, Kind.STARTED, 60), past(1, 1, Kind.FINISHED, 65)]
    times = times_of(attempts_of(log[::-1], {}), START + timedelta(seconds=100))
    assert (times.ran, times.waited) == (timedelta(seconds=13), timedelta(seconds=52))


def test_steps_that_run_at_once_count_once() -> None:
    log = [
        past(1, 0, Kind.STARTED, 0),
        past(2, 0, Kind.STARTED, 5),
        past(1, 0, Kind.FINISHED, 10),
        past(2, 0, Kind.FINISHED, 12),
        past(3, 0, Kind.STARTED, 20),
    ]
    times = times_of(attempts_of(log[::-1], {}), START + timedelta(seconds=21))
    assert (times.ran, times.is_running) == (timedelta(seconds=13), True)
    assert times.ran_since == START + timedelta(seconds=8)


def test_a_success_after_a_failure_decides_nothing() -> None:
    log = [past(1, 0, Kind.FAILED, 1, "boom"), past(1, 1, Kind.FINISHED, 2)]
    attempts = attempts_of(log[::-1], {})
    assert deciding_attempt(attempts, Status.FAILED) is None
    assert deciding_attempt(attempts, Status.COMPLETED) is None


def test_a_run_queued_again_does_not_count_on(viewer: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), Status.RUNNING)
    Run.objects.filter(id=run.id).update(status=Status.QUEUED)
    Task.objects.filter(id=run.id).update(status=Status.QUEUED, started_at=None)
    text = page(viewer, tenant, "runs")
    row = text[text.index(f'id="run-{run.id}"') :]
    assert row.count("data-since") == 1, "it waits, and does not run"
    facts = page(viewer, tenant, f"runs/{run.id}")
    ran = facts[facts.index("<dt>Ran</dt>") : facts.index("<dt>Started by</dt>")]
    assert "data-since" not in ran


def test_a_finished_run_has_no_confirmation_to_cancel_it(member: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    running = factories.make_run(version, Status.RUNNING)
    assert 'id="confirm-cancel"' in page(member, tenant, f"runs/{running.id}/live")
    cancelled = factories.make_run(version, Status.CANCELLED)
    assert "confirm-cancel" not in page(member, tenant, f"runs/{cancelled.id}/live")


def test_chips_count_what_is_listed_or_say_of_how_many(viewer: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    for number, status in enumerate((Status.COMPLETED, Status.COMPLETED, Status.FAILED)):
        factories.make_run(version, status, metadata={"n": str(number)})

    def counts(query: str) -> list[int | None]:
        answer = viewer.get(f"/t/{tenant.slug}/runs?{query}")
        return [chip["count"] for chip in answer.context["chips"]]

    assert counts("") == [0, 0, 2, 1, 0]
    assert counts("status=failed") == [0, 0, 2, 1, 0]
    assert counts("status=cancelled") == [0, 0, 2, 1, 0], "the list is empty, the others are not"
    assert counts("meta=n:1") == [None] * 5
    assert "picked from 3 in this window" in page(viewer, tenant, "runs?meta=n:1")
    assert "picked from 2 in this window" in page(viewer, tenant, "runs?meta=n:1&status=completed")
    assert counts("id=ffff0000") == [None] * 5


@pytest.mark.parametrize(
    ("trigger", "word"),
    [
        (RunTrigger.MANUAL, "API or SDK"),
        (RunTrigger.PERSON, "Dashboard"),
        (RunTrigger.CRON, "Cron"),
    ],
)
def test_who_started_a_run(viewer: Client, tenant: Tenant, trigger: RunTrigger, word: str) -> None:
    run = factories.make_run(factories.make_version(tenant), trigger=trigger, metadata={})
    assert word in page(viewer, tenant, f"runs/{run.id}")
    assert f'data-label="trigger">{word}<' in page(viewer, tenant, "runs")
    assert "Manual" not in page(viewer, tenant, "runs")


def test_a_run_started_on_the_page_says_so(member: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    form = {"workflow": str(version.workflow_id), "mode": "raw", "input": "{}", "metadata": ""}
    assert member.post(f"/t/{tenant.slug}/trigger", form | {"priority": ""}).status_code == 302
    assert Run.objects.get(tenant_id=tenant.id).trigger == RunTrigger.PERSON


def test_cancelling_says_who_did_it(member: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), Status.QUEUED)
    member.post(f"/t/{tenant.slug}/runs/{run.id}/cancel")
    email = member.get(f"/t/{tenant.slug}/runs").context["request"].user.email
    assert f"Cancelled by {email}." in page(member, tenant, f"runs/{run.id}")


def test_logs_and_errors_show_colours_and_no_escapes(viewer: Client, tenant: Tenant) -> None:
    run = ended(tenant, Status.FAILED, Kind.FAILED, "\x1b[31mBoom\x1b[0m: no")
    task = Task.objects.get(run_id=run.id)
    factories.add_log(task, "\x1b[32mgreen\x1b[0m <b>", LogLevel.INFO)
    logs = page(viewer, tenant, f"runs/{run.id}?tab=logs")
    assert '<span class="ansi-2">green</span> &lt;b&gt;' in logs
    for text in (logs, page(viewer, tenant, f"runs/{run.id}?tab=attempts")):
        assert "\x1b" not in text
        assert "Boom: no" in text


def test_a_new_filter_has_no_errors_yet(member: Client, tenant: Tenant) -> None:
    text = page(member, tenant, "filters/new")
    assert 'role="alert"' not in text
    assert "aria-invalid" not in text
    answer = member.post(f"/t/{tenant.slug}/filters/new", {})
    assert answer.status_code == 422
    assert b'role="alert"' in answer.content


def test_a_cron_that_missed_says_so_in_the_list(viewer: Client, tenant: Tenant) -> None:
    cron = factories.make_cron(factories.make_version(tenant))
    quiet = factories.make_cron(factories.make_version(tenant, "other"), "quiet")
    for count in (2, 3):
        CronMiss.objects.create(
            id=new_id(),
            cron=cron,
            cause=CronMissCause.STOPPED,
            detail="",
            count=count,
            first_at=START,
            last_at=START,
            recorded_at=START,
        )
    text = page(viewer, tenant, "crons")
    row = text[text.index(f'id="cron-{cron.id}"') :].partition("</tr>")[0]
    assert "missed 5: No engine was running" in row
    other = text[text.index(f'id="cron-{quiet.id}"') :].partition("</tr>")[0]
    assert "missed" not in other
