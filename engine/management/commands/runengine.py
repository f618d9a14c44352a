"""Runs the engine: the gRPC server and everything that moves runs."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

import uvloop
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from engine.config import Config
from engine.environment import ConfigError
from engine.exporting import exporting
from engine.management.database import check_database
from engine.management.engine_metrics import watch_engine
from engine.management.startup import check_port
from engine.management.supervision import OnReady, Supervisor
from engine.rpc.server import RpcServer, ServerSettings
from engine.runtime.engine import HatchetEngine
from engine.runtime.loops.ending import end_tasks
from engine.runtime.telemetry_log import log_events
from engine.store.payload_setup import check_payloads
from tenants.token_cache import REVOKED_CHANNEL, TokenCache

log = logging.getLogger("hatchet.engine")

_TOKEN_TRUSTED_SECONDS = 30.0
_GRACE_SECONDS = 10.0


class Command(BaseCommand):
    help = "Run the engine that workers and clients connect to over gRPC."
    # They would import the dashboard and everything it needs, which the engine does not.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--processes",
            type=int,
            default=1,
            help="how many engines share the port (SO_REUSEPORT)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        config: Config = settings.HATCHET
        try:
            check_port(
                "SERVER_GRPC_PORT", config.grpc_bind_address, config.grpc_port, is_shared=True
            )
            check_database(config.database_url)
            check_payloads(config)
        except ConfigError as error:
            raise CommandError(f"The engine cannot start: {error}") from None
        supervisor = Supervisor(lambda on_ready: run(config, on_ready), options["processes"])
        raise SystemExit(supervisor.run())


def run(config: Config, on_ready: OnReady) -> None:
    with exporting(config.exports, "engine"):
        uvloop.run(serve(config, on_ready))


async def serve(config: Config, on_ready: OnReady) -> None:
    """Serve until SIGTERM or SIGINT, then stop in order: no new work, drain, give tenants up."""
    log_events()
    engine = HatchetEngine(config.database_url, max_message_bytes=config.grpc_max_message_bytes)
    engine.retention = config.retention
    tokens = TokenCache(max_age_seconds=_TOKEN_TRUSTED_SECONDS)
    server = RpcServer(
        engine,
        tokens,
        ServerSettings(
            host=config.grpc_bind_address,
            port=config.grpc_port,
            tls=config.grpc_tls,
            max_message_bytes=config.grpc_max_message_bytes,
            front=config.grpc_front,
            tracing=config.tracing,
        ),
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await engine.start(
        {REVOKED_CHANNEL: lambda token_id: tokens.forget(UUID(token_id))}, on_deaf=tokens.clear
    )
    watches = watch_engine(config.metrics, engine) if config.metrics.is_enabled else []
    await server.start()
    on_ready()
    _relax_collector()
    log.info(
        "engine %s serves gRPC on port %d (front: %s)", engine.id, server.port, config.grpc_front
    )
    await stopped.wait()
    log.info("engine %s stops", engine.id)
    engine.stop_scheduling()
    await engine.durable.drain()
    await server.stop(_GRACE_SECONDS)
    await end_tasks(watches)
    await engine.stop(_GRACE_SECONDS)


def _relax_collector() -> None:
    """Look for garbage cycles rarely: what starts here lives on, and requests make next to none.

    The default looks every 700 new objects, which a busy engine makes a thousand times a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
