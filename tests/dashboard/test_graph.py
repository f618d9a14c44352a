"""Where steps are drawn."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.graph import NODE_HEIGHT, NODE_WIDTH, lay_out


@st.composite
def dags(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    names = [f"s{number}" for number in range(draw(st.integers(0, 12)))]
    return {
        name: tuple(draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=3)))
        if place
        else ()
        for place, name in enumerate(names)
    }


@given(dags())
def test_steps_lie_apart_inside_the_drawing_and_right_of_their_parents(
    parents: dict[str, tuple[str, ...]],
) -> None:
    graph = lay_out(parents)
    nodes = {node.name: node for node in graph.nodes}
    assert set(nodes) == set(parents)
    boxes = [(node.x, node.y) for node in graph.nodes]
    for number, (x, y) in enumerate(boxes):
        assert 0 <= x <= graph.width - NODE_WIDTH
        assert 0 <= y <= graph.height - NODE_HEIGHT
        for other_x, other_y in boxes[number + 1 :]:
            assert x != other_x or abs(y - other_y) >= NODE_HEIGHT
    for name, names in parents.items():
        assert all(nodes[parent].layer < nodes[name].layer for parent in names)
    assert len(graph.edges) == sum(map(len, parents.values()))


@given(dags())
def test_level_stretches_of_edges_pass_no_step(parents: dict[str, tuple[str, ...]]) -> None:
    graph = lay_out(parents)
    boxes = {(node.x, node.y) for node in graph.nodes}
    for path in graph.edges:
        for start, level, end in re.findall(r" (\d+) (\d+)H(\d+)", path):
            crossed = [
                (x, y)
                for x, y in boxes
                if x < int(end)
                and int(start) < x + NODE_WIDTH
                and y <= int(level) <= y + NODE_HEIGHT
            ]
            assert not crossed


def test_the_on_failure_step_stands_at_the_end() -> None:
    graph = lay_out({"a": (), "b": ("a",), "oops": ()}, last={"oops"})
    layers = {node.name: node.layer for node in graph.nodes}
    assert layers == {"a": 0, "b": 1, "oops": 1}


@pytest.mark.parametrize(
    ("name", "most"),
    [("a-step-with-quite-a-long-name", 20), ("W" * 40, 12), ("步" * 40, 11), ("ilil" * 9, 30)],
)
def test_long_names_are_cut_to_what_fits(name: str, most: int) -> None:
    """Wide letters leave room for fewer: nineteen of them touched the box."""
    [node] = lay_out({name: ()}).nodes
    assert node.label.endswith("…")
    assert 8 < len(node.label) <= most
    assert name.startswith(node.label[:-1])


def test_short_names_stay_whole() -> None:
    assert [node.label for node in lay_out({"charge": (), "MMMMMMMM": ()}).nodes] == [
        "charge",
        "MMMMMMMM",
    ]
