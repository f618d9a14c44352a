"""Offset pages in the contract's shape, with one formula for every list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet

from tenants.rest.errors import AnyDict
from tenants.rest.params import Query

MOST_ROWS = 20_000
COUNTED_AT_MOST = 20_000
ROWS_AT_A_TIME = 500


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

    def chunks(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """Yield the rows of this page a few at a time, so that a long page is never in memory whole."""
        if self.limit <= ROWS_AT_A_TIME:
            yield self.slice(rows)
            return
        keys = self.slice(rows.values_list("pk", flat=True))
        for start in range(0, len(keys), ROWS_AT_A_TIME):
            yield list(rows.filter(pk__in=keys[start : start + ROWS_AT_A_TIME]))

    def answer(self, rows: Sequence[object], total: int | None) -> AnyDict:
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


def whole(rows: Sequence[object]) -> AnyDict:
    """The body of a list that always fits on one page."""
    return {"pagination": {"current_page": 1, "num_pages": 1, "next_page": 1}, "rows": rows}
