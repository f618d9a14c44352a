"""A Django project beside Hatchet: a role, a schema and a tenant of its own in the same database."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from tests.e2e.stack import ROOT, Stack
from tests.e2e.tenant import Tenant

PACKAGE = ROOT / "clients" / "django"


@dataclass(frozen=True)
class DjangoProject:
    """`database` is how the project's role reaches the database. The role is the server's: `drop` it."""

    role: str
    database: str
    environment: Mapping[str, str]

    def manage(self, *arguments: str, directory: Path, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=directory,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def make_project(stack: Stack, tenant: Tenant) -> DjangoProject:
    name = f"project_{uuid.uuid4().hex}"
    password = uuid.uuid4().hex
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        connection.execute(f"CREATE SCHEMA {name} AUTHORIZATION {name}")
        connection.execute(f"ALTER ROLE {name} SET search_path = {name}")
    granted = subprocess.run(
        [sys.executable, "manage.py", "sqlrole", "grant", name, "--tenant", tenant.slug],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (granted.returncode, granted.stdout) == (0, ""), granted.stdout + granted.stderr
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
        "HATCHET_CLIENT_TOKEN": tenant.token,
        "HATCHET_CLIENT_TLS_STRATEGY": "none",
        "PYTHONPATH": str(PACKAGE),
        "PYTHONUNBUFFERED": "1",
    }
    database = make_conninfo(stack.database_url, user=name, password=password)
    return DjangoProject(name, database, environment)


def drop_project(stack: Stack, project: DjangoProject) -> None:
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {project.role} CASCADE")
        connection.execute(f"DROP ROLE {project.role}")
