"""Bulk actions: staging one from the list of runs, starting it, following it, stopping it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.test import Client

from engine.models import BulkAction, Run
from engine.operations import change_bulk_actions
from engine.operations.work_bulk_actions import advance_bulk_action, fail_bulk_action
from engine.states import BulkKind, BulkState, Status
from engine.store import sync_db
from tenants.audit.models import AuditEntry
from tenants.models import Tenant
from tests.dashboard import factories


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/bulk-actions"


@pytest.fixture
def runs(tenant: Tenant) -> list[Run]:
    greet, other = (factories.make_version(tenant, name) for name in ("greet", "other"))
    return [
        factories.make_run(greet, Status.QUEUED, metadata={"team": "a"}),
        factories.make_run(greet, Status.COMPLETED),
        factories.make_run(other, Status.QUEUED),
        factories.make_run(greet, Status.QUEUED, ago=timedelta(days=3), metadata={"team": "a"}),
    ]


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return " ".join(unescape(answer.content.decode()).split())


def work(action: BulkAction) -> None:
    while sync_db.run(advance_bulk_action(action.id, datetime.now(UTC))):
        pass


def test_an_empty_list_says_what_they_are_for(viewer: Client, url: str) -> None:
    text = page(viewer, url)
    assert "No bulk actions" in text
    assert "New bulk action" not in text


def test_the_form_has_what_the_list_of_runs_was_narrowed_by(
    member: Client, url: str, runs: list[Run]
) -> None:
    query = f"window=7d&status=failed&workflow={runs[0].workflow_id}&meta=team:a&id=abcd"
    text = page(member, f"{url}/new?{query}")
    assert '<option value="7d" selected>' in text
    assert f'<option value="{runs[0].workflow_id}" selected>' in text
    assert 'value="team:a"' in text
    assert 'value="failed" checked' in text
    assert 'value="queued" checked' not in text
    assert "selects by none of these" in text


def test_one_is_looked_at_started_and_followed(
    member: Client, viewer: Client, tenant: Tenant, url: str, runs: list[Run]
) -> None:
    asked = {
        "action": "cancel",
        "window": "1d",
        "status": ["queued"],
        "workflow": str(runs[0].workflow_id),
        "meta": "team:a",
    }
    staged = member.post(f"{url}/new", asked)
    action = BulkAction.objects.get(tenant_id=tenant.id)
    assert (action.kind, action.state, action.total) == (BulkKind.CANCEL, BulkState.STAGED, 1)
    assert staged["Location"] == f"{url}/{action.id}"
    text = page(member, f"{url}/{action.id}")
    assert "Cancel 1 run" in text
    assert f"run-{runs[0].id}" in text
    assert f"run-{runs[2].id}" not in text
    assert "team:a" in text
    assert Run.objects.get(id=runs[0].id).status == Status.QUEUED
    assert f"{action.id}/start" not in page(viewer, f"{url}/{action.id}")

    member.post(f"{url}/{action.id}/start")
    running = page(viewer, f"{url}/{action.id}/live")
    assert 'data-live="runs"' in running
    assert "Running" in running
    work(action)
    text = page(viewer, f"{url}/{action.id}")
    assert "Completed" in text
    assert '<progress class="wide" max="100" value="100"' in text
    assert Run.objects.get(id=runs[0].id).status == Status.CANCELLED
    assert Run.objects.get(id=runs[3].id).status == Status.QUEUED
    assert "Cancel 1 run" in page(viewer, url)
    told = AuditEntry.objects.filter(tenant_id=tenant.id, resource_kind="bulk_action")
    assert {"bulk_action.create", "bulk_action.start"} <= set(told.values_list("action", flat=True))


def test_one_is_stopped_and_goes_on(
    member: Client, tenant: Tenant, url: str, runs: list[Run]
) -> None:
    action = factories.make_bulk_action(tenant)
    member.post(f"{url}/{action.id}/start")
    member.post(f"{url}/{action.id}/stop")
    text = page(member, f"{url}/{action.id}")
    assert "Stopped" in text
    again = member.post(f"{url}/{action.id}/stop", follow=True).content.decode()
    assert "Nothing was changed: only what is staged or running can be stopped." in again
    member.post(f"{url}/{action.id}/start")
    work(action)
    assert Run.objects.get(id=runs[2].id).status == Status.CANCELLED


def test_one_that_failed_says_why(viewer: Client, tenant: Tenant, url: str) -> None:
    action = factories.make_bulk_action(tenant)
    now = datetime.now(UTC)
    sync_db.run(change_bulk_actions.start_bulk_action(tenant.id, action.id, now))
    sync_db.run(fail_bulk_action(action.id, "<the reason>", now))
    assert "<the reason>" in page(viewer, f"{url}/{action.id}")
    assert b"<the reason>" not in viewer.get(f"{url}/{action.id}").content


def test_too_many_are_refused(
    member: Client, tenant: Tenant, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_bulk_actions, "MOST_OPEN", 1)
    factories.make_bulk_action(tenant)
    answer = member.post(f"{url}/new", {"action": "replay"})
    assert "1 bulk actions are staged or running" in answer.content.decode()
    assert BulkAction.objects.filter(tenant_id=tenant.id).count() == 1


@pytest.mark.parametrize(
    "given", [{}, {"action": "delete"}, {"action": "replay", "meta": "no-pair"}]
)
def test_what_makes_no_sense_stages_nothing(
    member: Client, tenant: Tenant, url: str, given: dict[str, str]
) -> None:
    assert member.post(f"{url}/new", given).status_code == 200
    assert not BulkAction.objects.filter(tenant_id=tenant.id).exists()


def test_a_foreign_workflow_of_a_filter_is_not_named(
    viewer: Client, tenant: Tenant, url: str
) -> None:
    foreign = factories.make_version(factories.make_tenant("Elsewhere"), "their-secret")
    action = factories.make_bulk_action(tenant)
    BulkAction.objects.filter(id=action.id).update(workflow_ids=[foreign.workflow_id])
    assert "their-secret" not in page(viewer, f"{url}/{action.id}")


def test_a_foreign_one_is_not_there(owner: Client, url: str) -> None:
    theirs = factories.make_bulk_action(factories.make_tenant("Elsewhere"))
    for path, ask in (
        ("", owner.get),
        ("/live", owner.get),
        ("/start", owner.post),
        ("/stop", owner.post),
    ):
        assert ask(f"{url}/{theirs.id}{path}").status_code == 404
    theirs.refresh_from_db()
    assert theirs.state == BulkState.STAGED
