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
    "max_prepared_transactions": "5",
    # A connection whose making was cancelled keeps DROP DATABASE waiting for so long: a minute otherwise.
    "authentication_timeout": "10s",
}


def ensure_database_url() -> None:
    """Put a server's address and a data directory into the environment, for child processes too."""
    if "HATCHET_DATA_DIR" not in os.environ:
        os.environ["HATCHET_DATA_DIR"] = str(_temporary_directory())
    if "DATABASE_URL" not in os.environ:
        server = BundledPostgres(_temporary_directory(), UNSAFE_BUT_FAST)
        atexit.register(server.stop)
        os.environ["DATABASE_URL"] = server.start()


def _temporary_directory() -> Path:
    path = Path(tempfile.mkdtemp(prefix="hatchet-test-"))
    path.chmod(0o711)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
