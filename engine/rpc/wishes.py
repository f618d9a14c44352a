"""Wishes for workers by label, checked."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import InvalidArgument
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.parse import MAX_LABELS, check_count, parse_key, parse_text
from engine.states import Comparator
from engine.types import DEFAULT_WEIGHT, LabelWish, LabelWishes


def parse_wishes(wanted: Mapping[str, trigger_pb2.DesiredWorkerLabels], field: str) -> LabelWishes:
    """Return the wishes in the order of their keys."""
    check_count(wanted, MAX_LABELS, field)
    return tuple(_parse_wish(key, wanted[key], field) for key in sorted(wanted))


def _parse_wish(key: str, wanted: trigger_pb2.DesiredWorkerLabels, field: str) -> LabelWish:
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
    return LabelWish(
        key=name,
        value=parse_text(wanted.str_value, where) if has_text else wanted.int_value,
        comparator=comparator,
        weight=wanted.weight if wanted.HasField("weight") else DEFAULT_WEIGHT,
        is_required=wanted.required,
    )
