-- name: batch.mark
-- Says in which batch attempts run that this transaction has just assigned.
WITH marked AS (
    UPDATE engine_task t SET batch_id = u.batch_id
      FROM unnest(%(ids)s::uuid[], %(retry_counts)s::int[], %(batch_ids)s::uuid[],
                  %(event_ids)s::uuid[], %(messages)s::text[])
           AS u(id, retry_count, batch_id, event_id, message)
     WHERE t.id = u.id AND t.retry_count = u.retry_count AND t.status = :Status.RUNNING
       AND t.assigned_at = %(now)s::timestamptz
    RETURNING t.id, t.run_id, t.retry_count, t.worker_id, u.event_id, u.message
)
INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
SELECT event_id, run_id, id, retry_count, :TaskEventKind.BATCH_FLUSHED,
       %(now)s::timestamptz, worker_id, message
  FROM marked
RETURNING 1;

-- name: batch.running_members
-- Of tasks that are said to run in a batch, those that do, in which attempt.
SELECT t.id AS task_id, t.tenant_id, t.batch_id, t.retry_count FROM engine_task t
  JOIN unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(batch_ids)s::uuid[])
       AS u(id, tenant_id, batch_id)
    ON t.id = u.id AND t.tenant_id = u.tenant_id AND t.batch_id = u.batch_id
 WHERE t.status = :Status.RUNNING;

-- name: batch.undelivered
-- The batches in which these attempts run, without those whose worker has acknowledged any of them.
SELECT t.id AS task_id, t.batch_id, t.concurrency_keys, t.assigned_at FROM engine_task t
 WHERE t.id = ANY(%(ids)s::uuid[]) AND t.status = :Status.RUNNING
   AND NOT EXISTS (SELECT 1 FROM engine_task o
                    WHERE o.worker_id = t.worker_id AND o.status = :Status.RUNNING
                      AND o.batch_id = t.batch_id AND o.started_at IS NOT NULL)
 ORDER BY t.queue_priority DESC, t.id;

-- name: batch.abandoned
-- Of the batches in which these tasks were last, those none of whose items runs any more.
SELECT DISTINCT t.id AS task_id, t.batch_id FROM engine_task t
 WHERE t.id = ANY(%(ids)s::uuid[]) AND t.batch_id IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM engine_task o
                    WHERE o.worker_id = ANY(%(worker_ids)s::uuid[]) AND o.status = :Status.RUNNING
                      AND o.batch_id = t.batch_id);
