"""Whether the database can be used at all: it answers, is new enough, and keeps what a session asks of it."""

from __future__ import annotations

import psycopg

from engine.environment import ConfigError
from engine.store.async_db import CONNECTION_OPTIONS

OLDEST_POSTGRES = 150000
_ATTEMPTS = 5
_ANSWER_SECONDS = 30


def check_database(url: str) -> None:
    """Raise ConfigError when the database does not answer, is too old, or forgets its sessions."""
    try:
        with _connect(url) as connection:
            version = connection.info.server_version
        shared = version >= OLDEST_POSTGRES and _sessions_are_shared(url)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"the database of DATABASE_URL does not answer: {reason}.") from None
    if version < OLDEST_POSTGRES:
        raise ConfigError(f"Postgres 15 or newer is needed, this one is {version // 10000}.")
    if shared:
        raise ConfigError(
            "DATABASE_URL leads to a connection pooler in transaction mode (PgBouncer or alike), which "
            "forgets prepared statements and LISTEN between transactions: name Postgres itself or a "
            "pooler in session mode."
        )


def _sessions_are_shared(url: str) -> bool:
    """Whether a pooler gives the server process of one open connection to another one.

    Only Postgres itself names, when a connection opens, the process that answers it later. A pooler that
    keeps sessions apart passes too: it never shows one process to two open connections.
    """
    with _connect(url) as first, _connect(url) as second:
        if _process(first) == first.info.backend_pid:
            return False
        for _ in range(_ATTEMPTS):
            process = _process(first)
            try:
                with second.transaction():
                    if _process(second) == process or _process(first) != process:
                        return True
            except psycopg.errors.ProtocolViolation:
                return True  # it allows single statements only
        return False


def _connect(url: str) -> psycopg.Connection[tuple[int]]:
    """Connect as the engine does, so that what it asks for at the start is refused here."""
    return psycopg.connect(
        url, autocommit=True, options=CONNECTION_OPTIONS, connect_timeout=_ANSWER_SECONDS
    )


def _process(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return row[0]
