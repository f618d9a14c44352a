-- name: deleted_tenant.remove_keys
-- The keys that payloads of deleted tenants are encrypted with: from now on nobody can read them, in no copy.
DELETE FROM engine_tenantkey WHERE tenant_id IN (SELECT id FROM tenants_tenant WHERE deleted_at IS NOT NULL)
RETURNING id;

-- name: deleted_tenant.lock_runs
-- Some runs of deleted tenants, locked; another engine removes those that are locked already.
SELECT r.id FROM tenants_tenant t
 CROSS JOIN LATERAL (
    SELECT id FROM engine_run WHERE tenant_id = t.id ORDER BY id LIMIT %(limit)s::int
       FOR UPDATE SKIP LOCKED) r
 WHERE t.deleted_at IS NOT NULL LIMIT %(limit)s::int;

-- name: deleted_tenant.lock_tasks
-- The tasks of locked runs, locked: those of graphs, and those that have the id of their run.
SELECT id FROM engine_task
 WHERE id = ANY(%(run_ids)s::uuid[])
    OR (run_id = ANY(%(run_ids)s::uuid[]) AND NOT (run_id = id))
 ORDER BY id FOR UPDATE;

-- name: deleted_tenant.remove_runs
-- Locked runs with their locked tasks, and all that is kept of either.
WITH payloads AS (
    DELETE FROM engine_payload WHERE owner_id = ANY(%(run_ids)s::uuid[] || %(task_ids)s::uuid[])
), notes AS (
    DELETE FROM engine_taskevent WHERE run_id = ANY(%(run_ids)s::uuid[])
), lines AS (
    DELETE FROM engine_logline WHERE run_id = ANY(%(run_ids)s::uuid[])
), entries AS (
    DELETE FROM engine_durableentry WHERE task_id = ANY(%(task_ids)s::uuid[])
), waits AS (
    DELETE FROM engine_durablewait WHERE task_id = ANY(%(task_ids)s::uuid[])
), durable_tasks AS (
    DELETE FROM engine_durabletask WHERE task_id = ANY(%(task_ids)s::uuid[])
), step_waits AS (
    DELETE FROM engine_stepwait WHERE task_id = ANY(%(task_ids)s::uuid[])
), children AS (
    DELETE FROM engine_childlink WHERE parent_task_id = ANY(%(task_ids)s::uuid[])
), ended AS (
    DELETE FROM engine_endedchild WHERE run_id = ANY(%(run_ids)s::uuid[])
), slots AS (
    DELETE FROM engine_runslot WHERE run_id = ANY(%(run_ids)s::uuid[])
), tasks AS (
    DELETE FROM engine_task WHERE id = ANY(%(task_ids)s::uuid[])
)
DELETE FROM engine_run WHERE id = ANY(%(run_ids)s::uuid[]) RETURNING id;

-- name: deleted_tenant.remove_events
-- Some events of deleted tenants, with their payloads.
WITH chosen AS MATERIALIZED (
    SELECT e.id FROM tenants_tenant t
     CROSS JOIN LATERAL (
        SELECT id FROM engine_event WHERE tenant_id = t.id ORDER BY id LIMIT %(limit)s::int
           FOR UPDATE SKIP LOCKED) e
     WHERE t.deleted_at IS NOT NULL LIMIT %(limit)s::int
), payloads AS (
    DELETE FROM engine_payload WHERE owner_id IN (SELECT id FROM chosen)
)
DELETE FROM engine_event WHERE id IN (SELECT id FROM chosen) RETURNING id;

-- name: deleted_tenant.remove_numerous
-- Some of what else there may be many of.
WITH gone AS MATERIALIZED (
    SELECT id FROM tenants_tenant WHERE deleted_at IS NOT NULL
), schedules AS (
    DELETE FROM engine_schedule WHERE id IN (
        SELECT id FROM engine_schedule WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), tallies AS (
    DELETE FROM engine_runtally WHERE id IN (
        SELECT id FROM engine_runtally WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), timings AS (
    DELETE FROM engine_workflowtiming WHERE (tenant_id, since, is_hour, version_id, timed) IN (
        SELECT tenant_id, since, is_hour, version_id, timed FROM engine_workflowtiming
         WHERE tenant_id IN (SELECT id FROM gone) LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), log_tallies AS (
    DELETE FROM engine_logtally WHERE id IN (
        SELECT id FROM engine_logtally WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), keys AS (
    DELETE FROM engine_idempotencykey WHERE (tenant_id, digest) IN (
        SELECT tenant_id, digest FROM engine_idempotencykey WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), limits AS (
    DELETE FROM engine_ratelimit WHERE (tenant_id, key) IN (
        SELECT tenant_id, key FROM engine_ratelimit WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), answers AS (
    DELETE FROM engine_answeredrequest WHERE (tenant_id, key_digest) IN (
        SELECT tenant_id, key_digest FROM engine_answeredrequest
         WHERE tenant_id IN (SELECT id FROM gone) LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), wishes AS (
    DELETE FROM engine_outboxrow WHERE id IN (
        SELECT id FROM engine_outboxrow WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), wish_keys AS (
    DELETE FROM engine_outboxkey WHERE (tenant_id, digest) IN (
        SELECT tenant_id, digest FROM engine_outboxkey WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), failed AS (
    DELETE FROM engine_failedattempt WHERE id IN (
        SELECT id FROM engine_failedattempt WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), error_tallies AS (
    DELETE FROM engine_errortally WHERE id IN (
        SELECT t.id FROM engine_errortally t JOIN engine_errorgroup g ON g.id = t.group_id
         WHERE g.tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE OF t SKIP LOCKED)
    RETURNING 1
), ended_waits AS (
    DELETE FROM engine_endedwait WHERE id IN (
        SELECT id FROM engine_endedwait WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), failures AS (
    DELETE FROM engine_celfailure WHERE id IN (
        SELECT id FROM engine_celfailure WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), spans AS (
    DELETE FROM engine_span WHERE id IN (
        SELECT id FROM engine_span WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
), workers AS (
    DELETE FROM engine_worker WHERE id IN (
        SELECT id FROM engine_worker WHERE tenant_id IN (SELECT id FROM gone)
         LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
)
SELECT 1 FROM schedules UNION ALL SELECT 1 FROM tallies UNION ALL SELECT 1 FROM timings UNION ALL SELECT 1 FROM log_tallies
UNION ALL SELECT 1 FROM keys
UNION ALL SELECT 1 FROM limits UNION ALL SELECT 1 FROM answers UNION ALL SELECT 1 FROM wishes UNION ALL SELECT 1 FROM wish_keys
UNION ALL SELECT 1 FROM failures UNION ALL SELECT 1 FROM spans
UNION ALL SELECT 1 FROM failed UNION ALL SELECT 1 FROM error_tallies UNION ALL SELECT 1 FROM ended_waits
UNION ALL SELECT 1 FROM workers;

-- name: deleted_tenant.emptied
-- Deleted tenants of which nothing numerous is left, locked. They have been deleted for a while: by then no
-- engine remembers a token of theirs, so nothing comes after.
SELECT t.id FROM tenants_tenant t
 WHERE t.deleted_at < %(before)s::timestamptz
   AND NOT EXISTS (SELECT FROM engine_run r WHERE r.tenant_id = t.id)
   AND NOT EXISTS (SELECT FROM engine_event e WHERE e.tenant_id = t.id)
 ORDER BY t.id FOR UPDATE SKIP LOCKED;

-- name: deleted_tenant.remove
-- What is left of these tenants: their definitions, their leases, and themselves.
WITH kept AS MATERIALIZED (
    SELECT id FROM engine_workflow WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), versions AS MATERIALIZED (
    SELECT id FROM engine_workflowversion WHERE workflow_id IN (SELECT id FROM kept)
), misses AS (
    DELETE FROM engine_cronmiss WHERE cron_id IN (
        SELECT id FROM engine_cron WHERE tenant_id = ANY(%(tenant_ids)s::uuid[]))
), crons AS (
    DELETE FROM engine_cron WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), triggers AS (
    DELETE FROM engine_eventtrigger WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), filters AS (
    DELETE FROM engine_filter WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), strategies AS (
    DELETE FROM engine_sharedstrategy WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), actions AS (
    DELETE FROM engine_bulkaction WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), sql_roles AS (
    DELETE FROM engine_sqlrole WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), totals AS (
    DELETE FROM engine_tenanttotal WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), error_groups AS (
    DELETE FROM engine_errorgroup WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), leases AS (
    DELETE FROM engine_lease WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), usage AS (
    DELETE FROM tenants_resourcelimit WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), steps AS (
    DELETE FROM engine_step WHERE version_id IN (SELECT id FROM versions)
), old_versions AS (
    DELETE FROM engine_workflowversion WHERE id IN (SELECT id FROM versions)
), workflows AS (
    DELETE FROM engine_workflow WHERE id IN (SELECT id FROM kept)
)
DELETE FROM tenants_tenant WHERE id = ANY(%(tenant_ids)s::uuid[]) RETURNING id;
