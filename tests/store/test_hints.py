"""Every kind of hint comes back as it was sent, fits a notification, and has somebody who acts on it."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature
from typing import Any
from uuid import UUID

import pytest

from engine.domain.assignment import ReadyTask
from engine.domain.durable.calls import Completion, Node
from engine.ids import new_id
from engine.runtime.hints.reader import HintReader
from engine.states import DurableKind, Status
from engine.store.changes import AttemptEnd, Changes, FinishedRun, LeftSlots
from engine.store.hint_kinds import (
    KINDS,
    LOCAL_KINDS,
    PAGE_KINDS,
    TELEMETRY_KINDS,
    Cares,
    Chunk,
    Kind,
)
from engine.store.hints import MAX_NAMED_TASKS, Hint, hints_of, messages_of, parse

MOST_BYTES = 8_000
TENANT = new_id()
ATTEMPT = (new_id(), 2_147_483_647)
LONGEST_KEY = "\x01" * 1_000
ITEMS: dict[str, Any] = {
    "ready": new_id(),
    "ended": ATTEMPT,
    "released": ATTEMPT,
    "left": (new_id(), new_id()),
    "stops": (new_id(), *ATTEMPT),
    "assigned": new_id(),
    "finished": new_id(),
    "workers": new_id(),
    "beats": new_id(),
    "durable": new_id(),
    "limits": LONGEST_KEY,
    "chunks": Chunk(new_id(), *ATTEMPT, 2_147_483_647, "\x01" * 3_000),
}


def items_of(kind: Kind, count: int) -> Any:
    if kind.is_flag:
        return True
    item = ITEMS[kind.name]
    return [
        piece
        for _ in range(count)
        for piece in (item.pieces() if isinstance(item, Chunk) else [item])
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_comes_back_as_it_was_sent(kind: Kind) -> None:
    sent = Hint(TENANT, sender=new_id(), **{kind.name: items_of(kind, 200)})
    messages = list(sent.messages())
    assert max(map(len, messages)) < MOST_BYTES
    assert len(set(messages)) == len(messages) or kind.name != "chunks"
    found = [parse(message.decode()) for message in messages]
    assert {(hint.tenant_id, hint.sender) for hint in found} == {(TENANT, sent.sender)}
    values = [getattr(hint, kind.name) for hint in found]
    together = True if kind.is_flag else [item for value in values for item in value]
    assert together == getattr(sent, kind.name)
    for hint in found:
        setattr(hint, kind.name, getattr(Hint(TENANT), kind.name))
        assert hint == Hint(TENANT, sent.sender), "it said something else besides"


def test_every_kind_is_a_field_of_hints_and_a_full_word() -> None:
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names)
    assert set(names) == {each.name for each in fields(Hint)} - {"tenant_id", "sender"}
    assert all(len(name) > 3 and name.isalpha() for name in names)
    assert {kind.name for kind in KINDS if not kind.is_flag} == ITEMS.keys()


def test_every_kind_of_change_has_somebody_who_learns_of_it() -> None:
    told = {source for kind in KINDS for source in kind.sources}
    assert told | {*PAGE_KINDS, *LOCAL_KINDS, *TELEMETRY_KINDS} == {
        each.name for each in fields(Changes)
    }


def test_every_kind_is_acted_on_where_it_is_to_be() -> None:
    names = signature(HintReader).parameters
    reader = HintReader(*(None for _ in range(2)), **dict.fromkeys(list(names)[2:]))  # type: ignore[arg-type]  # only its tables are read
    of_owner = {kind.name for kind in KINDS if kind.cares is Cares.OWNER}
    assert reader.owner_appliers.keys() == of_owner
    others = {kind.name for kind in KINDS} - of_owner
    assert others <= reader.appliers.keys() <= others | of_owner


def changes() -> Changes:
    task_id, run_id = new_id(), new_id()
    end = AttemptEnd(
        TENANT, run_id, task_id, new_id(), new_id(), 1, Status.FAILED, b"", stop_on=new_id()
    )
    completion = Completion(task_id, 1, Node(1, 1), DurableKind.RUN, 1, b"{}")
    return Changes(
        ended=[end],
        finished=[FinishedRun(TENANT, run_id, Status.FAILED, wakes_parent=True)],
        left=[LeftSlots(TENANT, run_id, new_id())],
        evicted=[(TENANT, new_id(), 2)],
        completions=[(TENANT, completion), (TENANT, completion)],
        withdrawn=[(TENANT, new_id(), 3)],
        sleeps_of={TENANT},
        backlogs={TENANT},
        workers=[(TENANT, new_id())],
        limits=[(TENANT, "key")],
        rules={TENANT},
        catalogs={TENANT},
        timetables={TENANT},
    )


def test_a_hint_names_what_changed() -> None:
    made = changes()
    (hint,) = hints_of(made)
    ((_, withdrawn, retry_count),) = made.withdrawn
    assert hint.ended == [(made.ended[0].task_id, 1), (withdrawn, retry_count)]
    assert hint.stops == [(made.ended[0].stop_on, made.ended[0].task_id, 1)]
    assert hint.finished == [made.finished[0].run_id] and hint.children
    assert hint.left == [(made.left[0].run_id, made.left[0].arrival)]
    assert hint.released == [made.evicted[0][1:]]
    assert hint.durable == [made.completions[0][1].task_id]
    assert hint.workers == [made.workers[0][1]] and hint.limits == ["key"]
    assert all((hint.sleeps, hint.backlog, hint.rules, hint.catalog, hint.timetable))


@pytest.mark.parametrize("cares", Cares)
def test_who_need_not_be_told_is_not(cares: Cares) -> None:
    (hint,) = hints_of(changes())
    hint.leave_out(cares)
    said = {kind.cares for kind in KINDS if getattr(hint, kind.name)}
    assert said == set(Cares) - {cares}


def test_too_many_to_name_are_a_backlog() -> None:
    made = Changes(ready=[(TENANT, _ready()) for _ in range(MAX_NAMED_TASKS + 1)])
    (hint,) = hints_of(made)
    assert (hint.ready, hint.backlog) == ([], True)


def test_dashboards_learn_of_runs_and_of_other_pages() -> None:
    run_id = new_id()
    made = Changes(touched={(TENANT, run_id)}, pages={(TENANT, "workflows")})
    ((channel, message),) = messages_of(made)
    assert channel == "hatchet_live"
    assert message == f'{{"t":"{TENANT}","topics":["runs","workflows"],"runs":["{run_id}"]}}'
    assert messages_of(Changes(wakes_clock=True)) == []


def _ready() -> ReadyTask:
    return ReadyTask(new_id(), 0, "a", 1, {}, UUID(int=1), UUID(int=2))
