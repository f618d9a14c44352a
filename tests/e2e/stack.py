"""A whole installation for end-to-end tests: its own database, real processes, free ports."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from engine.pem import new_signing_key
from tests.e2e.nursery import Forked

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0
STOP_SECONDS = 60.0
TLS_NONE = {"HATCHET_CLIENT_TLS_STRATEGY": "none"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_gone(processes: Sequence[psutil.Process]) -> None:
    """Return once processes that are not ours to collect have given up what they held."""
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline, f"{process} does not end"
                time.sleep(0.005)


@dataclass(slots=True)
class Service:
    """One process under test, with everything it wrote in `log`."""

    name: str
    process: subprocess.Popen[bytes] | Forked
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_output(self, text: str, seconds: float = READY_SECONDS) -> None:
        """Return once the process has written `text`; AssertionError with its output otherwise."""
        self.wait_until(lambda: text in self.output, f"write {text!r}", seconds)

    def wait_until(
        self, is_so: Callable[[], bool], what: str, seconds: float = READY_SECONDS
    ) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            ended = self.process.poll()
            assert ended is None, f"{self.name} ended with {ended}:\n{self.output}"
            assert time.monotonic() < deadline, f"{self.name} did not {what}:\n{self.output}"
            time.sleep(0.05)

    def kill(self) -> None:
        """End the process and all its children at once, as kill -9 does; their ports are free then."""
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        wait_until_gone(children)

    def stop(self) -> int:
        """Ask the process to end; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.kill()


@dataclass(slots=True)
class Stack:
    """Database, engine and web. Services that a test starts are stopped with the stack."""

    directory: Path
    database_url: str
    environment: dict[str, str]
    token: str
    password: str
    server_url: str
    grpc_address: str
    signing_key: str
    services: list[Service] = field(default_factory=list)
    owns_database: bool = True

    @property
    def client_environment(self) -> dict[str, str]:
        """What a program with the official SDK needs, and nothing of our own settings."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**inherited, **TLS_NONE, "HATCHET_CLIENT_TOKEN": self.token}

    def new_log(self, name: str) -> Path:
        return self.directory / f"{name}-{uuid.uuid4().hex[:8]}.log"

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        directory: Path = ROOT,
    ) -> Service:
        """Run a program, from the checkout unless told otherwise, in the background."""
        log = self.new_log(name)
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=self.environment if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service = Service(name, process, log)
        self.services.append(service)
        return service

    def start(self) -> None:
        """Start an engine and a web process beside each other."""
        engine, web = self._spawn_engine(), self._spawn_web()
        self._wait_for_engine(engine)
        self._wait_for_web(web)

    def start_engine(self, *options: str) -> Service:
        """Start an engine and wait until it takes connections."""
        engine = self._spawn_engine(*options)
        self._wait_for_engine(engine)
        return engine

    def start_web(self, *options: str) -> Service:
        """Start the web process and wait until it says that it is ready."""
        web = self._spawn_web(*options)
        self._wait_for_web(web)
        return web

    def _spawn_engine(self, *options: str) -> Service:
        return self.spawn("engine", [sys.executable, "manage.py", "runengine", *options])

    def _wait_for_engine(self, engine: Service) -> None:
        # Its own word: where the one before it was killed, the port may answer a moment longer.
        engine.wait_for_output("serves gRPC on port")
        engine.wait_until(lambda: listens(self.grpc_address), "listen")

    def _spawn_web(self, *options: str) -> Service:
        return self.spawn("web", [sys.executable, "manage.py", "runweb", *options])

    def _wait_for_web(self, web: Service) -> None:
        web.wait_until(lambda: is_ready(self.server_url), "become ready")

    def start_client(
        self, name: str, script: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> Service:
        """Run a script that uses the official SDK, such as a worker, in the background."""
        command = [sys.executable, str(script), *arguments]
        return self.spawn(name, command, {**self.client_environment, **(environment or {})})

    def close(self) -> None:
        """Stop clients before web before engine, the latest first, then drop the database."""
        for service in reversed(self.services):
            service.stop()
        if self.owns_database:
            drop_database(self.database_url)


def open_stack(
    directory: Path, variables: Mapping[str, str] | None = None, database_url: str | None = None
) -> Stack:
    """A fresh database, migrated, with admin, tenant and token; no process runs yet.

    The caller keeps a database that it gives.
    """
    owns_database = database_url is None
    database_url = database_url or create_database()
    http_port, grpc_port = free_port(), free_port()
    password, signing_key = uuid.uuid4().hex, new_signing_key()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "hatchet_site.settings",
        "HATCHET_DATA_DIR": str(directory / "data"),
        "SERVER_PORT": str(http_port),
        "SERVER_GRPC_PORT": str(grpc_port),
        "SERVER_URL": f"http://127.0.0.1:{http_port}",
        "ADMIN_PASSWORD": password,
        "SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET": signing_key,
        "PYTHONUNBUFFERED": "1",
        **(variables or {}),
    }
    setup = subprocess.run(
        [sys.executable, "manage.py", "setup"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert setup.returncode == 0, setup.stdout + setup.stderr
    token = re.search(r'HATCHET_CLIENT_TOKEN="([^"]+)"', setup.stdout)
    assert token, setup.stdout
    return Stack(
        directory=directory,
        database_url=database_url,
        environment=environment,
        token=token[1],
        password=password,
        server_url=environment["SERVER_URL"],
        grpc_address=f"127.0.0.1:{environment['SERVER_GRPC_PORT']}",
        signing_key=signing_key,
        owns_database=owns_database,
    )


def create_database() -> str:
    """Make an empty database beside the one that DATABASE_URL names; return its address."""
    name = f"e2e_{uuid.uuid4().hex}"
    with _admin_connection() as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return make_conninfo(os.environ["DATABASE_URL"], dbname=name)


def drop_database(url: str) -> None:
    name = str(conninfo_to_dict(url)["dbname"])
    with _admin_connection() as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _admin_connection() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def is_ready(server_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{server_url}/api/ready", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
