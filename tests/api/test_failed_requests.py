"""A request that fails on our side is told of; one that is refused is not."""

from __future__ import annotations

import pytest

from engine.errors import Unavailable
from engine.store import sync_db
from tests.api.client import ApiClient
from tests.cast import Cast
from tests.recorder import recording


@pytest.mark.parametrize(("failure", "status"), [(KeyError("x"), 500), (Unavailable("away"), 503)])
def test_a_failure_is_told_of(
    api: ApiClient,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    status: int,
) -> None:
    def fail(_operation: object) -> None:
        raise failure

    monkeypatch.setattr(sync_db, "run", fail)
    with recording("rest.failed") as recorder:
        answer = api.delete(f"/api/v1/tenants/{cast.tenant.id}/rate-limits?key=api")
    assert answer.status == status
    assert recorder.named("rest.failed", status=status, error=failure)


def test_a_refusal_is_not(api: ApiClient, cast: Cast) -> None:
    with recording("rest.failed") as recorder:
        assert api.delete(f"/api/v1/tenants/{cast.tenant.id}/rate-limits").status == 400
    assert not recorder.events
