"""The same load on an engine that is configured in two ways, which take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from benchmarks.figures import ratio
from benchmarks.installation import Installation
from benchmarks.processes import agents
from benchmarks.throughput import Turns, connect

MODES = ("singly", "bulk")
ROUNDS = 5

Figures = dict[str, Any]
Round = dict[str, dict[str, Figures]]
"""What was measured of each variant, by its name and the way of triggering."""


def measure_variants(
    installed: Installation,
    workflow: str,
    variants: Mapping[str, Mapping[str, str]],
    seconds: float,
    before: Callable[[], object] = lambda: None,
) -> Figures:
    """Return runs a second and CPU a run of each, and the ratios of those that followed each other.

    `variants` are the variables of the two by name, what is held against the other last. The engine starts
    anew for each turn, after `before`; the rounds begin with one and with the other by turns.
    """
    rounds: list[Round] = []
    first, second = variants
    for number in range(ROUNDS):
        order = (first, second) if number % 2 == 0 else (second, first)
        one: Round = {}
        for name in order:
            installed.stop_engine()
            before()
            installed.start_engine(**variants[name])
            one[name] = _turn(installed, workflow, seconds / ROUNDS)
        rounds.append(one)
    installed.stop_engine()
    before()
    installed.start_engine()
    figures: Figures = {
        name: {mode: _medians([one[name][mode] for one in rounds]) for mode in MODES}
        for name in variants
    }
    ratios = {
        mode: _medians([_ratios(one[second][mode], one[first][mode]) for one in rounds])
        for mode in MODES
    }
    return {**figures, f"{second}_to_{first}": ratios}


def _turn(installed: Installation, workflow: str, seconds: float) -> dict[str, Figures]:
    with agents(installed.target, installed.target) as pair:
        connect(pair, workflow)
        taken = {}
        for mode in MODES:
            pids = {"engine": installed.engine_pid, "postgres": installed.postgres_pid}
            turn = Turns(pair, pids, workflow)
            turn.take(mode, seconds)
            taken[mode] = turn.figures()
        return taken


def _medians(turns: list[Figures]) -> Figures:
    return {name: round(median(turn[name] for turn in turns), 2) for name in turns[0]}


def _ratios(one: Figures, other: Figures) -> Figures:
    return {name: ratio(one[name], other[name]) for name in ("runs_per_second", "engine_us")}
