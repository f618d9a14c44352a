"""What is kept for a time: which partitions go by the day, and how single rows go. A kind is one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from engine.operations.parts.remove_runs import remove_runs
from engine.store import retention
from engine.store.query import Operation, fetch
from engine.store.retention import Cutoffs, Need, Removal

Sweep = Callable[[Cutoffs, UUID, int], Operation[Iterable[UUID]]]
"""Removes at most so many rows whose keys are not before the given one; returns the keys of what it found."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Tables with a partition for each day, which go together when the statement finds no need of a day."""

    tables: tuple[str, ...]
    needs: Need


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Something that tenants keep for a time of their own.

    Shelves are emptied by the day, in this order; what must stay there for longer is cleared row by row by
    the sweeps. `title` is what people read.
    """

    name: str
    title: str
    shelves: Sequence[Shelf] = ()
    sweeps: Sequence[Sweep] = ()
    is_chosen: bool = True
    """Whether tenants may choose its period; if not, it is that of runs."""


def by(removal: Removal) -> Sweep:
    """Make a sweep of one statement."""

    def sweep(cutoffs: Cutoffs, after: UUID, limit: int) -> Operation[Iterable[UUID]]:
        return (yield from fetch(removal(cutoffs, after, limit)))

    return sweep


def _runs(cutoffs: Cutoffs, after: UUID, limit: int) -> Operation[Iterable[UUID]]:
    run_ids = yield from fetch(retention.lock_runs(cutoffs, after, limit))
    if run_ids:
        yield from remove_runs(run_ids)
    return run_ids


_kinds = [
    Kind(
        name="runs",
        title="Runs, with their tasks, payloads and events of tasks",
        shelves=(
            Shelf(("engine_run", "engine_task"), retention.needs_runs),
            Shelf(("engine_taskevent",), retention.needs_task_events),
            Shelf(("engine_durabletask", "engine_durableentry"), retention.needs_durable_logs),
        ),
        sweeps=(
            _runs,
            by(retention.remove_child_links),
            by(retention.remove_step_waits),
            by(retention.remove_keys),
            by(retention.remove_tallies),
            by(retention.remove_schedules),
            by(retention.remove_workers),
            by(retention.remove_versions),
        ),
    ),
    Kind(
        name="events",
        title="Pushed events",
        shelves=(Shelf(("engine_event",), retention.needs_events),),
        sweeps=(by(retention.remove_events),),
    ),
    Kind(
        name="logs",
        title="Lines that tasks log",
        shelves=(Shelf(("engine_logline",), retention.needs_lines),),
        sweeps=(by(retention.remove_lines),),
    ),
    Kind(
        name="traces",
        title="Spans of traces",
        shelves=(Shelf(("engine_span",), retention.needs_spans),),
        sweeps=(by(retention.remove_spans),),
    ),
]
# They belong to runs and events: they go when both are gone.
_PAYLOADS = Kind(
    name="payloads",
    title="Payloads",
    shelves=(Shelf(("engine_payload",), retention.needs_payloads),),
    is_chosen=False,
)


def add_kind(kind: Kind) -> None:
    """Have the engine clear something more; apps above it do so at their start."""
    _kinds.append(kind)


def kinds() -> list[Kind]:
    """All kinds in the order in which they are cleared."""
    return [*_kinds, _PAYLOADS]


def chosen_kinds() -> list[Kind]:
    """Those whose periods tenants may choose."""
    return [kind for kind in _kinds if kind.is_chosen]
