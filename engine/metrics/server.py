"""The port at which Prometheus asks a process, served by threads of their own."""

from __future__ import annotations

import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from engine.metrics_config import MetricsConfig

log = logging.getLogger("hatchet.metrics")

PORTS_TRIED = 64
"""From the configured one on: each process of a machine has one."""
_SILENT_SECONDS = 10.0
_MOST_AT_ONCE = 8


class MetricsServer(ThreadingHTTPServer):
    """Answers GET of one path with what the registry holds."""

    daemon_threads = True
    allow_reuse_address = True
    allow_reuse_port = False

    def __init__(self, host: str, port: int, path: str, registry: CollectorRegistry) -> None:
        self.path, self.registry = path, registry
        self.places = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Asked)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Without asking what this machine is called, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "hatchet", self.port

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve so many at once; whoever comes beyond is turned away."""
        if not self.places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        log.debug("a caller was not answered")


class _Asked(BaseHTTPRequestHandler):
    server: MetricsServer
    server_version, sys_version = "hatchet", ""
    timeout = _SILENT_SECONDS

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != self.server.path:
            self.send_error(404)
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        body = encode(self.server.registry)
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Say nothing of each scrape."""


def serve_metrics(config: MetricsConfig, registry: CollectorRegistry) -> MetricsServer | None:
    """Answer at the first port that is free, from the configured one on; None if none is."""
    last: OSError | None = None
    for port in range(config.port, min(config.port + PORTS_TRIED, 65_536)):
        try:
            server = MetricsServer(config.host, port, config.path, registry)
        except OSError as error:
            last = error
            continue
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        log.info("metrics at port %d, path %s", server.port, config.path)
        return server
    log.error("no metrics: ports from %d on cannot be had: %s", config.port, last)
    return None
