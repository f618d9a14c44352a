"""Prometheus itself reads what an installation tells, and takes every board's and rule's expression.

Where Debian's `prometheus` is not installed, the official SDK and the parser of the client library do the reading.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.stack import Stack, free_port, open_stack
from tests.e2e.tenant import Tenant, wait_for
from tests.metrics import ALERTS, Samples, expressions, samples_in, scrape

PATIENCE_SECONDS = 120.0
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None, reason="Prometheus is not installed"
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation that tells Prometheus what it does: the engine at a port, the web process at the next."""
    told = {
        "SERVER_PROMETHEUS_ENABLED": "true",
        "SERVER_PROMETHEUS_ADDRESS": f"127.0.0.1:{free_port()}",
        "SERVER_PROMETHEUS_PATH": "/custom-metrics",
    }
    stack = open_stack(tmp_path_factory.mktemp("stack"), told)
    stack.start_engine()
    stack.start_web()
    yield stack
    stack.close()


@pytest.fixture(scope="module")
def tenant_path(tenant: Tenant) -> str:
    """Where the tenant is told of, once its run was counted."""
    tenant.start_worker("basics")
    path = f"/api/v1/tenants/{tenant.id}"
    stable = f"/api/v1/stable/tenants/{tenant.id}"
    body = json.dumps({"workflowName": "nothing", "input": {}}).encode()
    _asked(tenant, f"{stable}/workflow-runs/trigger", body)
    wait_for(
        "the run to be counted",
        lambda: tenant_samples(tenant).get(
            ("hatchet_tenant_succeeded_tasks_total", str(tenant.id))
        ),
        PATIENCE_SECONDS,
    )
    return f"{path}/prometheus-metrics"


def _asked(tenant: Tenant, path: str, body: bytes | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {tenant.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{tenant.stack.server_url}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text: bytes = answer.read()
        return text


def tenant_samples(tenant: Tenant) -> Samples:
    text = _asked(tenant, f"/api/v1/tenants/{tenant.id}/prometheus-metrics")
    return samples_in(text.decode())


def ports(stack: Stack) -> dict[str, int]:
    """Where each process is asked, as the log says."""
    found = {}
    for service in stack.services:
        if service.name in ("engine", "web"):
            service.wait_for_output("metrics at port ")
            found[service.name] = int(service.output.split("metrics at port ")[1].split(",")[0])
    return found


def test_processes_and_tenant_tell_what_they_did(
    stack: Stack, tenant: Tenant, tenant_path: str
) -> None:
    of_engine = samples_in(scrape(ports(stack)["engine"], "/custom-metrics"))
    of_web = samples_in(scrape(ports(stack)["web"], "/custom-metrics"))
    assert of_engine["hatchet_succeeded_tasks_total",] >= 1
    assert of_engine["hatchet_connected_workers",] == 1
    assert of_web["hatchet_process_info", "web", "v0.111.0"] == 1
    assert of_web["hatchet_database_operation_seconds_count", "committed"] >= 1
    of_tenant = tenant_samples(tenant)
    name = "hatchet_tenant_workflow_duration_milliseconds_count"
    assert of_tenant[name, "COMPLETED", str(tenant.id), "nothing"] == 1
    assert of_tenant["hatchet_tenant_worker_slots", str(tenant.id)] > 0


@needs_prometheus
def test_the_rules_and_the_texts_are_right(stack: Stack, tenant: Tenant, tenant_path: str) -> None:
    check = [str(PROMTOOL), "check"]
    subprocess.run([*check, "rules", str(ALERTS)], check=True, capture_output=True)
    texts = [scrape(port, "/custom-metrics") for port in ports(stack).values()]
    for text in (*texts, _asked(tenant, tenant_path).decode()):
        checked = subprocess.run(
            [*check, "metrics"], input=text, capture_output=True, text=True, check=False
        )
        # What it says of style is about names that the guide has chosen, and about the milliseconds.
        assert checked.returncode in (0, 3), checked.stderr
        assert "error" not in checked.stderr.lower(), checked.stderr


@needs_prometheus
def test_prometheus_scrapes_all_and_evaluates_what_is_shipped(
    stack: Stack, tenant: Tenant, tenant_path: str, tmp_path: Path
) -> None:
    address = start_prometheus(stack, tenant, tenant_path, tmp_path)
    for metric in (
        "hatchet_succeeded_tasks_total",
        'hatchet_process_info{kind="web"}',
        f'hatchet_tenant_succeeded_tasks_total{{tenant_id="{tenant.id}"}} > 0',
        "hatchet_tenant_workflow_duration_milliseconds_count",
    ):
        wait_for(metric, lambda: query(address, metric), PATIENCE_SECONDS)  # noqa: B023
    for where, text in expressions():
        asked = text.replace("$tenant", str(tenant.id))
        assert isinstance(query(address, asked), list), where
    rules = get(address, "/api/v1/rules")["groups"][0]["rules"]
    wait_for(
        "the rules to be evaluated",
        lambda: all(
            rule["health"] == "ok" for rule in get(address, "/api/v1/rules")["groups"][0]["rules"]
        ),
        PATIENCE_SECONDS,
    )
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    assert firing == set()


def start_prometheus(stack: Stack, tenant: Tenant, tenant_path: str, directory: Path) -> str:
    """Run Prometheus as the guide configures it; return where it answers."""
    address = f"127.0.0.1:{free_port()}"
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {
                "job_name": "hatchet",
                "metrics_path": "/custom-metrics",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}" for port in ports(stack).values()]}
                ],
            },
            {
                "job_name": "hatchet-tenant-metrics",
                "metrics_path": tenant_path,
                "static_configs": [{"targets": [stack.server_url.removeprefix("http://")]}],
                "authorization": {"credentials": tenant.token},
            },
        ],
    }
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
    service = stack.spawn(
        "prometheus",
        [
            str(PROMETHEUS),
            f"--config.file={directory / 'prometheus.yaml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={address}",
        ],
    )
    service.wait_for_output("Server is ready", PATIENCE_SECONDS)
    return address


def get(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=60) as answer:
        told = json.load(answer)
    assert told["status"] == "success", told
    return told["data"]


def query(address: str, expression: str) -> list[Any]:
    asked = urllib.parse.urlencode({"query": expression})
    found: list[Any] = get(address, f"/api/v1/query?{asked}")["result"]
    return found
