"""Django's tasks, run by Hatchet: `docs/django.md` of Hatchet on Django tells how."""

from hatchet_django_tasks.current import run_id
from hatchet_django_tasks.task_options import hatchet

__all__ = ["hatchet", "run_id"]
