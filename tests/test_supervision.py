"""Copies of a process: replaced when they die, ended together, and not tried again if none could start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import os, signal, sys
from engine.management.supervision import Supervisor

def serve(on_ready):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    {body}

sys.exit(Supervisor(serve, {count}).run())
"""
SERVES = "on_ready(); os.write(1, b'%d\\n' % os.getpid()); signal.pause()"


@contextmanager
def supervised(body: str, count: int = 1) -> Iterator[subprocess.Popen[str]]:
    program = PROGRAM.format(body=body, count=count)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def next_pid(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_a_copy_that_is_killed_is_replaced_and_all_end_together() -> None:
    with supervised(SERVES, count=2) as process:
        first, second = next_pid(process), next_pid(process)
        os.kill(first, signal.SIGKILL)
        third = next_pid(process)
        copies = {child.pid for child in psutil.Process(process.pid).children()}
        assert third in copies - {first, second}
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert not any(psutil.pid_exists(pid) for pid in (second, third))


def test_copies_end_with_a_supervisor_that_is_killed() -> None:
    with supervised(SERVES) as process:
        copy = psutil.Process(next_pid(process))
        process.kill()
        copy.wait(60)


@pytest.mark.parametrize(
    ("body", "code"), [("sys.exit(3)", 3), ("raise ValueError('no')", 1), ("return", 1)]
)
def test_what_cannot_start_is_not_tried_again(body: str, code: int) -> None:
    with supervised(body, count=2) as process:
        assert process.wait() == code


def test_a_copy_that_cannot_start_again_is_tried_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is killed, the next two end at once, the fourth serves."""
    starts = tmp_path / "starts"
    starts.touch()
    monkeypatch.setenv("STARTS", str(starts))
    body = f"""turn = os.path.getsize(os.environ['STARTS'])
    open(os.environ['STARTS'], 'a').write('x')
    turn in (1, 2) and sys.exit(4)
    {SERVES}"""
    with supervised(body) as process:
        os.kill(next_pid(process), signal.SIGKILL)
        assert psutil.Process(next_pid(process)).ppid() == process.pid
        assert starts.read_text() == "xxxx"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
