"""Values of columns that may hold megabytes, read only as far as there is room for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import (
    BigIntegerField,
    Case,
    Expression,
    F,
    Func,
    JSONField,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
    When,
    Window,
)
from django.db.models.functions import Cast, Coalesce

Model = TypeVar("Model", bound=models.Model)


class Wide(NamedTuple):
    """A value and its length in bytes; `data` is None if there was no room for it."""

    length: int
    data: bytes | None


Values: TypeAlias = dict[Any, dict[str, Wide]]


def wide_values(
    rows: QuerySet[Model],
    columns: Sequence[str],
    *,
    room: int,
    key: Sequence[str] = ("id",),
    first: Q | None = None,
) -> Values:
    """Return the values of these columns by `key` and column; where nothing is stored there is none.

    Of all rows the smallest are read, `first` before any other, until the next would make them more
    than `room` bytes. `key` of one column is that column's value, of several a tuple.
    """
    texts = {name: _as_stored(rows.model, name) for name in columns}
    lengths = {f"{name}_length": octet_length(text) for name, text in texts.items()}
    whole = sum((Coalesce(F(name), Value(0)) for name in lengths), Value(0))
    order: list[Any] = [F("whole"), *(F(name).desc() for name in key)]
    if first:
        order.insert(0, Case(When(first, then=Value(0)), default=Value(1)))
    running = Window(Sum("whole"), order_by=order, output_field=BigIntegerField())
    measured = rows.order_by().annotate(**lengths).annotate(whole=whole).annotate(running=running)
    shown = {
        f"{name}_shown": Case(When(running__lte=room, then=text)) for name, text in texts.items()
    }
    found: Values = {}
    for row in measured.annotate(**shown).values_list(*key, *lengths, *shown):
        parts = row[len(key) :]
        pairs = zip(columns, parts[: len(columns)], parts[len(columns) :], strict=True)
        found[row[0] if len(key) == 1 else tuple(row[: len(key)])] = {
            name: Wide(length, _bytes(data)) for name, length, data in pairs if length is not None
        }
    return found


def octet_length(text: Expression | F) -> Func:
    return Func(text, function="octet_length", output_field=BigIntegerField())


def _as_stored(model: type[models.Model], name: str) -> Expression | F:
    """The column as text or bytes: JSON is passed on without being parsed, and so are arrays."""
    field = model._meta.get_field(name)
    if isinstance(field, ArrayField):
        return Cast(Func(F(name), function="to_jsonb", output_field=JSONField()), TextField())
    return Cast(name, TextField()) if isinstance(field, JSONField) else F(name)


def _bytes(data: str | bytes | memoryview | None) -> bytes | None:
    if data is None:
        return None
    return data.encode() if isinstance(data, str) else bytes(data)
