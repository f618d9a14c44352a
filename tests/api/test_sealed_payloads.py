"""The API answers with payloads as they came, however they are stored, and says which cannot be had."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from engine.models import Payload
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, push_event, start_run
from tests.cast import Cast
from tests.sealed import MASTER, THRESHOLD, Breakable, sealing_with

pytestmark = pytest.mark.usefixtures("no_keys_left")

STABLE = "/api/v1/stable"
LARGE = {"large": "x" * THRESHOLD}


def given(api: ApiClient, run_id: object) -> object:
    return api.get(f"{STABLE}/workflow-runs/{run_id}").json["run"]["input"]


def test_runs_and_events_are_answered_as_they_came(
    cast: Cast, api: ApiClient, tmp_path: Path
) -> None:
    make_workflow(cast.tenant)
    with sealing_with(MASTER, store=Breakable(tmp_path)):
        for value in ({"small": 1}, LARGE):
            run = start_run(cast.tenant, value=value)
            assert bytes(Payload.objects.get(owner_id=run.id).data)[:1] == b"\0"
            assert given(api, run.id) == value
            event = push_event(cast.tenant, "paid", value)
            found = api.get(f"/api/v1/events/{event.event_id}/data").json
            assert orjson.loads(found["data"]) == value


def test_lists_have_room_for_what_payloads_really_come_to(
    cast: Cast, api: ApiClient, tmp_path: Path
) -> None:
    make_workflow(cast.tenant)
    value = {"large": "x" * 3_000_000}
    path = f"{STABLE}/tenants/{cast.tenant.id}/workflow-runs"
    query = {"since": "2020-01-01T00:00:00Z", "only_tasks": "false", "include_payloads": "true"}
    with sealing_with(store=Breakable(tmp_path)):
        for _ in range(12):
            start_run(cast.tenant, value=value)
        rows = api.get(path, query).json["rows"]
    omitted = [row for row in rows if "hatchet__omitted_bytes" in row["input"]]
    assert 0 < len(omitted) < 12
    assert all(row["input"] == value for row in rows if row not in omitted)


def test_one_that_cannot_be_had_says_why(cast: Cast, api: ApiClient, tmp_path: Path) -> None:
    make_workflow(cast.tenant)
    store = Breakable(tmp_path)
    with sealing_with(store=store):
        run = start_run(cast.tenant, value=LARGE)
    with sealing_with(store=store):
        store.is_away = True
        assert "cannot be reached" in str(given(api, run.id))
    store.is_away = False
    store.delete(store.page(""))
    with sealing_with(store=store):
        assert given(api, run.id) == {
            "hatchet__unreadable": "The object of this payload is not in the store any more."
        }


def test_a_run_that_cannot_be_stored_is_refused_for_now(
    cast: Cast, api: ApiClient, tmp_path: Path
) -> None:
    make_workflow(cast.tenant)
    store = Breakable(tmp_path)
    store.is_away = True
    path = f"{STABLE}/tenants/{cast.tenant.id}/workflow-runs/trigger"
    with sealing_with(store=store):
        answer = api.post(path, {"workflowName": "greet", "input": LARGE})
        assert answer.status == 503
        assert "object store" in answer.error
        assert api.post(path, {"workflowName": "greet", "input": {}}).status == 200
