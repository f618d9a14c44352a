"""The list of runs: what it shows, how its URL narrows it, and what it costs."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.views.runs import PAGE_SIZE
from engine.models import Run, Task
from engine.states import RunTrigger, Status
from tenants.models import Tenant
from tenants.tokens import create_token
from tests.dashboard import factories

MAX_QUERIES = 6


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/runs"


def shown(client: Client, url: str, runs: list[Run], **query: object) -> list[bool]:
    text = client.get(f"{url}?{urlencode(query, doseq=True)}").content.decode()
    return [f'id="run-{run.id}"' in text for run in runs]


def test_a_page_costs_six_queries_whatever_it_shows(
    viewer: Client, tenant: Tenant, url: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    version = factories.make_version(tenant)
    for number in range(12):
        factories.make_run(version, metadata={"n": str(number)})
    with django_assert_num_queries(MAX_QUERIES) as queries:
        assert viewer.get(url).status_code == 200
    assert not any("engine_payload" in query["sql"] for query in queries.captured_queries)
    with django_assert_num_queries(MAX_QUERIES - 1):
        viewer.get(f"{url}/live?status=completed&meta=n:3")


def test_an_empty_page_costs_no_more(
    viewer: Client, url: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(MAX_QUERIES):
        viewer.get(url)


def test_filters_by_status_workflow_metadata_and_window(
    viewer: Client, tenant: Tenant, url: str
) -> None:
    greet, other = factories.make_version(tenant), factories.make_version(tenant, "other")
    good = factories.make_run(greet, metadata={"customer": "42", "n": 7})
    bad = factories.make_run(greet, Status.FAILED, metadata={"customer": "43"})
    old = factories.make_run(other, ago=timedelta(days=3))
    runs = [good, bad, old]
    assert shown(viewer, url, runs) == [True, True, False]
    assert shown(viewer, url, runs, window="7d") == [True, True, True]
    assert shown(viewer, url, runs, status="failed") == [False, True, False]
    assert shown(viewer, url, runs, status=["failed", "completed"]) == [True, True, False]
    assert shown(viewer, url, runs, window="all", workflow=other.workflow_id) == [
        False,
        False,
        True,
    ]
    assert shown(viewer, url, runs, meta="customer:42") == [True, False, False]
    assert shown(viewer, url, runs, meta="n:7") == [True, False, False]
    assert shown(viewer, url, runs, meta=["customer:42", "n:8"]) == [False, False, False]


def test_a_run_is_found_by_its_id_a_prefix_and_a_task_of_it(
    viewer: Client, tenant: Tenant, url: str
) -> None:
    version = factories.make_version(tenant, "flow", [factories.step("a"), factories.step("b")])
    run = factories.make_run(version, ago=timedelta(days=3), step_states={"a": Status.COMPLETED})
    other = factories.make_run(version)
    task = Task.objects.get(run_id=run.id)
    for wanted in (str(run.id), str(run.id).replace("-", ""), str(run.id)[:11], str(task.id)):
        assert shown(viewer, url, [run, other], id=wanted) == [True, False], wanted
    answer = viewer.get(url, {"id": "<b>zzz</b>"}).content.decode()
    assert "is not a run id" in answer
    assert "<b>zzz</b>" not in answer


def test_pages_by_key_forth_and_back(viewer: Client, tenant: Tenant, url: str) -> None:
    version = factories.make_version(tenant)
    runs = [
        factories.make_run(version, ago=timedelta(seconds=60 + number))
        for number in range(PAGE_SIZE + 3)
    ]
    first = viewer.get(url)
    assert [run.id for run in first.context["runs"]] == [run.id for run in runs[:PAGE_SIZE]]
    assert first.context["newer"] is None
    second = viewer.get(f"{url}?{first.context['older']}")
    assert [run.id for run in second.context["runs"]] == [run.id for run in runs[PAGE_SIZE:]]
    assert second.context["older"] is None
    back = viewer.get(f"{url}?{second.context['newer']}")
    assert [run.id for run in back.context["runs"]] == [run.id for run in runs[:PAGE_SIZE]]


def test_counts_come_from_the_tally(viewer: Client, tenant: Tenant, url: str) -> None:
    version = factories.make_version(tenant)
    for status in (Status.COMPLETED, Status.COMPLETED, Status.FAILED):
        factories.make_run(version, status)
    chips = viewer.get(url).context["chips"]
    counts = {chip["status"]: chip["count"] for chip in chips}
    assert counts[Status.COMPLETED] == 2
    assert counts[Status.FAILED] == 1
    assert counts[Status.RUNNING] == 0


def test_an_unchanged_fragment_is_not_sent_twice(viewer: Client, tenant: Tenant, url: str) -> None:
    version = factories.make_version(tenant)
    factories.make_run(version)
    first = viewer.get(f"{url}/live")
    again = viewer.get(f"{url}/live", headers={"HX-PTag": first["HX-PTag"]})
    assert (again.status_code, again.content) == (304, b"")
    factories.make_run(version)
    changed = viewer.get(f"{url}/live", headers={"HX-PTag": first["HX-PTag"]})
    assert changed.status_code == 200


def test_the_fragment_is_what_the_page_includes(viewer: Client, tenant: Tenant, url: str) -> None:
    factories.make_run(factories.make_version(tenant))
    page = viewer.get(f"{url}?status=completed").content.decode()
    assert viewer.get(f"{url}/live?status=completed").content.decode() in page


def test_names_and_metadata_are_text(viewer: Client, tenant: Tenant, url: str) -> None:
    evil = "<script>alert(1)</script>"
    version = factories.make_version(tenant, evil)
    factories.make_run(version, metadata={evil: evil, '"><img src=x>': {"a": evil}})
    text = viewer.get(url).content.decode()
    assert "<script>alert" not in text
    assert "<img src=x>" not in text


@pytest.mark.parametrize(
    "query",
    [
        "id=%00",
        "meta=%00:%00",
        "meta=:",
        "meta=%F0%9F%92%A9:%ED%A0%80",
        "workflow=x",
        "status=nonsense&window=9y",
        "before=x&after=y",
        "before=00000000-0000-0000-0000-000000000000",
        "after=ffffffff-ffff-ffff-ffff-ffffffffffff",
        "&".join(f"meta=k{number}:v" for number in range(30)),
        "id=" + "a" * 5000,
    ],
)
def test_strange_query_strings_are_answered(
    query: str, viewer: Client, tenant: Tenant, url: str
) -> None:
    factories.make_run(factories.make_version(tenant))
    assert viewer.get(f"{url}?{query}").status_code == 200
    assert viewer.get(f"{url}/live?{query}").status_code == 200


def test_the_checklist_follows_what_is_there(owner: Client, tenant: Tenant, url: str) -> None:
    assert "No runs yet" in owner.get(url).content.decode()
    create_token(tenant, "ci")
    text = owner.get(url).content.decode()
    assert text.count('class="done"') == 1
    factories.make_worker(tenant)
    assert owner.get(url).content.decode().count('class="done"') == 2


def test_an_empty_list_says_why(viewer: Client, tenant: Tenant, url: str) -> None:
    version = factories.make_version(tenant)
    factories.make_run(version, ago=timedelta(days=3))
    text = viewer.get(url).content.decode()
    assert "No runs in this window" in text
    assert "?window=all" in text
    text = viewer.get(f"{url}?window=all&status=failed&meta=a:b").content.decode()
    assert "No run matches these filters" in text
    assert "without a:b" in text


def test_children_and_events_are_named_as_triggers(
    viewer: Client, tenant: Tenant, url: str
) -> None:
    version = factories.make_version(tenant)
    factories.make_run(version, trigger=RunTrigger.CHILD)
    factories.make_run(version, trigger=RunTrigger.EVENT, event_key="user:created")
    text = viewer.get(url).content.decode()
    assert "Parent run" in text
    assert "Event" in text
