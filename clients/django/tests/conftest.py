"""A project, and workers of it where a Hatchet is given.

HATCHET_TEST_DATABASE is how the project's role reaches the database that Hatchet shares, HATCHET_CLIENT_TOKEN a token
of the tenant that the role belongs to. Without them only what needs neither is tested.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PATIENCE_SECONDS = 90.0

sys.path[:0] = [str(HERE), str(HERE.parent)]
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()


class Worker:
    """`manage.py hatchet_worker` of the project, with what it wrote."""

    def __init__(self, *options: str) -> None:
        self._log = tempfile.NamedTemporaryFile("w+", suffix=".log")  # noqa: SIM115  it lives as long
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", "hatchet_worker", "--name", "tests", *options],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2])},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def stop(self) -> int:
        """Ask it to end as a supervisor does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        finally:
            self.process.kill()


@pytest.fixture(scope="session")
def hatchet() -> None:
    """Hatchet is there, and the project's own tables are."""
    if "HATCHET_TEST_DATABASE" not in os.environ:
        pytest.skip("needs HATCHET_TEST_DATABASE and HATCHET_CLIENT_TOKEN")
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)


@pytest.fixture(scope="session")
def worker(hatchet: None) -> Iterator[Worker]:
    """A worker that has registered the project's tasks."""
    started = Worker()
    wait_for(lambda: _is_registered("shop.tasks.wait_for_file--mail", started))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def remote_worker(hatchet: None) -> Iterator[Worker]:
    started = Worker("--backend", "remote")
    wait_for(lambda: _is_registered("far.shop.tasks.far_fail", started))
    yield started
    started.stop()


def _is_registered(workflow: str, worker: Worker) -> bool:
    """Whether a run of it may be asked for; it is not."""
    from django.db import DatabaseError, transaction
    from hatchet_django_tasks.sql import SqlTransport
    from hatchet_django_tasks.wishes import Wish

    assert worker.process.poll() is None, worker.output
    try:
        with transaction.atomic():
            SqlTransport("default", None).enqueue(Wish(workflow, {}, {}, 1, None))
            transaction.set_rollback(True)
    except DatabaseError:
        return False
    return True


def wait_for(look: Callable[[], Any]) -> Any:
    """Return the first true value that `look` gives."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := look()):
        assert time.monotonic() < deadline, f"last: {value!r}"
        time.sleep(0.05)
    return value


def finished(result: Any) -> Any:
    """Refresh a result until it is final."""

    def look() -> bool:
        result.refresh()
        return bool(result.is_finished)

    wait_for(look)
    return result
