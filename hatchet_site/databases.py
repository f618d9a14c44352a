"""From a connection string to what Django wants to know."""

from __future__ import annotations

from typing import Any

from psycopg.conninfo import conninfo_to_dict


def django_database(url: str) -> dict[str, Any]:
    """Every parameter of the string is kept: what Django does not name goes to the driver."""
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    return {
        "ENGINE": "hatchet_site.postgres",
        "NAME": parts.pop("dbname", ""),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": parts,
        # Requests run in threads that live on, so a connection is opened once, not per request.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
