"""Rows in memory, under transactions that see, lock and commit as those of the database do."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from uuid import UUID

from engine.errors import Unavailable
from engine.store.changes import Changes
from engine.store.placing import NO_PLACES, Wanting
from engine.store.query import Last, Operation, Query

Result = TypeVar("Result")
Row = Mapping[str, Any]
Key = tuple[Any, ...]
Lock = tuple[str, Any]

DEADLOCK_SECONDS = 20.0


class Broken(AssertionError):
    """Something that must never happen happened."""


class _Holders:
    """Who holds one lock, and who waits for it."""

    def __init__(self) -> None:
        self.owners: set[int] = set()
        self.is_shared = False
        self.waiting: deque[tuple[int, bool, asyncio.Future[None]]] = deque()

    def try_take(self, owner: int, *, is_shared: bool) -> bool:
        if owner in self.owners and (is_shared or not self.is_shared or len(self.owners) == 1):
            self.is_shared = self.is_shared and is_shared
            return True
        if not self.owners or (self.is_shared and is_shared and not self.waiting):
            self.is_shared = is_shared
            self.owners.add(owner)
            return True
        return False

    def leave(self, owner: int) -> None:
        self.owners.discard(owner)
        while self.waiting:
            next_owner, is_shared, turn = self.waiting[0]
            if turn.done():
                self.waiting.popleft()
                continue
            if self.owners and not (self.is_shared and is_shared):
                return
            self.waiting.popleft()
            self.owners.add(next_owner)
            self.is_shared = is_shared
            turn.set_result(None)


class Store:
    """What has been committed."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Key, Row]] = defaultdict(dict)
        self._locks: dict[Lock, _Holders] = {}
        self._transactions = 0
        self.on_commit: list[Callable[[], None]] = []

    def rows(self, table: str) -> list[Row]:
        return list(self.tables[table].values())

    def begin(self) -> Transaction:
        self._transactions += 1
        return Transaction(self, self._transactions)

    async def take(self, owner: int, lock: Lock, *, is_shared: bool = False) -> None:
        holders = self._locks.setdefault(lock, _Holders())
        if holders.try_take(owner, is_shared=is_shared):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        holders.waiting.append((owner, is_shared, turn))
        try:
            async with asyncio.timeout(DEADLOCK_SECONDS):
                await turn
        except TimeoutError:
            raise Broken(f"transactions wait for each other, or too long, at {lock}") from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                holders.leave(owner)
            raise

    def try_take(self, owner: int, lock: Lock) -> bool:
        return self._locks.setdefault(lock, _Holders()).try_take(owner, is_shared=False)

    def leave(self, owner: int, locks: list[Lock]) -> None:
        for lock in locks:
            self._locks[lock].leave(owner)


class Transaction:
    """Sees what was committed and what it wrote itself; others see that when it commits."""

    def __init__(self, store: Store, number: int) -> None:
        self._store, self._number = store, number
        self._written: dict[str, dict[Key, Row | None]] = defaultdict(dict)
        self._locks: list[Lock] = []

    def get(self, table: str, *key: Any) -> Row | None:
        written = self._written.get(table)
        if written is not None and key in written:
            return written[key]
        return self._store.tables[table].get(key)

    def scan(self, table: str) -> Iterator[Row]:
        written = self._written.get(table, {})
        for key, row in list(self._store.tables[table].items()):
            if key not in written:
                yield row
        yield from [row for row in written.values() if row is not None]

    def put(self, table: str, *key: Any, **columns: Any) -> Row:
        """Insert a row, or change these columns of it."""
        row = {**(self.get(table, *key) or {}), **columns}
        self._written[table][key] = row
        return row

    def delete(self, table: str, *key: Any) -> None:
        self._written[table][key] = None

    async def lock(self, kind: str, key: Any, *, is_shared: bool = False) -> None:
        lock = (kind, key)
        await self._store.take(self._number, lock, is_shared=is_shared)
        self._locks.append(lock)

    def try_lock(self, kind: str, key: Any) -> bool:
        if not self._store.try_take(self._number, (kind, key)):
            return False
        self._locks.append((kind, key))
        return True

    def commit(self) -> None:
        for table, rows in self._written.items():
            for key, row in rows.items():
                if row is None:
                    self._store.tables[table].pop(key, None)
                else:
                    self._store.tables[table][key] = row
        self.end()
        for tell in self._store.on_commit:
            tell()

    def end(self) -> None:
        locks, self._locks = list(dict.fromkeys(self._locks)), []
        self._written.clear()
        self._store.leave(self._number, locks)


Statement = Callable[[Transaction, Mapping[str, Any]], list[tuple[Any, ...]]]
Locks = Callable[[Transaction, Mapping[str, Any]], list[tuple[str, Any, bool]]]


class Connections:
    """Runs operations as the engine's pool does: statement after statement, with others in between."""

    def __init__(
        self,
        store: Store,
        statements: Mapping[str, tuple[Statement, Locks | None]],
        dice: random.Random,
        on_committed: Callable[[Changes], None],
    ) -> None:
        self._store, self._statements, self._dice = store, statements, dice
        self._on_committed = on_committed
        self.broken_until = 0.0
        """Until then connections break now and then, before or after a commit."""

    async def run(self, operation: Operation[Result]) -> Result:
        transaction, changes = self._store.begin(), Changes()
        try:
            await self._travel()
            answers: Any = None
            while True:
                try:
                    queries = operation.send(answers)
                except StopIteration as stop:
                    result: Result = stop.value
                    await self._travel()
                    transaction.commit()
                    await self._travel()
                    self._on_committed(changes)
                    return result
                if isinstance(queries, Changes):
                    changes.add(queries)
                    answers = ()
                    continue
                if isinstance(queries, Wanting):
                    answers = NO_PLACES
                    continue
                answers = [await self._execute(transaction, query) for query in queries]
                if isinstance(queries, Last):
                    transaction.commit()
                await self._travel()
        finally:
            transaction.end()

    async def _execute(self, transaction: Transaction, query: Query[Any]) -> list[Any]:
        statement, locks = self._statements[query.name]
        if locks is not None:
            for kind, key, is_shared in locks(transaction, query.params):
                await transaction.lock(kind, key, is_shared=is_shared)
        return [query.row(*columns) for columns in statement(transaction, query.params)]

    async def _travel(self) -> None:
        await asyncio.sleep(self._dice.random() * 0.004)
        if self.broken_until > asyncio.get_running_loop().time() and self._dice.random() < 0.1:
            raise Unavailable("the database cannot be reached")


def task_lock(task_id: UUID) -> tuple[str, Any, bool]:
    return "task", task_id, False


def log_lock(task_id: UUID) -> tuple[str, Any, bool]:
    return "log", task_id, False
