"""Runs the web server: dashboard, REST API and live updates."""

from __future__ import annotations

import gc
import logging
import os
import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import get_resolver

from engine.config import Config
from engine.environment import ConfigError
from engine.exporting import exporting
from engine.management.options import number_of_processes
from engine.management.startup import check_port, socket_for
from engine.management.supervision import OnReady, Supervisor
from engine.metrics.process import ProcessMetrics
from engine.metrics.server import serve_metrics
from engine.store.payload_setup import check_payloads

log = logging.getLogger("hatchet.web")

_WAITING_CONNECTIONS = 1024
_HANDSHAKE_SECONDS = 5


class Command(BaseCommand):
    help = "Run the web server: dashboard, REST API and live updates."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        config: Config = settings.HATCHET
        parser.add_argument(
            "--processes",
            type=number_of_processes,
            default=config.web_processes,
            help="how many of them share the port (SO_REUSEPORT)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        config: Config = settings.HATCHET
        try:
            check_port("SERVER_PORT", config.http_bind_address, config.http_port)
            check_payloads(config)
        except ConfigError as error:
            raise CommandError(f"The web server cannot start: {error}") from None
        supervisor = Supervisor(
            lambda on_ready: run(config, on_ready), options["processes"], name="web"
        )
        raise SystemExit(supervisor.run())


def run(config: Config, on_ready: OnReady) -> None:
    with exporting(config.exports, "web"):
        serve(config, on_ready)


def serve(config: Config, on_ready: OnReady) -> None:
    """Serve until SIGTERM or SIGINT."""
    # Twisted's reactor belongs to the process that imports it: each copy does so by itself.
    from channels.routing import get_default_application
    from daphne.server import Server

    application = get_default_application()
    if config.metrics.is_enabled:
        process = ProcessMetrics("web")
        process.attach()
        serve_metrics(config.metrics, process.registry)
    _finish_importing()

    def tell() -> None:
        on_ready()
        log.info("web process %d serves HTTP on port %d", os.getpid(), config.http_port)

    server = Server(
        application,
        endpoints=[f"fd:fileno={_listen(config).detach()}"],
        websocket_connect_timeout=_HANDSHAKE_SECONDS,
        websocket_handshake_timeout=_HANDSHAKE_SECONDS,
        verbosity=0,
        ready_callable=tell,
    )
    server.run()
    if server.abort_start:
        raise SystemExit(1)


def _listen(config: Config) -> socket.socket:
    """Open a socket of this process's own; the kernel spreads connections over those of all processes."""
    listener = socket_for(config.http_bind_address, config.http_port, is_shared=True)
    listener.listen(_WAITING_CONNECTIONS)
    return listener


def _finish_importing() -> None:
    """Import what the first request would, and never look for garbage among what lives on."""
    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()
