"""Every path below /api, and that of the collector of spans, as Django's own table has it, with one existing thing of each kind to put into it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

from django.urls import URLPattern, URLResolver, get_resolver

from tenants.rest.schema import Operation

QUERIES = {"api/v1/stable/dags/tasks": "?tenant=<str:tenant>&dag_ids=<str:run>"}
"""Where the tenant is named in the query."""
_PLACE = re.compile(r"<(?:str|path):(\w+)>")


class Route(NamedTuple):
    text: str
    view: Any
    operations: tuple[Operation, ...]

    def path(self, ids: dict[str, str]) -> str:
        text = self.text + QUERIES.get(self.text, "")
        return "/" + _PLACE.sub(lambda match: ids.get(match[1], str(uuid4())), text)


def _routes() -> Iterator[Route]:
    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
        for pattern in patterns:
            text = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, text)
            elif text.startswith(("api/", "v1/")):
                callback: Any = pattern.callback
                given = getattr(callback, "initkwargs", {})
                yield Route(text, getattr(callback, "cls", None), given.get("operations", ()))

    return walk(get_resolver().url_patterns, "")


ROUTES = sorted({route.text: route for route in reversed([*_routes()])}.values(), key=str)
"""One for each path, which is the first that has it, in order."""
