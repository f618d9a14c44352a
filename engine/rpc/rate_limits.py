"""Rate limits as definitions bring them and as clients set them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.domain.cel.expressions import Environment, compile_expression
from engine.domain.definition import RateLimit
from engine.domain.rate_limits import is_number, key_problem
from engine.errors import InvalidArgument
from engine.pb import workflows_pb2
from engine.pb.v1 import workflows_pb2 as pb
from engine.rpc.parse import check_count, parse_moment
from engine.states import RateLimitWindow

_MOST_LIMITS = 50


def parse_rate_limits(
    limits: Sequence[pb.CreateTaskRateLimit], where: str
) -> tuple[RateLimit, ...]:
    """Return a task's rate limits. One with an expression is dynamic: its plain parts stand for themselves."""
    check_count(limits, _MOST_LIMITS, f"{where}: rate_limits")
    return tuple(_parse(found, f"{where}: rate_limits[{n}]") for n, found in enumerate(limits))


def _parse(found: pb.CreateTaskRateLimit, where: str) -> RateLimit:
    key_expression = _parse_expression(found.key_expr, f"{where}: key_expr", str)
    if not key_expression:
        _parse_key(found.key, f"{where}: key")
    units = found.units if found.HasField("units") else 1
    if units < 0:
        raise InvalidArgument(f"{where}: units cannot be negative")
    return RateLimit(
        key="" if key_expression else found.key,
        key_expression=key_expression,
        units=units,
        units_expression=_parse_expression(found.units_expr, f"{where}: units_expr"),
        limit_expression=_parse_expression(found.limit_values_expr, f"{where}: limit_values_expr"),
        window=_parse_window(found.duration, f"{where}: duration")
        if found.HasField("duration")
        else RateLimitWindow.MINUTE,
    )


def _parse_expression(expression: str, field: str, wanted: type | None = None) -> str:
    """Return the expression, blank for none. Those of numbers may come to doubles as well."""
    if not expression.strip():
        return ""
    if not is_number(expression) or wanted:
        compile_expression(expression, Environment.KEY, field, wanted)
    return expression


def _parse_key(key: str, field: str) -> str:
    if problem := key_problem(key):
        raise InvalidArgument(f"{field} {problem}")
    return key


def _parse_window(number: int, field: str) -> RateLimitWindow:
    try:
        return RateLimitWindow(number)
    except ValueError:
        raise InvalidArgument(f"{field} {number} is unknown") from None


def parse_put(request: workflows_pb2.PutRateLimitRequest) -> tuple[str, int, RateLimitWindow]:
    key = _parse_key(request.key, "key")
    if request.limit < 0:
        raise InvalidArgument("limit cannot be negative")
    return key, request.limit, _parse_window(request.duration, "duration")


def parse_pause(request: workflows_pb2.PauseRateLimitRequest) -> tuple[str, datetime]:
    key = _parse_key(request.key, "key")
    if not request.HasField("paused_until"):
        raise InvalidArgument("paused_until is required")
    return key, parse_moment(request.paused_until, "paused_until")
