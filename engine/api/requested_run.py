"""What is to be triggered, at once or later: the part that runs, crons and schedules have in common."""

from __future__ import annotations

from dataclasses import dataclass

from engine.types import TriggerRequest
from tenants.rest import in_body
from tenants.rest.errors import bad_request


@dataclass(frozen=True, slots=True)
class RequestedRun:
    input: bytes = in_body.document("input")
    additional_metadata: bytes | None = in_body.metadata("additionalMetadata")
    priority: int | None = in_body.optional_whole("priority", minimum=1, maximum=3)

    def of_workflow(self, name: str) -> TriggerRequest:
        if "\0" in name:
            raise bad_request("workflow name not found: it contains a NUL character")
        return TriggerRequest(
            workflow_name=name,
            input=self.input,
            additional_metadata=self.additional_metadata,
            priority=self.priority,
        )
