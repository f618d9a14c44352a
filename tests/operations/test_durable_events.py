"""Events that durable tasks wait for, and the order in which completions are told."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import orjson
import pytest

from engine.domain.durable.calls import (
    WaitCall,
)
from engine.models import EndedWait, Event
from engine.operations.durable import locked_logs as durable_logs
from tests.operations.durable import DurableFlow, event, sleep

# Events


def test_an_event_ends_a_wait_for_it(flow: DurableFlow) -> None:
    flow.wait(event("paid", expression="input.amount > 3"))
    flow.push_event("paid", amount=2)
    flow.push_event("other", amount=5)
    assert flow.told == []
    flow.push_event("paid", amount=5)
    (told,) = flow.told
    assert orjson.loads(told.payload) == {"CREATE": {"paid": [{"amount": 5}]}}


def test_an_event_is_known_by_the_waits_it_ended(flow: DurableFlow) -> None:
    flow.push_event("paid", scope="a", n=0)
    looked_back = flow.wait(event("paid", scope="a", since=flow.now - timedelta(seconds=9)))
    node = flow.wait(event("paid"))
    flow.push_event("other")
    flow.push_event("paid", n=1)
    flow.push_event("paid", n=2)
    first, _, second, _ = Event.objects.filter(tenant_id=flow.tenant_id).order_by("id")
    ended = EndedWait.objects.filter(tenant_id=flow.tenant_id).order_by("id")
    assert [(wait.event_id, wait.node_id, wait.task_id) for wait in ended] == [
        (first.id, looked_back.node_id, flow.task_id),
        (second.id, node.node_id, flow.task_id),
    ]


@pytest.mark.parametrize("expression", ["input.nothing == 1", "input.amount", "1 +", "'x'"])
def test_an_expression_that_is_not_true_never_matches(flow: DurableFlow, expression: str) -> None:
    flow.wait(event("paid", expression=expression))
    flow.push_event("paid", amount=5)
    assert flow.told == []


def test_a_scoped_wait_takes_events_of_its_scope_only(flow: DurableFlow) -> None:
    scoped, plain = flow.wait(event("paid", scope="a")), flow.wait(event("paid"))
    flow.push_event("paid", scope="b")
    assert [told.node for told in flow.told] == [plain]
    flow.push_event("paid", scope="a")
    assert [told.node for told in flow.told] == [plain, scoped]


def test_alternatives_end_with_the_first_and_all_groups_are_needed(flow: DurableFlow) -> None:
    group = uuid4()
    flow.wait(sleep("10s", "k", group), event("paid", group=group), event("sent", data_key="k"))
    flow.push_event("sent", n=1)
    assert flow.told == []
    flow.pass_time(11)
    (told,) = flow.told
    assert told.payload == b'{"CREATE":{"k":[{"sleep_duration":"10s"},{"n":1}]}}'
    flow.push_event("paid")
    assert len(flow.told) == 1


def test_an_event_pushed_before_counts_only_for_a_scope_within_the_window(
    flow: DurableFlow,
) -> None:
    flow.push_event("paid", scope="a", n=1)
    flow.push_event("paid", scope="a", n=2)
    flow.push_event("paid", scope="b", n=3)
    flow.pass_time(60)
    window = {"scope": "a", "since": flow.now - timedelta(seconds=90)}
    (answer,) = flow.record(WaitCall((event("paid", **window),)))
    assert orjson.loads(answer.completions[0].payload) == {"CREATE": {"paid": [{"n": 2}]}}
    late = {"scope": "a", "since": flow.now - timedelta(seconds=30)}
    for condition in (event("paid", **late), event("paid", scope="a"), event("paid")):
        (answer,) = flow.record(WaitCall((condition,)))
        assert answer.completions == ()


def test_a_look_back_finds_the_newest_event_that_fits_however_many_do_not(
    flow: DurableFlow,
) -> None:
    flow.push_event("paid", scope="a", n=1, fits=True)
    for _ in range(120):
        flow.push_event("paid", scope="a", fits=False)
    condition = event(
        "paid", scope="a", since=flow.now - timedelta(seconds=9), expression="input.fits"
    )
    (answer,) = flow.record(WaitCall((condition,)))
    assert orjson.loads(answer.completions[0].payload)["CREATE"]["paid"][0]["n"] == 1


def test_a_look_back_meets_its_group_and_leaves_the_others_waiting(flow: DurableFlow) -> None:
    flow.push_event("paid", scope="a", n=1)
    condition = event("paid", scope="a", since=flow.now - timedelta(seconds=9))
    (answer,) = flow.record(WaitCall((condition, sleep("5s"))))
    assert answer.completions == ()
    flow.pass_time(6)
    assert orjson.loads(flow.told[0].payload)["CREATE"] == {
        "paid": [{"n": 1}],
        "sleep:5s": [{"sleep_duration": "5s"}],
    }


def test_a_large_event_that_many_wait_for_is_written_in_parts(
    flow: DurableFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable_logs, "WRITTEN_AT_ONCE_BYTES", 500_000)
    for number in range(5):
        flow.wait(event("paid"), *([sleep("1h")] if number % 2 else []))
    flow.push_event("paid", text="x" * 300_000)
    assert [len(entry.result or b"") > 300_000 for entry in flow.entries()] == [
        True,
        False,
        True,
        False,
        True,
    ]
    flow.pass_time(3_601)
    assert all(len(entry.result or b"") > 300_000 for entry in flow.entries())


def test_completions_keep_their_order_in_every_delivery(flow: DurableFlow) -> None:
    late, early = flow.wait(sleep("9s")), flow.wait(sleep("3s"))
    flow.pass_time(4)
    flow.pass_time(6)
    assert [(told.node, told.order) for told in flow.told] == [(early, 1), (late, 2)]
    flow.evict()
    flow.restore()
    flow.assign()
    answers = flow.record(WaitCall((sleep("9s"),)), WaitCall((sleep("3s"),)))
    assert [answer.completions[0].order for answer in answers] == [2, 1]
