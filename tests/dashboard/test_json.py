"""Pages and forms lose no digit of the JSON they show and take, and refuse what cannot be kept."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from engine.models import Event, LogLine, Payload, Run, Task
from engine.models.json_objects import StoredObject
from tenants.models import Tenant
from tests.dashboard import factories

BIG = b'{"n": 18446744073709551617, "d": 0.10000000000000000001}'
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"ratio": {"type": "number", "multipleOf": 0.5}, "rest": {}},
}


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_pages_show_metadata_as_it_was_written(viewer: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant, "greet")
    run = factories.make_run(version, metadata=StoredObject(BIG.decode()), given=BIG)
    factories.add_log(Task.objects.get(run_id=run.id), "said")
    LogLine.objects.filter(run_id=run.id).update(metadata={"l": 2**64 + 1})
    event = factories.push_event(tenant, payload=BIG, additional_metadata=BIG)
    cron = factories.make_cron(version, additional_metadata=BIG, input=BIG)
    schedule = factories.make_schedule(version, additional_metadata=BIG, input=BIG)
    base = f"/t/{tenant.slug}"
    details = [f"runs/{run.id}", f"events/{event.id}", f"crons/{cron.id}"]
    details.append(f"scheduled/{schedule.id}")
    for path in ("runs", "events", "crons", "scheduled", *details):
        text = page(viewer, f"{base}/{path}")
        assert "n:18446744073709551617" in text, path
        assert "d:0.10000000000000000001" in text, path
        if path in details:
            assert '\n  "d": 0.10000000000000000001\n}' in text, path
    assert '{"l": 18446744073709551617}' in page(viewer, f"{base}/runs/{run.id}?tab=logs")


def test_numbers_in_fields_are_stored_as_they_were_typed(member: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant, "odd", schema=SCHEMA)
    url = f"/t/{tenant.slug}/trigger"
    data = {
        "workflow": str(version.workflow_id),
        "f/ratio": "1.00000000000000000000000",
        "f/rest": '[18446744073709551617, 0.10000000000000000001, "\\u00e4"]',
    }
    assert member.post(url, data).status_code == 302
    run = Run.objects.get(version_id=version.id)
    stored = bytes(Payload.objects.get(owner_id=run.id).data).decode()
    assert stored == ('{"ratio": 1.0, "rest": [18446744073709551617, 0.10000000000000000001, "ä"]}')
    again = page(member, f"{url}?workflow={version.workflow_id}&from={run.id}")
    assert "0.10000000000000000001" in again
    other = member.post(url, data | {"switch": "1"})
    assert b"0.10000000000000000001" in other.content


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ('{"a": 1e400}', "number is infinity"),
        ('{"a": ' * 251 + "1" + "}" * 251, "nested more than 250 levels deep"),
        (r'{"a": "\ud800"}', "surrogate pair"),
        (r'{"\ud800": 1e400}', "surrogate pair"),
    ],
)
def test_what_breaks_the_rule_is_refused(
    typed: str, sentence: str, member: Client, tenant: Tenant
) -> None:
    free = factories.make_version(tenant, "free")
    base = f"/t/{tenant.slug}"
    workflow = {"workflow": str(free.workflow_id), "mode": "raw", "input": typed}
    answers = [
        member.post(f"{base}/trigger", workflow),
        member.post(f"{base}/events/push", {"key": "k", "input": typed}),
        member.post(f"{base}/filters/new", workflow | {"payload": typed, "scope": "s"}),
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert sentence in unescape(answer.content.decode())
    assert not Run.objects.filter(version_id=free.id).exists()
    assert not Event.objects.filter(tenant_id=tenant.id).exists()
