"""What the processes write to standard error, for people or as JSON for collectors."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import orjson

from tenants.log_fields import fields_of

LEVELS = {"debug": "DEBUG", "info": "INFO", "warn": "WARNING", "error": "ERROR"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the ids that it is about as fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


class WithoutRefusals(logging.Filter):
    """Drops what was answered with a 4xx: it is the caller's affair, and callers can write any number."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not 400 <= getattr(record, "status_code", 0) < 500


def logging_config(level: str, style: str) -> dict[str, Any]:
    """A dictConfig: everything to one stream; chatty libraries speak from WARNING on.

    Refused requests are told at the level `debug`.
    """
    quiet = {"level": "WARNING"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "console": {
                "format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s",
                "datefmt": "%H:%M:%S",
            },
            "json": {"()": JsonFormatter},
        },
        "filters": {"without refusals": {"()": WithoutRefusals}},
        "handlers": {
            "stream": {
                "class": "logging.StreamHandler",
                "formatter": style,
                "filters": [] if level == "debug" else ["without refusals"],
            }
        },
        "root": {"handlers": ["stream"], "level": LEVELS[level]},
        "loggers": {
            "daphne": quiet,
            "asyncio": quiet,
            "fido2": quiet,
            "django": {"level": LEVELS[level], "handlers": [], "propagate": True},
            "django.server": {"level": "INFO", "handlers": [], "propagate": True},
        },
    }
