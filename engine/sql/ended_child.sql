-- name: ended_child.take
-- Children of durable tasks that ended and whose parents' entries are to be completed.
WITH taken AS (
    SELECT run_id FROM engine_endedchild
     WHERE tenant_id = ANY(%(tenant_ids)s::uuid[]) AND run_id <> ALL(%(but)s::uuid[])
     ORDER BY run_id LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
)
DELETE FROM engine_endedchild c USING taken t WHERE c.run_id = t.run_id
RETURNING c.run_id, c.tenant_id, c.task_id;

-- name: ended_child.ids
-- The same, taken by nobody yet.
SELECT run_id FROM engine_endedchild
 WHERE tenant_id = ANY(%(tenant_ids)s::uuid[]) AND run_id <> ALL(%(but)s::uuid[])
 ORDER BY run_id LIMIT %(limit)s::int;

-- name: ended_child.take_of
-- Those of some of them that nobody else takes.
WITH taken AS (
    SELECT run_id FROM engine_endedchild
     WHERE run_id = ANY(%(run_ids)s::uuid[]) ORDER BY run_id FOR UPDATE SKIP LOCKED
)
DELETE FROM engine_endedchild c USING taken t WHERE c.run_id = t.run_id
RETURNING c.run_id, c.tenant_id, c.task_id;
