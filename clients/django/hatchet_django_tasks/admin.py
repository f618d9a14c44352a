"""A list of runs in the admin, each with a link to Hatchet's dashboard."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from hatchet_django_tasks.backend import HatchetBackend
from hatchet_django_tasks.interface import task_backends
from hatchet_django_tasks.models import Run


def _backend() -> HatchetBackend | None:
    """The first backend whose runs the database has."""
    for alias in task_backends.settings:
        backend = task_backends[alias]
        if isinstance(backend, HatchetBackend) and not backend.is_remote:
            return backend
    return None


@admin.register(Run)
class RunAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("id", "workflow", "status", "created_at", "finished_at", "in_dashboard")
    list_display_links = None
    ordering = ("-id",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        backend = _backend()
        return Run.objects.using(backend.database) if backend else Run.objects.none()

    @admin.display(description="Dashboard")
    def in_dashboard(self, run: Run) -> str:
        backend = _backend()
        if backend is None or not backend.dashboard_url:
            return ""
        url = f"{backend.dashboard_url.rstrip('/')}/runs/{run.pk}"
        return format_html('<a href="{}">open</a>', url)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
