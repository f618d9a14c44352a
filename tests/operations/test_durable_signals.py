"""Waits of the older API have a key per task, and are answered by it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from engine.domain.durable.calls import Completion, Node, WaitCondition
from engine.errors import InvalidArgument, NotFound
from engine.operations.durable.register_signals import load_signals, register_signal
from engine.store import sync_db
from tests.operations.durable import DurableFlow, child, event, sleep


def register(
    flow: DurableFlow, key: str, *conditions: WaitCondition, task_id: UUID | None = None
) -> None:
    operation = register_signal(flow.tenant_id, task_id or flow.task_id, key, conditions, flow.now)
    flow.do(operation)


def load(flow: DurableFlow, *keys: str) -> list[Completion]:
    return sync_db.run(load_signals(flow.tenant_id, [(flow.task_id, key) for key in keys]))


def test_a_wait_is_told_under_its_key_and_takes_no_place_in_the_log(flow: DurableFlow) -> None:
    register(flow, "first", sleep("10s"))
    register(flow, "second", event("paid"))
    assert flow.wait(sleep("1h")) == Node(1, 1)
    assert load(flow, "first", "second") == []
    flow.pass_time(11)
    flow.push_event("paid", n=1)
    assert [(told.signal, told.order) for told in flow.told] == [("first", None), ("second", None)]
    found = {told.signal: told.payload for told in load(flow, "first", "second", "third")}
    assert found == {
        "first": b'{"CREATE":{"sleep:10s":[{"sleep_duration":"10s"}]}}',
        "second": b'{"CREATE":{"paid":[{"n":1}]}}',
    }


def test_a_known_key_changes_nothing(flow: DurableFlow) -> None:
    register(flow, "key", sleep("10s"))
    flow.pass_time(6)
    register(flow, "key", sleep("10s"))
    flow.pass_time(5)
    assert [told.signal for told in flow.told] == ["key"]
    assert len(flow.entries()) == 1


def test_a_wait_that_is_over_at_once_is_told_at_once(flow: DurableFlow) -> None:
    register(flow, "key", sleep("0s"))
    assert [told.signal for told in flow.told] == ["key"]


def test_scopes_and_windows_do_not_count(flow: DurableFlow) -> None:
    flow.push_event("paid", scope="a")
    register(flow, "key", event("paid", scope="a", since=flow.now - timedelta(hours=1)))
    assert flow.told == []
    flow.push_event("paid", scope="b")
    assert [told.signal for told in flow.told] == ["key"]


def test_a_plain_task_may_wait_too(flow: DurableFlow) -> None:
    ((_, plain),) = flow.spawn(child(child_index=0))
    register(flow, "key", sleep("1s"), task_id=plain)
    flow.pass_time(2)
    assert [told.task_id for told in flow.told] == [plain]


def test_waits_with_keys_survive_a_reset(flow: DurableFlow) -> None:
    register(flow, "key", sleep("10s"))
    flow.end("work")
    flow.branch(1)
    flow.pass_time(11)
    assert [told.signal for told in flow.told] == ["key"]


def test_strangers_and_bad_keys_are_refused(flow: DurableFlow) -> None:
    with pytest.raises(NotFound):
        register(flow, "key", sleep(), task_id=uuid4())
    with pytest.raises(NotFound):
        register(DurableFlow(), "key", sleep(), task_id=flow.task_id)
    for key in ("a\0", "x" * 501):
        with pytest.raises(InvalidArgument):
            register(flow, key, sleep())
    stranger = DurableFlow()
    stranger.task_id = flow.task_id
    register(flow, "key", sleep("0s"))
    assert load(stranger, "key") == []
