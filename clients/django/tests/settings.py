"""A project whose tables stand in a schema of their own beside Hatchet's, as a role of its own."""

from __future__ import annotations

import os

from psycopg.conninfo import conninfo_to_dict

_GIVEN = conninfo_to_dict(os.environ.get("HATCHET_TEST_DATABASE", "dbname=none"))

SECRET_KEY = "of the tests alone"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django_tasks",
    "hatchet_django_tasks",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _GIVEN["dbname"],
        "USER": _GIVEN.get("user", ""),
        "PASSWORD": _GIVEN.get("password", ""),
        "HOST": _GIVEN.get("host", ""),
        "PORT": _GIVEN.get("port", ""),
    }
}
_BACKEND = "hatchet_django_tasks.backend.HatchetBackend"
TASKS = {
    "default": {
        "BACKEND": _BACKEND,
        "QUEUES": ["default", "mail"],
        "OPTIONS": {"dashboard_url": "https://hatchet.test/t/default/"},
    },
    "remote": {"BACKEND": _BACKEND, "OPTIONS": {"remote": True, "prefix": "far."}},
}
LOGGING = {
    "version": 1,
    "filters": {"run": {"()": "hatchet_django_tasks.current.RunIdFilter"}},
    "formatters": {"run": {"format": "%(levelname)s [%(hatchet_run_id)s] %(message)s"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "filters": ["run"], "formatter": "run"}},
    "loggers": {"shop": {"handlers": ["out"], "level": "INFO"}},
}
