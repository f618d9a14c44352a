"""Every hot statement fits the migrated schema, and its binary parameters mean what was given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from engine.ids import new_id
from engine.store.binary import TYPES, encode_array, prepare
from engine.store.query import statements


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(statements()))
def test_statement_prepares_against_the_schema(name: str) -> None:
    statement = prepare(name, statements()[name])
    with connection.cursor() as cursor:
        result = cursor.connection.pgconn.prepare(b"checked", statement.text, statement.oids)
        assert result.error_message == b""
        cursor.execute("DEALLOCATE checked")


def test_a_parameter_needs_one_known_type() -> None:
    for text in ("SELECT %(a)s", "SELECT %(a)s::inet", "SELECT %(a)s::int, %(a)s::text"):
        with pytest.raises(ValueError, match="parameter a"):
            prepare("some.statement", text)


VALUES: list[tuple[str, list[Any]]] = [
    ("uuid", [new_id(), UUID(int=0), None]),
    ("text", ["", "grüße 🪓", None, "a'b\"c\\d,{}"]),
    ("bytea", [b"", b"\x00\xff", None]),
    ("boolean", [True, False, None]),
    ("smallint", [-32768, 32767, None]),
    ("int", [-(2**31), 2**31 - 1, None]),
    ("bigint", [-(2**63), 2**63 - 1, None]),
    ("float8", [0.1, -1e300, None, 5]),
    ("timestamptz", [datetime(1969, 7, 20, 20, 17, 40, 123456, tzinfo=UTC), None]),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("type_name", "values"), VALUES)
@pytest.mark.parametrize("length", [None, 1, 0])
def test_arrays_arrive_as_given(type_name: str, values: list[Any], length: int | None) -> None:
    given = values[:length] if length is not None else values
    array = TYPES[type_name]
    with connection.cursor() as cursor:
        result = cursor.connection.pgconn.exec_params(
            f"SELECT $1::{type_name}[]::text".encode(),
            [encode_array(array, given)],
            param_types=[array.array_oid],
            param_formats=[1],
        )
        assert result.error_message == b""
        cursor.execute(f"SELECT %s::text::{type_name}[]", [result.get_value(0, 0).decode()])
        (arrived,) = cursor.fetchone()
    assert [bytes(v) if isinstance(v, memoryview) else v for v in arrived] == given


@pytest.mark.django_db
@pytest.mark.parametrize(("type_name", "values"), VALUES)
def test_single_values_arrive_as_given(type_name: str, values: list[Any]) -> None:
    for given in values:
        if given is None:
            continue
        value = TYPES[type_name]
        with connection.cursor() as cursor:
            result = cursor.connection.pgconn.exec_params(
                f"SELECT $1::{type_name}::text".encode(),
                [value.encode(given)],
                param_types=[value.oid],
                param_formats=[1],
            )
            cursor.execute(f"SELECT %s::text::{type_name}", [result.get_value(0, 0).decode()])
            (arrived,) = cursor.fetchone()
        assert (bytes(arrived) if isinstance(arrived, memoryview) else arrived) == given


def test_percent_signs_and_repeated_parameters() -> None:
    found = prepare("n.v", "SELECT %(a)s::int + %(b)s::int[] + %(a)s::int, 5 %% 2")
    assert found.text == b"SELECT $1::int + $2::int[] + $1::int, 5 % 2"
    assert found.oids == [23, 1007]
    assert found.values({"a": 7, "b": None}) == [b"\0\0\0\7", None]
