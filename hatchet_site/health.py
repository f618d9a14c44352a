"""Whether this web process can serve: the answer of both /api/live and /api/ready."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse


def check(_: HttpRequest) -> HttpResponse:
    """200 without a body, or 500 when the database cannot be reached."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        errors = {"errors": [{"description": "the database cannot be reached"}]}
        return JsonResponse(errors, status=500)
    return HttpResponse()
