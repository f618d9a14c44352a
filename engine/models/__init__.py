"""Tables of the engine, one noun group a file."""

from engine.models.bulk_actions import BulkAction
from engine.models.cluster import EngineProcess, Lease, Worker
from engine.models.definitions import (
    EventTrigger,
    SharedStrategy,
    Step,
    Workflow,
    WorkflowVersion,
)
from engine.models.durable import DurableEntry, DurableTask, DurableWait, EndedChild
from engine.models.error_groups import ErrorGroup, ErrorTally, FailedAttempt
from engine.models.figures import FiguresPosition, TenantTotal, WorkflowTiming
from engine.models.filters import CelFailure, Filter
from engine.models.outbox import OutboxKey, OutboxRow, SqlRole
from engine.models.rate_limits import RateLimit
from engine.models.requests import AnsweredRequest
from engine.models.runs import (
    ChildLink,
    Event,
    IdempotencyKey,
    LogLine,
    LogTally,
    Payload,
    Run,
    RunSlot,
    RunTally,
    Task,
    TaskEvent,
)
from engine.models.sealing import PayloadStore, TenantKey
from engine.models.timetable import Cron, CronMiss, Schedule
from engine.models.traces import Span
from engine.models.waits import EndedWait, StepWait

__all__ = [
    "AnsweredRequest",
    "BulkAction",
    "CelFailure",
    "ChildLink",
    "Cron",
    "CronMiss",
    "DurableEntry",
    "DurableTask",
    "DurableWait",
    "EndedChild",
    "EndedWait",
    "EngineProcess",
    "ErrorGroup",
    "ErrorTally",
    "Event",
    "EventTrigger",
    "FailedAttempt",
    "FiguresPosition",
    "Filter",
    "IdempotencyKey",
    "Lease",
    "LogLine",
    "LogTally",
    "OutboxKey",
    "OutboxRow",
    "Payload",
    "PayloadStore",
    "RateLimit",
    "Run",
    "RunSlot",
    "RunTally",
    "Schedule",
    "SharedStrategy",
    "Span",
    "SqlRole",
    "Step",
    "StepWait",
    "Task",
    "TaskEvent",
    "TenantKey",
    "TenantTotal",
    "Worker",
    "Workflow",
    "WorkflowTiming",
    "WorkflowVersion",
]
