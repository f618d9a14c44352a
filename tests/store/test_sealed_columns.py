"""Every statement that writes or reads payloads is known to the sealer, and its columns are where it says."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from engine.ids import new_id
from engine.store.binary import prepare
from engine.store.query import statements
from engine.store.sealed_columns import READ, WRITTEN
from engine.vault.envelope import SealingKey
from engine.vault.objects import new_key, refer
from tests.store.test_columns_of_rows import columns_of

COLUMNS = {"input", "output", "data", "payload", "result"}
NOT_SEALED = {"payload.insert", "filter.insert", "filter.update"}
"""Errors, outputs of skipped tasks and payloads of filters stay as they come."""
NOT_OPENED = {
    "outgoing.occurrences",
    "payload.stored",
    "filter.of_workflows",
    "filter.for_events",
    "durable_entry.outlines",
}
"""What is stored is asked for, or it is no payload that is sealed."""
_WRITES = re.compile(
    r"INSERT INTO engine_(payload|durableentry|durablewait)\b|UPDATE engine_(durableentry|durablewait)\b"
)
_READS = re.compile(r"(FROM|JOIN) engine_(payload|durableentry|durablewait)\b")


def writes_bytes(name: str, text: str) -> bool:
    """Whether a parameter of bytes goes into a table of payloads."""
    if not _WRITES.search(text):
        return False
    payloads = {"inputs", "outputs", "payloads", "data", "results"}
    found = {p.name for p in prepare(name, text).parameters if p.type.oid == 17}
    return bool(found & payloads)


def test_every_statement_that_writes_payloads_is_declared() -> None:
    found = {name for name, text in statements().items() if writes_bytes(name, text)}
    assert found - NOT_SEALED == set(WRITTEN)


@pytest.mark.django_db
def test_every_statement_that_answers_with_payloads_is_declared() -> None:
    found: dict[str, int] = {}
    for name, text in statements().items():
        if _READS.search(text):
            columns = columns_of(name, text)
            for number, column in enumerate(columns):
                if column in COLUMNS:
                    found[name] = number
    assert {n: c for n, c in found.items() if n not in NOT_OPENED} == READ


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_parameters_are_there(name: str) -> None:
    parameters = {p.name for p in prepare(name, statements()[name]).parameters}
    written = WRITTEN[name]
    assert written.data in parameters
    assert not written.owners or written.owners in parameters


@pytest.mark.django_db
def test_the_database_knows_how_long_payloads_are() -> None:
    plain = b'{"a": "%s"}' % (b"x" * 5_000)
    forms = [
        plain,
        SealingKey(new_id(), bytes(32)).seal(plain),
        refer(new_key(new_id(), new_id(), 1), plain, b"content"),
    ]
    with connection.cursor() as cursor:
        for stored in forms:
            cursor.execute("SELECT engine_payload_length(%s)", [stored])
            assert cursor.fetchone() == (len(plain),)
        for short in (b"", b"\0", b"\0\1\0"):
            cursor.execute("SELECT engine_payload_length(%s)", [short])
            assert cursor.fetchone() == (len(short),)
