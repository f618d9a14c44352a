"""A whole installation in a temporary directory: bundled Postgres with fsync, engine, web."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from benchmarks.processes import ROOT, end
from benchmarks.wire import Target

START_SECONDS = 60.0


class Installation:
    """Where everything is. `start` it once; `stop` may follow however far the start came."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.grpc_port, self.http_port = _free_port(), _free_port()
        self.empty_http_port = _free_port()
        os.environ |= {
            "HATCHET_DATA_DIR": str(data_dir),
            "SERVER_GRPC_PORT": str(self.grpc_port),
            "SERVER_PORT": str(self.http_port),
            "SERVER_LOGGER_LEVEL": "warn",
            "DJANGO_SETTINGS_MODULE": "hatchet_site.settings",
        }
        os.environ.pop("DATABASE_URL", None)
        self.log = (data_dir / "processes.log").open("ab")
        # The configuration reads the environment set above when these are imported.
        from engine.postgres import BundledPostgres, home_for

        self.postgres = BundledPostgres(home_for(data_dir))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._webs: dict[int, int] = {}

    def start(self) -> None:
        """Start Postgres and the engine, and make a token."""
        self.database_url = self.postgres.start()
        self.target = Target(f"127.0.0.1:{self.grpc_port}", _prepare_database())
        self.database = psycopg.connect(self.database_url, autocommit=True)
        self.start_engine()

    def start_engine(self, **variables: str) -> None:
        """Start it with these variables beside those of all processes."""
        self.engine_pid = self._start("manage.py", "runengine", **variables)
        self.wait_for_port(self.grpc_port)

    def stop_engine(self) -> None:
        (engine,) = (process for process in self._processes if process.pid == self.engine_pid)
        self._processes.remove(engine)
        end(engine)

    @property
    def postgres_pid(self) -> int:
        return int((self.postgres.cluster / "postmaster.pid").read_text().splitlines()[0])

    @property
    def postgres_log(self) -> Path:
        return self.postgres.log

    def start_web(self) -> int:
        """Start the web process unless it runs; return its process id once it answers."""
        return self._start_web(self.http_port)

    def start_empty_web(self) -> int:
        """Start one with an empty view and nothing else; return its process id once it answers."""
        return self._start_web(self.empty_http_port, DJANGO_SETTINGS_MODULE="benchmarks.empty_view")

    def _start_web(self, port: int, **variables: str) -> int:
        if port not in self._webs:
            self._webs[port] = self._start(
                "manage.py", "runweb", SERVER_PORT=str(port), **variables
            )
            self.wait_for_port(port)
        return self._webs[port]

    def wait_for_port(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                if time.monotonic() > deadline or any(
                    p.poll() is not None for p in self._processes
                ):
                    log = (self.data_dir / "processes.log").read_text()
                    raise RuntimeError(f"a process did not start:\n{log[-2000:]}") from None
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        for process in self._processes:
            end(process)
        self.postgres.stop()
        self.log.close()

    def _start(self, *arguments: str, **variables: str) -> int:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=self.log,
            stderr=self.log,
        )
        self._processes.append(process)
        return process.pid


@contextlib.contextmanager
def installation() -> Iterator[Installation]:
    """Start everything in an empty directory; stop and delete it at the end."""
    data_dir = Path(tempfile.mkdtemp(prefix="hatchet-bench-"))
    data_dir.chmod(0o711)  # the account of the bundled Postgres passes through
    try:
        installed = Installation(data_dir)
        try:
            installed.start()
            yield installed
        finally:
            installed.stop()
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def _prepare_database() -> str:
    """Migrate and make what a new installation needs; return an API token."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    from engine.management.credentials import ensure_credentials

    call_command("migrate", interactive=False, verbosity=0)
    token = ensure_credentials(settings.HATCHET).token
    connections.close_all()
    assert token is not None, "the database is new, so nobody has deleted its first tenant"
    return token


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
