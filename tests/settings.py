"""Settings of the test run: the real ones, on a throwaway Postgres unless DATABASE_URL names one."""

import os

from tests.database import ensure_database_url

# Programs are started under another account, for which Python forks: gRPC's care for forks, with its threads at
# work here, makes some of them fail.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
ensure_database_url()

from hatchet_site.settings import *  # noqa: E402, F403  (the database must exist before Django reads it)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Pages name their files plainly, so that no test depends on collected ones.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A test that commits ends by emptying every table; the audit log lets nobody else do that.
DATABASES["default"]["OPTIONS"]["options"] = "-c hatchet.audit_flush=on"  # noqa: F405
