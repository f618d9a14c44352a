-- name: run.insert
-- New runs with their input.
WITH wanted AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(tenant_ids)s::uuid[], %(workflow_ids)s::uuid[], %(version_ids)s::uuid[],
        %(statuses)s::smallint[], %(is_dags)s::boolean[], %(priorities)s::smallint[],
        %(triggers)s::smallint[], %(metadata)s::text[], %(parent_run_ids)s::uuid[],
        %(parent_task_ids)s::uuid[], %(child_indexes)s::int[], %(child_keys)s::text[],
        %(event_ids)s::uuid[], %(event_keys)s::text[], %(filter_ids)s::uuid[],
        %(desired_labels)s::text[], %(idempotency_keys)s::text[], %(inputs)s::bytea[]
    ) AS u(id, tenant_id, workflow_id, version_id, status, is_dag, priority, trigger, metadata,
           parent_run_id, parent_task_id, child_index, child_key, event_id, event_key,
           filter_id, desired_labels, idempotency_key, input)
), inputs AS (
    INSERT INTO engine_payload (owner_id, kind, attempt, data)
    SELECT id, :PayloadKind.INPUT, 0, input FROM wanted
)
INSERT INTO engine_run (
    id, tenant_id, workflow_id, version_id, status, is_dag, priority, trigger, additional_metadata,
    parent_run_id, parent_task_id, child_index, child_key, event_id, event_key, filter_id,
    desired_labels, idempotency_key, created_at, started_at)
SELECT id, tenant_id, workflow_id, version_id, status, is_dag, priority, trigger, metadata::jsonb,
       parent_run_id, parent_task_id, child_index, child_key, event_id, event_key, filter_id,
       desired_labels, idempotency_key, %(now)s::timestamptz,
       CASE WHEN status > :Status.QUEUED THEN %(now)s::timestamptz END
  FROM wanted
RETURNING 1;

-- name: run.insert_standalone
-- The hot way in: new standalone runs, each with its task, input and first log rows. What the runs of
-- one step have in common travels once, as its kind.
WITH kinds AS (
    SELECT * FROM unnest(
        %(kind_tenant_ids)s::uuid[], %(kind_workflow_ids)s::uuid[], %(kind_version_ids)s::uuid[],
        %(kind_step_ids)s::uuid[], %(kind_action_ids)s::text[],
        %(kind_schedule_timeouts)s::float8[], %(kind_execution_timeouts)s::float8[])
        WITH ORDINALITY AS k(tenant_id, workflow_id, version_id, step_id, action_id,
                             schedule_timeout, execution_timeout, kind)
), wanted AS (
    SELECT u.*, k.*,
           CASE WHEN u.worker_id IS NULL THEN :Status.QUEUED ELSE :Status.RUNNING END::smallint AS status
      FROM unnest(
            %(ids)s::uuid[], %(kinds)s::int[], %(worker_ids)s::uuid[], %(priorities)s::smallint[],
            %(triggers)s::smallint[], %(metadata)s::text[], %(inputs)s::bytea[],
            %(queued_event_ids)s::uuid[], %(assigned_event_ids)s::uuid[],
            %(parent_run_ids)s::uuid[], %(parent_task_ids)s::uuid[], %(child_indexes)s::int[],
            %(child_keys)s::text[], %(event_ids)s::uuid[], %(event_keys)s::text[],
            %(filter_ids)s::uuid[], %(desired_worker_ids)s::uuid[], %(desired_labels)s::text[],
            %(idempotency_keys)s::text[], %(concurrency_keys)s::text[])
        AS u(id, kind_of_run, worker_id, priority, trigger, metadata, input, queued_event_id,
             assigned_event_id, parent_run_id, parent_task_id, child_index, child_key, event_id,
             event_key, filter_id, desired_worker_id, desired_labels, idempotency_key,
             concurrency_keys)
      JOIN kinds k ON k.kind = u.kind_of_run
), inputs AS (
    INSERT INTO engine_payload (owner_id, kind, attempt, data)
    SELECT id, :PayloadKind.INPUT, 0, input FROM wanted
), runs AS (
    INSERT INTO engine_run (
        id, tenant_id, workflow_id, version_id, status, is_dag, priority, trigger,
        additional_metadata, parent_run_id, parent_task_id, child_index, child_key, event_id,
        event_key, filter_id, desired_labels, idempotency_key, created_at, started_at)
    SELECT id, tenant_id, workflow_id, version_id, status, false, priority, trigger, metadata::jsonb,
           parent_run_id, parent_task_id, child_index, child_key, event_id, event_key,
           filter_id, desired_labels, idempotency_key, %(now)s::timestamptz,
           CASE WHEN status = :Status.RUNNING THEN %(now)s::timestamptz END
      FROM wanted
), tasks AS (
    INSERT INTO engine_task (
        id, tenant_id, run_id, workflow_id, version_id, step_id, action_id, status, queue_priority,
        retry_count, app_retry_count, internal_retry_count, worker_id, is_delayed,
        is_slot_released, is_skipped, desired_worker_id, desired_labels, concurrency_keys, due_at,
        created_at, queued_at, assigned_at)
    SELECT id, tenant_id, id, workflow_id, version_id, step_id, action_id, status, priority, 0, 0, 0,
           worker_id, false, false, false, desired_worker_id, desired_labels, concurrency_keys,
           %(now)s::timestamptz + make_interval(
               secs => CASE status WHEN :Status.RUNNING THEN execution_timeout ELSE schedule_timeout END),
           %(now)s::timestamptz, %(now)s::timestamptz,
           CASE WHEN status = :Status.RUNNING THEN %(now)s::timestamptz END
      FROM wanted
)
INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
SELECT queued_event_id, id, id, 0, :TaskEventKind.QUEUED, %(now)s::timestamptz, NULL, '' FROM wanted
UNION ALL
SELECT assigned_event_id, id, id, 0, :TaskEventKind.ASSIGNED,
       %(now)s::timestamptz, worker_id, ''
  FROM wanted
 WHERE status = :Status.RUNNING
RETURNING 1;

-- name: run.give_way
-- For a transaction that locked tasks before their runs: who waits for it shall not be the one that fails.
SELECT set_config('lock_timeout', %(milliseconds)s::text, true);

-- name: run.lock
-- DAG runs, locked in id order, so that one transaction at a time moves a run.
SELECT id, tenant_id, version_id, workflow_id, status, priority,
       started_at IS NOT NULL AS was_started, desired_labels, trigger
  FROM engine_run WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR UPDATE;

-- name: run.lock_queued_of_tasks
-- DAG runs that start when one of these tasks does. Whoever moves a run locks it before its tasks.
SELECT r.id FROM engine_run r
 WHERE r.id IN (SELECT run_id FROM engine_task WHERE id = ANY(%(task_ids)s::uuid[]) AND run_id <> id)
   AND r.status = :Status.QUEUED
 ORDER BY r.id FOR UPDATE;

-- name: run.set_status
-- The status of DAG runs after their tasks moved; a final one also ends the run, and tells when the first
-- of its tasks started, if any did.
UPDATE engine_run r
   SET status = u.status,
       started_at = CASE WHEN u.status = :Status.QUEUED THEN r.started_at
                         WHEN u.status = :Status.RUNNING THEN coalesce(r.started_at, %(now)s::timestamptz)
                         ELSE coalesce((SELECT min(e.at) FROM engine_taskevent e
                                         WHERE e.run_id = r.id AND e.kind = :TaskEventKind.STARTED),
                                       (SELECT min(t.started_at) FROM engine_task t
                                         WHERE t.run_id = r.id)) END,
       finished_at = CASE WHEN u.status >= :Status.COMPLETED THEN %(now)s::timestamptz END
  FROM unnest(%(ids)s::uuid[], %(statuses)s::smallint[]) AS u(id, status)
 WHERE r.id = u.id
RETURNING r.id;

-- name: run.find_external
-- Runs and DAG tasks by the ids clients hold: which run each belongs to.
SELECT id AS external_id, id AS run_id, NULL::uuid AS task_id, is_dag
  FROM engine_run WHERE id = ANY(%(ids)s::uuid[]) AND tenant_id = %(tenant_id)s::uuid
UNION ALL
SELECT t.id, t.run_id, t.id, true
  FROM engine_task t
 WHERE t.id = ANY(%(ids)s::uuid[]) AND t.tenant_id = %(tenant_id)s::uuid AND t.run_id <> t.id;

-- name: run.matching
-- Run ids a filter selects, newest first; what lists select by the same filter is models/run_selection.py.
SELECT id FROM engine_run
 WHERE tenant_id = %(tenant_id)s::uuid
   AND id >= %(first_id)s::uuid
   AND id <= %(last_id)s::uuid
   AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s::timestamptz)
   AND (%(until)s::timestamptz IS NULL OR created_at <= %(until)s::timestamptz)
   AND (%(statuses)s::smallint[] = '{}' OR status = ANY(%(statuses)s::smallint[]))
   AND (%(workflow_ids)s::uuid[] = '{}' OR workflow_id = ANY(%(workflow_ids)s::uuid[]))
   AND (%(error_group_id)s::uuid IS NULL OR EXISTS (
        SELECT FROM engine_failedattempt f
         WHERE f.group_id = %(error_group_id)s::uuid AND f.run_id = engine_run.id))
   AND (%(metadata_keys)s::text[] = '{}' OR (
        SELECT CASE WHEN %(needs_every_pair)s::boolean THEN bool_and(m.is_met) ELSE bool_or(m.is_met) END
          FROM unnest(%(metadata_keys)s::text[], %(metadata_values)s::text[]) AS p(key, value),
               LATERAL (SELECT additional_metadata ->> p.key IS NOT DISTINCT FROM p.value AS is_met) m))
 ORDER BY id DESC LIMIT %(limit)s::int;

-- name: run.first_children
-- The oldest runs that each of these tasks spawned, so many of each at most.
SELECT c.id FROM unnest(%(task_ids)s::uuid[]) AS t(id), LATERAL (
       SELECT id FROM engine_run
        WHERE tenant_id = %(tenant_id)s::uuid AND parent_task_id = t.id
        ORDER BY id LIMIT %(most)s::int) AS c;

-- name: run.parents
-- Parent tasks of runs about to be spawned, with what their children inherit.
SELECT t.id AS task_id, t.run_id, t.retry_count, r.event_id, r.additional_metadata::text
  FROM engine_task t JOIN engine_run r ON r.id = t.run_id
 WHERE t.id = ANY(%(task_ids)s::uuid[]) AND t.tenant_id = %(tenant_id)s::uuid;

-- name: run.claim_children
-- Claims (parent task, key) for new children; a claim made before wins and its run id is returned.
WITH wanted AS (
    SELECT * FROM unnest(%(parent_task_ids)s::uuid[], %(keys)s::text[], %(run_ids)s::uuid[])
        AS u(parent_task_id, key, run_id)
), claimed AS (
    INSERT INTO engine_childlink (parent_task_id, key, run_id)
    SELECT parent_task_id, key, run_id FROM wanted ORDER BY 1, 2
    ON CONFLICT (parent_task_id, key) DO UPDATE SET run_id = engine_childlink.run_id
    RETURNING parent_task_id, key, run_id
)
SELECT parent_task_id, key, run_id FROM claimed;

-- name: run.unclaim_children
-- Takes back claims of children that were not started after all.
DELETE FROM engine_childlink c USING unnest(%(run_ids)s::uuid[], %(parent_task_ids)s::uuid[])
       AS u(run_id, parent_task_id)
 WHERE c.parent_task_id = u.parent_task_id AND c.run_id = u.run_id
RETURNING c.run_id;

-- name: run.details
-- What GetRunDetails answers about runs, found by run id or by the id of one of their tasks.
SELECT r.id, r.status, p.data AS input, r.additional_metadata::text
  FROM engine_run r LEFT JOIN engine_payload p ON p.owner_id = r.id AND p.kind = :PayloadKind.INPUT
 WHERE r.tenant_id = %(tenant_id)s::uuid
   AND r.id IN (SELECT %(id)s::uuid
                UNION ALL
                SELECT run_id FROM engine_task
                 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid);

-- name: run.results
-- Tasks of runs with their outcome: every task, or of finished runs only.
SELECT r.id AS run_id, r.finished_at, r.status AS run_status, t.id AS task_id, s.readable_id, t.status,
       t.is_evicted, o.data AS output, e.data AS error
  FROM engine_run r
  JOIN LATERAL (
        SELECT * FROM engine_task WHERE NOT r.is_dag AND id = r.id
        UNION ALL
        SELECT * FROM engine_task WHERE r.is_dag AND run_id = r.id AND run_id <> id
       ) t ON true
  JOIN engine_step s ON s.id = t.step_id
  LEFT JOIN engine_payload o ON o.owner_id = t.id AND o.kind = :PayloadKind.OUTPUT
       AND t.status = :Status.COMPLETED
  LEFT JOIN engine_payload e ON e.owner_id = t.id AND e.kind = :PayloadKind.ERROR
       AND t.status = :Status.FAILED
        AND e.attempt = t.retry_count
 WHERE r.id = ANY(%(ids)s::uuid[]) AND r.tenant_id = %(tenant_id)s::uuid
   AND (NOT %(finished_only)s::boolean OR r.status >= :Status.COMPLETED)
   AND NOT (t.is_delayed AND t.due_at IS NULL)
 ORDER BY r.id, t.id;

-- name: run.by_metadata
-- Runs that carry one metadata pair: those not finished, and the newest whether finished or not.
SELECT id AS run_id, status < :Status.COMPLETED AS is_live FROM engine_run
 WHERE tenant_id = %(tenant_id)s::uuid AND id >= %(since_id)s::uuid AND status < :Status.COMPLETED
   AND additional_metadata ->> %(key)s::text = %(value)s::text
UNION ALL
SELECT id, false FROM engine_run
 WHERE tenant_id = %(tenant_id)s::uuid AND id >= %(new_since_id)s::uuid AND status >= :Status.COMPLETED
   AND additional_metadata ->> %(key)s::text = %(value)s::text
 ORDER BY 1;

-- name: run.key_data
-- What expressions of keys may refer to, and the keys with which runs asked for slots themselves.
SELECT r.id AS run_id, p.data AS input, r.additional_metadata::text, r.priority, s.keys AS run_keys
  FROM engine_run r
  LEFT JOIN engine_payload p ON p.owner_id = r.id AND p.kind = :PayloadKind.INPUT
  LEFT JOIN engine_runslot s ON s.run_id = r.id
 WHERE r.id = ANY(%(ids)s::uuid[]);

-- name: run.ended_with_keys
-- Of these runs, those that ended and had an idempotency key.
SELECT id AS run_id, version_id, idempotency_key FROM engine_run
 WHERE id = ANY(%(ids)s::uuid[]) AND idempotency_key IS NOT NULL AND status >= :Status.COMPLETED;

-- name: run.outputs_sizes
-- How many bytes the outputs of DAG runs come to so far.
SELECT t.run_id, sum(engine_payload_length(p.data))::bigint AS size
  FROM engine_task t JOIN engine_payload p ON p.owner_id = t.id AND p.kind = :PayloadKind.OUTPUT
 WHERE t.run_id = ANY(%(ids)s::uuid[]) AND t.run_id <> t.id
 GROUP BY t.run_id;

-- name: run.metadata
-- Metadata of runs that have some; the smallest come with their text until the next would make them more
-- than the room there is.
SELECT id, length, CASE WHEN running <= %(room)s::bigint THEN metadata END AS metadata
  FROM (SELECT id, octet_length(metadata) AS length, metadata,
               sum(octet_length(metadata)) OVER (ORDER BY octet_length(metadata), id DESC) AS running
          FROM (SELECT id, additional_metadata::text AS metadata FROM engine_run
                 WHERE id = ANY(%(ids)s::uuid[]) AND additional_metadata IS NOT NULL) m) r;

-- name: run.started_by_events
-- Runs that these events started; none is older than the oldest event.
SELECT id, event_id, status, filter_id FROM engine_run
 WHERE event_id = ANY(%(event_ids)s::uuid[]) AND id >= %(first_id)s::uuid
 ORDER BY id;
