"""The log as a handler of telemetry: which events have a line, and how it reads."""

from __future__ import annotations

import logging
from typing import NamedTuple

from engine import telemetry
from engine.telemetry import Measurements, Metadata


class Line(NamedTuple):
    """`text` names measurements and metadata."""

    logger: logging.Logger
    level: int
    text: str


_SCHEDULER = logging.getLogger("hatchet.scheduler")
_OUTAGES = logging.getLogger("hatchet.outages")
_NO_LONGER_OURS = "tenant %(tenant_id)s: no longer ours (epoch %(epoch)d)"

LINES = {
    "lease.lost": Line(_SCHEDULER, logging.INFO, _NO_LONGER_OURS),
    "lease.given_up": Line(_SCHEDULER, logging.INFO, _NO_LONGER_OURS),
    "scheduler.rebuilt": Line(
        _SCHEDULER,
        logging.INFO,
        "tenant %(tenant_id)s: scheduling %(workers)d workers, %(running)d running,"
        " %(waiting)d waiting tasks under epoch %(epoch)d",
    ),
    "database.unreachable": Line(_OUTAGES, logging.WARNING, "%(postponed)s: %(error)s"),
    "payloads.away": Line(_OUTAGES, logging.WARNING, "payloads wait: %(error)s"),
    "race.lost": Line(
        _OUTAGES, logging.INFO, "%(what)s: lost a race between transactions, trying again"
    ),
    "worker.stalled": Line(
        logging.getLogger("hatchet.controllers"),
        logging.WARNING,
        "worker %(worker_id)s does not acknowledge what it is sent",
    ),
    "listener.lost": Line(
        logging.getLogger("hatchet.notifier"),
        logging.WARNING,
        "listening for hints broke: %(error)s",
    ),
    "grpc.refused": Line(
        logging.getLogger("hatchet.rpc"), logging.DEBUG, "%(method)s: %(code)s: %(message)s"
    ),
}


def write_line(name: str, measurements: Measurements, metadata: Metadata) -> None:
    """Write the log line of an event that has one."""
    logger, level, text = LINES[name]
    if logger.isEnabledFor(level):
        logger.log(level, text, {**measurements, **metadata})


def log_events() -> None:
    """Write the lines of all events that have one from now on."""
    telemetry.attach(write_line, *LINES)
