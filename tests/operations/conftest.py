"""Operation tests are sync and roll back."""

from __future__ import annotations

import pytest

from tests.operations.bench import Bench


@pytest.fixture
def bench(db: None) -> Bench:
    return Bench()
