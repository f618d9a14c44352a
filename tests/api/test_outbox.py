"""What could not be carried out of what programs asked for in SQL, over REST."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.models import OutboxRow
from engine.states import OutboxKind
from tenants.models import AuditEntry
from tests.api.client import ApiClient
from tests.api.factories import make_outbox_row
from tests.cast import Cast


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/stable/tenants/{cast.tenant.id}/outbox"


def test_rows_are_listed_with_their_reasons_and_without_their_data(
    cast: Cast, api: ApiClient, path: str
) -> None:
    make_outbox_row(cast.tenant, failure=None)
    first = make_outbox_row(cast.tenant)
    second = make_outbox_row(cast.tenant, kind=OutboxKind.CANCEL, name="", target_id=first.id)
    listed = api.get(path)
    assert [row["id"] for row in listed.json["rows"]] == [str(second.id), str(first.id)]
    assert (listed.json["rows"][0]["kind"], listed.json["rows"][0]["targetId"]) == (
        "CANCEL",
        str(first.id),
    )
    assert (listed.json["rows"][1]["name"], listed.json["rows"][1]["failure"]) == ("greet", "no")
    assert b"secret" not in listed.content


def test_a_row_is_tried_again(cast: Cast, api: ApiClient, path: str) -> None:
    row = make_outbox_row(cast.tenant)
    assert api.post(f"{path}/{row.id}/retry").json["id"] == str(row.id)
    row.refresh_from_db()
    assert (row.failed_at, row.failure) == (None, None)
    assert api.get(path).json["rows"] == []
    assert api.post(f"{path}/{row.id}/retry").status == 404
    entry = AuditEntry.objects.get(action="outbox.retry")
    assert entry.resource_id == str(row.id)


def test_a_row_is_dismissed(cast: Cast, api: ApiClient, path: str) -> None:
    row, waiting = make_outbox_row(cast.tenant), make_outbox_row(cast.tenant, failure=None)
    assert api.delete(f"{path}/{row.id}").status == 200
    assert api.delete(f"{path}/{row.id}").status == 404
    assert api.delete(f"{path}/{waiting.id}").status == 404, "it has not failed"
    assert OutboxRow.objects.get() == waiting
    assert AuditEntry.objects.get(action="outbox.dismiss").resource_id == str(row.id)


def test_another_tenants_row_is_unknown(cast: Cast, api: ApiClient, path: str) -> None:
    foreign = make_outbox_row(cast.other_tenant)
    for answer in (
        api.delete(f"{path}/{foreign.id}"),
        api.post(f"{path}/{foreign.id}/retry"),
        api.delete(f"{path}/{uuid4()}"),
    ):
        assert answer.status == 404
    assert api.get(path).json["rows"] == []
    assert OutboxRow.objects.filter(failed_at__isnull=False).count() == 1
