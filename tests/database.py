"""The throwaway Postgres of a test run, started once and shared by all its worker processes."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from engine.postgres import BundledPostgres

UNSAFE_BUT_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "10min",
}


def ensure_database_url() -> None:
    """Start a server and put its address into the environment, where child processes find it."""
    if os.environ.get("DATABASE_URL"):
        return
    home = Path(tempfile.mkdtemp(prefix="hatchet-test-"))
    home.chmod(0o711)
    server = BundledPostgres(home, UNSAFE_BUT_FAST)

    def remove() -> None:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)

    atexit.register(remove)
    os.environ["DATABASE_URL"] = server.start()
