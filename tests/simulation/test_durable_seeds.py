"""Durable tasks under every mishap at once: no wake-up is lost, nothing is done twice, results stand."""

from __future__ import annotations

import pytest

from tests.simulation.run import simulate

SEEDS, TOGETHER = range(500), 25


@pytest.mark.parametrize("first", SEEDS[::TOGETHER])
def test_seeds(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        simulate(seed)
