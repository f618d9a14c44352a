"""Tables of the engine, one noun group a file."""

from engine.models.cluster import EngineProcess, Lease, Worker
from engine.models.definitions import EventTrigger, Step, Workflow, WorkflowVersion
from engine.models.runs import (
    ChildLink,
    Event,
    LogLine,
    Payload,
    Run,
    RunTally,
    Task,
    TaskEvent,
)

__all__ = [
    "ChildLink",
    "EngineProcess",
    "Event",
    "EventTrigger",
    "Lease",
    "LogLine",
    "Payload",
    "Run",
    "RunTally",
    "Step",
    "Task",
    "TaskEvent",
    "Worker",
    "Workflow",
    "WorkflowVersion",
]
