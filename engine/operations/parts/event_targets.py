"""What events were found to start, so that one which meets the same again is written in one round trip."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from engine.store import events
from engine.store.events import TriggerMatch
from engine.store.filters import FilterRow
from engine.store.query import Query
from engine.types import EventRecord

MOST_AT_ONCE = 20
"""Pairs of keys and scopes in one push beyond which what they meet is read anew."""
_MOST_FILTERS, _MOST_PAYLOAD_BYTES = 50, 16_384
_MOST_KNOWN = 2_000

KeyAndScope = tuple[str, str]
"""An event's key, and its scope or an empty string."""


class Targets(NamedTuple):
    """Triggers and filters that an event meets, in the order of their statements."""

    matches: Sequence[TriggerMatch]
    filters: Sequence[FilterRow]

    @property
    def text(self) -> str:
        """What `engine_event_targets` says of them."""
        matches = ",".join(
            f"{match.workflow_id} {match.version_id} {match.has_filters:d}"
            for match in self.matches
        )
        return f"{matches};" + ",".join(f"{row.id} {row.revision}" for row in self.filters)


class KnownTargets:
    """Targets by tenant, key and scope. They may be outdated: what relies on them has to `hold` them."""

    def __init__(self) -> None:
        self._known: dict[tuple[UUID, KeyAndScope], Targets] = {}

    def find(
        self, tenant_id: UUID, records: Sequence[EventRecord]
    ) -> dict[KeyAndScope, Targets] | None:
        """Return what all these events meet; None if that is not known of one, or they are too different."""
        pairs = pairs_of(records)
        if len(pairs) > MOST_AT_ONCE:
            return None
        found = {}
        for pair in pairs:
            targets = self._known.get((tenant_id, pair))
            if targets is None:
                return None
            found[pair] = targets
        return found

    def learn(
        self,
        tenant_id: UUID,
        records: Sequence[EventRecord],
        matches: Sequence[TriggerMatch],
        rows: Sequence[FilterRow],
    ) -> None:
        """Remember what events met for which nothing waits."""
        pairs = pairs_of(records)
        if len(pairs) > MOST_AT_ONCE:
            return
        matches_of: dict[str, list[TriggerMatch]] = defaultdict(list)
        for match in matches:
            matches_of[match.key].append(match)
        for pair in pairs:
            key, scope = pair
            workflow_ids = {match.workflow_id for match in matches_of[key]}
            own = [row for row in rows if row.scope == scope and row.workflow_id in workflow_ids]
            size = sum(len(row.payload) + len(row.expression) for row in own)
            if len(own) > _MOST_FILTERS or size > _MOST_PAYLOAD_BYTES:
                continue
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[tenant_id, pair] = Targets(matches_of[key], own)

    def forget(self, tenant_ids: Collection[UUID]) -> None:
        self._known = {pair: met for pair, met in self._known.items() if pair[0] not in tenant_ids}


def pairs_of(records: Sequence[EventRecord]) -> set[KeyAndScope]:
    return {(record.key, record.scope or "") for record in records}


def hold(tenant_id: UUID, targets: dict[KeyAndScope, Targets]) -> Query[None]:
    """Return the query that fails with TargetsChanged unless these are what the events meet."""
    pairs = sorted(targets)
    return events.hold_targets(
        tenant_id,
        [key for key, _ in pairs],
        [scope for _, scope in pairs],
        [targets[pair].text for pair in pairs],
    )


def joined(targets: dict[KeyAndScope, Targets]) -> tuple[list[TriggerMatch], list[FilterRow]]:
    """Return what several events meet as if it had been read together."""
    matches = {key: met.matches for (key, _), met in targets.items()}
    rows = {row.id: row for met in targets.values() for row in met.filters}
    return [match for found in matches.values() for match in found], sorted(rows.values())
