"""The life of the bundled Postgres: made, started, killed, started again, stopped."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from engine.postgres import BundledPostgres, PostgresError, home_for
from engine.server_account import ServerAccount, choose_account

FAST = {"fsync": "off", "shared_buffers": "8MB", "max_connections": "20"}


@pytest.fixture
def home() -> Iterator[Path]:
    with _reachable_directory() as path:
        yield path


@pytest.fixture(scope="module")
def shared_server() -> Iterator[BundledPostgres]:
    with _reachable_directory() as path:
        server = BundledPostgres(path, FAST)
        yield server
        server.stop()


@pytest.fixture
def server(shared_server: BundledPostgres) -> BundledPostgres:
    """A running server; a test may do to it what it likes."""
    shared_server.start()
    return shared_server


@contextmanager
def _reachable_directory() -> Iterator[Path]:
    """A directory that the server's account can enter; pytest's own are closed to it."""
    path = Path(tempfile.mkdtemp(prefix="hatchet-life-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def postmaster(server: BundledPostgres) -> psutil.Process:
    pid = int((server.cluster / "postmaster.pid").read_text().splitlines()[0])
    return psutil.Process(pid)


def test_a_start_shows_its_steps_and_answers(home: Path) -> None:
    server = BundledPostgres(home, FAST)
    steps: list[str] = []
    try:
        url = server.start(steps.append)
        assert steps == ["Creating the database cluster", "Starting Postgres"]
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT current_database(), version()").fetchone()
        assert row is not None
        assert row[0] == "hatchet"
        assert row[1].startswith("PostgreSQL 18")
    finally:
        server.stop()
    assert not server.is_running()


def test_data_and_address_outlive_a_restart(server: BundledPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    url = server.start()
    assert url == server.url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_starting_twice_is_one_server(server: BundledPostgres) -> None:
    first = postmaster(server).pid
    assert BundledPostgres(server.home, FAST).start() == server.url
    assert postmaster(server).pid == first


def test_it_is_closed_to_everybody_else(server: BundledPostgres) -> None:
    assert stat.S_IMODE(server.cluster.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.socket_directory().stat().st_mode) == 0o700
    assert stat.S_IMODE((server.home / "postgres.password").stat().st_mode) == 0o600
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url.replace(server.password(), "guess"))


def test_it_recovers_after_being_killed(server: BundledPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE committed AS SELECT 1 AS one")
    victim = postmaster(server)
    victim.kill()
    while victim.status() != psutil.STATUS_ZOMBIE:  # its parent, we, has not collected it
        time.sleep(0.01)
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT one FROM committed").fetchone() == (1,)


def test_a_pid_file_that_names_another_program_is_no_obstacle(server: BundledPostgres) -> None:
    """After a reboot, the number of the old server may belong to anything."""
    pid_file = server.cluster / "postmaster.pid"
    content = pid_file.read_text().splitlines()
    server.stop()
    account = choose_account(server.cluster)
    other = subprocess.Popen(
        ["sleep", "60"],
        user=account.new_uid,
        group=account.new_gid,
        extra_groups=account.new_groups,
    )
    try:
        pid_file.write_text("\n".join([str(other.pid), *content[1:]]) + "\n")
        os.chown(pid_file, account.uid, account.gid)
        assert not server.is_running()
        server.start()
        assert server.is_running()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_an_interrupted_creation_is_begun_again(home: Path) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / "half").write_text("")
    server = BundledPostgres(home, FAST)
    server.start()
    server.stop()
    assert not (home / "postgres" / "half").exists()


def test_a_setting_it_refuses_is_told_with_its_own_words(home: Path) -> None:
    server = BundledPostgres(home, FAST | {"max_connections": "none"})
    with pytest.raises(PostgresError, match="max_connections"):
        server.start()


def test_stopping_cuts_open_sessions(server: BundledPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("SELECT 1")
        server.stop()
        assert not server.is_running()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_long_path_gets_its_socket_elsewhere(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    server = BundledPostgres(deep, FAST)
    try:
        with psycopg.connect(server.start()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert BundledPostgres(deep, FAST).url == server.url
    finally:
        server.stop()
        shutil.rmtree(server.socket_directory(), ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")
class TestAsRoot:
    def test_the_server_has_an_account_without_rights(self, server: BundledPostgres) -> None:
        uids = postmaster(server).uids()
        assert 0 not in (uids.real, uids.effective, uids.saved)
        assert postmaster(server).gids().effective != 0
        assert server.cluster.stat().st_uid == uids.effective

    def test_data_that_exists_keeps_its_owner(self, home: Path) -> None:
        owned = home / "postgres"
        owned.mkdir()
        os.chown(owned, 12345, 12345)
        assert choose_account(owned).uid == 12345

    def test_a_private_directory_sends_the_data_elsewhere_for_good(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engine.postgres.SHARED_STATE", home / "state")
        private = home / "private"
        (private / "data").mkdir(parents=True)
        private.chmod(0o700)
        chosen = home_for(private / "data")
        assert chosen.parent == home / "state"
        assert home_for(private / "data") == chosen
        server = BundledPostgres(chosen, FAST)
        try:
            server.start()
        finally:
            server.stop()

    def test_programs_in_a_private_directory_are_copied_out(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engine.postgres.SHARED_STATE", home / "state")
        real = ServerAccount.can_reach
        monkeypatch.setattr(
            ServerAccount,
            "can_reach",
            lambda self, path: "pixeltable" not in str(path) and real(self, path),
        )
        (home / "data").mkdir(mode=0o711)
        server = BundledPostgres(home / "data", FAST)
        try:
            server.start()
            assert str(home / "state") in postmaster(server).exe()
        finally:
            server.stop()

    def test_an_ordinary_user_needs_no_change_of_account(self, home: Path) -> None:
        user = pwd.getpwnam("nobody").pw_uid
        if not _may_run_this(user):
            pytest.skip("nobody may not execute this interpreter or read this checkout")
        os.chown(home, user, user)
        script = (
            "import sys; from pathlib import Path; from engine.postgres import BundledPostgres\n"
            f"server = BundledPostgres(Path(sys.argv[1]), {FAST!r})\n"
            "server.start(); print(server.is_running()); server.stop()"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(home)],
            user=user,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == "True", done.stderr
        assert (home / "postgres").stat().st_uid == user


def _may_run_this(user: int) -> bool:
    command = [sys.executable, "-c", "import engine.postgres"]
    try:
        done = subprocess.run(command, user=user, extra_groups=[], capture_output=True, check=False)
    except PermissionError:
        return False
    return done.returncode == 0


def test_killing_the_starter_leaves_a_server_that_the_next_start_adopts(home: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from engine.postgres import BundledPostgres\n"
        f"BundledPostgres(Path(sys.argv[1]), {FAST!r}).start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", script, str(home)], check=False)
    assert died.returncode == -signal.SIGKILL
    server = BundledPostgres(home, FAST)
    orphan = postmaster(server).pid
    server.start()
    assert postmaster(server).pid == orphan
    server.stop()
    assert not psutil.pid_exists(orphan)
