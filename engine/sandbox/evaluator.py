"""One sandbox process as its parent sees it: started when needed, ended when it does not behave."""

from __future__ import annotations

import json
import marshal
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.domain.cel.answers import Evaluated, Opaque, Question
from engine.domain.cel.expressions import TOO_MUCH_MEMORY

ITEM_SECONDS = 0.5
"""CPU time of one expression on one event or task, reading its data included."""
PATIENCE_SECONDS = 60.0
"""How long an answer may take by the clock, on a machine that is busy with other things."""
MOST_PEAK_BYTES = 192 * 1024 * 1024
"""A process that needed more is replaced: it does not give memory back."""

_FOLDER = Path(__file__).resolve().parent.parent.parent
_LONGEST_ANSWER = 1024 * 1024
TOO_MUCH_TIME = f"the expression took longer than {ITEM_SECONDS * 1000:.0f} ms"
BROKEN_OFF = "the evaluation broke off: the expression needed too much memory or nests too deeply"


class Turn(NamedTuple):
    """Answers to the first questions of a turn, and the CPU time they took."""

    answers: list[Evaluated]
    seconds: float


class _Gone(Exception):
    """The process ended, or does not answer."""


class Evaluator:
    """A process of our own; used by one thread at a time."""

    def __init__(self, item_seconds: float = ITEM_SECONDS) -> None:
        self._item_seconds = item_seconds
        # Nothing of our environment: it holds secrets.
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-m", "engine.sandbox.worker", str(item_seconds)],
            cwd=_FOLDER,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        self._peak = 0

    @property
    def is_usable(self) -> bool:
        return self._process.poll() is None and self._peak <= MOST_PEAK_BYTES

    def take_turn(self, questions: Sequence[Question]) -> Turn:
        """Answer at least the first question. One that ends the process is answered with an error."""
        answers: list[Evaluated] = []
        message = marshal.dumps([tuple(question) for question in questions])
        try:
            self._write(len(message).to_bytes(4) + message)
            while True:
                found = json.loads(self._read(int.from_bytes(self._read(4))))
                if "seconds" in found:
                    self._peak = int(found["peak"])
                    return Turn(answers, float(found["seconds"]))
                opaque = found["opaque"]
                value = Opaque(*opaque) if opaque else found["value"]
                answers.append(Evaluated(value, found["error"]))
        except (_Gone, OSError, ValueError, KeyError):
            answers.append(Evaluated(error=self._why_gone()))
            return Turn(answers, self._item_seconds)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _why_gone(self) -> str:
        try:
            status = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return TOO_MUCH_TIME
        if status == -signal.SIGPROF:
            return TOO_MUCH_TIME
        return TOO_MUCH_MEMORY if status == -signal.SIGKILL else BROKEN_OFF

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            _wait_for(self._input, select.POLLOUT)
            rest = rest[os.write(self._input, rest) :]

    def _read(self, length: int) -> bytes:
        if length > _LONGEST_ANSWER:
            raise _Gone
        data = b""
        while len(data) < length:
            _wait_for(self._output, select.POLLIN)
            part = os.read(self._output, length - len(data))
            if not part:
                raise _Gone
            data += part
        return data


def _wait_for(pipe: int, event: int) -> None:
    waiting = select.poll()
    waiting.register(pipe, event)
    if not waiting.poll(PATIENCE_SECONDS * 1000):
        raise _Gone
