"""The page that says how much is used, and for how long things are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import Client
from pytest_django import Settings

from tenants.models import AuditEntry, RetentionPeriod, Tenant
from tests.dashboard import factories
from tests.limits import enforce


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/settings/usage"


def text_of(browser: Client, url: str) -> str:
    answer = browser.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_members_read_what_holds(viewer: Client, url: str) -> None:
    text = text_of(viewer, url)
    assert "Runs, with their tasks" in text
    assert "30 days" in text
    assert "14 days" in text
    assert "Time to keep" not in text


def test_admins_choose_and_take_back(admin: Client, url: str) -> None:
    answer = admin.post(f"{url}/retain", {"kind": "logs", "period": " 7d "})
    assert answer["Location"] == url
    assert RetentionPeriod.objects.get().seconds == 604_800
    assert "7 days" in text_of(admin, url)
    admin.post(f"{url}/retain", {"kind": "logs", "period": ""})
    assert not RetentionPeriod.objects.exists()
    assert AuditEntry.objects.filter(action="retention.update").count() == 2


@pytest.mark.parametrize("wrong", ["0d", "-5h", "<b>", "9" * 1_000, "1h\0"])
def test_a_wrong_time_stays_in_its_field(wrong: str, admin: Client, url: str) -> None:
    answer = admin.post(f"{url}/retain", {"kind": "logs", "period": wrong})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()
    assert "<b>" not in answer.content.decode()
    assert not RetentionPeriod.objects.exists()


def test_an_unknown_kind_is_refused(admin: Client, url: str) -> None:
    answer = admin.post(f"{url}/retain", {"kind": "no such", "period": "7d"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


def test_a_server_that_keeps_everything_says_so(
    viewer: Client, url: str, settings: Settings
) -> None:
    kept = replace(settings.HATCHET.retention, is_enabled=False)
    settings.HATCHET = replace(settings.HATCHET, retention=kept)
    assert "SERVER_ENABLE_DATA_RETENTION" in text_of(viewer, url)


def test_what_is_used_of_what_is_limited(
    viewer: Client, url: str, tenant: Tenant, settings: Settings
) -> None:
    assert "limits nothing" in text_of(viewer, url)
    factories.make_cron(factories.make_version(tenant))
    enforce(settings, cron=2, event=1, task_run=0)
    factories.push_event(tenant)
    text = " ".join(text_of(viewer, url).split())
    assert "1/2" in text
    assert "1/1 in 24h" in text
    assert text.count("reached</span>") == 2
    assert text.count("near</span>") == 1
