"""PutWorkflow requests, checked: a CreateWorkflowVersionRequest becomes a WorkflowDefinition.

Options that the engine cannot honour yet are refused by name: a definition that was accepted and then
behaved differently would be worse than one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.cel.expressions import Environment, compile_expression
from engine.domain.cron.expression import check_cron
from engine.domain.dag import topological_order
from engine.domain.definition import (
    DefaultFilter,
    Idempotency,
    StepDefinition,
    WorkflowDefinition,
)
from engine.domain.durations import parse_duration
from engine.errors import InvalidArgument
from engine.pb.v1 import workflows_pb2 as pb
from engine.rpc.batches import parse_batch
from engine.rpc.concurrency import check_shared, parse_concurrency
from engine.rpc.conditions import parse_conditions
from engine.rpc.desired_labels import parse_desired_labels
from engine.rpc.parse import (
    check_count,
    parse_action,
    parse_json_object,
    parse_key,
    parse_name,
    parse_priority,
    parse_text,
    unique,
)
from engine.rpc.rate_limits import parse_rate_limits
from engine.states import IdempotencyMethod, StepKind, Sticky

_LONGEST_DESCRIPTION = 10_000
_MOST_TASKS = 10_000
_MOST_EVENTS = 10_000
_MOST_CRONS = 100
_MOST_FILTERS = 500
_MOST_SLOT_TYPES = 1_000
_DEFAULT_EXECUTION_TIMEOUT = "60s"
_DEFAULT_SCHEDULE_TIMEOUT = "5m"
_LONGEST_BACKOFF_SECONDS = 86_400
_LONGEST_KEY_MS = 10 * 365 * 86_400_000


def parse_definition(request: pb.CreateWorkflowVersionRequest) -> WorkflowDefinition:
    name = parse_name(request.name, "name")
    if not request.tasks:
        raise InvalidArgument(f"workflow {name} has no tasks")
    check_count(request.tasks, _MOST_TASKS, "tasks")
    check_count(request.event_triggers, _MOST_EVENTS, "event_triggers")
    definition = WorkflowDefinition(
        name=name,
        steps=_parse_steps(request),
        description=parse_text(request.description, "description", _LONGEST_DESCRIPTION),
        event_triggers=unique(parse_key(key, "event_triggers") for key in request.event_triggers),
        cron_triggers=_parse_crons(request.cron_triggers),
        cron_input=_parse_cron_input(request.cron_input),
        default_filters=_parse_filters(request.default_filters),
        default_priority=(
            parse_priority(request.default_priority, "default_priority")
            if request.HasField("default_priority")
            else None
        ),
        input_json_schema=_parse_schema(request.input_json_schema),
        sticky=_parse_sticky(request),
        concurrency=parse_concurrency(_chain_of_workflow(request), f"workflow {name}"),
        idempotency=(
            _parse_idempotency(request.idempotency) if request.HasField("idempotency") else None
        ),
    )
    check_shared(definition)
    return definition


def _parse_idempotency(config: pb.IdempotencyConfig) -> Idempotency:
    compile_expression(config.expression, Environment.IDEMPOTENCY, "idempotency expression", str)
    if not 1 <= config.ttl_ms <= _LONGEST_KEY_MS:
        raise InvalidArgument(f"idempotency: ttl_ms must be between 1 and {_LONGEST_KEY_MS}")
    try:
        method = IdempotencyMethod(config.method)
    except ValueError:
        raise InvalidArgument(f"idempotency: method {config.method} is unknown") from None
    return Idempotency(config.expression, config.ttl_ms, method)


def _parse_crons(expressions: Sequence[str]) -> tuple[str, ...]:
    check_count(expressions, _MOST_CRONS, "cron_triggers")
    for expression in expressions:
        check_cron(expression, "cron_triggers")
    return unique(expressions)


def _parse_cron_input(text: str) -> str | None:
    """SDKs send `{}` or `null` for none."""
    given = parse_json_object(text, "cron_input")
    return None if given.strip() == b"{}" else given.decode()


def _parse_sticky(request: pb.CreateWorkflowVersionRequest) -> Sticky | None:
    if not request.HasField("sticky"):
        return None
    try:
        return Sticky(request.sticky)
    except ValueError:
        raise InvalidArgument(f"sticky: strategy {request.sticky} is unknown") from None


def _chain_of_workflow(request: pb.CreateWorkflowVersionRequest) -> list[pb.Concurrency]:
    """Clients send one strategy in a field of its own, or any number in a list."""
    single = [request.concurrency] if request.HasField("concurrency") else []
    return [*single, *request.concurrency_arr]


def _parse_filters(filters: Sequence[pb.DefaultFilter]) -> tuple[DefaultFilter, ...]:
    """A blank expression is allowed and never true."""
    check_count(filters, _MOST_FILTERS, "default_filters")
    parsed = []
    for index, found in enumerate(filters):
        where = f"default_filters[{index}]."
        if found.expression.strip():
            compile_expression(found.expression, Environment.FILTER, f"{where}expression", bool)
        payload = parse_json_object(found.payload, f"{where}payload")
        scope = parse_key(found.scope, f"{where}scope")
        parsed.append(DefaultFilter(found.expression, scope, payload.decode()))
    return tuple(parsed)


def _parse_schema(schema: bytes) -> str | None:
    if schema.strip() in (b"", b"null"):
        return None
    return parse_json_object(schema, "input_json_schema").decode()


def _parse_steps(request: pb.CreateWorkflowVersionRequest) -> tuple[StepDefinition, ...]:
    steps: dict[str, StepDefinition] = {}
    for task in request.tasks:
        step = _parse_step(task, StepKind.TASK)
        if step.readable_id in steps:
            raise InvalidArgument(f'two tasks are named "{step.readable_id}"')
        steps[step.readable_id] = step
    ordered = topological_order({name: step.parents for name, step in steps.items()})
    parsed = [steps[name] for name in ordered]
    if request.HasField("on_failure_task"):
        on_failure = _parse_step(request.on_failure_task, StepKind.ON_FAILURE)
        if on_failure.readable_id in steps:
            raise InvalidArgument(f'two tasks are named "{on_failure.readable_id}"')
        if on_failure.parents:
            raise InvalidArgument(f"on_failure_task {on_failure.readable_id} cannot have parents")
        if on_failure.conditions:
            raise InvalidArgument(
                f"on_failure_task {on_failure.readable_id} cannot have conditions"
            )
        parsed.append(on_failure)
    return tuple(parsed)


def _parse_step(task: pb.CreateTaskOpts, kind: StepKind) -> StepDefinition:
    name = parse_name(task.readable_id, "readable_id")
    where = f"task {name}"
    execution_timeout = task.timeout or _DEFAULT_EXECUTION_TIMEOUT
    schedule_timeout = task.schedule_timeout or _DEFAULT_SCHEDULE_TIMEOUT
    if task.retries < 0:
        raise InvalidArgument(f"{where}: retries cannot be negative")
    factor, longest = _parse_backoff(task, where)
    parents = _parse_parents(task, where)
    return StepDefinition(
        readable_id=name,
        action_id=parse_action(task.action, f"{where}: action"),
        kind=kind,
        parents=parents,
        execution_timeout=execution_timeout,
        execution_timeout_seconds=parse_duration(execution_timeout, f"{where}: timeout"),
        schedule_timeout=schedule_timeout,
        schedule_timeout_seconds=parse_duration(schedule_timeout, f"{where}: schedule_timeout"),
        retries=task.retries,
        backoff_factor=factor,
        backoff_max_seconds=longest,
        slots=_parse_slots(task, where),
        worker_labels=parse_desired_labels(task.worker_labels, f"{where}: worker_labels"),
        conditions=parse_conditions(task, parents, where),
        concurrency=parse_concurrency(task.concurrency, where),
        rate_limits=parse_rate_limits(task.rate_limits, where),
        is_durable=task.is_durable,
        batch=parse_batch(task, where) if task.HasField("batch") else None,
    )


def _parse_parents(task: pb.CreateTaskOpts, where: str) -> tuple[str, ...]:
    parents = unique(parse_name(parent, f"{where}: parents") for parent in task.parents)
    if len(parents) < len(task.parents):
        raise InvalidArgument(f"{where}: a parent is named twice")
    return parents


def _parse_backoff(task: pb.CreateTaskOpts, where: str) -> tuple[float | None, int | None]:
    """Return (factor, longest delay in seconds); without a factor there is no delay at all."""
    factor = task.backoff_factor if task.HasField("backoff_factor") else None
    longest = task.backoff_max_seconds if task.HasField("backoff_max_seconds") else None
    # Written so that NaN is refused as well.
    if factor is not None and not 1 <= factor <= 1000:
        raise InvalidArgument(f"{where}: backoff_factor must be between 1 and 1000")
    if longest is not None and not 1 <= longest <= _LONGEST_BACKOFF_SECONDS:
        raise InvalidArgument(
            f"{where}: backoff_max_seconds must be between 1 and {_LONGEST_BACKOFF_SECONDS}"
        )
    if factor is not None and longest is None:
        longest = _LONGEST_BACKOFF_SECONDS
    return factor, longest


def _parse_slots(task: pb.CreateTaskOpts, where: str) -> dict[str, int]:
    check_count(task.slot_requests, _MOST_SLOT_TYPES, f"{where}: slot_requests")
    for kind, count in task.slot_requests.items():
        parse_key(kind, f"{where}: slot_requests key")
        if count <= 0:
            raise InvalidArgument(f"{where}: slot_requests must be positive")
    return dict(task.slot_requests) or {"durable" if task.is_durable else "default": 1}
