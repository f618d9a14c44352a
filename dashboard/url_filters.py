"""What lists other than the runs' are narrowed by; as there, the query string alone keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

from dashboard.run_filters import WINDOWS
from engine.models.metadata_filters import metadata_reads
from engine.models.pages import newest_page

MAX_TEXT = 500

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class ListFilters:
    """`texts` are the filters of one kind of list by their names in the query string."""

    workflow_id: UUID | None = None
    window: str = ""
    texts: tuple[tuple[str, str], ...] = ()
    before: UUID | None = None
    after: UUID | None = None

    @property
    def is_narrowed(self) -> bool:
        return bool(self.workflow_id or any(value for _, value in self.texts))

    @property
    def is_first_page(self) -> bool:
        return self.before is None and self.after is None

    @property
    def query_string(self) -> str:
        return self._query_string()

    def text(self, name: str) -> str:
        return dict(self.texts).get(name, "")

    @property
    def has_wrong_metadata(self) -> bool:
        return bool(self.text("meta")) and ":" not in self.text("meta")

    def metadata_condition(self) -> Q:
        """What `meta`, `key:value`, asks of rows; nothing if it is blank or no such pair."""
        key, colon, value = self.text("meta").partition(":")
        return metadata_reads(key.strip(), value.strip()) if colon else Q()

    def since(self, now: datetime) -> datetime | None:
        length = WINDOWS[self.window][1] if self.window else None
        return None if length is None else now - length

    def page(self, rows: QuerySet[Row], *, size: int) -> tuple[list[Row], dict[str, Any]]:
        """Return the rows of this page, and what its template needs to lead to the next ones."""
        page, has_newer, has_older = newest_page(
            rows, before=self.before, after=self.after, size=size
        )
        return page, {"filters": self} | self._pager(page, has_newer, has_older)

    def page_of_shown(
        self, rows: QuerySet[Row], kinds: Mapping[str, tuple[str, Q]], *, size: int
    ) -> tuple[list[Row], dict[str, Any]]:
        """The same of the rows that `show` names, for lists with a link to each kind of their rows."""
        show = self.text("show") if self.text("show") in kinds else ""
        page, pager = self.page(rows.filter(kinds[show][1]), size=size)
        choices = [(name, words) for name, (words, _) in kinds.items()]
        return page, pager | {"show": show, "choices": choices}

    def _pager(self, page: Sequence[Any], has_newer: bool, has_older: bool) -> dict[str, Any]:
        """The query strings of this page, to fetch it again, and of its neighbours."""
        here = {"before": self.before} if self.before else {"after": self.after}
        return {
            "query_string": self._query_string(**here),
            "newer": self._query_string(after=page[0].id) if page and has_newer else None,
            "older": self._query_string(before=page[-1].id) if page and has_older else None,
        }

    def _query_string(self, **place: UUID | None) -> str:
        pairs: list[tuple[str, Any]] = [("workflow", self.workflow_id), ("window", self.window)]
        pairs += [*self.texts, *place.items()]
        return urlencode([(name, value) for name, value in pairs if value])


def parse_list_filters(query: QueryDict, *texts: str, default_window: str = "") -> ListFilters:
    """Take what makes sense; `texts` are the names of a list's own filters."""
    window = query.get("window", default_window)
    return ListFilters(
        workflow_id=parse_id(query.get("workflow", "")),
        window=window if window in WINDOWS and default_window else default_window,
        texts=tuple((name, _clean(query.get(name, ""))) for name in texts),
        before=parse_id(query.get("before", "")),
        after=parse_id(query.get("after", "")),
    )


def parse_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _clean(text: str) -> str:
    """Postgres takes no NUL in a text, and nobody means to search for one."""
    return text.replace("\0", "").strip()[:MAX_TEXT]
