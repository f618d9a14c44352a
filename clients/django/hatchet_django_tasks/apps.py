from __future__ import annotations

from django.apps import AppConfig


class HatchetTasksConfig(AppConfig):
    name = "hatchet_django_tasks"
    label = "hatchet_tasks"
    verbose_name = "Hatchet"
    default_auto_field = "django.db.models.BigAutoField"
