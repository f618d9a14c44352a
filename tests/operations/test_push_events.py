"""Every event is stored; patterns of live workflows start runs."""

from __future__ import annotations

import pytest

from engine.errors import NotFound
from engine.ids import new_id
from engine.models import Event, Run
from engine.operations.push_events import push_events, replay_event
from engine.states import RunTrigger
from engine.store import sync_db
from engine.types import EventInput, EventRecord
from tests.changes import changing
from tests.operations.bench import Bench, step


def push(bench: Bench, *keys: str, **options: object) -> list[EventRecord]:
    inputs = [EventInput(key, **options) for key in keys]  # type: ignore[arg-type]
    records, bench.changes = changing(push_events(bench.tenant_id, inputs, bench.now))
    return records


def runs(bench: Bench) -> list[Run]:
    return list(Run.objects.filter(tenant_id=bench.tenant_id).order_by("id"))


def test_an_event_nobody_waits_for_is_stored(bench: Bench) -> None:
    (record,) = push(bench, "user:created", payload=b'{"a":1}', scope="s")
    row = Event.objects.get(id=record.event_id)
    assert (row.key, row.scope, row.tenant_id) == ("user:created", "s", bench.tenant_id)
    assert runs(bench) == []


def test_an_event_starts_the_workflows_of_its_key(bench: Bench) -> None:
    bench.put(step("a"), name="one", event_triggers=("user:created",))
    bench.put(step("a"), name="two", event_triggers=("user:created", "user:gone"))
    bench.put(step("a"), name="three", event_triggers=("user:gone",))
    (record,) = push(
        bench, "user:created", payload=b'{"a":1}', additional_metadata=b'{"m":"x"}', priority=3
    )
    started = runs(bench)
    assert len(started) == len(bench.ready()) == 2
    for run in started:
        assert run.trigger == RunTrigger.EVENT
        assert (run.event_id, run.event_key, run.priority) == (record.event_id, record.key, 3)
        assert run.additional_metadata == {
            "m": "x",
            "hatchet__event_id": str(record.event_id),
            "hatchet__event_key": "user:created",
        }
        (action,) = bench.assign(run.id)
        assert action.payload.startswith(b'{"input":{"a":1},')
        assert (action.event_id, action.event_key) == (record.event_id, record.key)


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("user:*", "user:created", True),
        ("user:*", "user:", True),
        ("user:*", "users:created", False),
        ("*:created", "user:created", True),
        ("*", "anything", True),
        ("a*c", "abbc", True),
        ("a*c", "abbd", False),
        ("100%", "100%", True),
        ("100%*", "100%x", True),
        ("100%*", "1000x", False),
        ("a_c*", "a_cd", True),
        ("a_c*", "abcd", False),
        ("a\\*", "a\\b", True),
        ("a_c", "abc", False),
        ("User:*", "user:created", False),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_does(
    bench: Bench, pattern: str, key: str, matches: bool
) -> None:
    bench.put(step("a"), event_triggers=(pattern,))
    push(bench, key)
    assert len(runs(bench)) == int(matches)


def test_two_patterns_that_match_are_two_runs(bench: Bench) -> None:
    bench.put(step("a"), event_triggers=("user:*", "user:created"))
    push(bench, "user:created")
    assert len(runs(bench)) == 2


def test_events_of_one_push_keep_their_order_and_their_runs(bench: Bench) -> None:
    bench.put(step("a"), event_triggers=("b",))
    records = push(bench, "a", "b", "a", "b")
    assert [record.key for record in records] == ["a", "b", "a", "b"]
    assert [run.event_id for run in runs(bench)] == [records[1].event_id, records[3].event_id]


def test_marks_of_the_server_cannot_be_sent(bench: Bench) -> None:
    metadata = b'{"hatchet__event_id":"fake","hatchet__source_step_run_id":"s","k":"v"}'
    (record,) = push(bench, "x", additional_metadata=metadata)
    stored = Event.objects.get(id=record.event_id).additional_metadata
    assert stored == {"hatchet__source_step_run_id": "s", "k": "v"}
    escaped = rb'{"\u0068atchet__event_id":"fake","k":"v"}'
    (record,) = push(bench, "x", additional_metadata=escaped)
    assert Event.objects.get(id=record.event_id).additional_metadata == {"k": "v"}


def test_triggers_of_other_tenants_do_not_hear(bench: Bench) -> None:
    stranger = Bench()
    stranger.put(step("a"), event_triggers=("*",))
    push(bench, "x")
    assert runs(stranger) == []


def test_a_replayed_event_is_a_new_one_for_what_is_live_now(bench: Bench) -> None:
    (first,) = push(
        bench, "user:created", payload=b'{"a":1}', additional_metadata=b'{"m":"x"}', priority=2
    )
    assert runs(bench) == []
    bench.put(step("a"), event_triggers=("user:created",))
    again, bench.changes = changing(replay_event(bench.tenant_id, first.event_id, bench.now))
    assert again.event_id != first.event_id
    assert (again.key, again.payload) == ("user:created", b'{"a":1}')
    assert again.additional_metadata is not None
    (run,) = runs(bench)
    assert (run.event_id, run.priority) == (again.event_id, 2)
    assert run.additional_metadata == {
        "m": "x",
        "hatchet__event_id": str(again.event_id),
        "hatchet__event_key": "user:created",
    }


def test_only_a_tenants_own_events_can_be_replayed(bench: Bench) -> None:
    (record,) = push(bench, "k")
    for tenant_id, event_id in ((new_id(), record.event_id), (bench.tenant_id, new_id())):
        with pytest.raises(NotFound, match="event not found"):
            sync_db.run(replay_event(tenant_id, event_id, bench.now))
