-- name: log_line.insert
-- Lines of tasks that exist in their tenant; returns which lines found their task.
WITH wanted AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(task_ids)s::uuid[],
                         %(retry_counts)s::int[], %(levels)s::smallint[], %(messages)s::text[],
                         %(metadata)s::text[])
        AS u(id, tenant_id, task_id, retry_count, level, message, metadata)
)
INSERT INTO engine_logline (id, run_id, task_id, step_id, tenant_id, retry_count, level, message, metadata,
                            created_at)
SELECT w.id, t.run_id, t.id, t.step_id, w.tenant_id, coalesce(w.retry_count, t.retry_count), w.level, w.message,
       w.metadata::jsonb, %(now)s::timestamptz
  FROM wanted w JOIN engine_task t ON t.id = w.task_id AND t.tenant_id = w.tenant_id
RETURNING id;

-- name: log_line.read_in_order
-- Has this transaction read lines by an index. Where tenants write side by side, Postgres takes each line to lie on
-- a page of its own, and would rather read all lines of a day and sort them, for every few of them anew.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true);

-- name: log_line.newest
-- Of the next so many lines of a tenant, the newest first, those that are wanted; and the last of them in any
-- case, if there are so many, to go on from. It stops as soon as enough are found. ASCII is compared in the C
-- collation, in which letters are compared the quickest.
WITH judged AS NOT MATERIALIZED (
    SELECT id, run_id, task_id, retry_count, level, created_at,
           created_at > %(since)s::timestamptz AND created_at < %(until)s::timestamptz
           AND level = ANY(%(levels)s::smallint[])
           AND (%(attempt)s::int = 0 OR retry_count = %(attempt)s::int - 1)
           AND (NOT %(has_steps)s::boolean OR step_id = ANY(%(step_ids)s::uuid[]))
           AND CASE WHEN %(pattern)s::text = '' THEN true
                    WHEN %(is_ascii)s::boolean THEN message COLLATE "C" ILIKE %(pattern)s::text
                    ELSE message ILIKE %(pattern)s::text END AS is_wanted
      FROM engine_logline
     WHERE tenant_id = %(tenant_id)s::uuid AND id > %(first_id)s::uuid AND id < %(last_id)s::uuid
       AND (NOT %(is_grave)s::boolean OR level >= :LogLevel.WARN)
       AND (NOT %(has_tasks)s::boolean
            OR (run_id = ANY(%(run_ids)s::uuid[]) AND task_id = ANY(%(task_ids)s::uuid[])))
     ORDER BY id DESC LIMIT %(looked_at)s::int
), placed AS NOT MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY id DESC) AS place FROM judged
)
SELECT id, run_id, task_id, retry_count, level, created_at, is_wanted, place
  FROM placed WHERE is_wanted OR place = %(looked_at)s::int
 ORDER BY id DESC LIMIT %(limit)s::int + 1;

-- name: log_line.oldest
-- The same, the oldest first.
WITH judged AS NOT MATERIALIZED (
    SELECT id, run_id, task_id, retry_count, level, created_at,
           created_at > %(since)s::timestamptz AND created_at < %(until)s::timestamptz
           AND level = ANY(%(levels)s::smallint[])
           AND (%(attempt)s::int = 0 OR retry_count = %(attempt)s::int - 1)
           AND (NOT %(has_steps)s::boolean OR step_id = ANY(%(step_ids)s::uuid[]))
           AND CASE WHEN %(pattern)s::text = '' THEN true
                    WHEN %(is_ascii)s::boolean THEN message COLLATE "C" ILIKE %(pattern)s::text
                    ELSE message ILIKE %(pattern)s::text END AS is_wanted
      FROM engine_logline
     WHERE tenant_id = %(tenant_id)s::uuid AND id > %(first_id)s::uuid AND id < %(last_id)s::uuid
       AND (NOT %(is_grave)s::boolean OR level >= :LogLevel.WARN)
       AND (NOT %(has_tasks)s::boolean
            OR (run_id = ANY(%(run_ids)s::uuid[]) AND task_id = ANY(%(task_ids)s::uuid[])))
     ORDER BY id LIMIT %(looked_at)s::int
), placed AS NOT MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY id) AS place FROM judged
)
SELECT id, run_id, task_id, retry_count, level, created_at, is_wanted, place
  FROM placed WHERE is_wanted OR place = %(looked_at)s::int
 ORDER BY id LIMIT %(limit)s::int + 1;

-- name: log_line.count
-- Of the next so many lines of a tenant, the newest first: how many are wanted, by level and the stretch of time
-- they were written in. Where the search goes on is in each row.
WITH judged AS MATERIALIZED (
    SELECT id, created_at, level,
           created_at > %(since)s::timestamptz AND created_at < %(until)s::timestamptz
           AND level = ANY(%(levels)s::smallint[])
           AND (%(attempt)s::int = 0 OR retry_count = %(attempt)s::int - 1)
           AND (NOT %(has_steps)s::boolean OR step_id = ANY(%(step_ids)s::uuid[]))
           AND CASE WHEN %(pattern)s::text = '' THEN true
                    WHEN %(is_ascii)s::boolean THEN message COLLATE "C" ILIKE %(pattern)s::text
                    ELSE message ILIKE %(pattern)s::text END AS is_wanted
      FROM engine_logline
     WHERE tenant_id = %(tenant_id)s::uuid AND id > %(first_id)s::uuid AND id < %(last_id)s::uuid
       AND (NOT %(is_grave)s::boolean OR level >= :LogLevel.WARN)
       AND (NOT %(has_tasks)s::boolean
            OR (run_id = ANY(%(run_ids)s::uuid[]) AND task_id = ANY(%(task_ids)s::uuid[])))
     ORDER BY id DESC LIMIT %(looked_at)s::int
), oldest AS (
    SELECT id, created_at FROM judged ORDER BY id LIMIT 1
)
SELECT date_bin(make_interval(secs => %(width_seconds)s::float8), j.created_at, %(start)s::timestamptz) AS at,
       j.level, count(*) FILTER (WHERE j.is_wanted) AS wanted, count(*) AS looked_at,
       o.id AS oldest_id, o.created_at AS oldest_at
  FROM judged j CROSS JOIN oldest o GROUP BY at, j.level, o.id, o.created_at;

-- name: log_line.count_all
-- How many lines were written, by level and the stretch of time, from the tally: to whole minutes.
SELECT date_bin(make_interval(secs => %(width_seconds)s::float8), minute, %(start)s::timestamptz) AS at,
       level, sum(lines) AS wanted
  FROM engine_logtally
 WHERE tenant_id = %(tenant_id)s::uuid AND minute >= %(start)s::timestamptz AND minute <= %(until)s::timestamptz
   AND level = ANY(%(levels)s::smallint[])
   AND (NOT %(has_steps)s::boolean OR step_id = ANY(%(step_ids)s::uuid[]))
 GROUP BY at, level;

-- name: log_line.compact_tallies
-- Sums up the counts of past minutes, and drops those of before the first line there is; one process at a time.
WITH turn AS (
    SELECT pg_try_advisory_xact_lock(hashtextextended('hatchet.compact_log_tallies', 0)) AS is_ours
), crowded AS (
    SELECT tenant_id, step_id, minute, level FROM engine_logtally, turn
     WHERE is_ours AND minute < now() - interval '1 minute'
     GROUP BY 1, 2, 3, 4 HAVING count(*) > 1
), dropped AS (
    DELETE FROM engine_logtally t USING crowded c
     WHERE t.tenant_id = c.tenant_id AND t.step_id = c.step_id AND t.minute = c.minute AND t.level = c.level
    RETURNING t.tenant_id, t.step_id, t.minute, t.level, t.lines
)
INSERT INTO engine_logtally (tenant_id, step_id, minute, level, lines)
SELECT tenant_id, step_id, minute, level, sum(lines) FROM dropped GROUP BY 1, 2, 3, 4
RETURNING 1;

-- name: log_line.drop_tallies
-- Drops the counts of minutes before the first line that a tenant still has.
WITH kept AS MATERIALIZED (
    SELECT t.id AS tenant_id, (SELECT l.created_at FROM engine_logline l WHERE l.tenant_id = t.id
                                ORDER BY l.id LIMIT 1) AS since
      FROM tenants_tenant t
)
DELETE FROM engine_logtally y USING kept k
 WHERE y.tenant_id = k.tenant_id
   AND y.minute < least(date_trunc('minute', k.since), now() - interval '1 hour')
RETURNING 1;
