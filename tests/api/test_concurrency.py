"""What the API tells of concurrency strategies."""

from __future__ import annotations

import pytest

from engine.domain.definition import Concurrency
from engine.states import ConcurrencyStrategy
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, step
from tests.cast import Cast


def test_a_version_shows_its_concurrency_in_the_order_tasks_ask_for_slots(
    cast: Cast, api: ApiClient
) -> None:
    newest = ConcurrencyStrategy.CANCEL_NEWEST
    strategy = Concurrency("input.b", 2, newest, "input.n", "everyone")
    made = make_workflow(
        cast.tenant,
        "limited",
        step("work", concurrency=(strategy,)),
        concurrency=(Concurrency("input.a", 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN),),
    )
    shown = api.get(f"/api/v1/workflows/{made.workflow_id}/versions").json
    assert shown["v1Concurrency"] == [
        {
            "maxRuns": 1,
            "limitStrategy": "GROUP_ROUND_ROBIN",
            "expression": "input.a",
            "scope": "WORKFLOW",
            "strategy": "GROUP_ROUND_ROBIN",
        },
        {
            "maxRuns": 2,
            "limitStrategy": "DROP_NEWEST",
            "expression": "input.b",
            "scope": "TASK",
            "stepReadableId": "work",
            "strategy": "CANCEL_NEWEST",
            "maxRunsExpression": "input.n",
            "tenantScopedName": "everyone",
        },
    ]


@pytest.mark.parametrize("strategy", list(ConcurrencyStrategy))
def test_official_clients_can_read_every_strategy(
    cast: Cast, api: ApiClient, strategy: ConcurrencyStrategy
) -> None:
    made = make_workflow(
        cast.tenant, "limited", step("work", concurrency=(Concurrency("input.b", 2, strategy),))
    )
    (shown,) = api.get(f"/api/v1/workflows/{made.workflow_id}/versions").json["v1Concurrency"]
    assert shown["limitStrategy"] in {
        "CANCEL_IN_PROGRESS",
        "DROP_NEWEST",
        "QUEUE_NEWEST",
        "GROUP_ROUND_ROBIN",
    }
    assert shown["strategy"] == strategy.name
