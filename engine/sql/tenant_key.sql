-- name: tenant_key.current
-- The newest data key of each of these tenants.
SELECT DISTINCT ON (tenant_id) id, tenant_id, wrapped, master FROM engine_tenantkey
 WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
 ORDER BY tenant_id, id DESC;

-- name: tenant_key.by_ids
SELECT id, tenant_id, wrapped, master FROM engine_tenantkey WHERE id = ANY(%(ids)s::uuid[]);

-- name: tenant_key.insert
-- A data key. Of several made at once for a tenant the newest is used; the others read what they wrote.
INSERT INTO engine_tenantkey (id, tenant_id, wrapped, master, created_at)
VALUES (%(id)s::uuid, %(tenant_id)s::uuid, %(wrapped)s::bytea, %(master)s::text, %(now)s::timestamptz)
RETURNING id;

-- name: tenant_key.masters
-- One key of each master key that is needed still.
SELECT DISTINCT ON (master) id, tenant_id, wrapped, master FROM engine_tenantkey ORDER BY master, id;

-- name: tenant_key.not_wrapped_by
-- Some keys that another master key encrypts.
SELECT id, tenant_id, wrapped, master FROM engine_tenantkey
 WHERE id > %(after)s::uuid AND master <> %(master)s::text ORDER BY id LIMIT %(limit)s::int;

-- name: tenant_key.wrap_anew
-- The same key under another master key, unless somebody was first.
UPDATE engine_tenantkey SET wrapped = %(wrapped)s::bytea, master = %(master)s::text
 WHERE id = %(id)s::uuid AND master = %(before)s::text RETURNING id;
