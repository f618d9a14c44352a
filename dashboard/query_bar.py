"""The grammar of the query bar: `status:failed wf:pay* err:"timed out" meta.acct=9 dur>30s -tag:x words`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.domain.durations import parse_duration
from engine.errors import InvalidArgument
from engine.states import RunTrigger, Status

LONGEST = 1_000
MOST_TERMS = 20
_TERM = re.compile(
    r"""(?P<minus>-)?
        (?:(?P<field>[A-Za-z]+)(?:\.(?P<path>[^\s:=<>"]+))?(?P<sign>>=|<=|[:=<>]))?
        (?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s"]+))""",
    re.VERBOSE,
)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
TRIGGERS = {
    "api": (RunTrigger.MANUAL,),
    "event": (RunTrigger.EVENT,),
    "parent": (RunTrigger.CHILD, RunTrigger.DURABLE_CHILD),
    "cron": (RunTrigger.CRON,),
    "schedule": (RunTrigger.SCHEDULE,),
    "dashboard": (RunTrigger.PERSON,),
}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `value` is of the field's own type; `path` is that of a metadata or input key."""

    field: str
    sign: str
    value: Any
    path: str = ""
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """`problems` are sentences about what could not be read; the rest counts."""

    terms: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()


def parse(text: str, now: datetime) -> Parsed:
    """Read the text of the bar; a clock time of `at` means the last time it was that late."""
    terms: list[Term] = []
    problems: list[str] = []
    for found in _TERM.finditer(text.replace("\0", "")[:LONGEST]):
        if len(terms) == MOST_TERMS:
            problems.append(f"Only the first {MOST_TERMS} conditions are used.")
            break
        try:
            if term := _term(found, now):
                terms.append(term)
        except _NotUnderstood as problem:
            problems.append(str(problem))
    return Parsed(tuple(terms), tuple(problems))


class _NotUnderstood(Exception):
    """The sentence says what and why."""


def _term(found: re.Match[str], now: datetime) -> Term | None:
    field = (found["field"] or "").lower()
    value = found["quoted"] if found["quoted"] is not None else found["bare"]
    is_negated = found["minus"] is not None
    if not field:
        return Term("text", ":", value, is_negated=is_negated) if value else None
    kind = _FIELDS.get(field)
    if kind is None:
        if found["path"] is None and found["sign"] == ":" and found["quoted"] is None:
            return Term("text", ":", f"{found['field']}:{value}", is_negated=is_negated)
        raise _NotUnderstood(f"“{found[0]}”: there is no field {field}.")
    sign, path = found["sign"], found["path"] or ""
    if sign not in kind.signs:
        raise _NotUnderstood(f"“{found[0]}”: {field} goes with {' '.join(kind.signs)}.")
    if bool(path) != kind.has_path:
        needed = f"write {field}.key" if kind.has_path else f"{field} has no keys"
        raise _NotUnderstood(f"“{found[0]}”: {needed}.")
    if not value:
        raise _NotUnderstood(f"“{found[0]}”: what {field}?")
    return Term(kind.name, sign, kind.read(found[0], value, now), path, is_negated)


def _text(whole: str, value: str, now: datetime) -> str:
    return value


def _statuses(whole: str, value: str, now: datetime) -> tuple[Status, ...]:
    names = {status.name.lower(): status for status in Status}
    try:
        return tuple(dict.fromkeys(names[one] for one in value.lower().split(",")))
    except KeyError:
        raise _NotUnderstood(f"“{whole}”: a status is one of {', '.join(names)}.") from None


def _triggers(whole: str, value: str, now: datetime) -> tuple[RunTrigger, ...]:
    found = TRIGGERS.get(value.lower())
    if found is None:
        raise _NotUnderstood(f"“{whole}”: a trigger is one of {', '.join(TRIGGERS)}.")
    return found


def _seconds(whole: str, value: str, now: datetime) -> float:
    try:
        return parse_duration(value, "dur")
    except InvalidArgument:
        raise _NotUnderstood(f"“{whole}”: a duration is like 500ms, 30s, 5m or 2h.") from None


def _number(whole: str, value: str, now: datetime) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 7):
        raise _NotUnderstood(f"“{whole}”: that is no number.")
    return int(value)


def _moment(whole: str, value: str, now: datetime) -> datetime:
    if clock := _CLOCK.fullmatch(value):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        if hour < 24 and minute < 60 and second < 60:
            moment = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
            return moment if moment <= now else moment - timedelta(days=1)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _NotUnderstood(
            f"“{whole}”: a time is like 03:12 or 2026-05-04T03:12, in UTC."
        ) from None
    if not 1971 <= moment.year <= 9000:
        raise _NotUnderstood(f"“{whole}”: that time is too far away.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    read: Callable[[str, str, datetime], Any]
    signs: tuple[str, ...] = (":", "=")
    has_path: bool = False


_ORDER = (">", "<", ">=", "<=", ":", "=")
_FIELDS: Mapping[str, _Field] = {
    "status": _Field("status", _statuses),
    "wf": _Field("workflow", _text),
    "workflow": _Field("workflow", _text),
    "err": _Field("error", _text, (":",)),
    "error": _Field("error", _text, (":",)),
    "meta": _Field("metadata", _text, has_path=True),
    "input": _Field("input", _text, has_path=True),
    "dur": _Field("duration", _seconds, (">", "<", ">=", "<=")),
    "attempt": _Field("attempt", _number, _ORDER),
    "worker": _Field("worker", _text),
    "tag": _Field("tag", _text),
    "event": _Field("event", _text),
    "trigger": _Field("trigger", _triggers),
    "id": _Field("id", _text),
    "at": _Field("at", _moment, (":",)),
    "since": _Field("since", _moment, (":",)),
    "until": _Field("until", _moment, (":",)),
}
EXAMPLES = (
    ("status:failed,cancelled", "in one of these states"),
    ("wf:pay*", "workflows whose name begins so"),
    ('err:"timed out"', "an attempt's error says so"),
    ("meta.acct=9", "metadata is exactly that, with : holds it"),
    ("input.id:42", "the input has this key with this value, anywhere in it"),
    ("dur>30s", "ran longer"),
    ("attempt>2", "a step needed more attempts"),
    ("worker:w-3", "a step was last on this worker"),
    ("-tag:test", "no metadata key or value is that"),
    ("event:order:*", "started by such an event"),
    ("trigger:cron", "api, event, parent, cron, schedule or dashboard"),
    ("at:03:12", "was under way then (UTC)"),
    ("since:2026-05-04 until:2026-05-05", "created then"),
    ("words", "in ids, metadata, inputs, errors and event keys"),
)
