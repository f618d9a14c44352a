"""Operations on many tenants at once: the costly expressions of one keep nobody else waiting."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from engine.domain.cel_answers import Answers, Unanswered
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation

Result = TypeVar("Result")


class Chosen(NamedTuple):
    """The tenants an operation is for: one, or all but some."""

    only: UUID | None = None
    but: Collection[UUID] = ()

    def among(self, tenant_ids: Collection[UUID]) -> list[UUID]:
        if self.only is not None:
            return [self.only]
        return [tenant_id for tenant_id in tenant_ids if tenant_id not in self.but]


class Apart:
    """Runs one kind of operation; tenants whose expressions have to be evaluated first follow by themselves."""

    def __init__(
        self,
        database: AsyncDatabase,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        what: str,
    ) -> None:
        self._database, self._spawn, self._what = database, spawn, what
        self._apart: set[UUID] = set()

    async def run(
        self, make: Callable[[Chosen], Operation[Result]], apply: Callable[[Result], None]
    ) -> Result:
        """Run what `make` makes for the tenants there are; `apply` is called with each result."""
        while True:
            answers = Answers()
            try:
                with answers:
                    result = await self._database.run(make(Chosen(but=tuple(self._apart))))
            except Unanswered:
                asking = {tenant_id for tenant_id in answers.asked.values() if tenant_id}
                for tenant_id in asking - self._apart:
                    self._apart.add(tenant_id)
                    self._spawn(self._follow(tenant_id, make, apply), self._what)
            else:
                apply(result)
                return result

    async def _follow(
        self,
        tenant_id: UUID,
        make: Callable[[Chosen], Operation[Result]],
        apply: Callable[[Result], None],
    ) -> None:
        try:
            apply(await self._database.run(make(Chosen(only=tenant_id))))
        finally:
            self._apart.discard(tenant_id)
