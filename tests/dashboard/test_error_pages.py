"""Errors: one line for what is the same, what it is and since when, and what people do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.sparkline import hours_before, sparkline
from dashboard.tracebacks import parts_of
from engine.models import BulkAction, ErrorGroup, Run, Task
from engine.states import BulkKind, BulkState, ErrorState, Status
from tenants.models import AuditEntry, Role, Tenant, User
from tests.dashboard import factories, failed

MAX_QUERIES = 7
EVIL = "<script>alert(1)</script>"
TRACE = """ValueError: bad amount 17
Traceback (most recent call last):
  File "/app/site-packages/hatchet_sdk/runner.py", line 3, in run
    await task()
  File "/app/site-packages/hatchet_sdk/task.py", line 4, in call
    return fn()
  File "/srv/shop/charge.py", line 40, in charge
    raise ValueError(EVIL)
""".replace("EVIL", EVIL)


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/errors"


def failure(tenant: Tenant, error: str = "ValueError: boom", name: str = "greet") -> ErrorGroup:
    run = factories.make_run(factories.make_version(tenant, name), Status.FAILED)
    return failed.add_failure(Task.objects.get(run_id=run.id), error)


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_the_list_has_one_line_for_what_is_the_same(
    viewer: Client,
    tenant: Tenant,
    url: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    group, *_ = [failure(tenant, f"ValueError: bad amount {n} of {EVIL}") for n in range(3)]
    failure(factories.make_tenant("Elsewhere"), "KeyError: foreign")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, url)
    assert text.count('<tr id="error-') == 1
    row = text[text.index(f'id="error-{group.id}"') :].partition("</tr>")[0]
    assert "<b>ValueError</b>:" in row
    assert "bad amount &lt;n&gt; of" in row
    assert 'data-label="times">3<' in row
    assert "<title>3 from" in row
    assert EVIL not in text
    assert "foreign" not in text


def test_states_have_tabs_with_counts(member: Client, tenant: Tenant, url: str) -> None:
    first, second = failure(tenant, "A: x"), failure(tenant, "B: x", "other")
    member.post(f"{url}/{first.id}/state", {"state": "resolved"})
    for state, shown, hidden in (("open", second, first), ("resolved", first, second)):
        text = page(member, f"{url}?state={state}")
        assert f'id="error-{shown.id}"' in text
        assert f'id="error-{hidden.id}"' not in text
    answer = member.get(url)
    assert [(name, count) for name, count, _, _ in answer.context["tabs"]] == [
        ("Open", 1),
        ("Resolved", 1),
        ("Muted", 0),
    ]
    narrowed = page(member, f"{url}?workflow={first.workflow_id}")
    assert "No open errors of this workflow" in narrowed
    assert "No muted errors" in page(member, f"{url}?state=muted")
    assert "No open errors" in page(viewer_of_nothing(tenant), url.replace(tenant.slug, "none"))


def viewer_of_nothing(tenant: Tenant) -> Client:
    other = Tenant.objects.create(name="None", slug="none")
    client = Client()
    client.force_login(factories.make_member(other, Role.VIEWER))
    return client


def test_pages_follow_each_other(
    viewer: Client, tenant: Tenant, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.views.errors.PAGE_SIZE", 2)
    groups = [failure(tenant, f"{letter}: x") for letter in "ABC"]
    first = viewer.get(url)
    assert [group.id for group, _ in first.context["rows"]] == [groups[2].id, groups[1].id]
    second = viewer.get(f"{url}?{first.context['older']}")
    assert [group.id for group, _ in second.context["rows"]] == [groups[0].id]
    assert second.context["older"] is None


@pytest.mark.parametrize(
    "query",
    [
        "state=x",
        "workflow=x",
        "before=x",
        "before=%00_%00",
        "before=9999-99-99_1",
        "before=_",
        "state=%00",
    ],
)
def test_queries_that_make_no_sense_do_no_harm(query: str, viewer: Client, url: str) -> None:
    page(viewer, f"{url}?{query}")


def test_one_error_shows_its_sample_with_its_own_frames_marked(
    viewer: Client,
    tenant: Tenant,
    url: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    group = failure(tenant, TRACE)
    with django_assert_max_num_queries(14):
        text = page(viewer, f"{url}/{group.id}")
    assert "<summary>2 frames of libraries</summary>" in text
    assert '<pre class="own"> File &quot;/srv/shop/charge.py&quot;' in text
    assert EVIL not in text
    assert "version 1" in text
    assert "never on a worker" in text
    assert f"/runs/{group.run_id}" in text
    assert "shop/charge.py in charge" in text
    assert "Resolve" not in text, "viewers only look"


def test_a_fragment_is_what_the_page_includes(viewer: Client, tenant: Tenant, url: str) -> None:
    group = failure(tenant)
    fragment = viewer.get(f"{url}/{group.id}/live").content.decode()
    assert fragment in viewer.get(f"{url}/{group.id}").content.decode()
    assert viewer.get(f"{url}/live").content.decode() in viewer.get(url).content.decode()
    assert page(viewer, f"{url}/number").startswith('<span class="nav-number" id="nav-errors">1')


def test_resolving_muting_and_opening_are_told_and_audited(
    member: Client, tenant: Tenant, url: str
) -> None:
    group = failure(tenant)
    one = f"{url}/{group.id}"
    for form, state, words in (
        ({"state": "resolved"}, ErrorState.RESOLVED, "Resolved."),
        ({"state": "open"}, ErrorState.OPEN, "Open again."),
        ({"state": "muted", "for": "day"}, ErrorState.MUTED, "Muted for a day."),
        ({"state": "muted"}, ErrorState.MUTED, "Muted until somebody opens it."),
    ):
        answer = member.post(f"{one}/state", form, follow=True)
        assert words in answer.content.decode()
        group.refresh_from_db()
        assert group.state == state
    assert group.muted_until is None
    entries = AuditEntry.objects.filter(tenant_id=tenant.id, action="error.state").order_by("id")
    assert [(entry.after or {})["state"] for entry in entries] == [
        "resolved",
        "open",
        "muted",
        "muted",
    ]
    assert {entry.resource_id for entry in entries} == {str(group.id)}


@pytest.mark.parametrize(
    "form", [{}, {"state": "x"}, {"state": "muted", "for": "x"}, {"state": "\0"}]
)
def test_states_that_do_not_exist_change_nothing(
    form: dict[str, str], member: Client, tenant: Tenant, url: str
) -> None:
    group = failure(tenant)
    assert member.post(f"{url}/{group.id}/state", form).status_code == 400
    group.refresh_from_db()
    assert group.state == ErrorState.OPEN


def test_a_group_is_assigned_to_members_only(
    member: Client, tenant: Tenant, url: str, sign_in: Callable[[User], Client]
) -> None:
    group = failure(tenant)
    ann, stranger = factories.make_member(tenant, Role.VIEWER), factories.make_user()
    assign = f"{url}/{group.id}/assign"
    assert member.post(assign, {"member": str(ann.id)}).status_code == 302
    assert ann.email in page(sign_in(ann), url)
    for wrong, status in ((str(stranger.id), 404), (str(uuid4()), 404), ("x", 400), ("\0", 400)):
        assert member.post(assign, {"member": wrong}).status_code == status
    group.refresh_from_db()
    assert group.assignee_id == ann.id
    member.post(assign, {"member": ""})
    group.refresh_from_db()
    assert group.assignee_id is None


def test_replaying_says_how_many_and_starts_a_bulk_action(
    member: Client, tenant: Tenant, url: str
) -> None:
    version = factories.make_version(tenant)
    runs = [factories.make_run(version, Status.FAILED) for _ in range(2)]
    group, _ = [failed.add_failure(Task.objects.get(run_id=run.id)) for run in runs]
    Run.objects.filter(id=runs[0].id).update(status=Status.COMPLETED)  # replayed before
    other = failure(tenant, "Other: x")
    text = page(member, f"{url}/{group.id}/replay")
    assert "Replay 1 run?" in text
    assert f"/runs/{runs[1].id}" in text
    answer = member.post(f"{url}/{group.id}/replay", follow=True)
    assert "1 runs are being replayed." in answer.content.decode()
    (action,) = BulkAction.objects.filter(tenant_id=tenant.id)
    assert (action.kind, action.state, action.total) == (BulkKind.REPLAY, BulkState.RUNNING, 1)
    assert action.error_group_id == group.id
    assert "Replaying: 0 of 1 runs." in page(member, f"{url}/{group.id}")
    assert "Replaying" not in page(member, f"{url}/{other.id}")


def test_nothing_to_replay_is_said(member: Client, tenant: Tenant, url: str) -> None:
    group = failure(tenant)
    Run.objects.filter(id=group.run_id).update(status=Status.RUNNING)
    assert "No run stands failed in this way now." in page(member, f"{url}/{group.id}/replay")


NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


def test_bars_are_as_high_as_their_counts() -> None:
    hours = hours_before(NOW, 3)
    assert hours == [NOW.replace(minute=0) - timedelta(hours=back) for back in (2, 1, 0)]
    line = sparkline({hours[0]: 50, hours[2]: 100}, hours, width=30, height=20)
    assert [(bar.x, bar.y, bar.height) for bar in line.bars] == [
        (0, 10, 10),
        (10, 20, 0),
        (20, 0, 20),
    ]
    assert (line.total, line.highest) == (150, 100)
    assert line.words == "150 from 2026-05-04 10:00 to 2026-05-04 12:00 UTC"


def test_few_among_many_can_be_seen() -> None:
    hours = hours_before(NOW, 2)
    line = sparkline({hours[0]: 1, hours[1]: 10**9}, hours)
    assert [bar.height >= 2 for bar in line.bars] == [True, True]
    assert sparkline({}, hours).highest == 0


@pytest.mark.parametrize(
    "error", [TRACE, "", "\n", "plain\ntext\r\n", '  File "x", line 1, in y', "a\x0bb\n"]
)
def test_the_parts_of_an_error_are_the_error(error: str) -> None:
    assert "".join(part.text for part in parts_of(error)) == error
