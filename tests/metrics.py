"""What Prometheus would read at a port, and the names of what is told there."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

GRAFANA = Path(__file__).parent.parent / "deploy" / "grafana"
ALERTS = GRAFANA / "alerts.yaml"
BOARDS = sorted(GRAFANA.glob("*.json"))
_NAME = re.compile(r"\b((?:hatchet|process)_[a-z_]+)\b")
_PARTS = {
    "counter": ("",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}

Samples = dict[tuple[str, ...], float]


def samples_in(text: str) -> Samples:
    """Values by the name of the sample and then its labels, in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def samples_of(registry: CollectorRegistry) -> Samples:
    return samples_in(generate_latest(registry).decode())


def scrape(port: int, path: str = "/metrics", **headers: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def names_told(text: str) -> set[str]:
    """The names of all samples that may be in such an answer, also those that have no value yet."""
    found = re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE)
    return {name + part for name, kind in found for part in _PARTS.get(kind, ("",))}


def expressions() -> Iterator[tuple[str, str]]:
    """What the boards and the alert rules ask for, each with where it stands."""
    for rule in alert_rules():
        yield rule["alert"], rule["expr"]
    for board in BOARDS:
        for panel in json.loads(board.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{board.name}: {panel['title']}", target["expr"]


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def names_asked_for() -> dict[str, str]:
    """The metrics that they name, each with a place where it is."""
    return {name: where for where, text in expressions() for name in _NAME.findall(text)}
