"""Offset pages in the contract's shape, with one formula for every list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet

from tenants.api.errors import AnyDict
from tenants.api.params import Query

MOST_ROWS = 20_000
COUNTED_AT_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Page:
    offset: int
    limit: int

    @classmethod
    def of(cls, query: Query, default_limit: int = 50) -> Page:
        return cls(
            offset=query.integer("offset", 0, minimum=0),
            limit=query.integer("limit", default_limit, minimum=1, maximum=MOST_ROWS),
        )

    def slice(self, rows: QuerySet[Any]) -> list[Any]:
        return list(rows[self.offset : self.offset + self.limit])

    def answer(self, rows: Sequence[AnyDict], total: int | None) -> AnyDict:
        """Return the body of a list; `total` None means that nobody counted."""
        current = self.offset // self.limit + 1
        pages = 0 if total is None else -(-total // self.limit)
        following = current + 1 if total is None else max(min(current + 1, pages), 1)
        return {
            "pagination": {
                "current_page": current,
                "num_pages": pages,
                "next_page": following,
            },
            "rows": rows,
        }


def count_up_to(rows: QuerySet[Model], most: int = COUNTED_AT_MOST) -> int:
    """Count rows, but never more than a page count needs."""
    return rows.order_by()[:most].count()


def whole(rows: Sequence[AnyDict]) -> AnyDict:
    """The body of a list that always fits on one page."""
    return {"pagination": {"current_page": 1, "num_pages": 1, "next_page": 1}, "rows": rows}
