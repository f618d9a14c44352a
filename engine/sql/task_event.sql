-- name: task_event.insert
-- Rows of the event log.
INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
SELECT id, run_id, task_id, retry_count, kind, coalesce(at, %(now)s::timestamptz), worker_id, message
  FROM unnest(%(ids)s::uuid[], %(run_ids)s::uuid[], %(task_ids)s::uuid[], %(retry_counts)s::int[],
              %(kinds)s::smallint[], %(worker_ids)s::uuid[], %(messages)s::text[],
              %(ats)s::timestamptz[])
       AS u(id, run_id, task_id, retry_count, kind, worker_id, message, at)
RETURNING 1;

-- name: task_event.insert_sent
-- Starts that were written to their workers' streams, each at its own time. Told again, nothing changes.
INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
SELECT id, run_id, task_id, retry_count, :TaskEventKind.SENT_TO_WORKER, to_timestamp(at), worker_id, ''
  FROM unnest(%(ids)s::uuid[], %(run_ids)s::uuid[], %(task_ids)s::uuid[], %(retry_counts)s::int[],
              %(ats)s::float8[], %(worker_ids)s::uuid[])
       AS u(id, run_id, task_id, retry_count, at, worker_id)
ON CONFLICT (run_id, id) DO NOTHING
RETURNING 1;

-- name: task_event.insert_waiting
-- What queued attempts wait for, each at its own time.
INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
SELECT u.id, t.run_id, t.id, t.retry_count, u.kind, to_timestamp(u.at), NULL, u.message
  FROM unnest(%(ids)s::uuid[], %(task_ids)s::uuid[], %(retry_counts)s::int[],
              %(kinds)s::smallint[], %(ats)s::float8[], %(messages)s::text[])
       AS u(id, task_id, retry_count, kind, at, message)
  JOIN engine_task t ON t.id = u.task_id AND t.retry_count = u.retry_count
ON CONFLICT (run_id, id) DO NOTHING
RETURNING 1;

-- name: task_event.insert_refused
-- Attempts that wait for units of a rate limit. Another owner of the tenant, which finds them waiting, does
-- not say so again.
INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
SELECT u.id, t.run_id, t.id, t.retry_count, :TaskEventKind.REQUEUED_RATE_LIMIT,
       to_timestamp(u.at), NULL, u.message
  FROM unnest(%(ids)s::uuid[], %(task_ids)s::uuid[], %(retry_counts)s::int[], %(ats)s::float8[],
              %(messages)s::text[]) AS u(id, task_id, retry_count, at, message)
  JOIN engine_task t ON t.id = u.task_id AND t.retry_count = u.retry_count
 WHERE NOT EXISTS (SELECT FROM engine_taskevent e
                    WHERE e.run_id = t.run_id AND e.task_id = t.id
                      AND e.retry_count = t.retry_count AND e.kind = :TaskEventKind.REQUEUED_RATE_LIMIT)
ON CONFLICT (run_id, id) DO NOTHING
RETURNING 1;

-- name: task_event.ends
-- What the log says last of the end of these tasks' attempts.
SELECT DISTINCT ON (task_id) task_id, kind, left(message, %(size)s::int) AS message
  FROM engine_taskevent
 WHERE run_id = ANY(%(run_ids)s::uuid[]) AND task_id = ANY(%(task_ids)s::uuid[])
   AND kind = ANY(%(kinds)s::smallint[])
 ORDER BY task_id, id DESC;
