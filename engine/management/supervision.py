"""Runs several copies of a command and keeps them running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from types import FrameType

_RESTART_SECONDS = 1.0
_POLL_SECONDS = 0.2


def run_processes(command: str, *, count: int) -> int:
    """Run `manage.py command` `count` times until SIGTERM or SIGINT; restart those that die.

    Returns the exit code: 0 unless a copy had to be killed at the end.
    """
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    children = [_start(command) for _ in range(count)]
    while not stopping:
        for index, child in enumerate(children):
            if child.poll() is not None:
                time.sleep(_RESTART_SECONDS)
                if not stopping:
                    children[index] = _start(command)
        time.sleep(_POLL_SECONDS)
    for child in children:
        child.terminate()
    codes = [child.wait() for child in children]
    return 0 if all(code in (0, -signal.SIGTERM) for code in codes) else 1


def _start(command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, sys.argv[0], command])
