"""Which workers a task wishes for by their labels, and how well a worker answers the wishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from engine.states import Comparator
from engine.types import LabelValue, LabelWish, LabelWishes


def is_met(wish: LabelWish, labels: Mapping[str, LabelValue]) -> bool:
    """Compare the worker's value with the wished one, in this direction. A missing label meets nothing."""
    actual = labels.get(wish.key)
    if actual is None:
        return False
    if wish.comparator is Comparator.EQUAL:
        return actual == wish.value
    if wish.comparator is Comparator.NOT_EQUAL:
        return actual != wish.value
    if not isinstance(actual, int) or not isinstance(wish.value, int):
        return False
    match wish.comparator:
        case Comparator.GREATER_THAN:
            return actual > wish.value
        case Comparator.GREATER_THAN_OR_EQUAL:
            return actual >= wish.value
        case Comparator.LESS_THAN:
            return actual < wish.value
        case _:
            return actual <= wish.value


def affinity_of(wishes: LabelWishes, labels: Mapping[str, LabelValue]) -> int | None:
    """Return the sum of the weights of the wishes these labels meet; None if they exclude the worker.

    Excluded is who misses a required wish, and who is repelled: whose sum is negative.
    """
    total = 0
    for wish in wishes:
        if is_met(wish, labels):
            total += wish.weight
        elif wish.is_required:
            return None
    return total if total >= 0 else None


def wish_forms(wishes: Sequence[LabelWish]) -> list[list[Any]]:
    """Return the wishes as JSON values, in one order whatever order they came in."""
    return [[*wish[:2], int(wish.comparator), *wish[3:]] for wish in sorted(wishes, key=_by_key)]


def wishes_from_forms(forms: Sequence[Sequence[Any]]) -> LabelWishes:
    """Rebuild wishes from what `wish_forms` made."""
    return tuple(
        LabelWish(key, value, Comparator(comparator), weight, is_required)
        for key, value, comparator, weight, is_required in forms
    )


def dump_wishes(wishes: LabelWishes) -> str | None:
    """Return the text that rows store; None for no wishes."""
    return orjson.dumps(wish_forms(wishes)).decode() if wishes else None


@lru_cache(maxsize=10_000)
def load_wishes(stored: str) -> LabelWishes:
    """Rebuild wishes from what `dump_wishes` made."""
    return wishes_from_forms(orjson.loads(stored))


def _by_key(wish: LabelWish) -> str:
    return wish.key
