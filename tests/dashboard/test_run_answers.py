"""A run's page answers on one screen: what failed first, when, its children in numbers, its log, and how to repeat it."""

from __future__ import annotations

import ast
import json
import shlex
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from dashboard import snippets
from engine.models import Run, Task
from engine.states import LogLevel, PayloadKind, Status
from engine.states import TaskEventKind as Kind
from tenants.models import Role, Tenant
from tests.dashboard import factories

EVIL = "<script>alert(1)</script>"


def page(client: Client, tenant: Tenant, run: Run, query: str = "") -> str:
    answer = client.get(f"/t/{tenant.slug}/runs/{run.id}{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def graph(tenant: Tenant) -> tuple[Run, dict[str, Task]]:
    """A run of which `b`, then `a`, failed; `ok` completed."""
    steps = [factories.step("ok"), factories.step("a"), factories.step("b")]
    version = factories.make_version(tenant, "flow", steps)
    states = {"ok": Status.COMPLETED, "a": Status.FAILED, "b": Status.FAILED}
    run = factories.make_run(version, Status.FAILED, step_states=states)
    of_step = {task.step_id: task for task in Task.objects.filter(run_id=run.id)}
    tasks = {one.readable_id: of_step[one.id] for one in version.steps.all()}
    for name, ms in (("b", 100), ("a", 200), ("ok", 50)):
        task = tasks[name]
        factories.add_event(task, Kind.QUEUED)
        factories.add_event(task, Kind.STARTED, after_ms=10)
        kind = Kind.FINISHED if name == "ok" else Kind.FAILED
        factories.add_event(task, kind, after_ms=ms, message=f"{name} broke")
        if name != "ok":
            factories.add_outcome(task, PayloadKind.ERROR, f"{name}Error: {EVIL}".encode())
            finished = task.created_at + (timedelta(milliseconds=ms))
            Task.objects.filter(id=task.id).update(finished_at=finished)
    factories.add_outcome(tasks["ok"], PayloadKind.OUTPUT, b'{"fine": 1}')
    return run, tasks


def test_what_failed_comes_first_and_outputs_are_folded(viewer: Client, tenant: Tenant) -> None:
    run, _ = graph(tenant)
    text = page(viewer, tenant, run)
    first, second = text.index("bError: &lt;script&gt;"), text.index("aError: &lt;script&gt;")
    assert text.index('id="ending"') < first < second < text.index('aria-label="Facts"')
    assert text.index("Output of ok") > second
    assert '<details class="card folded"> <summary> <h2>Output of ok</h2>' in text
    table = text[text.index('<tr id="step-') :]
    assert table.index("step-a") < table.index("step-ok")
    assert EVIL not in text


def test_bars_say_when_steps_waited_and_ran(viewer: Client, tenant: Tenant) -> None:
    run, _ = graph(tenant)
    text = page(viewer, tenant, run)
    drawn = text[text.index('<svg class="gantt"') :].partition("</svg>")[0]
    assert drawn.count('class="lane"') == 3
    assert drawn.count("o-failed") == 2
    assert "<title>b, attempt 1: ran 90 ms</title>" in drawn


def test_a_run_that_has_no_log_yet_has_no_bars(viewer: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), Status.QUEUED)
    assert 'class="gantt"' not in page(viewer, tenant, run)


def test_children_are_counted_and_failed_ones_come_first(
    viewer: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = factories.make_version(tenant)
    parent = factories.make_run(version)
    mine: dict[str, Any] = {"parent_run_id": parent.id, "parent_task_id": parent.id}
    done = [factories.make_run(version, **mine) for _ in range(3)]
    failed = factories.make_run(version, Status.FAILED, **mine)
    factories.make_run(version, parent_run_id=failed.id, parent_task_id=failed.id)
    text = page(viewer, tenant, parent, "?tab=children")
    details = text[text.index('id="details"') :]
    assert "4 runs:" in details
    assert "3 completed" in details
    assert "1 failed" in details
    assert details.index(str(failed.id)) < details.index(str(done[0].id))
    assert "1 of its own" in details
    monkeypatch.setattr("dashboard.views.run.CHILDREN_SHOWN", 1)
    text = page(viewer, tenant, parent, "?tab=children")
    assert "3 others" in text
    assert "1 of 4 are shown" in text


def test_logs_are_searched_by_level_and_text(viewer: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant))
    task = Task.objects.get(run_id=run.id)
    for level in LogLevel:
        factories.add_log(task, f"{level.name} has 100% of it", level)
    factories.add_log(task, "nothing else", LogLevel.ERROR)

    def lines(query: str) -> int:
        return page(viewer, tenant, run, f"?tab=logs&{query}").count('<li id="L')

    assert lines("") == 5
    assert lines("level=warn") == 3
    assert lines("q=HAS+100%25") == 4
    assert lines("q=100_") == 0, "it is text, no pattern"
    assert lines("level=error&q=nothing") == 1
    for nonsense in ("level=x", "q=%00", "after=x"):
        assert lines(nonsense) == 5
    assert "No line like that" in page(viewer, tenant, run, "?tab=logs&q=absent")
    live = viewer.get(f"/t/{tenant.slug}/runs/{run.id}/live?tab=logs&level=warn").content.decode()
    assert "level=warn" in live


def test_a_run_can_be_copied_as_commands(viewer: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), given=b'{"name": "O\'Hara"}')
    text = page(viewer, tenant, run)
    assert "hatchet.runs.replay(&quot;" in text
    assert "O&#x27;Hara" in text or "Hara" in text


def test_whoever_may_not_see_payloads_copies_none(tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), given=b'{"secret": "hunter2"}')
    client = Client()
    client.force_login(factories.make_member(tenant, Role.MEMBER, can_view_payloads=False))
    assert "hunter2" not in page(client, tenant, run)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ('{"a": "it\'s $HOME `x` \\"q\\""}', {"a": 'it\'s $HOME `x` "q"'}),
        ('{\n  "a": [1,\n 2]\n}', {"a": [1, 2]}),
        ("[1]", {}),
        ("nonsense", {}),
        (None, {}),
        ('{"a": "' + "x" * 5_000 + '"}', {}),
        ("[" * 5_000, {}),
    ],
)
def test_snippets_are_whole_commands_that_send_the_input(given: str | None, sent: object) -> None:
    run_id, tenant_id = uuid4(), uuid4()
    curl, python = snippets.of_run("https://h.test/", tenant_id, run_id, 'it\'s "x"', given)
    commands = [shlex.split(line) for line in curl.text.splitlines() if not line.startswith("#")]
    assert [command[0] for command in commands] == ["curl"] * 3
    body = json.loads(commands[1][commands[1].index("-d") + 1])
    assert body == {"workflowName": 'it\'s "x"', "input": sent}
    assert (
        commands[1][-1] == f"https://h.test/api/v1/stable/tenants/{tenant_id}/workflow-runs/trigger"
    )
    tree = ast.parse(python.text)
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert 'it\'s "x"' in texts
    assert any(isinstance(t, str) and t[:1] == "{" and json.loads(t) == sent for t in texts)
