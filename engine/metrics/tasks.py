"""What is counted of tasks: how it is called, and what it says, for processes and for tenants."""

from __future__ import annotations

from collections.abc import Mapping

from engine.states import TenantMetric

TASKS: Mapping[TenantMetric, tuple[str, str]] = {
    TenantMetric.CREATED: ("created_tasks", "Tasks that entered the queue."),
    TenantMetric.RETRIED: ("retried_tasks", "Retries of tasks."),
    TenantMetric.SUCCEEDED: ("succeeded_tasks", "Tasks that succeeded."),
    TenantMetric.FAILED: ("failed_tasks", "Tasks that failed for good."),
    TenantMetric.SKIPPED: ("skipped_tasks", "Tasks that were skipped."),
    TenantMetric.CANCELLED: ("cancelled_tasks", "Tasks that were cancelled."),
    TenantMetric.ASSIGNED: ("assigned_tasks", "Attempts that were given to workers."),
    TenantMetric.SCHEDULING_TIMED_OUT: (
        "scheduling_timed_out",
        "Tasks that no worker took in time.",
    ),
    TenantMetric.RATE_LIMITED: ("rate_limited", "Attempts that had to wait for a rate limit."),
    TenantMetric.FIRST_ASSIGNED: (
        "queued_to_assigned",
        "Tasks that were given to a worker for the first time.",
    ),
    TenantMetric.REASSIGNED: (
        "reassigned_tasks",
        "Attempts that were taken back from workers that were lost or never got them.",
    ),
}
"""Counted by one engine at a time for all: of several engines these are to be summed up."""
