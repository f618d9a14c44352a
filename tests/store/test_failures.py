"""What the database says is wrong becomes one of our errors in one place."""

from __future__ import annotations

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from engine.errors import HatchetError, InvalidArgument, LeaseLost, LostRace, NotSent, Unavailable
from engine.store.failures import named


class _LeaseLost(psycopg.DatabaseError):
    sqlstate = "HT001"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_LeaseLost("passed on"), LeaseLost),
        (psycopg.errors.DeadlockDetected("deadlock"), LostRace),
        (psycopg.errors.SerializationFailure("first"), LostRace),
        (psycopg.errors.LockNotAvailable("held"), LostRace),
        (psycopg.errors.StatementTooComplex("depth"), InvalidArgument),
        (psycopg.errors.ProgramLimitExceeded("size"), InvalidArgument),
        (psycopg.errors.CharacterNotInRepertoire("0x00"), InvalidArgument),
        (PoolTimeout("none is free"), NotSent),
        (psycopg.OperationalError("gone"), Unavailable),
        (psycopg.InterfaceError("gone"), Unavailable),
        (ConnectionResetError(), Unavailable),
    ],
)
def test_each_failure_has_its_error(
    error: psycopg.Error | OSError, kind: type[HatchetError]
) -> None:
    assert type(named(error)) is kind


@pytest.mark.parametrize(
    "error", [psycopg.errors.UniqueViolation("again"), psycopg.errors.UndefinedTable("no such")]
)
def test_what_only_a_bug_or_the_caller_explains_stays_what_it_is(error: psycopg.Error) -> None:
    assert named(error) is None
