"""The process that evaluates costly expressions: it has nothing to lose, and limits it cannot lift.

It reads messages from its input, each a list of questions, and writes one answer after the other: the
kernel ends it in the middle of one that takes too long. Run as
`python -m engine.sandbox.worker SECONDS`: CPU time of one expression on one event or task, reading its
data included.
"""

from __future__ import annotations

import json
import marshal
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from engine.domain.cel.answers import Evaluated
from engine.domain.cel.expressions import (
    TOO_MUCH_MEMORY,
    Environment,
    Program,
    compile_here,
    kind_of,
)

TURN_SECONDS = 0.05
"""After this much CPU time the rest of a message is left for later."""
MEMORY_BYTES = 384 * 1024 * 1024
"""Address space beside that of the process at rest."""
LONGEST_TEXT = 64 * 1024

_MOST_PROGRAMS = 200
_MOST_FILES = 16
_SHOWN_CHARACTERS = 500
_NICENESS = 5

Item = tuple[str, str, tuple[bytes | str, ...] | None]


def main() -> None:
    """Serve until the input ends."""
    item_seconds = float(sys.argv[1])
    reader = os.fdopen(os.dup(0), "rb")
    writer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    compile_here("true", Environment.FILTER)
    _confine()
    programs: dict[tuple[str, str], Program | str] = {}
    while length := reader.read(4):
        items: list[Item] = marshal.loads(reader.read(int.from_bytes(length)))  # noqa: S302  our own parent's
        _take_turn(items, programs, writer, item_seconds)


def _confine() -> None:
    os.nice(_NICENESS)
    # Who asks is told first when everything is stopped, and then our input ends.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[0]) if statm.exists() else 0
    memory = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_FILES, _MOST_FILES))


def _take_turn(
    items: list[Item],
    programs: dict[tuple[str, str], Program | str],
    writer: BinaryIO,
    item_seconds: float,
) -> None:
    started = time.process_time()
    for item in items:
        signal.setitimer(signal.ITIMER_PROF, item_seconds)
        answer = _encode(_evaluate(item, programs))
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(writer, answer)
        if time.process_time() - started > TURN_SECONDS:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _write(writer, json.dumps({"seconds": time.process_time() - started, "peak": peak}).encode())


def _evaluate(item: Item, programs: dict[tuple[str, str], Program | str]) -> Evaluated:
    expression, environment, values = item
    try:
        found = programs.get((expression, environment))
        if found is None:
            if len(programs) >= _MOST_PROGRAMS:
                programs.clear()
            found = compile_here(expression, Environment[environment])
            programs[expression, environment] = found
        if isinstance(found, str):
            return Evaluated(error=found)
        return Evaluated(found.result) if values is None else found.run(values)
    except MemoryError:
        return Evaluated(error=TOO_MUCH_MEMORY)


def _encode(found: Evaluated) -> bytes:
    value = found.value
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return _dump(None, f"it came to a text of more than {LONGEST_TEXT} characters", None)
    if value is None or isinstance(value, bool | int | float | str):
        return _dump(value, found.error, None)
    try:
        return _dump(None, None, (kind_of(value), repr(value)[:_SHOWN_CHARACTERS]))
    except MemoryError:
        return _dump(None, TOO_MUCH_MEMORY, None)


def _dump(value: Any, error: str | None, opaque: tuple[str, str] | None) -> bytes:
    return json.dumps({"value": value, "error": error, "opaque": opaque}).encode()


def _write(writer: BinaryIO, answer: bytes) -> None:
    writer.write(len(answer).to_bytes(4) + answer)
    writer.flush()


if __name__ == "__main__":
    main()
