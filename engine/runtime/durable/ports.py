"""What the streams of durable tasks ask of the service that opened them, and it of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from engine.domain.durable.calls import Answer, Call, Completion, Node, Stale
from engine.domain.durable.delivery import Invocation
from engine.operations.durable.await_nodes import Waiting
from engine.operations.durable.evict_tasks import Evicted, Eviction
from engine.operations.durable.read_logs import Opening
from engine.runtime.durable.lanes import Request
from engine.runtime.durable.replies import Reply
from engine.runtime.durable.routes import Routes
from engine.runtime.loops.apart import Spawn
from engine.runtime.loops.batcher import Batcher


class OpenStream(Protocol):
    """A stream or listener that the service keeps until it is closed."""

    async def drain(self, seconds: float) -> None:
        """Answer what was asked, within some time, and end."""

    async def audit(self) -> None:
        """Look up everything that is waited for: hints may have been lost."""

    async def look_up_held(self) -> None:
        """Look up what keeps completions back that are here."""


class Keeper(Protocol):
    """What any stream asks of the service."""

    @property
    def routes(self) -> Routes: ...

    @property
    def spawn(self) -> Spawn: ...

    def closed(self, stream: OpenStream) -> None: ...


class SignalService(Keeper, Protocol):
    """What listeners of the older API ask for."""

    async def load_signals(
        self, tenant_id: UUID, pairs: Sequence[tuple[UUID, str]]
    ) -> list[Completion]: ...


class StreamService(Keeper, Protocol):
    """What the streams of workers ask for."""

    @property
    def lookups(self) -> Batcher[tuple[Waiting, ...], list[Completion | Stale | None]]: ...

    @property
    def openings(self) -> Batcher[tuple[UUID, UUID], Opening | None]: ...

    @property
    def evictions(self) -> Batcher[Eviction, Evicted]: ...

    async def record(self, call: Call) -> Answer: ...

    async def restore(self, tenant_id: UUID, task_id: UUID) -> bool: ...


class EvictingStream(Protocol):
    """What the evictions of one stream ask of it."""

    @property
    def tenant_id(self) -> UUID: ...

    def invocation_of(self, task_id: UUID, count: int) -> Invocation | None: ...

    async def open(self, invocation: Invocation, first: Sequence[Node]) -> None: ...

    def serves(self, invocation: Invocation) -> bool: ...

    def send_current(self, invocation: Invocation) -> None: ...

    def drop(self, task_id: UUID) -> None: ...

    def reply(self, reply: Reply) -> None: ...

    def refuse(self, task_id: str, invocation: int, message: str) -> None: ...

    async def take(self, request: Request) -> None: ...
