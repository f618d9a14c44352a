-- name: schedule.next_due
-- When a cron or a schedule must fire next; one long ago may be too long ago to be read.
SELECT CASE WHEN due_at < 'epoch' THEN 'epoch' WHEN due_at = 'infinity' THEN NULL ELSE due_at END
  FROM (SELECT least((SELECT min(due_at) FROM engine_cron WHERE due_at IS NOT NULL),
                     (SELECT s.due_at
                        FROM engine_schedule s JOIN engine_workflow w ON w.id = s.workflow_id
                       WHERE s.due_at IS NOT NULL
                         AND NOT (w.is_paused AND w.paused_scheduled_behavior = 'DROP')
                         AND NOT EXISTS (
                             SELECT FROM tenants_tenant t WHERE t.id = s.tenant_id AND t.archived_at IS NOT NULL)
                       ORDER BY s.due_at LIMIT 1)) AS due_at) soonest;

-- name: schedule.insert
-- One run of a workflow at each of some instants.
INSERT INTO engine_schedule (id, tenant_id, workflow_id, trigger_at, due_at, input,
                             additional_metadata, priority, parent_run_id, parent_task_id, child_index,
                             child_key, created_at, updated_at)
SELECT id, %(tenant_id)s::uuid, %(workflow_id)s::uuid, trigger_at, trigger_at, %(input)s::bytea,
       %(metadata)s::text::jsonb, %(priority)s::smallint, %(parent_run_id)s::uuid,
       %(parent_task_id)s::uuid, %(child_index)s::int, %(child_key)s::text, %(now)s::timestamptz,
       %(now)s::timestamptz
  FROM unnest(%(ids)s::uuid[], %(trigger_ats)s::timestamptz[]) AS u(id, trigger_at)
RETURNING id;

-- name: schedule.due
-- Schedules whose time has come and that no pause or archive keeps pending, locked; another engine takes those that are locked already.
SELECT s.id, s.tenant_id, w.name AS workflow_name, s.input, s.additional_metadata::text, s.priority,
       s.parent_run_id, s.parent_task_id, s.child_index, s.child_key, s.due_at,
       (SELECT v.id FROM engine_workflowversion v
         WHERE v.workflow_id = s.workflow_id ORDER BY v."order" DESC LIMIT 1) AS version_id
  FROM engine_schedule s JOIN engine_workflow w ON w.id = s.workflow_id
 WHERE s.due_at <= %(now)s::timestamptz
   AND (%(only)s::uuid IS NULL OR s.tenant_id = %(only)s::uuid)
   AND s.tenant_id <> ALL (%(but)s::uuid[])
   AND NOT (w.is_paused AND w.paused_scheduled_behavior = 'DROP')
   AND NOT EXISTS (
       SELECT FROM tenants_tenant t WHERE t.id = s.tenant_id AND t.archived_at IS NOT NULL)
 ORDER BY s.due_at LIMIT %(limit)s::int
   FOR UPDATE OF s SKIP LOCKED;

-- name: schedule.due_ids
-- Schedules whose time has come and that no pause or archive keeps pending, and nothing of them that could not be
-- read.
SELECT s.id FROM engine_schedule s JOIN engine_workflow w ON w.id = s.workflow_id
 WHERE s.due_at <= %(now)s::timestamptz
   AND (%(only)s::uuid IS NULL OR s.tenant_id = %(only)s::uuid)
   AND s.tenant_id <> ALL (%(but)s::uuid[])
   AND NOT (w.is_paused AND w.paused_scheduled_behavior = 'DROP')
   AND NOT EXISTS (
       SELECT FROM tenants_tenant t WHERE t.id = s.tenant_id AND t.archived_at IS NOT NULL)
 ORDER BY s.due_at LIMIT %(limit)s::int;

-- name: schedule.due_of
-- Those of some schedules whose time has come and that no pause or archive keeps pending, locked, but for those
-- that another engine has.
SELECT s.id, s.tenant_id, w.name AS workflow_name, s.input, s.additional_metadata::text, s.priority,
       s.parent_run_id, s.parent_task_id, s.child_index, s.child_key, s.due_at,
       (SELECT v.id FROM engine_workflowversion v
         WHERE v.workflow_id = s.workflow_id ORDER BY v."order" DESC LIMIT 1) AS version_id
  FROM engine_schedule s JOIN engine_workflow w ON w.id = s.workflow_id
 WHERE s.id = ANY(%(ids)s::uuid[]) AND s.due_at <= %(now)s::timestamptz
   AND NOT (w.is_paused AND w.paused_scheduled_behavior = 'DROP')
   AND NOT EXISTS (
       SELECT FROM tenants_tenant t WHERE t.id = s.tenant_id AND t.archived_at IS NOT NULL)
 ORDER BY s.id
   FOR UPDATE OF s SKIP LOCKED;

-- name: schedule.by_id
-- One schedule, locked, with the latest version of its workflow.
SELECT s.id, s.tenant_id, w.name AS workflow_name, s.input, s.additional_metadata::text, s.priority,
       s.parent_run_id, s.parent_task_id, s.child_index, s.child_key, s.due_at,
       (SELECT v.id FROM engine_workflowversion v
         WHERE v.workflow_id = s.workflow_id ORDER BY v."order" DESC LIMIT 1) AS version_id
  FROM engine_schedule s JOIN engine_workflow w ON w.id = s.workflow_id
 WHERE s.id = %(id)s::uuid AND s.tenant_id = %(tenant_id)s::uuid
   FOR UPDATE OF s;

-- name: schedule.settle
-- Locked schedules that have fired, with the runs that came of them, or why none did.
UPDATE engine_schedule s
   SET due_at = NULL, run_id = u.run_id, failure = u.failure, updated_at = %(now)s::timestamptz
  FROM unnest(%(ids)s::uuid[], %(run_ids)s::uuid[], %(failures)s::text[]) AS u(id, run_id, failure)
 WHERE s.id = u.id
RETURNING s.id;

-- name: schedule.fail
-- A due schedule whose run cannot be started.
UPDATE engine_schedule
   SET due_at = NULL, failure = %(failure)s::text, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND due_at <= %(now)s::timestamptz
RETURNING id;

-- name: schedule.move
-- Gives schedules that have not fired another time.
WITH pending AS (
    SELECT s.id, u.trigger_at
      FROM engine_schedule s
      JOIN unnest(%(ids)s::uuid[], %(trigger_ats)s::timestamptz[]) AS u(id, trigger_at)
        ON s.id = u.id
     WHERE s.tenant_id = %(tenant_id)s::uuid AND s.due_at IS NOT NULL
     ORDER BY s.id FOR UPDATE OF s
)
UPDATE engine_schedule s
   SET trigger_at = p.trigger_at, due_at = p.trigger_at, updated_at = %(now)s::timestamptz
  FROM pending p WHERE s.id = p.id
RETURNING s.id;

-- name: schedule.delete
-- Deletes schedules that have not fired.
WITH pending AS (
    SELECT id FROM engine_schedule
     WHERE id = ANY(%(ids)s::uuid[]) AND tenant_id = %(tenant_id)s::uuid AND due_at IS NOT NULL
     ORDER BY id FOR UPDATE
)
DELETE FROM engine_schedule WHERE id IN (SELECT id FROM pending) RETURNING id;

-- name: schedule.existing
-- Which of these schedules there are, fired or not.
SELECT id FROM engine_schedule
 WHERE id = ANY(%(ids)s::uuid[]) AND tenant_id = %(tenant_id)s::uuid;
