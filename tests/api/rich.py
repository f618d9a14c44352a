"""A tenant with one of everything a path can name, beside the `world` of runs."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from engine.domain.definition import DefaultFilter
from engine.domain.durable.calls import WaitCall
from engine.models import Cron, Filter
from tenants.models import Member
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.factories import (
    begin,
    failed_error,
    make_outbox_row,
    make_workflow,
    now,
    schedule_greet,
    start_run,
    tasks_of,
)
from tests.api.test_durable_tasks import call, event, evict, sleep, start_durable
from tests.api.test_rate_limits import make as make_rate_limit
from tests.cast import Cast
from tests.tenants.people import invite
from tests.webhooks import alerting
from webhooks.changes import NewWebhook, create_webhook
from webhooks.credentials import Credentials
from webhooks.models import AuthType

KEY = "a secret"


def make_rich(cast: Cast, world: dict[str, str]) -> dict[str, str]:
    """Return ids by what they are of; `unknown` is nobody's."""
    rich = make_workflow(
        cast.tenant,
        "nightly",
        cron_triggers=("0 3 * * *",),
        default_filters=(DefaultFilter("true", "eu"),),
    )
    make_rate_limit(cast, "api", paused_until=now() + timedelta(hours=1))
    durable = start_waiting(cast)
    endpoint, message = make_endpoint(cast)
    schedules = ("schedule", "spare", "schedule_to_run", "schedule_to_delete")
    return world | {
        "tenant": str(cast.tenant.id),
        "nightly": str(rich.workflow_id),
        "step": str(tasks_of(start_run(cast.tenant))[0].step_id),
        "durable": durable,
        "cron": str(Cron.objects.get(tenant=cast.tenant).id),
        "filter": str(Filter.objects.get(tenant=cast.tenant).id),
        "api_token": str(create_token(cast.tenant, "to be revoked")[0].id),
        "member": str(Member.objects.get(user=cast.viewer).id),
        "other_member": str(Member.objects.get(user=cast.member).id),
        "webhook": make_webhook(cast, "orders"),
        "delivery": delivered(cast, make_webhook(cast, "open")),
        "endpoint": endpoint,
        "invite": str(invite(cast.owner, cast.tenant, "invited@acme.test").invite.id),
        "message": message,
        "row": str(make_outbox_row(cast.tenant).id),
        "error": str(failed_error(cast.tenant)),
        "unknown": str(uuid4()),
        **alerting.make_one_of_each(cast.tenant),
        **{name: str(schedule_greet(cast.tenant)) for name in schedules},
    }


def start_waiting(cast: Cast) -> str:
    """A durable task that was evicted while it waits for an hour, or an event."""
    run, task = start_durable(cast)
    call(task, WaitCall((sleep("1h"), event("go")), "for a while"))
    evict(task)
    running = start_run(cast.tenant)
    begin(tasks_of(running)[0])
    return str(run.id)


def make_webhook(cast: Cast, name: str) -> str:
    credentials = Credentials(auth_type=AuthType.API_KEY, secret=KEY, header_name="X-Key")
    new = NewWebhook(
        name=name, source_name="GENERIC", event_key_expression="'made'", credentials=credentials
    )
    return create_webhook(cast.tenant.id, new, now()).name


def delivered(cast: Cast, name: str) -> str:
    """Send something to a webhook; return the delivery's id."""
    stable = f"/api/v1/stable/tenants/{cast.tenant.id}"
    sent = ApiClient().post(f"{stable}/webhooks/{name}", {"n": 1}, **{"X-Key": KEY})
    assert sent.status == 200, sent.content
    owner = ApiClient(user=cast.owner)
    (delivery,) = owner.get(f"{stable}/webhook-deliveries").json["rows"]
    return str(delivery["metadata"]["id"])


def make_endpoint(cast: Cast) -> tuple[str, str]:
    """An endpoint of outgoing webhooks and a message to it."""
    owner = ApiClient(user=cast.owner)
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/webhook-endpoints"
    new = {"url": "https://example.com/a", "kinds": ["run.failed"]}
    endpoint = owner.post(path, new).json["metadata"]["id"]
    return endpoint, owner.post(f"{path}/{endpoint}/test").json["messageId"]
