"""Pages show encrypted payloads and those of the object store, and say so when one cannot be had."""

from __future__ import annotations

from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from django.test import Client

from engine.models import Payload, Run
from engine.operations.trigger_runs import trigger_runs
from engine.states import PayloadKind
from engine.store import sync_db
from engine.types import TriggerRequest
from tenants.models import Tenant
from tests.dashboard import factories
from tests.sealed import MASTER, THRESHOLD, Breakable, sealing_with

pytestmark = pytest.mark.usefixtures("no_keys_left")

SMALL = b'{"card": "4242"}'
LARGE = orjson.dumps({"large": "x" * THRESHOLD, "card": "4242"})
HUGE = orjson.dumps({"large": "x" * 2_000_000})


def trigger(tenant: Tenant, given: bytes) -> UUID:
    name = factories.make_version(tenant).workflow.name
    (run_id,) = sync_db.run(
        trigger_runs(tenant.id, [TriggerRequest(name, given)], datetime.now(UTC))
    )
    return run_id


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


@pytest.mark.parametrize("given", [SMALL, LARGE])
def test_a_run_shows_what_it_was_given(
    member: Client, tenant: Tenant, tmp_path: Path, given: bytes
) -> None:
    with sealing_with(MASTER, store=Breakable(tmp_path)):
        run_id = trigger(tenant, given)
        assert bytes(Payload.objects.get(owner_id=run_id).data)[:1] == b"\0"
        assert '"card": "4242"' in page(member, f"/t/{tenant.slug}/runs/{run_id}")
        answer = member.get(f"/t/{tenant.slug}/runs/{run_id}/input/{run_id}")
        assert (answer.status_code, answer.content) == (200, given)
        workflow_id = Run.objects.get(id=run_id).workflow_id
        path = f"/t/{tenant.slug}/trigger?workflow={workflow_id}&from={run_id}"
        assert "4242" in page(member, path)


def test_one_too_large_for_a_page_is_to_be_downloaded(
    viewer: Client, tenant: Tenant, tmp_path: Path
) -> None:
    store = Breakable(tmp_path)
    for kept in (None, store):
        with sealing_with(MASTER, store=kept):
            run_id = trigger(tenant, HUGE)
            text = page(viewer, f"/t/{tenant.slug}/runs/{run_id}")
            assert "Download all of it" in text
            assert "of 1.9" in text
            answer = viewer.get(f"/t/{tenant.slug}/runs/{run_id}/input/{run_id}")
            assert answer.content == HUGE


def test_events_show_what_they_carry(viewer: Client, tenant: Tenant) -> None:
    with sealing_with(MASTER):
        event = factories.push_event(tenant, payload=SMALL)
        assert '"card": "4242"' in page(viewer, f"/t/{tenant.slug}/events/{event.id}")
        answer = viewer.get(f"/t/{tenant.slug}/events/{event.id}/payload.json")
        assert answer.content == SMALL


def test_a_payload_that_is_gone_says_so_and_the_page_opens(
    viewer: Client, tenant: Tenant, tmp_path: Path
) -> None:
    store = Breakable(tmp_path)
    with sealing_with(store=store):
        run_id = trigger(tenant, LARGE)
    store.delete(store.page(""))
    url = f"/t/{tenant.slug}/runs/{run_id}"
    with sealing_with(store=store):
        assert "not in the store any more" in page(viewer, url)
        answer = viewer.get(f"{url}/input/{run_id}")
        assert answer.status_code == 410
        assert "not in the store any more" in answer.content.decode()
        store.is_away = True
        assert "cannot be reached" in page(viewer, url)
        assert viewer.get(f"{url}/input/{run_id}").status_code == 503


def test_a_damaged_payload_says_so_and_the_page_opens(viewer: Client, tenant: Tenant) -> None:
    with sealing_with(MASTER):
        run_id = trigger(tenant, SMALL)
        found = Payload.objects.filter(owner_id=run_id, kind=PayloadKind.INPUT)
        for cut in (60, 20, 1):
            found.update(data=bytes(found.get().data)[:cut])
            text = page(viewer, f"/t/{tenant.slug}/runs/{run_id}")
            assert "damaged" in text or "Download all of it" in text
    assert Run.objects.filter(id=run_id).exists()
