-- name: task.insert
-- New tasks: queued, assigned at once (running), settled without running (cancelled, skipped), or
-- parked (queued without a timeout).
INSERT INTO engine_task (
    id, tenant_id, run_id, workflow_id, version_id, step_id, action_id, status, queue_priority,
    retry_count, app_retry_count, internal_retry_count, worker_id, is_delayed, is_slot_released,
    is_skipped, desired_worker_id, desired_labels, concurrency_keys, due_at, created_at, queued_at,
    assigned_at, finished_at)
SELECT id, tenant_id, run_id, workflow_id, version_id, step_id, action_id, status, queue_priority,
       0, 0, 0, worker_id, status = :Status.QUEUED AND timeout_seconds IS NULL, false, is_skipped,
       desired_worker_id, desired_labels, concurrency_keys,
       CASE WHEN status < :Status.COMPLETED
            THEN %(now)s::timestamptz + make_interval(secs => timeout_seconds) END,
       %(now)s::timestamptz, %(now)s::timestamptz,
       CASE WHEN status = :Status.RUNNING THEN %(now)s::timestamptz END,
       CASE WHEN status >= :Status.COMPLETED THEN %(now)s::timestamptz END
  FROM unnest(
        %(ids)s::uuid[], %(tenant_ids)s::uuid[], %(run_ids)s::uuid[], %(workflow_ids)s::uuid[],
        %(version_ids)s::uuid[], %(step_ids)s::uuid[], %(action_ids)s::text[],
        %(statuses)s::smallint[], %(queue_priorities)s::smallint[], %(worker_ids)s::uuid[],
        %(skips)s::boolean[], %(timeouts)s::float8[], %(desired_worker_ids)s::uuid[],
        %(desired_labels)s::text[], %(concurrency_keys)s::text[]
    ) AS u(id, tenant_id, run_id, workflow_id, version_id, step_id, action_id, status,
           queue_priority, worker_id, is_skipped, timeout_seconds, desired_worker_id, desired_labels,
           concurrency_keys)
RETURNING 1;

-- name: task.revive
-- Parked tasks whose parents and conditions are settled: queued, or settled without running.
UPDATE engine_task t
   SET status = u.status, is_skipped = u.is_skipped, is_delayed = false,
       desired_worker_id = u.desired_worker_id,
       due_at = CASE WHEN u.status = :Status.QUEUED
                     THEN %(now)s::timestamptz + make_interval(secs => u.timeout_seconds) END,
       queued_at = %(now)s::timestamptz,
       finished_at = CASE WHEN u.status >= :Status.COMPLETED THEN %(now)s::timestamptz END
  FROM unnest(%(ids)s::uuid[], %(statuses)s::smallint[], %(skips)s::boolean[],
              %(timeouts)s::float8[], %(desired_worker_ids)s::uuid[])
       AS u(id, status, is_skipped, timeout_seconds, desired_worker_id)
 WHERE t.id = u.id
RETURNING t.id AS task_id, t.retry_count;

-- name: task.start
-- STARTED reports: acknowledges the delivery of an attempt, once. Workers' clocks are believed between the
-- assignment and now.
WITH started AS (
    UPDATE engine_task t
       SET started_at = greatest(t.assigned_at, least(u.at, %(now)s::timestamptz))
      FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(retry_counts)s::int[],
                  %(event_ids)s::uuid[], %(ats)s::timestamptz[])
           AS u(id, tenant_id, retry_count, event_id, at)
     WHERE t.id = u.id AND t.tenant_id = u.tenant_id AND t.status = :Status.RUNNING AND t.started_at IS NULL
       AND t.retry_count = coalesce(u.retry_count, t.retry_count)
    RETURNING t.id, t.run_id, t.retry_count, t.worker_id, t.started_at, u.event_id
), logged AS (
    INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
    SELECT event_id, run_id, id, retry_count, :TaskEventKind.STARTED, started_at, worker_id, '' FROM started
)
SELECT id, run_id FROM started;

-- name: task.acknowledge
-- ACKNOWLEDGED reports: attempts that reached their workers and start later.
WITH reached AS (
    SELECT t.id, t.run_id, t.retry_count, t.worker_id, u.event_id
      FROM engine_task t
      JOIN unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(retry_counts)s::int[],
                  %(event_ids)s::uuid[]) AS u(id, tenant_id, retry_count, event_id)
        ON t.id = u.id AND t.tenant_id = u.tenant_id
     WHERE t.status = :Status.RUNNING AND t.started_at IS NULL
       AND t.retry_count = coalesce(u.retry_count, t.retry_count)
), logged AS (
    INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
    SELECT event_id, run_id, id, retry_count, :TaskEventKind.ACKNOWLEDGED,
           %(now)s::timestamptz, worker_id, ''
      FROM reached r
     WHERE NOT EXISTS (SELECT FROM engine_taskevent e
                        WHERE e.run_id = r.run_id AND e.task_id = r.id
                          AND e.kind = :TaskEventKind.ACKNOWLEDGED
                          AND e.retry_count = r.retry_count)
)
SELECT id, run_id FROM reached;

-- name: task.complete_standalone
-- COMPLETED reports about standalone tasks: task, run, output and log row in one statement. A worker's
-- clock that says the task ended before it started, or later than now, is not believed. A run started when
-- its task did, unless that was assigned before.
WITH completed AS (
    UPDATE engine_task t
       SET status = :Status.COMPLETED, due_at = NULL, is_evicted = false,
           finished_at = CASE WHEN u.at BETWEEN coalesce(t.started_at, t.assigned_at) AND %(now)s::timestamptz
                           THEN u.at ELSE %(now)s::timestamptz END,
           started_at = coalesce(t.started_at, t.assigned_at)
      FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(retry_counts)s::int[],
                  %(outputs)s::bytea[], %(event_ids)s::uuid[], %(ats)s::timestamptz[])
           AS u(id, tenant_id, retry_count, output, event_id, at)
     WHERE t.id = u.id AND t.tenant_id = u.tenant_id AND t.run_id = t.id AND t.status = :Status.RUNNING
       AND t.retry_count = coalesce(u.retry_count, t.retry_count)
    RETURNING t.id, t.retry_count, t.worker_id, t.step_id, t.version_id, t.assigned_at, t.started_at,
              t.finished_at, u.output, u.event_id
), outputs AS (
    INSERT INTO engine_payload (owner_id, kind, attempt, data)
    SELECT id, :PayloadKind.OUTPUT, 0, output FROM completed WHERE output IS NOT NULL
), logged AS (
    INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
    SELECT event_id, id, id, retry_count, :TaskEventKind.FINISHED, finished_at, worker_id, '' FROM completed
), runs AS (
    UPDATE engine_run r
       SET status = :Status.COMPLETED, finished_at = c.finished_at,
           started_at = CASE WHEN r.started_at = c.assigned_at THEN c.started_at
                             ELSE coalesce((SELECT min(e.at) FROM engine_taskevent e
                                             WHERE e.run_id = r.id AND e.kind = :TaskEventKind.STARTED),
                                           c.started_at) END
      FROM completed c WHERE r.id = c.id
    RETURNING r.id, r.trigger
)
SELECT c.id, c.retry_count, c.step_id, c.version_id,
       r.trigger = :RunTrigger.DURABLE_CHILD AS is_durable_child
  FROM completed c JOIN runs r ON r.id = c.id;

-- name: task.complete_of_dag
-- COMPLETED reports about tasks of DAG runs the transaction has locked.
WITH completed AS (
    UPDATE engine_task t
       SET status = :Status.COMPLETED, due_at = NULL, is_evicted = false,
           finished_at = CASE WHEN u.at BETWEEN coalesce(t.started_at, t.assigned_at) AND %(now)s::timestamptz
                           THEN u.at ELSE %(now)s::timestamptz END,
           started_at = coalesce(t.started_at, t.assigned_at)
      FROM unnest(%(ids)s::uuid[], %(retry_counts)s::int[], %(outputs)s::bytea[],
                  %(event_ids)s::uuid[], %(ats)s::timestamptz[])
           AS u(id, retry_count, output, event_id, at)
     WHERE t.id = u.id AND t.status = :Status.RUNNING
       AND t.retry_count = coalesce(u.retry_count, t.retry_count)
    RETURNING t.id, t.run_id, t.retry_count, t.worker_id, t.step_id, t.version_id, t.finished_at,
              u.output, u.event_id
), outputs AS (
    INSERT INTO engine_payload (owner_id, kind, attempt, data)
    SELECT id, :PayloadKind.OUTPUT, 0, output FROM completed WHERE output IS NOT NULL
), logged AS (
    INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
    SELECT event_id, run_id, id, retry_count, :TaskEventKind.FINISHED,
           finished_at, worker_id, ''
      FROM completed
)
SELECT id, run_id, retry_count, step_id, version_id FROM completed;

-- name: task.locate
-- Which run reported tasks belong to; a task that is not there is unknown to the tenant.
SELECT t.id, t.tenant_id, t.run_id FROM engine_task t
  JOIN unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[]) AS u(id, tenant_id)
    ON t.id = u.id AND t.tenant_id = u.tenant_id;

-- name: task.lock
-- Tasks as they stand, locked in id order.
SELECT id, tenant_id, run_id, workflow_id, version_id, step_id, action_id, status, queue_priority,
       retry_count, app_retry_count, internal_retry_count, worker_id, is_delayed, is_skipped,
       is_slot_released, due_at, started_at, desired_worker_id, desired_labels, is_held,
       concurrency_keys, is_evicted, assigned_at
  FROM engine_task WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR UPDATE;

-- name: task.of_runs
-- All tasks of DAG runs.
SELECT id, tenant_id, run_id, workflow_id, version_id, step_id, action_id, status, queue_priority,
       retry_count, app_retry_count, internal_retry_count, worker_id, is_delayed, is_skipped,
       is_slot_released, due_at, started_at, desired_worker_id, desired_labels, is_held,
       concurrency_keys, is_evicted, assigned_at
  FROM engine_task
 WHERE run_id = ANY(%(run_ids)s::uuid[]) AND run_id <> id
 ORDER BY id;

-- name: task.requeue
-- New attempts of locked tasks: queued now, or after a delay (back-off), or parked until their parents
-- are settled again (replay; no due time).
UPDATE engine_task t
   SET status = :Status.QUEUED, retry_count = t.retry_count + 1, app_retry_count = u.app_retry_count,
       internal_retry_count = u.internal_retry_count, queue_priority = :RETRY_QUEUE_PRIORITY,
       worker_id = NULL,
       is_delayed = u.is_delayed, is_slot_released = false, is_skipped = false, is_evicted = false,
       due_at = %(now)s::timestamptz + make_interval(secs => u.due_in_seconds),
       queued_at = %(now)s::timestamptz, assigned_at = NULL, started_at = NULL, finished_at = NULL
  FROM unnest(%(ids)s::uuid[], %(app_retry_counts)s::int[], %(internal_retry_counts)s::int[],
              %(delays)s::boolean[], %(due_in)s::float8[])
       AS u(id, app_retry_count, internal_retry_count, is_delayed, due_in_seconds)
 WHERE t.id = u.id
RETURNING t.id AS task_id, t.retry_count;

-- name: task.settle
-- Ends locked tasks as failed or cancelled; a standalone task ends its run with it. One that no worker
-- said a word about never started. Returns the runs that ended and are children of durable tasks.
WITH settled AS (
    UPDATE engine_task t
       SET status = u.status, due_at = NULL, is_delayed = false, is_held = false, is_evicted = false,
           finished_at = coalesce(u.at, %(now)s::timestamptz),
           started_at = coalesce(t.started_at, CASE WHEN u.was_started THEN t.assigned_at END)
      FROM unnest(%(ids)s::uuid[], %(statuses)s::smallint[], %(starts)s::boolean[],
                  %(ats)s::timestamptz[]) AS u(id, status, was_started, at)
     WHERE t.id = u.id
    RETURNING t.id, t.run_id, t.status, t.started_at, t.finished_at
), runs AS (
    UPDATE engine_run r
       SET status = s.status, finished_at = s.finished_at,
           started_at = coalesce((SELECT min(e.at) FROM engine_taskevent e
                                   WHERE e.run_id = r.id AND e.kind = :TaskEventKind.STARTED),
                                 s.started_at)
      FROM settled s WHERE r.id = s.run_id AND s.id = s.run_id
    RETURNING r.id, r.trigger
)
SELECT id FROM runs WHERE trigger = :RunTrigger.DURABLE_CHILD;

-- name: task.reset_run
-- Runs whose tasks were requeued leave their final status at once: they run if some tasks stay settled.
UPDATE engine_run r
   SET status = CASE WHEN r.is_dag AND EXISTS (
                          SELECT FROM engine_task t
                           WHERE t.run_id = r.id AND t.run_id <> t.id AND t.status <> :Status.QUEUED)
                     THEN :Status.RUNNING ELSE :Status.QUEUED END,
       finished_at = NULL
 WHERE r.id = ANY(%(ids)s::uuid[]) RETURNING r.id;

-- name: task.undelay
-- Back-offs and pauses that are over: the attempt enters the queue and its schedule timeout starts.
UPDATE engine_task t
   SET is_delayed = false, is_held = false, queued_at = %(now)s::timestamptz,
       due_at = %(now)s::timestamptz + make_interval(secs => u.timeout_seconds)
  FROM unnest(%(ids)s::uuid[], %(timeouts)s::float8[]) AS u(id, timeout_seconds)
 WHERE t.id = u.id
RETURNING t.id;

-- name: task.assign
-- Hands queued attempts to workers and returns what their workers need to run them. The CASE spares
-- runs without a filter the look at payloads: on a NULL key every partition is pruned.
WITH wanted AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(retry_counts)s::int[], %(worker_ids)s::uuid[],
                         %(timeouts)s::float8[], %(event_ids)s::uuid[])
        AS u(id, retry_count, worker_id, timeout_seconds, event_id)
), assigned AS (
    UPDATE engine_task t
       SET status = :Status.RUNNING, worker_id = w.worker_id, assigned_at = %(now)s::timestamptz,
           started_at = NULL, is_slot_released = false, is_evicted = false,
           due_at = %(now)s::timestamptz + make_interval(secs => w.timeout_seconds)
      FROM wanted w
     WHERE t.id = w.id AND t.retry_count = w.retry_count AND t.status = :Status.QUEUED AND NOT t.is_delayed
    RETURNING t.id, t.run_id, t.retry_count, t.step_id, t.version_id, t.created_at, w.worker_id,
              w.event_id
), logged AS (
    INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
    SELECT event_id, run_id, id, retry_count, :TaskEventKind.ASSIGNED,
           %(now)s::timestamptz, worker_id, ''
      FROM assigned
), started_runs AS (
    UPDATE engine_run r
       SET status = :Status.RUNNING, started_at = coalesce(r.started_at, %(now)s::timestamptz)
      FROM (SELECT DISTINCT run_id FROM assigned) a WHERE r.id = a.run_id AND r.status = :Status.QUEUED
)
SELECT a.id, a.run_id, a.retry_count, a.step_id, a.version_id, a.worker_id, a.created_at, r.priority,
       r.additional_metadata::text, r.parent_run_id, r.child_index, r.child_key, r.event_id,
       r.event_key, p.data AS input, f.data AS filter_payload
  FROM assigned a
  JOIN engine_run r ON r.id = a.run_id
  LEFT JOIN engine_payload p ON p.owner_id = a.run_id AND p.kind = :PayloadKind.INPUT
  LEFT JOIN engine_payload f ON f.owner_id = CASE WHEN r.filter_id IS NOT NULL THEN r.id END
       AND f.kind = :PayloadKind.FILTER;

-- name: task.undelivered_of_worker
-- Attempts assigned to workers over their present streams and not acknowledged, with what the workers
-- need. What was assigned over an older stream may be running and is left to the delivery check.
SELECT t.id, t.run_id, t.retry_count, t.step_id, t.version_id, t.worker_id, t.created_at, r.priority,
       r.additional_metadata::text, r.parent_run_id, r.child_index, r.child_key, r.event_id,
       r.event_key, p.data AS input, f.data AS filter_payload
  FROM engine_task t
  JOIN engine_worker w ON w.id = t.worker_id
  JOIN engine_run r ON r.id = t.run_id
  LEFT JOIN engine_payload p ON p.owner_id = t.run_id AND p.kind = :PayloadKind.INPUT
  LEFT JOIN engine_payload f ON f.owner_id = CASE WHEN r.filter_id IS NOT NULL THEN r.id END
       AND f.kind = :PayloadKind.FILTER
 WHERE t.worker_id = ANY(%(worker_ids)s::uuid[]) AND t.status = :Status.RUNNING AND t.started_at IS NULL
   AND t.assigned_at >= w.last_listener_at
   AND (%(task_ids)s::uuid[] IS NULL OR t.id = ANY(%(task_ids)s::uuid[]))
 ORDER BY t.id;

-- name: task.outputs_of_runs
-- Outcomes of the tasks of DAG runs so far: outputs of completed ones, errors of failed ones.
SELECT t.run_id, s.readable_id, t.status, p.data
  FROM engine_task t
  JOIN engine_step s ON s.id = t.step_id
  LEFT JOIN engine_payload p ON p.owner_id = t.id
        AND ((t.status = :Status.COMPLETED AND p.kind = :PayloadKind.OUTPUT)
             OR (t.status = :Status.FAILED AND p.kind = :PayloadKind.ERROR
                 AND p.attempt = t.retry_count))
 WHERE t.run_id = ANY(%(run_ids)s::uuid[]) AND t.run_id <> t.id
   AND t.status IN (:Status.COMPLETED, :Status.FAILED);

-- name: task.queue_head
-- The oldest waiting attempts of one action by priority, for the scheduler's memory; those that need
-- slots of concurrency groups are all there already.
SELECT id, retry_count, action_id, queue_priority, version_id, step_id, desired_worker_id,
       desired_labels, concurrency_keys, is_evicted, is_delayed,
       app_retry_count + internal_retry_count > 0 AS has_begun
  FROM engine_task
 WHERE tenant_id = %(tenant_id)s::uuid AND action_id = %(action_id)s::text
   AND status = :Status.QUEUED AND NOT is_delayed AND concurrency_keys IS NULL
 ORDER BY queue_priority DESC, id LIMIT %(limit)s::int;

-- name: task.queued_actions
-- Actions with waiting attempts that need no concurrency group: a loose index scan, one step per action.
WITH RECURSIVE actions AS (
    (SELECT action_id FROM engine_task
      WHERE tenant_id = %(tenant_id)s::uuid AND status = :Status.QUEUED AND NOT is_delayed
        AND concurrency_keys IS NULL
      ORDER BY action_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.action_id FROM engine_task t
             WHERE t.tenant_id = %(tenant_id)s::uuid AND t.status = :Status.QUEUED AND NOT t.is_delayed
               AND t.concurrency_keys IS NULL AND t.action_id > a.action_id
             ORDER BY t.action_id LIMIT 1)
      FROM actions a WHERE a.action_id IS NOT NULL
)
SELECT action_id FROM actions WHERE action_id IS NOT NULL;

-- name: task.by_ids_queued
-- Waiting attempts by id: what a hint from another process says became ready, or rests.
SELECT id, retry_count, action_id, queue_priority, version_id, step_id, desired_worker_id,
       desired_labels, concurrency_keys, is_evicted, is_delayed,
       app_retry_count + internal_retry_count > 0 AS has_begun
  FROM engine_task
 WHERE id = ANY(%(ids)s::uuid[]) AND tenant_id = %(tenant_id)s::uuid
   AND status = :Status.QUEUED
   AND (NOT is_delayed OR (NOT is_held AND due_at IS NOT NULL AND concurrency_keys IS NOT NULL));

-- name: task.queued_in_groups
-- Attempts that need slots of concurrency groups, now or when their back-off ends, by when they began to
-- wait, from a place on.
SELECT id, retry_count, action_id, queue_priority, version_id, step_id, desired_worker_id,
       desired_labels, concurrency_keys, is_evicted, is_delayed,
       app_retry_count + internal_retry_count > 0 AS has_begun, queued_at
  FROM engine_task
 WHERE tenant_id = %(tenant_id)s::uuid AND status = :Status.QUEUED AND NOT is_held AND due_at IS NOT NULL
   AND concurrency_keys IS NOT NULL
   AND (queued_at, id) > (%(after)s::timestamptz, %(after_id)s::uuid)
 ORDER BY queued_at, id LIMIT %(limit)s::int;

-- name: task.places_in_groups
-- The same rows, no more of each than tells whether it is known.
SELECT id, retry_count, queued_at, is_delayed
  FROM engine_task
 WHERE tenant_id = %(tenant_id)s::uuid AND status = :Status.QUEUED AND NOT is_held AND due_at IS NOT NULL
   AND concurrency_keys IS NOT NULL
   AND (queued_at, id) > (%(after)s::timestamptz, %(after_id)s::uuid)
 ORDER BY queued_at, id LIMIT %(limit)s::int;

-- name: task.evicted_in_groups
-- Attempts on no worker that hold slots of concurrency groups, for an owner rebuilding its memory.
SELECT id, retry_count, action_id, queue_priority, version_id, step_id, desired_worker_id,
       desired_labels, concurrency_keys, is_evicted, is_delayed,
       app_retry_count + internal_retry_count > 0 AS has_begun
  FROM engine_task
 WHERE tenant_id = %(tenant_id)s::uuid AND is_evicted AND status = :Status.RUNNING
   AND concurrency_keys IS NOT NULL
 ORDER BY id;

-- name: task.restart_clocks
-- Waiting attempts that begin to wait for something else: their schedule timeout starts anew. Rows that
-- somebody moves at this moment do not wait any more.
WITH waiting AS (
    SELECT t.id, u.timeout_seconds
      FROM engine_task t
      JOIN unnest(%(ids)s::uuid[], %(retry_counts)s::int[], %(timeouts)s::float8[])
           AS u(id, retry_count, timeout_seconds)
        ON t.id = u.id AND t.retry_count = u.retry_count
     WHERE t.status = :Status.QUEUED AND NOT t.is_delayed
     ORDER BY t.id FOR UPDATE OF t SKIP LOCKED
)
UPDATE engine_task t
   SET due_at = %(now)s::timestamptz + make_interval(secs => w.timeout_seconds)
  FROM waiting w WHERE t.id = w.id
RETURNING t.id;

-- name: task.set_keys
-- Concurrency keys of locked tasks, evaluated anew.
UPDATE engine_task t SET concurrency_keys = u.concurrency_keys
  FROM unnest(%(ids)s::uuid[], %(concurrency_keys)s::text[]) AS u(id, concurrency_keys)
 WHERE t.id = u.id
RETURNING t.id;

-- name: task.still_live
-- Of these attempts, the ones that still wait, rest or run: an auditor compares them with what memory holds.
SELECT t.id FROM engine_task t
  JOIN unnest(%(ids)s::uuid[], %(retry_counts)s::int[]) AS u(id, retry_count)
    ON t.id = u.id AND t.retry_count = u.retry_count
 WHERE t.status < :Status.COMPLETED AND NOT (t.is_delayed AND (t.is_held OR t.due_at IS NULL));

-- name: task.running
-- Running attempts of a tenant, for an owner rebuilding its memory.
SELECT id, retry_count, action_id, queue_priority, version_id, step_id, worker_id, is_slot_released,
       started_at IS NOT NULL AS was_started, concurrency_keys, batch_id
  FROM engine_task
 WHERE worker_id = ANY(%(worker_ids)s::uuid[]) AND tenant_id = %(tenant_id)s::uuid
   AND status = :Status.RUNNING;

-- name: task.grant_time
-- Running attempts get until then for their reports, which could not be taken for a while.
UPDATE engine_task SET due_at = %(until)s::timestamptz
 WHERE worker_id = ANY(%(worker_ids)s::uuid[]) AND tenant_id = %(tenant_id)s::uuid
   AND status = :Status.RUNNING
   AND due_at < %(until)s::timestamptz
RETURNING 1;

-- name: task.due
-- Attempts whose time has come, oldest first.
SELECT id, run_id FROM engine_task
 WHERE due_at <= %(now)s::timestamptz AND tenant_id = ANY(%(tenant_ids)s::uuid[])
 ORDER BY due_at LIMIT %(limit)s::int;

-- name: task.next_due
-- When time itself must act next on tasks of these tenants, or on sleeps that steps or tasks wait for.
(SELECT due_at FROM engine_task
  WHERE due_at IS NOT NULL AND tenant_id = ANY(%(tenant_ids)s::uuid[]) ORDER BY due_at LIMIT 1)
UNION ALL
(SELECT due_at FROM engine_stepwait
  WHERE due_at IS NOT NULL AND satisfied_at IS NULL AND tenant_id = ANY(%(tenant_ids)s::uuid[])
  ORDER BY due_at LIMIT 1)
UNION ALL
(SELECT due_at FROM engine_durablewait
  WHERE due_at IS NOT NULL AND satisfied_at IS NULL AND NOT is_dropped
    AND tenant_id = ANY(%(tenant_ids)s::uuid[])
  ORDER BY due_at LIMIT 1)
ORDER BY due_at LIMIT 1;

-- name: task.postpone
-- A due attempt that cannot be acted on is looked at again then.
UPDATE engine_task SET due_at = %(until)s::timestamptz
 WHERE id = %(id)s::uuid AND due_at <= %(now)s::timestamptz
RETURNING tenant_id;

-- name: task.refresh_timeout
-- Adds to the deadline of a running attempt.
WITH refreshed AS (
    UPDATE engine_task SET due_at = due_at + make_interval(secs => %(seconds)s::float8)
     WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid AND status = :Status.RUNNING
       AND NOT is_evicted
    RETURNING id, run_id, retry_count, worker_id, due_at
), logged AS (
    INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
    SELECT %(event_id)s::uuid, run_id, id, retry_count, :TaskEventKind.TIMEOUT_REFRESHED,
           %(now)s::timestamptz, worker_id, %(message)s::text
      FROM refreshed
)
SELECT due_at FROM refreshed;

-- name: task.release_slot
-- Frees the slot of a running attempt before it ends; says so once.
WITH running AS (
    SELECT id, run_id, retry_count, worker_id, is_slot_released FROM engine_task
     WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid AND status = :Status.RUNNING FOR UPDATE
), released AS (
    UPDATE engine_task t SET is_slot_released = true
      FROM running r WHERE t.id = r.id AND NOT r.is_slot_released
    RETURNING t.id, t.run_id, t.retry_count, t.worker_id
), logged AS (
    INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
    SELECT %(event_id)s::uuid, run_id, id, retry_count, :TaskEventKind.SLOT_RELEASED,
           %(now)s::timestamptz, worker_id, ''
      FROM released
)
SELECT retry_count FROM running;

-- name: task.on_lost_workers
-- Running attempts on workers that fell silent; a released slot means the task is left alone.
SELECT t.id, t.run_id, t.retry_count FROM engine_task t JOIN engine_worker w ON w.id = t.worker_id
 WHERE t.worker_id = ANY(%(worker_ids)s::uuid[]) AND t.status = :Status.RUNNING AND NOT t.is_slot_released
   AND w.last_heartbeat_at < %(silent_since)s::timestamptz
 ORDER BY t.id LIMIT %(limit)s::int;

-- name: task.undelivered
-- Of these attempts, the ones still not acknowledged whose worker has had a newer stream, or has been
-- silent, since before `quiet_since`: a report on its way would have come by now.
SELECT t.id, t.run_id, t.retry_count FROM engine_task t JOIN engine_worker w ON w.id = t.worker_id
 WHERE t.id = ANY(%(ids)s::uuid[]) AND t.status = :Status.RUNNING AND t.started_at IS NULL
   AND ((w.is_active AND w.last_listener_at > t.assigned_at
                    AND w.last_listener_at < %(quiet_since)s::timestamptz)
     OR (NOT w.is_active AND w.last_heartbeat_at < %(quiet_since)s::timestamptz))
   AND NOT EXISTS (SELECT FROM engine_taskevent e
                    WHERE e.run_id = t.run_id AND e.task_id = t.id AND e.kind = :TaskEventKind.ACKNOWLEDGED
                      AND e.retry_count = t.retry_count AND e.at >= t.assigned_at)
 ORDER BY t.id;

-- name: task.swallowed
-- Of these attempts, the ones that went over the streams their workers still have, before `sent_before`, and
-- that were not acknowledged, nor was another item of their batch. What is not known to have been sent may
-- wait for an engine that missed a hint. `is_heard`: the worker has acknowledged what it was sent later.
SELECT t.id, t.run_id, t.retry_count, t.worker_id, t.assigned_at, t.internal_retry_count,
       EXISTS (SELECT FROM engine_task o
                WHERE o.worker_id = w.id AND o.status = :Status.RUNNING AND o.started_at IS NOT NULL
                  AND o.assigned_at > t.assigned_at) AS is_heard
  FROM engine_task t JOIN engine_worker w ON w.id = t.worker_id
 WHERE t.id = ANY(%(ids)s::uuid[]) AND t.status = :Status.RUNNING AND t.started_at IS NULL
   AND w.is_active AND w.last_listener_at <= t.assigned_at
   AND coalesce((SELECT min(e.at) FROM engine_taskevent e
                  WHERE e.run_id = t.run_id AND e.task_id = t.id AND e.kind = :TaskEventKind.SENT_TO_WORKER
                    AND e.retry_count = t.retry_count AND e.at >= t.assigned_at),
                t.assigned_at + interval '10 s') < %(sent_before)s::timestamptz
   AND NOT EXISTS (SELECT FROM engine_taskevent e
                    WHERE e.run_id = t.run_id AND e.task_id = t.id AND e.kind = :TaskEventKind.ACKNOWLEDGED
                      AND e.retry_count = t.retry_count AND e.at >= t.assigned_at)
   AND NOT EXISTS (SELECT FROM engine_task o
                    WHERE o.worker_id = w.id AND o.status = :Status.RUNNING AND o.batch_id = t.batch_id
                      AND o.started_at IS NOT NULL)
 ORDER BY t.id;

-- name: task.still_running
-- Of these attempts, the ones that still run: an auditor compares them with what memory holds.
SELECT t.id FROM engine_task t
  JOIN unnest(%(ids)s::uuid[], %(retry_counts)s::int[]) AS u(id, retry_count)
    ON t.id = u.id AND t.retry_count = u.retry_count
 WHERE t.status = :Status.RUNNING;

-- name: task.by_ids
-- Tasks as they stand.
SELECT id, tenant_id, run_id, workflow_id, version_id, step_id, action_id, status, queue_priority,
       retry_count, app_retry_count, internal_retry_count, worker_id, is_delayed, is_skipped,
       is_slot_released, due_at, started_at, desired_worker_id, desired_labels, is_held,
       concurrency_keys, is_evicted, assigned_at
  FROM engine_task WHERE id = ANY(%(ids)s::uuid[]) AND tenant_id = %(tenant_id)s::uuid;
