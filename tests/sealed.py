"""Processes that encrypt payloads, or keep large ones as objects, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
from django.db import connection

from engine.errors import PayloadsAway
from engine.store import sealing
from engine.store.data_keys import DataKeys
from engine.store.object_payloads import Objects
from engine.store.sealing import Sealer
from engine.vault.directory import Directory
from engine.vault.masters import Masters
from engine.vault.objects import ObjectStore

MASTER = "a master key of the tests 0123456789"
THRESHOLD = 1_000


@contextmanager
def sealing_with(
    *masters: str, store: ObjectStore | None = None, threshold: int | None = THRESHOLD
) -> Iterator[Sealer]:
    """Encrypt if there are master keys, keep large payloads in the store if there is one."""
    keys = DataKeys(Masters(masters)) if masters else None
    objects = Objects(store, threshold) if store is not None else None
    before = sealing.sealer()
    made = Sealer(keys, objects, is_encrypting=bool(masters))
    sealing.use(made)
    try:
        yield made
    finally:
        sealing.use(before)


class Breakable(Directory):
    """A store that can be away, and counts how often it was asked for something meanwhile."""

    is_away = False
    refused = 0

    def put(self, key: str, content: bytes) -> None:
        self._ask()
        super().put(key, content)

    def get(self, key: str) -> bytes:
        self._ask()
        return super().get(key)

    def _ask(self) -> None:
        if self.is_away:
            self.refused += 1
            raise PayloadsAway("the object store cannot be reached")


def destroy_key(key_id: UUID) -> None:
    """Data keys are committed at once, whatever becomes of the transaction that needed them."""
    given = connection.get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    parts = {name: given[name] for name in names if given.get(name)}
    with psycopg.connect(**parts, autocommit=True) as opened:
        done = opened.execute("DELETE FROM engine_tenantkey WHERE id = %s", [key_id])
        assert done.rowcount == 1
