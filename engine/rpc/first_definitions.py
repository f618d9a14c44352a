"""First-generation definitions, put into the words of the present contract.

What has no place there is refused by name; everything else is checked as any other definition is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from engine.errors import InvalidArgument
from engine.pb import workflows_pb2 as first
from engine.pb.v1 import workflows_pb2 as pb


def translate_definition(
    opts: first.CreateWorkflowVersionOpts,
) -> pb.CreateWorkflowVersionRequest:
    """Jobs are flattened: their steps are the workflow's tasks, whatever job they are of."""
    _refuse(f"workflow {opts.name}", _unsupported(opts))
    request = pb.CreateWorkflowVersionRequest(
        name=opts.name,
        description=opts.description,
        version=opts.version,
        event_triggers=opts.event_triggers,
        cron_triggers=opts.cron_triggers,
        tasks=_translate_jobs(opts.jobs, opts.schedule_timeout),
    )
    if opts.HasField("cron_input"):
        request.cron_input = opts.cron_input
    if opts.HasField("sticky"):
        request.sticky = cast("pb.StickyStrategy", int(opts.sticky))
    if opts.HasField("default_priority"):
        request.default_priority = opts.default_priority
    if opts.HasField("concurrency"):
        request.concurrency_arr.append(_translate_concurrency(opts.concurrency))
    if opts.HasField("on_failure_job"):
        (task,) = _translate_jobs([opts.on_failure_job], opts.schedule_timeout)
        request.on_failure_task.CopyFrom(task)
    return request


def _translate_jobs(
    jobs: Iterable[first.CreateWorkflowJobOpts], schedule_timeout: str
) -> list[pb.CreateTaskOpts]:
    return [_translate_step(step, schedule_timeout) for job in jobs for step in job.steps]


def _translate_step(step: first.CreateWorkflowStepOpts, schedule_timeout: str) -> pb.CreateTaskOpts:
    _refuse(f"task {step.readable_id}", _unsupported_by_step(step))
    return pb.CreateTaskOpts(
        readable_id=step.readable_id,
        action=step.action,
        timeout=step.timeout,
        schedule_timeout=schedule_timeout,
        inputs=step.inputs,
        parents=step.parents,
        retries=step.retries,
        rate_limits=[
            # Equal but for its name.
            pb.CreateTaskRateLimit.FromString(limit.SerializeToString())
            for limit in step.rate_limits
        ],
        worker_labels=step.worker_labels,
        backoff_factor=step.backoff_factor if step.HasField("backoff_factor") else None,
        backoff_max_seconds=(
            step.backoff_max_seconds if step.HasField("backoff_max_seconds") else None
        ),
    )


def _translate_concurrency(opts: first.WorkflowConcurrencyOpts) -> pb.Concurrency:
    # The strategies of both contracts have equal numbers.
    strategy = cast("pb.ConcurrencyLimitStrategy", int(opts.limit_strategy))
    return pb.Concurrency(
        expression=opts.expression,
        max_runs=opts.max_runs if opts.HasField("max_runs") else None,
        limit_strategy=strategy if opts.HasField("limit_strategy") else None,
    )


def _unsupported(opts: first.CreateWorkflowVersionOpts) -> Iterable[str]:
    if opts.scheduled_triggers:
        yield "scheduled_triggers"
    if opts.concurrency.action:
        yield "concurrency.action"
    if opts.HasField("on_failure_job") and len(opts.on_failure_job.steps) != 1:
        yield "on_failure_job with other than one step"
    if opts.kind == first.DURABLE:
        yield "kind DURABLE"


def _unsupported_by_step(step: first.CreateWorkflowStepOpts) -> Iterable[str]:
    if step.user_data.strip() not in ("", "{}", "null"):
        yield "user_data"


def _refuse(where: str, options: Iterable[str]) -> None:
    unsupported: Sequence[str] = list(options)
    if unsupported:
        raise InvalidArgument(f"{where}: not supported: {', '.join(unsupported)}")
