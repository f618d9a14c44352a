-- name: durable_wait.insert
-- What new entries wait for: sleeps get their end now, once and for all.
INSERT INTO engine_durablewait (
    task_id, branch_id, node_id, ordinal, tenant_id, "group", is_event, source, data_key, expression,
    scope, since, due_at, satisfied_at, payload)
SELECT task_id, branch_id, node_id, ordinal, tenant_id, number, is_event, source, data_key,
       expression, scope, since, %(now)s::timestamptz + make_interval(secs => sleep_seconds),
       CASE WHEN is_met THEN %(now)s::timestamptz END, payload
  FROM unnest(%(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(node_ids)s::bigint[],
              %(ordinals)s::smallint[], %(tenant_ids)s::uuid[], %(groups)s::smallint[],
              %(events)s::boolean[], %(sources)s::text[], %(data_keys)s::text[],
              %(expressions)s::text[], %(scopes)s::text[], %(since)s::timestamptz[],
              %(sleeps)s::float8[], %(met)s::boolean[], %(payloads)s::bytea[])
       AS u(task_id, branch_id, node_id, ordinal, tenant_id, number, is_event, source, data_key,
            expression, scope, since, sleep_seconds, is_met, payload)
RETURNING 1;

-- name: durable_wait.lock_scopes
-- Registering a wait that looks back, and pushing an event of its scope, exclude each other: either the
-- event is found by the look back, or the wait by the event.
SELECT pg_advisory_xact_lock(hashtextextended(scope, 0))
  FROM (SELECT DISTINCT scope FROM unnest(%(scopes)s::text[]) AS u(scope)
         ORDER BY scope) AS scopes;

-- name: durable_wait.share_scopes
-- The other side: events do not exclude each other.
SELECT pg_advisory_xact_lock_shared(hashtextextended(scope, 0))
  FROM (SELECT DISTINCT scope FROM unnest(%(scopes)s::text[]) AS u(scope)
         ORDER BY scope) AS scopes;

-- name: durable_wait.look_back
-- Events of a scope that were pushed before, newest first, before an id where one is given.
SELECT u.number, e.id AS event_id, e.data AS payload
  FROM unnest(%(numbers)s::int[], %(tenant_ids)s::uuid[], %(keys)s::text[], %(scopes)s::text[],
              %(since)s::timestamptz[], %(since_ids)s::uuid[], %(before_ids)s::uuid[],
              %(limits)s::int[])
       AS u(number, tenant_id, key, scope, since, since_id, before_id, most)
 CROSS JOIN LATERAL (
        SELECT v.id, p.data FROM engine_event v
          LEFT JOIN engine_payload p ON p.owner_id = v.id AND p.kind = :PayloadKind.EVENT
         WHERE v.tenant_id = u.tenant_id AND md5(v.scope) = md5(u.scope) AND v.scope = u.scope
           AND v.key = u.key AND v.id >= u.since_id AND v.id < u.before_id
           AND v.seen_at >= u.since
         ORDER BY v.id DESC LIMIT u.most) AS e
 ORDER BY u.number, e.id DESC;

-- name: durable_wait.for_events
-- Conditions on any of these event keys that are open.
SELECT task_id, branch_id, node_id, ordinal, source, expression, scope FROM engine_durablewait
 WHERE tenant_id = %(tenant_id)s::uuid AND source = ANY(%(keys)s::text[]) AND is_event
   AND satisfied_at IS NULL AND NOT is_dropped
 ORDER BY task_id, branch_id, node_id, ordinal;

-- name: durable_wait.due
-- Sleeps that are over.
SELECT task_id, branch_id, node_id, ordinal, source, expression, scope FROM engine_durablewait
 WHERE due_at <= %(now)s::timestamptz AND satisfied_at IS NULL AND NOT is_dropped
   AND tenant_id = ANY(%(tenant_ids)s::uuid[])
 ORDER BY due_at LIMIT %(limit)s::int;

-- name: durable_wait.postpone
-- A sleep that cannot be ended is looked at again then.
UPDATE engine_durablewait SET due_at = %(until)s::timestamptz
 WHERE task_id = %(task_id)s::uuid AND branch_id = %(branch_id)s::bigint
   AND node_id = %(node_id)s::bigint AND ordinal = %(ordinal)s::smallint AND satisfied_at IS NULL
RETURNING 1;

-- name: durable_wait.of_entries
-- All conditions of entries that are not complete.
SELECT w.task_id, w.branch_id, w.node_id, w.ordinal, w."group", w.is_event, w.source, w.data_key,
       w.satisfied_at IS NOT NULL AS is_met, w.payload
  FROM unnest(%(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(node_ids)s::bigint[])
       AS u(task_id, branch_id, node_id)
  JOIN engine_durablewait w ON w.task_id = u.task_id AND w.branch_id = u.branch_id
       AND w.node_id = u.node_id AND NOT w.is_dropped
 ORDER BY w.task_id, w.branch_id, w.node_id, w.ordinal;

-- name: durable_wait.satisfy
-- Conditions that are met while others of their entries are not.
UPDATE engine_durablewait w SET satisfied_at = %(now)s::timestamptz, payload = u.payload
  FROM unnest(%(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(node_ids)s::bigint[],
              %(ordinals)s::smallint[], %(payloads)s::bytea[])
       AS u(task_id, branch_id, node_id, ordinal, payload)
 WHERE w.task_id = u.task_id AND w.branch_id = u.branch_id AND w.node_id = u.node_id
   AND w.ordinal = u.ordinal
RETURNING 1;

-- name: durable_wait.forget
-- Entries that are complete wait for nothing.
DELETE FROM engine_durablewait w
 USING unnest(%(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(node_ids)s::bigint[])
       AS u(task_id, branch_id, node_id)
 WHERE w.task_id = u.task_id AND w.branch_id = u.branch_id AND w.node_id = u.node_id
RETURNING 1;

-- name: durable_wait.nodes
-- Which entries of a task wait for something.
SELECT DISTINCT branch_id, node_id FROM engine_durablewait WHERE task_id = %(task_id)s::uuid;

-- name: durable_wait.drop
-- After a reset: what abandoned entries of a task wait for does not count, all else does.
UPDATE engine_durablewait w SET is_dropped = u.is_dropped
  FROM unnest(%(branch_ids)s::bigint[], %(node_ids)s::bigint[], %(dropped)s::boolean[])
       AS u(branch_id, node_id, is_dropped)
 WHERE w.task_id = %(task_id)s::uuid AND w.branch_id = u.branch_id AND w.node_id = u.node_id
   AND w.is_dropped <> u.is_dropped
RETURNING 1;
