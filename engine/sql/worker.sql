-- name: worker.insert
INSERT INTO engine_worker (
    id, tenant_id, name, actions, slots, labels, is_active, is_paused, sdk_version, language,
    language_version, os, runtime_extra, created_at, updated_at)
VALUES (%(id)s::uuid, %(tenant_id)s::uuid, %(name)s::text, %(actions)s::text[], %(slots)s::text::jsonb,
        %(labels)s::text::jsonb, false, false, %(sdk_version)s::text, %(language)s::text,
        %(language_version)s::text, %(os)s::text, %(runtime_extra)s::text, %(now)s::timestamptz,
        %(now)s::timestamptz)
RETURNING id;

-- name: worker.open_session
-- A stream opened: the worker is active, bound to this engine, since now. It may take what the one before
-- did not.
UPDATE engine_worker
   SET is_active = true, stalled_since = NULL, engine_id = %(engine_id)s::uuid, last_listener_at = %(now)s::timestamptz,
       updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid
RETURNING id;

-- name: worker.close_session
-- A stream ended: the worker is inactive unless a newer stream was opened since.
UPDATE engine_worker SET is_active = false, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND last_listener_at <= %(opened_at)s::timestamptz AND is_active
RETURNING id;

-- name: worker.unsubscribe
UPDATE engine_worker SET is_active = false, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid RETURNING id;

-- name: worker.beat
-- Heartbeats of known workers that are active or never listened; returns all known ones.
WITH beats AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[]) AS u(id, tenant_id)
), beaten AS (
    UPDATE engine_worker w SET last_heartbeat_at = %(now)s::timestamptz
      FROM beats b
     WHERE w.id = b.id AND w.tenant_id = b.tenant_id
       AND (w.is_active OR w.last_listener_at IS NULL)
    RETURNING w.id
)
SELECT w.id AS worker_id, w.id IN (SELECT id FROM beaten) AS recorded
  FROM engine_worker w JOIN beats b ON w.id = b.id AND w.tenant_id = b.tenant_id;

-- name: worker.upsert_labels
UPDATE engine_worker SET labels = labels || %(labels)s::text::jsonb, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid RETURNING id;

-- name: worker.set_paused
UPDATE engine_worker SET is_paused = %(is_paused)s::boolean, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid RETURNING id;

-- name: worker.stall
-- Workers that have not acknowledged what they were sent over the streams they have now, and when that was.
UPDATE engine_worker w SET stalled_since = u.since, updated_at = %(now)s::timestamptz
  FROM unnest(%(ids)s::uuid[], %(sinces)s::timestamptz[]) AS u(id, since)
 WHERE w.id = u.id AND w.tenant_id = %(tenant_id)s::uuid AND w.stalled_since IS NULL
   AND w.last_listener_at <= u.since
RETURNING w.id;

-- name: worker.recover
-- Stalled workers that have acknowledged something they were sent since then: those that were heard, and those
-- that started what they run, or one of these tasks, which may have ended meanwhile.
UPDATE engine_worker w SET stalled_since = NULL, updated_at = %(now)s::timestamptz
 WHERE w.id = ANY(%(ids)s::uuid[]) AND w.tenant_id = %(tenant_id)s::uuid
   AND w.stalled_since IS NOT NULL
   AND (w.id = ANY(%(heard)s::uuid[])
     OR EXISTS (SELECT FROM engine_task t
                 WHERE t.worker_id = w.id AND t.status = :Status.RUNNING AND t.started_at IS NOT NULL
                   AND t.assigned_at >= w.stalled_since)
     OR EXISTS (SELECT FROM engine_task t
                 WHERE t.id = ANY(%(task_ids)s::uuid[]) AND t.worker_id = w.id
                   AND t.started_at IS NOT NULL AND t.assigned_at >= w.stalled_since)
     OR EXISTS (SELECT FROM engine_task t
                  JOIN engine_taskevent e
                    ON e.run_id = t.run_id AND e.task_id = t.id AND e.kind = :TaskEventKind.ACKNOWLEDGED
                 WHERE t.id = ANY(%(task_ids)s::uuid[]) AND t.worker_id = w.id
                   AND e.retry_count = t.retry_count AND t.assigned_at >= w.stalled_since))
RETURNING w.id;

-- name: worker.recover_late
-- Stalled workers that speak of attempts they were sent since then, and that were taken back meanwhile.
UPDATE engine_worker w SET stalled_since = NULL, updated_at = %(now)s::timestamptz
  FROM unnest(%(task_ids)s::uuid[], %(tenant_ids)s::uuid[], %(retry_counts)s::int[])
       AS u(task_id, tenant_id, retry_count)
  JOIN engine_task t ON t.id = u.task_id AND t.tenant_id = u.tenant_id
  JOIN engine_taskevent e
    ON e.run_id = t.run_id AND e.task_id = t.id AND e.retry_count = u.retry_count
   AND e.kind = :TaskEventKind.ASSIGNED
 WHERE w.id = e.worker_id AND e.at >= w.stalled_since
RETURNING w.id;

-- name: worker.of_tenant
-- Workers a scheduler has to know: heard of lately, or still holding tasks. A stream that a dead engine
-- held does not make its worker active.
SELECT id, actions, slots::text, labels::text, is_active AND EXISTS (
           SELECT FROM engine_engineprocess e WHERE e.id = w.engine_id
              AND e.heartbeat_at > now() - make_interval(secs => %(lease_seconds)s::float8)) AS is_active,
       is_paused, last_heartbeat_at, engine_id, updated_at, stalled_since IS NOT NULL AS is_stalled
  FROM engine_worker w
 WHERE tenant_id = %(tenant_id)s::uuid
   AND (last_heartbeat_at > %(since)s::timestamptz OR created_at > %(since)s::timestamptz
        OR EXISTS (SELECT FROM engine_task t WHERE t.worker_id = w.id AND t.status = :Status.RUNNING));

-- name: worker.by_ids
-- The same of some workers.
SELECT id, actions, slots::text, labels::text, is_active AND EXISTS (
           SELECT FROM engine_engineprocess e WHERE e.id = w.engine_id
              AND e.heartbeat_at > now() - make_interval(secs => %(lease_seconds)s::float8)) AS is_active,
       is_paused, last_heartbeat_at, engine_id, updated_at, stalled_since IS NOT NULL AS is_stalled
  FROM engine_worker w WHERE id = ANY(%(ids)s::uuid[]) AND tenant_id = %(tenant_id)s::uuid;

-- name: worker.names
-- What workers are called.
SELECT id AS worker_id, name FROM engine_worker WHERE tenant_id = %(tenant_id)s::uuid AND id = ANY(%(ids)s::uuid[]);
