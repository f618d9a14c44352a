"""What the API tells of concurrency strategies."""

from __future__ import annotations

from engine.domain.definition import Concurrency
from engine.states import ConcurrencyStrategy
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, step
from tests.cast import Cast


def test_a_version_shows_its_concurrency_in_the_order_tasks_ask_for_slots(
    cast: Cast, api: ApiClient
) -> None:
    made = make_workflow(
        cast.tenant,
        "limited",
        step("work", concurrency=(Concurrency("input.b", 2, ConcurrencyStrategy.CANCEL_NEWEST),)),
        concurrency=(Concurrency("input.a", 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN),),
    )
    shown = api.get(f"/api/v1/workflows/{made.workflow_id}/versions").json
    assert shown["v1Concurrency"] == [
        {
            "maxRuns": 1,
            "limitStrategy": "GROUP_ROUND_ROBIN",
            "expression": "input.a",
            "scope": "WORKFLOW",
        },
        {
            "maxRuns": 2,
            "limitStrategy": "CANCEL_NEWEST",
            "expression": "input.b",
            "scope": "TASK",
            "stepReadableId": "work",
        },
    ]
