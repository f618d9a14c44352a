"""What a runs list is narrowed by. The query string is the only place this is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import QueryDict

from engine.models.durable_queries import runs_off_worker
from engine.models.run_selection import selected_runs
from engine.models.runs import Run, Task
from engine.states import Status
from engine.types import RunFilter

WINDOWS: dict[str, tuple[str, timedelta | None]] = {
    "1h": ("Last hour", timedelta(hours=1)),
    "6h": ("Last 6 hours", timedelta(hours=6)),
    "1d": ("Last 24 hours", timedelta(days=1)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "all": ("All time", None),
}
DEFAULT_WINDOW = "1d"
MAX_METADATA_PAIRS = 8
_MINUTE = "%Y-%m-%dT%H:%M"
_HEX_PREFIX = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, slots=True)
class RunFilters:
    """`problems` are sentences about parts of the query string that could not be used.

    With `is_evicted` only running runs that wait without a worker are shown. `query` is the text of the
    query bar. A range from `since_at` to `until_at` takes the place of the window.
    """

    window: str = DEFAULT_WINDOW
    statuses: tuple[Status, ...] = ()
    is_evicted: bool = False
    workflow_id: UUID | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    text: str = ""
    query: str = ""
    since_at: datetime | None = None
    until_at: datetime | None = None
    before: UUID | None = None
    after: UUID | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the time window leaves runs out."""
        return bool(
            self.statuses
            or self.is_evicted
            or self.workflow_id
            or self.metadata
            or self.text
            or self.query
        )

    @property
    def is_tallied(self) -> bool:
        """Whether the tally counts exactly what is selected, but for the statuses."""
        return not (self.is_evicted or self.metadata or self.text or self.query)

    @property
    def is_first_page(self) -> bool:
        return self.before is None and self.after is None

    @property
    def metadata_text(self) -> str:
        return " ".join(f"{key}:{value}" for key, value in self.metadata)

    @property
    def has_range(self) -> bool:
        return self.since_at is not None or self.until_at is not None

    def since(self, now: datetime) -> datetime | None:
        """The start of the range or window. A look-up by id is not bound by the window."""
        if self.has_range:
            return self.since_at
        length = WINDOWS[self.window][1]
        return None if length is None or self.text else now - length

    def query_string(self, *, with_page: bool = False) -> str:
        pairs: list[tuple[str, str]] = []
        if self.has_range:
            ends = (("from", self.since_at), ("to", self.until_at))
            pairs += [(name, moment.strftime(_MINUTE)) for name, moment in ends if moment]
        elif self.window != DEFAULT_WINDOW:
            pairs.append(("window", self.window))
        pairs += [("status", status.name.lower()) for status in self.statuses]
        if self.is_evicted:
            pairs.append(("running", "evicted"))
        if self.workflow_id:
            pairs.append(("workflow", str(self.workflow_id)))
        pairs += [("meta", f"{key}:{value}") for key, value in self.metadata]
        if self.text:
            pairs.append(("id", self.text))
        if self.query:
            pairs.append(("q", self.query))
        if with_page and self.before:
            pairs.append(("before", str(self.before)))
        elif with_page and self.after:
            pairs.append(("after", str(self.after)))
        return urlencode(pairs)

    def first_page(self) -> RunFilters:
        return replace(self, before=None, after=None)

    def run_filter(self, since: datetime | None, until: datetime | None) -> RunFilter:
        return RunFilter(
            since=since,
            until=until,
            statuses=self.statuses,
            workflow_ids=(self.workflow_id,) if self.workflow_id else (),
            additional_metadata=self.metadata,
            needs_every_pair=True,
        )

    def apply(
        self, tenant_id: UUID, since: datetime | None, until: datetime | None = None
    ) -> QuerySet[Run]:
        runs = selected_runs(tenant_id, self.run_filter(since, until))
        if self.is_evicted:
            runs = runs.filter(runs_off_worker())
        if self.text:
            runs = runs.filter(with_id(self.text))
        return runs


def parse_run_filters(query: QueryDict) -> RunFilters:
    problems: list[str] = []
    text = _clean(query.get("id", ""))
    if text and id_prefix(text) is None:
        problems.append(f"“{text}” is not a run id: at least 4 characters of 0-9 and a-f.")
        text = ""
    window = query.get("window", DEFAULT_WINDOW)
    return RunFilters(
        window=window if window in WINDOWS else DEFAULT_WINDOW,
        statuses=_statuses(query.getlist("status")),
        is_evicted=query.get("running") == "evicted",
        workflow_id=_uuid(query.get("workflow", "")),
        metadata=_metadata(query.getlist("meta"), problems),
        text=text,
        query=_clean(query.get("q", "")),
        since_at=_moment(query.get("from", ""), problems),
        until_at=_moment(query.get("to", ""), problems),
        before=_uuid(query.get("before", "")),
        after=_uuid(query.get("after", "")),
        problems=tuple(problems),
    )


def _statuses(names: Iterable[str]) -> tuple[Status, ...]:
    wanted = {name.upper() for name in names}
    return tuple(status for status in Status if status.name in wanted)


def _metadata(texts: Iterable[str], problems: list[str]) -> tuple[tuple[str, str], ...]:
    """Every pair must match. A value may hold anything, so one parameter is one pair."""
    pairs: list[tuple[str, str]] = []
    for text in map(_clean, texts):
        key, colon, value = text.partition(":")
        if colon and key.strip():
            pairs.append((key.strip(), value.strip()))
        elif text:
            problems.append(f"“{text}” is not a metadata filter: write key:value.")
    if len(pairs) > MAX_METADATA_PAIRS:
        problems.append(f"Only the first {MAX_METADATA_PAIRS} metadata filters are used.")
    return tuple(dict.fromkeys(pairs))[:MAX_METADATA_PAIRS]


def _moment(text: str, problems: list[str]) -> datetime | None:
    """A minute in UTC, as browsers' fields for it write one."""
    text = _clean(text)
    if not text:
        return None
    try:
        moment: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or not 1971 <= moment.year <= 9000:
        problems.append(f"“{text}” is not a time: write 2026-05-04T03:12, in UTC.")
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _clean(text: str) -> str:
    """Postgres takes no NUL in a text, and nobody means to search for one."""
    return text.replace("\0", "").strip()[:500]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def id_prefix(text: str) -> str | None:
    digits = text.lower().replace("-", "")
    return digits if _HEX_PREFIX.fullmatch(digits) else None


def with_id(text: str) -> Q:
    """A whole id finds a run or the run of a task; a shorter one all runs that begin with it."""
    prefix = id_prefix(text) or ""
    if len(prefix) == 32:
        wanted = UUID(prefix)
        run_ids = Task.objects.filter(id=wanted).values("run_id")
        return Q(id=wanted) | Q(id__in=run_ids)
    return Q(id__gte=UUID(prefix.ljust(32, "0")), id__lte=UUID(prefix.ljust(32, "f")))
