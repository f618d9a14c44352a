"""A row by its id, found as a queryset finds it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from engine.models import Run
from engine.models.run_queries import lean_runs
from engine.states import RunTrigger, Status
from tenants.models import Tenant
from tenants.row_by_id import RowById
from tests.cast import Cast


def shown(row: Tenant | Run) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if name != "_state"}


def test_it_is_what_a_queryset_finds(cast: Cast) -> None:
    tenants = RowById(Tenant.objects.all)
    for tenant in (cast.tenant, cast.other_tenant):
        found, expected = tenants.find(tenant.id), Tenant.objects.get(id=tenant.id)
        assert found is not None
        assert shown(found) == shown(expected)
        assert (found._state.adding, found._state.db) == (False, "default")
    assert tenants.find(uuid4()) is None


def test_what_the_rows_leave_out_is_left_out(cast: Cast) -> None:
    tenants = RowById(Tenant.objects.all)
    assert tenants.find(cast.tenant.id)
    Tenant.objects.filter(id=cast.tenant.id).update(deleted_at=timezone.now())
    assert tenants.find(cast.tenant.id) is None


def test_a_found_row_can_be_changed(cast: Cast) -> None:
    found = RowById(Tenant.objects.all).find(cast.tenant.id)
    assert found is not None
    found.name = "Other"
    found.save(update_fields=["name"])
    assert Tenant.objects.get(id=cast.tenant.id).name == "Other"


def test_columns_that_are_put_off_are_read_when_they_are_asked_for(cast: Cast) -> None:
    values = {"tenant_id": cast.tenant.id, "workflow_id": uuid4(), "version_id": uuid4()}
    made = Run.objects.create(
        **values,
        status=Status.QUEUED,
        is_dag=False,
        priority=1,
        trigger=RunTrigger.MANUAL,
        additional_metadata={"n": 1},
        created_at=timezone.now(),
    )
    runs = RowById(lean_runs)
    with CaptureQueriesContext(connection) as captured:
        found = runs.find(made.id)
        assert found is not None
        assert found.get_deferred_fields() == lean_runs().get(id=made.id).get_deferred_fields()
        assert "additional_metadata" not in captured[0]["sql"]
        assert found.additional_metadata == {"n": 1}


def test_rows_that_differ_by_more_than_the_id_are_refused(cast: Cast) -> None:
    with pytest.raises(AssertionError):
        RowById(lambda: Tenant.objects.filter(name="Acme")).find(cast.tenant.id)
