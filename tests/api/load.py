"""Lets the official SDK's models load answers, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def failures_of(found: list[Any]) -> dict[str, str]:
    """`found` are [label, model name, answer]; return what a model refused, by label."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.api.load_with_sdk"],
        input=json.dumps(found).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    failures: dict[str, str] = json.loads(done.stdout)
    return failures
