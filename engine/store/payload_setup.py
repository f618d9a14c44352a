"""Makes a process seal payloads as its configuration says, and finds out at the start whether it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from engine.config import Config
from engine.environment import ConfigError
from engine.errors import PayloadsAway, Unavailable
from engine.payload_config import PayloadConfig
from engine.store import payload_stores, sealing, tenant_keys
from engine.store.data_keys import DataKeys, new_key
from engine.store.object_payloads import Objects
from engine.store.own_connection import own_connection
from engine.store.query import Query
from engine.store.sealing import Sealer
from engine.store.tenant_keys import WrappedKey
from engine.vault.directory import Directory
from engine.vault.envelope import Unreadable
from engine.vault.masters import Masters
from engine.vault.objects import ObjectStore
from engine.vault.s3 import S3

_NOBODY = UUID(int=0)

Fetch = Callable[[Query[Any]], Sequence[Any]]


def set_up(config: Config) -> None:
    """Seal and open payloads from now on, if they are not stored as they come. Nothing is asked for yet."""
    sealing.use(None if config.payloads.is_plain else sealer_of(config))


def sealer_of(config: Config) -> Sealer:
    payloads, store = config.payloads, store_of(config.payloads)
    keys = None if payloads.encryption == "off" else DataKeys(masters_of(config))
    objects = None if store is None else Objects(store, payloads.threshold_bytes)
    return Sealer(keys, objects, is_encrypting=payloads.encryption == "on")


def masters_of(config: Config) -> Masters:
    return Masters(config.encryption_keys, config.payloads.kms_key_id)


def store_of(payloads: PayloadConfig) -> ObjectStore | None:
    if payloads.bucket is not None:
        return S3(payloads.bucket)
    return None if payloads.directory is None else Directory(payloads.directory)


def check_payloads(config: Config) -> None:
    """Raise ConfigError if payloads of this database could not be read, or new ones not be stored."""
    try:
        with own_connection() as fetch:
            _check_keys(config, fetch)
            _check_store(config.payloads, fetch)
    except psycopg.errors.UndefinedTable:
        pass  # migrations come first
    except Unavailable:
        pass  # whoever needs the database for its start says so
    except PayloadsAway as error:
        raise ConfigError(f"SERVER_ENCRYPTION_AWSKMS_KEY_ID: {error}.") from None


def _check_keys(config: Config, fetch: Fetch) -> None:
    wrapped: Sequence[WrappedKey] = fetch(tenant_keys.masters())
    encryption, masters = config.payloads.encryption, masters_of(config)
    if wrapped and encryption == "off":
        raise ConfigError(
            "payloads in this database are encrypted; set SERVER_ENCRYPTION_PAYLOADS=on, "
            "or =read to store new ones as they come."
        )
    if encryption == "on" and not wrapped:
        # It shows at the next start, on whatever machine, whether the master key is the same.
        fetch(tenant_keys.insert(new_key(masters, _NOBODY), datetime.now(UTC)))
    try:
        for key in wrapped:
            masters.unwrap(key.wrapped, key.master, key.tenant_id)
    except Unreadable:
        raise ConfigError(
            "payloads in this database are encrypted under a master key that is not among those of "
            "SERVER_ENCRYPTION_MASTER_KEYSET or AWS KMS; put it back, behind a newer one if there is one."
        ) from None


def _check_store(payloads: PayloadConfig, fetch: Fetch) -> None:
    store, location = store_of(payloads), payloads.location
    if store is None or location is None:
        if used := fetch(payload_stores.locations()):
            raise ConfigError(
                f"payloads in this database are objects in {used[0]}; set SERVER_PAYLOAD_STORE_KIND as it "
                "was, and SERVER_PAYLOAD_STORE_THRESHOLD_BYTES=0 if no new ones are to go there."
            )
        return
    store.check()
    if payloads.threshold_bytes is not None:
        fetch(payload_stores.note(location, datetime.now(UTC)))
