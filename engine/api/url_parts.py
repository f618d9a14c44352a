"""What the paths of the API have in common: prefixes, query parameters, operations."""

from __future__ import annotations

from tenants.rest.schema import Operation

T = "api/v1/tenants/<str:tenant>"
ST = "api/v1/stable/tenants/<str:tenant>"
TASK = "api/v1/stable/tasks/<str:task>"
RUN = "api/v1/stable/workflow-runs/<str:run>"

PAGE = "offset:integer limit:integer"
RUN_FILTERS = (
    "since:date-time! until:date-time statuses:string[] running_filter workflow_ids:uuid[] "
    "additional_metadata:string[] additional_metadata_operator parent_task_external_id:uuid "
    "triggering_event_external_id:uuid idempotency_keys:string[]"
)
LOG_FILTERS = (
    "limit:integer since:date-time until:date-time search levels:string[] order_by_direction "
    "attempt:integer"
)
TARGETS = "externalIds:uuid[] filter:object"


def get(identity: str, answer: str, query: str = "", *, is_public: bool = False) -> Operation:
    return Operation("GET", identity, answer, query, is_public=is_public)


def post(identity: str, answer: str, body: str = "") -> Operation:
    return Operation("POST", identity, answer, body=body)
