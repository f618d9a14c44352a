"""`manage.py hatchet_worker`: runs the project's tasks until it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import autoreload

from hatchet_django_tasks.backend import HatchetBackend
from hatchet_django_tasks.discovery import tasks_of
from hatchet_django_tasks.interface import InvalidTaskBackend, task_backends
from hatchet_django_tasks.wishes import NAME

_LOOK_SECONDS = 1.0
_STOP_SECONDS = 30.0


class Command(BaseCommand):
    help = "Run the tasks of this project with Hatchet; SIGTERM and Ctrl-C let those under way end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--backend", default="default", help="the key of TASKS")
        parser.add_argument("--queue", action="append", help="only this queue; may be repeated")
        parser.add_argument("--slots", type=int, default=10, help="tasks at once")
        parser.add_argument(
            "--name", default=socket.gethostname(), help="what the worker is called"
        )
        parser.add_argument(
            "--autoreload", action="store_true", help="start anew when code changes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backend = task_backends[options["backend"]]
        except InvalidTaskBackend as error:
            raise CommandError(f'TASKS["{options["backend"]}"]: {error}') from None
        if not isinstance(backend, HatchetBackend):
            raise CommandError(f'TASKS["{options["backend"]}"] is not run by Hatchet')
        if not NAME.fullmatch(options["name"]):
            raise CommandError("--name may hold letters, digits, dots, dashes and underscores")
        if options["slots"] < 1:
            raise CommandError("--slots must be at least 1")
        queues = frozenset(options["queue"]) if options["queue"] else None
        if queues and backend.queues and not queues <= backend.queues:
            raise CommandError(f"no such queue: {', '.join(sorted(queues - backend.queues))}")
        if options["autoreload"]:
            raise SystemExit(_reload_for_ever(backend))
        self._work(backend, queues, options)

    def _work(self, backend: HatchetBackend, queues: frozenset[str] | None, options: Any) -> None:
        try:
            from hatchet_sdk import Hatchet

            from hatchet_django_tasks.running import workflows_of
        except ImportError as error:
            raise CommandError(
                f"the worker needs the official SDK, hatchet-django-tasks[worker]: {error}"
            ) from None
        hatchet = Hatchet()
        workflows = workflows_of(hatchet, backend, queues)
        if not workflows:
            raise CommandError("there are no tasks to run")
        self.stdout.write("\n".join(sorted(workflow.name for workflow in workflows)))
        hatchet.worker(options["name"], slots=options["slots"], workflows=workflows).start()


def _reload_for_ever(backend: HatchetBackend) -> int:
    """Run the worker in a process of its own; when a file of the project changes, begin anew with both."""
    tasks_of(backend)
    again = autoreload.get_child_arguments()
    worker = subprocess.Popen([word for word in again if word != "--autoreload"])
    signal.signal(signal.SIGTERM, lambda *_: worker.send_signal(signal.SIGTERM))
    before = _changed_at()
    try:
        while worker.poll() is None:
            time.sleep(_LOOK_SECONDS)
            if _changed_at() != before:
                worker.send_signal(signal.SIGTERM)
                worker.wait(_STOP_SECONDS)
                os.execv(again[0], again)  # noqa: S606  no shell is wanted
    except KeyboardInterrupt:
        worker.wait(_STOP_SECONDS)
    return worker.returncode


def _changed_at() -> dict[str, int]:
    files = autoreload.iter_all_python_module_files()
    return {str(file): file.stat().st_mtime_ns for file in files if file.exists()}
