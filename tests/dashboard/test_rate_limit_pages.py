"""Rate limits: the list with what is left of each, and deleting one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from engine.models import RateLimit
from engine.states import RateLimitWindow
from tenants.models import Tenant
from tests.dashboard import factories

MAX_QUERIES = 4
ODD_KEY = "a/b?c=1&d <e> ü"


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/rate-limits"


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_the_list_says_what_is_left_as_if_refilled(
    viewer: Client,
    tenant: Tenant,
    url: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    hours_ago = datetime.now(UTC) - timedelta(hours=3)
    factories.make_rate_limit(tenant, "running")
    factories.make_rate_limit(tenant, "over", limit_value=7, refilled_at=hours_ago)
    factories.make_rate_limit(tenant, "long", window=RateLimitWindow.YEAR, is_dynamic=True)
    factories.make_rate_limit(factories.make_tenant("Elsewhere"), "foreign")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, url)
    assert "4/10" in text
    assert "7/7" in text
    assert "year" in text
    assert "dynamic" in text
    assert "foreign" not in text
    assert "Delete…" not in text


def test_a_running_pause_is_shown_and_a_past_one_is_not(
    viewer: Client, tenant: Tenant, url: str
) -> None:
    later, before = (datetime.now(UTC) + timedelta(hours=sign) for sign in (1, -1))
    factories.make_rate_limit(tenant, "paused", paused_until=later)
    factories.make_rate_limit(tenant, "resumed", paused_until=before)
    text = page(viewer, url)
    assert text.count('data-label="paused until"') == 1
    assert f"{later:%Y-%m-%dT%H:%M}" in text


def test_the_list_is_searched_sorted_and_paged(viewer: Client, tenant: Tenant, url: str) -> None:
    for number in range(60):
        factories.make_rate_limit(tenant, f"user-{number:02}", value=60 - number, limit_value=99)
    first = page(viewer, url)
    assert "user-00" in first
    assert "user-49" in first
    assert "user-50" not in first
    assert "user-59" in page(viewer, f"{url}?page=2")
    narrowed = page(viewer, f"{url}?search=r-07")
    assert narrowed.count("user-") == 1
    least = page(viewer, f"{url}?order=left")
    assert "user-59" in least
    assert "user-00" not in least
    assert "No rate limit here" in page(viewer, f"{url}?search=nobody")
    assert page(viewer, f"{url}?page=-3&order=nonsense&search=%00")


def test_without_limits_the_page_says_how_to_get_one(viewer: Client, url: str) -> None:
    assert "No rate limits yet" in page(viewer, url)


def test_a_limit_is_deleted_after_asking(member: Client, tenant: Tenant, url: str) -> None:
    factories.make_rate_limit(tenant, ODD_KEY)
    factories.make_rate_limit(tenant, "other")
    listed = page(member, url)
    link = next(part for part in listed.split('"') if "rate-limits/delete?key=a" in part)
    question = page(member, link)
    assert ODD_KEY in question
    limits = RateLimit.objects.filter(tenant_id=tenant.id)
    assert limits.count() == 2
    answer = member.post(f"{url}/delete", {"key": ODD_KEY}, follow=True)
    assert f"Rate limit {ODD_KEY} deleted." in unescape(answer.content.decode())
    assert [limit.key for limit in limits.all()] == ["other"]
    assert member.post(f"{url}/delete", {"key": ODD_KEY}).status_code == 404
    assert member.get(f"{url}/delete?key=%00").status_code == 404


def test_the_list_keeps_itself_up_to_date(viewer: Client, tenant: Tenant, url: str) -> None:
    factories.make_rate_limit(tenant, "api")
    answer = viewer.get(f"{url}/live?order=left")
    text = unescape(answer.content.decode())
    assert 'data-live="rate-limits"' in text
    assert f'hx-get="{url}/live?order=left"' in text
    again = viewer.get(f"{url}/live?order=left", headers={"HX-PTag": answer["HX-PTag"]})
    assert again.status_code == 304
