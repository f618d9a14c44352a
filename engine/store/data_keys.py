"""The tenants' data keys as a process knows them: read when they are needed, and again every minute."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from uuid import UUID

from engine.ids import new_id
from engine.store import tenant_keys
from engine.store.own_connection import own_connection
from engine.store.tenant_keys import WrappedKey
from engine.vault.envelope import KEY_BYTES, SealingKey, Unreadable
from engine.vault.masters import Masters

KNOWN_SECONDS = 60.0
"""A key that was changed or destroyed is used for so long still."""
GONE = "The payload's key was destroyed: it cannot be read any more."


class DataKeys:
    """Says with what to encrypt for a tenant, and what a key's id stands for. `load…` may block."""

    def __init__(self, masters: Masters) -> None:
        self.masters = masters
        self._current: dict[UUID, tuple[float, SealingKey]] = {}
        self._secrets: dict[UUID, tuple[float, bytes | Unreadable]] = {}
        self._sealing: dict[UUID, SealingKey] = {}
        self._unwrapped: dict[UUID, tuple[bytes, bytes]] = {}
        """What each key was wrapped as, and what it is: KMS is asked once."""

    def of_tenant(self, tenant_id: UUID) -> SealingKey | None:
        """None: it has to be loaded."""
        found = self._current.get(tenant_id)
        return found[1] if found and found[0] > time.monotonic() else None

    def knows(self, key_id: UUID) -> bool:
        found = self._secrets.get(key_id)
        return found is not None and found[0] > time.monotonic()

    def secret_of(self, key_id: UUID) -> bytes:
        """Return a key that was loaded. Unreadable: there is none."""
        secret = self._secrets[key_id][1]
        if isinstance(secret, Unreadable):
            raise secret
        return secret

    def load_current(self, tenant_ids: Collection[UUID]) -> None:
        """Learn the newest keys of these tenants, and make one for those that have none.

        Those of all others that are known are read again along with them, so that it is rarely done.
        Unavailable, PayloadsAway: nothing can be encrypted for them now.
        """
        if not (missing := {key for key in tenant_ids if self.of_tenant(key) is None}):
            return
        until = time.monotonic() + KNOWN_SECONDS
        known = set(self._current)
        with own_connection() as fetch:
            found = {key.tenant_id: key for key in fetch(tenant_keys.current(known | missing))}
            for tenant_id in missing - found.keys():
                found[tenant_id] = new_key(self.masters, tenant_id)
                fetch(tenant_keys.insert(found[tenant_id], datetime.now(UTC)))
        for tenant_id in known - found.keys():
            self._current.pop(tenant_id, None)
        for key in found.values():
            self._use(key, until, is_needed=key.tenant_id in missing)

    def _use(self, key: WrappedKey, until: float, *, is_needed: bool) -> None:
        """Encrypt with a key from now on."""
        secret = self._unwrap(key)
        self._secrets[key.id] = until, secret
        if isinstance(secret, Unreadable):
            self._current.pop(key.tenant_id, None)
            if is_needed:
                raise secret
            return
        sealing = self._sealing.setdefault(key.id, SealingKey(key.id, secret))
        self._current[key.tenant_id] = until, sealing

    def load(self, key_ids: Iterable[UUID]) -> None:
        """Learn these keys, and the others that are known anew.

        Unavailable, PayloadsAway: they cannot be had now.
        """
        if not (missing := {key_id for key_id in key_ids if not self.knows(key_id)}):
            return
        until = time.monotonic() + KNOWN_SECONDS
        missing |= set(self._unwrapped)
        with own_connection() as fetch:
            rows = fetch(tenant_keys.by_ids(missing))
        self._secrets |= {row.id: (until, self._unwrap(row)) for row in rows}
        for key_id in missing - {row.id for row in rows}:
            self._secrets[key_id] = until, Unreadable(GONE)
            self._unwrapped.pop(key_id, None)
            self._sealing.pop(key_id, None)

    def _unwrap(self, key: WrappedKey) -> bytes | Unreadable:
        wrapped, secret = self._unwrapped.get(key.id, (b"", b""))
        if wrapped == key.wrapped:
            return secret
        try:
            secret = self.masters.unwrap(key.wrapped, key.master, key.tenant_id)
        except Unreadable as error:
            return error
        self._unwrapped[key.id] = key.wrapped, secret
        return secret


def new_key(masters: Masters, tenant_id: UUID) -> WrappedKey:
    """Return a data key that was never used. PayloadsAway: KMS does not answer."""
    wrapped = masters.wrap(os.urandom(KEY_BYTES), tenant_id)
    return WrappedKey(new_id(), tenant_id, wrapped, masters.name)
