"""Which workers a task asks for by their labels, and how well a worker fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from engine.states import Comparator
from engine.types import DesiredLabel, DesiredLabels, LabelValue


def is_met(desired: DesiredLabel, labels: Mapping[str, LabelValue]) -> bool:
    """Compare the worker's value with the desired one, in this direction. A missing label meets nothing."""
    actual = labels.get(desired.key)
    if actual is None:
        return False
    if desired.comparator is Comparator.EQUAL:
        return actual == desired.value
    if desired.comparator is Comparator.NOT_EQUAL:
        return actual != desired.value
    if not isinstance(actual, int) or not isinstance(desired.value, int):
        return False
    match desired.comparator:
        case Comparator.GREATER_THAN:
            return actual > desired.value
        case Comparator.GREATER_THAN_OR_EQUAL:
            return actual >= desired.value
        case Comparator.LESS_THAN:
            return actual < desired.value
        case _:
            return actual <= desired.value


def affinity_of(desired_labels: DesiredLabels, labels: Mapping[str, LabelValue]) -> int | None:
    """Return the sum of the weights of the desired labels that these meet; None if they exclude the worker.

    Excluded is who misses a required label, and who is repelled: whose sum is negative.
    """
    total = 0
    for desired in desired_labels:
        if is_met(desired, labels):
            total += desired.weight
        elif desired.is_required:
            return None
    return total if total >= 0 else None


def label_forms(desired_labels: Sequence[DesiredLabel]) -> list[list[Any]]:
    """Return desired labels as JSON values, in one order whatever order they came in."""
    return [
        [*desired[:2], int(desired.comparator), *desired[3:]]
        for desired in sorted(desired_labels, key=_by_key)
    ]


def labels_from_forms(forms: Sequence[Sequence[Any]]) -> DesiredLabels:
    """Rebuild desired labels from what `label_forms` made."""
    return tuple(
        DesiredLabel(key, value, Comparator(comparator), weight, is_required)
        for key, value, comparator, weight, is_required in forms
    )


def dump_labels(desired_labels: DesiredLabels) -> str | None:
    """Return the text that rows store; None for none."""
    return orjson.dumps(label_forms(desired_labels)).decode() if desired_labels else None


@lru_cache(maxsize=10_000)
def load_labels(stored: str) -> DesiredLabels:
    """Rebuild desired labels from what `dump_labels` made."""
    return labels_from_forms(orjson.loads(stored))


def _by_key(desired: DesiredLabel) -> str:
    return desired.key
