-- name: filter.drop_declared
-- Declared filters end with the version that declared them; those clients made stay.
DELETE FROM engine_filter WHERE workflow_id = %(workflow_id)s::uuid AND is_declared RETURNING id;

-- name: filter.insert
-- Filters of one workflow; nothing for those it has already.
INSERT INTO engine_filter (id, tenant_id, workflow_id, scope, expression, payload, digest, is_declared,
                           created_at, updated_at)
SELECT id, %(tenant_id)s::uuid, %(workflow_id)s::uuid, scope, expression, payload, digest,
       %(is_declared)s::boolean, %(now)s::timestamptz, %(now)s::timestamptz
  FROM unnest(%(ids)s::uuid[], %(scopes)s::text[], %(expressions)s::text[], %(payloads)s::bytea[],
              %(digests)s::bytea[]) AS u(id, scope, expression, payload, digest)
ON CONFLICT (workflow_id, digest) DO NOTHING
RETURNING id;

-- name: filter.for_events
-- The filters that events of these keys and scopes are to pass; the keys match as in event.triggers.
SELECT id, workflow_id, scope, expression, payload, xmin::text AS revision FROM engine_filter
 WHERE scope = ANY(%(scopes)s::text[])
   AND workflow_id IN (
       SELECT t.workflow_id
         FROM unnest(%(keys)s::text[]) AS k(key)
         JOIN engine_eventtrigger t ON t.tenant_id = %(tenant_id)s::uuid
              AND (t.pattern = k.key OR (t.like_pattern IS NOT NULL AND k.key LIKE t.like_pattern)))
 ORDER BY id;

-- name: filter.lock
SELECT id, workflow_id, scope, expression, payload, xmin::text AS revision FROM engine_filter
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid FOR UPDATE;

-- name: filter.same
-- Another filter of the workflow that says the same.
SELECT id FROM engine_filter
 WHERE workflow_id = %(workflow_id)s::uuid AND digest = %(digest)s::bytea AND id <> %(id)s::uuid;

-- name: filter.update
UPDATE engine_filter
   SET scope = %(scope)s::text, expression = %(expression)s::text, payload = %(payload)s::bytea,
       digest = %(digest)s::bytea, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid RETURNING id;

-- name: filter.delete
DELETE FROM engine_filter
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid RETURNING id;

-- name: filter.insert_failures
-- Expressions that failed on what they were given.
INSERT INTO engine_celfailure (id, tenant_id, source, workflow_id, event_id, expression, error, at)
SELECT id, %(tenant_id)s::uuid, source, workflow_id, event_id, expression, error,
       %(now)s::timestamptz
  FROM unnest(%(ids)s::uuid[], %(sources)s::smallint[], %(workflow_ids)s::uuid[],
              %(event_ids)s::uuid[], %(expressions)s::text[], %(errors)s::text[])
       AS u(id, source, workflow_id, event_id, expression, error)
RETURNING id;

-- name: filter.forget_failures
-- Failures older than the day of this id; some at a time.
DELETE FROM engine_celfailure WHERE id IN (
    SELECT id FROM engine_celfailure WHERE id < %(before)s::uuid ORDER BY id LIMIT 10000)
RETURNING id;
