"""Who may enter which page: every route of the dashboard, as each of the cast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.urls import urlpatterns
from engine.models import (
    BulkAction,
    Cron,
    ErrorGroup,
    Event,
    Filter,
    RateLimit,
    Run,
    Schedule,
    Task,
    Worker,
    Workflow,
)
from engine.states import ErrorState
from tenants.models import APIToken, AuditEntry, Member, Role, Tenant, TenantInvite, User
from tenants.tokens import create_token
from tests.dashboard import factories, failed
from tests.dashboard.page_routes import LADDER, POSTS, ROUTES
from tests.tenant_rows import rows_of
from tests.webhooks import alerting
from webhooks.models import (
    Alert,
    AlertChannel,
    AlertNotification,
    AlertRule,
    Delivery,
    Dispatch,
    Webhook,
)

OUTSIDE_TENANTS = {one.name for one in urlpatterns if not str(one.pattern).startswith("t/")} | {
    "live"
}
"""Of people, not of tenants; and the address of sockets, which is no page."""
GIVEN = {
    "bulk_action_new": {"action": "cancel"},
    "member": {"role": "ADMIN", "payloads": "yes"},
    "invite_new": {"email": "somebody@example.org", "role": "VIEWER"},
    "settings_rename": {"name": "Another"},
    "settings_retain": {"kind": "runs", "period": "48h"},
    "settings_archive": {"archived": "yes"},
}
"""What would change something, if it were allowed."""
OF_ARCHIVED = {
    *("settings_archive", "settings_delete", "settings_leave"),
    *("invite_revoke", "member", "member_remove", "token_revoke"),
}


@dataclass
class World:
    tenant: Tenant
    run: Run
    worker: Worker
    token: APIToken
    cron: Cron
    schedule: Schedule
    event: Event
    filter: Filter
    webhook: Webhook
    delivery: Delivery
    sent: Dispatch
    member: Member
    invite: TenantInvite
    entry: AuditEntry
    alert: Alert
    channel: AlertChannel
    action: BulkAction
    error: ErrorGroup

    def url(self, path: str) -> str:
        ids = {
            "run": self.run.id,
            "workflow": self.run.workflow_id,
            "worker": self.worker.id,
            "token": self.token.id,
            "cron": self.cron.id,
            "schedule": self.schedule.id,
            "event": self.event.id,
            "filter": self.filter.id,
            "webhook": self.webhook.id,
            "delivery": self.delivery.id,
            "endpoint": self.sent.endpoint_id,
            "sent": self.sent.id,
            "member": self.member.id,
            "invite": self.invite.id,
            "entry": self.entry.id,
            "alert": self.alert.id,
            "rule": self.alert.rule_id,
            "channel": self.channel.id,
            "action": self.action.id,
            "error": self.error.id,
        }
        return f"/t/{self.tenant.slug}/{path.format(**ids)}"


@pytest.fixture
def world(tenant: Tenant) -> World:
    version = factories.make_version(tenant)
    factories.make_rate_limit(tenant, "api")
    token, _ = create_token(tenant, "ci")
    run = factories.make_run(version)
    factories.add_durable_step(Task.objects.get(id=run.id))
    webhook = factories.make_webhook(tenant)
    return World(
        tenant,
        run,
        factories.make_worker(tenant),
        token,
        factories.make_cron(version),
        factories.make_schedule(version),
        factories.push_event(tenant),
        factories.make_filter(version),
        webhook,
        factories.deliver(webhook, b"not JSON"),
        factories.send_test(factories.make_endpoint(tenant)),
        Member.objects.get(user=factories.make_member(tenant, Role.VIEWER)),
        factories.make_invite(tenant)[0],
        factories.make_audit_entry(tenant),
        alerting.open_alert(tenant),
        alerting.make_channel(tenant),
        factories.make_bulk_action(tenant),
        failed.add_failure(Task.objects.get(id=run.id)),
    )


@pytest.fixture
def cast(tenant: Tenant, sign_in: Callable[[User], Client]) -> dict[Role, Client]:
    return {role: sign_in(factories.make_member(tenant, role)) for role in LADDER}


def below(role: Role) -> tuple[Role, ...]:
    return LADDER[: LADDER.index(role)]


def test_every_route_is_in_one_of_the_tables() -> None:
    names = {pattern.name for pattern in urlpatterns}
    assert names == set(ROUTES) | set(POSTS) | OUTSIDE_TENANTS


@pytest.mark.parametrize("name", ROUTES)
def test_pages_open_to_those_whose_role_allows(
    name: str, world: World, cast: dict[Role, Client]
) -> None:
    path, needs = ROUTES[name]
    for role, browser in cast.items():
        expected = 403 if role in below(needs) else 200
        assert browser.get(world.url(path)).status_code == expected, role


@pytest.mark.parametrize("name", ROUTES)
def test_strangers_see_as_little_as_of_a_tenant_that_does_not_exist(
    name: str, world: World, stranger: Client
) -> None:
    url = world.url(ROUTES[name][0])
    assert stranger.get(url).status_code == 404
    missing = stranger.get(url.replace(world.tenant.slug, "no-such-tenant"))
    assert missing.status_code == 404
    assert world.tenant.name not in missing.content.decode()


@pytest.mark.parametrize("name", ROUTES)
def test_the_anonymous_are_asked_to_sign_in(name: str, world: World, anonymous: Client) -> None:
    url = world.url(ROUTES[name][0])
    answer = anonymous.get(url)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=/t/")
    fragment = anonymous.get(url, headers={"HX-Request": "true"})
    assert fragment.status_code == 401
    assert fragment["HX-Refresh"] == "true"


@pytest.mark.parametrize("name", POSTS)
def test_too_low_a_role_strangers_and_the_anonymous_change_nothing(
    name: str, world: World, cast: dict[Role, Client], stranger: Client, anonymous: Client
) -> None:
    path, needs = POSTS[name]
    url = world.url(path)
    for role in below(needs):
        assert cast[role].post(url, GIVEN.get(name)).status_code == 403, role
    assert stranger.post(url).status_code == 404
    assert anonymous.post(url).status_code == 302
    world.token.refresh_from_db()
    world.worker.refresh_from_db()
    assert (world.token.revoked_at, world.token.replaced_by_id) == (None, None)
    assert not world.worker.is_paused
    assert Cron.objects.get(id=world.cron.id).is_enabled
    assert Schedule.objects.get(id=world.schedule.id).trigger_at == world.schedule.trigger_at
    assert Filter.objects.filter(tenant=world.tenant).count() == 1
    assert RateLimit.objects.filter(tenant_id=world.tenant.id).count() == 1
    assert Event.objects.filter(tenant_id=world.tenant.id).count() == 1
    assert Webhook.objects.get(tenant=world.tenant).updated_at == world.webhook.updated_at
    assert Delivery.objects.filter(tenant_id=world.tenant.id).count() == 1
    assert Run.objects.get(tenant_id=world.tenant.id).status == world.run.status
    workflow = Workflow.objects.get(id=world.run.workflow_id)
    assert (workflow.deleted_at, workflow.is_paused) == (None, False)
    assert Member.objects.filter(tenant=world.tenant).count() == 1 + len(LADDER)
    assert Member.objects.get(id=world.member.id).role == Role.VIEWER
    [invite] = TenantInvite.objects.filter(tenant=world.tenant)
    assert invite.link_digest == world.invite.link_digest
    alert = Alert.objects.get(id=world.alert.id)
    assert (alert.acknowledged_at, alert.silenced_until) == (None, None)
    assert [rule.name for rule in AlertRule.objects.filter(tenant=world.tenant)] == ["A rule"]
    [channel] = AlertChannel.objects.filter(tenant=world.tenant)
    assert channel.updated_at == world.channel.updated_at
    assert not AlertNotification.objects.exists()
    error = ErrorGroup.objects.get(tenant_id=world.tenant.id)
    assert (error.state, error.assignee_id) == (ErrorState.OPEN, None)
    assert BulkAction.objects.filter(tenant_id=world.tenant.id).count() == 1
    kept = Tenant.objects.get(id=world.tenant.id)
    assert (kept.name, kept.archived_at) == (world.tenant.name, None)


@pytest.mark.parametrize("name", POSTS)
def test_what_an_archived_tenant_has_is_seen_and_not_changed(
    name: str, world: World, owner: Client
) -> None:
    Tenant.objects.filter(id=world.tenant.id).update(archived_at=timezone.now())
    path = POSTS[name][0]
    if name in ROUTES:
        assert owner.get(world.url(ROUTES[name][0])).status_code == 200
    answer = owner.post(world.url(path), GIVEN.get(name))
    assert (answer.status_code == 409) == (name not in OF_ARCHIVED)


@pytest.mark.parametrize("name", [name for name in POSTS if name not in ROUTES])
def test_writes_need_a_post(name: str, world: World, owner: Client) -> None:
    assert owner.get(world.url(POSTS[name][0])).status_code == 405


@pytest.mark.parametrize("name", POSTS)
def test_writes_need_a_csrf_token(name: str, world: World, tenant: Tenant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.make_member(tenant, Role.OWNER))
    assert client.post(world.url(POSTS[name][0])).status_code == 403


FOREIGN_IDS = [path for path, _ in ROUTES.values() if "{" in path]


@pytest.mark.parametrize("path", [*FOREIGN_IDS, "trigger?workflow={workflow}"])
def test_ids_of_another_tenant_are_as_good_as_unknown(
    path: str, world: World, sign_in: Callable[[User], Client]
) -> None:
    other = factories.make_tenant("Elsewhere")
    elsewhere = sign_in(factories.make_member(other, Role.OWNER))
    url = world.url(path).replace(world.tenant.slug, other.slug)
    assert elsewhere.get(url).status_code == 404


@pytest.mark.parametrize("path", [path for path, _ in POSTS.values() if "{" in path])
def test_nothing_of_another_tenant_can_be_changed(
    path: str, world: World, sign_in: Callable[[User], Client]
) -> None:
    other = factories.make_tenant("Elsewhere")
    elsewhere = sign_in(factories.make_member(other, Role.OWNER))
    url = world.url(path).replace(world.tenant.slug, other.slug)
    before = rows_of(world.tenant.id)
    assert elsewhere.post(url).status_code == 404
    assert rows_of(world.tenant.id) == before


def test_a_task_of_another_run_is_no_owner_of_a_payload(world: World, owner: Client) -> None:
    other = factories.make_run(factories.make_version(world.tenant, "other"))
    task = Task.objects.get(id=other.id)
    assert owner.get(world.url(f"runs/{{run}}/output/{task.id}")).status_code == 404
    assert owner.get(world.url(f"runs/{{run}}/input/{task.id}")).status_code == 404
    assert owner.get(world.url("runs/{run}/secrets/{run}")).status_code == 404
