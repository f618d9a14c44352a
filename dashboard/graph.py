"""Lays the steps of a workflow out in layers, left to right, for a drawing without client code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NODE_WIDTH = 190
NODE_HEIGHT = 46
GAP_X = 56
GAP_Y = 16
MARGIN = 6
_SWEEPS = 4
_LABEL_LENGTH = 23


@dataclass(frozen=True, slots=True)
class Node:
    """A step at its place; `layer` and `row` count from 0 at the top left."""

    name: str
    layer: int
    row: int
    x: int
    y: int

    @property
    def label(self) -> str:
        """The name cut to what fits; the whole one stands in the title and in the table."""
        name = self.name
        return name if len(name) <= _LABEL_LENGTH else name[: _LABEL_LENGTH - 1] + "…"


@dataclass(frozen=True, slots=True)
class Graph:
    nodes: tuple[Node, ...]
    edges: tuple[str, ...]
    width: int
    height: int


def lay_out(parents: Mapping[str, Sequence[str]]) -> Graph:
    """Place steps, given in topological order with their parents; `edges` are SVG paths.

    A step's layer is the longest way to it, so every edge goes right; within a layer steps are
    ordered by the mean row of their neighbours, which keeps most edges from crossing.
    """
    layer_of = _layers(parents)
    columns: list[list[str]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for name, layer in layer_of.items():
        columns[layer].append(name)
    _uncross(columns, parents)
    tallest = max(map(len, columns), default=0)
    nodes = {
        name: _node(name, layer, row, (tallest - len(column)) * (NODE_HEIGHT + GAP_Y) // 2)
        for layer, column in enumerate(columns)
        for row, name in enumerate(column)
    }
    return Graph(
        nodes=tuple(nodes.values()),
        edges=tuple(
            _edge(nodes[parent], nodes[name])
            for name, names in parents.items()
            for parent in names
            if parent in nodes
        ),
        width=2 * MARGIN + len(columns) * (NODE_WIDTH + GAP_X) - (GAP_X if columns else 0),
        height=2 * MARGIN + tallest * (NODE_HEIGHT + GAP_Y) - (GAP_Y if tallest else 0),
    )


def _layers(parents: Mapping[str, Sequence[str]]) -> dict[str, int]:
    layers: dict[str, int] = {}
    for name, names in parents.items():
        layers[name] = max((layers[parent] + 1 for parent in names if parent in layers), default=0)
    return layers


def _uncross(columns: list[list[str]], parents: Mapping[str, Sequence[str]]) -> None:
    children: dict[str, list[str]] = {name: [] for name in parents}
    for name, names in parents.items():
        for parent in names:
            children.setdefault(parent, []).append(name)
    for sweep in range(_SWEEPS):
        neighbours = parents if sweep % 2 == 0 else children
        for column in columns if sweep % 2 == 0 else reversed(columns):
            rows = {name: row for other in columns for row, name in enumerate(other)}
            _order_by_neighbours(column, rows, neighbours)


def _order_by_neighbours(
    column: list[str], rows: Mapping[str, int], neighbours: Mapping[str, Sequence[str]]
) -> None:
    def mean_row(name: str) -> float:
        near = [rows[other] for other in neighbours.get(name, ()) if other in rows]
        return sum(near) / len(near) if near else float(rows[name])

    column.sort(key=lambda name: (mean_row(name), rows[name]))


def _node(name: str, layer: int, row: int, offset: int) -> Node:
    return Node(
        name=name,
        layer=layer,
        row=row,
        x=MARGIN + layer * (NODE_WIDTH + GAP_X),
        y=MARGIN + offset + row * (NODE_HEIGHT + GAP_Y),
    )


def _edge(source: Node, target: Node) -> str:
    x1, y1 = source.x + NODE_WIDTH, source.y + NODE_HEIGHT // 2
    x2, y2 = target.x, target.y + NODE_HEIGHT // 2
    bend = GAP_X // 2
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
