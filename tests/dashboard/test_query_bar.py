"""The query bar: its grammar, what each term finds, and the search through time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from dashboard.query_bar import EXAMPLES, MOST_TERMS, Term, parse
from dashboard.views import runs as runs_view
from engine.models import Run, Task
from engine.states import RunTrigger, Status
from engine.states import TaskEventKind as Kind
from tenants.models import Role, Tenant, User
from tests.dashboard import factories

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
F, C = Status.FAILED, Status.COMPLETED


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("   ", []),
        ("status:failed", [Term("status", ":", (F,))]),
        ("STATUS:Failed,completed", [Term("status", ":", (F, C))]),
        ("wf:pay*", [Term("workflow", ":", "pay*")]),
        ('err:"timed out"', [Term("error", ":", "timed out")]),
        ("meta.acct=9", [Term("metadata", "=", "9", "acct")]),
        ("input.order.id:42", [Term("input", ":", "42", "order.id")]),
        ("dur>30s", [Term("duration", ">", 30.0)]),
        ("dur<=1h30m", [Term("duration", "<=", 5_400.0)]),
        ("attempt>2", [Term("attempt", ">", 2)]),
        ("-tag:x", [Term("tag", ":", "x", is_negated=True)]),
        ("at:03:12", [Term("at", ":", NOW.replace(hour=3, minute=12))]),
        ("at:13:00", [Term("at", ":", NOW.replace(day=3, hour=13))]),
        ("at:2026-05-01T03:12", [Term("at", ":", datetime(2026, 5, 1, 3, 12, tzinfo=UTC))]),
        ("since:2026-05-01", [Term("since", ":", datetime(2026, 5, 1, tzinfo=UTC))]),
        ("event:order:*", [Term("event", ":", "order:*")]),
        ("trigger:cron", [Term("trigger", ":", (RunTrigger.CRON,))]),
        ("user:created", [Term("text", ":", "user:created")]),
        (
            '"two words" -other',
            [Term("text", ":", "two words"), Term("text", ":", "other", "", True)],
        ),
        (
            "status:failed wf:pay worker:w-3",
            [
                Term("status", ":", (F,)),
                Term("workflow", ":", "pay"),
                Term("worker", ":", "w-3"),
            ],
        ),
    ],
)
def test_terms_are_read(text: str, terms: list[Term]) -> None:
    parsed = parse(text, NOW)
    assert list(parsed.terms) == terms
    assert parsed.problems == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status:broken", "a status is one of queued, running"),
        ("status>failed", "status goes with : ="),
        ("dur:soon", "dur goes with >"),
        ("dur>soon", "a duration is like"),
        ("attempt>many", "no number"),
        ("attempt>99999999999999", "no number"),
        ("at:25:00", "a time is like"),
        ("at:0001-01-01", "too far away"),
        ("meta=9", "write meta.key"),
        ("status.x:failed", "status has no keys"),
        ("trigger:magic", "a trigger is one of api"),
        ("what.is:this", "there is no field what"),
        ("size>3", "there is no field size"),
        ('wf:""', "what wf?"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, words: str) -> None:
    parsed = parse(f"{text} status:failed", NOW)
    assert parsed.terms == (Term("status", ":", (F,)),), "the rest counts"
    (problem,) = parsed.problems
    assert words in problem
    assert text in problem


def test_very_many_terms_are_not_all_used() -> None:
    parsed = parse("x " * 400, NOW)
    assert len(parsed.terms) == MOST_TERMS
    assert "Only the first" in parsed.problems[0]


@given(st.text(max_size=300))
def test_any_text_is_parsed(text: str) -> None:
    parsed = parse(text, NOW)
    assert len(parsed.terms) <= MOST_TERMS
    assert "\0" not in repr(parsed.terms).replace("\\x00", "\0")


def test_the_examples_of_the_help_are_understood() -> None:
    for text, _ in EXAMPLES:
        assert parse(text, NOW).problems == (), text


@pytest.fixture
def found(viewer: Client, tenant: Tenant) -> Callable[..., list[Run]]:
    def ask(query: str, client: Client = viewer, **others: Any) -> list[Run]:
        path = f"/t/{tenant.slug}/runs?{urlencode({'q': query, **others})}"
        answer = client.get(path)
        assert answer.status_code == 200
        runs: list[Run] = answer.context["runs"]
        return runs

    return ask


FINDS = (
    ("status:failed", "bad"),
    ("status:failed,completed", "bad good"),
    ("-status:failed", "good plain"),
    ("wf:pay*", "bad"),
    ("wf:mail", "good plain"),
    ("wf:p.y*", ""),
    ('err:"timed out"', "bad"),
    ("err:100%", "bad"),
    ("err:1_0", ""),
    ("meta.acct=9", "bad"),
    ("-meta.acct=9", "good plain"),
    ("meta.n=7", "good"),
    ("meta.note:ünï", "bad"),
    ("tag:x", "bad"),
    ("tag:acct", "bad"),
    ("tag:7", "good"),
    ("-tag:x", "good plain"),
    ("input.id:42", "bad"),
    ("input.deep.name:nobody", ""),
    ("dur>30s", "bad"),
    ("dur<30s", "good"),
    ("attempt>2", "bad"),
    ("attempt:1", "good plain"),
    ("worker:w-*", "bad"),
    ("event:order:*", "bad"),
    ("trigger:event", "bad"),
    ("trigger:api", "good plain"),
    ("id:nonsense", ""),
    ("order:pa", "bad"),
    ("timeouterror", "bad"),
    ("Ünï", "bad"),
    ("421", "good"),
    ("status:failed wf:mail", ""),
    ("nowhere", ""),
)
"""Queries, and which of three runs they find."""


def test_each_term_finds_its_runs(tenant: Tenant, found: Callable[..., list[Run]]) -> None:
    pay, other = factories.make_version(tenant, "pay-card"), factories.make_version(tenant, "mail")
    worker = factories.make_worker(tenant, "w-3")
    bad = factories.make_run(
        pay,
        F,
        metadata={"acct": "9", "tag": "x", "note": "Ünï 100%_"},
        given='{"id": 42, "deep": {"name": "Ana \\"A\\" Ünï"}}'.encode(),
        worker=worker,
        took=timedelta(seconds=40),
        event_key="order:paid",
        trigger=RunTrigger.EVENT,
    )
    good = factories.make_run(other, C, metadata={"n": 7}, given=b'{"id": 421}')
    plain = factories.make_run(other, Status.QUEUED)
    task = Task.objects.get(id=bad.id)
    Task.objects.filter(id=bad.id).update(retry_count=2)
    factories.add_event(task, Kind.FAILED, message="Traceback\nTimeoutError: it Timed Out 100%")
    factories.make_run(factories.make_version(factories.make_tenant("Elsewhere"), "pay-card"), F)
    runs = {"bad": bad.id, "good": good.id, "plain": plain.id}
    table = [*FINDS, (f"id:{str(good.id)[:18]}", "good"), (str(good.id), "good")]
    for query, wanted in table:
        expected = {runs[name] for name in wanted.split()}
        assert {run.id for run in found(query)} == expected, query


def test_who_may_not_see_inputs_does_not_search_them(
    tenant: Tenant, found: Callable[..., list[Run]], sign_in: Callable[[User], Client]
) -> None:
    factories.make_run(factories.make_version(tenant), given=b'{"secret": "hunter2"}')
    client = sign_in(factories.make_member(tenant, Role.MEMBER, can_view_payloads=False))
    assert len(found("hunter2")) == 1
    assert found("hunter2", client) == []
    answer = client.get(f"/t/{tenant.slug}/runs?q=input.secret:hunter2")
    assert "Inputs are not searched" in answer.content.decode()


def test_at_finds_what_was_under_way(tenant: Tenant, found: Callable[..., list[Run]]) -> None:
    version = factories.make_version(tenant)
    now = datetime.now(UTC)
    long = factories.make_run(version, Status.RUNNING, ago=timedelta(hours=3))
    factories.make_run(version, ago=timedelta(hours=3))
    at = now - timedelta(hours=2)
    assert [run.id for run in found(f"at:{at:%Y-%m-%dT%H:%M:%S}")] == [long.id]


def test_ranges_narrow_by_creation(tenant: Tenant, found: Callable[..., list[Run]]) -> None:
    version = factories.make_version(tenant)
    now = datetime.now(UTC)
    old = factories.make_run(version, ago=timedelta(days=3))
    new = factories.make_run(version, ago=timedelta(minutes=5))
    day = now - timedelta(days=1)
    assert [run.id for run in found(f"since:{day:%Y-%m-%dT%H:%M}", window="all")] == [new.id]
    assert [run.id for run in found(f"until:{day:%Y-%m-%dT%H:%M}", window="all")] == [old.id]
    minutes = {"to": f"{day:%Y-%m-%dT%H:%M}"}
    assert [run.id for run in found("", **minutes)] == [old.id]
    minutes = {"from": f"{day:%Y-%m-%dT%H:%M}"}
    assert [run.id for run in found("", **minutes)] == [new.id]


@pytest.mark.parametrize(
    "query",
    [
        "from=x",
        "from=0001-01-01",
        "to=9999-12-31T23:59",
        "from=2030-01-01&to=2020-01-01",
        "q=%00",
        "q=" + "a" * 5_000,
        "q=since:2030-01-01+until:2020-01-01",
        "q=err:%5C",
        "q=%22",
        "q=meta.%5C=1",
        "q=input.(:1",
        "q=wf:(*",
        "q=tag:%22",
        "q=dur>3650d",
    ],
)
def test_strange_queries_are_answered(query: str, viewer: Client, tenant: Tenant) -> None:
    factories.make_run(factories.make_version(tenant), F, metadata={"a": "\\"})
    assert viewer.get(f"/t/{tenant.slug}/runs?{query}").status_code == 200
    assert viewer.get(f"/t/{tenant.slug}/runs/live?{query}").status_code == 200


def test_pages_of_a_search_follow_each_other(
    viewer: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_view, "PAGE_SIZE", 2)
    version = factories.make_version(tenant)
    runs = [factories.make_run(version, ago=timedelta(minutes=n)) for n in range(1, 6)]
    seen: list[Any] = []
    query: str | None = "q=wf:greet"
    while query is not None:
        answer = viewer.get(f"/t/{tenant.slug}/runs?{query}")
        seen += [run.id for run in answer.context["runs"]]
        query = answer.context["older"]
    assert seen == [run.id for run in runs]
