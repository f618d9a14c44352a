"""The Logs page: the lines of all tasks, their histogram, and the search in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import urlencode

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.log_histogram import HEIGHT, draw
from dashboard.views import logs
from engine.domain.time_buckets import TimeBuckets
from engine.models import Run, Task
from engine.states import LogLevel
from tenants.models import Tenant
from tests.dashboard import factories

MAX_QUERIES = 20


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/logs"


@pytest.fixture
def run(tenant: Tenant) -> Run:
    return factories.make_run(factories.make_version(tenant, "greet"))


@pytest.fixture
def task(run: Run) -> Task:
    return Task.objects.get(run_id=run.id)


def page(client: Client, url: str, **query: object) -> str:
    answer = client.get(f"{url}?{urlencode(query)}")
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_an_empty_page_says_what_will_be_there(viewer: Client, url: str) -> None:
    assert "No log lines in the last 24 hours" in page(viewer, url)


def test_lines_say_what_wrote_them_and_lead_to_their_run(
    viewer: Client,
    url: str,
    task: Task,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(20):
        factories.add_log(task, f"<b>line {number}</b>", LogLevel.WARN)
    factories.add_log(task, "", LogLevel.ERROR)
    other = factories.make_run(factories.make_version(factories.make_tenant("Elsewhere")))
    factories.add_log(Task.objects.get(run_id=other.id), "foreign")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, url)
    raw = viewer.get(url).content.decode()
    assert "&lt;b&gt;line 7&lt;/b&gt;" in raw
    assert "<b>line" not in raw
    assert "greet · say" in " ".join(text.split())
    assert f"/runs/{task.run_id}?tab=logs#details" in text
    assert "<b>20</b> warn" in text
    assert "<b>1</b> error" in text
    assert "20 warn, 1 error" in text
    assert "foreign" not in text


def test_filters_narrow_the_list(
    viewer: Client, url: str, tenant: Tenant, task: Task, run: Run
) -> None:
    other = factories.make_run(factories.make_version(tenant, "other"))
    factories.add_log(task, "50% done_now")
    factories.add_log(Task.objects.get(run_id=other.id), "50 doneXnow", LogLevel.ERROR)
    for query, is_other in (
        ({"search": "50%"}, False),
        ({"search": "DONE_NOW"}, False),
        ({"search": "50 d"}, True),
        ({"level": "warn"}, True),
        ({"workflow": run.workflow_id}, False),
        ({"workflow": other.workflow_id}, True),
        ({"run": run.id}, False),
    ):
        text = page(viewer, url, **query)
        assert ("50 doneXnow" in text, "50% done_now" in text) == (is_other, not is_other), query
    assert "No line here" in page(viewer, url, attempt=2)
    assert "is not a run's id" in page(viewer, url, run="abc")


@pytest.mark.parametrize(
    "query",
    [
        {"attempt": "99999999999999999999", "before": "x", "window": "1000y", "level": "LOUD"},
        {"since": "9999-12-31T23:59:59-12:00", "until": "10000"},
        {"since": "0001-01-01T00:00:00+12:00", "until": "9999-01-01"},
        {"since": "2030-01-02", "until": "2030-01-01"},
        {"search": "\0%_\\" * 3_000, "run": "\0", "attempt": "²"},
    ],
)
def test_what_makes_no_sense_is_left_out(
    viewer: Client, url: str, task: Task, query: dict[str, str]
) -> None:
    factories.add_log(task, "hello")
    page(viewer, url, **query)
    assert viewer.get(f"{url}/live?{urlencode(query)}").status_code == 200


def test_a_bar_narrows_the_page_to_its_time(viewer: Client, url: str, task: Task) -> None:
    line = factories.add_log(task, "then")
    at = line.created_at.replace(second=0, microsecond=0)
    around = {"since": at.isoformat(), "until": (at + timedelta(minutes=1)).isoformat()}
    text = page(viewer, url, **around)
    assert "then" in text
    assert "Back to the window" in text
    before = {"since": (at - timedelta(minutes=1)).isoformat(), "until": at.isoformat()}
    assert "No line here" in page(viewer, url, **before)


def test_a_search_that_stops_says_where_and_goes_on(
    viewer: Client, url: str, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MOST_LOOKED_AT", 3)
    lines = [factories.add_log(task, message) for message in ("needle", *["hay"] * 4)]
    text = page(viewer, url, search="needle")
    assert "No line so far" in text
    assert f"Looked back to {lines[2].created_at:%Y-%m-%d %H:%M:%S} UTC" in text
    assert "Search on" in text
    further = page(viewer, url, search="needle", before=lines[2].id)
    assert "needle</span>" in further
    assert "Search on" not in further


def test_pages_follow_each_other(
    viewer: Client, url: str, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "PAGE_SIZE", 2)
    lines = [factories.add_log(task, f"line-{number}.") for number in range(5)]
    first = page(viewer, url)
    assert ("line-4." in first, "line-3." in first, "line-2." in first) == (True, True, False)
    assert f"before={lines[3].id}" in first
    last = page(viewer, url, before=lines[1].id)
    assert "line-0." in last
    assert "Older" not in last
    assert "Newest" in last


def test_a_live_fragment_is_the_list_alone(viewer: Client, url: str, task: Task) -> None:
    factories.add_log(task, "hello")
    answer = viewer.get(f"{url}/live")
    assert answer.content.startswith(b'<section class="card"')
    again = viewer.get(f"{url}/live", headers={"HX-PTag": answer["HX-PTag"]})
    assert again.status_code in {200, 304}


def test_bars_are_as_high_as_there_are_lines() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    buckets = TimeBuckets(start, start + timedelta(minutes=3))
    at = list(buckets.times())
    counts = {(at[1], LogLevel.INFO): 60, (at[1], LogLevel.ERROR): 40, (at[2], LogLevel.INFO): 1}
    drawn = draw(counts, buckets, at[0])
    assert [bar.number for bar in drawn.bars] == [None, 100, 1, 0]
    error, info = drawn.bars[1].pieces
    assert (error.level, info.level) == ("error", "info")
    assert error.y + error.height == HEIGHT
    assert info.y >= 0
    assert info.height / error.height == pytest.approx(1.5, abs=0.01)
    (single,) = drawn.bars[2].pieces
    assert single.height >= 1.5
    assert drawn.totals == [("debug", 0), ("info", 61), ("warn", 0), ("error", 40)]
    assert draw({}, buckets, None).bars[0].words == "no lines"
