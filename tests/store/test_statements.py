"""Every hot statement fits the migrated schema, and its binary parameters mean what was given."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from engine.ids import new_id
from engine.store.binary import encode_array, prepare
from engine.store.query import statements


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(statements()))
def test_statement_prepares_against_the_schema(name: str) -> None:
    text = prepare(statements()[name]).text
    with connection.cursor() as cursor:
        cursor.connection.execute(f"PREPARE checked AS {text}", prepare=False)
        cursor.execute("DEALLOCATE checked")


@pytest.mark.parametrize("name", sorted(statements()))
def test_every_parameter_has_a_type(name: str) -> None:
    assert "%(" not in prepare(statements()[name]).text

    assert not re.search(r"%\(\w+\)s(?!::)", statements()[name])


VALUES: list[tuple[str, list[Any]]] = [
    ("uuid", [new_id(), UUID(int=0), None]),
    ("text", ["", "grüße 🪓", None, "a'b\"c\\d,{}"]),
    ("bytea", [b"", b"\x00\xff", None]),
    ("boolean", [True, False, None]),
    ("smallint", [-32768, 32767, None]),
    ("int", [-(2**31), 2**31 - 1, None]),
    ("bigint", [-(2**63), 2**63 - 1, None]),
    ("float8", [0.1, -1e300, None, 5]),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("type_name", "values"), VALUES)
@pytest.mark.parametrize("length", [None, 1, 0])
def test_arrays_arrive_as_given(type_name: str, values: list[Any], length: int | None) -> None:
    given = values[:length] if length is not None else values
    with connection.cursor() as cursor:
        raw = cursor.connection.pgconn
        oids = {"uuid": 2951, "text": 1009, "bytea": 1001, "boolean": 1000}
        oids |= {"smallint": 1005, "int": 1007, "bigint": 1016, "float8": 1022}
        result = raw.exec_params(
            f"SELECT $1::{type_name}[]::text".encode(),
            [bytes(encode_array(type_name, given))],
            param_types=[oids[type_name]],
            param_formats=[1],
        )
        assert result.error_message == b""
        cursor.execute(f"SELECT %s::text::{type_name}[]", [result.get_value(0, 0).decode()])
        (arrived,) = cursor.fetchone()
    assert [bytes(v) if isinstance(v, memoryview) else v for v in arrived] == given


def test_percent_signs_and_repeated_parameters() -> None:
    found = prepare("SELECT %(a)s::int + %(b)s::int[] + %(a)s::int, 5 %% 2")
    assert found.text == "SELECT $1::int + $2::int[] + $1::int, 5 % 2"
    now = datetime.now(UTC)
    assert found.values({"a": now, "b": None}) == [now, None]
