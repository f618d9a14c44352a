"""Operation tests are sync and roll back."""

from __future__ import annotations

import pytest

from tests.operations.bench import Bench
from tests.operations.durable import DurableFlow


@pytest.fixture
def bench(db: None) -> Bench:
    return Bench()


@pytest.fixture
def flow(db: None) -> DurableFlow:
    return DurableFlow()
