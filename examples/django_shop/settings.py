"""A shop whose tables stand beside Hatchet's, in the same database and in a schema of their own."""

import os

from psycopg.conninfo import conninfo_to_dict

_given = conninfo_to_dict(os.environ["SHOP_DATABASE"])

SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "only for trying it out")
USE_TZ = True
INSTALLED_APPS = ["django_tasks", "hatchet_django_tasks", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _given["dbname"],
        "USER": _given.get("user", ""),
        "PASSWORD": _given.get("password", ""),
        "HOST": _given.get("host", ""),
        "PORT": _given.get("port", ""),
    }
}
TASKS = {"default": {"BACKEND": "hatchet_django_tasks.backend.HatchetBackend"}}
