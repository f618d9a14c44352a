from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.dag import topological_order
from engine.errors import InvalidArgument


def test_parents_come_first_and_ties_are_alphabetical() -> None:
    assert topological_order({"d": ["b", "c"], "c": ["a"], "b": ["a"], "a": [], "A": []}) == [
        "A",
        "a",
        "b",
        "c",
        "d",
    ]


@pytest.mark.parametrize(
    ("parents_of", "message"),
    [
        ({"a": ["ghost"]}, 'dag parent not found: "ghost", a parent of "a"'),
        ({"a": ["a"]}, "cycle: a"),
        ({"a": ["c"], "b": ["a"], "c": ["b"], "d": []}, "cycle: a, b, c"),
    ],
)
def test_impossible_graphs_are_refused(
    parents_of: Mapping[str, Sequence[str]], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        topological_order(parents_of)


@given(st.integers(1, 12), st.data())
def test_any_acyclic_graph_is_ordered(size: int, data: st.DataObject) -> None:
    names = data.draw(st.permutations([f"t{n}" for n in range(size)]))
    parents_of = {
        name: data.draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
        for place, name in enumerate(names)
    }
    ordered = topological_order(parents_of)
    assert sorted(ordered) == sorted(names)
    places = {name: place for place, name in enumerate(ordered)}
    assert all(
        places[parent] < places[name] for name, parents in parents_of.items() for parent in parents
    )
