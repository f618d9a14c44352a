"""Conditions on runs that no index answers: what they, their steps, inputs and errors say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    BooleanField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    JSONField,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Now
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    IContains,
    LessThan,
    LessThanOrEqual,
    Lookup,
    Regex,
)

from engine.models.cluster import Worker
from engine.models.definitions import Workflow
from engine.models.runs import Payload, Task, TaskEvent
from engine.states import PayloadKind
from engine.states import TaskEventKind as Kind

_FAILED = [int(kind) for kind in (Kind.FAILED, Kind.TIMED_OUT, Kind.REASSIGNED)]
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?")
_COMPARED: Mapping[str, type[Lookup[Any]]] = {
    ">": GreaterThan,
    "<": LessThan,
    ">=": GreaterThanOrEqual,
    "<=": LessThanOrEqual,
}
# Unlike a conversion from UTF-8 this fails for no bytes at all.
_SHOWN = Func(F("data"), Value("escape"), function="encode", output_field=TextField())
_SUFFIXES = {">": "__gt", "<": "__lt", ">=": "__gte", "<=": "__lte", ":": "", "=": ""}


def like(column: str, pattern: str) -> Q:
    """A text that is the pattern, in which `*` stands for anything."""
    if "*" not in pattern:
        return Q(**{column: pattern})
    parts = (re.escape(part) for part in pattern.split("*"))
    return Q(**{f"{column}__regex": f"^{'.*'.join(parts)}$"})


def of_workflows(tenant_id: Any, name: str) -> Q:
    """Runs of the workflows of a name, deleted ones too."""
    named = Workflow.objects.filter(like("name", name), tenant_id=tenant_id)
    return Q(workflow_id__in=named.values("id"))


def failed_with(text: str) -> Q:
    """Runs in which an attempt failed and said this."""
    said = TaskEvent.objects.filter(run_id=OuterRef("id"), kind__in=_FAILED)
    return Q(Exists(said.filter(message__icontains=text)))


def on_worker(tenant_id: Any, name: str) -> Q:
    """Runs of which a step was last on a worker of this name."""
    workers = Worker.objects.filter(like("name", name), tenant_id=tenant_id).values("id")
    return _some_task(Q(worker_id__in=workers))


def with_attempt(sign: str, number: int) -> Q:
    """Runs of which a step is in an attempt of such a number, counted from 1."""
    return _some_task(Q(**{f"retry_count{_SUFFIXES[sign]}": number - 1}))


def _some_task(condition: Q) -> Q:
    own = Task.objects.filter(condition, id=OuterRef("id"))
    steps = Task.objects.filter(condition, run_id=OuterRef("id"))
    steps = steps.exclude(run_id=F("id"))  # says what the index on run_id says
    return Q(Exists(own)) | Q(Exists(steps))


def lasting(sign: str, seconds: float) -> Q:
    """Runs that ran, or run by now, for so long since they first started."""
    ran = ExpressionWrapper(
        Coalesce(F("finished_at"), Now()) - F("started_at"), output_field=DurationField()
    )
    return Q(started_at__isnull=False) & Q(_COMPARED[sign](ran, timedelta(seconds=seconds)))


def under_way_at(moment: datetime) -> Q:
    """Runs that had started by then and had not ended."""
    return Q(started_at__lte=moment) & (Q(finished_at__isnull=True) | Q(finished_at__gte=moment))


def tagged(text: str) -> Q:
    """Runs whose metadata has this as a key or as a value."""
    values: dict[str, object] = {"text": text}
    path = "$.* ? (@ == $text)"
    if _NUMBER.fullmatch(text):
        values["number"] = float(text) if "." in text else int(text)
        path = "$.* ? (@ == $text || @ == $number)"
    found = Func(
        F("additional_metadata"),
        Func(Value(path), template="%(expressions)s::jsonpath"),
        Value(values, output_field=JSONField()),
        function="jsonb_path_exists",
        output_field=BooleanField(),
    )
    has_key = Func(
        F("additional_metadata"),
        Value(text),
        function="jsonb_exists",
        output_field=BooleanField(),
    )
    return Q(Coalesce(found, Value(False))) | Q(Coalesce(has_key, Value(False)))


def metadata_reads(key: str, value: str) -> Q:
    """Runs whose metadata has a key with a value that reads so; false, not unknown, where there is none."""
    text = Func(
        F("additional_metadata"),
        Value(key),
        function="jsonb_extract_path_text",
        output_field=TextField(),
    )
    return Q(Coalesce(Cast(Exact(text, value), BooleanField()), Value(False)))


def metadata_holds(key: str, text: str) -> Q:
    """Runs whose metadata has a key with a text somewhere in its value."""
    value = Func(
        F("additional_metadata"),
        Value(key),
        function="jsonb_extract_path_text",
        output_field=TextField(),
    )
    return _holds(value, text)


def metadata_mentions(text: str) -> Q:
    return _holds(Cast("additional_metadata", TextField()), text)


def event_key_mentions(text: str) -> Q:
    return _holds(F("event_key"), text)


def _holds(whole: Any, text: str) -> Q:
    return Q(IContains(Coalesce(whole, Value(""), output_field=TextField()), text))


def input_has(key: str, value: str) -> Q:
    """Runs whose input has a key with this value, however deep. What is not stored as text has none."""
    pattern = rf'"{_escaped(key)}"\s*:\s*"?{_escaped(value)}"?\s*[],}}]'
    return Q(Exists(_inputs().filter(Regex(_SHOWN, pattern))))


def input_mentions(text: str) -> Q:
    return Q(Exists(_inputs().filter(IContains(_SHOWN, _as_escape(text)))))


def _inputs() -> QuerySet[Payload]:
    return Payload.objects.filter(owner_id=OuterRef("id"), kind=PayloadKind.INPUT)


def _as_escape(text: str) -> str:
    """Write a text as Postgres shows bytes in its format `escape`."""
    return "".join(
        "\\\\" if byte == 0x5C else chr(byte) if 0 < byte < 0x80 else f"\\{byte:03o}"
        for byte in text.encode(errors="replace")
    )


def _escaped(text: str) -> str:
    return re.escape(_as_escape(text))
