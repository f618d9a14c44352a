"""One installation in memory: engines, workers, a scheduler, and what must never happen there."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from engine.domain.definition import StepDefinition
from engine.domain.durable.calls import Completion, Node
from engine.errors import HatchetError, Unavailable
from engine.ids import new_id
from engine.operations.assign_tasks import load_cancels
from engine.operations.expire_tasks import requeue_lost
from engine.operations.report_tasks import report_tasks
from engine.operations.trigger_runs import trigger_runs
from engine.states import DurableKind
from engine.store.changes import Changes
from engine.store.query import Operation
from engine.types import Action, TaskReport, TriggerRequest
from tests.simulation.client import Delivery, Inbox
from tests.simulation.durable_statements import forks_of
from tests.simulation.engines import Gone, Result, SimulatedEngine
from tests.simulation.programs import Composer, Program, has_equal_calls
from tests.simulation.scheduler import Scheduler
from tests.simulation.statements import define
from tests.simulation.store import Broken, Row, Store
from tests.simulation.virtual import EPOCH, VirtualLoop
from tests.simulation.worker import Worker

TENANT = UUID("018f0000-0000-7000-8000-000000000001")
LOST_WORKER_SECONDS = 30.0


def _ids(number: int) -> dict[str, UUID]:
    names = ("workflow_id", "version_id", "step_id")
    return {name: UUID(int=TENANT.int + number * 10 + at) for at, name in enumerate(names, 1)} | {
        "tenant_id": TENANT
    }


class World:
    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.loop, self.seed = loop, seed
        self.dice = random.Random(seed)
        self.tenant_id = TENANT
        self.store = Store()
        self.story: list[tuple[float, tuple[Any, ...]]] = []
        self.problem: str | None = None
        self.ended = asyncio.Event()
        self.clock_moved = asyncio.Event()
        self.database_is_bad_until = 0.0
        self.engines: list[SimulatedEngine] = []
        self.workers: list[Worker] = []
        self.has_old_clients = self.dice.random() < 0.2
        self.eviction_seconds = self.dice.choice((1.0, 3.0, 3.0, 10.0, 1_000.0))
        self.look_seconds = self.dice.choice((1.0, 0.01))
        """How often workers look what to evict: those that look often give up just as a sleep ends."""
        if self.has_old_clients:
            # They say only once a second what they still wait for.
            self.eviction_seconds += 2.0
        self.lost_hints = self.dice.choice((0.0, 0.0, 0.3, 1.0))
        self.effects: Counter[str] = Counter()
        self.orders: dict[tuple[UUID, Node], int] = {}
        self.seen: dict[tuple[UUID, Node], tuple[bytes, str | None]] = {}
        self.without_order: set[UUID] = set()
        """Tasks whose coroutines' equal calls changed places, so that an order cannot be repeated."""
        self._tasks: dict[asyncio.Task[None], None] = {}
        self.scheduler = Scheduler(self, self.fork())
        self._commits: asyncio.Future[None] = loop.create_future()
        self.store.on_commit.append(self._tell_of_commit)
        transaction = self.store.begin()
        for number, name in enumerate(("durable", "child")):
            step = StepDefinition(
                "step",
                f"{name}:step",
                retries=1_000 if name == "durable" else 0,
                is_durable=name == "durable",
            )
            define(transaction, _ids(number), name, step)
        transaction.commit()

    def fork(self) -> random.Random:
        """Return dice of one's own: who throws them when does not change what others throw."""
        return random.Random(self.dice.getrandbits(64))

    # The story

    def note(self, *what: Any) -> None:
        self.story.append((self.loop.time(), what))

    def broken(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem
            self.note("BROKEN", problem)
        self.ended.set()

    def failed(self, who: str, error: BaseException) -> None:
        if isinstance(error, HatchetError | Gone):
            return
        if isinstance(error, Broken):
            self.broken(str(error))
        else:
            self.broken(f"{who}: {type(error).__name__}: {error}")
            self.note(error.__traceback__ and _where(error))

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.create_task(work, name=what)
        self._tasks[task] = None
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            self.failed(task.get_name(), error)

    # Who is there

    def start_engine(self) -> SimulatedEngine:
        engine = SimulatedEngine(self, self.fork())
        self.engines.append(engine)
        return engine

    def start_worker(self) -> Worker:
        worker = Worker(self, new_id(), self.fork(), is_old=self.has_old_clients)
        self.workers.append(worker)
        return worker

    def pick_engine(self) -> SimulatedEngine | None:
        return self.dice.choice(self.engines) if self.engines else None

    def kill_engine(self, engine: SimulatedEngine) -> None:
        self.note("an engine dies")
        self.engines.remove(engine)
        engine.kill()

    def kill_worker(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.kill()
        self.spawn(self._miss(worker), "a lost worker")

    async def _miss(self, worker: Worker) -> None:
        await asyncio.sleep(LOST_WORKER_SECONDS)

        def requeue() -> Operation[None]:
            now = self.loop.today
            return requeue_lost([worker.id], now, now)

        await self.insist(requeue)

    def spoil_database(self, seconds: float) -> None:
        self.note("connections break for", seconds)
        self.database_is_bad_until = self.loop.time() + seconds
        for engine in self.engines:
            engine.database.broken_until = self.database_is_bad_until

    # Requests

    async def insist(self, operation: Callable[[], Operation[Result]]) -> Result:
        """Have some engine carry an operation out, if need be again."""
        while True:
            engine = self.pick_engine()
            if engine is not None:
                try:
                    return await engine.do(operation())
                except (Gone, Unavailable):
                    pass
            await asyncio.sleep(0.3)

    async def plainly(self, operation: Callable[[], Operation[Result]]) -> Result:
        while True:
            engine = self.pick_engine()
            if engine is not None:
                try:
                    return await engine.database.run(operation())
                except Unavailable:
                    pass
            await asyncio.sleep(0.3)

    async def trigger(self, number: int) -> UUID:
        request = TriggerRequest("durable", orjson.dumps({"name": f"r{number}"}))
        (run_id,) = await self.insist(lambda: trigger_runs(TENANT, [request], self.loop.today))
        return run_id

    async def report(self, report: TaskReport, dice: random.Random) -> None:
        for _ in range(2 if dice.random() < 0.1 else 1):
            await asyncio.sleep(dice.choice((0.0, 0.002, 0.02, 0.3)))
            await self.insist(lambda: report_tasks([report], self.loop.today))

    async def deliver(self, worker_id: UUID, action: Action) -> None:
        await asyncio.sleep(self.dice.random() * 0.01)
        for worker in self.workers:
            if worker.id == worker_id:
                worker.take(action)

    def stop_workers(self, changes: Changes) -> None:
        stops = [(e.stop_on, e.task_id, e.retry_count) for e in changes.ended if e.stop_on]
        if stops:
            self.spawn(self._stop(stops), "cancellations")

    async def _stop(self, stops: list[tuple[UUID, UUID, int]]) -> None:
        for worker_id, action in await self.plainly(lambda: load_cancels(TENANT, stops)):
            await self.deliver(worker_id, action)

    # Time

    async def next_due(self) -> None:
        """Return when a sleep is over."""
        while True:
            self.clock_moved.clear()
            due = [
                row["due_at"]
                for row in self.store.tables["wait"].values()
                if row["due_at"] and not row["is_met"] and not row["is_dropped"]
            ]
            seconds = (min(due) - self.loop.today).total_seconds() if due else None
            if seconds is not None and seconds <= 0:
                return
            try:
                async with asyncio.timeout(min(seconds or 10.0, 10.0)):
                    await self.clock_moved.wait()
            except TimeoutError:
                continue

    async def committed(self) -> None:
        """Return when something was committed."""
        await asyncio.shield(self._commits)

    def _tell_of_commit(self) -> None:
        commits, self._commits = self._commits, self.loop.create_future()
        commits.set_result(None)

    def moment(self, seconds: float) -> datetime:
        return EPOCH + timedelta(seconds=seconds)

    # Tasks

    def input_of(self, task_id: UUID) -> dict[str, Any]:
        given: dict[str, Any] = orjson.loads(self.store.tables["task"][task_id,]["input"])
        return given

    def program_of(self, action: Action) -> Program:
        return self.program(self.input_of(action.task_id)["name"])

    def program(self, name: str) -> Program:
        return _program(self.seed, name)

    def effect(self, point: str) -> dict[str, Any]:
        """Compute a memo. No two computations come to the same."""
        self.effects[point] += 1
        return {"point": point, "count": self.effects[point], "at": self.loop.time()}

    def superseded(self, worker_id: UUID, delivery: Delivery) -> None:
        for worker in self.workers:
            if worker.id == worker_id:
                worker.cancel_delivery(delivery)

    def is_running(self, worker_id: UUID, delivery: Delivery) -> bool:
        return any(
            (key[0], key[2]) == delivery
            for worker in self.workers
            if worker.id == worker_id
            for key in worker.running
        )

    # What must never happen

    def check_completion(self, completion: Completion, inbox: Inbox) -> None:
        node, order = completion.node, completion.order
        place = completion.task_id, node
        if node not in inbox.acknowledged:
            self.broken(f"{place} was completed before it was acknowledged")
        if order is not None:
            if self.orders.setdefault(place, order) != order:
                self.broken(f"{place} has order {self.orders[place]} and {order}")
            is_late = node not in inbox.delivered and order <= inbox.last_order
            if is_late and completion.task_id not in self.without_order:
                self.broken(f"{place}, number {order}, came after number {inbox.last_order}")
        value = completion.payload, completion.error
        if self.seen.setdefault(place, value) != value:
            self.broken(f"{place} came to {self.seen[place]} and to {value}")

    def order_was_given_up(self, task_id: UUID) -> None:
        """A completion came before one that had come before it: right only where calls may change places."""
        if not has_equal_calls(self.program(self.input_of(task_id)["name"])):
            self.broken(f"{task_id} was told of completions in another order")
        self.without_order.add(task_id)

    def check_recomputed(self, delivery: Delivery, node: Node, asked_at: datetime) -> None:
        entry = self.store.tables["entry"].get((delivery[0], *node))
        if entry and entry["is_satisfied"] and entry["satisfied_at"] < asked_at:
            self.broken(f"the memo {node} of {delivery} is computed again")

    def check_evicted(self, action: Action) -> None:
        """A delivery that goes on is not replaced by another one of its attempt: both would do the same."""
        if self.store.tables["task"][action.task_id,]["retry_count"] == action.retry_count:
            place = action.task_id, action.durable_invocation
            self.broken(f"{place} was evicted while it went on")

    def check_left_over(self, delivery: Delivery, inbox: Inbox) -> None:
        if inbox.pending:
            node, _ = inbox.pending[0]
            self.broken(f"{delivery} was told of {node}, for which nobody waited")

    def check_log(self) -> None:
        """Read the logs as they stand when all has come to its end."""
        of_task: dict[UUID, list[Row]] = defaultdict(list)
        for entry in self.store.rows("entry"):
            of_task[entry["task_id"]].append(entry)
        for task_id, entries in of_task.items():
            orders = sorted(e["order"] for e in entries if e["order"] is not None)
            if orders != list(range(1, len(orders) + 1)) and not self.has_forks(task_id):
                self.broken(f"the orders of {task_id} are {orders}")
            nodes = sorted(e["node_id"] for e in entries if e["branch_id"] == 1)
            if nodes != list(range(1, len(nodes) + 1)):
                self.broken(f"the nodes of {task_id} are {nodes}")
            for entry in entries:
                is_over = entry["kind"] == DurableKind.WAIT_FOR and entry["is_satisfied"]
                if is_over and entry["order"] is None and not self.has_forks(task_id):
                    self.broken(f"{task_id} {entry['node_id']} is complete without an order")
            self._check_forks(task_id, entries)
        spawned = [(r["parent_task_id"], r["input"]) for r in self.store.rows("task")]
        for (parent, given), count in Counter(spawned).items():
            if parent is not None and count > 1 and not self.has_forks(parent):
                self.broken(f"{parent} spawned {given!r} {count} times")

    def _check_forks(self, task_id: UUID, entries: list[Row]) -> None:
        """What a reset left behind is made anew on the branch that it began."""
        places = {(entry["branch_id"], entry["node_id"]) for entry in entries}
        forks = forks_of(self.store.tables["log"][task_id,])
        if not forks:
            return
        begun = len(forks) + 1, forks[-1][1]
        if begun not in places and begun[1] <= max(node_id for _, node_id in places):
            self.broken(f"{task_id} was reset to {begun}, and kept it: {places}")

    def has_forks(self, task_id: UUID) -> bool:
        return bool(self.store.tables["log"][task_id,]["forks"])


@lru_cache(maxsize=100)
def _program(seed: int, name: str) -> Program:
    depth = 1 if "-" in name else 0
    return Composer(random.Random(f"{seed} {name}")).program(name, depth)


def _where(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
