"""The same load on an engine behind each of the two gRPC fronts, which take turns."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Any

from benchmarks.figures import ratio
from benchmarks.installation import Installation
from benchmarks.processes import agents
from benchmarks.throughput import Turns, connect

WORKFLOW = "bench-fronts"
FRONTS = ("grpcio", "native")
MODES = ("singly", "bulk")
TURNS = 3

Figures = dict[str, Any]


def measure_fronts(installed: Installation, seconds: float) -> Figures:
    """Return runs a second and CPU a run behind each, the medians of the turns, and the ratios.

    The engine starts anew for each turn.
    """
    turns: defaultdict[tuple[str, str], list[Figures]] = defaultdict(list)
    for _ in range(TURNS):
        for front in FRONTS:
            installed.stop_engine()
            installed.start_engine(SERVER_GRPC_FRONT=front)
            for mode, figures in _turn(installed, seconds / TURNS).items():
                turns[front, mode].append(figures)
    installed.stop_engine()
    installed.start_engine()
    results: Figures = {
        front: {mode: _medians(turns[front, mode]) for mode in MODES} for front in FRONTS
    }
    return {**results, "native_to_grpcio": {mode: _ratios(results, mode) for mode in MODES}}


def _turn(installed: Installation, seconds: float) -> dict[str, Figures]:
    with agents(installed.target, installed.target) as pair:
        connect(pair, WORKFLOW)
        taken = {}
        for mode in MODES:
            turn = Turns(pair, {"engine": installed.engine_pid}, WORKFLOW)
            turn.take(mode, seconds)
            taken[mode] = turn.figures()
        return taken


def _medians(turns: list[Figures]) -> Figures:
    return {name: round(median(turn[name] for turn in turns), 1) for name in turns[0]}


def _ratios(results: Figures, mode: str) -> Figures:
    native, grpcio = (results[front][mode] for front in ("native", "grpcio"))
    return {
        name: ratio(native[name], grpcio[name])
        for name in ("runs_per_second", "engine_us", "client_us", "worker_us")
    }
