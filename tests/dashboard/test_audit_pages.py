"""The audit log's pages, and what the dashboard's own actions write into it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from engine.states import Status
from tenants.audit.models import AuditEntry
from tenants.models import APIToken, Tenant
from tests.dashboard import factories


@pytest.fixture
def path(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/audit"


def told() -> list[AuditEntry]:
    return list(AuditEntry.objects.exclude(action="user.sign_in").order_by("id"))


class TestTheList:
    def test_an_empty_one_says_what_will_be_there(self, owner: Client, path: str) -> None:
        assert "Nothing was changed yet" in owner.get(path).content.decode()

    def test_it_shows_who_did_what_to_what(self, owner: Client, tenant: Tenant, path: str) -> None:
        entry = factories.make_audit_entry(
            tenant, resource_name="nightly", address="192.0.2.1", actor_kind="token"
        )
        page = owner.get(path).content.decode()
        for text in ("cron.update", "nightly", "ann@example.org", "192.0.2.1", "token"):
            assert text in page
        assert f'href="{path}/{entry.id}"' in page

    def test_only_admins_find_it_in_the_navigation(
        self, owner: Client, member: Client, tenant: Tenant, path: str
    ) -> None:
        runs = f"/t/{tenant.slug}/runs"
        assert f'href="{path}"' in owner.get(runs).content.decode()
        assert f'href="{path}"' not in member.get(runs).content.decode()

    def test_it_can_be_narrowed(self, owner: Client, tenant: Tenant, path: str) -> None:
        factories.make_audit_entry(tenant, "cron.delete", resource_name="nightly")
        factories.make_audit_entry(tenant, "webhook.create", resource_id="7")
        old = datetime.now(UTC) - timedelta(days=3)
        factories.make_audit_entry(tenant, "filter.create", at=old)

        def shown(query: str) -> set[str]:
            page = owner.get(f"{path}?{query}").content.decode()
            return {
                action
                for action in ("cron.delete", "webhook.create", "filter.create")
                if f"<b>{action}</b>" in page
            }

        assert shown("action=cron.*") == {"cron.delete"}
        assert shown("resource=webhook:7") == {"webhook.create"}
        assert shown("search=NIGHT") == {"cron.delete"}
        assert shown("window=1d") == {"cron.delete", "webhook.create"}
        assert shown("actor=nobody") == set()
        assert "None matches these filters" in owner.get(f"{path}?actor=nobody").content.decode()

    @pytest.mark.parametrize(
        "query",
        ["window=x", "before=x", "before=99999999999999999999999", "search=%00", "before=%C2%B2"],
    )
    def test_nonsense_in_the_address_is_let_pass(
        self, query: str, owner: Client, tenant: Tenant, path: str
    ) -> None:
        factories.make_audit_entry(tenant)
        assert "cron.update" in owner.get(f"{path}?{query}").content.decode()

    def test_it_goes_on_to_older_entries(
        self, owner: Client, tenant: Tenant, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dashboard.views.audit.PAGE_SIZE", 2)
        made = [factories.make_audit_entry(tenant) for _ in range(3)]
        first = owner.get(f"{path}?action=cron.*").content.decode()
        older = f"action=cron.%2A&amp;before={made[1].id}"
        assert older in first
        second = owner.get(f"{path}?action=cron.*&before={made[1].id}").content.decode()
        assert f'id="audit-{made[0].id}"' in second
        assert f'id="audit-{made[1].id}"' not in second
        assert "Newest" in second

    def test_what_is_exported_is_what_is_shown(
        self, owner: Client, tenant: Tenant, path: str
    ) -> None:
        page = owner.get(f"{path}?action=cron.*").content.decode()
        for end in ("", ".csv"):
            export = f"/api/v1/tenants/{tenant.id}/audit/export{end}?action=cron.%2A"
            assert f'href="{export}"' in page
            answer: Any = owner.get(export)
            assert answer.status_code == 200
            assert answer.getvalue() is not None


class TestAnEntry:
    def test_it_shows_what_was_before_and_after(
        self, owner: Client, tenant: Tenant, path: str
    ) -> None:
        cron = uuid4()
        entry = factories.make_audit_entry(
            tenant,
            resource_id=str(cron),
            before={"expression": "0 1 * * *", "is_enabled": True},
            after={"expression": "<script>", "is_enabled": False},
            user_agent="Browser/1",
        )
        page = owner.get(f"{path}/{entry.id}").content.decode()
        for text in ("0 1 * * *", "&lt;script&gt;", ">yes<", ">no<", "Browser/1"):
            assert text in page
        assert f'href="/t/{tenant.slug}/crons/{cron}"' in page
        assert f"resource=cron%3A{cron}" in page

    def test_what_is_gone_has_no_link(self, owner: Client, tenant: Tenant, path: str) -> None:
        cron = str(uuid4())
        entry = factories.make_audit_entry(tenant, "cron.delete", resource_id=cron)
        page = owner.get(f"{path}/{entry.id}").content.decode()
        assert f"/crons/{cron}" not in page

    @pytest.mark.parametrize("kind", ["run", "schedule", "filter", "webhook", "worker", "workflow"])
    def test_what_cannot_be_an_id_makes_no_link(
        self, kind: str, owner: Client, tenant: Tenant, path: str
    ) -> None:
        entry = factories.make_audit_entry(tenant, f"{kind}.update", resource_id="7")
        assert owner.get(f"{path}/{entry.id}").status_code == 200

    def test_an_unknown_one_is_not_found(self, owner: Client, path: str) -> None:
        assert owner.get(f"{path}/1").status_code == 404
        assert owner.get(f"{path}/{2**70}").status_code == 404


class TestWhatPagesWrite:
    def test_a_token_that_is_made_and_revoked(self, owner: Client, tenant: Tenant) -> None:
        tokens = f"/t/{tenant.slug}/tokens"
        owner.post(tokens, {"name": "ci", "lifetime": "30"})
        token = APIToken.objects.get(name="ci")
        owner.get(f"{tokens}/{token.id}/revoke")
        owner.post(f"{tokens}/{token.id}/revoke")
        created, revoked = told()
        assert (created.action, created.resource_name) == ("token.create", "ci")
        assert (revoked.action, revoked.resource_id) == ("token.revoke", str(token.id))
        assert revoked.before == {"revoked_at": None}
        assert revoked.actor_name.endswith("@example.org")

    def test_a_form_that_is_refused_writes_nothing(self, owner: Client, tenant: Tenant) -> None:
        owner.post(f"/t/{tenant.slug}/tokens", {"name": "", "lifetime": "30"})
        assert told() == []

    def test_a_cron_that_is_switched_and_deleted(self, owner: Client, tenant: Tenant) -> None:
        cron = factories.make_cron(factories.make_version(tenant))
        owner.post(f"/t/{tenant.slug}/crons/{cron.id}/switch", {"enabled": "no"})
        owner.post(f"/t/{tenant.slug}/crons/{cron.id}/switch", {"enabled": "no"})
        owner.post(f"/t/{tenant.slug}/crons/{cron.id}/delete")
        switched, deleted = told()
        assert (switched.before, switched.after) == ({"is_enabled": True}, {"is_enabled": False})
        assert (deleted.action, deleted.resource_name) == ("cron.delete", "nightly")

    def test_a_run_that_is_cancelled_and_not_one_that_has_ended(
        self, owner: Client, tenant: Tenant
    ) -> None:
        version = factories.make_version(tenant)
        going = factories.make_run(version, Status.QUEUED)
        ended = factories.make_run(version, Status.COMPLETED)
        for run in (going, ended):
            owner.post(f"/t/{tenant.slug}/runs/{run.id}/cancel")
        [entry] = told()
        assert (entry.action, entry.resource_id) == ("run.cancel", str(going.id))
        assert entry.tenant_id == tenant.id

    def test_a_paused_workflow_and_worker(self, owner: Client, tenant: Tenant) -> None:
        version = factories.make_version(tenant)
        worker = factories.make_worker(tenant)
        page = f"/t/{tenant.slug}/workflows/{version.workflow_id}"
        owner.post(f"{page}/pause", {"cron": "DROP", "scheduled": "DROP", "ttl": "1h"})
        owner.post(f"{page}/resume")
        owner.post(f"/t/{tenant.slug}/workers/{worker.id}/pause")
        actions = [(one.action, one.resource_name) for one in told()]
        assert actions == [
            ("workflow.pause", "greet"),
            ("workflow.resume", "greet"),
            ("worker.update", "worker-1"),
        ]

    def test_trying_a_filter_out_writes_nothing(self, owner: Client, tenant: Tenant) -> None:
        version = factories.make_version(tenant)
        form = {"workflow": str(version.workflow_id), "scope": "eu", "expression": "true"}
        owner.post(f"/t/{tenant.slug}/filters/new", form | {"try": "1"})
        assert told() == []
        owner.post(f"/t/{tenant.slug}/filters/new", form)
        assert [one.action for one in told()] == ["filter.create"]
