"""The port of metrics answers its path and nothing else, whoever asks, and each process has one of its own."""

from __future__ import annotations

import socket
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from prometheus_client import CollectorRegistry, Counter

from engine.metrics import server as serving
from engine.metrics.server import MetricsServer, serve_metrics
from engine.metrics_config import MetricsConfig
from tests.metrics import samples_in, scrape

HOST = "127.0.0.1"


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("counted", "Something.", registry=registry).inc(3)
    return registry


def start(
    registry: CollectorRegistry, port: int = 0, path: str = "/custom-metrics"
) -> MetricsServer:
    if port == 0:
        with socket.create_server((HOST, 0)) as free:
            port = free.getsockname()[1]
    config = MetricsConfig(is_enabled=True, host=HOST, port=port, path=path)
    server = serve_metrics(config, registry)
    assert server is not None
    return server


def stop(server: MetricsServer) -> None:
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(registry: CollectorRegistry) -> Iterator[MetricsServer]:
    started = start(registry)
    yield started
    stop(started)


def test_its_path_is_answered(server: MetricsServer) -> None:
    assert samples_in(scrape(server.port, "/custom-metrics?x=y"))["counted_total",] == 3
    openmetrics = "application/openmetrics-text; version=1.0.0"
    assert scrape(server.port, "/custom-metrics", Accept=openmetrics).endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/", "/metrics", "/custom-metrics/", "/../custom-metrics"])
def test_other_paths_are_not_found(server: MetricsServer, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        scrape(server.port, path)
    refused.value.close()


@pytest.mark.parametrize(
    "said",
    [
        b"POST /custom-metrics HTTP/1.1\r\n\r\n",
        b"\0\xff\xfe garbage\r\n\r\n",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\n\r\n",
    ],
)
def test_nonsense_is_refused_and_harms_nobody(server: MetricsServer, said: bytes) -> None:
    with socket.create_connection((HOST, server.port), 60) as connection:
        connection.sendall(said)
        answer = connection.recv(4096)
    assert b" 200 " not in answer
    assert "counted_total" in scrape(server.port, "/custom-metrics")


def test_who_says_nothing_keeps_others_from_nothing(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than there are places: those who hold one are let go in time."""
    monkeypatch.setattr(serving._Asked, "timeout", 0.2)
    with ExitStack() as silent:
        for _ in range(serving._MOST_AT_ONCE + 3):
            silent.enter_context(closing(socket.create_connection((HOST, server.port), 60)))
        answered = None
        for _ in range(600):
            try:
                answered = scrape(server.port, "/custom-metrics")
                break
            except OSError:
                continue
        assert answered


def test_a_second_process_takes_the_next_port(
    server: MetricsServer, registry: CollectorRegistry
) -> None:
    second = start(registry, server.port)
    try:
        assert server.port < second.port < server.port + serving.PORTS_TRIED
        assert "counted_total" in scrape(second.port, "/custom-metrics")
    finally:
        stop(second)


def test_without_a_free_port_there_are_no_metrics_and_no_harm(
    server: MetricsServer,
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(serving, "PORTS_TRIED", 1)
    config = MetricsConfig(is_enabled=True, host=HOST, port=server.port, path="/")
    assert serve_metrics(config, registry) is None
    assert "no metrics" in caplog.text
