-- name: figure.begin
-- Makes the place from which the event log is counted, where there is none.
INSERT INTO engine_figuresposition (name, counted_until)
VALUES ('event log', %(at)s::timestamptz) ON CONFLICT (name) DO NOTHING
RETURNING 1;

-- name: figure.claim
-- Up to when the event log is counted, for whoever is to count on; nothing while another does. What was
-- written in transactions that go on is not there yet: nothing after the beginning of the oldest is counted,
-- unless that has gone on for ten minutes.
SELECT p.counted_until,
       (SELECT min(a.xact_start) FROM pg_stat_activity a
         WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL
           AND a.pid <> pg_backend_pid() AND a.xact_start > now() - interval '10 minutes') AS oldest_open
  FROM engine_figuresposition p
 WHERE p.name = 'event log' FOR UPDATE OF p SKIP LOCKED;

-- name: figure.gather
-- What the event log says of less than a minute: what happened by tenant (`timed` is NULL), and how long it
-- took by workflow and version. An event counts (`counts_once`) if it was the first of its kind for its task, or,
-- of failures, the last. A run ended with the last of its final events.
WITH noted AS MATERIALIZED (
    SELECT id, run_id, task_id, retry_count, kind, at FROM engine_taskevent
     WHERE id >= %(first_id)s::uuid AND id < %(end_id)s::uuid
       AND kind IN (:TaskEventKind.QUEUED, :TaskEventKind.ASSIGNED, :TaskEventKind.FINISHED,
                    :TaskEventKind.FAILED, :TaskEventKind.RETRYING, :TaskEventKind.CANCELLED,
                    :TaskEventKind.TIMED_OUT, :TaskEventKind.REASSIGNED,
                    :TaskEventKind.SCHEDULING_TIMED_OUT, :TaskEventKind.REQUEUED_RATE_LIMIT,
                    :TaskEventKind.SKIPPED, :TaskEventKind.COULD_NOT_SEND_TO_WORKER)
), runs AS MATERIALIZED (
    SELECT r.* FROM (SELECT DISTINCT run_id FROM noted) n
     CROSS JOIN LATERAL (
        SELECT id, tenant_id, workflow_id, version_id, status, is_dag, created_at, started_at, finished_at
          FROM engine_run WHERE id = n.run_id LIMIT 1) r
), told AS MATERIALIZED (
    SELECT n.id, n.run_id, n.task_id, n.retry_count, n.kind, n.at, r.tenant_id, r.workflow_id,
           r.version_id, r.is_dag, r.created_at, r.status
      FROM noted n JOIN runs r ON r.id = n.run_id
), judged AS (
    SELECT tenant_id, kind,
           CASE WHEN kind = :TaskEventKind.QUEUED
                THEN retry_count = 0 AND (is_dag OR at = created_at)
                WHEN kind = :TaskEventKind.ASSIGNED THEN retry_count = 0
                WHEN kind IN (:TaskEventKind.FAILED, :TaskEventKind.TIMED_OUT, :TaskEventKind.REASSIGNED,
                              :TaskEventKind.COULD_NOT_SEND_TO_WORKER)
                THEN EXISTS (SELECT FROM engine_task t
                              WHERE t.id = e.task_id AND t.retry_count = e.retry_count
                                AND t.status = :Status.FAILED)
                ELSE true END AS counts_once
      FROM told e
), queued AS (
    SELECT e.tenant_id, e.workflow_id, e.version_id,
           extract(epoch FROM e.at - coalesce(q.at, e.created_at))::float8 AS seconds
      FROM told e LEFT JOIN LATERAL (
        SELECT at FROM engine_taskevent q
         WHERE q.run_id = e.run_id AND q.id >= e.run_id AND q.id < e.id AND q.task_id = e.task_id
           AND q.kind IN (:TaskEventKind.QUEUED, :TaskEventKind.DURABLE_RESTORING)
         ORDER BY q.id DESC LIMIT 1) q ON true
     WHERE e.kind = :TaskEventKind.ASSIGNED
), last_words AS (
    SELECT DISTINCT ON (run_id) run_id, id FROM told
     WHERE status >= :Status.COMPLETED
       AND kind IN (:TaskEventKind.FINISHED, :TaskEventKind.FAILED, :TaskEventKind.CANCELLED,
                    :TaskEventKind.TIMED_OUT, :TaskEventKind.REASSIGNED, :TaskEventKind.SCHEDULING_TIMED_OUT,
                    :TaskEventKind.SKIPPED, :TaskEventKind.COULD_NOT_SEND_TO_WORKER)
     ORDER BY run_id, id DESC
), ended AS (
    SELECT r.tenant_id, r.workflow_id, r.version_id, r.status,
           extract(epoch FROM r.finished_at - r.started_at)::float8 AS seconds
      FROM last_words w JOIN runs r ON r.id = w.run_id
     WHERE r.started_at IS NOT NULL AND r.finished_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM engine_taskevent n
                        WHERE n.run_id = w.run_id AND n.id > w.id
                          AND n.kind IN (:TaskEventKind.FINISHED, :TaskEventKind.FAILED,
                                         :TaskEventKind.CANCELLED, :TaskEventKind.TIMED_OUT,
                                         :TaskEventKind.REASSIGNED, :TaskEventKind.SCHEDULING_TIMED_OUT,
                                         :TaskEventKind.SKIPPED, :TaskEventKind.COULD_NOT_SEND_TO_WORKER))
), timed AS (
    SELECT tenant_id, workflow_id, version_id, :Timed.QUEUE AS timed, 0::smallint AS status, seconds FROM queued
    UNION ALL
    SELECT tenant_id, workflow_id, version_id, :Timed.RUN, status, seconds FROM ended
)
SELECT tenant_id, kind, counts_once, NULL::uuid AS workflow_id, NULL::uuid AS version_id,
       NULL::int AS timed, 0::smallint AS status, 0::smallint AS bucket, 0::smallint AS scraped_bucket,
       count(*) AS number, 0::float8 AS seconds
  FROM judged GROUP BY 1, 2, 3
UNION ALL
SELECT tenant_id, 0::smallint, true, workflow_id, version_id, timed, status,
       least(ceil(ln(greatest(seconds, %(shortest)s::float8) / %(shortest)s::float8)
                  / ln(%(growth)s::float8)), %(last_bucket)s::int)::smallint,
       width_bucket(greatest(seconds, 0) - 0.0000005, %(scraped)s::float8[])::smallint,
       count(*), sum(greatest(seconds, 0))
  FROM timed GROUP BY 1, 4, 5, 6, 7, 8, 9;

-- name: figure.told_apart
-- The workflows of these tenants that have totals of their own.
SELECT DISTINCT tenant_id, workflow_id FROM engine_tenanttotal
 WHERE tenant_id = ANY(%(tenant_ids)s::uuid[]) AND metric = :TenantMetric.RUN_MILLISECONDS
   AND workflow_id <> '00000000-0000-0000-0000-000000000000';

-- name: figure.add_totals
-- Adds to what was counted since the beginning; rows in the order of their key, as other engines add too.
INSERT INTO engine_tenanttotal (tenant_id, metric, workflow_id, status, bucket, value)
SELECT * FROM unnest(%(tenant_ids)s::uuid[], %(metrics)s::smallint[], %(workflow_ids)s::uuid[],
                     %(statuses)s::smallint[], %(buckets)s::smallint[], %(amounts)s::float8[])
              AS u(tenant_id, metric, workflow_id, status, bucket, amount)
 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (tenant_id, metric, workflow_id, status, bucket)
    DO UPDATE SET value = engine_tenanttotal.value + excluded.value
RETURNING 1;

-- name: figure.add_timings
-- Adds times to the histograms of a minute; whoever does that holds the position.
WITH more AS (
    SELECT * FROM unnest(%(tenant_ids)s::uuid[], %(workflow_ids)s::uuid[], %(version_ids)s::uuid[],
                         %(timeds)s::smallint[], %(buckets)s::smallint[], %(numbers)s::int[],
                         %(seconds)s::float8[])
           AS u(tenant_id, workflow_id, version_id, timed, bucket, number, seconds)
), every AS (
    SELECT tenant_id, workflow_id, version_id, timed, bucket, number, seconds FROM more
    UNION ALL
    SELECT t.tenant_id, t.workflow_id, t.version_id, t.timed, b.bucket, b.number,
           CASE WHEN b.nth = 1 THEN t.total_seconds ELSE 0 END
      FROM (SELECT DISTINCT tenant_id, version_id, timed FROM more) m
      JOIN engine_workflowtiming t ON t.tenant_id = m.tenant_id AND t.version_id = m.version_id
           AND t.timed = m.timed AND t.since = %(minute)s::timestamptz AND NOT t.is_hour
     CROSS JOIN LATERAL unnest(t.buckets, t.counts) WITH ORDINALITY AS b(bucket, number, nth)
), summed AS (
    SELECT tenant_id, workflow_id, version_id, timed, bucket, sum(number)::int AS number,
           sum(seconds) AS seconds
      FROM every GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO engine_workflowtiming (tenant_id, since, is_hour, version_id, timed, workflow_id, buckets,
                                   counts, total_seconds)
SELECT tenant_id, %(minute)s::timestamptz, false, version_id, timed, workflow_id,
       array_agg(bucket ORDER BY bucket), array_agg(number ORDER BY bucket), sum(seconds)
  FROM summed GROUP BY tenant_id, workflow_id, version_id, timed
    ON CONFLICT (tenant_id, since, is_hour, version_id, timed)
    DO UPDATE SET buckets = excluded.buckets, counts = excluded.counts,
                  total_seconds = excluded.total_seconds
RETURNING 1;

-- name: figure.advance
UPDATE engine_figuresposition SET counted_until = %(until)s::timestamptz WHERE name = 'event log'
RETURNING 1;

-- name: figure.merge_hour
-- Makes one row of the minutes of an hour, of some tenants, in hours that are over and counted.
WITH turn AS (
    SELECT pg_try_advisory_xact_lock(hashtextextended('hatchet.merge_timings', 0)) AS is_ours
), hours AS MATERIALIZED (
    SELECT DISTINCT tenant_id, date_trunc('hour', since, 'UTC') AS hour
      FROM (SELECT tenant_id, since FROM engine_workflowtiming, turn
             WHERE is_ours AND NOT is_hour
               AND since < least(%(before)s::timestamptz, (
                   SELECT date_trunc('hour', counted_until, 'UTC') FROM engine_figuresposition
                    WHERE name = 'event log'))
             ORDER BY since LIMIT 1000) oldest
), minutes AS (
    DELETE FROM engine_workflowtiming t USING hours h
     WHERE t.tenant_id = h.tenant_id AND t.since >= h.hour AND t.since < h.hour + interval '1 hour'
       AND NOT t.is_hour
    RETURNING t.tenant_id, t.since, t.version_id, t.timed, t.workflow_id, t.buckets, t.counts,
              t.total_seconds
), summed AS (
    SELECT m.tenant_id, date_trunc('hour', m.since, 'UTC') AS hour, m.version_id, m.timed, m.workflow_id,
           b.bucket, sum(b.number)::int AS number,
           sum(CASE WHEN b.nth = 1 THEN m.total_seconds ELSE 0 END) AS seconds
      FROM minutes m
     CROSS JOIN LATERAL unnest(m.buckets, m.counts) WITH ORDINALITY AS b(bucket, number, nth)
     GROUP BY 1, 2, 3, 4, 5, 6
)
INSERT INTO engine_workflowtiming (tenant_id, since, is_hour, version_id, timed, workflow_id, buckets,
                                   counts, total_seconds)
SELECT tenant_id, hour, true, version_id, timed, workflow_id, array_agg(bucket ORDER BY bucket),
       array_agg(number ORDER BY bucket), sum(seconds)
  FROM summed GROUP BY 1, 2, version_id, timed, workflow_id
RETURNING 1;

-- name: figure.expire_timings
-- Times nobody is told any more, some at a time.
DELETE FROM engine_workflowtiming WHERE (tenant_id, since, is_hour, version_id, timed) IN (
    SELECT tenant_id, since, is_hour, version_id, timed FROM engine_workflowtiming
     WHERE since < %(before)s::timestamptz ORDER BY since LIMIT %(at_most)s::int)
RETURNING 1;

-- name: figure.forget_workflows
-- Totals of workflows that were deleted make room for others.
DELETE FROM engine_tenanttotal t
 WHERE t.workflow_id <> '00000000-0000-0000-0000-000000000000'
   AND NOT EXISTS (SELECT FROM engine_workflow w WHERE w.id = t.workflow_id AND w.deleted_at IS NULL)
RETURNING 1;

-- name: figure.totals
-- What was counted of a tenant since its beginning.
SELECT tenant_id, metric, workflow_id, status, bucket, value FROM engine_tenanttotal
 WHERE tenant_id = %(tenant_id)s::uuid ORDER BY metric, workflow_id, status, bucket;

-- name: figure.timings
-- The times of a tenant's runs by version, from one moment until before another: histograms added up. Where
-- most was measured comes first.
SELECT workflow_id, version_id, timed, array_agg(bucket ORDER BY bucket) AS buckets,
       array_agg(number ORDER BY bucket) AS counts, sum(seconds)::float8 AS total_seconds
  FROM (SELECT t.workflow_id, t.version_id, t.timed, b.bucket, sum(b.number)::bigint AS number,
               sum(CASE WHEN b.nth = 1 THEN t.total_seconds ELSE 0 END) AS seconds
          FROM engine_workflowtiming t
         CROSS JOIN LATERAL unnest(t.buckets, t.counts) WITH ORDINALITY AS b(bucket, number, nth)
         WHERE t.tenant_id = %(tenant_id)s::uuid AND t.since >= %(since)s::timestamptz
           AND t.since < %(until)s::timestamptz
           AND (%(workflow_ids)s::uuid[] = '{}' OR t.workflow_id = ANY(%(workflow_ids)s::uuid[]))
         GROUP BY 1, 2, 3, 4) summed
 GROUP BY 1, 2, 3 ORDER BY sum(number) DESC, 1, 2, 3 LIMIT %(limit)s::int;

-- name: figure.position
SELECT counted_until FROM engine_figuresposition WHERE name = 'event log';

-- name: figure.slots
-- The slots of all kinds that workers offer which are there.
SELECT w.id, (SELECT coalesce(sum(s.units::float8), 0) FROM jsonb_each_text(w.slots) AS s(kind, units))
              AS slots
  FROM engine_worker w
 WHERE w.tenant_id = %(tenant_id)s::uuid AND w.is_active AND w.last_heartbeat_at > %(since)s::timestamptz;

-- name: figure.oldest_queued
-- When the first in line of each queue of these tenants was queued: the oldest of them. A loose index scan, one
-- step per queue and priority.
WITH RECURSIVE actions AS (
    SELECT t.tenant_id, (SELECT f.action_id FROM engine_task f
                          WHERE f.tenant_id = t.tenant_id AND f.status = :Status.QUEUED AND NOT f.is_delayed
                          ORDER BY f.action_id LIMIT 1) AS action_id
      FROM unnest(%(tenant_ids)s::uuid[]) AS t(tenant_id)
    UNION ALL
    SELECT a.tenant_id, (SELECT n.action_id FROM engine_task n
                          WHERE n.tenant_id = a.tenant_id AND n.status = :Status.QUEUED AND NOT n.is_delayed
                            AND n.action_id > a.action_id
                          ORDER BY n.action_id LIMIT 1)
      FROM actions a WHERE a.action_id IS NOT NULL
)
SELECT min(o.queued_at) AS queued_at
  FROM actions a CROSS JOIN generate_series(1, :RETRY_QUEUE_PRIORITY) AS p(priority)
 CROSS JOIN LATERAL (
    SELECT t.queued_at FROM engine_task t
     WHERE t.tenant_id = a.tenant_id AND t.action_id = a.action_id AND t.status = :Status.QUEUED
       AND NOT t.is_delayed AND t.queue_priority = p.priority
     ORDER BY t.id LIMIT 1) o
 WHERE a.action_id IS NOT NULL;

-- name: figure.table_sizes
-- How large our tables are, with their partitions and indexes.
SELECT c.relname::text AS name, sum(pg_total_relation_size(p.relid))::bigint AS bytes
  FROM pg_class c CROSS JOIN LATERAL pg_partition_tree(c.oid) p
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
   AND c.relname ~ '^(engine|tenants|webhooks)_'
 GROUP BY 1 ORDER BY 1;

-- name: figure.keys_in_use
-- How many attempts that wait or run have each key of their concurrency groups, the most first: keys of their
-- own chain, and of their run's.
SELECT version_id, step_id, status, is_of_run, place::int AS place, key, count(*) AS number
  FROM (SELECT t.version_id, t.step_id, t.status, c.is_of_run, k.place, left(k.key, 256) AS key
          FROM (SELECT version_id, step_id, status, concurrency_keys FROM engine_task
                 WHERE tenant_id = %(tenant_id)s::uuid AND status = :Status.QUEUED AND NOT is_delayed
                   AND concurrency_keys IS NOT NULL
                UNION ALL
                SELECT version_id, step_id, status, concurrency_keys FROM engine_task
                 WHERE tenant_id = %(tenant_id)s::uuid AND status = :Status.RUNNING
                   AND concurrency_keys IS NOT NULL) t
         CROSS JOIN LATERAL (VALUES (false, t.concurrency_keys::jsonb -> 'keys'),
                                    (true, t.concurrency_keys::jsonb #> '{run,keys}')) AS c(is_of_run, keys)
         CROSS JOIN LATERAL jsonb_array_elements_text(c.keys) WITH ORDINALITY AS k(key, place)) keyed
 GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY number DESC, key LIMIT %(limit)s::int;
