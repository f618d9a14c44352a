"""Offset pages in the contract's shape, with one formula for every list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from django.db.models import Model, QuerySet

from tenants.rest import in_query
from tenants.rest.errors import AnyDict

MOST_ROWS = 20_000
COUNTED_AT_MOST = 20_000
ROWS_AT_A_TIME = 500


class PaginationResponse(TypedDict):
    """`num_pages` is 0 where nobody counted."""

    current_page: int
    num_pages: int
    next_page: int


@dataclass(frozen=True, slots=True)
class Page:
    offset: int = in_query.whole("offset", 0, minimum=0)
    limit: int = in_query.whole("limit", 50, minimum=1, maximum=MOST_ROWS)

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
