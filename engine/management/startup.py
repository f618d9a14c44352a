"""What must have happened before the first process may start: tables, an admin, static files."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from engine.config import Config
from engine.environment import ConfigError
from engine.management.credentials import Credentials, ensure_credentials
from engine.management.database import check_database
from engine.store.payload_setup import check_payloads

MIGRATION_LOCK = 0x68617470


@contextlib.contextmanager
def only_one_here(data_dir: Path) -> Iterator[None]:
    """Hold the data directory; ConfigError when another `up` has it, or when it cannot be written."""
    check_data_dir(data_dir)
    with (data_dir / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ConfigError(
                f"it runs already from {data_dir} (process {lock.read().strip() or 'unknown'}); "
                "stop that one first, or set HATCHET_DATA_DIR and other ports for a second one."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def check_data_dir(data_dir: Path) -> None:
    """Raise ConfigError for a directory in which nothing can be kept."""
    try:
        with TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise ConfigError(
            f"HATCHET_DATA_DIR: cannot write to {data_dir} ({error.strerror})."
        ) from None


def check_ports(config: Config) -> None:
    """Raise ConfigError for a port that somebody else listens on."""
    check_port("SERVER_PORT", config.http_bind_address, config.http_port)
    check_port("SERVER_GRPC_PORT", config.grpc_bind_address, config.grpc_port)


def check_port(name: str, host: str, port: int, *, is_shared: bool = False) -> None:
    """Raise ConfigError if the port cannot be had; a shared one may be held by other engines."""
    try:
        socket_for(host, port, is_shared=is_shared).close()
    except OSError as error:
        raise ConfigError(
            f"port {port} of {host} cannot be used ({error.strerror}); "
            f"free it or set {name} to another one."
        ) from None


def socket_for(host: str, port: int, *, is_shared: bool) -> socket.socket:
    """Return a socket bound to a port, which other processes of the same user may have too if it is shared."""
    family, kind, _, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM
    )[0]
    bound = socket.socket(family, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def prepare(config: Config, progress: Callable[[str], None]) -> Credentials:
    """Do whatever is missing; running it again, or on two machines at once, does no harm."""
    check_data_dir(config.data_dir)
    check_database(config.database_url)
    migrate(progress)
    check_payloads(config)
    try:
        credentials = ensure_credentials(config)
        call_command("collectstatic", interactive=False, verbosity=0)
    except OSError as error:
        raise ConfigError(f"HATCHET_DATA_DIR: cannot keep what belongs there: {error}.") from None
    return credentials


def migrate(progress: Callable[[str], None]) -> None:
    """Bring the tables up to date. Of several starting at once, one does it and the others wait."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        try:
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if plan:
                progress(f"Updating the database: {len(plan)} migrations")
                call_command("migrate", interactive=False, verbosity=0)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
