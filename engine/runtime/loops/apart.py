"""Work on many tenants at once: the costly expressions of one keep nobody else waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from engine.domain.cel.answers import Answers, Unanswered
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The tenants a piece of work is for: one, or all but some; its operations are run by `run`."""

    database: AsyncDatabase
    only: UUID | None = None
    but: Collection[UUID] = ()
    answers: Answers | None = None

    def among(self, tenant_ids: Collection[UUID]) -> list[UUID]:
        if self.only is not None:
            return [self.only]
        return [tenant_id for tenant_id in tenant_ids if tenant_id not in self.but]

    async def run(self, operation: Operation[Result]) -> Result:
        """Run an operation; one for all tenants raises Unanswered if there is something to evaluate first."""
        if self.answers is None:
            return await self.database.run(operation)
        with self.answers:
            return await self.database.run(operation)


Spawn = Callable[[Coroutine[Any, Any, None], str], None]
"""Runs something in the background under a name."""

Work = Callable[[Chosen], Awaitable[int]]
"""Does what is due for the chosen tenants; returns how much that was."""


class Apart:
    """Does one kind of work; tenants whose expressions have to be evaluated first follow by themselves."""

    def __init__(
        self,
        database: AsyncDatabase,
        spawn: Spawn,
        what: str,
    ) -> None:
        self._database, self._spawn, self._what = database, spawn, what
        self._apart: set[UUID] = set()

    async def run(self, work: Work) -> int:
        """Do the work for the tenants there are; return how much was done at once."""
        while True:
            answers = Answers()
            try:
                return await work(
                    Chosen(database=self._database, but=tuple(self._apart), answers=answers)
                )
            except Unanswered:
                asking = {tenant_id for tenant_id in answers.asked.values() if tenant_id}
                for tenant_id in asking - self._apart:
                    self._apart.add(tenant_id)
                    self._spawn(self._follow(tenant_id, work), self._what)

    async def _follow(self, tenant_id: UUID, work: Work) -> None:
        try:
            await work(Chosen(database=self._database, only=tenant_id))
        finally:
            self._apart.discard(tenant_id)
