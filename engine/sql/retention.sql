-- name: retention.take_turn
-- Whether this transaction alone clears what is old; it does until it ends.
SELECT pg_try_advisory_xact_lock(hashtextextended('hatchet.retention', 0));

-- name: retention.periods
-- How long the tenants there are keep what, in seconds, where they say so; each has a row at least.
SELECT t.id AS tenant_id, r.kind, r.seconds
  FROM tenants_tenant t LEFT JOIN tenants_retentionperiod r ON r.tenant_id = t.id
 WHERE t.deleted_at IS NULL;

-- name: retention.days
-- The days of which these tables have partitions, the oldest first.
SELECT DISTINCT right(c.relname, 8) AS day
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
  JOIN pg_class p ON p.oid = i.inhparent
 WHERE i.inhparent = ANY(SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS u(name))
   AND left(c.relname, -9) = p.relname AND right(c.relname, 9) ~ '^_[0-9]{8}$'
 ORDER BY 1;

-- name: retention.drop_day
-- Drops a day's partitions of these tables; false if there is live work in them after all.
SELECT engine_drop_day(%(tables)s::text[], %(day)s::text);

-- name: retention.needs_runs
-- Whether runs of a day are needed: live ones, those of tenants that keep them for longer, children of live
-- runs, parents of live runs, and those one of whose tasks lies beyond midnight.
SELECT EXISTS (SELECT FROM engine_run r
                WHERE r.id >= %(first)s::uuid AND r.id < %(until)s::uuid AND r.status < :Status.COMPLETED)
    OR EXISTS (SELECT FROM unnest(%(holders)s::uuid[]) AS t(id)
                 JOIN engine_run r ON r.tenant_id = t.id
                WHERE r.id >= %(first)s::uuid AND r.id < %(until)s::uuid)
    OR EXISTS (SELECT FROM engine_run r JOIN engine_run p ON p.id = r.parent_run_id
                WHERE r.id >= %(first)s::uuid AND r.id < %(until)s::uuid
                  AND p.id < %(late)s::uuid AND p.status < :Status.COMPLETED)
    OR EXISTS (SELECT FROM engine_run c
                WHERE c.parent_task_id >= %(first)s::uuid AND c.parent_task_id < %(late)s::uuid
                  AND c.status < :Status.COMPLETED)
    OR EXISTS (SELECT FROM engine_task t JOIN engine_run r ON r.id = t.run_id
                WHERE t.id >= %(first)s::uuid AND t.id < %(until)s::uuid AND t.run_id < %(first)s::uuid);

-- name: retention.needs_task_events
-- Whether the event log of a day tells of runs that are still there.
SELECT EXISTS (SELECT FROM engine_run r WHERE r.id >= %(first)s::uuid AND r.id < %(until)s::uuid)
    OR EXISTS (SELECT FROM engine_run r
                WHERE r.id < %(late)s::uuid
                  AND EXISTS (SELECT FROM engine_taskevent e
                               WHERE e.run_id = r.id AND e.id >= %(first)s::uuid AND e.id < %(until)s::uuid));

-- name: retention.needs_durable_logs
-- Whether tasks of a day are still there, whose durable logs lie beside them.
SELECT EXISTS (SELECT FROM engine_task t WHERE t.id >= %(first)s::uuid AND t.id < %(until)s::uuid);

-- name: retention.needs_payloads
-- Whether anything of a day is still there that may own a payload.
SELECT EXISTS (SELECT FROM engine_run r WHERE r.id >= %(first)s::uuid AND r.id < %(until)s::uuid)
    OR EXISTS (SELECT FROM engine_task t WHERE t.id >= %(first)s::uuid AND t.id < %(until)s::uuid)
    OR EXISTS (SELECT FROM engine_event e WHERE e.id >= %(first)s::uuid AND e.id < %(until)s::uuid);

-- name: retention.needs_events
-- Whether events of a day are needed: by tenants that keep them for longer, by live runs they started, or by
-- steps they let start.
SELECT EXISTS (SELECT FROM unnest(%(holders)s::uuid[]) AS t(id)
                 JOIN engine_event e ON e.tenant_id = t.id
                WHERE e.id >= %(first)s::uuid AND e.id < %(until)s::uuid)
    OR EXISTS (SELECT FROM engine_run r
                WHERE r.event_id >= %(first)s::uuid AND r.event_id < %(until)s::uuid
                  AND r.status < :Status.COMPLETED)
    OR EXISTS (SELECT FROM engine_stepwait w
                WHERE w.event_id >= %(first)s::uuid AND w.event_id < %(until)s::uuid);

-- name: retention.needs_lines
-- Whether lines of a day are needed: by tenants that keep them for longer, or for live runs.
SELECT EXISTS (SELECT FROM engine_logline l
                WHERE l.id >= %(first)s::uuid AND l.id < %(until)s::uuid
                  AND l.tenant_id = ANY(%(holders)s::uuid[]))
    OR EXISTS (SELECT FROM engine_run r
                WHERE r.id < %(late)s::uuid AND r.status < :Status.COMPLETED
                  AND EXISTS (SELECT FROM engine_logline l
                               WHERE l.run_id = r.id AND l.id >= %(first)s::uuid AND l.id < %(until)s::uuid));

-- name: retention.needs_spans
-- Whether spans of a day are needed: by tenants that keep them for longer, or for live runs.
SELECT EXISTS (SELECT FROM engine_span s
                WHERE s.id >= %(first)s::uuid AND s.id < %(until)s::uuid
                  AND s.tenant_id = ANY(%(holders)s::uuid[]))
    OR EXISTS (SELECT FROM engine_run r
                WHERE r.id < %(late)s::uuid AND r.status < :Status.COMPLETED
                  AND EXISTS (SELECT FROM engine_span s
                               WHERE s.tenant_id = r.tenant_id AND s.run_id = r.id
                                 AND s.id >= %(first)s::uuid AND s.id < %(until)s::uuid));

-- name: retention.lock_runs
-- The next runs that are over, old enough and needed by no live parent or child, locked.
SELECT r.id FROM unnest(%(tenant_ids)s::uuid[], %(befores)s::uuid[]) AS t(id, before)
  JOIN engine_run r ON r.tenant_id = t.id AND r.id < t.before
 WHERE r.id >= %(after)s::uuid AND r.id < %(latest)s::uuid AND r.status >= :Status.COMPLETED
   AND NOT EXISTS (SELECT FROM engine_run p WHERE p.id = r.parent_run_id AND p.status < :Status.COMPLETED)
   AND NOT EXISTS (SELECT FROM engine_run c
                    WHERE c.parent_task_id = r.id AND c.status < :Status.COMPLETED)
   AND NOT EXISTS (SELECT FROM engine_task k JOIN engine_run c ON c.parent_task_id = k.id
                    WHERE k.run_id = r.id AND NOT (k.run_id = k.id) AND c.status < :Status.COMPLETED)
 ORDER BY r.id LIMIT %(limit)s::int FOR UPDATE OF r SKIP LOCKED;

-- name: retention.remove_events
-- The next events that are old enough and needed by no live run, with their payloads.
WITH chosen AS MATERIALIZED (
    SELECT e.id FROM unnest(%(tenant_ids)s::uuid[], %(befores)s::uuid[]) AS t(id, before)
      JOIN engine_event e ON e.tenant_id = t.id AND e.id < t.before
     WHERE e.id >= %(after)s::uuid AND e.id < %(latest)s::uuid
       AND NOT EXISTS (SELECT FROM engine_run r WHERE r.event_id = e.id AND r.status < :Status.COMPLETED)
       AND NOT EXISTS (SELECT FROM engine_stepwait w WHERE w.event_id = e.id)
     ORDER BY e.id LIMIT %(limit)s::int FOR UPDATE OF e SKIP LOCKED
), payloads AS (
    DELETE FROM engine_payload WHERE owner_id IN (SELECT id FROM chosen)
)
DELETE FROM engine_event WHERE id IN (SELECT id FROM chosen) RETURNING id;

-- name: retention.remove_lines
-- The next lines that are old enough and of no live run; their runs are returned.
WITH chosen AS MATERIALIZED (
    SELECT l.run_id, l.id FROM unnest(%(tenant_ids)s::uuid[], %(befores)s::uuid[]) AS t(id, before)
      JOIN engine_logline l ON l.tenant_id = t.id AND l.id < t.before
     WHERE l.run_id >= %(after)s::uuid AND l.id < %(latest)s::uuid
       AND NOT EXISTS (SELECT FROM engine_run r WHERE r.id = l.run_id AND r.status < :Status.COMPLETED)
     ORDER BY l.run_id, l.id LIMIT %(limit)s::int
)
DELETE FROM engine_logline l USING chosen c WHERE l.run_id = c.run_id AND l.id = c.id RETURNING l.run_id;

-- name: retention.remove_spans
-- The next spans that are old enough and of no live run.
WITH chosen AS MATERIALIZED (
    SELECT s.id FROM unnest(%(tenant_ids)s::uuid[], %(befores)s::uuid[]) AS t(id, before)
      JOIN engine_span s ON s.tenant_id = t.id AND s.id < t.before
     WHERE s.id >= %(after)s::uuid AND s.id < %(latest)s::uuid
       AND NOT EXISTS (SELECT FROM engine_run r WHERE r.id = s.run_id AND r.status < :Status.COMPLETED)
     ORDER BY s.id LIMIT %(limit)s::int
)
DELETE FROM engine_span WHERE id IN (SELECT id FROM chosen) RETURNING id;

-- name: retention.remove_child_links
-- What is left of tasks that went with their day: which children they had.
WITH chosen AS MATERIALIZED (
    SELECT c.parent_task_id, c.key FROM engine_childlink c
     WHERE c.parent_task_id >= %(after)s::uuid AND c.parent_task_id < %(latest)s::uuid
       AND NOT EXISTS (SELECT FROM engine_task t WHERE t.id = c.parent_task_id)
     ORDER BY c.parent_task_id, c.key LIMIT %(limit)s::int
)
DELETE FROM engine_childlink c USING chosen
 WHERE c.parent_task_id = chosen.parent_task_id AND c.key = chosen.key RETURNING c.parent_task_id;

-- name: retention.remove_step_waits
-- What is left of tasks that went with their day: what they waited for.
WITH chosen AS MATERIALIZED (
    SELECT w.task_id, w.ordinal FROM engine_stepwait w
     WHERE w.task_id >= %(after)s::uuid AND w.task_id < %(latest)s::uuid
       AND NOT EXISTS (SELECT FROM engine_task t WHERE t.id = w.task_id)
     ORDER BY w.task_id, w.ordinal LIMIT %(limit)s::int
)
DELETE FROM engine_stepwait w USING chosen
 WHERE w.task_id = chosen.task_id AND w.ordinal = chosen.ordinal RETURNING w.task_id;

-- name: retention.remove_keys
-- Idempotency keys that end with runs which are gone: nobody can see any more that those are over.
DELETE FROM engine_idempotencykey WHERE (tenant_id, digest) IN (
    SELECT k.tenant_id, k.digest FROM engine_idempotencykey k
     WHERE k.ends_with_run AND k.run_id >= %(after)s::uuid AND k.run_id < %(latest)s::uuid
       AND NOT EXISTS (SELECT FROM engine_run r WHERE r.id = k.run_id)
     ORDER BY k.run_id LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
RETURNING run_id;

-- name: retention.remove_tallies
-- Counts of days whose runs are gone. Those of live runs stay: they are taken back when the runs end.
DELETE FROM engine_runtally WHERE id IN (
    SELECT y.id FROM unnest(%(tenant_ids)s::uuid[], %(before_times)s::timestamptz[]) AS t(id, before)
     CROSS JOIN LATERAL (
        SELECT y.id FROM engine_runtally y
         WHERE y.tenant_id = t.id AND y.minute < t.before AND y.status >= :Status.COMPLETED
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED) y
     LIMIT %(limit)s::int)
RETURNING tenant_id;

-- name: retention.remove_schedules
-- Schedules that fired so long ago that their runs are gone.
DELETE FROM engine_schedule WHERE id IN (
    SELECT s.id FROM unnest(%(tenant_ids)s::uuid[], %(before_times)s::timestamptz[]) AS t(id, before)
     CROSS JOIN LATERAL (
        SELECT s.id FROM engine_schedule s
         WHERE s.tenant_id = t.id AND s.trigger_at < t.before AND s.due_at IS NULL
           AND s.updated_at < t.before
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED) s
     LIMIT %(limit)s::int)
RETURNING id;

-- name: retention.remove_workers
-- Workers that were last heard of before all runs that are kept, and that nothing runs on.
DELETE FROM engine_worker WHERE id IN (
    SELECT w.id FROM unnest(%(tenant_ids)s::uuid[], %(before_times)s::timestamptz[]) AS t(id, before)
      JOIN engine_worker w ON w.tenant_id = t.id
     WHERE greatest(w.last_heartbeat_at, w.last_listener_at, w.created_at) < t.before
       AND NOT EXISTS (SELECT FROM engine_task k WHERE k.worker_id = w.id AND k.status = :Status.RUNNING)
     LIMIT %(limit)s::int FOR UPDATE OF w SKIP LOCKED)
RETURNING id;

-- name: retention.remove_versions
-- Versions that were succeeded before all runs that are kept, and that no older run is left of.
WITH chosen AS MATERIALIZED (
    SELECT v.id FROM unnest(%(tenant_ids)s::uuid[], %(befores)s::uuid[], %(before_times)s::timestamptz[])
                     AS t(id, before, before_time)
      JOIN engine_workflow w ON w.tenant_id = t.id
      JOIN engine_workflowversion v ON v.workflow_id = w.id
     WHERE EXISTS (SELECT FROM engine_workflowversion n
                    WHERE n.workflow_id = w.id AND n."order" > v."order"
                      AND n.created_at < t.before_time - interval '1 day')
       AND NOT EXISTS (SELECT FROM engine_run r
                        WHERE r.tenant_id = t.id AND r.id < t.before AND r.version_id = v.id)
     ORDER BY v.id LIMIT %(limit)s::int FOR UPDATE OF v SKIP LOCKED
), steps AS (
    DELETE FROM engine_step WHERE version_id IN (SELECT id FROM chosen)
)
DELETE FROM engine_workflowversion WHERE id IN (SELECT id FROM chosen) RETURNING id;

-- name: retention.remove_sessions
-- Sessions of browsers that are over.
DELETE FROM django_session WHERE session_key IN (
    SELECT session_key FROM django_session WHERE expire_date <= %(now)s::timestamptz
     ORDER BY expire_date LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
RETURNING 1;

-- name: retention.remove_audit
-- Removes entries of the audit log that are old enough; returns how many.
SELECT audit_remove_before(%(before)s::timestamptz, %(limit)s::int);

-- name: retention.periods_of
-- What a tenant says itself.
SELECT kind, seconds FROM tenants_retentionperiod WHERE tenant_id = %(tenant_id)s::uuid;

-- name: retention.set_period
INSERT INTO tenants_retentionperiod (tenant_id, kind, seconds)
VALUES (%(tenant_id)s::uuid, %(kind)s::text, %(seconds)s::bigint)
ON CONFLICT (tenant_id, kind) DO UPDATE SET seconds = excluded.seconds
RETURNING seconds;

-- name: retention.forget_period
DELETE FROM tenants_retentionperiod WHERE tenant_id = %(tenant_id)s::uuid AND kind = %(kind)s::text
RETURNING seconds;
