"""Keyset pages: a page costs the same however far down the list it is."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from django.db import models
from django.db.models import Q, QuerySet

Row = TypeVar("Row", bound=models.Model)


def newest_page(
    rows: QuerySet[Row], *, before: UUID | None, after: UUID | None, size: int
) -> tuple[list[Row], bool, bool]:
    """Return one page by id, newest first, and whether newer and older rows exist beside it.

    `before` pages towards older rows, `after` towards newer ones; `before` wins when both are given.
    """
    if before is not None:
        page = list(rows.filter(Q(id__lt=before)).order_by("-id")[: size + 1])
        return page[:size], True, len(page) > size
    if after is not None:
        page = list(rows.filter(Q(id__gt=after)).order_by("id")[: size + 1])
        return page[:size][::-1], len(page) > size, True
    page = list(rows.order_by("-id")[: size + 1])
    return page[:size], False, len(page) > size
