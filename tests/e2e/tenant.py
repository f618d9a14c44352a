"""A fresh tenant of an installation, with workers and clients of its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

import psycopg
from django.conf import settings
from django.test import override_settings

from engine.states import Status, TaskEventKind
from tenants.token_claims import sign_token
from tests.e2e.nursery import nursery
from tests.e2e.stack import ROOT, TLS_NONE, Service, Stack

PATIENCE_SECONDS = 60.0
WORKERS = "tests.e2e.workers"
WITHOUT_SDK = ("steady", "steady_journeys")
"""Workers that speak the protocol themselves: a process has room for one of the two."""

Value = TypeVar("Value")


class CallFailed(AssertionError):
    """What a client process answered instead of a value; `kind` is the exception's class."""

    def __init__(self, kind: str, text: str, traceback: str) -> None:
        super().__init__(f"{kind}: {text}\n{traceback}")
        self.kind, self.text = kind, text


def wait_for(what: str, look: Callable[[], Value], seconds: float = PATIENCE_SECONDS) -> Value:
    """Return the first true value that `look` gives."""
    deadline = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}; last: {value!r}"
        time.sleep(0.03)
    return value


class Client:
    """A process with an official SDK that runs functions on request."""

    def __init__(self, service: Service) -> None:
        self.process, self.service = service.process, service

    def call(self, name: str, /, *, seconds: float = PATIENCE_SECONDS, **given: Any) -> Any:
        """Run the module's function `name`; CallFailed if it raises."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"call": name, "given": given}).encode() + b"\n")
        self.process.stdin.flush()
        answer = self._answer(name, seconds)
        if "error" in answer:
            raise CallFailed(answer["error"], answer["text"], answer["traceback"])
        return answer["value"]

    def _answer(self, name: str, seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], seconds)
        assert readable, f"{name} gave no answer within {seconds:.0f} s"
        line = self.process.stdout.readline()
        assert line, f"the client ended during {name}:\n{self.service.output}"
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(slots=True)
class Tenant:
    """One tenant and everything that runs on its behalf."""

    stack: Stack
    id: UUID
    slug: str
    token: str
    directory: Path
    sdk: Path | None = None
    services: list[Service] = field(default_factory=list)

    @classmethod
    def create(cls, stack: Stack, directory: Path, sdk: Path | None = None) -> Self:
        """Add a tenant of the admin, and a token of it."""
        tenant_id, slug, now = uuid.uuid4(), f"e2e-{uuid.uuid4().hex[:8]}", datetime.now(UTC)
        token_id, now = uuid.uuid4(), now.replace(microsecond=0)
        expires_at = now + timedelta(days=1)
        with psycopg.connect(stack.database_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO tenants_tenant (id, name, slug, created_at, updated_at)"
                " VALUES (%s, %s, %s, %s, %s)",
                [tenant_id, slug, slug, now, now],
            )
            connection.execute(
                "INSERT INTO tenants_member"
                " (id, tenant_id, user_id, role, can_view_payloads, created_at, updated_at)"
                " SELECT gen_random_uuid(), %s, id, 'OWNER', true, %s, %s FROM tenants_user",
                [tenant_id, now, now],
            )
            connection.execute(
                "INSERT INTO tenants_apitoken"
                " (id, tenant_id, name, is_internal, expires_at, created_at, updated_at)"
                " VALUES (%s, %s, 'e2e', false, %s, %s, %s)",
                [token_id, tenant_id, expires_at, now, now],
            )
        here = replace(
            settings.HATCHET,
            server_url=stack.server_url,
            grpc_broadcast_address=stack.grpc_address,
            jwt_private_key=stack.signing_key,
        )
        with override_settings(HATCHET=here):
            token = sign_token(
                tenant_id=tenant_id, token_id=token_id, issued_at=now, expires_at=expires_at
            )
        directory.mkdir(parents=True, exist_ok=True)
        return cls(stack, tenant_id, slug, token, directory, sdk)

    def new_token(self, *options: str) -> str:
        """Another token, from `manage.py createtoken`."""
        command = [sys.executable, "manage.py", "createtoken", "--tenant", self.slug, *options]
        made = subprocess.run(
            command,
            cwd=ROOT,
            env=self.stack.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return made.stdout.strip()

    # Processes

    @property
    def environment(self) -> dict[str, str]:
        """What a program with the official SDK needs, and where it exchanges signals with a test."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        if self.sdk is not None:
            inherited["PYTHONPATH"] = str(self.sdk)
        return {
            **inherited,
            **TLS_NONE,
            "HATCHET_CLIENT_TOKEN": self.token,
            "PYTHONUNBUFFERED": "1",
            "E2E_DIRECTORY": str(self.directory),
            "E2E_GRPC_ADDRESS": self.stack.grpc_address,
        }

    def start_worker(
        self, topic: str, environment: Mapping[str, str] | None = None
    ) -> WorkerProcess:
        """Run a worker of tests/e2e/workers/<topic>.py; return once tasks may be assigned to it."""
        name = f"worker-{len(self.services)}"
        module = f"{WORKERS}.{topic}"
        environment = {**self.environment, "E2E_WORKER_NAME": name, **(environment or {})}
        if topic in WITHOUT_SDK:
            service = self.stack.spawn(name, [sys.executable, "-m", module], environment)
        else:
            log = self.stack.new_log(name)
            process = nursery(self.sdk).start(module, environment=environment, log=log)
            service = Service(name, process, log)
        self.services.append(service)
        service.wait_until(lambda: bool(self.ready_worker(name)), "become ready")
        return WorkerProcess(service, self.ready_worker(name)[0])

    def start_client(self, topic: str, environment: Mapping[str, str] | None = None) -> Client:
        log = self.stack.new_log("client")
        process = nursery(self.sdk).start(
            "tests.e2e.answer_calls",
            f"{WORKERS}.{topic}",
            environment={**self.environment, **(environment or {})},
            log=log,
            with_pipes=True,
        )
        return self._client(Service("client", process, log))

    def start_program(self, command: Sequence[str], directory: Path) -> Client:
        """Run a program that answers calls as tests.e2e.answer_calls does, in any language."""
        log = self.stack.new_log("client")
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        return self._client(Service("client", process, log))

    def _client(self, service: Service) -> Client:
        self.services.append(service)
        return Client(service)

    def close(self) -> None:
        """End what runs for this tenant; nothing of it is looked at any more."""
        for service in reversed(self.services):
            service.kill()
            for pipe in (service.process.stdin, service.process.stdout):
                if pipe is not None:
                    pipe.close()

    # Signals to and from tasks

    def open_gate(self, name: str) -> None:
        """Let every task pass that waits at the gate `name`, now and later."""
        (self.directory / f"{name}.gate").touch()

    def marks(self, name: str) -> list[str]:
        """The lines that tasks have written under `name`, in order."""
        path = self.directory / f"{name}.marks"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_marks(
        self, name: str, count: int = 1, seconds: float = PATIENCE_SECONDS
    ) -> list[str]:
        def enough() -> list[str]:
            found = self.marks(name)
            return found if len(found) >= count else []

        return wait_for(f"{count} marks {name!r}", enough, seconds)

    # The rows behind it

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            return connection.execute(sql, parameters).fetchall()

    def statuses(self, run_ids: Sequence[str]) -> dict[str, Status]:
        ids = [UUID(run_id) for run_id in run_ids]
        found = self.rows("SELECT id, status FROM engine_run WHERE id = ANY(%s)", ids)
        return {str(run_id): Status(status) for run_id, status in found}

    def wait_for_status(
        self, run_id: str, status: Status, seconds: float = PATIENCE_SECONDS
    ) -> None:
        wait_for(
            f"run {run_id} to be {status.name}",
            lambda: self.statuses([run_id]).get(run_id) is status,
            seconds,
        )

    def history(self, run_id: str) -> list[str]:
        """The names of what happened in a run, oldest first."""
        found = self.rows(
            "SELECT kind FROM engine_taskevent WHERE run_id = %s ORDER BY at, id", UUID(run_id)
        )
        return [TaskEventKind(kind).name for (kind,) in found]

    def task_history(self, task_id: str) -> list[str]:
        """What happened in each attempt at one task, oldest first."""
        found = self.rows(
            "SELECT kind, retry_count FROM engine_taskevent WHERE task_id = %s ORDER BY at, id",
            UUID(task_id),
        )
        return [f"{TaskEventKind(kind).name} {retry_count}" for kind, retry_count in found]

    def ready_worker(self, name: str) -> list[UUID]:
        """The SDK puts its namespace, if it has one, in front of the name."""
        found = self.rows(
            "SELECT id FROM engine_worker WHERE tenant_id = %s AND right(name, %s) = %s"
            " AND is_active AND last_heartbeat_at IS NOT NULL",
            self.id,
            len(name),
            name,
        )
        return [worker_id for (worker_id,) in found]


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A worker that runs, and the id that the engine gave it."""

    service: Service
    id: UUID
