"""For how long a tenant keeps what: what it chose, or what holds for the installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from engine.errors import InvalidArgument, NotFound
from engine.operations.retention.kinds import Kind, chosen_kinds
from engine.retention_config import RetentionConfig
from engine.store import retention
from engine.store.query import Operation, fetch
from tenants.durations import parse_kept


@dataclass(frozen=True, slots=True)
class Period:
    """`default` holds where the tenant has not chosen."""

    kind: Kind
    default: timedelta
    own: timedelta | None

    @property
    def kept(self) -> timedelta:
        return self.own or self.default


def read_periods(tenant_id: UUID, config: RetentionConfig) -> Operation[Sequence[Period]]:
    rows = yield from fetch(retention.periods_of(tenant_id))
    own = {row.kind: timedelta(seconds=row.seconds) for row in rows}
    return [Period(kind, config.of(kind.name), own.get(kind.name)) for kind in chosen_kinds()]


def choose_period(tenant_id: UUID, kind: str, text: str) -> Operation[None]:
    """Keep things of a kind for so long from now on: `720h`, `30d`.

    NotFound: there is no such kind. InvalidArgument: it is no duration, or none that can be.
    """
    _check(kind)
    try:
        kept = parse_kept(text)
    except ValueError as error:
        raise InvalidArgument(f"period: {error}") from error
    yield from fetch(retention.set_period(tenant_id, kind, int(kept.total_seconds())))


def forget_period(tenant_id: UUID, kind: str) -> Operation[None]:
    """Let what holds for the installation hold again. NotFound: there is no such kind."""
    _check(kind)
    yield from fetch(retention.forget_period(tenant_id, kind))


def _check(kind: str) -> None:
    if all(kind != known.name for known in chosen_kinds()):
        names = ", ".join(known.name for known in chosen_kinds())
        raise NotFound(f"nothing of that name is kept: there are {names}")
