-- name: ended_wait.insert
-- Which conditions of durable tasks an event met.
INSERT INTO engine_endedwait (id, tenant_id, event_id, run_id, task_id, branch_id, node_id, ordinal, at)
SELECT id, tenant_id, event_id, run_id, task_id, branch_id, node_id, ordinal, %(now)s::timestamptz
  FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(event_ids)s::uuid[], %(run_ids)s::uuid[],
              %(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(node_ids)s::bigint[],
              %(ordinals)s::smallint[])
       AS u(id, tenant_id, event_id, run_id, task_id, branch_id, node_id, ordinal)
RETURNING 1;

-- name: ended_wait.forget
-- Those older than the day of this id; some at a time.
DELETE FROM engine_endedwait WHERE id IN (
    SELECT id FROM engine_endedwait WHERE id < %(before)s::uuid ORDER BY id LIMIT 10000)
RETURNING id;
