"""`manage.py up`, as `make run` starts it: everything comes up, stays up, and stops in order."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine.pem import new_signing_key
from tests.e2e.stack import (
    ROOT,
    Service,
    create_database,
    drop_database,
    free_port,
    is_ready,
    listens,
)

RUNNING = "Hatchet is running."


class Installation:
    """A data directory and two ports, in which `up` may be started again and again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.http_port, self.grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.starts: list[Service] = []

    def environment(self, **variables: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
        own = {
            "HATCHET_DATA_DIR": str(self.data),
            "DJANGO_SETTINGS_MODULE": "hatchet_site.settings",
            "SERVER_PORT": str(self.http_port),
            "SERVER_GRPC_PORT": str(self.grpc_port),
            "SERVER_URL": self.url,
            "PYTHONUNBUFFERED": "1",
        }
        return {**inherited, **own, **variables}

    def start(self, *options: str, **variables: str) -> Service:
        log = self.directory / f"up-{len(self.starts)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "up", *options],
                cwd=ROOT,
                env=self.environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service = Service("up", process, log)
        self.starts.append(service)
        return service

    def start_and_wait(self, *options: str, **variables: str) -> Service:
        service = self.start(*options, **variables)
        service.wait_for_output(RUNNING)
        return service

    def refused(self, command: str = "up", **variables: str) -> str:
        """What a command says when it does not start."""
        done = subprocess.run(
            [sys.executable, "manage.py", command],
            cwd=ROOT,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    def answers(self) -> bool:
        return is_ready(self.url) and listens(f"127.0.0.1:{self.grpc_port}")

    def postgres(self) -> psutil.Process:
        pid = (self.data / "postgres" / "postmaster.pid").read_text().splitlines()[0]
        return psutil.Process(int(pid))


@pytest.fixture(scope="module")
def here() -> Iterator[Installation]:
    directory = Path(tempfile.mkdtemp(prefix="hatchet-up-"))
    directory.chmod(0o711)
    installation = Installation(directory)
    yield installation
    for service in installation.starts:
        service.stop()
    shutil.rmtree(directory)


def child(up: Service, word: str) -> psutil.Process:
    """The child of `up` whose command line has that word."""
    children = psutil.Process(up.process.pid).children()
    return next(process for process in children if word in " ".join(process.cmdline()))


def credentials(up: Service) -> list[str]:
    return re.findall(r"(?:TOKEN=|E-mail|Password) *(\S+)", up.output)


def test_everything_comes_up_stays_up_and_stops(here: Installation) -> None:
    up = here.start_and_wait()
    first = credentials(up)
    assert len(first) == 3
    assert "HATCHET_CLIENT_TLS_STRATEGY=none" in up.output
    for step in ("Creating the database cluster", "Starting Postgres", "Updating the database"):
        assert step in up.output
    assert here.answers()

    assert "runs already" in here.refused()

    for word, notice in [("runengine", "engine  | ended by"), ("runweb", "web     | ended by")]:
        child(up, word).kill()
        up.wait_for_output(f"{notice} signal SIGKILL; starting it again")
        up.wait_until(here.answers, f"start {word} again")

    here.postgres().kill()
    up.wait_for_output("postgres| ended; starting it again")
    up.wait_until(here.answers, "answer after Postgres came back")

    family = psutil.Process(up.process.pid).children(recursive=True)
    server = here.postgres()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0, up.output
    assert "Traceback" not in up.output
    assert not [process for process in [*family, server] if process.is_running()]

    again = here.start_and_wait()
    assert credentials(again) == first
    assert "Creating" not in again.output
    assert again.stop() == 0


def test_being_killed_takes_the_processes_along_and_the_next_start_recovers(
    here: Installation,
) -> None:
    up = here.start_and_wait()
    children = psutil.Process(up.process.pid).children(recursive=True)
    ours = [process for process in children if "manage.py" in " ".join(process.cmdline())]
    assert len(ours) == 4
    up.process.kill()
    up.process.wait()
    _, alive = psutil.wait_procs(ours, timeout=60)
    assert not alive
    again = here.start_and_wait("--web-processes", "3")
    assert len(child(again, "runweb").children()) == 3
    assert here.answers()
    assert again.stop() == 0


def test_a_given_database_is_used_instead(here: Installation) -> None:
    own = Installation(here.directory)
    own.data = here.directory / "other"
    database_url = create_database()
    try:
        up = own.start_and_wait(DATABASE_URL=database_url, SERVER_WEB_PROCESSES="2")
        assert own.answers()
        assert len(child(up, "runweb").children()) == 2
        assert not (own.data / "postgres").exists()
        assert "Starting Postgres" not in up.output
        assert up.stop() == 0
    finally:
        for service in own.starts:
            service.stop()
        drop_database(database_url)


def test_what_cannot_work_is_said_in_a_sentence(here: Installation) -> None:
    nobody = f"postgresql://u:p@127.0.0.1:{free_port()}/d"
    assert "the database of DATABASE_URL does not answer" in here.refused(DATABASE_URL=nobody)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert "set SERVER_GRPC_PORT" in here.refused(SERVER_GRPC_PORT=port)
    assert "SERVER_PORT must be" in here.refused(SERVER_PORT="http")
    unwritable = here.refused(
        HATCHET_DATA_DIR="/proc",  # not even root may write there
        DATABASE_URL=nobody,
        SERVER_AUTH_COOKIE_SECRETS="0123456789abcdef",
        SERVER_ENCRYPTION_MASTER_KEYSET="0123456789abcdef0123456789abcdef",
        SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET=new_signing_key(),
        ADMIN_PASSWORD="x",
    )
    assert "HATCHET_DATA_DIR: cannot write to /proc" in unwritable


def test_an_engine_says_why_it_cannot_start(here: Installation) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        nobody = f"postgresql://u:p@127.0.0.1:{free_port()}/d"
        said = here.refused("runengine", SERVER_GRPC_PORT=port, DATABASE_URL=nobody)
    assert "set SERVER_GRPC_PORT" in said
