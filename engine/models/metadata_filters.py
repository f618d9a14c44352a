"""Conditions on additional metadata, whose values are compared as texts."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Func, Q, TextField, Value
from django.db.models.lookups import Exact


def metadata_reads(key: str, value: str, column: str = "additional_metadata") -> Q:
    """True for rows whose JSON in `column` holds `key` with a value that reads as `value`."""
    text = Func(
        column,
        Value(key),
        function="jsonb_extract_path_text",
        output_field=TextField(),
    )
    return Q(Exact(text, Value(value)))


def any_metadata_reads(pairs: Iterable[tuple[str, str]]) -> Q:
    condition = Q()
    for key, value in pairs:
        condition |= metadata_reads(key, value)
    return condition


def all_metadata_reads(pairs: Iterable[tuple[str, str]]) -> Q:
    condition = Q()
    for key, value in pairs:
        condition &= metadata_reads(key, value)
    return condition
