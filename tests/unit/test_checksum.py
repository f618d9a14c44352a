from dataclasses import replace

from engine.domain.definition import DefaultFilter, StepDefinition, WorkflowDefinition
from engine.domain.definition_form import canonical_form, checksum, from_canonical_form
from engine.states import StepKind

FULL = WorkflowDefinition(
    name="orders",
    description="what orders need",
    event_triggers=("order:created", "order:*"),
    default_priority=2,
    input_json_schema='{"type": "object"}',
    steps=(
        StepDefinition(readable_id="fetch", action_id="orders:fetch"),
        StepDefinition(
            readable_id="pay",
            action_id="orders:pay",
            parents=("fetch",),
            execution_timeout="1m30s",
            execution_timeout_seconds=90,
            schedule_timeout="1h",
            schedule_timeout_seconds=3600,
            retries=3,
            backoff_factor=2.5,
            backoff_max_seconds=60,
            slots={"gpu": 2},
            is_durable=True,
        ),
        StepDefinition(readable_id="mend", action_id="orders:mend", kind=StepKind.ON_FAILURE),
    ),
)


def test_a_definition_survives_being_stored() -> None:
    rebuilt = from_canonical_form(canonical_form(FULL))
    assert rebuilt == replace(FULL, event_triggers=("order:*", "order:created"))
    assert checksum(rebuilt) == checksum(FULL)


def test_what_does_not_matter_does_not_change_the_checksum() -> None:
    fetch, pay, mend = FULL.steps
    same = replace(
        FULL,
        event_triggers=("order:*", "order:created"),
        steps=(replace(fetch, slots={"default": 1}), pay, mend),
    )
    assert checksum(same) == checksum(FULL)


def test_the_order_of_what_has_none_does_not_change_the_checksum() -> None:
    steps = StepDefinition("a", "w:a"), StepDefinition("b", "w:b")
    filters = DefaultFilter("true", "x"), DefaultFilter("false", "y")
    one, other = (
        WorkflowDefinition(
            "w",
            (*steps, StepDefinition("c", "w:c", parents=parents)),
            cron_triggers=crons,
            default_filters=declared,
        )
        for parents, crons, declared in (
            (("a", "b"), ("0 1 * * *", "0 2 * * *"), filters),
            (("b", "a"), ("0 2 * * *", "0 1 * * *"), filters[::-1]),
        )
    )
    assert checksum(one) == checksum(other)


def test_default_slots_leave_no_trace() -> None:
    """SDKs that send them and older ones that do not register the same version."""
    plain = WorkflowDefinition("w", (StepDefinition("a", "w:a", slots={"default": 1}),))
    assert b"slots" not in canonical_form(plain)
    assert b"slots" in canonical_form(FULL)


def test_every_option_changes_the_checksum() -> None:
    fetch, pay, mend = FULL.steps
    changed_pay = [
        replace(pay, readable_id="charge"),
        replace(pay, action_id="orders:charge"),
        replace(pay, kind=StepKind.ON_FAILURE),
        replace(pay, parents=()),
        replace(pay, execution_timeout="2m", execution_timeout_seconds=120),
        replace(pay, schedule_timeout="2m", schedule_timeout_seconds=120),
        replace(pay, retries=4),
        replace(pay, backoff_factor=3.0),
        replace(pay, backoff_max_seconds=61),
        replace(pay, slots={"gpu": 3}),
        replace(pay, is_durable=False),
    ]
    variants = [replace(FULL, steps=(fetch, step, mend)) for step in changed_pay] + [
        replace(FULL, description=""),
        replace(FULL, event_triggers=()),
        replace(FULL, default_priority=None),
        replace(FULL, input_json_schema=None),
        replace(FULL, steps=(fetch, pay)),
    ]
    assert len({checksum(variant) for variant in [FULL, *variants]}) == len(variants) + 1


def test_the_checksum_is_a_sha256() -> None:
    assert len(checksum(FULL)) == 32
