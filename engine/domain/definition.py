"""A workflow definition after validation: what versions store and the engine plans with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from engine.states import (
    ConcurrencyStrategy,
    ConditionAction,
    ConditionKind,
    IdempotencyMethod,
    RateLimitWindow,
    StepKind,
    Sticky,
)
from engine.types import DesiredLabels


@dataclass(frozen=True, slots=True)
class StepCondition:
    """One thing that decides whether a step runs. Conditions of one `group` are alternatives.

    `source` is a parent's readable id, an event key, or the sleep's duration as the client wrote it.
    `data_key` is the name under which the task finds what satisfied the condition.
    """

    kind: ConditionKind
    action: ConditionAction
    group: int
    source: str
    data_key: str
    expression: str = ""
    sleep_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Concurrency:
    """One strategy: of the tasks for which `expression` comes to the same key, `max_runs` may run.

    `max_runs_expression`, if any, computes `max_runs` for each task. A strategy with a `name` is the
    whole tenant's: all workflows that name it share its groups.
    """

    expression: str
    max_runs: int = 1
    strategy: ConcurrencyStrategy = ConcurrencyStrategy.CANCEL_IN_PROGRESS
    max_runs_expression: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks of a step run together: at most `max_size`, and no longer after the first than the interval.

    Only tasks for which `group_key` comes to the same key share a batch; of a group at most
    `group_max_runs` batches run at a time. `broadcasts` means one output for all, which clients see to.
    """

    max_size: int
    max_interval_ms: int = 1000
    group_key: str = ""
    group_max_runs: int = 100
    broadcasts: bool = False


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Units of a key that every attempt takes. An expression, where there is one, replaces the plain value.

    Without a limit of its own, or with a negative one, the key's limit is what clients set for it.
    """

    key: str = ""
    key_expression: str = ""
    units: int = 1
    units_expression: str = ""
    limit_expression: str = ""
    window: RateLimitWindow = RateLimitWindow.MINUTE


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """One task of a workflow. Durations are seconds beside the text the client wrote."""

    readable_id: str
    action_id: str
    kind: StepKind = StepKind.TASK
    parents: tuple[str, ...] = ()
    execution_timeout: str = "60s"
    execution_timeout_seconds: float = 60.0
    schedule_timeout: str = "5m"
    schedule_timeout_seconds: float = 300.0
    retries: int = 0
    backoff_factor: float | None = None
    backoff_max_seconds: int | None = None
    slots: Mapping[str, int] = field(default_factory=lambda: {"default": 1})
    worker_labels: DesiredLabels = ()
    conditions: tuple[StepCondition, ...] = ()
    concurrency: tuple[Concurrency, ...] = ()
    is_durable: bool = False
    batch: Batch | None = None
    rate_limits: tuple[RateLimit, ...] = ()


@dataclass(frozen=True, slots=True)
class DefaultFilter:
    """A filter for events, declared in code; `payload` is a JSON object text."""

    expression: str
    scope: str
    payload: str = "{}"


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Runs with the same key start once: within `ttl_ms`, and with STATUS only while one is unfinished."""

    expression: str
    ttl_ms: int
    method: IdempotencyMethod = IdempotencyMethod.TTL


@dataclass(frozen=True, slots=True)
class WorkflowDefinition:
    """`steps` are in topological order, ties alphabetical; the on-failure step, if any, is last."""

    name: str
    steps: tuple[StepDefinition, ...]
    description: str = ""
    event_triggers: tuple[str, ...] = ()
    cron_triggers: tuple[str, ...] = ()
    cron_input: str | None = None
    default_filters: tuple[DefaultFilter, ...] = ()
    default_priority: int | None = None
    input_json_schema: str | None = None
    sticky: Sticky | None = None
    idempotency: Idempotency | None = None
    concurrency: tuple[Concurrency, ...] = ()

    @property
    def is_dag(self) -> bool:
        """A single task without an on-failure task runs standalone: its id is its run's id."""
        return len(self.steps) > 1


@dataclass(frozen=True, slots=True)
class RegisteredStep:
    id: UUID
    ordinal: int
    definition: StepDefinition


@dataclass(frozen=True, slots=True, eq=False)
class RegisteredVersion:
    """A stored version with its ids; immutable, so it is cached by id for ever."""

    id: UUID
    workflow_id: UUID
    tenant_id: UUID
    definition: WorkflowDefinition
    steps: tuple[RegisteredStep, ...]
