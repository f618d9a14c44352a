"""The oldest official SDK whose durable tasks we promise to serve, beside the one of the requirements."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

REQUIREMENT = "hatchet-sdk==1.37.5"
HOME = Path(sys.prefix, "oldest-sdk")


def oldest_sdk() -> Path:
    """Install it once for all test processes; return what has to be in front of the module path.

    It runs with the other requirements' versions of what it depends on.
    """
    with Path(sys.prefix, "oldest-sdk.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(HOME.glob("hatchet_sdk-1.37.5.dist-info")):
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
            subprocess.run([*pip, "--target", str(HOME), REQUIREMENT], check=True)
    return HOME


@pytest.fixture(scope="module", params=["newest", "oldest"])
def each_sdk(request: pytest.FixtureRequest) -> Path | None:
    """In place of the fixture `sdk`: a file's tests run with both."""
    return oldest_sdk() if request.param == "oldest" else None
