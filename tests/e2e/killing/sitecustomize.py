"""Kills its whole process group where KILL_AT says, as kill -9 does: `file.py:function:number of the line run`.

Python imports this by itself at its start. Threads are watched, and the main one where it calls `watch`. A number
beyond the last line is the function's return.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

_FILE, _FUNCTION, _NUMBER = (os.environ.get("KILL_AT") or "::0").split(":")


class _Counter:
    """Counts the lines that one call runs."""

    def __init__(self) -> None:
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> _Counter:
        self.lines += event == "line"
        is_there = event == "line" and self.lines == int(_NUMBER)
        if is_there or (event == "return" and self.lines < int(_NUMBER)):
            os.killpg(0, signal.SIGKILL)
        return self


def _look(frame: FrameType, event: str, argument: Any) -> _Counter | None:
    code = frame.f_code
    is_meant = code.co_name == _FUNCTION and code.co_filename.endswith(_FILE)
    return _Counter() if is_meant else None


def watch() -> None:
    sys.settrace(_look)


if _FUNCTION:
    threading.settrace(_look)
