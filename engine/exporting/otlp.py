"""Traces and logs by OTLP, batched and sent in threads of their own."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from engine import telemetry
from engine.export_config import OtlpConfig
from engine.exporting.log_records import RecordSender
from engine.exporting.spans import SpanMaker
from engine.version import ENGINE_VERSION

_TRACES, _LOGS = "v1/traces", "v1/logs"
_LEFT_SECONDS = 3.0


def start(config: OtlpConfig, process: str) -> Callable[[], None]:
    """Send from now on; call what it returns to send what is left and end."""
    resource = _resource(config, process)
    attached, sending = ExitStack(), ExitStack()
    if config.sends_traces:
        tracers = TracerProvider(
            sampler=_sampler(config), resource=resource, shutdown_on_exit=False
        )
        tracers.add_span_processor(BatchSpanProcessor(_span_exporter(config)))
        sending.callback(tracers.shutdown)
        spans = SpanMaker(tracers.get_tracer("hatchet", ENGINE_VERSION))
        attached.enter_context(telemetry.traced(spans.open, *spans.EVENTS))
    if config.sends_logs:
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(BatchLogRecordProcessor(_log_exporter(config)))
        sending.callback(loggers.shutdown)
        attached.callback(_send_records(loggers))

    def end() -> None:
        attached.close()
        # Nobody is kept waiting for a collector that is not there.
        last = threading.Thread(target=sending.close, name="last export", daemon=True)
        last.start()
        last.join(_LEFT_SECONDS)

    return end


def _send_records(loggers: LoggerProvider) -> Callable[[], None]:
    """Send what the log tells, and no more; return what ends it."""
    root, sender = logging.getLogger(), RecordSender(loggers)
    for teller in root.handlers[:1]:
        for chosen in teller.filters:
            sender.addFilter(chosen)
    root.addHandler(sender)
    return lambda: root.removeHandler(sender)


def _sampler(config: OtlpConfig) -> Sampler | None:
    """None: the one that the standard variables name."""
    ratio = config.trace_ratio
    return None if ratio is None else ParentBased(TraceIdRatioBased(ratio))


def _resource(config: OtlpConfig, process: str) -> Resource:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before what we would say."""
    ours = Resource(
        {
            SERVICE_NAME: config.service_name or f"hatchet-{process}",
            SERVICE_VERSION: ENGINE_VERSION,
            SERVICE_INSTANCE_ID: f"{os.uname().nodename}:{os.getpid()}",
        }
    )
    said = Resource.create()
    named = {
        name: value
        for name, value in said.attributes.items()
        if not (name == SERVICE_NAME and str(value).startswith("unknown_service"))
    }
    return ours.merge(Resource(named))


def _options(config: OtlpConfig, path: str) -> dict[str, Any]:
    if not config.collector_url:
        return {}
    url = config.collector_url
    options: dict[str, Any] = {"endpoint": url}
    if config.authorization:
        options["headers"] = {"authorization": config.authorization}
    if config.protocol == "grpc":
        options["insecure"] = config.is_insecure or url.startswith("http://")
        return options
    if "://" not in url:
        url = f"{'http' if config.is_insecure else 'https'}://{url}"
    return options | {"endpoint": f"{url.rstrip('/')}/{path}"}


def _span_exporter(config: OtlpConfig) -> SpanExporter:
    if config.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(**_options(config, _TRACES))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
        OTLPSpanExporter as OverHttp,
    )

    return OverHttp(**_options(config, _TRACES))


def _log_exporter(config: OtlpConfig) -> LogRecordExporter:
    if config.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

        return OTLPLogExporter(**_options(config, _LOGS))
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as OverHttp

    return OverHttp(**_options(config, _LOGS))
