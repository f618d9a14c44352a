"""What the list of log lines is narrowed by; as with runs, the query string alone keeps it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict

from dashboard.moments import moment_text
from dashboard.url_filters import parse_id
from engine.domain.time_buckets import TimeBuckets
from engine.states import LogLevel

WINDOWS: dict[str, tuple[str, timedelta]] = {
    "1h": ("Last hour", timedelta(hours=1)),
    "6h": ("Last 6 hours", timedelta(hours=6)),
    "1d": ("Last 24 hours", timedelta(days=1)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
DEFAULT_WINDOW = "1d"
LEVELS = {
    "": ("Any level", tuple(LogLevel)),
    "info": ("Info and above", (LogLevel.INFO, LogLevel.WARN, LogLevel.ERROR)),
    "warn": ("Warnings and errors", (LogLevel.WARN, LogLevel.ERROR)),
    "error": ("Errors", (LogLevel.ERROR,)),
}
MAX_TEXT = 500
MAX_ATTEMPT = 2**31 - 1
MOST_DAYS = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class LogFilters:
    """A stretch that was chosen in the histogram, `since` and `until`, goes before the window."""

    window: str = DEFAULT_WINDOW
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    level: str = ""
    workflow_id: UUID | None = None
    attempt: int | None = None
    run: str = ""
    before: UUID | None = None

    @property
    def run_id(self) -> UUID | None:
        return parse_id(self.run)

    @property
    def has_wrong_run(self) -> bool:
        return bool(self.run) and self.run_id is None

    @property
    def is_narrowed(self) -> bool:
        return replace(self, before=None) != LogFilters()

    @property
    def stretch_words(self) -> str:
        if self.since is None or self.until is None:
            return ""
        return f"{moment_text(self.since)} to {moment_text(self.until)} UTC"

    def buckets(self, now: datetime) -> TimeBuckets:
        if self.since is not None and self.until is not None:
            return TimeBuckets(self.since, self.until)
        return TimeBuckets(now - WINDOWS[self.window][1], now)

    def query_string(self, **changed: Any) -> str:
        asked = replace(self, **changed)
        pairs = {
            "window": "" if asked.window == DEFAULT_WINDOW else asked.window,
            "since": asked.since and asked.since.isoformat(),
            "until": asked.until and asked.until.isoformat(),
            "search": asked.text,
            "level": asked.level,
            "workflow": asked.workflow_id,
            "attempt": asked.attempt,
            "run": asked.run,
            "before": asked.before,
        }
        return urlencode({name: value for name, value in pairs.items() if value})


def parse_log_filters(query: QueryDict) -> LogFilters:
    """Take what makes sense."""
    window, level = query.get("window", ""), query.get("level", "")
    since, until = _moment(query.get("since", "")), _moment(query.get("until", ""))
    if since is None or until is None or not timedelta(0) < until - since < MOST_DAYS:
        since = until = None
    return LogFilters(
        window=window if window in WINDOWS else DEFAULT_WINDOW,
        since=since,
        until=until,
        text=_clean(query.get("search", "")),
        level=level if level in LEVELS else "",
        workflow_id=parse_id(query.get("workflow", "")),
        attempt=_attempt(query.get("attempt", "")),
        run=_clean(query.get("run", "")),
        before=parse_id(query.get("before", "")),
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _attempt(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal() and len(text) < 11):
        return None
    return int(text) if 1 <= int(text) <= MAX_ATTEMPT else None


def _clean(text: str) -> str:
    """Postgres takes no NUL in a text, and nobody means to search for one."""
    return text.replace("\0", "").strip()[:MAX_TEXT]
