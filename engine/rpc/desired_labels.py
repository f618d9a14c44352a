"""Labels that workers are asked to have, checked."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import InvalidArgument
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.parse import MAX_LABELS, check_count, parse_key, parse_text
from engine.states import Comparator
from engine.types import DEFAULT_WEIGHT, DesiredLabel, DesiredLabels


def parse_desired_labels(
    wanted: Mapping[str, trigger_pb2.DesiredWorkerLabels], field: str
) -> DesiredLabels:
    """Return the labels in the order of their keys."""
    check_count(wanted, MAX_LABELS, field)
    return tuple(_parse_desired_label(key, wanted[key], field) for key in sorted(wanted))


def _parse_desired_label(
    key: str, wanted: trigger_pb2.DesiredWorkerLabels, field: str
) -> DesiredLabel:
    name = parse_key(key, f"{field} key")
    where = f'{field} "{name}"'
    has_text, has_number = wanted.HasField("str_value"), wanted.HasField("int_value")
    if has_text == has_number:
        raise InvalidArgument(f"{where} needs either a string or an integer value")
    try:
        comparator = Comparator(wanted.comparator)
    except ValueError:
        raise InvalidArgument(f"{where}: comparator {wanted.comparator} is unknown") from None
    if comparator.is_ordered and has_text:
        raise InvalidArgument(f"{where}: {comparator.name} compares integers only")
    return DesiredLabel(
        key=name,
        value=parse_text(wanted.str_value, where) if has_text else wanted.int_value,
        comparator=comparator,
        weight=wanted.weight if wanted.HasField("weight") else DEFAULT_WEIGHT,
        is_required=wanted.required,
    )
