"""A database that goes away in every way a socket can tell."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import psycopg.conninfo
import pytest
import uvloop

from engine.errors import Unavailable
from engine.ids import new_id
from engine.states import PayloadKind
from engine.store import payloads
from engine.store.async_db import AsyncDatabase
from engine.store.payloads import NewPayload

SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'hatchet-engine' AND datname = current_database()"
)
PATIENCE_SECONDS = 60.0
NOTICE = b"N\x00\x00\x00\x05\x00"
_FIELDS = b"SFATAL\x00VFATAL\x00C57P01\x00Mthe server shuts down\x00\x00"
FATAL = b"E" + (len(_FIELDS) + 4).to_bytes(4, "big") + _FIELDS
"""Ends the statement, but not what the client waits for after it."""


class DyingServer(threading.Thread):
    """Passes one connection on to the database, and dies in the middle of a call when told to.

    It says something first and leaves what it was sent unread, as a killed server does: the socket
    then has data and an error at once.
    """

    def __init__(self, directory: Path, conninfo: str, last_words: bytes) -> None:
        super().__init__(daemon=True)
        self._last_words = last_words
        self._target = psycopg.conninfo.conninfo_to_dict(conninfo)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(directory / ".s.PGSQL.5432"))
        self._listening.listen()
        self._threads: list[threading.Thread] = []
        self.conninfo = psycopg.conninfo.make_conninfo(conninfo, host=str(directory), port=5432)
        self.dies, self.is_called = threading.Event(), threading.Event()
        self.may_die, self.is_dead = threading.Event(), threading.Event()

    def run(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                self._spawn(self._serve, client, self._connect())

    def die(self) -> None:
        """Die while the caller, an event loop, looks away: it finds data and error at once."""
        self.may_die.set()
        self.is_dead.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """Wait until all is closed. The clients have left."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self.join()
        self._listening.close()
        for thread in self._threads:
            thread.join()

    def _spawn(self, work: Callable[..., None], *sockets: socket.socket) -> None:
        thread = threading.Thread(target=work, args=sockets, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket, database: socket.socket) -> None:
        self._spawn(self._answer, database, client)
        with contextlib.suppress(OSError):
            while client.recv(1, socket.MSG_PEEK):
                if self.dies.is_set():
                    self.is_called.set()
                    self.may_die.wait(PATIENCE_SECONDS)
                    client.sendall(self._last_words)
                    break
                database.sendall(client.recv(1 << 16))
        client.close()
        self.is_dead.set()
        database.shutdown(socket.SHUT_RDWR)

    def _answer(self, database: socket.socket, client: socket.socket) -> None:
        with database, contextlib.suppress(OSError):  # the client is gone
            while data := database.recv(1 << 16):
                client.sendall(data)

    def _connect(self) -> socket.socket:
        host, port = str(self._target["host"]), int(self._target.get("port") or 5432)
        if host.startswith("/"):
            database = socket.socket(socket.AF_UNIX)
            database.connect(f"{host}/.s.PGSQL.{port}")
            return database
        return socket.create_connection((host, port))


@pytest.fixture(params=[NOTICE, FATAL], ids=["notice", "fatal"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, conninfo: str
) -> Iterator[DyingServer]:
    server = DyingServer(tmp_path_factory.mktemp("socket"), conninfo, request.param)
    server.start()
    yield server
    server.close()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        while connection.execute(SESSIONS).fetchone() != (0,):
            time.sleep(0.01)


def test_an_error_that_comes_with_data_ends_the_call(server: DyingServer) -> None:
    async def call_a_dying_server() -> None:
        database = AsyncDatabase(server.conninfo)
        await database.open()
        payload = NewPayload(new_id(), PayloadKind.INPUT, b"{}")
        await database.fetch(payloads.insert([payload]))
        server.dies.set()
        call = asyncio.create_task(database.fetch(payloads.insert([payload])))
        while not server.is_called.is_set():  # noqa: ASYNC110  another thread sets it
            await asyncio.sleep(0)
        server.die()
        try:
            with pytest.raises(Unavailable):
                await asyncio.wait_for(call, PATIENCE_SECONDS)
        finally:
            await database.close()

    uvloop.run(call_a_dying_server())
