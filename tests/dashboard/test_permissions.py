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
    Event,
    Filter,
    RateLimit,
    Run,
    Schedule,
    Task,
    Worker,
    Workflow,
)
from tenants.models import APIToken, AuditEntry, Member, Role, Tenant, TenantInvite, User
from tenants.tokens import create_token
from tests.dashboard import factories
from tests.dashboard.alert_routes import ALERT_POSTS, ALERT_ROUTES
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

READ, WRITE, ADMIN, OWNER = LADDER = (Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER)

ROUTES: dict[str, tuple[str, Role]] = {
    "tenant": ("", READ),
    "runs": ("runs", READ),
    "runs_live": ("runs/live", READ),
    "run": ("runs/{run}", READ),
    "run_live": ("runs/{run}/live", READ),
    "run_log": ("runs/{run}/log.txt", READ),
    "run_payload": ("runs/{run}/input/{run}", READ),
    "run_task_reset": ("runs/{run}/tasks/{run}/reset?step=1.1", WRITE),
    "trigger": ("trigger", WRITE),
    "bulk_actions": ("bulk-actions", READ),
    "bulk_actions_live": ("bulk-actions/live", READ),
    "bulk_action_new": ("bulk-actions/new", WRITE),
    "bulk_action": ("bulk-actions/{action}", READ),
    "bulk_action_live": ("bulk-actions/{action}/live", READ),
    "workflows": ("workflows", READ),
    "workflows_live": ("workflows/live", READ),
    "workflow": ("workflows/{workflow}", READ),
    "workflow_live": ("workflows/{workflow}/live", READ),
    "workflow_delete": ("workflows/{workflow}/delete", WRITE),
    "logs": ("logs", READ),
    "logs_live": ("logs/live", READ),
    "rate_limits": ("rate-limits", READ),
    "rate_limits_live": ("rate-limits/live", READ),
    "rate_limit_delete": ("rate-limits/delete?key=api", WRITE),
    "workers": ("workers", READ),
    "workers_live": ("workers/live", READ),
    "worker": ("workers/{worker}", READ),
    "worker_live": ("workers/{worker}/live", READ),
    "workflow_pause": ("workflows/{workflow}/pause", WRITE),
    "crons": ("crons", READ),
    "crons_live": ("crons/live", READ),
    "cron_new": ("crons/new?workflow={workflow}", WRITE),
    "cron_preview": ("crons/preview?expression=0+8+*+*+*", READ),
    "cron": ("crons/{cron}", READ),
    "cron_input": ("crons/{cron}/input.json", READ),
    "cron_delete": ("crons/{cron}/delete", WRITE),
    "schedules": ("scheduled", READ),
    "schedules_live": ("scheduled/live", READ),
    "schedule_new": ("scheduled/new?workflow={workflow}", WRITE),
    "schedule": ("scheduled/{schedule}", READ),
    "schedule_input": ("scheduled/{schedule}/input.json", READ),
    "events": ("events", READ),
    "events_live": ("events/live", READ),
    "event_push": ("events/push", WRITE),
    "event": ("events/{event}", READ),
    "event_live": ("events/{event}/live", READ),
    "event_payload": ("events/{event}/payload.json", READ),
    "filters": ("filters", READ),
    "filter_new": ("filters/new?workflow={workflow}", WRITE),
    "filter": ("filters/{filter}", READ),
    "filter_delete": ("filters/{filter}/delete", WRITE),
    "webhooks": ("webhooks", READ),
    "webhooks_live": ("webhooks/live", READ),
    "webhook_new": ("webhooks/new?source=GITHUB", WRITE),
    "webhook": ("webhooks/{webhook}", READ),
    "webhook_live": ("webhooks/{webhook}/live", READ),
    "webhook_delete": ("webhooks/{webhook}/delete", WRITE),
    "webhook_delivery": ("deliveries/{delivery}", READ),
    "webhook_delivery_live": ("deliveries/{delivery}/live", READ),
    "webhook_endpoints": ("webhook-endpoints", READ),
    "webhook_endpoints_live": ("webhook-endpoints/live", READ),
    "webhook_endpoint_new": ("webhook-endpoints/new", ADMIN),
    "webhook_endpoint": ("webhook-endpoints/{endpoint}", READ),
    "webhook_endpoint_live": ("webhook-endpoints/{endpoint}/live", READ),
    "webhook_endpoint_delete": ("webhook-endpoints/{endpoint}/delete", ADMIN),
    "webhook_message": ("webhook-endpoints/{endpoint}/messages/{sent}", READ),
    "webhook_message_live": ("webhook-endpoints/{endpoint}/messages/{sent}/live", READ),
    **ALERT_ROUTES,
    "members": ("members", ADMIN),
    "members_live": ("members/live", ADMIN),
    "member": ("members/{member}", ADMIN),
    "member_remove": ("members/{member}/remove", OWNER),
    "invite_new": ("invites/new", ADMIN),
    "invite_renew": ("invites/{invite}/renew", ADMIN),
    "invite_revoke": ("invites/{invite}/revoke", ADMIN),
    "settings": ("settings", READ),
    "settings_usage": ("settings/usage", READ),
    "settings_leave": ("settings/leave", READ),
    "settings_delete": ("settings/delete", OWNER),
    "tokens": ("tokens", ADMIN),
    "token_rotate": ("tokens/{token}/rotate", ADMIN),
    "token_revoke": ("tokens/{token}/revoke", ADMIN),
    "audit": ("audit", ADMIN),
    "audit_entry": ("audit/{entry}", ADMIN),
}
POSTS: dict[str, tuple[str, Role]] = {
    "run_cancel": ("runs/{run}/cancel", WRITE),
    "run_replay": ("runs/{run}/replay", WRITE),
    "run_task_restore": ("runs/{run}/tasks/{run}/restore", WRITE),
    "run_task_reset": ("runs/{run}/tasks/{run}/reset?step=1.1", WRITE),
    "worker_pause": ("workers/{worker}/pause", WRITE),
    "trigger": ("trigger", WRITE),
    "bulk_action_new": ("bulk-actions/new", WRITE),
    "bulk_action_start": ("bulk-actions/{action}/start", WRITE),
    "bulk_action_stop": ("bulk-actions/{action}/stop", WRITE),
    "workflow_delete": ("workflows/{workflow}/delete", WRITE),
    "workflow_pause": ("workflows/{workflow}/pause", WRITE),
    "workflow_resume": ("workflows/{workflow}/resume", WRITE),
    "cron_new": ("crons/new", WRITE),
    "cron_switch": ("crons/{cron}/switch", WRITE),
    "cron_missed": ("crons/{cron}/missed", WRITE),
    "cron_run": ("crons/{cron}/run", WRITE),
    "cron_delete": ("crons/{cron}/delete", WRITE),
    "schedule_new": ("scheduled/new", WRITE),
    "schedule_move": ("scheduled/{schedule}/move", WRITE),
    "schedule_run": ("scheduled/{schedule}/run", WRITE),
    "schedules_move": ("scheduled/move", WRITE),
    "schedules_delete": ("scheduled/delete", WRITE),
    "event_push": ("events/push", WRITE),
    "event_replay": ("events/{event}/replay", WRITE),
    "filter_new": ("filters/new", WRITE),
    "filter_change": ("filters/{filter}/change", WRITE),
    "rate_limit_delete": ("rate-limits/delete", WRITE),
    "filter_delete": ("filters/{filter}/delete", WRITE),
    "webhook_new": ("webhooks/new", WRITE),
    "webhook_change": ("webhooks/{webhook}/change", WRITE),
    "webhook_delete": ("webhooks/{webhook}/delete", WRITE),
    "webhook_redeliver": ("deliveries/{delivery}/redeliver", WRITE),
    "webhook_test": ("webhooks/{webhook}/test", WRITE),
    "webhook_endpoint_new": ("webhook-endpoints/new", ADMIN),
    "webhook_endpoint_change": ("webhook-endpoints/{endpoint}/change", ADMIN),
    "webhook_endpoint_pause": ("webhook-endpoints/{endpoint}/pause", ADMIN),
    "webhook_endpoint_rotate": ("webhook-endpoints/{endpoint}/rotate", ADMIN),
    "webhook_endpoint_test": ("webhook-endpoints/{endpoint}/test", WRITE),
    "webhook_endpoint_again": ("webhook-endpoints/{endpoint}/again", WRITE),
    "webhook_endpoint_delete": ("webhook-endpoints/{endpoint}/delete", ADMIN),
    "webhook_message_again": ("webhook-endpoints/{endpoint}/messages/{sent}/again", WRITE),
    **ALERT_POSTS,
    "member": ("members/{member}", ADMIN),
    "member_remove": ("members/{member}/remove", OWNER),
    "invite_new": ("invites/new", ADMIN),
    "invite_renew": ("invites/{invite}/renew", ADMIN),
    "invite_revoke": ("invites/{invite}/revoke", ADMIN),
    "settings_rename": ("settings/rename", WRITE),
    "settings_retain": ("settings/usage/retain", ADMIN),
    "settings_leave": ("settings/leave", READ),
    "settings_archive": ("settings/archive", OWNER),
    "settings_delete": ("settings/delete", OWNER),
    "tokens": ("tokens", ADMIN),
    "token_rotate": ("tokens/{token}/rotate", ADMIN),
    "token_revoke": ("tokens/{token}/revoke", ADMIN),
}
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
