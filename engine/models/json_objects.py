"""JSON columns that keep the texts Postgres gives: Python's values lose digits of some numbers."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from psycopg.types.json import Jsonb


class StoredObject(dict[str, Any]):
    """A JSON object as a column holds it, not to be changed. Answers and pages are made of its `text`.

    The values are as near as Python comes; there are none of a document Python cannot parse.
    """

    def __init__(self, text: str) -> None:
        try:
            super().__init__(json.loads(text))
        except (ValueError, RecursionError):
            super().__init__()
        self.text = text


def text_of(stored: dict[str, Any] | None) -> str | None:
    """Return the text of a value that a JsonObjectField gave."""
    return stored.text if isinstance(stored, StoredObject) else None


class JsonObjectField(models.JSONField):
    """A `jsonb` column that holds objects only; what is read of it are StoredObjects."""

    def from_db_value(self, value: str | None, *_: Any) -> StoredObject | None:
        return None if value is None else StoredObject(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if isinstance(value, StoredObject):
            return Jsonb(value.text, dumps=str)
        return super().get_db_prep_value(value, connection, prepared)

    def deconstruct(self) -> Any:
        """To migrations it is the field whose column it shares."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs
