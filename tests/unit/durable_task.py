"""A durable task as its log sees it, and what it may call."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

from engine.domain.durable.calls import (
    MemoAnswer,
    Mismatch,
    Node,
    SpawnAnswer,
    WaitAnswer,
    WaitCondition,
)
from engine.domain.durable.log import Log
from engine.domain.durable.state import LogState
from engine.states import ConditionKind
from engine.types import TriggerRequest

TASK = UUID(int=7)


def sleep(
    text: str = "5s",
    group: UUID | None = None,
    *,
    data_key: str | None = None,
    expression: str = "",
) -> WaitCondition:
    key = f"sleep:{text}" if data_key is None else data_key
    return WaitCondition(ConditionKind.SLEEP, group or uuid4(), text, key, expression)


def event(key: str, group: UUID | None = None, scope: str | None = None) -> WaitCondition:
    return WaitCondition(ConditionKind.EVENT, group or uuid4(), key, key, scope=scope)


def child(
    name: str = "child", index: int | None = None, key: str | None = None, n: int = 0
) -> TriggerRequest:
    return TriggerRequest(name, b'{"n":%d}' % n, child_index=index, child_key=key)


class Task:
    """A durable task in memory, through any number of invocations."""

    def __init__(self) -> None:
        self.log = Log(TASK, LogState())
        self._runs: Iterator[int] = iter(range(1, 10_000))

    def again(self) -> None:
        """The next invocation reads what the ones before it wrote."""
        state = self.log.state
        state.begin_invocation()
        self._reopen(state)

    def fork(self, branch: int, node: int) -> None:
        state = self.log.state
        state.fork(branch, node)
        self._reopen(state)
        self.again()

    def _reopen(self, state: LogState) -> None:
        entries = self.log.entries.values()
        self.log = Log(TASK, state)
        for entry in entries:
            entry.is_new = False
            self.log.add_known(entry)

    def load_rest(self) -> None:
        """Let all be known that is recorded, of a program that keeps its order."""
        self.log.add_rest((), may_change_places=False)

    def wait(self, *conditions: WaitCondition) -> Node:
        answer = self.log.wait(conditions)
        assert isinstance(answer, WaitAnswer), answer
        return answer.node

    def memo(self, key: bytes = b"k") -> Node:
        answer = self.log.memo(key)
        assert isinstance(answer, MemoAnswer), answer
        return answer.node

    def spawn(self, *children: TriggerRequest) -> list[tuple[int, int]]:
        """Return (node, run) of each."""
        answer = self.log.spawn(children, lambda: UUID(int=next(self._runs)))
        assert isinstance(answer, SpawnAnswer), answer
        return [(node.node_id, run.int) for node, run in answer.children]

    def refused(self, *children: TriggerRequest) -> Mismatch:
        self.load_rest()
        answer = self.log.spawn(children, lambda: UUID(int=next(self._runs)))
        assert isinstance(answer, Mismatch), answer
        return answer

    def order_of(self, node: Node) -> int | None:
        return self.log.entries[node].order
