"""Changes of keys while everything runs: other master keys, and new data keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from engine.store import tenant_keys
from engine.store.data_keys import new_key
from engine.store.own_connection import own_connection
from engine.vault.masters import Masters

_AT_ONCE = 100


def wrap_anew(masters: Masters) -> int:
    """Encrypt every data key with the first master key; return how many were under another one.

    Unreadable: a master key is missing. PayloadsAway: KMS does not answer. What was done stays done.
    """
    done, after = 0, UUID(int=0)
    with own_connection() as fetch:
        while keys := fetch(tenant_keys.not_wrapped_by(masters.name, after, _AT_ONCE)):
            for key in keys:
                secret = masters.unwrap(key.wrapped, key.master, key.tenant_id)
                new = key._replace(wrapped=masters.wrap(secret, key.tenant_id), master=masters.name)
                done += len(fetch(tenant_keys.wrap_anew(new, key.master)))
            after = keys[-1].id
    return done


def renew(masters: Masters, tenant_ids: Iterable[UUID]) -> None:
    """Give each of these tenants a new data key. PayloadsAway: KMS does not answer."""
    with own_connection() as fetch:
        for tenant_id in tenant_ids:
            fetch(tenant_keys.insert(new_key(masters, tenant_id), datetime.now(UTC)))
