"""The search for runs through time, and the bars over their list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from dashboard.histogram import MOST_BARS, bucket_width, histogram
from engine.ids import id_at, time_of
from engine.models import Run, run_search
from engine.models.run_queries import runs_of
from engine.models.run_search import Bounds, search
from engine.states import Status
from tenants.models import Tenant
from tests.dashboard import factories

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
F, C = Status.FAILED, Status.COMPLETED

# The search itself


class Ticks:
    """A clock that is a second later whenever it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def looked(
    tenant: Tenant, *, budget: float = 100, size: int = 50, before: datetime | None = None
) -> Any:
    bounds = Bounds(tenant.id, id_at(before or datetime.now(UTC)), None)
    return search(
        runs_of(tenant.id).filter(status=F), bounds, size=size, clock=Ticks(), budget=budget
    )


def test_a_search_says_how_far_it_came_and_goes_on_from_there(tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    old = factories.make_run(version, F, ago=timedelta(days=20))
    new = factories.make_run(version, F, ago=timedelta(minutes=3))
    first = looked(tenant, budget=2)
    assert [run.id for run in first.runs] == [new.id]
    assert first.has_more
    assert first.looked_back_to is not None
    rest = looked(tenant, before=first.looked_back_to)
    assert [run.id for run in rest.runs] == [old.id]
    assert (rest.has_more, rest.looked_back_to) == (False, None)


def test_a_search_ends_with_the_page(tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    for number in range(4):
        factories.make_run(version, F, ago=timedelta(minutes=number + 1))
    page = looked(tenant, size=3)
    assert (len(page.runs), page.has_more, page.looked_back_to) == (3, True, None)


def test_nothing_is_found_where_nothing_is(tenant: Tenant) -> None:
    assert looked(tenant).runs == []


def test_slices_that_take_too_long_become_smaller(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = factories.make_run(factories.make_version(tenant), F, ago=timedelta(seconds=30))
    widths: list[timedelta] = []
    slice_of = run_search._slice

    def slow(runs: Any, lower: Any, upper: Any, most: int) -> Any:
        width = time_of(upper) - time_of(lower)
        widths.append(width)
        return None if width > timedelta(minutes=10) else slice_of(runs, lower, upper, most)

    monkeypatch.setattr(run_search, "_slice", slow)
    factories.make_run(factories.make_version(tenant, "older"), F, ago=timedelta(hours=5))
    found = looked(tenant, budget=9)
    assert run.id in [one.id for one in found.runs]
    assert found.looked_back_to is not None
    assert widths[0] > widths[1]


def test_a_statement_that_takes_too_long_is_ended(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_search, "STATEMENT_MS", 50)
    slow = runs_of(tenant.id).extra(where=["pg_sleep(5) IS NOT NULL"])
    factories.make_run(factories.make_version(tenant))
    bounds = Bounds(tenant.id, id_at(datetime.now(UTC) + timedelta(minutes=1)), None)
    found = search(slow, bounds, size=5, clock=Ticks(), budget=1)
    assert found.looked_back_to is not None
    assert Run.objects.filter(tenant_id=tenant.id).count() == 1, "the transaction lives"
    monkeypatch.setattr(run_search, "connection", _Broken())
    with pytest.raises(OperationalError, match="other"):
        search(slow, bounds, size=5, clock=Ticks(), budget=1)


class _Broken:
    def cursor(self) -> None:
        raise OperationalError("other trouble")


# The bars over the list


def test_bars_count_runs_and_lead_to_their_time() -> None:
    since = NOW - timedelta(hours=1)
    counts = {
        (since, C): 6,
        (since, F): 2,
        (NOW - timedelta(minutes=30), F): 4,
        (since, Status.QUEUED): -1,
    }
    marks = [(NOW - timedelta(minutes=30), "pay: version 3"), (NOW - timedelta(days=1), "old")]
    drawn = histogram(counts, (since, NOW), timedelta(minutes=30), marks)
    first, second = drawn.bars
    assert (first.total, first.failed, second.total, second.failed) == (8, 2, 4, 4)
    assert (first.height, second.height, second.failed_height) == (64, 32, 32)
    assert first.query == "from=2026-05-04T11%3A00&to=2026-05-04T11%3A30"
    assert [(mark.x, mark.words) for mark in drawn.marks] == [
        (480, "2026-05-04 11:30 UTC: pay: version 3")
    ]


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30_000)))
def test_there_are_never_too_many_bars(length: timedelta) -> None:
    width = bucket_width(NOW, NOW + length)
    assert len(histogram({}, (NOW, NOW + length), width).bars) <= MOST_BARS + 1


def test_the_list_has_bars_where_the_tally_can_tell(viewer: Client, tenant: Tenant) -> None:
    factories.make_run(factories.make_version(tenant), F)
    url = f"/t/{tenant.slug}/runs"
    text = viewer.get(url).content.decode()
    assert "1 runs, 1 failed" in text
    assert "greet: version 1" in text
    for query in ("meta=a:b", "q=x", "window=all", "id=ffff0000"):
        assert "histogram" not in viewer.get(f"{url}?{query}").context, query


def test_several_statuses_are_chosen_one_after_the_other(viewer: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    for status in Status:
        factories.make_run(version, status)
    url, query = f"/t/{tenant.slug}/runs", ""
    for status in (F, Status.CANCELLED):
        chips = viewer.get(f"{url}?{query}").context["chips"]
        query = next(chip["query"] for chip in chips if chip["status"] is status)
    answer = viewer.get(f"{url}?{query}")
    assert {run.status for run in answer.context["runs"]} == {F, Status.CANCELLED}
    chips = answer.context["chips"]
    off = next(chip["query"] for chip in chips if chip["status"] is F)
    assert off == "status=cancelled"
