"""Sends what happens in a process to others: traces and logs by OTLP, errors to Sentry.

What it needs is imported only if it is configured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.export_config import ExportConfig


@contextmanager
def exporting(config: ExportConfig, process: str) -> Iterator[None]:
    """Send for as long as the block lasts, and what is left at its end; `process` is engine or web."""
    endings = []
    if config.sentry is not None:
        from engine.exporting import sentry

        endings.append(sentry.start(config.sentry, process))
    if config.otlp is not None:
        from engine.exporting import otlp

        endings.append(otlp.start(config.otlp, process))
    try:
        yield
    finally:
        for end in reversed(endings):
            end()
