-- name: log_line.insert
-- Lines of tasks that exist in their tenant; returns which lines found their task.
WITH wanted AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(task_ids)s::uuid[],
                         %(retry_counts)s::int[], %(levels)s::smallint[], %(messages)s::text[],
                         %(metadata)s::text[])
        AS u(id, tenant_id, task_id, retry_count, level, message, metadata)
)
INSERT INTO engine_logline (id, run_id, task_id, tenant_id, retry_count, level, message, metadata, created_at)
SELECT w.id, t.run_id, t.id, t.tenant_id, coalesce(w.retry_count, t.retry_count), w.level, w.message,
       w.metadata::jsonb, %(now)s::timestamptz
  FROM wanted w JOIN engine_task t ON t.id = w.task_id AND t.tenant_id = w.tenant_id
RETURNING id;
