"""Whether this web process can serve: the answers of /api/live and /api/ready."""

from __future__ import annotations

from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

# Rows that do not fit into `work_mem` go to a file of the server, which is gone with the statement: the
# cheapest way to learn whether its disk still takes something, without a row that would have to be removed.
_LEAST_WORK_MEM = "64kB"
_ROWS_FOR_A_FILE = 5_000


def live(_: HttpRequest) -> HttpResponse:
    """200 without a body, or 500 when the database cannot be reached."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return _failure("the database cannot be reached")
    return HttpResponse()


def ready(_: HttpRequest) -> HttpResponse:
    """200 without a body, or 500 when the database cannot be reached or takes no data."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_read_only')::boolean")
            if cursor.fetchone() == (True,):
                return _failure("the database is read-only")
            cursor.execute("SELECT set_config('work_mem', %s, true)", [_LEAST_WORK_MEM])
            cursor.execute("SELECT count(*) FROM generate_series(1, %s)", [_ROWS_FOR_A_FILE])
    except DatabaseError as error:
        if connection.connection is None or connection.connection.closed:
            return _failure("the database cannot be reached")
        return _failure(f"the database takes no data: {' '.join(str(error).split())}")
    return HttpResponse()


def _failure(description: str) -> JsonResponse:
    return JsonResponse({"errors": [{"description": description}]}, status=500)
