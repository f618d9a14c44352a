"""How many bytes of texts and binary values a test got from Postgres through Django."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest


class Fetched:
    bytes = 0

    def count(self, value: object) -> None:
        if isinstance(value, str | bytes | memoryview | bytearray):
            self.bytes += len(value)
        elif isinstance(value, dict):
            self.count(list(value.items()))
        elif isinstance(value, list | tuple):
            for inner in value:
                self.count(inner)


@contextmanager
def counting_bytes() -> Iterator[Fetched]:
    fetched = Fetched()

    def counted(original: Any) -> Any:
        def fetch(cursor: Any, *args: Any) -> Any:
            found = original(cursor, *args)
            fetched.count(found)
            return found

        return fetch

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fetchone", "fetchmany", "fetchall"):
            patch.setattr(psycopg.Cursor, name, counted(getattr(psycopg.Cursor, name)))
            own = vars(psycopg.ServerCursor).get(name)
            if own is not None:
                patch.setattr(psycopg.ServerCursor, name, counted(own))
        yield fetched
