"""More seeds, in a file of their own so that another process plays them."""

from __future__ import annotations

import pytest

from tests.simulation.run import simulate
from tests.simulation.test_durable_seeds import SEEDS, TOGETHER


@pytest.mark.parametrize("first", range(len(SEEDS), 2 * len(SEEDS), TOGETHER))
def test_more_seeds(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        simulate(seed)


def test_a_seed_is_played_the_same_way_each_time() -> None:
    stories = [simulate(17).story for _ in range(2)]
    assert stories[0] == stories[1]
