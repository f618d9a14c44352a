-- name: event.insert
-- Pushed events with their payloads.
WITH wanted AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(keys)s::text[], %(scopes)s::text[], %(metadata)s::text[],
                         %(priorities)s::smallint[], %(payloads)s::bytea[])
        AS u(id, key, scope, metadata, priority, payload)
), payloads AS (
    INSERT INTO engine_payload (owner_id, kind, attempt, data)
    SELECT id, :PayloadKind.EVENT, 0, payload FROM wanted
)
INSERT INTO engine_event (id, tenant_id, key, scope, additional_metadata, priority, seen_at)
SELECT id, %(tenant_id)s::uuid, key, scope, metadata::jsonb, priority, %(now)s::timestamptz FROM wanted
RETURNING 1;

-- name: event.triggers
-- Event triggers these keys may match: equal patterns and all wildcards that fit; with the latest versions.
SELECT k.key, t.pattern, w.id AS workflow_id, w.name AS workflow_name,
       EXISTS (SELECT FROM engine_filter f WHERE f.workflow_id = w.id) AS has_filters,
       v.id AS version_id
  FROM unnest(%(keys)s::text[]) AS k(key)
  JOIN engine_eventtrigger t ON t.tenant_id = %(tenant_id)s::uuid
       AND (t.pattern = k.key OR (t.like_pattern IS NOT NULL AND k.key LIKE t.like_pattern))
  JOIN engine_workflow w ON w.id = t.workflow_id AND w.deleted_at IS NULL
  JOIN LATERAL (SELECT id FROM engine_workflowversion
                 WHERE workflow_id = w.id ORDER BY "order" DESC LIMIT 1) v ON true
 ORDER BY k.key, w.name, t.pattern;

-- name: event.hold_targets
-- Fails with HT002 unless events of these keys and scopes meet what they were found to meet, and nothing waits
-- for them.
SELECT engine_hold_event_targets(%(tenant_id)s::uuid, %(keys)s::text[], %(scopes)s::text[],
                                 %(targets)s::text[])::text;

-- name: event.by_id
-- An event as it was pushed.
SELECT e.key, p.data AS payload, e.additional_metadata::text, e.priority, e.scope
  FROM engine_event e LEFT JOIN engine_payload p ON p.owner_id = e.id AND p.kind = :PayloadKind.EVENT
 WHERE e.id = %(id)s::uuid AND e.tenant_id = %(tenant_id)s::uuid;

-- name: event.metadata
-- Metadata of events that have some; the smallest come with their text until the next would make them more
-- than the room there is.
SELECT id, length, CASE WHEN running <= %(room)s::bigint THEN metadata END AS metadata
  FROM (SELECT id, octet_length(metadata) AS length, metadata,
               sum(octet_length(metadata)) OVER (ORDER BY octet_length(metadata), id DESC) AS running
          FROM (SELECT id, additional_metadata::text AS metadata FROM engine_event
                 WHERE id = ANY(%(ids)s::uuid[]) AND additional_metadata IS NOT NULL) m) r;
