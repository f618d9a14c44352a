"""Forks programs that use the official SDK: each starts a second sooner than by importing it anew.

`python -m tests.e2e.nursery <descriptor>` imports the SDK once and then forks whatever it is asked
for. It opens no channel and starts no thread of its own, so a fork is as good as a fresh process.
"""

from __future__ import annotations

import array
import functools
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
LONGEST_MESSAGE = 1 << 20


@dataclass(slots=True)
class Forked:
    """A process that a nursery made, used as one of `subprocess`."""

    nursery: Nursery
    pid: int
    stdin: IO[bytes] | None = None
    stdout: IO[bytes] | None = None
    returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self.nursery.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@dataclass(slots=True)
class Nursery:
    """This side of a nursery: one question at a time, whichever thread asks."""

    process: subprocess.Popen[bytes]
    link: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> Any:
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        with self.lock:
            self.link.sendmsg([json.dumps(request).encode()], passed if descriptors else [])
            answer = self.link.recv(LONGEST_MESSAGE)
        assert answer, "the nursery ended"
        return json.loads(answer)

    def start(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        log: Path,
        with_pipes: bool = False,
    ) -> Forked:
        """Run a module as a program of its own session; what it writes goes to `log`.

        With pipes, its input and its output are the test's, and only its errors go there.
        """
        request = {"module": module, "arguments": arguments, "environment": dict(environment)}
        with log.open("wb") as output, Path(os.devnull).open("rb") as nothing:
            written = output.fileno()
            if not with_pipes:
                pid = self.ask(request, [nothing.fileno(), written, written])
                return Forked(self, pid)
            its_input, to_input = os.pipe()
            from_output, its_output = os.pipe()
            pid = self.ask(request, [its_input, its_output, written])
            os.close(its_input)
            os.close(its_output)
        return Forked(self, pid, os.fdopen(to_input, "wb"), os.fdopen(from_output, "rb"))


@functools.cache
def nursery(sdk: Path | None) -> Nursery:
    """The one nursery of this test process for an SDK; it ends when this process does."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.nursery", str(its.fileno())],
        cwd=ROOT,
        env={**environment, **({} if sdk is None else {"PYTHONPATH": str(sdk)})},
        stdin=subprocess.DEVNULL,
        pass_fds=[its.fileno()],
        start_new_session=True,
    )
    its.close()
    return Nursery(process, ours)


# The other side


def serve(link: socket.socket) -> dict[str, Any] | None:
    """Fork as asked until nobody asks any more; in a fork, return what it is to run."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(link, LONGEST_MESSAGE, 3)
        if not message:
            return None
        request: dict[str, Any] = json.loads(message)
        if "poll" in request:
            ended, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            answer = os.fork()
            if answer == 0:
                link.close()
                take_over(descriptors)
                return request
        for descriptor in descriptors:
            os.close(descriptor)
        link.send(json.dumps(answer).encode())


def take_over(descriptors: Sequence[int]) -> None:
    """Make these the standard streams of a session of our own."""
    os.setsid()
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
    for descriptor in set(descriptors):
        os.close(descriptor)


def run(request: Mapping[str, Any]) -> None:
    os.environ.update(request["environment"])
    sys.argv = [request["module"], *request["arguments"]]
    sys.stdout.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


def main(descriptor: int) -> None:
    import hatchet_sdk
    import hatchet_sdk.clients.rest.models

    assert hatchet_sdk.__name__
    request = serve(socket.socket(fileno=descriptor))
    if request is not None:
        run(request)


if __name__ == "__main__":
    main(int(sys.argv[1]))
