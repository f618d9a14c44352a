"""`manage.py up`: the whole of Hatchet on this machine, in one terminal, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import urllib.error
import urllib.request
from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from engine.config import Config
from engine.environment import ConfigError
from engine.management import startup
from engine.management.credentials import Credentials, how_to_connect
from engine.management.options import number_of_processes
from engine.management.processes import Child
from engine.postgres import BundledPostgres, PostgresError, home_for

ENGINE_STOP_SECONDS = 40.0
WEB_STOP_SECONDS = 10.0
READY_POLL_SECONDS = 0.2
POSTGRES_POLL_SECONDS = 1.0
NAME_WIDTH = 8
COLOURS = {"hatchet": "36", "engine": "32", "web": "35", "postgres": "33"}


class Command(BaseCommand):
    help = "Start Postgres (unless DATABASE_URL is set), the engine and the web server."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        config: Config = settings.HATCHET
        parser.add_argument(
            "--web-processes",
            type=number_of_processes,
            default=config.web_processes,
            help="how many web processes share the port",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        config: Config = replace(settings.HATCHET, web_processes=options["web_processes"])
        try:
            with startup.only_one_here(config.data_dir):
                self._run(config)
        except (ConfigError, PostgresError) as error:
            raise CommandError(f"Hatchet cannot start: {error}") from None

    def _run(self, config: Config) -> None:
        startup.check_ports(config)
        server = BundledPostgres(home_for(config.data_dir)) if config.database_is_bundled else None
        # A plain SIGTERM would end Python without stopping Postgres.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if server is not None:
                if server.home != config.data_dir:
                    self._tell(
                        f"Postgres may not enter {config.data_dir}; its data is in {server.home}"
                    )
                server.start(self._tell)
            credentials = startup.prepare(config, self._tell)
            connections.close_all()
            asyncio.run(self._serve(config, credentials, server))
        except KeyboardInterrupt:
            self._tell("Stopped while starting")
        finally:
            if server is not None:
                self._tell("Stopping Postgres")
                server.stop()
        self._tell("Stopped")

    async def _serve(
        self, config: Config, credentials: Credentials, server: BundledPostgres | None
    ) -> None:
        engine = Child("engine", [sys.executable, sys.argv[0], "runengine"], ENGINE_STOP_SECONDS)
        web = Child("web", _web_command(config), WEB_STOP_SECONDS)
        stop = _stop_on_signals([engine, web])
        self._tell("Starting the engine and the web server")
        running = [
            asyncio.create_task(child.keep_running(self._say), name=child.name)
            for child in (engine, web)
        ]
        if server is not None:
            running.append(asyncio.create_task(self._watch(server), name="postgres"))
        greeting = asyncio.create_task(self._greet(config, credentials), name="greeting")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        # A supervisor that ends by itself has a bug in it, and must not be waited for.
        await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
        greeting.cancel()
        self._tell("Stopping (Ctrl-C again to kill)")
        await web.stop(self._say)
        await engine.stop(self._say)
        for task in running:
            task.cancel()
        results = await asyncio.gather(*running, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _greet(self, config: Config, credentials: Credentials) -> None:
        """Wait until both processes answer, then say how to reach them."""
        while not (  # noqa: ASYNC110  (other processes have no event to wait for)
            await asyncio.to_thread(_web_answers, config) and await _engine_answers(config)
        ):
            await asyncio.sleep(READY_POLL_SECONDS)
        self._print(_greeting(config, credentials))

    async def _watch(self, server: BundledPostgres) -> None:
        """Start Postgres again when it ended without our asking for it."""
        while True:
            await asyncio.sleep(POSTGRES_POLL_SECONDS)
            if not server.is_running():
                self._say("postgres", "ended; starting it again")
                try:
                    await asyncio.to_thread(server.start)
                except (PostgresError, OSError, psycopg.OperationalError) as error:
                    self._say("postgres", str(error))

    def _tell(self, sentence: str) -> None:
        self._say("hatchet", sentence)

    def _say(self, name: str, line: str) -> None:
        label = f"{name:<{NAME_WIDTH}}|"
        if self.stdout.isatty():
            label = f"\x1b[{COLOURS[name]}m{label}\x1b[0m"
        self._print(f"{label} {line}")

    def _print(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a reader that left must not keep us from stopping
            self.stdout.write(text)
            self.stdout.flush()


def _web_command(config: Config) -> list[str]:
    return [sys.executable, sys.argv[0], "runweb", "--processes", str(config.web_processes)]


def _stop_on_signals(children: list[Child]) -> asyncio.Event:
    """The event is set by the first Ctrl-C or SIGTERM; another one kills what is left."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            for child in children:
                child.kill()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    return stop


def _web_answers(config: Config) -> bool:
    host = _reachable(config.http_bind_address)
    try:
        with urllib.request.urlopen(f"http://{host}:{config.http_port}/api/ready", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


async def _engine_answers(config: Config) -> bool:
    host = _reachable(config.grpc_bind_address).strip("[]")
    try:
        _, writer = await asyncio.open_connection(host, config.grpc_port)
    except OSError:
        return False
    writer.close()
    return True


def _reachable(address: str) -> str:
    """Where a server bound to `address` answers from this machine."""
    if address in {"0.0.0.0", "::", ""}:  # noqa: S104  (compared with, not bound to)
        return "127.0.0.1"
    return f"[{address}]" if ":" in address else address


def _greeting(config: Config, credentials: Credentials) -> str:
    return f"""
  Hatchet is running.

{how_to_connect(config, credentials)}
  Ctrl-C stops everything. Data stays in {config.data_dir}.
"""
