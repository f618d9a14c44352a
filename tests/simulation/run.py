"""Plays one seed: some durable tasks, what goes wrong around them, and what must be right in the end."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from typing import Any
from uuid import UUID

import orjson

from engine.errors import HatchetError
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.durable.branch_tasks import branch_task
from engine.operations.durable.evict_tasks import restore_tasks
from engine.operations.push_events import push_events
from engine.operations.replay_tasks import replay_tasks
from engine.states import DurableKind, Status
from engine.types import EventInput
from tests.simulation.programs import Step, all_steps, key_of, mistakes, payload_of
from tests.simulation.store import Row
from tests.simulation.virtual import VirtualLoop, Wedged, virtual_world
from tests.simulation.world import TENANT, World

TROUBLE_SECONDS = 60.0
PATIENCE_SECONDS = 1_500.0
QUIET_SECONDS = 20.0


class Failure(AssertionError):
    """A seed that went wrong, with its story."""


class _Listening(logging.Handler):
    """What the engine logs as an error is a problem."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.WARNING)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self._world.note("log", text)
        if "are not asked for" in text and isinstance(record.args, tuple):
            self._world.order_was_given_up(UUID(str(record.args[0])))
        if record.levelno >= logging.ERROR:
            self._world.broken(f"the engine logs: {text} {record.exc_info or ''}")


def simulate(seed: int) -> World:
    """Play a seed; Failure says what went wrong, and how it came to that."""
    engine_log = logging.getLogger("hatchet")
    was = engine_log.propagate
    with virtual_world(seed) as loop:
        world = World(loop, seed)
        listening = _Listening(world)
        engine_log.addHandler(listening)
        engine_log.propagate = False
        try:
            loop.run_until_complete(_play(world))
            _cancel_all(loop)
        except Wedged as error:
            world.broken(f"wedged: {error}")
        finally:
            engine_log.removeHandler(listening)
            engine_log.propagate = was
    if world.problem is not None:
        raise Failure(f"seed {seed}: {world.problem}\n{tell(world)}")
    return world


def _cancel_all(loop: VirtualLoop) -> None:
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))


async def _play(world: World) -> None:
    for _ in range(world.dice.randint(1, 2)):
        world.start_engine()
    for _ in range(world.dice.randint(1, 2)):
        world.start_worker()
    world.spawn(world.scheduler.run(), "the scheduler")
    people = People(world)
    world.spawn(people.push_events(), "events")
    world.spawn(_trouble(world, people), "trouble")
    await people.start()
    if await _wait_for_all(world, people):
        people.check()
        await _play_again(world, people)
    world.check_log()


async def _wait_for_all(world: World, people: People) -> bool:
    done = world.loop.create_task(people.wait_for_all())
    ended = world.loop.create_task(world.ended.wait())
    await asyncio.wait([done, ended], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_SECONDS)
    if not done.done() and not ended.done():
        world.broken(f"did not end: {people.unfinished()}")
    done.cancel()
    ended.cancel()
    return world.problem is None


async def _play_again(world: World, people: People) -> None:
    """Replay everything: the log answers, nothing is done twice, and it comes to the same."""
    if world.dice.random() < 0.5:
        return
    await people.trouble_is_over.wait()
    if not await _wait_for_all(world, people):
        return
    await asyncio.sleep(QUIET_SECONDS)
    before = people.outputs()
    memos = [e for e in world.store.rows("entry") if e["kind"] == DurableKind.MEMO]
    # A worker may have died before it could hand in the value of the last memo.
    is_complete = all(memo["is_satisfied"] for memo in memos)
    effects = dict(world.effects)
    world.note("replayed")
    await world.insist(lambda: replay_tasks(TENANT, list(people.runs), world.loop.today))
    if await _wait_for_all(world, people) and is_complete:
        if before != people.outputs():
            world.broken(f"a replay came to {people.outputs()}, not {before}")
        if effects != dict(world.effects):
            world.broken(f"a replay computed memos again: {world.effects - Counter(effects)}")


class People:
    """Those who start runs, push events, and now and then intervene."""

    def __init__(self, world: World) -> None:
        self.world, self.dice = world, world.fork()
        self.runs: list[UUID] = []
        self.cancelled: set[UUID] = set()
        self.trouble_is_over = asyncio.Event()
        self._pushed: set[tuple[Any, ...]] = set()
        self._steps: dict[str, Step] = {}

    async def start(self) -> None:
        for number in range(self.dice.randint(1, 3)):
            self.runs.append(await self.world.trigger(number))

    def row(self, run_id: UUID) -> Row:
        return self.world.store.tables["task"][run_id,]

    # Events

    async def push_events(self) -> None:
        """Push, once, each event that somebody waits for: soon or late."""
        world = self.world
        while True:
            await world.committed()
            for wait in list(world.store.tables["wait"].values()):
                place = wait["task_id"], wait["branch_id"], wait["node_id"], wait["ordinal"]
                if wait["is_event"] and not wait["is_dropped"] and place not in self._pushed:
                    self._pushed.add(place)
                    world.spawn(self._push(place, wait), "an event")

    async def _push(self, place: tuple[Any, ...], wait: Row) -> None:
        step = self._step_of(wait)
        await asyncio.sleep(self.dice.choice((0.0, 0.01, 0.5, 3.0, 20.0)))
        now = self.world.store.tables["wait"].get(place)
        if now is not None and now["is_dropped"]:
            # Its branch was left. Should that come back, another event will be needed.
            self._pushed.discard(place)
            return
        events = [(key_of(step), wait["scope"], payload_of(step))]
        wrong = {"point": "wrong", "is_right": False}
        if "filter" in step.options:
            events.insert(0, (key_of(step), wait["scope"], wrong))
        if "scope" in step.options:
            wrong = {**wrong, "is_right": True}
            events.insert(0, (key_of(step), "another scope", wrong))
        inputs = [EventInput(key, orjson.dumps(data), scope=scope) for key, scope, data in events]
        self.world.note("event", step.point)
        await self.world.insist(lambda: push_events(TENANT, inputs, self.world.loop.today))
        now = self.world.store.tables["wait"].get(place)
        if now is not None and now["is_dropped"] and not now["is_met"]:
            self._pushed.discard(place)  # its branch was left before the event came

    def _step_of(self, wait: Row) -> Step:
        name = self.world.input_of(wait["task_id"])["name"]
        for step in all_steps(self.world.program(name)):
            if key_of(step) == wait["source"] and wait["scope"] in (None, step.point):
                return step
        raise ValueError(f"nobody waits for {wait}")

    # Ends

    async def wait_for_all(self) -> None:
        while self.cancelled or self.unfinished():
            await self.world.committed()

    def unfinished(self) -> list[UUID]:
        open_ = [r for r in self.world.store.rows("task") if r["status"] < Status.COMPLETED]
        return [row["id"] for row in open_]

    def outputs(self) -> list[bytes]:
        return [self.row(run_id)["output"] for run_id in self.runs]

    def check(self) -> None:
        for run_id in self.runs:
            row = self.row(run_id)
            if row["status"] != Status.COMPLETED:
                self.world.broken(f"{run_id} ended as {row['status']!r}: {row['error']!r}")
                return
            name = self.world.input_of(run_id)["name"]
            result = orjson.loads(row["output"])["result"]
            for mistake in mistakes(self.world.program(name), result):
                self.world.broken(mistake)


async def _trouble(world: World, people: People) -> None:
    """Let things go wrong, each with its own likelihood in this seed, and then leave the rest in peace."""
    dice = world.fork()
    kinds = [_kill_worker, _kill_engine, _snap, _stall, _spoil, _restore, _reset, _cancel]
    weights = [dice.choice((0, 0, 1, 3)) for _ in kinds]
    weights[2] += 1
    for _ in range(dice.choice((0, 1, 2, 4, 7))):
        await asyncio.sleep(dice.expovariate(1 / dice.choice((0.3, 3.0, 8.0))))
        if world.loop.time() > TROUBLE_SECONDS or not people.runs:
            continue
        (kind,) = dice.choices(kinds, weights)
        await kind(world, people, dice)
    world.note("no more trouble")
    people.trouble_is_over.set()


async def _kill_worker(world: World, _: People, dice: Any) -> None:
    if world.workers:
        world.kill_worker(dice.choice(world.workers))
    await asyncio.sleep(dice.choice((0.0, 2.0)))
    world.start_worker()


async def _kill_engine(world: World, _: People, dice: Any) -> None:
    world.kill_engine(dice.choice(world.engines))
    await asyncio.sleep(dice.choice((0.0, 2.0)))
    world.start_engine()


async def _snap(world: World, _: People, dice: Any) -> None:
    if (wire := dice.choice(world.workers).listener.wire) is not None:
        wire.snap()


async def _stall(world: World, _: People, dice: Any) -> None:
    if (wire := dice.choice(world.workers).listener.wire) is not None:
        wire.stalls_until = world.loop.time() + dice.choice((0.2, 2.0, 6.0))


async def _spoil(world: World, _: People, dice: Any) -> None:
    world.spoil_database(dice.choice((0.2, 2.0)))


async def _restore(world: World, people: People, dice: Any) -> None:
    ids = [dice.choice(people.runs)]
    await world.insist(lambda: restore_tasks(TENANT, ids, world.loop.today))


async def _reset(world: World, people: People, dice: Any) -> None:
    run_id = dice.choice(people.runs)
    node, branch = dice.randint(1, 5), 1
    world.note("reset", run_id, node)
    try:
        await world.insist(lambda: branch_task(TENANT, run_id, node, branch, world.loop.today))
    except HatchetError as error:
        world.note("refused", error)


async def _cancel(world: World, people: People, dice: Any) -> None:
    """Cancel a run, and run it again."""
    run_id = dice.choice(people.runs)
    world.note("cancel", run_id)
    people.cancelled.add(run_id)
    await world.insist(lambda: cancel_tasks(TENANT, [run_id], world.loop.today))
    await asyncio.sleep(dice.choice((0.0, 0.05, 5.0)))
    await world.insist(lambda: replay_tasks(TENANT, [run_id], world.loop.today))
    people.cancelled.discard(run_id)


# The story


_ID = re.compile(r"UUID\('([0-9a-f-]{36})'\)|\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
_NOISE = re.compile(
    r", \w+=(?:None|False|\(\)|'')|desired_labels=\(\)|(?<=<)\w+\.(?=[A-Z])|\b\w+=(?=#)"
)


def tell(world: World) -> str:
    """Return what happened, for people: ids are numbered in the order in which they are met."""
    lines = [f"{at:9.3f}  {' '.join(map(str, what))}" for at, what in world.story]
    for table in ("task", "log", "entry", "wait"):
        lines += [f"{table}: {dict(row)}" for row in world.store.rows(table)]
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        return names.setdefault(found[1] or found[2], f"#{len(names)}")

    return _NOISE.sub("", _ID.sub(name, "\n".join(lines)))
