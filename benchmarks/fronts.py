"""The same load on an engine behind each of the two gRPC fronts, which take turns."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.figures import ratio
from benchmarks.installation import Installation
from benchmarks.processes import agents
from benchmarks.throughput import Turns, connect

WORKFLOW = "bench-fronts"
FRONTS = ("grpcio", "native")
MODES = ("singly", "bulk")
ROUNDS = 5

Figures = dict[str, Any]
Round = dict[str, dict[str, Figures]]
"""What was measured behind each front, by front and way of triggering."""


def measure_fronts(installed: Installation, seconds: float) -> Figures:
    """Return runs a second and CPU a run behind each, and the ratios of those that followed each other.

    The engine starts anew for each turn; the rounds begin with one front and with the other by turns.
    """
    rounds: list[Round] = []
    for number in range(ROUNDS):
        order = FRONTS if number % 2 == 0 else FRONTS[::-1]
        rounds.append({front: _turn(installed, front, seconds / ROUNDS) for front in order})
    installed.stop_engine()
    installed.start_engine()
    figures: Figures = {
        front: {mode: _medians([one[front][mode] for one in rounds]) for mode in MODES}
        for front in FRONTS
    }
    ratios = {mode: _medians([_ratios(one, mode) for one in rounds]) for mode in MODES}
    return {**figures, "native_to_grpcio": ratios}


def _turn(installed: Installation, front: str, seconds: float) -> dict[str, Figures]:
    installed.stop_engine()
    installed.start_engine(SERVER_GRPC_FRONT=front)
    with agents(installed.target, installed.target) as pair:
        connect(pair, WORKFLOW)
        taken = {}
        for mode in MODES:
            turn = Turns(pair, {"engine": installed.engine_pid}, WORKFLOW)
            turn.take(mode, seconds)
            taken[mode] = turn.figures()
        return taken


def _medians(turns: list[Figures]) -> Figures:
    return {name: round(median(turn[name] for turn in turns), 2) for name in turns[0]}


def _ratios(one: Round, mode: str) -> Figures:
    native, grpcio = one["native"][mode], one["grpcio"][mode]
    return {name: ratio(native[name], grpcio[name]) for name in ("runs_per_second", "engine_us")}
