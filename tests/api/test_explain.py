"""Why a task does not run, over REST: an addition to the contract."""

from __future__ import annotations

from uuid import uuid4

from tests.api.client import ApiClient
from tests.api.factories import complete, make_workflow, start_run, tasks_of
from tests.cast import Cast


def test_a_task_is_explained_in_words_and_by_name(api: ApiClient, cast: Cast) -> None:
    make_workflow(cast.tenant, "greet")
    run = start_run(cast.tenant)
    path = f"/api/v1/stable/tasks/{run.id}/explain"
    assert api.get(path).json == {
        "taskId": str(run.id),
        "reason": "NO_ENGINE",
        "message": "No engine is running that schedules its tenant.",
        "details": {},
    }
    complete(tasks_of(run)[0], {"greeting": "hi"})
    answer = api.get(path).json
    assert (answer["reason"], answer["details"]) == (
        "FINISHED",
        {"status": "COMPLETED", "ending": "Completed"},
    )


def test_what_is_not_there_is_not_explained(api: ApiClient) -> None:
    assert api.get(f"/api/v1/stable/tasks/{uuid4()}/explain").status == 404
    assert api.get("/api/v1/stable/tasks/nonsense/explain").status == 400
