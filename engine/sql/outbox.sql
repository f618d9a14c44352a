-- name: outbox.wake
-- Makes rows ready whose time has come; returns how many, and when the next of the others is due.
WITH woken AS (
    UPDATE engine_outboxrow SET due_at = NULL WHERE id IN (
        SELECT id FROM engine_outboxrow
         WHERE failed_at IS NULL AND due_at IS NOT NULL AND due_at <= %(now)s::timestamptz
         ORDER BY due_at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING 1
)
SELECT (SELECT count(*) FROM woken) AS rows, min(due_at) AS next_due_at FROM engine_outboxrow
 WHERE failed_at IS NULL AND due_at IS NOT NULL AND due_at > %(now)s::timestamptz;

-- name: outbox.claim
-- The first ready rows of each tenant, locked. One engine takes a tenant's rows at a time, for they are to be carried
-- out in the order in which they were asked for as far as they are visible. Rows of archived tenants wait. Chance says
-- who comes first where there are too many for one transaction. Large data are read when it is their turn. Runs get the
-- latest version of their workflow, none if that was deleted.
WITH RECURSIVE waiting AS (
    (SELECT tenant_id FROM engine_outboxrow
      WHERE failed_at IS NULL AND due_at IS NULL ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT o.tenant_id FROM engine_outboxrow o
             WHERE o.failed_at IS NULL AND o.due_at IS NULL AND o.tenant_id > w.tenant_id
             ORDER BY o.tenant_id LIMIT 1)
      FROM waiting w WHERE w.tenant_id IS NOT NULL
), ours AS MATERIALIZED (
    SELECT w.tenant_id FROM waiting w
     WHERE w.tenant_id IS NOT NULL
       AND (%(only)s::uuid IS NULL OR w.tenant_id = %(only)s::uuid)
       AND w.tenant_id <> ALL (%(but)s::uuid[])
       AND NOT EXISTS (SELECT FROM tenants_tenant t
                        WHERE t.id = w.tenant_id AND (t.archived_at IS NOT NULL OR t.deleted_at IS NOT NULL))
       AND pg_try_advisory_xact_lock(hashtextextended('hatchet.outbox ' || w.tenant_id, 0))
     ORDER BY random()
)
SELECT o.* FROM ours
 CROSS JOIN LATERAL (
    SELECT id, tenant_id, kind, name, CASE WHEN size <= %(small)s::int THEN data END AS data, size, metadata, priority,
           scope, target_id, trigger_at,
           CASE kind WHEN :OutboxKind.ENQUEUE THEN (
               SELECT v.id FROM engine_workflow w JOIN engine_workflowversion v ON v.workflow_id = w.id
                WHERE w.tenant_id = r.tenant_id AND w.name = r.name AND w.deleted_at IS NULL
                ORDER BY v."order" DESC LIMIT 1) END AS version_id
      FROM engine_outboxrow r
     WHERE r.failed_at IS NULL AND r.due_at IS NULL AND r.tenant_id = ours.tenant_id
     ORDER BY r.id LIMIT %(each)s::int FOR UPDATE SKIP LOCKED) o
 LIMIT %(limit)s::int;

-- name: outbox.claim_of
-- The same of those of some rows that are still ready, but for those of tenants that another engine is at.
SELECT id, tenant_id, kind, name, CASE WHEN size <= %(small)s::int THEN data END AS data, size, metadata, priority,
       scope, target_id, trigger_at,
       CASE kind WHEN :OutboxKind.ENQUEUE THEN (
           SELECT v.id FROM engine_workflow w JOIN engine_workflowversion v ON v.workflow_id = w.id
            WHERE w.tenant_id = r.tenant_id AND w.name = r.name AND w.deleted_at IS NULL
            ORDER BY v."order" DESC LIMIT 1) END AS version_id
  FROM engine_outboxrow r
 WHERE id = ANY(%(ids)s::uuid[]) AND failed_at IS NULL AND due_at IS NULL
   AND pg_try_advisory_xact_lock(hashtextextended('hatchet.outbox ' || tenant_id, 0))
 ORDER BY id
   FOR UPDATE SKIP LOCKED;

-- name: outbox.ready_ids
-- Rows that are ready, and nothing of them that could not be read.
SELECT o.id FROM engine_outboxrow o
 WHERE o.failed_at IS NULL AND o.due_at IS NULL
   AND (%(only)s::uuid IS NULL OR o.tenant_id = %(only)s::uuid)
   AND o.tenant_id <> ALL (%(but)s::uuid[])
   AND NOT EXISTS (SELECT FROM tenants_tenant t
                    WHERE t.id = o.tenant_id AND (t.archived_at IS NOT NULL OR t.deleted_at IS NOT NULL))
 ORDER BY o.tenant_id, o.id LIMIT %(limit)s::int;

-- name: outbox.read
-- The data of locked rows.
SELECT id, data FROM engine_outboxrow WHERE id = ANY(%(ids)s::uuid[]);

-- name: outbox.remove_ready
-- Locked rows that have been carried out, and were not postponed.
DELETE FROM engine_outboxrow WHERE id = ANY(%(ids)s::uuid[]) AND due_at IS NULL RETURNING id;

-- name: outbox.withdraw
-- Of cancelled ids the runs and schedules that nothing has been made of yet.
DELETE FROM engine_outboxrow o
 USING unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[]) AS u(id, tenant_id)
 WHERE o.id = u.id AND o.tenant_id = u.tenant_id AND o.kind IN (:OutboxKind.ENQUEUE, :OutboxKind.SCHEDULE)
RETURNING o.id;

-- name: outbox.refuse
-- Rows that cannot be carried out, with the reasons.
UPDATE engine_outboxrow o SET failed_at = %(now)s::timestamptz, failure = u.failure
  FROM unnest(%(ids)s::uuid[], %(failures)s::text[]) AS u(id, failure)
 WHERE o.id = u.id AND o.failed_at IS NULL
RETURNING o.id, o.tenant_id, o.failure;

-- name: outbox.postpone
-- Locked rows that can be carried out later.
UPDATE engine_outboxrow SET due_at = %(due_at)s::timestamptz WHERE id = ANY(%(ids)s::uuid[]) RETURNING id;

-- name: outbox.retry
-- Has a row that could not be carried out tried again.
UPDATE engine_outboxrow SET failed_at = NULL, failure = NULL
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid AND failed_at IS NOT NULL
RETURNING id;

-- name: outbox.dismiss
-- Forgets a row that could not be carried out.
DELETE FROM engine_outboxrow
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid AND failed_at IS NOT NULL
RETURNING id;

-- name: outbox.forget
-- Forgets rows that could not be carried out and that nobody has looked at for long.
DELETE FROM engine_outboxrow WHERE failed_at < %(before)s::timestamptz RETURNING id;

-- name: outbox.forget_keys
DELETE FROM engine_outboxkey WHERE expires_at <= %(now)s::timestamptz RETURNING owner_id;

-- name: outbox.statuses
-- How the tasks of completions stand.
SELECT t.id, t.status FROM engine_task t
  JOIN unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[]) AS u(id, tenant_id)
    ON t.id = u.id AND t.tenant_id = u.tenant_id;
