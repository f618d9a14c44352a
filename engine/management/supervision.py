"""Runs copies of a function in processes of their own and keeps them running.

Copies are forked: what was imported before is shared, and a copy that died is replaced at once, where a
new interpreter would take a second of a quiet machine and many of a busy one.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from engine.management.processes import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, die_with_parent

log = logging.getLogger("hatchet.processes")

OnReady = Callable[[], None]
Serve = Callable[[OnReady], None]
"""Serves until SIGTERM or SIGINT; calls what it is given once it does."""

_STEADY_SECONDS = 5.0
"""A copy that served this long before it died is replaced without a pause."""
_READY = b"r"
_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}


@dataclass(slots=True)
class _Copy:
    """One place for a copy: the process that fills it, or when one is to be started."""

    pid: int = 0
    readiness: int = -1
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = 0.0


class Supervisor:
    """Keeps `count` copies of `serve` running until SIGTERM or SIGINT; `name` is what the log calls them.

    A copy that ends before any has been ready has a reason that another start would not mend, such as a
    port that is taken: then all end.
    """

    def __init__(self, serve: Serve, count: int, *, name: str = "engine") -> None:
        self._serve = serve
        self._name = name
        self._copies = [_Copy() for _ in range(count)]
        self._was_ready = False

    def run(self) -> int:
        """Return the exit code: 0, or that of a copy which could not start, or 1 for one that was killed."""
        gc.freeze()  # a collection would copy the pages that the copies share
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        while True:
            self._start_due()
            if self._wait() in (signal.SIGTERM, signal.SIGINT):
                return self._stop(0)
            for copy, code in self._ended():
                if not self._was_ready:
                    return self._stop(code or 1)
                self._plan(copy, code)

    def _start_due(self) -> None:
        now = time.monotonic()
        for copy in self._copies:
            if not copy.pid and copy.start_at <= now:
                self._start(copy)

    def _start(self, copy: _Copy) -> None:
        readiness, is_ready = os.pipe()
        supervisor = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_copy(supervisor, is_ready)
        os.close(is_ready)
        copy.pid, copy.readiness, copy.started_at = pid, readiness, time.monotonic()

    def _become_copy(self, supervisor: int, is_ready: int) -> None:
        code = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            die_with_parent(supervisor)
            self._serve(lambda: _tell(is_ready))
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:  # noqa: BLE001  (what a copy raises must not go on in the supervisor's code)
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _wait(self) -> int | None:
        """Wait for a signal or for the next start; return the signal's number."""
        waiting = [copy.start_at for copy in self._copies if not copy.pid]
        if not waiting:
            return signal.sigwait(_WATCHED)
        seconds = max(0.0, min(waiting) - time.monotonic())
        found = signal.sigtimedwait(_WATCHED, seconds)
        return found.si_signo if found else None

    def _ended(self) -> list[tuple[_Copy, int]]:
        """Return the copies that have ended, with their exit codes."""
        ended = []
        for copy in self._copies:
            if copy.pid:
                pid, status = os.waitpid(copy.pid, os.WNOHANG)
                if pid:
                    was_ready = os.read(copy.readiness, 1) == _READY
                    self._was_ready = self._was_ready or was_ready
                    os.close(copy.readiness)
                    copy.pid = 0
                    ended.append((copy, os.waitstatus_to_exitcode(status)))
        return ended

    def _plan(self, copy: _Copy, code: int) -> None:
        """Have a copy replaced: at once, or with a growing pause when it keeps ending."""
        now = time.monotonic()
        if now - copy.started_at > _STEADY_SECONDS:
            copy.pause = 0.0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        log.warning(
            "one %s process ended %s; starting another in %g s", self._name, how, copy.pause
        )
        copy.start_at = now + copy.pause
        copy.pause = min(max(copy.pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)

    def _stop(self, code: int) -> int:
        """Ask what runs to end; a second signal kills it."""
        running = [copy for copy in self._copies if copy.pid]
        for copy in running:
            os.kill(copy.pid, signal.SIGTERM)
        while running:
            if signal.sigwait(_WATCHED) != signal.SIGCHLD:
                for copy in running:
                    os.kill(copy.pid, signal.SIGKILL)
            for copy, ended in self._ended():
                running.remove(copy)
                code = code or (0 if ended in (0, -signal.SIGTERM) else 1)
        return code


def _tell(is_ready: int) -> None:
    os.write(is_ready, _READY)
    os.close(is_ready)
