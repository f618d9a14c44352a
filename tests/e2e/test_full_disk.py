"""A database whose disk is full: the web process says so, and is ready again when there is room."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.postgres import BundledPostgres
from tests.e2e.stack import Stack, is_ready, open_stack
from tests.e2e.tenant import Tenant, wait_for

MEBIBYTE = 1024 * 1024


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, in memory, that any account may enter."""
    directory = Path(tempfile.mkdtemp(prefix="hatchet-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m,mode=0711", "tmpfs", str(directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        directory.rmdir()
        pytest.skip("may not mount a file system here")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)
    directory.rmdir()


@pytest.fixture
def stack(small_disk: Path, tmp_path: Path) -> Iterator[Stack]:
    server = BundledPostgres(small_disk, {"max_wal_size": "32MB", "min_wal_size": "32MB"})
    stack = open_stack(tmp_path, database_url=server.start())
    yield stack
    stack.close()
    server.stop()


@pytest.fixture
def tenant(stack: Stack, tmp_path: Path) -> Iterator[Tenant]:
    tenant = Tenant.create(stack, tmp_path / "tenant")
    yield tenant
    tenant.close()


def test_a_full_disk_is_told_and_survived(stack: Stack, tenant: Tenant, small_disk: Path) -> None:
    stack.start()
    tenant.start_worker("basics")
    client = tenant.start_client("basics")
    assert client.call("run_sync", value=1)["value"] == 2
    filler = small_disk / "filler"
    fill(filler)
    wait_for("a full disk to be told", lambda: not is_ready(stack.server_url))
    filler.unlink()
    wait_for("room to be noticed", lambda: is_ready(stack.server_url))
    assert client.call("run_sync", value=2)["value"] == 4


def fill(path: Path) -> None:
    """Write until the file system takes no more."""
    with pytest.raises(OSError, match="No space left"):
        write_for_ever(path)


def write_for_ever(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * MEBIBYTE)
