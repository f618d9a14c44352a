"""Expressions of one tenant that take long or too much keep nobody else waiting, whatever they are for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest

from engine.domain.cel.answers import Question
from engine.domain.definition import (
    Concurrency,
    DefaultFilter,
    Idempotency,
    StepCondition,
    StepDefinition,
    WorkflowDefinition,
)
from engine.models import CelFailure
from engine.runtime.engine import HatchetEngine
from engine.sandbox.evaluator import BROKEN_OFF, Evaluator, Turn
from engine.states import ConditionAction, ConditionKind, Status
from engine.types import EventInput, TriggerRequest
from tests.runtime.harness import (
    PATIENCE_SECONDS,
    FakeWorker,
    result_of,
    trigger,
    with_django,
    workflow,
)

LIST = orjson.dumps({"l": list(range(2000))})
CUBE = "input.l.map(a, input.l.map(b, input.l.map(c, [a, b, c]))).size() > 0"
LETTERS = "input.l.map(a, checksum(input.s + input.s)).size() > 0"
TEXT = orjson.dumps({"l": list(range(4000)), "s": "x" * 200_000})
COSTLY = "input.l.map(a, input.l.map(b, a)).size() > 0"
HEAVY = orjson.dumps({"l": list(range(80)), "s": "x"})


class Gate:
    """Lets evaluations go on only once the test says so."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self.reached = threading.Event()

    def pass_through(self) -> None:
        self.reached.set()
        assert self._opened.wait(PATIENCE_SECONDS * 5)

    def open(self) -> None:
        self._opened.set()

    async def is_reached(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, PATIENCE_SECONDS)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate, take_turn = Gate(), Evaluator.take_turn

    def wait_and_take(evaluator: Evaluator, questions: Sequence[Question]) -> Turn:
        gate.pass_through()
        return take_turn(evaluator, questions)

    monkeypatch.setattr(Evaluator, "take_turn", wait_and_take)
    yield gate
    gate.open()


async def run_as_usual(engine: HatchetEngine, tenant_id: UUID) -> None:
    """Everything of a run's life: it is triggered, started, completed, and its client is told."""
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    await worker.complete(await worker.next_start())
    (result,) = (await result_of(engine, tenant_id, run_id)).results
    assert result.status is Status.COMPLETED
    await worker.leave()


def filtered(expression: str) -> WorkflowDefinition:
    return WorkflowDefinition(
        "filtered",
        (StepDefinition("run", "work:run"),),
        event_triggers=("pushed",),
        default_filters=(DefaultFilter(expression, "scope"),),
    )


@pytest.mark.parametrize(("expression", "payload"), [(CUBE, LIST), (LETTERS, TEXT)])
async def test_hostile_filters_keep_no_other_tenant_waiting(
    engine: HatchetEngine,
    tenant_id: UUID,
    stranger_id: UUID,
    gate: Gate,
    expression: str,
    payload: bytes,
) -> None:
    await engine.put_workflow(stranger_id, filtered(expression))
    event = EventInput("pushed", payload, scope="scope")
    pushes = [asyncio.ensure_future(engine.push_events(stranger_id, [event])) for _ in range(2)]
    await gate.is_reached()
    await run_as_usual(engine, tenant_id)
    assert not any(push.done() for push in pushes)
    gate.open()
    await asyncio.gather(*pushes)
    failures = await with_django(
        lambda: list(CelFailure.objects.filter(tenant_id=stranger_id).values_list("error"))
    )
    assert len(failures) == len(pushes)
    for (error,) in failures:
        assert error.startswith(("the expression took longer", "the expression needed", BROKEN_OFF))


async def test_a_costly_key_is_evaluated_aside(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, gate: Gate
) -> None:
    key = "input.l.map(a, input.l.map(b, a + workflow_run_id)).size() > 0 ? workflow_run_id : ''"
    step = StepDefinition("run", "costly:run", concurrency=(Concurrency(key),))
    await engine.put_workflow(stranger_id, WorkflowDefinition("costly", (step,)))
    worker = await FakeWorker.connect(engine, stranger_id, "costly:run")
    given = orjson.dumps({"l": ["x"] * 80})
    asked = asyncio.ensure_future(
        engine.trigger_runs(stranger_id, [TriggerRequest("costly", given)] * 2)
    )
    await gate.is_reached()
    await run_as_usual(engine, tenant_id)
    gate.open()
    started = {(await worker.next_start()).run_id for _ in range(2)}
    assert started == set(await asked)
    await worker.leave()


async def test_a_costly_condition_keeps_no_other_report_waiting(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, gate: Gate
) -> None:
    """What the tenant reports meanwhile is taken after it, in its order."""
    condition = StepCondition(
        ConditionKind.PARENT,
        ConditionAction.SKIP,
        0,
        "first",
        "first",
        COSTLY.replace("input", "output"),
    )
    steps = (
        StepDefinition("first", "costly:run"),
        StepDefinition("second", "costly:run", parents=("first",), conditions=(condition,)),
    )
    await engine.put_workflow(stranger_id, WorkflowDefinition("costly", steps))
    worker = await FakeWorker.connect(engine, stranger_id, "costly:run")
    ids = await engine.trigger_runs(stranger_id, [TriggerRequest("costly")] * 2)
    actions = [await worker.next_start() for _ in ids]
    reports = [asyncio.ensure_future(worker.complete(actions[0], HEAVY))]
    await gate.is_reached()
    reports.append(asyncio.ensure_future(worker.complete(actions[1], b'{"l":[]}')))
    await run_as_usual(engine, tenant_id)
    assert not any(report.done() for report in reports)
    gate.open()
    await asyncio.gather(*reports)
    skipped, _ = await asyncio.gather(
        result_of(engine, stranger_id, actions[0].run_id), worker_completes(worker)
    )
    outputs = {result.readable_id: result.output for result in skipped.results}
    assert outputs["second"] == b'{"skipped":true}'
    await worker.leave()


async def worker_completes(worker: FakeWorker) -> None:
    """The second run's condition is false: its second step runs."""
    action = await worker.next_start()
    assert action.readable_id == "second"
    await worker.complete(action)


async def test_a_costly_schedule_keeps_no_other_schedule_waiting(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, gate: Gate
) -> None:
    key = f"{COSTLY} ? 'a' : 'b'"
    steps = (StepDefinition("run", "work:run"),)
    costly = WorkflowDefinition("work", steps, idempotency=Idempotency(key, 60_000))
    workers = {}
    for tenant, definition in ((stranger_id, costly), (tenant_id, workflow())):
        await engine.put_workflow(tenant, definition)
        workers[tenant] = await FakeWorker.connect(engine, tenant)
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    for tenant in (stranger_id, tenant_id):
        await engine.schedule_runs(tenant, TriggerRequest("work", HEAVY), [soon])
    await gate.is_reached()
    await workers[tenant_id].next_start()
    gate.open()
    await workers[stranger_id].next_start()
    for worker in workers.values():
        await worker.leave()
