"""Pausing and resuming a workflow over REST."""

from __future__ import annotations

from typing import Any

import pytest

from engine.models import Task, Workflow
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, start_run
from tests.cast import Cast

PAUSE = {
    "action": "pause",
    "pausedWorkflowCronRunQueueBehavior": "DROP",
    "pausedWorkflowScheduledRunQueueBehavior": "QUEUE",
    "pausedWorkflowQueueTTL": "1h30m",
}


def test_a_workflow_is_paused_and_resumed(cast: Cast, api: ApiClient) -> None:
    made = make_workflow(cast.tenant)
    run = start_run(cast.tenant)
    path = f"/api/v1/workflows/{made.workflow_id}"
    answer = api.patch(path, {"pause": PAUSE})
    assert answer.status == 200
    shown = {
        "isPaused": True,
        "pausedWorkflowCronRunQueueBehavior": "DROP",
        "pausedWorkflowScheduledRunQueueBehavior": "QUEUE",
    }
    assert shown.items() <= answer.json.items()
    assert shown.items() <= api.get(path).json.items()
    assert Workflow.objects.get(id=made.workflow_id).paused_ttl_seconds == 5400
    assert Task.objects.get(run_id=run.id).is_held
    answer = api.patch(path, {"pause": {"action": "unpause"}})
    assert (answer.status, answer.json["isPaused"]) == (200, False)
    assert "pausedWorkflowCronRunQueueBehavior" not in answer.json
    assert not Task.objects.get(run_id=run.id).is_held


@pytest.mark.parametrize(
    "pause",
    [
        None,
        "pause",
        {},
        {"action": "stop"},
        PAUSE | {"pausedWorkflowCronRunQueueBehavior": "KEEP"},
        PAUSE | {"pausedWorkflowScheduledRunQueueBehavior": None},
        PAUSE | {"pausedWorkflowQueueTTL": "soon"},
        PAUSE | {"pausedWorkflowQueueTTL": ""},
        PAUSE | {"pausedWorkflowQueueTTL": 5},
    ],
)
def test_bad_pauses_change_nothing(pause: Any, cast: Cast, api: ApiClient) -> None:
    made = make_workflow(cast.tenant)
    answer = api.patch(f"/api/v1/workflows/{made.workflow_id}", {"pause": pause})
    assert answer.status == 400
    assert not Workflow.objects.get(id=made.workflow_id).is_paused
