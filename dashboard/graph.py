"""Lays the steps of a workflow out in layers, left to right, for a drawing without client code."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

NODE_WIDTH = 176
NODE_HEIGHT = 46
WAY_HEIGHT = 10
GAP_X = 44
GAP_Y = 14
MARGIN = 6
_NARROW, _WIDE = "ijl.,:;|!'() ", "mwMW@%…—"
_SWEEPS = 4
LABEL_WIDTH = NODE_WIDTH - 34 - 8
"""Beside the icon, and not touching the box."""

# A place in a column: a step, or the way of a long edge past the columns it crosses.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    layer: int
    x: int
    y: int

    @property
    def label(self) -> str:
        """The name cut to what fits; the whole one stands in the title and in the table."""
        return fitting(self.name, LABEL_WIDTH)


@dataclass(frozen=True, slots=True)
class Graph:
    """Steps at their places; `edges` are SVG paths."""

    nodes: tuple[Node, ...]
    edges: tuple[str, ...]
    width: int
    height: int


def fitting(text: str, width: float) -> str:
    """Cut a text to what fits into so many pixels."""
    if sum(map(_width, text)) <= width:
        return text
    room = width - _width("…")
    for number, letter in enumerate(text):
        room -= _width(letter)
        if room < 0:
            return text[:number] + "…"
    return text


def _width(letter: str) -> float:
    """How wide a letter is at most in bold type of 12 px, in the fonts that systems bring along."""
    if unicodedata.east_asian_width(letter) in "WF":
        return 13.0
    if letter in _NARROW:
        return 5.0
    if letter in _WIDE:
        return 12.0
    return 9.6 if letter.isupper() else 8.0


def lay_out(parents: Mapping[str, Sequence[str]], last: Collection[str] = ()) -> Graph:
    """Place steps, given in topological order with their parents; those in `last` go to the end.

    A step's layer is the longest way to it, so every edge goes right; within a layer places are
    ordered by the mean row of their neighbours, which keeps most edges from crossing.
    """
    layers = _layers(parents, last)
    edges = [
        (parent, name) for name, names in parents.items() for parent in names if parent in layers
    ]
    columns = _columns(layers, edges)
    _uncross(columns, _neighbours(layers, edges))
    heights = [sum(map(_height, column)) + GAP_Y * (len(column) - 1) for column in columns]
    tallest = max(heights, default=0)
    spots: dict[tuple[Place, int], tuple[int, int]] = {}
    for layer, column in enumerate(columns):
        y = MARGIN + (tallest - heights[layer]) // 2
        for place in column:
            spots[place, layer] = (MARGIN + layer * (NODE_WIDTH + GAP_X), y)
            y += _height(place) + GAP_Y
    return Graph(
        nodes=tuple(Node(name, at, *spots[(name, ""), at]) for name, at in layers.items()),
        edges=tuple(_path(edge, layers, spots) for edge in edges),
        width=2 * MARGIN + max(len(columns) * (NODE_WIDTH + GAP_X) - GAP_X, 0),
        height=2 * MARGIN + tallest,
    )


def _layers(parents: Mapping[str, Sequence[str]], last: Collection[str]) -> dict[str, int]:
    layers: dict[str, int] = {}
    for name, names in parents.items():
        layers[name] = max((layers[parent] + 1 for parent in names if parent in layers), default=0)
    end = max(layers.values(), default=0)
    return {name: end if name in last else layer for name, layer in layers.items()}


def _columns(layers: Mapping[str, int], edges: Sequence[tuple[str, str]]) -> list[list[Place]]:
    columns: list[list[Place]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for name, layer in layers.items():
        columns[layer].append((name, ""))
    for parent, name in edges:
        for layer in range(layers[parent] + 1, layers[name]):
            columns[layer].append((parent, name))
    return columns


def _neighbours(
    layers: Mapping[str, int], edges: Sequence[tuple[str, str]]
) -> tuple[dict[tuple[Place, int], list[Place]], dict[tuple[Place, int], list[Place]]]:
    """For every place of a layer: the places linked to it in the layer before, and in the next."""
    before: dict[tuple[Place, int], list[Place]] = {}
    after: dict[tuple[Place, int], list[Place]] = {}
    for edge in edges:
        way = _way(edge, layers)
        for (left, layer), (right, _) in pairwise(way):
            after.setdefault((left, layer), []).append(right)
            before.setdefault((right, layer + 1), []).append(left)
    return before, after


def _way(edge: tuple[str, str], layers: Mapping[str, int]) -> list[tuple[Place, int]]:
    parent, name = edge
    between = [(edge, layer) for layer in range(layers[parent] + 1, layers[name])]
    return [((parent, ""), layers[parent]), *between, ((name, ""), layers[name])]


def _uncross(
    columns: list[list[Place]],
    neighbours: tuple[dict[tuple[Place, int], list[Place]], dict[tuple[Place, int], list[Place]]],
) -> None:
    before, after = neighbours
    for sweep in range(_SWEEPS):
        if sweep % 2 == 0:
            for layer in range(1, len(columns)):
                _order(columns[layer], layer, columns[layer - 1], before)
        else:
            for layer in range(len(columns) - 2, -1, -1):
                _order(columns[layer], layer, columns[layer + 1], after)


def _order(
    column: list[Place],
    layer: int,
    beside: Sequence[Place],
    linked: Mapping[tuple[Place, int], Sequence[Place]],
) -> None:
    rows = {place: row for row, place in enumerate(beside)}
    own = {place: row for row, place in enumerate(column)}

    def mean_row(place: Place) -> float:
        near = [rows[other] for other in linked.get((place, layer), ())]
        return sum(near) / len(near) if near else float(own[place])

    column.sort(key=lambda place: (mean_row(place), own[place]))


def _height(place: Place) -> int:
    return WAY_HEIGHT if place[1] else NODE_HEIGHT


def _path(
    edge: tuple[str, str],
    layers: Mapping[str, int],
    spots: Mapping[tuple[Place, int], tuple[int, int]],
) -> str:
    """From the right side of the parent, past every column between, to the left side of the step."""
    first, *rest = _way(edge, layers)
    bend = GAP_X // 2
    x, y = spots[first][0] + NODE_WIDTH, _middle(spots, first)
    path = f"M{x} {y}"
    for spot in rest:
        next_x, next_y = spots[spot][0], _middle(spots, spot)
        path += f"C{x + bend} {y} {next_x - bend} {next_y} {next_x} {next_y}"
        x, y = next_x + NODE_WIDTH, next_y
        if spot is not rest[-1]:
            path += f"H{x}"
    return path


def _middle(spots: Mapping[tuple[Place, int], tuple[int, int]], spot: tuple[Place, int]) -> int:
    return spots[spot][1] + _height(spot[0]) // 2
