"""Stored definitions as pages want them: their steps in words, their graphs drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.graph import NODE_HEIGHT, NODE_WIDTH, lay_out
from engine.domain.definition import WorkflowDefinition
from engine.domain.definition_form import from_canonical_form
from engine.states import StepKind


def definition_of(stored: Any) -> WorkflowDefinition | None:
    """Rebuild a stored definition; None when there is none."""
    return from_canonical_form(stored) if stored else None


def on_failure_steps(definition: WorkflowDefinition | None) -> set[str]:
    steps = definition.steps if definition else ()
    return {step.readable_id for step in steps if step.kind is StepKind.ON_FAILURE}


def drawing(
    definition: WorkflowDefinition, states: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """What the graph's template draws. `states` holds `state` and `task` of each step of a run."""
    on_failure = on_failure_steps(definition)
    graph = lay_out({step.readable_id: step.parents for step in definition.steps}, on_failure)
    nodes: list[dict[str, Any]] = []
    for node in graph.nodes:
        if states is not None:
            nodes.append({"node": node, **states[node.name]})
        else:
            is_last = node.name in on_failure
            words = "on failure" if is_last else "task"
            nodes.append(
                {"node": node, "words": words, "state": "warning" if is_last else "queued"}
            )
    return {
        "nodes": nodes,
        "edges": graph.edges,
        "width": graph.width,
        "height": graph.height,
        "node_width": NODE_WIDTH,
        "node_height": NODE_HEIGHT,
    }
