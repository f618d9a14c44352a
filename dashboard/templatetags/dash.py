"""Small pieces every page is made of: icons, status chips, times, durations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.template.defaultfilters import filesizeformat
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard import ansi, graph, tracebacks
from engine.domain import endings
from engine.domain.trace_context import TRACEPARENT
from engine.models.json_objects import text_of
from engine.states import RunTrigger, Status
from tenants.json_text import members

register = template.Library()
LANE_LABEL_WIDTH = 178
NOTHING = "\N{EN DASH}"


@register.simple_tag
def icon(name: str) -> SafeString:
    """A symbol of our sprite; decoration, so words must stand beside it or label the control."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>',
        static("dashboard/icons.svg"),
        name,
    )


@register.simple_tag
def chip(state: Any) -> SafeString:
    """A state as colour, shape and word."""
    name = state_name(state)
    return format_html('<span class="chip s-{}">{}{}</span>', name, icon(name), name.capitalize())


@register.filter
def state_name(state: Any) -> str:
    """The lower-case word of a run's status number, or of any state that is a word already."""
    return Status(state).name.lower() if isinstance(state, int) else str(state).lower()


_BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
    "curl/": "curl",
    "python-requests/": "Python",
}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iOS",
    "iPad": "iPadOS",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


@register.filter
def browser_name(agent: str) -> str:
    """What a browser says it is, in two words; the order of the tables matters, as they imitate each other."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in agent), "")
    return " on ".join(word for word in (browser, system) if word) or "Unknown program"


@register.simple_tag
def when(moment: datetime | None) -> SafeString | str:
    """A moment: absolute in the page, shown as an age by live.js."""
    if moment is None:
        return NOTHING
    text = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return format_html(
        '<time class="nowrap" datetime="{}" title="{} UTC" data-age>{}</time>',
        moment.isoformat(),
        text,
        text,
    )


@register.simple_tag
def clock(moment: datetime) -> SafeString:
    """A moment to the millisecond, for logs and timelines."""
    at = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        moment.isoformat(),
        f"{at:%Y-%m-%d %H:%M:%S.%f}",
        f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}",
    )


@register.simple_tag
def span(start: datetime | None, end: datetime | None, ticks: bool = False) -> SafeString | str:
    """How long something took; with `ticks`, something unfinished counts on in the browser."""
    if start is not None and end is not None:
        return duration_text(max((end - start).total_seconds(), 0.0))
    if start is not None and ticks:
        return format_html('<time datetime="{}" data-since>running</time>', start.isoformat())
    return NOTHING


@register.simple_tag
def ran(run: Any) -> SafeString | str:
    """How long a run's attempt ran, or runs by now: the time before another attempt starts is none of it."""
    return span(_started(run), run.finished_at, ticks=run.status == Status.RUNNING)


@register.simple_tag
def waited(run: Any) -> SafeString | str:
    """How long a run's attempt waited in the queue, or waits by now."""
    queued_at = getattr(run, "attempt_queued_at", None) or run.created_at
    return span(queued_at, _started(run), ticks=run.finished_at is None)


def _started(run: Any) -> datetime | None:
    """When the attempt started, where the list was read with its times."""
    if getattr(run, "attempt_queued_at", None) is None:
        started_at: datetime | None = run.started_at
        return started_at
    found: datetime | None = run.attempt_started_at
    return found


@register.filter
def duration_text(seconds: float) -> str:
    """12 ms, 4.21 s, 3 m 07 s, 2 h 05 m, 3 d 04 h."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, small, size in (("m", "s", 60), ("h", "m", 3600)):
        if whole < size * (60 if unit == "m" else 24):
            return f"{whole // size} {unit} {whole % size // (size // 60):02d} {small}"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


@register.filter
def short_id(value: Any) -> str:
    """The random end of an id; its beginning is a time, which neighbours share."""
    return str(value)[-8:]


@register.filter
def metadata_tags(metadata: dict[str, Any] | None, limit: int = 4) -> list[tuple[str, str]]:
    """The user's own pairs as texts; those of the system (`hatchet__…`) and of its traces are left out."""
    pairs = [
        (key, json.loads(value) if value.startswith('"') else value)
        for key, value in members(text_of(metadata)).items()
        if not key.startswith("hatchet__") and key != TRACEPARENT
    ]
    return pairs[:limit]


@register.simple_tag
def large_metadata(row: Any) -> str:
    """What to say of a row's metadata where it is too large to be read for a page."""
    length = getattr(row, "additional_metadata_length", None)
    if length is None or row.small_additional_metadata is not None:
        return ""
    return f"metadata of {filesizeformat(length)}"


@register.simple_tag
def meta_query(key: str, value: str) -> str:
    """The query string of the runs that carry this metadata pair."""
    return urlencode({"meta": f"{key}:{value}"})


@register.simple_tag
def search_query(text: str) -> str:
    """A query string that searches a list for this."""
    return urlencode({"search": text})


@register.filter
def trigger_word(trigger: int) -> str:
    return {
        RunTrigger.EVENT: "Event",
        RunTrigger.CHILD: "Parent run",
        RunTrigger.DURABLE_CHILD: "Parent run",
        RunTrigger.CRON: "Cron",
        RunTrigger.SCHEDULE: "Schedule",
        RunTrigger.PERSON: "Dashboard",
    }.get(RunTrigger(trigger), "API or SDK")


@register.filter
def gist(text: str) -> str:
    """The line that says most: the last one of a Python traceback, the first one of anything else."""
    return endings.gist(ansi.plain(text))


@register.filter
def coloured(text: str) -> SafeString:
    """What a program printed, its terminal colours shown as colours."""
    return ansi.coloured(text)


@register.simple_tag
def trace(text: str) -> SafeString:
    """An error with the application's frames marked, and those of libraries folded away."""
    return SafeString("".join(map(_trace_part, tracebacks.parts_of(text))))


def _trace_part(part: tracebacks.Part) -> SafeString:
    shown = ansi.coloured(part.text)
    if part.is_folded:
        words = f"{part.frames} frames of libraries"
        return format_html("<details><summary>{}</summary><pre>{}</pre></details>", words, shown)
    return format_html('<pre class="{}">{}</pre>', part.kind, shown)


@register.filter
def fit_lane(name: str) -> str:
    """A step's name cut to what fits before its bars."""
    return graph.fitting(name, LANE_LABEL_WIDTH)


@register.filter
def step_of(action_id: str) -> str:
    """The step's name in an action's id."""
    return action_id.partition(":")[2] or action_id


@register.filter
def is_long(text: str) -> bool:
    """Whether a message is better folded away."""
    return len(text) > 200 or "\n" in text.strip()


@register.filter
def of(found: Mapping[Any, Any], key: Any) -> Any:
    """What a mapping holds for a key, or nothing."""
    return found.get(key)


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"
