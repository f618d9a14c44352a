"""Random programs of durable tasks, what they do when a client runs them, and what they may come to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson


@dataclass(frozen=True)
class Child:
    """A run that is spawned. A durable one runs a program of its own."""

    name: str
    seconds: float
    fails: bool = False
    is_durable: bool = False
    key: str | None = None

    @property
    def input(self) -> bytes:
        given = {"name": self.name, "seconds": self.seconds, "fails": self.fails}
        return orjson.dumps(given)


@dataclass(frozen=True)
class Step:
    """One call, or several. `point` names its place in the program, whichever invocation comes there."""

    kind: str
    point: str
    seconds: int = 0
    children: tuple[Child, ...] = ()
    branches: tuple[Program, ...] = ()
    options: frozenset[str] = frozenset()


Program = tuple[Step, ...]


class Calls(Protocol):
    """What a program may ask of its client."""

    async def memo(self, point: str, seconds: float) -> Any: ...
    async def sleep(self, seconds: int) -> Any: ...
    async def wait(self, step: Step, since: float | None) -> Any: ...
    async def spawn(self, children: Sequence[Child]) -> list[Any]: ...
    async def result(self, spawned: Any) -> Any: ...


@dataclass
class Composer:
    """Makes up programs. Their size, and what they are made of, depends on the dice alone."""

    dice: random.Random
    points: int = 0
    kinds: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weights = {
            "sleep": 3,
            "event": 4,
            "any": 3,
            "both": 2,
            "memo": 4,
            "stamp": 2,
            "spawn": 4,
            "forget": 3,
            "keyed": 2,
            "compute": 1,
            "together": 3,
        }
        for kind, weight in weights.items():
            self.kinds[kind] = weight * self.dice.choice((0, 1, 1, 2))
        self.kinds["sleep"] += 1

    def program(self, name: str, depth: int = 0) -> Program:
        count = self.dice.randint(1, 3 if depth else 6)
        return tuple(self._step(name, depth) for _ in range(count))

    def _step(self, name: str, depth: int) -> Step:
        kinds = dict(self.kinds)
        if depth:
            # Code of branches that takes its time outside of memos is not repeated in its order.
            kinds["together"] = kinds["compute"] = 0
        if depth and kinds["memo"]:
            # Equal calls of branches are told apart by their order, which slow memos change.
            kinds["stamp"] = 0
        (kind,) = self.dice.choices(list(kinds), list(kinds.values()))
        self.points += 1
        point = f"{name}.{self.points}"
        seconds = self.dice.choice((0, 1, 1, 2, 5, 15))
        flags = ("scope", "filter", "back")
        options = frozenset(o for o in flags if self.dice.random() < 0.4)
        children: tuple[Child, ...] = ()
        branches: tuple[Program, ...] = ()
        if kind in ("spawn", "forget", "keyed"):
            children = self._children(point, kind, depth)
        if kind == "together":
            branches = tuple(
                self.program(f"{point}{letter}", depth + 1)
                for letter in "abc"[: self.dice.randint(2, 3)]
            )
        return Step(kind, point, seconds, children, branches, options)

    def _children(self, point: str, kind: str, depth: int) -> tuple[Child, ...]:
        count = 2 if kind == "keyed" else self.dice.choice((1, 1, 2, 4))
        return tuple(
            Child(
                f"{point}-{0 if kind == 'keyed' else number}",
                self.dice.choice((0.0, 0.2, 2.0, 8.0)),
                self.dice.random() < 0.2,
                kind != "keyed" and not depth and self.dice.random() < 0.15,
                f"key {point}" if kind == "keyed" else None,
            )
            for number in range(count)
        )


async def execute(program: Program, calls: Calls) -> list[Any]:
    """Run a program as user code does: everything it comes to depends on what its calls return."""
    return [await _execute(step, calls) for step in program]


async def _execute(step: Step, calls: Calls) -> Any:
    match step.kind:
        case "sleep":
            return await calls.sleep(step.seconds)
        case "memo":
            return await calls.memo(step.point, step.seconds / 4)
        case "stamp":
            return await calls.memo("stamp", 0)
        case "event" | "any" | "both":
            since = None
            if is_looking_back(step):
                since = (await calls.memo("now", 0))["at"]
            return await calls.wait(step, since)
        case "forget":
            await calls.spawn(step.children)
            return "forgotten"
        case "spawn":
            spawned = await calls.spawn(step.children)
            if len(spawned) == 1:
                return [await calls.result(spawned[0])]
            return list(await asyncio.gather(*(calls.result(each) for each in spawned)))
        case "keyed":
            first = await calls.spawn(step.children[:1])
            await calls.memo(f"between {step.point}", 0)
            again = await calls.spawn(step.children[1:])
            return [await calls.result(first[0]), await calls.result(again[0])]
        case "compute":
            await asyncio.sleep(step.seconds)
            return "computed"
        case "together":
            parts = [execute(branch, calls) for branch in step.branches]
            return list(await asyncio.gather(*parts))
    raise ValueError(step.kind)


# What is right


def mistakes(program: Program, result: Any) -> list[str]:
    """Return what is wrong with a result, whatever happened on the way to it."""
    if not isinstance(result, list) or len(result) != len(program):
        return [f"{result!r} is not what {len(program)} steps come to"]
    return [
        f"{step.kind} {step.point} came to {value!r}"
        for step, value in zip(program, result, strict=True)
        if not _fits(step, value)
    ]


def _fits(step: Step, value: Any) -> bool:
    slept = {f"sleep:{step.seconds}s": [{"sleep_duration": f"{step.seconds}s"}]}
    happened = {key_of(step): [payload_of(step)]}
    match step.kind:
        case "sleep":
            return bool(value == {"CREATE": slept})
        case "event":
            return bool(value == {"CREATE": happened})
        case "any":
            return value in ({"CREATE": slept}, {"CREATE": happened})
        case "both":
            return bool(value == {"CREATE": {**slept, **happened}})
        case "memo":
            return bool(value["point"] == step.point)
        case "stamp":
            return bool(value["point"] == "stamp")
        case "keyed":
            # Who asks for a key again gets the first child, whatever else he asks for.
            return bool(
                value == [result_of(step.children[0].name, fails=step.children[0].fails)] * 2
            )
        case "spawn":
            return len(value) == len(step.children) and all(map(_is_result, step.children, value))
        case "together":
            return not any(map(mistakes, step.branches, value))
    return value in ("forgotten", "computed")


def _is_result(child: Child, value: Any) -> bool:
    if child.is_durable:
        return bool("result" in value)
    return bool(value == result_of(child.name, fails=child.fails))


def result_of(name: str, *, fails: bool) -> dict[str, Any]:
    """Return what the parent sees of a child that is not durable."""
    return {"error": f"{name} broke"} if fails else {"done": name}


def is_looking_back(step: Step) -> bool:
    return step.kind in ("event", "any", "both") and {"back", "scope"} <= step.options


def key_of(step: Step) -> str:
    """Return the event a step waits for. Events with scopes share one key."""
    return "shared" if "scope" in step.options else f"event {step.point}"


def payload_of(step: Step) -> dict[str, Any]:
    return {"point": step.point, "is_right": True}


def has_equal_calls(program: Program) -> bool:
    """Say whether coroutines make calls that nothing tells apart, and that may change places."""
    for step in program:
        calls = [{_call_of(each) for each in branch} - {None} for branch in step.branches]
        if len(set().union(*calls)) < sum(map(len, calls)):
            return True
    return False


def _call_of(step: Step) -> str | None:
    if step.kind == "sleep":
        return f"sleep {step.seconds}"
    return "now" if is_looking_back(step) else None


def all_steps(program: Program) -> list[Step]:
    return [
        *program,
        *(each for step in program for branch in step.branches for each in all_steps(branch)),
    ]
