"""One row by its id, for what nearly every request asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)

_ANY_ID = UUID(int=0)


class _Compiled(NamedTuple):
    model: type[Any]
    statement: str
    names: list[str]
    converters: dict[int, Any]


class RowById(Generic[Row]):
    """Finds what `rows().filter(id=…).first()` finds; Django puts the statement together once, not each time."""

    def __init__(self, rows: Callable[[], models.QuerySet[Row]]) -> None:
        self._rows = rows

    @cached_property
    def _compiled(self) -> _Compiled:
        rows = self._rows()
        compiler: Any = rows.filter(id=_ANY_ID).order_by().query.get_compiler(connection=connection)
        statement, parameters = compiler.as_sql()
        assert tuple(parameters) == (_ANY_ID,), "the id must be all that differs"
        columns = [expression for expression, _, _ in compiler.select]
        return _Compiled(
            rows.model,
            statement,
            [column.target.attname for column in columns],
            compiler.get_converters(columns),
        )

    def find(self, row_id: UUID) -> Row | None:
        model, statement, names, converters = self._compiled
        with connection.cursor() as cursor:
            cursor.execute(statement, (row_id,))
            found = cursor.fetchone()
        if found is None:
            return None
        values = list(found)
        for place, (functions, expression) in converters.items():
            for convert in functions:
                values[place] = convert(values[place], expression, connection)
        row: Row = model.from_db(connection.alias, names, values)
        return row
