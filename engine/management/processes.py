"""Running a few child processes: their output line by line, restarts, an orderly stop."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A process that ran this long before it ended starts again without a growing pause."""
LONGEST_LINE_BYTES = 1024 * 1024
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1

Say = Callable[[str, str], None]
"""Called with a process name and a line about it or from it."""


@dataclass(slots=True)
class Child:
    """One program that has to be running. `stop_seconds` is what it gets to finish its work."""

    name: str
    command: Sequence[str]
    stop_seconds: float
    process: asyncio.subprocess.Process | None = field(default=None, init=False)
    is_stopping: bool = field(default=False, init=False)

    async def keep_running(self, say: Say) -> None:
        """Run the program, again and again, until `stop` is called."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            code = await self._run_once(say)
            if self.is_stopping:
                return
            if time.monotonic() - started > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            say(self.name, f"ended {_how(code)}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def stop(self, say: Say) -> None:
        """Ask it to end, and after its time is up make it end."""
        self.is_stopping = True
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self.stop_seconds):
                await process.wait()
        except TimeoutError:
            say(self.name, f"did not stop within {self.stop_seconds:g} s; killing it")
            process.kill()
            await process.wait()

    def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()

    async def _run_once(self, say: Say) -> int:
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LONGEST_LINE_BYTES,
            start_new_session=True,  # the terminal's Ctrl-C reaches us alone; we stop in order
            preexec_fn=functools.partial(die_with_parent, os.getpid()),
        )
        assert self.process.stdout is not None
        while line := await _read_line(self.process.stdout):
            say(self.name, line.decode(errors="replace").rstrip("\n"))
        return await self.process.wait()


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the limit; what was read of it is dropped
        return b"(a line too long to show)\n"


def die_with_parent(parent: int) -> None:
    """Let the kernel end this process in order when its parent is killed without a chance to do it."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before we asked
            os.kill(os.getpid(), signal.SIGTERM)


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    return f"by signal {signal.Signals(-code).name}"
