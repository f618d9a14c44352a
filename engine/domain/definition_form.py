"""The canonical form of a definition: what versions store and what tells two definitions apart.

Options at their default are left out, so an option added later does not change the checksum of
definitions that never used it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import orjson

from engine.domain.affinity import label_forms, labels_from_forms
from engine.domain.definition import (
    Batch,
    Concurrency,
    DefaultFilter,
    Idempotency,
    RateLimit,
    StepCondition,
    StepDefinition,
    WorkflowDefinition,
)
from engine.domain.durations import parse_duration, parse_sleep
from engine.states import (
    ConcurrencyStrategy,
    ConditionAction,
    ConditionKind,
    IdempotencyMethod,
    RateLimitWindow,
    StepKind,
    Sticky,
)

_DEFAULT_SLOTS = {"default": 1}
_STEP_DEFAULTS = StepDefinition(readable_id="", action_id="")


def canonical_form(definition: WorkflowDefinition) -> bytes:
    """Return JSON with sorted keys; equal definitions give equal bytes."""
    form = {
        "name": definition.name,
        "description": definition.description,
        "event_triggers": sorted(definition.event_triggers),
        "cron_triggers": sorted(definition.cron_triggers),
        "cron_input": definition.cron_input,
        "default_filters": sorted(
            [found.scope, found.expression, found.payload] for found in definition.default_filters
        ),
        "default_priority": definition.default_priority,
        "input_json_schema": definition.input_json_schema,
        "idempotency": _idempotency_form(definition.idempotency),
        "sticky": None if definition.sticky is None else definition.sticky.name,
        "concurrency": _concurrency_forms(definition.concurrency),
        "steps": [_step_form(step) for step in definition.steps],
    }
    return orjson.dumps(_without_blanks(form), option=orjson.OPT_SORT_KEYS)


def checksum(definition: WorkflowDefinition) -> bytes:
    """SHA-256 of the canonical form."""
    return hashlib.sha256(canonical_form(definition)).digest()


def from_canonical_form(stored: bytes | str | dict[str, Any]) -> WorkflowDefinition:
    """Rebuild a definition from what `canonical_form` made."""
    form = stored if isinstance(stored, dict) else orjson.loads(stored)
    return WorkflowDefinition(
        name=form["name"],
        steps=tuple(_step_from(step) for step in form["steps"]),
        description=form.get("description", ""),
        event_triggers=tuple(form.get("event_triggers", ())),
        cron_triggers=tuple(form.get("cron_triggers", ())),
        cron_input=form.get("cron_input"),
        default_filters=tuple(
            DefaultFilter(expression, scope, payload)
            for scope, expression, payload in form.get("default_filters", ())
        ),
        default_priority=form.get("default_priority"),
        input_json_schema=form.get("input_json_schema"),
        idempotency=_idempotency_from(form.get("idempotency")),
        sticky=Sticky[form["sticky"]] if "sticky" in form else None,
        concurrency=_concurrency_from(form.get("concurrency", ())),
    )


def _idempotency_form(idempotency: Idempotency | None) -> list[Any] | None:
    if idempotency is None:
        return None
    return [idempotency.expression, idempotency.ttl_ms, idempotency.method.name]


def _idempotency_from(form: list[Any] | None) -> Idempotency | None:
    if form is None:
        return None
    expression, ttl_ms, method = form
    return Idempotency(expression, ttl_ms, IdempotencyMethod[method])


def _step_form(step: StepDefinition) -> dict[str, Any]:
    slots = dict(step.slots)
    return _without_blanks(
        {
            "readable_id": step.readable_id,
            "action_id": step.action_id,
            "kind": int(step.kind),
            "parents": sorted(step.parents),
            "execution_timeout": step.execution_timeout,
            "schedule_timeout": step.schedule_timeout,
            "retries": step.retries,
            "backoff_factor": step.backoff_factor,
            "backoff_max_seconds": step.backoff_max_seconds,
            "slots": None if slots == _DEFAULT_SLOTS else slots,
            "worker_labels": label_forms(step.worker_labels),
            "conditions": [_condition_form(condition) for condition in step.conditions],
            "concurrency": _concurrency_forms(step.concurrency),
            "rate_limits": _rate_limit_forms(step.rate_limits),
            "is_durable": step.is_durable,
            "batch": None if step.batch is None else list(astuple(step.batch)),
        }
    )


def _step_from(form: dict[str, Any]) -> StepDefinition:
    execution_timeout = form.get("execution_timeout", _STEP_DEFAULTS.execution_timeout)
    schedule_timeout = form.get("schedule_timeout", _STEP_DEFAULTS.schedule_timeout)
    return StepDefinition(
        readable_id=form["readable_id"],
        action_id=form["action_id"],
        kind=StepKind(form.get("kind", StepKind.TASK)),
        parents=tuple(form.get("parents", ())),
        execution_timeout=execution_timeout,
        execution_timeout_seconds=parse_duration(execution_timeout, "execution_timeout"),
        schedule_timeout=schedule_timeout,
        schedule_timeout_seconds=parse_duration(schedule_timeout, "schedule_timeout"),
        retries=form.get("retries", 0),
        backoff_factor=form.get("backoff_factor"),
        backoff_max_seconds=form.get("backoff_max_seconds"),
        slots=form.get("slots", _DEFAULT_SLOTS),
        worker_labels=labels_from_forms(form.get("worker_labels", ())),
        conditions=tuple(_condition_from(condition) for condition in form.get("conditions", ())),
        concurrency=_concurrency_from(form.get("concurrency", ())),
        rate_limits=_rate_limits_from(form.get("rate_limits", ())),
        is_durable=form.get("is_durable", False),
        batch=Batch(*form["batch"]) if "batch" in form else None,
    )


def _concurrency_forms(chain: Sequence[Concurrency]) -> list[list[Any]]:
    """Each is [expression, max_runs, strategy], and what else it has if that is not blank."""
    forms = []
    for c in chain:
        form: list[Any] = [c.expression, c.max_runs, c.strategy.name]
        if c.max_runs_expression or c.name:
            form += [c.max_runs_expression, c.name]
        forms.append(form)
    return forms


def _concurrency_from(forms: Sequence[Sequence[Any]]) -> tuple[Concurrency, ...]:
    return tuple(
        Concurrency(expression, max_runs, ConcurrencyStrategy[strategy], *rest)
        for expression, max_runs, strategy, *rest in forms
    )


def _rate_limit_forms(rate_limits: Sequence[RateLimit]) -> list[list[Any]]:
    return [
        [
            found.key,
            found.key_expression,
            found.units,
            found.units_expression,
            found.limit_expression,
            found.window.name,
        ]
        for found in rate_limits
    ]


def _rate_limits_from(forms: Sequence[Sequence[Any]]) -> tuple[RateLimit, ...]:
    return tuple(
        RateLimit(key, key_expression, units, units_expression, limit, RateLimitWindow[window])
        for key, key_expression, units, units_expression, limit, window in forms
    )


def _condition_form(condition: StepCondition) -> dict[str, Any]:
    return _without_blanks(
        {
            "kind": int(condition.kind),
            "action": int(condition.action),
            "group": condition.group,
            "source": condition.source,
            "data_key": condition.data_key,
            "expression": condition.expression,
        }
    )


def _condition_from(form: dict[str, Any]) -> StepCondition:
    kind, source = ConditionKind(form.get("kind", ConditionKind.PARENT)), form["source"]
    return StepCondition(
        kind=kind,
        action=ConditionAction(form["action"]),
        group=form.get("group", 0),
        source=source,
        data_key=form["data_key"],
        expression=form.get("expression", ""),
        sleep_seconds=parse_sleep(source, "sleep_for") if kind is ConditionKind.SLEEP else 0.0,
    )


def _without_blanks(form: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in form.items() if value not in (None, "", [], 0)}
