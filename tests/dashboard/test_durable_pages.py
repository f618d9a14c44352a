"""Durable tasks on the run's page: their log step by step, what is evicted, restores and resets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.durable_steps import CONDITIONS_SHOWN, STEPS_SHOWN
from engine.domain.durable.calls import WaitAnswer, WaitCall
from engine.models import DurableEntry, DurableTask, DurableWait, Run, Task
from engine.states import Status, TaskEventKind
from tenants.models import Role, Tenant, User
from tests.dashboard import factories
from tests.operations.bench import step
from tests.operations.durable import DURABLE, DurableFlow, child, event, sleep

EVIL = "<img src=x onerror=alert(1)>"
MAX_QUERIES = 9


@pytest.fixture
def flow(db: None) -> DurableFlow:
    return DurableFlow()


@pytest.fixture
def worker_of(sign_in: Callable[[User], Client]) -> Callable[[DurableFlow], Client]:
    def enter(flow: DurableFlow) -> Client:
        return sign_in(factories.make_member(tenant_of(flow), Role.MEMBER))

    return enter


@pytest.fixture
def somebody(flow: DurableFlow, worker_of: Callable[[DurableFlow], Client]) -> Client:
    return worker_of(flow)


def tenant_of(flow: DurableFlow) -> Tenant:
    return Tenant.objects.get(id=flow.tenant_id)


def url(flow: DurableFlow, path: str = "", /, **query: object) -> str:
    run_id = Task.objects.get(id=flow.task_id).run_id
    return f"/t/{tenant_of(flow).slug}/runs/{run_id}{path}?{urlencode(query)}"


def page(client: Client, flow: DurableFlow, **query: object) -> str:
    answer = client.get(url(flow, "", **query))
    assert answer.status_code == 200
    return answer.content.decode()


def words_of(text: str, branch_id: int, node_id: int) -> str:
    """What a reader sees of one step."""
    found = re.search(
        rf'<li id="entry-{branch_id}-{node_id}".*?(?=<li id="entry|</ol>\s*<)', text, re.DOTALL
    )
    assert found, f"no step {branch_id}.{node_id}"
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found[0])).split())


def steps_in(text: str) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in re.findall(r'id="entry-(\d+)-(\d+)"', text)]


def test_each_step_says_what_it_waits_for_since_when_and_until_when(
    flow: DurableFlow, somebody: Client
) -> None:
    group = uuid4()
    flow.memo()
    flow.spawn(child(child_index=0))
    flow.call(WaitCall((sleep("90s"),), "cool down"))
    since = flow.now - timedelta(minutes=5)
    paid = event("paid", group=group, expression="input.n > 3", scope="eu", since=since)
    flow.wait(sleep("1h"), paid, sleep("2h", group=group))
    text = page(somebody, flow)
    assert steps_in(text) == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert "1 Remembered value" in words_of(text, 1, 1)
    assert "Computing" in words_of(text, 1, 1)
    assert "2 Child run of child Queued" in words_of(text, 1, 2)
    second = DurableEntry.objects.get(task_id=flow.task_id, node_id=2)
    assert f"/runs/{second.child_run_id}" in text
    until = f"{flow.now + timedelta(seconds=90):%Y-%m-%d %H:%M:%S} UTC"
    assert f"until {until}" in words_of(text, 1, 3)
    assert words_of(text, 1, 3).split()[1:6] == ["3", "Sleep", "1", "m", "30"]
    assert ") cool down Waiting since" in words_of(text, 1, 3)
    assert f"Waiting since {flow.now:%Y-%m-%d %H:%M:%S} UTC" in words_of(text, 1, 3)
    both = words_of(text, 1, 4)
    assert "4 Wait for all of" in both
    assert f"Event paid of scope eu if input.n > 3 , counted from {since:%Y-%m-%d %H:%M:%S}" in both
    assert re.search(r"or Sleep 2 h 00 m until", both)
    flow.pass_time(91)
    done = words_of(page(somebody, flow), 1, 3)
    assert f"Done after 1 m 31 s, at {flow.now:%Y-%m-%d %H:%M:%S} UTC" in done
    assert "until" not in done
    flow.pass_time(3600)
    both = words_of(page(somebody, flow), 1, 4)
    assert "Sleep 1 h 00 m met" in both
    assert "Waiting" in both
    flow.push_event("paid", scope="eu", n=4)
    both = words_of(page(somebody, flow), 1, 4)
    assert "Done" in both
    assert "Event paid or Sleep 2 h 00 m" in both


def test_a_child_that_failed_says_why(flow: DurableFlow, somebody: Client) -> None:
    [(_, run_id)] = flow.spawn(child(child_index=0))
    DurableEntry.objects.filter(child_run_id=run_id).update(
        satisfied_at=flow.now, error=f"ValueError: {EVIL}"
    )
    text = page(somebody, flow)
    assert f"Failed after 0 ms, at {flow.now:%Y-%m-%d %H:%M:%S} UTC" in words_of(text, 1, 1)
    assert f"ValueError: {EVIL}" in words_of(text, 1, 1)
    assert EVIL not in text
    Run.objects.filter(id=run_id).delete()
    assert f"/runs/{run_id}" not in page(somebody, flow)


def test_whatever_workers_write_is_shown_as_text(flow: DurableFlow, somebody: Client) -> None:
    flow.call(WaitCall((event(EVIL, scope=EVIL, expression=EVIL),), EVIL))
    flow.call(WaitCall((event("k" * 2_000),), "l" * 100_000))
    text = page(somebody, flow)
    assert EVIL not in text
    assert words_of(text, 1, 1).count(EVIL) == 4
    assert len(text) < 40_000


def test_a_wait_for_many_things_is_cut(flow: DurableFlow, somebody: Client) -> None:
    group = uuid4()
    flow.wait(*(event(f"key-{number:04}", group=group) for number in range(1_000)))
    text = page(somebody, flow)
    assert text.count("key-") == CONDITIONS_SHOWN
    assert f"and {1_000 - CONDITIONS_SHOWN} more" in words_of(text, 1, 1)
    flow.push_event("key-0007")
    text = page(somebody, flow)
    assert text.count("key-") == CONDITIONS_SHOWN
    assert f"and {1_000 - CONDITIONS_SHOWN} more" in words_of(text, 1, 1)


def test_what_ended_or_never_ends_is_not_said_to_wait(flow: DurableFlow, somebody: Client) -> None:
    body = flow.call(WaitCall((sleep("1h"),)))
    assert isinstance(body, WaitAnswer)
    flow.wait()
    assert "Wait for nothing" in words_of(page(somebody, flow), 1, 2)
    DurableWait.objects.update(due_at=None)
    assert "Sleep 1 h 00 m , which never ends" in words_of(page(somebody, flow), 1, 1)
    flow.end("work")
    text = words_of(page(somebody, flow), 1, 1)
    assert "Open" in text
    assert "Waiting" not in text


def test_a_reset_makes_a_branch_and_leaves_the_other_behind(
    flow: DurableFlow, somebody: Client
) -> None:
    flow.memo()
    flow.wait(sleep("1h"))
    flow.wait(event("paid"))
    text = page(somebody, flow)
    assert "Branch 1" not in text
    path = url(flow, f"/tasks/{flow.task_id}/reset", step="1.2")
    assert unescape(path.partition("?")[0]) + "?step=1.2" in text
    asked = " ".join(somebody.get(path).content.decode().split())
    assert "Reset to step 2?" in asked
    assert "What the task does now is stopped first." in asked
    assert DurableTask.objects.get(task_id=flow.task_id).branch_id == 1
    answer = somebody.post(path, follow=True)
    text = answer.content.decode()
    assert "The task runs again from step 2 on, on branch 2." in text
    assert answer.redirect_chain == [(url(flow, tab="durable", task=flow.task_id), 302)]
    task = Task.objects.get(id=flow.task_id)
    assert (task.status, task.retry_count) == (Status.QUEUED, 1)
    assert "left behind" not in words_of(text, 1, 1)
    assert "left behind" in words_of(text, 1, 2)
    assert "Not done" in words_of(text, 1, 3)
    assert "until" not in words_of(text, 1, 2)
    shown = " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())
    assert "Branch 2 current reset to step 2 of branch 1, the steps before it are shared" in shown
    assert "Nothing recorded on this branch yet." in shown


def test_a_step_that_is_not_there_cannot_be_reset_to(flow: DurableFlow, somebody: Client) -> None:
    flow.memo()
    for wrong in ("", "1", "1.2", "2.1", "0.1", "1.0", "-1.1", "x.y", "1.1.1", "9" * 30 + ".1"):
        path = url(flow, f"/tasks/{flow.task_id}/reset", step=wrong)
        assert somebody.get(path).status_code == 404, wrong
        assert somebody.post(path).status_code == 404, wrong
    assert somebody.get(url(flow, f"/tasks/{uuid4()}/reset", step="1.1")).status_code == 404
    assert somebody.post(url(flow, f"/tasks/{uuid4()}/restore")).status_code == 404
    assert DurableTask.objects.get(task_id=flow.task_id).branch_id == 1


def test_a_task_of_another_run_is_not_acted_on(flow: DurableFlow, somebody: Client) -> None:
    flow.memo()
    flow.wait(sleep("1h"))
    flow.evict()
    other = flow.trigger()
    path = f"/t/{tenant_of(flow).slug}/runs/{other}/tasks/{flow.task_id}"
    assert somebody.post(f"{path}/reset?step=1.1").status_code == 404
    assert somebody.post(f"{path}/restore").status_code == 404
    assert flow.task.is_off_worker


def test_an_evicted_task_says_so_and_is_restored(flow: DurableFlow, somebody: Client) -> None:
    flow.wait(sleep("1h"), event("paid"))
    assert "Evicted" not in page(somebody, flow)
    flow.evict()
    text = page(somebody, flow)
    assert '<span class="chip s-evicted">' in text
    ends = flow.now + timedelta(hours=1)
    assert f"Its next sleep ends at {ends:%Y-%m-%d %H:%M:%S} UTC" in text
    path = url(flow, f"/tasks/{flow.task_id}/restore")
    assert path.rstrip("?") in text
    text = somebody.post(path, follow=True).content.decode()
    assert "Task queued: it goes back to a worker." in text
    assert "Evicted: the task" not in text
    task = flow.task
    assert (task.status, task.is_evicted) == (Status.QUEUED, True)
    again = somebody.post(path, follow=True).content.decode()
    assert "Nothing to restore" in again
    events = somebody.get(url(flow, tab="timeline")).content.decode()
    assert events.count("Brought back to a worker") == 1
    assert TaskEventKind.DURABLE_EVICTED.name not in events


def test_invocations_are_counted(flow: DurableFlow, somebody: Client) -> None:
    assert "Given to a worker 1 time." in page(somebody, flow, tab="durable")
    flow.wait(event("paid"))
    flow.evict()
    flow.push_event("paid")
    flow.assign()
    text = " ".join(page(somebody, flow).split())
    assert "Given to a worker 2 times." in text
    assert "<dt>Invocations</dt> <dd> 2 </dd>" in text


def test_a_viewer_sees_the_log_and_no_buttons(
    flow: DurableFlow, sign_in: Callable[[User], Client]
) -> None:
    flow.wait(event("paid"))
    flow.evict()
    viewer = sign_in(factories.make_member(tenant_of(flow), Role.VIEWER))
    text = page(viewer, flow)
    assert "Event paid" in words_of(text, 1, 1)
    assert "/reset" not in text
    assert "/restore" not in text


def test_a_long_log_is_shown_in_pages_that_update_themselves(
    flow: DurableFlow, somebody: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    flow.record(*(WaitCall((event(f"key-{number}"),)) for number in range(STEPS_SHOWN + 3)))
    flow.spawn(child(child_index=0))
    path = url(flow)
    with django_assert_max_num_queries(MAX_QUERIES):
        text = somebody.get(path).content.decode()
    assert steps_in(text) == [(1, node) for node in range(5, STEPS_SHOWN + 5)]
    assert 'before=1.5#details">Earlier steps' in text
    assert "Latest steps" not in text
    earlier = page(somebody, flow, tab="durable", before="1.5")
    assert steps_in(earlier) == [(1, node) for node in range(1, 5)]
    assert "Earlier steps" not in earlier
    assert "Latest steps" in earlier
    live = re.search(r'hx-get="([^"]+/runs/[^"]+)"', earlier)
    assert live
    fragment = somebody.get(unescape(live[1])).content.decode()
    assert steps_in(fragment) == steps_in(earlier)
    for nonsense in ("x", "1", "1.x", "99999999999999999999.1"):
        assert len(steps_in(page(somebody, flow, tab="durable", before=nonsense))) == STEPS_SHOWN


def test_steps_of_a_graph_have_a_log_each(
    db: None, worker_of: Callable[[DurableFlow], Client]
) -> None:
    rest = type(DURABLE)("rest", "flow:rest", is_durable=True, slots={"durable": 1})
    flow = DurableFlow(DURABLE, rest, step("plain"))
    somebody = worker_of(flow)
    flow.task_id = task_named(flow, "work")
    flow.wait(event("paid"))
    text = page(somebody, flow)
    assert "Durable log" in text
    assert steps_in(text) == []
    text = page(somebody, flow, tab="durable")
    assert "Event paid" in words_of(text, 1, 1)
    other = task_named(flow, "rest")
    assert f"?tab=durable&amp;task={other}#details" in text
    assert "Nothing recorded yet" in page(somebody, flow, tab="durable", task=other)
    foreign = page(somebody, flow, tab="durable", task=uuid4())
    assert steps_in(foreign) == [(1, 1)]
    flow.evict()
    text = page(somebody, flow)
    assert "<b>work</b> is evicted" in text
    assert '<span class="chip s-evicted">' not in text


def task_named(flow: DurableFlow, name: str) -> UUID:
    (step_id,) = [each.id for each in flow.version.steps if each.definition.readable_id == name]
    return Task.objects.get(step_id=step_id).id


def test_an_ordinary_run_has_no_durable_log(viewer: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant))
    text = viewer.get(f"/t/{tenant.slug}/runs/{run.id}?tab=durable").content.decode()
    assert "Durable log" not in text
    assert "Invocations" not in text


def test_the_list_marks_and_finds_runs_that_wait_without_a_worker(
    flow: DurableFlow, somebody: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    flow.wait(event("paid"))
    other = flow.trigger()
    base = f"/t/{tenant_of(flow).slug}/runs"
    text = somebody.get(base).content.decode()
    assert 'chip s-evicted">' not in text
    assert (
        f'id="run-{flow.task_id}"' not in somebody.get(f"{base}?running=evicted").content.decode()
    )
    flow.evict()
    with django_assert_num_queries(7):
        text = somebody.get(base).content.decode()
    row = re.search(rf'<tr id="run-{flow.task_id}">.*?</tr>', text, re.DOTALL)
    assert row
    assert 'chip s-evicted">' in row[0]
    assert text.count('chip s-evicted">') == 1
    text = somebody.get(f"{base}/live?running=evicted").content.decode()
    assert f'id="run-{flow.task_id}"' in text
    assert f'id="run-{other}"' not in text
    assert f"{base}/live?running=evicted" in text
    flow.restore()
    text = somebody.get(f"{base}?running=evicted").content.decode()
    assert f'id="run-{flow.task_id}"' not in text
    assert "evicted or not" in text


def test_a_log_of_another_tenant_is_not_shown(
    flow: DurableFlow, stranger: Client, tenant: Tenant, member: Client
) -> None:
    flow.wait(event("secret-key"))
    assert stranger.get(url(flow)).status_code == 404
    foreign = f"/t/{tenant.slug}/runs/{flow.task_id}"
    for path in ("", "/live", f"/tasks/{flow.task_id}/reset?step=1.1"):
        answer = member.get(foreign + path)
        assert answer.status_code == 404
        assert "secret-key" not in answer.content.decode()
    own = factories.make_run(factories.make_version(tenant), Status.RUNNING)
    text = member.get(f"/t/{tenant.slug}/runs/{own.id}?tab=durable&task={flow.task_id}")
    assert "secret-key" not in text.content.decode()
    assert json.loads(DurableEntry.objects.get(task_id=flow.task_id).detail or "")
