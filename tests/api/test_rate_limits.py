"""Rate limits over REST."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.ids import new_id
from engine.models import RateLimit
from engine.states import RateLimitWindow
from tests.api.client import ApiClient
from tests.api.factories import now
from tests.api.load import failures_of
from tests.cast import Cast


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}/rate-limits"


def make(cast: Cast, key: str, **options: Any) -> RateLimit:
    at = now()
    settings = {
        "limit_value": 10,
        "window": RateLimitWindow.HOUR,
        "value": 4,
        "refilled_at": at,
        "is_dynamic": False,
        "created_at": at,
        "updated_at": at,
    }
    return RateLimit.objects.create(tenant_id=cast.tenant.id, key=key, **(settings | options))


def keys(api: ApiClient, path: str, **query: object) -> list[str]:
    return [row["key"] for row in api.get(path, query).json["rows"]]


def test_a_limit_is_shown_as_the_sdk_expects(api: ApiClient, cast: Cast, path: str) -> None:
    until = now() + timedelta(hours=1)
    make(cast, "api", paused_until=until)
    answer = api.get(path).json
    assert failures_of([("list", "RateLimitList", answer)]) == {}
    (row,) = answer["rows"]
    assert row.pop("lastRefill")
    assert row.pop("pausedUntil").startswith(f"{until:%Y-%m-%dT%H:%M}")
    assert row == {
        "key": "api",
        "tenantId": str(cast.tenant.id),
        "limitValue": 10,
        "value": 4,
        "window": "HOUR",
    }


def test_the_value_is_that_after_the_window_and_a_past_pause_is_none(
    api: ApiClient, cast: Cast, path: str
) -> None:
    make(cast, "over", refilled_at=now() - timedelta(hours=2), paused_until=now())
    make(cast, "overdrawn", value=-3)
    over, overdrawn = api.get(path).json["rows"]
    assert (over["value"], overdrawn["value"]) == (10, 0)
    assert "pausedUntil" not in over


def test_the_list_is_searched_sorted_and_paged(api: ApiClient, cast: Cast, path: str) -> None:
    make(cast, "b", value=1, limit_value=30)
    make(cast, "a", value=2, limit_value=20)
    make(cast, "A%b_", value=3, limit_value=10)
    assert sorted(keys(api, path)) == ["A%b_", "a", "b"]
    assert keys(api, path, orderByField="value", orderByDirection="desc") == ["A%b_", "a", "b"]
    assert keys(api, path, orderByField="limitValue") == ["A%b_", "a", "b"]
    assert keys(api, path, search="%") == ["A%b_"]
    assert keys(api, path, orderByField="value", limit=1, offset=1) == ["a"]


def test_other_tenants_limits_are_not_there(api: ApiClient, cast: Cast, path: str) -> None:
    make(cast, "api")
    other_id = new_id()
    RateLimit.objects.filter(tenant_id=cast.tenant.id).update(tenant_id=other_id)
    assert api.get(path).json["rows"] == []
    assert api.delete(f"{path}?key=api").status == 404
    assert RateLimit.objects.filter(tenant_id=other_id).count() == 1


def test_a_limit_is_deleted_once(api: ApiClient, cast: Cast, path: str) -> None:
    make(cast, "a/b c")
    assert api.delete(f"{path}?key=a/b%20c").status == 204
    assert not RateLimit.objects.filter(tenant_id=cast.tenant.id).exists()
    assert api.delete(f"{path}?key=a/b%20c").status == 404


@pytest.mark.parametrize(
    "query", ["orderByField=window", "orderByDirection=ASC", "search=%00", "limit=x"]
)
def test_nonsense_is_refused(api: ApiClient, path: str, query: str) -> None:
    assert api.get(f"{path}?{query}").status == 400


def test_deleting_needs_a_key(api: ApiClient, path: str) -> None:
    assert api.delete(path).status == 400
    assert api.delete(f"{path}?key=%00").status == 400
