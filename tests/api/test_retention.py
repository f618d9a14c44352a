"""For how long a tenant keeps what: read by all its members, changed by those who administer it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from tenants.models import AuditEntry, RetentionPeriod
from tests.api.client import ApiClient
from tests.cast import Cast


def path(cast: Cast) -> str:
    return f"/api/v1/stable/tenants/{cast.tenant.id}/retention"


def rows_of(answer: Any) -> dict[str, tuple[str, str, bool]]:
    rows = answer.json["rows"]
    return {row["kind"]: (row["period"], row["default"], row["isDefault"]) for row in rows}


def test_what_holds_without_a_choice(cast: Cast) -> None:
    answer = ApiClient(user=cast.viewer).get(path(cast))
    assert answer.json["isEnabled"] is True
    found = rows_of(answer)
    assert found["runs"] == found["events"] == found["logs"] == ("720h", "720h", True)
    assert found["deliveries"] == ("336h", "336h", True)
    assert "payloads" not in found


def test_what_the_server_says(cast: Cast, settings: Settings) -> None:
    retention = replace(settings.HATCHET.retention, is_enabled=False, period=timedelta(days=90))
    settings.HATCHET = replace(settings.HATCHET, retention=retention)
    answer = ApiClient(user=cast.viewer).get(path(cast))
    assert answer.json["isEnabled"] is False
    assert rows_of(answer)["runs"] == ("2160h", "2160h", True)


def test_a_choice_holds_until_it_is_taken_back(cast: Cast) -> None:
    api = ApiClient(user=cast.owner)
    answer = api.patch(path(cast), {"kind": "logs", "period": "7d"})
    assert answer.status == 200
    assert rows_of(answer)["logs"] == ("168h", "720h", False)
    api.patch(path(cast), {"kind": "logs", "period": "25h30m"})
    assert rows_of(api.get(path(cast)))["logs"] == ("91800s", "720h", False)
    assert rows_of(api.patch(path(cast), {"kind": "logs"}))["logs"] == ("720h", "720h", True)
    assert not RetentionPeriod.objects.exists()
    told = AuditEntry.objects.filter(tenant_id=cast.tenant.id, resource_kind="retention")
    assert [one.after and one.after["seconds"] for one in told.order_by("id")] == [
        604_800,
        91_800,
        None,
    ]


def test_members_only_look(cast: Cast) -> None:
    for user in (cast.viewer, cast.member):
        answer = ApiClient(user=user).patch(path(cast), {"kind": "runs", "period": "24h"})
        assert answer.status == 401
    assert ApiClient(user=cast.stranger).get(path(cast)).status == 401
    assert not RetentionPeriod.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "runs", "period": "0h"}, 400),
        ({"kind": "runs", "period": "-1h"}, 400),
        ({"kind": "runs", "period": "9" * 90 + "h"}, 400),
        ({"kind": "runs", "period": "9" * 200}, 400),
        ({"kind": "runs", "period": 720}, 400),
        ({"kind": "runs", "period": ["720h"]}, 400),
        ({"kind": "runs", "period": "720h\0"}, 400),
        ({"kind": "audit", "period": "720h"}, 404),
        ({"kind": "a\0b", "period": "720h"}, 400),
        ({"kind": {}, "period": "720h"}, 400),
        ({"period": "720h"}, 400),
        ([], 400),
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(cast: Cast, body: Any, status: int) -> None:
    answer = ApiClient(user=cast.owner).patch(path(cast), body)
    assert answer.status == status
    assert not RetentionPeriod.objects.exists()
