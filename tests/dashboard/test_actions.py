"""What buttons do: cancel, replay, pause, delete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import unescape

from django.test import Client

from engine.domain.definition import Idempotency
from engine.models import IdempotencyKey, Run, Task, Workflow
from engine.states import IdempotencyMethod, Status
from tenants.models import Tenant
from tests.dashboard import factories


def url(tenant: Tenant, path: str) -> str:
    return f"/t/{tenant.slug}/{path}"


def test_cancel_ends_a_run(member: Client, tenant: Tenant) -> None:
    worker = factories.make_worker(tenant)
    run = factories.make_run(factories.make_version(tenant), Status.RUNNING, worker=worker)
    answer = member.post(url(tenant, f"runs/{run.id}/cancel"), follow=True)
    assert "Run cancelled." in answer.content.decode()
    run.refresh_from_db()
    assert run.status == Status.CANCELLED
    assert Task.objects.get(run_id=run.id).status == Status.CANCELLED


def test_cancel_of_a_finished_run_says_so(member: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant))
    answer = member.post(url(tenant, f"runs/{run.id}/cancel"), follow=True)
    assert "had finished already" in answer.content.decode()
    run.refresh_from_db()
    assert run.status == Status.COMPLETED


def test_replay_queues_a_finished_run_again(member: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), Status.FAILED)
    answer = member.post(url(tenant, f"runs/{run.id}/replay"), follow=True)
    text = answer.content.decode()
    assert "Run queued again" in text
    assert f'data-live="run:{run.id} workers"' in text
    run.refresh_from_db()
    assert run.status == Status.QUEUED
    task = Task.objects.get(run_id=run.id)
    assert (task.status, task.retry_count) == (Status.QUEUED, 1)


def test_replay_of_a_running_run_changes_nothing(member: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), Status.RUNNING)
    answer = member.post(url(tenant, f"runs/{run.id}/replay"), follow=True)
    assert "has not finished" in answer.content.decode()
    assert Task.objects.get(run_id=run.id).retry_count == 0


def test_replay_of_a_run_whose_key_another_holds_is_refused(member: Client, tenant: Tenant) -> None:
    settings = Idempotency("input.key", 3_600_000, IdempotencyMethod.STATUS)
    version = factories.make_version(tenant, idempotency=settings)
    first, holder = factories.make_run(version), factories.make_run(version, Status.RUNNING)
    Run.objects.filter(id=first.id).update(idempotency_key="k")
    IdempotencyKey.objects.create(
        tenant_id=tenant.id,
        digest=sha256(b"k").digest(),
        run_id=holder.id,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        ends_with_run=True,
    )
    answer = member.post(url(tenant, f"runs/{first.id}/replay"), follow=True)
    text = f"Not replayed: run {holder.id} holds its idempotency key."
    assert text in unescape(answer.content.decode())
    assert Task.objects.get(run_id=first.id).retry_count == 0


def test_a_worker_is_paused_and_resumed(member: Client, tenant: Tenant) -> None:
    worker = factories.make_worker(tenant)
    path = url(tenant, f"workers/{worker.id}/pause")
    assert "Resume" in member.post(path, follow=True).content.decode()
    worker.refresh_from_db()
    assert worker.is_paused
    assert "Pause" in member.post(path, {"paused": "no"}, follow=True).content.decode()
    worker.refresh_from_db()
    assert not worker.is_paused


def test_a_deleted_workflow_is_gone_but_its_runs_are_not(member: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    run = factories.make_run(version)
    path = url(tenant, f"workflows/{version.workflow_id}/delete")
    assert "Delete greet?" in member.get(path).content.decode()
    assert "is deleted" in member.post(path, follow=True).content.decode()
    assert Workflow.objects.get(id=version.workflow_id).deleted_at is not None
    assert member.post(path).status_code == 404
    assert member.get(url(tenant, f"runs/{run.id}")).status_code == 200


def test_the_notice_comes_with_the_answer_of_a_button(member: Client, tenant: Tenant) -> None:
    """htmx follows the redirect and takes the run and the messages out of the page it gets."""
    run = factories.make_run(factories.make_version(tenant), Status.FAILED)
    answer = member.post(
        url(tenant, f"runs/{run.id}/replay"), follow=True, headers={"HX-Request": "true"}
    )
    text = answer.content.decode()
    assert '<div id="run"' in text
    assert '<div id="messages"' in text
    assert Run.objects.get(id=run.id).status == Status.QUEUED
    assert "Run queued again" in text
