"""The shape of a workflow: its tasks in an order in which parents come before their children."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from engine.errors import InvalidArgument


def topological_order(parents_of: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the task names, ties alphabetical; InvalidArgument for unknown parents and cycles."""
    children: dict[str, list[str]] = {name: [] for name in parents_of}
    for name, parents in parents_of.items():
        for parent in parents:
            if parent not in children:
                raise InvalidArgument(f'dag parent not found: "{parent}", a parent of "{name}"')
            children[parent].append(name)
    waiting_for = {name: len(parents) for name, parents in parents_of.items()}
    ready = [name for name, count in waiting_for.items() if not count]
    heapq.heapify(ready)
    ordered: list[str] = []
    while ready:
        name = heapq.heappop(ready)
        ordered.append(name)
        for child in children[name]:
            waiting_for[child] -= 1
            if not waiting_for[child]:
                heapq.heappush(ready, child)
    if len(ordered) < len(parents_of):
        stuck = sorted(set(parents_of) - set(ordered))
        raise InvalidArgument(f"the parents of these tasks form a cycle: {', '.join(stuck)}")
    return ordered
