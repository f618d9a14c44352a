"""Lines of the process's log as records of OTLP, with the ids they are about."""

from __future__ import annotations

import logging
import time
import traceback

from opentelemetry import context
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider

from tenants.log_fields import fields_of

_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
)
_OF_THE_SENDERS = ("opentelemetry", "urllib3", "requests")
"""What they have to say of a collector that is not there would go to it."""


class RecordSender(logging.Handler):
    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in _OF_THE_SENDERS:
            return
        attributes = {f"hatchet.{name}": value for name, value in fields_of(record).items()}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            attributes |= {
                "exception.type": type(error).__qualname__,
                "exception.message": str(error),
                "exception.stacktrace": "".join(traceback.format_exception(error)),
            }
        self._provider.get_logger(record.name).emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                observed_timestamp=time.time_ns(),
                context=context.get_current(),
                severity_text=record.levelname,
                severity_number=_severity(record.levelno),
                body=record.getMessage(),
                attributes=attributes,
            )
        )


def _severity(level: int) -> SeverityNumber:
    return next((number for least, number in _SEVERITIES if level >= least), SeverityNumber.DEBUG)
