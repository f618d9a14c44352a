"""Which labels meet a desired one, how the weights add up, and that stored ones come back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.affinity import affinity_of, dump_labels, is_met, load_labels
from engine.states import Comparator
from engine.types import DesiredLabel

values = st.one_of(st.text(max_size=5), st.integers(-5, 5))
desired = st.builds(
    DesiredLabel,
    key=st.sampled_from(["a", "b", "c"]),
    value=values,
    comparator=st.sampled_from(Comparator),
    weight=st.integers(-200, 200),
    is_required=st.booleans(),
)
desired_of_keys = st.lists(desired, unique_by=lambda one: one.key).map(tuple)
labels_of_keys = st.dictionaries(st.sampled_from(["a", "b", "c"]), values)


@pytest.mark.parametrize(
    ("comparator", "met"),
    [
        (Comparator.EQUAL, {5}),
        (Comparator.NOT_EQUAL, {4, 6}),
        (Comparator.GREATER_THAN, {6}),
        (Comparator.GREATER_THAN_OR_EQUAL, {5, 6}),
        (Comparator.LESS_THAN, {4}),
        (Comparator.LESS_THAN_OR_EQUAL, {4, 5}),
    ],
)
def test_the_workers_value_is_compared_with_the_desired_one(
    comparator: Comparator, met: set[int]
) -> None:
    asked = DesiredLabel("memory", 5, comparator)
    assert {value for value in (4, 5, 6) if is_met(asked, {"memory": value})} == met
    assert not is_met(asked, {})


@pytest.mark.parametrize("comparator", [c for c in Comparator if c.is_ordered])
def test_only_integers_have_an_order(comparator: Comparator) -> None:
    assert not is_met(DesiredLabel("memory", 5, comparator), {"memory": "5"})
    assert not is_met(DesiredLabel("memory", "5", comparator), {"memory": 5})


def test_a_text_is_not_a_number() -> None:
    assert not is_met(DesiredLabel("memory", "5"), {"memory": 5})
    assert is_met(DesiredLabel("memory", "5", Comparator.NOT_EQUAL), {"memory": 5})


def test_weights_add_up_over_what_is_met() -> None:
    asked = (
        DesiredLabel("a", 1, weight=30),
        DesiredLabel("b", 2),
        DesiredLabel("c", 3, weight=-10),
    )
    assert affinity_of(asked, {"a": 1, "b": 2, "c": 3}) == 120
    assert affinity_of(asked, {"a": 1, "c": 3}) == 20
    assert affinity_of(asked, {}) == 0


def test_a_missed_required_label_and_a_negative_sum_exclude() -> None:
    assert (
        affinity_of((DesiredLabel("a", 1), DesiredLabel("b", 2, is_required=True)), {"a": 1})
        is None
    )
    assert affinity_of((DesiredLabel("a", 1, weight=-1),), {"a": 1}) is None
    assert affinity_of((DesiredLabel("a", 1, weight=-1),), {"a": 2}) == 0


@given(desired_labels=desired_of_keys, labels=labels_of_keys)
def test_stored_labels_mean_the_same(
    desired_labels: tuple[DesiredLabel, ...], labels: dict[str, str | int]
) -> None:
    stored = dump_labels(desired_labels)
    loaded = load_labels(stored) if stored else ()
    assert affinity_of(loaded, labels) == affinity_of(desired_labels, labels)
    assert dump_labels(desired_labels[::-1]) == stored


@given(desired_labels=desired_of_keys, labels=labels_of_keys)
def test_an_admitted_worker_meets_every_required_label_and_is_not_repelled(
    desired_labels: tuple[DesiredLabel, ...], labels: dict[str, str | int]
) -> None:
    met = [one for one in desired_labels if is_met(one, labels)]
    is_admitted = all(one in met for one in desired_labels if one.is_required) and (
        sum(one.weight for one in met) >= 0
    )
    assert (affinity_of(desired_labels, labels) is not None) == is_admitted
