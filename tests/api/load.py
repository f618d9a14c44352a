"""Lets the official SDK's models load answers, in one process beside the tests."""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import sys
from typing import Any


@functools.cache
def _loader() -> subprocess.Popen[str]:
    """Importing the SDK takes longer than all that is asked of it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.api.load_with_sdk"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process


def failures_of(found: list[Any]) -> dict[str, str]:
    """`found` are [label, model name, answer]; return what a model refused, by label."""
    process = _loader()
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(found) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    assert line, f"the SDK's process ended with {process.wait()}"
    failures: dict[str, str] = json.loads(line)
    return failures
