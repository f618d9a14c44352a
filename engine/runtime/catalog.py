"""Workflow names in memory: which version a name means now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import UUID

from engine.domain.definition import RegisteredVersion
from engine.operations.parts.plan_runs import resolve_names
from engine.store.async_db import AsyncDatabase

_TRUSTED_SECONDS = 1.0
"""How long a name may mean an old version if the hint about the new one is lost."""


class Catalog:
    """Latest versions by name. Unknown names are asked for every time."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._latest: dict[tuple[UUID, str], tuple[float, RegisteredVersion]] = {}

    async def resolve(self, tenant_id: UUID, names: Sequence[str]) -> dict[str, RegisteredVersion]:
        """Return the latest version of each name. InvalidArgument names the unknown ones."""
        trusted_since = time.monotonic() - _TRUSTED_SECONDS
        found: dict[str, RegisteredVersion] = {}
        missing = []
        for name in set(names):
            known = self._latest.get((tenant_id, name))
            if known and known[0] >= trusted_since:
                found[name] = known[1]
            else:
                missing.append(name)
        if missing:
            versions = await self._database.run(resolve_names(tenant_id, missing))
            now = time.monotonic()
            for name, version in versions.items():
                self._latest[tenant_id, name] = (now, version)
            found |= versions
        return found

    def forget(self, tenant_id: UUID) -> None:
        """Ask again for every name of a tenant: something was registered or deleted."""
        for key in [key for key in self._latest if key[0] == tenant_id]:
            del self._latest[key]
