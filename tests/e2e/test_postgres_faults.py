"""A database that goes away under load: every accepted run finishes, and none is executed twice."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine.postgres import BundledPostgres
from tests.e2e.load import Load
from tests.e2e.stack import open_stack
from tests.e2e.tenant import Tenant

pytestmark = pytest.mark.chaos


@pytest.fixture
def postgres() -> Iterator[BundledPostgres]:
    """A server of its own. What it acknowledged must survive its end, if not that of the machine."""
    with tempfile.TemporaryDirectory(prefix="hatchet-postgres-") as directory:
        Path(directory).chmod(0o711)
        server = BundledPostgres(Path(directory), {"fsync": "off"})
        server.start()
        yield server
        server.stop()


@pytest.fixture
def tenant(postgres: BundledPostgres, tmp_path: Path) -> Iterator[Tenant]:
    stack = open_stack(tmp_path, database_url=postgres.url)
    stack.start_engine()
    tenant = Tenant.create(stack, tmp_path / "tenant")
    yield tenant
    tenant.close()
    stack.close()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_database_restarted_under_load_loses_nothing(
    how: str, postgres: BundledPostgres, tenant: Tenant
) -> None:
    with Load(tenant) as load:
        if how == "stopped":
            postgres.stop()
        else:
            kill_postmaster(postgres)
        postgres.start()
        load.wait_for_progress(60)
        load.finish()
        load.assert_once_each()
    (engine,) = (service for service in tenant.stack.services if service.name == "engine")
    assert engine.process.poll() is None, engine.output


def kill_postmaster(postgres: BundledPostgres) -> None:
    process_id = (postgres.cluster / "postmaster.pid").read_text().split()[0]
    postmaster = psutil.Process(int(process_id))
    postmaster.kill()
    postmaster.wait()
