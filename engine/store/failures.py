"""What the database's refusals and absences are called by those who run operations."""

from __future__ import annotations

import re
from uuid import UUID

import orjson
import psycopg
from psycopg_pool import PoolTimeout

from engine.errors import (
    AlreadyWritten,
    HatchetError,
    InvalidArgument,
    LeaseLost,
    LimitReached,
    LostRace,
    NotSent,
    TargetsChanged,
    Unavailable,
)
from tenants.resources import LIMIT_REACHED

_LEASE_LOST, _TARGETS_CHANGED = "HT001", "HT002"
_LOST_RACES = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.SerializationFailure,
)
_TOO_MUCH = (
    psycopg.DataError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    psycopg.errors.TooManyColumns,
    psycopg.errors.TooManyArguments,
)
"""What the database says of a value it cannot take: part of that it files under operational errors."""
_OWN_IDS = re.compile(r"engine_\w+_pkey")
"""Primary keys of rows whose ids are made before they are written; partitions have their own."""
_ABSENCES = (psycopg.OperationalError, psycopg.InterfaceError, OSError)


def named(error: psycopg.Error | OSError) -> HatchetError | None:
    """Return the typed error that an error of the database stands for; None if it is a bug of ours."""
    if isinstance(error, psycopg.Error) and error.sqlstate == _LEASE_LOST:
        return LeaseLost("the lease of a tenant has passed to another engine")
    if isinstance(error, psycopg.Error) and error.sqlstate == _TARGETS_CHANGED:
        return TargetsChanged("the events have other targets now")
    if isinstance(error, psycopg.Error) and error.sqlstate == LIMIT_REACHED:
        return _limit_reached(error)
    if isinstance(error, _LOST_RACES):
        return LostRace("another transaction was first; try again")
    if isinstance(error, _TOO_MUCH):
        return InvalidArgument(f"the database refused a value: {error}")
    if isinstance(error, psycopg.errors.UniqueViolation):
        is_own = _OWN_IDS.fullmatch(error.diag.constraint_name or "")
        return AlreadyWritten(f"the rows are there already: {error}") if is_own else None
    if isinstance(error, PoolTimeout):
        return NotSent("the database cannot be reached")
    if isinstance(error, _ABSENCES):
        return Unavailable("the database cannot be reached")
    return None


def _limit_reached(error: psycopg.Error) -> LimitReached:
    told = orjson.loads(error.diag.message_detail or "{}")
    tenant_id = UUID(told["tenant_id"])
    return LimitReached(error.diag.message_primary or "", tenant_id, told["room"])
