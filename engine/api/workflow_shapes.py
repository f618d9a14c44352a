"""How workflows and versions look in answers."""

from __future__ import annotations

from collections.abc import Sequence

from engine.api.room import JsonObject, json_object
from engine.api.run_shapes import without_nones
from engine.domain.definition import Concurrency, StepDefinition, WorkflowDefinition
from engine.domain.definition_form import from_canonical_form
from engine.models import Step, Workflow, WorkflowVersion
from engine.states import ConcurrencyStrategy, StepKind
from tenants.rest.errors import AnyDict
from tenants.rest.render import metadata

_NAMES_CLIENTS_KNOW = {
    ConcurrencyStrategy.CANCEL_NEWEST: "DROP_NEWEST",
    ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_NEWEST: "QUEUE_NEWEST",
    ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_OLDEST: "DROP_NEWEST",
}
"""Official REST clients raise at strategies newer than they are: they get the nearest they know."""


def workflow_shape(workflow: Workflow) -> AnyDict:
    return {
        "metadata": metadata(workflow.id, workflow.created_at, workflow.updated_at),
        "name": workflow.name,
        "description": workflow.description,
        "isPaused": workflow.is_paused,
        "tenantId": str(workflow.tenant_id),
        **_pause_shape(workflow),
    }


def _pause_shape(workflow: Workflow) -> AnyDict:
    if not workflow.is_paused:
        return {}
    return {
        "pausedWorkflowCronRunQueueBehavior": workflow.paused_cron_behavior,
        "pausedWorkflowScheduledRunQueueBehavior": workflow.paused_scheduled_behavior,
    }


def version_meta_shape(version: WorkflowVersion) -> AnyDict:
    return {
        "metadata": metadata(version.id, version.created_at),
        "version": str(version.id),
        "order": version.order,
        "workflowId": str(version.workflow_id),
    }


def version_shape(workflow: Workflow, version: WorkflowVersion, steps: Sequence[Step]) -> AnyDict:
    definition = from_canonical_form(version.definition)
    schedule_timeout = definition.steps[0].schedule_timeout if definition.steps else None
    return without_nones(
        {
            **version_meta_shape(version),
            "workflow": workflow_shape(workflow),
            "defaultPriority": definition.default_priority,
            "sticky": None if definition.sticky is None else definition.sticky.name,
            "scheduleTimeout": schedule_timeout,
            "triggers": {
                "metadata": metadata(version.id, version.created_at),
                "workflow_version_id": str(version.id),
                "tenant_id": str(workflow.tenant_id),
                "events": [
                    {"parent_id": str(version.id), "event_key": key}
                    for key in definition.event_triggers
                ],
                "crons": [
                    {"parent_id": str(version.id), "cron": expression}
                    for expression in definition.cron_triggers
                ],
            },
            "jobs": _jobs(workflow, version, definition, steps),
            "workflowConfig": version.definition,
            "v1Concurrency": _concurrency(definition),
            "inputJsonSchema": _schema(definition.input_json_schema),
        }
    )


def _concurrency(definition: WorkflowDefinition) -> list[AnyDict]:
    """The strategies of the workflow and of its tasks, in the order in which tasks ask for slots."""
    chains: list[tuple[str, str | None, Sequence[Concurrency]]] = [
        ("WORKFLOW", None, definition.concurrency)
    ]
    chains += [("TASK", step.readable_id, step.concurrency) for step in definition.steps]
    return [
        without_nones(
            {
                "maxRuns": strategy.max_runs,
                "limitStrategy": _NAMES_CLIENTS_KNOW.get(strategy.strategy, strategy.strategy.name),
                "expression": strategy.expression,
                "scope": scope,
                "stepReadableId": readable_id,
                "strategy": strategy.strategy.name,
                "maxRunsExpression": strategy.max_runs_expression or None,
                "tenantScopedName": strategy.name or None,
            }
        )
        for scope, readable_id, chain in chains
        for strategy in chain
    ]


def _schema(text: str | None) -> JsonObject | None:
    return json_object(text.encode()) if text else None


def _jobs(
    workflow: Workflow,
    version: WorkflowVersion,
    definition: WorkflowDefinition,
    steps: Sequence[Step],
) -> list[AnyDict]:
    """The steps as one job, and the on-failure step as a job of its own."""
    rows = {step.readable_id: step for step in steps}
    jobs = []
    for kind, suffix in ((StepKind.TASK, ""), (StepKind.ON_FAILURE, "-on-failure")):
        of_kind = [step for step in definition.steps if step.kind == kind]
        if of_kind:
            jobs.append(
                {
                    "metadata": metadata(version.id, version.created_at),
                    "tenantId": str(workflow.tenant_id),
                    "versionId": str(version.id),
                    "name": f"{workflow.name}{suffix}",
                    "steps": [
                        _step_shape(workflow, version, step, rows[step.readable_id], definition)
                        for step in of_kind
                        if step.readable_id in rows
                    ],
                }
            )
    return jobs


def _step_shape(
    workflow: Workflow,
    version: WorkflowVersion,
    step: StepDefinition,
    row: Step,
    definition: WorkflowDefinition,
) -> AnyDict:
    return {
        "metadata": metadata(row.id, version.created_at),
        "readableId": step.readable_id,
        "tenantId": str(workflow.tenant_id),
        "jobId": str(version.id),
        "action": step.action_id,
        "timeout": step.execution_timeout,
        "isDurable": step.is_durable,
        "slotRequests": dict(step.slots),
        "parents": list(step.parents),
        "children": [
            other.readable_id for other in definition.steps if step.readable_id in other.parents
        ],
    }
