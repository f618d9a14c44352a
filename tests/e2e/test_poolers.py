"""An engine behind PgBouncer: at home in session mode, refused with one sentence in transaction mode."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from engine.server_account import choose_account
from tests.e2e.stack import ROOT, Service, Stack, free_port, listens
from tests.e2e.tenant import Tenant

pytestmark = pytest.mark.skipif(
    shutil.which("pgbouncer") is None, reason="needs PgBouncer (Debian's package pgbouncer)"
)

StartPooler = Callable[[str], str]


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that other accounts may enter: pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield directory


@pytest.fixture
def start_pooler(own_stack: Stack, public_directory: Path) -> Iterator[StartPooler]:
    """Start PgBouncer in a mode before the database of the stack; return the new address."""
    behind = {name: str(value) for name, value in conninfo_to_dict(own_stack.database_url).items()}
    started: list[Service] = []

    def start(mode: str) -> str:
        port = free_port()
        target = " ".join(f"{name}={value}" for name, value in behind.items())
        config = public_directory / f"pgbouncer-{mode}.ini"
        config.write_text(
            f"[databases]\nhatchet = {target}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 20\n"
            "ignore_startup_parameters = options, extra_float_digits\n"
        )
        config.chmod(0o644)
        started.append(
            own_stack.spawn("pgbouncer", _as_server_account(config), directory=Path("/"))
        )
        started[-1].wait_until(lambda: listens(f"127.0.0.1:{port}"), "listen")
        user = quote(behind["user"], safe="")
        return f"postgresql://{user}@127.0.0.1:{port}/hatchet"

    yield start
    for service in started:
        service.stop()


def _as_server_account(config: Path) -> list[str]:
    """PgBouncer may not run as root, and must enter the socket's directory as Postgres does."""
    account = choose_account(Path(os.environ["HATCHET_DATA_DIR"]) / "nothing")
    become = [] if account.is_self else ["setpriv", f"--reuid={account.uid}", "--clear-groups"]
    return [*become, "pgbouncer", str(config)]


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_forgets_sessions_is_refused(
    own_stack: Stack, start_pooler: StartPooler, mode: str
) -> None:
    environment = {**own_stack.environment, "DATABASE_URL": start_pooler(mode)}
    for command in (["runengine"], ["runengine", "--processes", "2"], ["setup"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        (sentence,) = done.stderr.strip().splitlines()
        assert "DATABASE_URL leads to a connection pooler in transaction mode" in sentence


def test_tasks_run_behind_a_pooler_in_session_mode(
    own_stack: Stack, own_tenant: Tenant, start_pooler: StartPooler
) -> None:
    own_stack.environment["DATABASE_URL"] = start_pooler("session")
    own_stack.start()
    own_tenant.start_worker("basics")
    client = own_tenant.start_client("basics")
    assert client.call("run_sync", value=21)["value"] == 42
