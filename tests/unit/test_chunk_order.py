"""Chunks of an attempt keep their order, and none waits for ever."""

from __future__ import annotations

import random

import pytest

from engine.domain.chunk_order import HOLD_SECONDS, ChunkOrder


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_of_arrival_all_go_in_order(seed: int) -> None:
    indices = list(range(30))
    random.Random(seed).shuffle(indices)
    order = ChunkOrder()
    passed: list[tuple[int | None, str]] = []
    for index in indices:
        passed += order.add(index, str(index), 0.0)
    assert passed == [(index, str(index)) for index in range(30)]
    assert not order.is_waiting


def test_a_chunk_without_an_index_goes_at_once() -> None:
    order = ChunkOrder()
    assert order.add(1, "b", 0.0) == []
    assert order.add(None, "now", 0.0) == [(None, "now")]
    assert order.add(0, "a", 0.0) == [(0, "a"), (1, "b")]


def test_a_missing_chunk_is_waited_for_a_while_only() -> None:
    order = ChunkOrder()
    order.add(0, "a", 0.0)
    order.add(2, "c", 1.0)
    order.add(3, "d", 2.0)
    assert order.expire(1.0 + HOLD_SECONDS - 0.01) == []
    assert order.expire(1.0 + HOLD_SECONDS) == [(2, "c"), (3, "d")]
    assert order.add(4, "e", 9.0) == [(4, "e")]
    assert order.add(1, "late", 9.0) == [(1, "late")]


def test_the_end_lets_go_of_everything_held() -> None:
    order = ChunkOrder()
    order.add(5, "f", 0.0)
    order.add(3, "d", 0.0)
    assert order.flush() == [(3, "d"), (5, "f")]
    assert not order.is_waiting
