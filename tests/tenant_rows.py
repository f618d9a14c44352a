"""Everything that the database holds of a tenant, so that a test can say that nothing of it changed."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import connection

_TABLES = """
SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE attname = 'tenant_id' AND atttypid = 'uuid'::regtype AND relkind IN ('r', 'p')
AND NOT relispartition AND relnamespace = 'public'::regnamespace
ORDER BY relname
"""


def rows_of(tenant_id: UUID, *, but: Collection[str] = ()) -> dict[str, list[str]]:
    """By table, the texts of all rows that bear the tenant's id; `but` names tables left out."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = [name for (name,) in cursor.fetchall()]
        for table in sorted({*tables} - {*but}):
            cursor.execute(f'SELECT t::text FROM "{table}" t WHERE tenant_id = %s', [tenant_id])
            found[table] = sorted(text for (text,) in cursor.fetchall())
        cursor.execute("SELECT t::text FROM tenants_tenant t WHERE id = %s", [tenant_id])
        found["tenants_tenant"] = [text for (text,) in cursor.fetchall()]
    return found
