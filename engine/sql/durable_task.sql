-- name: durable_task.begin
-- A new invocation of each of these tasks, which were just assigned; the first one makes the log.
INSERT INTO engine_durabletask (
    task_id, tenant_id, invocation_count, branch_id, node_id, satisfied_order)
SELECT task_id, tenant_id, 1, 1, 0, 0
  FROM unnest(%(task_ids)s::uuid[], %(tenant_ids)s::uuid[]) AS u(task_id, tenant_id)
 ORDER BY task_id
ON CONFLICT (task_id) DO UPDATE
   SET invocation_count = engine_durabletask.invocation_count + 1, node_id = 0, passed_nodes = NULL
RETURNING task_id, invocation_count;

-- name: durable_task.ensure
-- A log for a task that waits through the older API and may have none.
INSERT INTO engine_durabletask (
    task_id, tenant_id, invocation_count, branch_id, node_id, satisfied_order)
VALUES (%(task_id)s::uuid, %(tenant_id)s::uuid, 0, 1, 0, 0)
ON CONFLICT (task_id) DO NOTHING
RETURNING 1;

-- name: durable_task.lock
-- The lock on the logs of these tasks, in id order, and their counters.
SELECT task_id, tenant_id, invocation_count, branch_id, node_id, satisfied_order, forks,
       passed_nodes, restored_count
  FROM engine_durabletask WHERE task_id = ANY(%(task_ids)s::uuid[]) ORDER BY task_id FOR UPDATE;

-- name: durable_task.read
-- The counters of these tasks' logs.
SELECT task_id, tenant_id, invocation_count, branch_id, node_id, satisfied_order, forks,
       passed_nodes, restored_count
  FROM engine_durabletask WHERE task_id = ANY(%(task_ids)s::uuid[]);

-- name: durable_task.states
-- How durable tasks stand. To be asked after their lock was taken: a statement that waits for a lock
-- does not see what happened meanwhile to other rows.
SELECT id, tenant_id, run_id, version_id, step_id, status, is_evicted, retry_count, assigned_at,
       desired_worker_id, desired_labels, concurrency_keys
  FROM engine_task WHERE id = ANY(%(task_ids)s::uuid[]);

-- name: durable_task.save
-- Counters of locked logs.
UPDATE engine_durabletask d
   SET branch_id = u.branch_id, node_id = u.node_id, satisfied_order = u.satisfied_order,
       forks = u.forks, passed_nodes = u.passed_nodes, restored_count = u.restored_count
  FROM unnest(%(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(node_ids)s::bigint[],
              %(satisfied_orders)s::bigint[], %(forks)s::text[], %(passed)s::text[],
              %(restored_counts)s::int[])
       AS u(task_id, branch_id, node_id, satisfied_order, forks, passed_nodes, restored_count)
 WHERE d.task_id = u.task_id
RETURNING 1;

-- name: durable_task.invocations
-- The present invocations of these tasks.
SELECT task_id, invocation_count FROM engine_durabletask
 WHERE task_id = ANY(%(task_ids)s::uuid[]);

-- name: durable_task.deliveries
-- The last delivery of each of these attempts: the one before the present, if the next attempt was handed
-- out meanwhile. Task and log are read at once, for an assignment changes both.
SELECT u.task_id, u.retry_count,
       d.invocation_count
       - (t.retry_count <> u.retry_count AND t.worker_id IS NOT NULL)::int AS invocation
  FROM unnest(%(task_ids)s::uuid[], %(retry_counts)s::int[]) AS u(task_id, retry_count)
  JOIN engine_durabletask d ON d.task_id = u.task_id
  JOIN engine_task t ON t.id = u.task_id;

-- name: durable_task.evict
-- Takes tasks whose logs are locked off their workers: they stay running, without a deadline.
WITH wanted AS (
    SELECT t.id, t.worker_id, u.event_id, u.message
      FROM unnest(%(task_ids)s::uuid[], %(retry_counts)s::int[], %(event_ids)s::uuid[],
                  %(messages)s::text[]) AS u(id, retry_count, event_id, message)
      JOIN engine_task t ON t.id = u.id
     WHERE t.status = :Status.RUNNING AND NOT t.is_evicted AND t.retry_count = u.retry_count
     ORDER BY t.id FOR UPDATE OF t
), evicted AS (
    UPDATE engine_task t SET is_evicted = true, worker_id = NULL, due_at = NULL
      FROM wanted w WHERE t.id = w.id
    RETURNING t.id, t.tenant_id, t.run_id, t.retry_count, w.worker_id, w.event_id, w.message
), logged AS (
    INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
    SELECT event_id, run_id, id, retry_count, :TaskEventKind.DURABLE_EVICTED,
           %(now)s::timestamptz, worker_id, message
      FROM evicted
)
SELECT id, tenant_id, run_id, retry_count FROM evicted;

-- name: durable_task.restore
-- Queues evicted tasks whose logs are locked, in the attempt they are in.
WITH wanted AS (
    SELECT t.id, u.timeout_seconds, u.event_id
      FROM unnest(%(task_ids)s::uuid[], %(timeouts)s::float8[], %(event_ids)s::uuid[])
           AS u(id, timeout_seconds, event_id)
      JOIN engine_task t ON t.id = u.id
     WHERE t.status = :Status.RUNNING AND t.is_evicted
     ORDER BY t.id FOR UPDATE OF t
), restored AS (
    UPDATE engine_task t
       SET status = :Status.QUEUED, queue_priority = :RETRY_QUEUE_PRIORITY, is_delayed = false,
           queued_at = %(now)s::timestamptz,
           due_at = %(now)s::timestamptz + make_interval(secs => w.timeout_seconds)
      FROM wanted w WHERE t.id = w.id
    RETURNING t.id, t.run_id, t.retry_count, w.event_id
), logged AS (
    INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
    SELECT event_id, run_id, id, retry_count, :TaskEventKind.DURABLE_RESTORING,
           %(now)s::timestamptz, NULL, %(message)s::text
      FROM restored
)
SELECT id FROM restored;
