"""Scopes and filters decide which events start a workflow, and how often."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from engine.domain.definition import DefaultFilter
from engine.errors import NotFound
from engine.models import CelFailure, Filter, Payload, Run
from engine.operations.change_filters import create_filter, delete_filter, update_filter
from engine.operations.put_workflow import delete_workflow
from engine.states import CelSource, PayloadKind
from engine.store import filters, sync_db
from engine.store.filters import NewFilter
from engine.store.query import fetch
from tenants.models import Tenant
from tests.api.factories import make_workflow, now, push_event, step
from tests.cast import Cast, make_cast

BIG = DefaultFilter("input.amount >= payload.least", "orders", '{"least":100}')


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.fixture
def tenant(cast: Cast) -> Tenant:
    return cast.tenant


def watch(tenant: Tenant, *declared: DefaultFilter, **overrides: Any) -> UUID:
    given: dict[str, Any] = {"event_triggers": ("order:*",)} | overrides
    return make_workflow(tenant, "greet", default_filters=declared, **given).workflow_id


def add(tenant: Tenant, workflow_id: UUID, expression: str, payload: bytes = b"{}") -> UUID:
    new = NewFilter("orders", expression, payload)
    return sync_db.run(create_filter(tenant.id, workflow_id, new, now()))


def started(tenant: Tenant, payload: Any = None, scope: str | None = "orders", **more: Any) -> int:
    event = push_event(tenant, "order:paid", payload or {}, scope=scope, **more)
    return Run.objects.filter(event_id=event.event_id).count()


def test_without_filters_the_scope_does_not_matter(tenant: Tenant) -> None:
    watch(tenant)
    assert [started(tenant, scope=scope) for scope in (None, "orders", "else")] == [1, 1, 1]


def test_with_filters_only_their_scope_counts(tenant: Tenant) -> None:
    watch(tenant, BIG)
    amounts = [(100, "orders"), (99, "orders"), (100, "else"), (100, None), (100, "")]
    found = [started(tenant, {"amount": amount}, scope) for amount, scope in amounts]
    assert found == [1, 0, 0, 0, 0]


def test_every_true_filter_starts_a_run_with_its_payload(tenant: Tenant) -> None:
    workflow_id = watch(tenant, BIG, DefaultFilter("input.amount > 1", "orders", '{"n":1}'))
    by_api = add(tenant, workflow_id, "event_key == 'order:paid'", b'{"n": 2}')
    add(tenant, workflow_id, "additional_metadata.team == 'other'")
    assert started(tenant, {"amount": 50}, metadata={"team": "a"}) == 2
    runs = {run.filter_id: run for run in Run.objects.filter(tenant_id=tenant.id)}
    stored = {
        bytes(row.data)
        for row in Payload.objects.filter(owner_id__in=[run.id for run in runs.values()])
        if row.kind == PayloadKind.FILTER
    }
    assert stored == {b'{"n":1}', b'{"n": 2}'}
    assert by_api in runs


def test_workflows_of_several_tasks_are_filtered_alike(tenant: Tenant) -> None:
    given = {"event_triggers": ("order:*",), "default_filters": (BIG,)}
    make_workflow(tenant, "greet", step("one"), step("two", "one"), **given)
    assert [started(tenant, {"amount": amount}) for amount in (1, 100)] == [0, 1]
    run = Run.objects.get(tenant_id=tenant.id)
    assert Payload.objects.filter(owner_id=run.id, kind=PayloadKind.FILTER).count() == 1


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("input.missing == 1", "no such key"),
        ("input.amount", "neither true nor false"),
        ("input.amount % 2 == 0", "No matching overloads"),
        (r"input['\u0000'] == 1", "no such key"),
        (r"dyn('\u0000')", "neither true nor false"),
    ],
)
def test_what_fails_starts_nothing_and_is_written_down(
    tenant: Tenant, expression: str, error: str
) -> None:
    workflow_id = watch(tenant)
    add(tenant, workflow_id, expression)
    add(tenant, workflow_id, "input.amount == 5")
    assert started(tenant, {"amount": 5}) == 1
    failure = CelFailure.objects.get(tenant=tenant)
    assert (failure.source, failure.workflow_id) == (CelSource.FILTER, workflow_id)
    assert failure.expression == expression
    assert error in failure.error
    assert failure.event_id == Run.objects.get(tenant_id=tenant.id).event_id


def test_failures_are_forgotten_in_time(tenant: Tenant) -> None:
    add(tenant, watch(tenant), "input.missing == 1")
    started(tenant)
    failure = CelFailure.objects.get(tenant=tenant)
    sync_db.run(fetch(filters.forget_failures(failure.id)))
    assert CelFailure.objects.filter(id=failure.id).exists()
    sync_db.run(fetch(filters.forget_failures(UUID(int=failure.id.int + 1))))
    assert not CelFailure.objects.filter(id=failure.id).exists()


def test_a_blank_expression_is_never_true(tenant: Tenant) -> None:
    watch(tenant, DefaultFilter(" ", "orders"))
    assert started(tenant) == 0
    assert not CelFailure.objects.filter(tenant=tenant).exists()


def test_a_new_version_replaces_declared_filters_and_no_others(tenant: Tenant) -> None:
    workflow_id = watch(tenant, BIG)
    by_api = add(tenant, workflow_id, "true")
    declared = Filter.objects.get(is_declared=True, tenant=tenant).id
    watch(tenant, BIG)
    assert Filter.objects.filter(id=declared).exists(), "the same version changes nothing"
    watch(tenant, DefaultFilter("input.amount > 1", "orders"))
    found = Filter.objects.filter(tenant=tenant)
    assert {(row.expression, row.is_declared) for row in found} == {
        ("input.amount > 1", True),
        ("true", False),
    }
    watch(tenant)
    assert [row.id for row in Filter.objects.filter(tenant=tenant)] == [by_api]


def test_priorities_of_events_reach_their_runs(tenant: Tenant) -> None:
    watch(tenant, BIG, default_priority=1)
    started(tenant, {"amount": 100}, priority=3)
    assert Run.objects.get(tenant_id=tenant.id).priority == 3


def test_a_filter_changes_at_once(tenant: Tenant) -> None:
    filter_id = add(tenant, watch(tenant), "input.amount == 1")
    assert [started(tenant, {"amount": n}) for n in (1, 2)] == [1, 0]
    change = update_filter(
        tenant.id, filter_id, scope=None, expression="input.amount == 2", payload=None, now=now()
    )
    sync_db.run(change)
    assert [started(tenant, {"amount": n}) for n in (1, 2)] == [0, 1]
    sync_db.run(delete_filter(tenant.id, filter_id))
    assert started(tenant, scope=None) == 1


def test_a_deleted_workflow_takes_its_filters_along(tenant: Tenant) -> None:
    workflow_id = watch(tenant, BIG)
    sync_db.run(delete_workflow(tenant.id, workflow_id, now()))
    assert not Filter.objects.filter(tenant=tenant).exists()


def test_nobody_touches_the_filters_of_others(cast: Cast) -> None:
    workflow_id, other = watch(cast.tenant), cast.other_tenant.id
    filter_id = add(cast.tenant, workflow_id, "true")
    new = NewFilter("orders", "false", b"{}")
    for operation in (
        create_filter(other, workflow_id, new, now()),
        update_filter(other, filter_id, scope="x", expression=None, payload=None, now=now()),
        delete_filter(other, filter_id),
    ):
        with pytest.raises(NotFound):
            sync_db.run(operation)
    found = Filter.objects.get(workflow_id=workflow_id)
    assert (found.id, found.scope, found.expression) == (filter_id, "orders", "true")
