-- name: step_wait.insert
-- What parked tasks start to wait for now: sleeps get their end, events their key.
INSERT INTO engine_stepwait (
    task_id, ordinal, tenant_id, run_id, version_id, step_id, event_key, due_at)
SELECT task_id, ordinal, tenant_id, run_id, version_id, step_id, event_key,
       %(now)s::timestamptz + make_interval(secs => sleep_seconds)
  FROM unnest(%(task_ids)s::uuid[], %(ordinals)s::smallint[], %(tenant_ids)s::uuid[],
              %(run_ids)s::uuid[], %(version_ids)s::uuid[], %(step_ids)s::uuid[],
              %(event_keys)s::text[], %(sleeps)s::float8[])
       AS u(task_id, ordinal, tenant_id, run_id, version_id, step_id, event_key, sleep_seconds)
RETURNING 1;

-- name: step_wait.of_tasks
-- The waits of tasks, satisfied or not.
SELECT task_id, ordinal, satisfied_at IS NOT NULL AS is_satisfied FROM engine_stepwait
 WHERE task_id = ANY(%(task_ids)s::uuid[]);

-- name: step_wait.for_events
-- Waits for any of these event keys.
SELECT task_id, ordinal, tenant_id, run_id, version_id, step_id, event_key FROM engine_stepwait
 WHERE tenant_id = %(tenant_id)s::uuid AND event_key = ANY(%(keys)s::text[])
   AND satisfied_at IS NULL
 ORDER BY task_id, ordinal;

-- name: step_wait.due
-- Sleeps that are over.
SELECT task_id, ordinal, tenant_id, run_id, version_id, step_id, event_key FROM engine_stepwait
 WHERE due_at <= %(now)s::timestamptz AND satisfied_at IS NULL
   AND tenant_id = ANY(%(tenant_ids)s::uuid[])
 ORDER BY due_at LIMIT %(limit)s::int;

-- name: step_wait.postpone
-- A sleep that cannot be ended is looked at again then.
UPDATE engine_stepwait SET due_at = %(until)s::timestamptz
 WHERE task_id = %(task_id)s::uuid AND ordinal = %(ordinal)s::smallint AND satisfied_at IS NULL
RETURNING 1;

-- name: step_wait.satisfy
-- Marks waits of locked runs; the first event counts, and can say so.
WITH satisfied AS (
    UPDATE engine_stepwait w SET satisfied_at = %(now)s::timestamptz, event_id = u.event_id
      FROM unnest(%(ids)s::uuid[], %(task_ids)s::uuid[], %(ordinals)s::smallint[],
                  %(event_ids)s::uuid[]) AS u(id, task_id, ordinal, event_id)
     WHERE w.task_id = u.task_id AND w.ordinal = u.ordinal AND w.satisfied_at IS NULL
    RETURNING u.id, w.tenant_id, w.event_id, w.run_id, w.task_id, w.ordinal
), noted AS (
    INSERT INTO engine_endedwait (id, tenant_id, event_id, run_id, task_id, ordinal, at)
    SELECT id, tenant_id, event_id, run_id, task_id, ordinal, %(now)s::timestamptz
      FROM satisfied WHERE event_id IS NOT NULL
)
SELECT run_id FROM satisfied;

-- name: step_wait.settle
-- The steps of these tasks are decided: what they still waited for is of no interest any more.
DELETE FROM engine_stepwait
 WHERE task_id = ANY(%(task_ids)s::uuid[]) AND satisfied_at IS NULL RETURNING 1;

-- name: step_wait.forget
-- These tasks wait anew after a replay.
DELETE FROM engine_stepwait WHERE task_id = ANY(%(task_ids)s::uuid[]) RETURNING 1;

-- name: step_wait.data
-- What satisfied the conditions of tasks about to run: the payloads of events, nothing for sleeps.
SELECT w.task_id, w.ordinal, p.data AS payload FROM engine_stepwait w
  LEFT JOIN engine_payload p ON p.owner_id = w.event_id AND p.kind = :PayloadKind.EVENT
 WHERE w.task_id = ANY(%(task_ids)s::uuid[]) AND w.satisfied_at IS NOT NULL
 ORDER BY w.task_id, w.satisfied_at, w.ordinal;

-- name: step_wait.open
-- What these tasks still wait for.
SELECT task_id, event_key, due_at FROM engine_stepwait
 WHERE task_id = ANY(%(task_ids)s::uuid[]) AND satisfied_at IS NULL
 ORDER BY task_id, ordinal;
