"""The official SDK with its instrumentor: a run's whole trace, of the engine's spans and its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Account, open_browser, open_page
from tests.e2e.pages import sign_in
from tests.e2e.tenant import Client, Tenant, wait_for

Spans = list[dict[str, Any]]
ENGINES = "hatchet.engine."


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    tenant.start_worker("traced")
    return tenant.start_client("traced")


def trace_with(client: Client, run_id: str, *wanted: str) -> Spans:
    """The trace of a run, once these spans are in it, each as often; workers send theirs a little later."""

    def complete() -> Spans:
        found: Spans = client.call("trace_of", run_id=run_id)
        missing = Counter(wanted) - Counter(span["name"] for span in found)
        return [] if missing else found

    return wait_for(f"spans {wanted} of {run_id}", complete)


def ancestors(span: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> list[str]:
    names = []
    while span := by_id.get(span["parent"] or "", {}):
        names.append(span["name"])
    return names


def test_a_whole_trace_over_attempts_and_children(tenant: Tenant, client: Client) -> None:
    ran = client.call("run_parent")
    of_sdk = 3 * ["hatchet.start_step_run"] + 2 * ["hatchet.run_workflow", "charge"]
    found = trace_with(client, ran["id"], *of_sdk, "inside-child")
    by_id = {span["id"]: span for span in found}
    assert {span["trace"] for span in found} == {ran["result"]["trace_id"]}
    names = [span["name"] for span in found]
    # The client's trigger; the parent's two attempts; the child that its second one spawned.
    assert names.count(f"{ENGINES}workflow_run") == 2
    assert names.count(f"{ENGINES}queued") == names.count(f"{ENGINES}start_step_run") == 3
    assert names.count("hatchet.start_step_run") == 3
    assert names.count("hatchet.run_workflow") == 2
    assert names.count("charge") == 2
    charged = sorted((s for s in found if s["name"] == "charge"), key=lambda s: s["retry"])
    assert [(s["retry"], s["status"]) for s in charged] == [(0, "ERROR"), (1, "UNSET")]
    assert charged[0]["attributes"]["amount"] == "7"
    (inside,) = [s for s in found if s["name"] == "inside-child"]
    assert ancestors(inside, by_id) == [
        *("hatchet.start_step_run", "hatchet.run_workflow", "charge"),
        *("hatchet.start_step_run", "hatchet.run_workflow"),
    ]
    kinds = {s["name"]: s["kind"] for s in found}
    assert kinds["hatchet.run_workflow"] == "PRODUCER"
    assert kinds["hatchet.start_step_run"] == "CONSUMER"


def test_the_runs_page_draws_it_on_a_small_phone(tenant: Tenant, client: Client) -> None:
    run_id = client.call("run_parent")["id"]
    trace_with(client, run_id, "charge", "inside-child")
    account = Account()
    with open_browser() as browser:
        page = open_page(browser, account, width=360)
        sign_in(page, tenant.stack)
        page.goto(f"{tenant.stack.server_url}/t/{tenant.slug}/runs/{run_id}?tab=trace")
        bars = page.locator(".trace .bars > li")
        bars.filter(has_text="inside-child").locator("summary").click()
        expect(
            bars.filter(has_text="inside-child").get_by_text("hatchet.step_run_id")
        ).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        edges = page.evaluate(
            "[...document.querySelectorAll('.trace .bar')].map(e => e.getBoundingClientRect().right)"
        )
        assert len(edges) == bars.count() > 10
        assert max(edges) <= 360
    assert account.complaints == []
    assert account.foreign(tenant.stack.server_url) == []


def test_an_event_and_what_it_starts_are_one_trace(client: Client) -> None:
    event_id = client.call("push")
    (run_id,) = wait_for("the event's run", lambda: client.call("runs_of_event", event_id=event_id))
    found = trace_with(client, run_id, "inside-event", "hatchet.push_event")
    by_id = {span["id"]: span for span in found}
    assert len({span["trace"] for span in found}) == 1
    (run,) = [s for s in found if s["name"] == f"{ENGINES}workflow_run"]
    assert ancestors(run, by_id) == [f"{ENGINES}event", "hatchet.push_event"]


def test_a_durable_task_comes_back_in_the_same_trace(client: Client) -> None:
    ran = client.call("run_durable")
    found = trace_with(client, ran["id"], "hatchet.start_step_run", f"{ENGINES}workflow_run")
    assert {span["trace"] for span in found} == {ran["result"]["traceparent"].split("-")[1]}
