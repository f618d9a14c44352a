"""Processes the benchmarks start and measure."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks.wire import Target

ROOT = Path(__file__).resolve().parent.parent


class AgentProcess:
    """The other end of benchmarks.agent."""

    def __init__(self, target: Target) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.agent", target.address, target.token],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._process.pid

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the agent has no pipes")
        self._process.stdin.write(orjson.dumps({"do": do, **fields}) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the agent died doing {do}")
        answer: dict[str, Any] = orjson.loads(line)
        return answer

    def stop(self) -> None:
        end(self._process)


@contextlib.contextmanager
def agents(*targets: Target) -> Iterator[list[AgentProcess]]:
    """Start one agent for each target and stop them at the end."""
    started = [AgentProcess(target) for target in targets]
    try:
        yield started
    finally:
        for agent in started:
            agent.stop()


@contextlib.contextmanager
def empty_server() -> Iterator[tuple[Target, int]]:
    """Run the empty server; yield where it is and its process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.empty_server"], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        port = int(process.stdout.readline()) if process.stdout else 0
        yield Target(f"127.0.0.1:{port}", "none"), process.pid
    finally:
        end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a process to stop; insist after ten seconds."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, its ended children and its living descendants."""
    while True:
        with contextlib.suppress(_Vanished):
            return _cpu_seconds(psutil.Process(pid))


class _Vanished(Exception):
    """A child ended while it was read: its parent counts it from now on, but was read before."""


def _cpu_seconds(process: psutil.Process) -> float:
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            if one == process:
                raise
            raise _Vanished from None
        total += times.user + times.system
        total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total


class Neighbours:
    """How much of the machine others take while we measure: figures are worth less where that is much."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._others = self._others_seconds()

    def percent(self) -> float:
        """Return the share of all cores that processes other than ours used since the start."""
        seconds = (time.monotonic() - self._started) * float(psutil.cpu_count() or 1)
        return round((self._others_seconds() - self._others) / seconds * 100, 1)

    @staticmethod
    def _others_seconds() -> float:
        times = psutil.cpu_times()
        waiting = float(times.idle + getattr(times, "iowait", 0.0))
        return float(sum(times)) - waiting - cpu_seconds(os.getpid())


def memory_bytes(pid: int) -> int:
    """Return the memory of a process and its descendants, shared pages counted once where known."""
    process = psutil.Process(pid)
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            memory = one.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    return total
