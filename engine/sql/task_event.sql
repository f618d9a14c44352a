-- name: task_event.insert
-- Rows of the event log.
INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
SELECT id, run_id, task_id, retry_count, kind, %(now)s::timestamptz, worker_id, message
  FROM unnest(%(ids)s::uuid[], %(run_ids)s::uuid[], %(task_ids)s::uuid[], %(retry_counts)s::int[],
              %(kinds)s::smallint[], %(worker_ids)s::uuid[], %(messages)s::text[])
       AS u(id, run_id, task_id, retry_count, kind, worker_id, message)
RETURNING 1;
