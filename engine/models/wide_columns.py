"""Values of columns that may hold megabytes, read only as far as there is room for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import (
    BigIntegerField,
    BinaryField,
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
from django.db.models.lookups import Exact, LessThanOrEqual

from engine.domain.payload import MARK

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


def with_small(rows: QuerySet[Model], column: str, most: int) -> QuerySet[Model]:
    """Read a column only where it takes at most `most` bytes.

    Annotate `small_<column>`, None elsewhere, and `<column>_length`; the column itself is deferred.
    """
    length = octet_length(_as_stored(rows.model, column))
    small = Case(
        When(**{f"{column}_length__lte": most}, then=F(column)),
        output_field=cast("models.Field[Any, Any]", rows.model._meta.get_field(column)),
    )
    measured: Any = rows.defer(column).annotate(**{f"{column}_length": length})
    return cast("QuerySet[Model]", measured.annotate(**{f"small_{column}": small}))


def with_head(rows: QuerySet[Model], column: str, size: int) -> QuerySet[Model]:
    """Annotate `<column>_head`, the first `size` bytes, and `<column>_length`; defer the column."""
    cut: Any = rows.defer(column).annotate(
        **{f"{column}_head": head_of(column, size), f"{column}_length": octet_length(F(column))}
    )
    return cast("QuerySet[Model]", cut)


def head_of(column: str, size: int) -> Func:
    """The first `size` bytes of a binary column."""
    return Func(F(column), Value(1), Value(size), function="substring", output_field=BinaryField())


def payload_head(size: int) -> Case:
    """The first `size` bytes of a payload's `data`.

    Of one that is not stored as it came all that is stored, for nothing less can be read; its first byte alone
    if that is more.
    """
    mark = Func(F("data"), Value(1), Value(1), function="substring", output_field=BinaryField())
    is_marked = Exact(mark, Value(MARK, output_field=BinaryField()))
    is_short = LessThanOrEqual(octet_length(F("data")), Value(size))
    stored = Case(When(is_short, then=F("data")), default=mark)
    return Case(When(is_marked, then=stored), default=head_of("data", size))


def payload_length() -> Func:
    """How long a payload is, however it is stored."""
    return Func(F("data"), function="engine_payload_length", output_field=BigIntegerField())


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
