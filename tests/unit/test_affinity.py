"""Which labels answer a wish, how the weights add up, and that stored wishes come back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.affinity import affinity_of, dump_wishes, is_met, load_wishes
from engine.states import Comparator
from engine.types import LabelWish

values = st.one_of(st.text(max_size=5), st.integers(-5, 5))
wish = st.builds(
    LabelWish,
    key=st.sampled_from(["a", "b", "c"]),
    value=values,
    comparator=st.sampled_from(Comparator),
    weight=st.integers(-200, 200),
    is_required=st.booleans(),
)
wishes_of_keys = st.lists(wish, unique_by=lambda one: one.key).map(tuple)
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
def test_the_workers_value_is_compared_with_the_wished_one(
    comparator: Comparator, met: set[int]
) -> None:
    asked = LabelWish("memory", 5, comparator)
    assert {value for value in (4, 5, 6) if is_met(asked, {"memory": value})} == met
    assert not is_met(asked, {})


@pytest.mark.parametrize("comparator", [c for c in Comparator if c.is_ordered])
def test_only_integers_have_an_order(comparator: Comparator) -> None:
    assert not is_met(LabelWish("memory", 5, comparator), {"memory": "5"})
    assert not is_met(LabelWish("memory", "5", comparator), {"memory": 5})


def test_a_text_is_not_a_number() -> None:
    assert not is_met(LabelWish("memory", "5"), {"memory": 5})
    assert is_met(LabelWish("memory", "5", Comparator.NOT_EQUAL), {"memory": 5})


def test_weights_add_up_over_what_is_met() -> None:
    asked = (LabelWish("a", 1, weight=30), LabelWish("b", 2), LabelWish("c", 3, weight=-10))
    assert affinity_of(asked, {"a": 1, "b": 2, "c": 3}) == 120
    assert affinity_of(asked, {"a": 1, "c": 3}) == 20
    assert affinity_of(asked, {}) == 0


def test_a_missed_required_wish_and_a_negative_sum_exclude() -> None:
    assert affinity_of((LabelWish("a", 1), LabelWish("b", 2, is_required=True)), {"a": 1}) is None
    assert affinity_of((LabelWish("a", 1, weight=-1),), {"a": 1}) is None
    assert affinity_of((LabelWish("a", 1, weight=-1),), {"a": 2}) == 0


@given(wishes=wishes_of_keys, labels=labels_of_keys)
def test_stored_wishes_mean_the_same(
    wishes: tuple[LabelWish, ...], labels: dict[str, str | int]
) -> None:
    stored = dump_wishes(wishes)
    loaded = load_wishes(stored) if stored else ()
    assert affinity_of(loaded, labels) == affinity_of(wishes, labels)
    assert dump_wishes(wishes[::-1]) == stored


@given(wishes=wishes_of_keys, labels=labels_of_keys)
def test_an_admitted_worker_meets_every_required_wish_and_is_not_repelled(
    wishes: tuple[LabelWish, ...], labels: dict[str, str | int]
) -> None:
    met = [one for one in wishes if is_met(one, labels)]
    is_admitted = all(one in met for one in wishes if one.is_required) and (
        sum(one.weight for one in met) >= 0
    )
    assert (affinity_of(wishes, labels) is not None) == is_admitted
