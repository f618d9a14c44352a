"""Everything that a tenant had is removed once it is deleted, and nothing that another one has."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection

from engine.domain.definition import Concurrency, DefaultFilter, Idempotency
from engine.domain.durable.calls import SpawnCall, WaitCall
from engine.ids import new_id
from engine.models import OutboxKey, SqlRole, TenantKey
from engine.operations.app_tables import of_events, of_tenants
from engine.operations.purge_tenants import KEPT, purge_tenants
from engine.operations.record_spans import record_spans
from engine.otlp.intake import Intake
from engine.otlp.spans import SpanReader
from engine.states import ConcurrencyStrategy
from engine.store import sync_db
from engine.store.query import statements
from engine.tracing_config import TracingConfig
from engine.types import TriggerRequest
from tenants.access import access_of_user
from tenants.models import ResourceLimit, RetentionPeriod, Tenant, User
from tenants.people.tenants import delete_tenant
from tests.api.client import ApiClient
from tests.api.factories import (
    complete,
    failed_error,
    make_outbox_row,
    make_worker,
    make_workflow,
    now,
    push_event,
    schedule_greet,
    stage_cancelling,
    start_run,
    step,
    tasks_of,
)
from tests.api.test_durable_tasks import call, event, sleep, start_durable
from tests.api.test_rate_limits import make as make_rate_limit
from tests.cast import Cast
from tests.operations.counted import begin_counting, count_on
from tests.otlp import request, span
from tests.tenants.people import invite
from tests.webhooks import alerting
from webhooks.models import Dispatch, DispatchState, Endpoint, Message, Occurrence

NOBODYS = {"engine_engineprocess", "engine_figuresposition", "engine_payloadstore"}
"""Of the engines' tables, those that say nothing of any tenant."""
WITH_ANOTHER = {"webhooks_delivery"}
"""Those that refer to what is deleted with the tenant."""


def tables() -> list[str]:
    """Ours, but for what is noted of browsers, and the audit log, which outlives its tenants."""
    ours = re.compile(r"(engine|tenants|webhooks)_(?!browsersession|auditentry)\w+")
    with connection.cursor() as cursor:
        found = connection.introspection.table_names(cursor)
    return [name for name in found if ours.fullmatch(name)]


def counts() -> dict[str, int]:
    with connection.cursor() as cursor:
        found = {}
        for table in tables():
            cursor.execute(f"SELECT count(*) FROM {table}")
            found[table] = cursor.fetchone()[0]
    return found


def fill(cast: Cast, tenant: Tenant, owner: User) -> None:
    """Have a tenant do a little of everything."""
    begin_counting()
    make_workflow(
        tenant,
        "greet",
        step("greet"),
        event_triggers=("order:*",),
        cron_triggers=("0 4 * * *",),
        default_filters=(DefaultFilter("input.missing.more", "eu"),),
        idempotency=Idempotency("input.order", 60_000_000),
    )
    make_workflow(
        tenant,
        "dag",
        step("one"),
        step("two", "one"),
        concurrency=(Concurrency("input.k", 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN),),
    )
    make_worker(tenant)
    schedule_greet(tenant)
    complete(tasks_of(start_run(tenant, value={"order": "a"}))[0], {})
    graph = start_run(tenant, "dag", {"k": "a"})
    complete(tasks_of(graph)[0], {"n": 1})
    parent = tasks_of(graph)[0].id
    start_run(tenant, value={"order": "c"}, parent_task_id=parent, child_index=0, child_key="k")
    push_event(tenant, "order:paid", {"order": "b"}, scope="eu")
    mine = Cast(**{name: getattr(cast, name) for name in Cast.__slots__} | {"tenant": tenant})
    _, task = start_durable(mine)
    call(task, WaitCall((sleep("90s"), event("go")), "for a while"))
    call(task, WaitCall((sleep("90s"), event("stay")), "longer"))
    call(task, SpawnCall((TriggerRequest("child"),)))
    push_event(tenant, "go", {})
    failed_error(tenant)
    make_rate_limit(mine, "api", paused_until=now() + timedelta(hours=1))
    send_to_webhook(tenant, owner)
    invite(owner, tenant, "new@acme.test")
    RetentionPeriod.objects.create(tenant=tenant, kind="logs", seconds=86_400)
    ResourceLimit.objects.create(tenant=tenant, resource="EVENT", value=1)
    tell_an_endpoint(tenant)
    alerting.make_one_of_each(tenant)
    stage_cancelling(tenant)
    count_on()
    ask_with_key(tenant, owner)
    send_a_span(tenant, graph.id)
    TenantKey.objects.create(tenant_id=tenant.id, wrapped=b"", master="", created_at=now())
    ask_in_sql(tenant)


def ask_in_sql(tenant: Tenant) -> None:
    wish = make_outbox_row(tenant)
    OutboxKey.objects.create(
        tenant_id=tenant.id, digest=b"k", owner_id=wish.id, expires_at=now() + timedelta(days=1)
    )
    SqlRole.objects.create(tenant=tenant, role="app", created_at=now())


def ask_with_key(tenant: Tenant, owner: User) -> None:
    path = f"/api/v1/stable/tenants/{tenant.id}/cel/debug"
    asked = {"expression": "true", "input": {}}
    answer = ApiClient(user=owner).post(path, asked, **{"Idempotency-Key": "a"})
    assert answer.status == 200


def send_a_span(tenant: Tenant, run_id: UUID) -> None:
    reader = SpanReader(tenant.id, Intake(TracingConfig()), now())
    spans = [each for each in reader.read(request(span(run_id))) if each is not None]
    assert sync_db.run(record_spans(spans)) == [True]


def send_to_webhook(tenant: Tenant, owner: User) -> None:
    stable = f"/api/v1/stable/tenants/{tenant.id}/webhooks"
    auth = {"headerName": "X-Key", "apiKey": "a secret"}
    new = {"name": "a", "sourceName": "GENERIC", "eventKeyExpression": "'order:sent'"}
    assert (
        ApiClient(user=owner).post(stable, new | {"authType": "API_KEY", "auth": auth}).status
        == 200
    )
    assert ApiClient().post(f"{stable}/a", {"order": "c"}, **{"X-Key": "a secret"}).status == 200


def tell_an_endpoint(tenant: Tenant) -> None:
    endpoint = Endpoint.objects.create(
        tenant=tenant,
        url="https://a.test",
        kinds=[],
        secret=b"",
        created_at=now(),
        updated_at=now(),
    )
    known = {"tenant_id": tenant.id, "kind": "run.completed", "at": now()}
    Occurrence.objects.create(subject_id=new_id(), **known)
    message = Message.objects.create(message_id=new_id(), body=b"{}", **known)
    Dispatch.objects.create(
        tenant_id=tenant.id,
        endpoint_id=endpoint.id,
        message_id=message.message_id,
        position=message.position,
        state=DispatchState.PENDING,
        due_at=now(),
        created_at=now(),
    )


def purge(batch: int = 2) -> int:
    """Purge until nothing is left to do; return how often there was something."""
    for times in range(1000):
        if not sync_db.run(purge_tenants(now() + KEPT + timedelta(seconds=1), batch)):
            return times
    raise AssertionError("it never ends")


def test_every_table_is_thought_of(db: None) -> None:
    """A new one either refers to the tenant, so that it goes with it, or is named among the engines' own."""
    of_apps = {query.name for query in (*of_events([]), *of_tenants([]))}
    ours = [
        text
        for name, text in statements().items()
        if name.startswith("deleted_tenant.") or name in of_apps
    ]
    removed = set(re.findall(r"DELETE FROM (\w+)", "".join(ours)))
    wanted = {name for name in tables() if name.startswith("engine_") or is_loose(name)}
    assert wanted - removed == NOBODYS | WITH_ANOTHER


def is_loose(table: str) -> bool:
    """Whether a table names a tenant without referring to it."""
    with connection.cursor() as cursor:
        columns = {
            one.name for one in connection.introspection.get_table_description(cursor, table)
        }
        return "tenant_id" in columns - set(connection.introspection.get_relations(cursor, table))


def test_a_deleted_tenant_leaves_nothing_and_others_everything(cast: Cast) -> None:
    fill(cast, cast.other_tenant, cast.stranger)
    before = counts()
    fill(cast, cast.tenant, cast.owner)
    filled = {name for name, count in counts().items() if count > before[name]}
    of_tenants = {name for name in before if name.startswith(("engine_", "webhooks_"))}
    assert of_tenants - NOBODYS - filled <= SELDOM
    delete_tenant(access_of_user(cast.owner, cast.tenant), "acme")
    assert purge() > 5
    gone = {"tenants_tenant": 1, "tenants_member": 4}
    after = counts()
    assert {name: after[name] for name in after if after[name] != before[name]} == {
        name: before[name] - count for name, count in gone.items()
    }
    assert not Tenant.with_deleted.filter(id=cast.tenant.id).exists()
    assert (
        ApiClient(user=cast.stranger).get(f"/api/v1/tenants/{cast.other_tenant.id}").status == 200
    )


SELDOM = {
    "engine_cronmiss",
    "engine_endedchild",
    "engine_lease",
    "engine_logline",
    "engine_logtally",
    "engine_sharedstrategy",
    "engine_stepwait",
}
"""Filled by what takes more than this test does."""


def test_an_archived_tenant_keeps_everything(cast: Cast) -> None:
    fill(cast, cast.tenant, cast.owner)
    Tenant.objects.filter(id=cast.tenant.id).update(archived_at=now())
    before = counts()
    assert purge() == 0
    assert counts() == before


def test_the_tenant_itself_stays_for_a_while(cast: Cast) -> None:
    """What a call that was under way writes after the deletion is found and removed, too."""
    delete_tenant(access_of_user(cast.owner, cast.tenant), "acme")
    assert sync_db.run(purge_tenants(now())) is False
    assert Tenant.with_deleted.filter(id=cast.tenant.id).exists()
    make_workflow(cast.tenant)
    start_run(cast.tenant)
    purge()
    assert not Tenant.with_deleted.filter(id=cast.tenant.id).exists()


@pytest.mark.parametrize("batch", [1, 1000])
def test_it_does_not_matter_how_many_go_at_once(cast: Cast, batch: int) -> None:
    begin_counting()
    before = counts()
    fill(cast, cast.tenant, cast.owner)
    delete_tenant(access_of_user(cast.owner, cast.tenant), "acme")
    purge(batch)
    after = counts()
    engines = [name for name in after if name.startswith("engine_")]
    assert {name: after[name] for name in engines} == {name: before[name] for name in engines}
