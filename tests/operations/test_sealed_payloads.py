"""What is stored encrypted, or as objects, and that operations see payloads as they came."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from engine.domain.definition import StepCondition, StepDefinition
from engine.domain.durable.calls import MemoAnswer
from engine.domain.payload import left_out_of, length_of, reason_of, with_left_out
from engine.errors import PayloadsAway
from engine.models import DurableWait, Payload, Run, TenantKey
from engine.operations.purge_tenants import purge_tenants
from engine.states import ConditionAction, ConditionKind, PayloadKind
from engine.store import events, key_changes, sync_db
from engine.types import ReportKind
from engine.vault.directory import Directory
from engine.vault.envelope import Unreadable, is_sealed, key_of
from engine.vault.masters import Masters
from engine.vault.objects import is_reference
from tenants.models import Tenant
from tests.operations.durable import DurableFlow, event
from tests.operations.flow import Flow
from tests.sealed import MASTER, THRESHOLD, Breakable, destroy_key, sealing_with

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_keys_left")]
SECRET = "nobody may read this"
LARGE = {"large": SECRET + "x" * THRESHOLD}


def steps() -> tuple[StepDefinition, ...]:
    return StepDefinition("pay", "flow:pay"), StepDefinition("ship", "flow:ship", parents=("pay",))


def stored() -> list[bytes]:
    kinds = [PayloadKind.INPUT, PayloadKind.OUTPUT, PayloadKind.EVENT]
    return [bytes(p.data) for p in Payload.objects.filter(kind__in=kinds).order_by("kind")]


def run_through(flow: Flow, given: dict[str, Any], output: dict[str, Any]) -> UUID:
    """Run both steps with these, and see that workers and clients are told them."""
    run_id = flow.trigger(orjson.dumps(given))
    assert flow.run("pay", **output)["input"] == given
    assert flow.run("ship", **output)["parents"] == {"pay": output}
    details = flow.details(run_id)
    assert orjson.loads(details.input) == given
    assert [orjson.loads(task.output or b"") for task in details.tasks] == [output, output]
    return run_id


def test_inputs_and_outputs_are_stored_encrypted_and_read_as_they_came() -> None:
    flow = Flow(*steps())
    with sealing_with(MASTER):
        run_through(flow, {"card": SECRET}, {"receipt": SECRET})
        flow.push("paid", card=SECRET)
    rows = stored()
    assert len(rows) == 4
    assert all(is_sealed(row) and SECRET.encode() not in row for row in rows)
    assert len({key_of(row) for row in rows}) == 1


def test_events_come_back_for_being_pushed_again() -> None:
    flow = Flow(*steps())
    with sealing_with(MASTER):
        (record,) = flow.push("paid", card=SECRET)
        (found,) = sync_db.read(events.by_id(flow.tenant_id, record.event_id))
    assert orjson.loads(found.payload) == {"card": SECRET}


def test_what_was_stored_before_stays_readable() -> None:
    flow = Flow(*steps())
    run_id = flow.trigger(b'{"card": 1}')
    with sealing_with(MASTER):
        assert flow.run("pay", receipt=2)["input"] == {"card": 1}
        assert orjson.loads(flow.details(run_id).input) == {"card": 1}


def test_a_new_data_key_encrypts_what_comes_and_the_old_one_opens_what_is_there() -> None:
    flow = Flow(*steps())
    with sealing_with(MASTER) as sealer:
        flow.trigger(b'{"card": 1}')
        assert sealer.keys is not None
        key_changes.renew(sealer.keys.masters, [flow.tenant_id])
        sealer.keys._current.clear()
        assert flow.run("pay", receipt=2)["input"] == {"card": 1}
        assert flow.start("ship")["parents"] == {"pay": {"receipt": 2}}
    first, second = map(key_of, stored())
    assert first != second


def test_another_master_key_takes_over_while_everything_goes_on() -> None:
    flow = Flow(*steps())
    with sealing_with(MASTER):
        run_id = flow.trigger(b'{"card": 1}')
    new = "another master key 0123456789"
    with sealing_with(new, MASTER):
        assert orjson.loads(flow.details(run_id).input) == {"card": 1}
        assert key_changes.wrap_anew(Masters([new, MASTER])) >= 1
        assert key_changes.wrap_anew(Masters([new, MASTER])) == 0
    with sealing_with(new):
        assert orjson.loads(flow.details(run_id).input) == {"card": 1}
    key_changes.wrap_anew(Masters([MASTER, new]))


def test_each_tenant_has_a_key_of_its_own() -> None:
    flow, other = Flow(*steps()), Flow(*steps())
    with sealing_with(MASTER) as sealer:
        run_id, other_id = flow.trigger(b'{"card": 1}'), other.trigger(b'{"card": 2}')
        own, foreign = (bytes(Payload.objects.get(owner_id=key).data) for key in (run_id, other_id))
        assert key_of(own) != key_of(foreign)
        # The head of one payload and the body of another are no payload.
        with pytest.raises(Unreadable, match="damaged"):
            sealer.plain(foreign[:50] + own[50:])


def test_without_its_key_nothing_of_a_tenant_can_be_read() -> None:
    flow, other = Flow(*steps()), Flow(*steps())
    with sealing_with(MASTER):
        run_id, other_id = flow.trigger(b'{"card": 1}'), other.trigger(b'{"card": 2}')
    key_id = key_of(bytes(Payload.objects.get(owner_id=run_id).data))
    destroy_key(key_id)
    with sealing_with(MASTER):
        (why,) = orjson.loads(flow.details(run_id).input).values()
        assert "destroyed" in why
        assert "destroyed" in (reason_of(start(flow, "pay")) or "")
        assert orjson.loads(other.details(other_id).input) == {"card": 2}


def test_a_task_is_not_given_what_cannot_be_read() -> None:
    flow = Flow(*steps())
    with sealing_with(MASTER):
        run_id = flow.trigger(b'{"card": 1}')
        row = Payload.objects.get(owner_id=run_id)
        Payload.objects.filter(owner_id=run_id).update(data=bytes(row.data)[:-1])
        assert "damaged" in (reason_of(start(flow, "pay")) or "")


def start(flow: Flow, name: str) -> bytes:
    """Assign a task; return what its worker is to be sent once that is complete."""
    with pytest.raises(orjson.JSONDecodeError):
        flow.start(name)
    return flow.running[name].payload


def test_a_start_waits_for_a_key_that_cannot_be_had_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PayloadsAway("AWS KMS cannot be reached")

    flow = Flow(*steps())
    with sealing_with(MASTER):
        run_id = flow.trigger(b'{"card": 1}')
    with sealing_with(MASTER) as sealer:  # one that knows no key yet
        with monkeypatch.context() as patched:
            patched.setattr(Masters, "unwrap", refuse)
            marked = start(flow, "pay")
            with pytest.raises(PayloadsAway):
                flow.details(run_id)
        (stored,) = left_out_of(marked)
        assert sealer.plain(stored) == b'{"card": 1}'
        whole = with_left_out(marked, iter([b'{"card": 1}']))
        assert orjson.loads(whole)["input"] == {"card": 1}
        assert length_of(marked) == len(whole)


def test_large_payloads_are_objects_and_small_ones_are_not(tmp_path: Path) -> None:
    flow, store = Flow(*steps()), Directory(tmp_path)
    with sealing_with(MASTER, store=store) as sealer:
        run_id = flow.trigger(orjson.dumps(LARGE))
        first = start(flow, "pay")
        assert [sealer.plain(stored) for stored in left_out_of(first)] == [orjson.dumps(LARGE)]
        assert length_of(first) > THRESHOLD
        flow.end("pay", ReportKind.COMPLETED, **LARGE)
        assert len(list(left_out_of(start(flow, "ship")))) == 2
        flow.end("ship", small=1)
        details = flow.details(run_id)
        assert orjson.loads(details.input) == LARGE
        assert [orjson.loads(task.output or b"") for task in details.tasks] == [LARGE, {"small": 1}]
    rows = stored()
    assert [is_reference(row) for row in rows] == [True, True, False]
    keys = store.page("")
    assert len(keys) == 2
    assert all(key.startswith(f"{flow.tenant_id}/") for key in keys)
    assert all(SECRET.encode() not in store.get(key) for key in keys)


def test_conditions_judge_by_payloads_as_they_came(tmp_path: Path) -> None:
    no = StepCondition(ConditionKind.PARENT, ConditionAction.SKIP, 0, "a", "a", "output.n > 1")
    flow = Flow(
        StepDefinition("a", "flow:a"),
        StepDefinition("b", "flow:b", parents=("a",), conditions=(no,)),
    )
    for n, outcome in ((1, {"b"}), (2, set())):
        with sealing_with(MASTER, store=Directory(tmp_path)):
            flow.trigger()
            flow.run("a", n=n, **LARGE)
            assert set(flow.queue) == outcome
        flow.queue.clear()


def test_durable_logs_are_encrypted(flow: DurableFlow) -> None:
    with sealing_with(MASTER):
        node = flow.memo().node  # type: ignore[union-attr]  # no mismatch is in question
        flow.keep(node, SECRET.encode())
        flow.wait(event("paid"), event("sent"))
        flow.push_event("paid", secret=SECRET)
        results = [bytes(e.result) for e in flow.entries() if e.result is not None]
        (waiting,) = DurableWait.objects.exclude(payload=None)
        assert all(map(is_sealed, [*results, bytes(waiting.payload or b"")]))
        flow.push_event("sent", secret=SECRET)
        assert orjson.loads(flow.told[-1].payload)["CREATE"]["paid"] == [{"secret": SECRET}]
        flow.evict()
        flow.restore()
        flow.assign()
        assert flow.memo() == MemoAnswer(node, True, SECRET.encode())


def test_a_missing_object_is_told_from_a_store_that_is_away(tmp_path: Path) -> None:
    flow, store = Flow(*steps()), Breakable(tmp_path)
    with sealing_with(store=store):
        run_id = flow.trigger(orjson.dumps(LARGE))
    with sealing_with(store=store) as sealer:  # one that remembers nothing
        store.is_away = True
        with pytest.raises(PayloadsAway):
            flow.details(run_id)
        with pytest.raises(PayloadsAway, match="a moment ago"):
            flow.details(run_id)
        assert store.refused == 1
        store.is_away = False
        assert sealer.objects is not None
        sealer.objects._away_until = 0.0
        assert orjson.loads(flow.details(run_id).input) == LARGE
    with sealing_with(store=store):
        (key,) = store.page("")
        store.delete([key])
        (why,) = orjson.loads(flow.details(run_id).input).values()
        assert "not in the store any more" in why


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"x"])
def test_an_object_that_was_changed_is_no_payload(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    flow, store = Flow(*steps()), Directory(tmp_path)
    with sealing_with(store=store):
        run_id = flow.trigger(orjson.dumps(LARGE))
    (key,) = store.page("")
    store.put(key, change(store.get(key)))
    with sealing_with(store=store):
        (why,) = orjson.loads(flow.details(run_id).input).values()
        assert "damaged" in why


def test_a_store_that_is_away_lets_nothing_be_half_written(tmp_path: Path) -> None:
    flow, store = Flow(*steps()), Breakable(tmp_path)
    store.is_away = True
    with sealing_with(store=store):
        with pytest.raises(PayloadsAway):
            flow.trigger(orjson.dumps(LARGE))
        flow.trigger(b'{"small": 1}')
    assert Run.objects.filter(tenant_id=flow.tenant_id).count() == 1


def test_the_keys_of_a_deleted_tenant_are_destroyed_first() -> None:
    flow, other = Flow(*steps()), Flow(*steps())
    for tenant_id in (flow.tenant_id, other.tenant_id):
        TenantKey.objects.create(tenant_id=tenant_id, wrapped=b"", master="", created_at=flow.now)
    Tenant.objects.filter(id=flow.tenant_id).update(deleted_at=flow.now)
    flow.trigger()
    sync_db.run(purge_tenants(flow.now))
    kept = set(TenantKey.objects.values_list("tenant_id", flat=True))
    assert flow.tenant_id not in kept
    assert other.tenant_id in kept
