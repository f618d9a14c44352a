-- name: cron.replace_declared
-- The latest version's crons are the only declared ones. A kept expression keeps its due time, and
-- whether somebody has disabled it.
WITH dropped AS (
    DELETE FROM engine_cron
     WHERE workflow_id = %(workflow_id)s::uuid AND is_declared
       AND expression <> ALL(%(expressions)s::text[])
)
INSERT INTO engine_cron (id, tenant_id, workflow_id, name, expression, input, is_declared, is_enabled,
                         due_at, created_at, updated_at)
SELECT id, %(tenant_id)s::uuid, %(workflow_id)s::uuid, '', expression, %(input)s::bytea, true, true,
       due_at, %(now)s::timestamptz, %(now)s::timestamptz
  FROM unnest(%(ids)s::uuid[], %(expressions)s::text[], %(due_ats)s::timestamptz[])
       AS u(id, expression, due_at)
ON CONFLICT (workflow_id, name, expression)
   DO UPDATE SET input = excluded.input, updated_at = excluded.updated_at
RETURNING id;

-- name: cron.insert
-- A cron made by a client; nothing if the workflow has one of that name and expression.
INSERT INTO engine_cron (id, tenant_id, workflow_id, name, expression, input, additional_metadata,
                         priority, is_declared, is_enabled, due_at, created_at, updated_at)
VALUES (%(id)s::uuid, %(tenant_id)s::uuid, %(workflow_id)s::uuid, %(name)s::text,
        %(expression)s::text, %(input)s::bytea, %(metadata)s::text::jsonb, %(priority)s::smallint,
        false, true, %(due_at)s::timestamptz, %(now)s::timestamptz, %(now)s::timestamptz)
ON CONFLICT (workflow_id, name, expression) DO NOTHING
RETURNING id;

-- name: cron.due
-- Crons whose time has come, locked; another engine takes those that are locked already.
SELECT c.id, c.tenant_id, w.name, c.expression, c.name, c.input, c.additional_metadata::text,
       c.priority, c.due_at, c.fired_at, c.created_at,
       (SELECT v.id FROM engine_workflowversion v
         WHERE v.workflow_id = c.workflow_id ORDER BY v."order" DESC LIMIT 1),
       w.is_paused AND w.paused_cron_behavior = 'DROP'
  FROM engine_cron c JOIN engine_workflow w ON w.id = c.workflow_id
 WHERE c.due_at <= %(now)s::timestamptz
 ORDER BY c.due_at LIMIT %(limit)s::int
   FOR UPDATE OF c SKIP LOCKED;

-- name: cron.by_id
-- One cron, locked, with the latest version of its workflow.
SELECT c.id, c.tenant_id, w.name, c.expression, c.name, c.input, c.additional_metadata::text,
       c.priority, c.due_at, c.fired_at, c.created_at,
       (SELECT v.id FROM engine_workflowversion v
         WHERE v.workflow_id = c.workflow_id ORDER BY v."order" DESC LIMIT 1),
       w.is_paused AND w.paused_cron_behavior = 'DROP'
  FROM engine_cron c JOIN engine_workflow w ON w.id = c.workflow_id
 WHERE c.id = %(id)s::uuid AND c.tenant_id = %(tenant_id)s::uuid
   FOR UPDATE OF c;

-- name: cron.advance
-- The next due times of locked crons, and the nominal times they fired for.
UPDATE engine_cron c
   SET due_at = u.due_at, fired_at = coalesce(u.fired_at, c.fired_at)
  FROM unnest(%(ids)s::uuid[], %(due_ats)s::timestamptz[], %(fired_ats)s::timestamptz[])
       AS u(id, due_at, fired_at)
 WHERE c.id = u.id
RETURNING c.id;

-- name: cron.set_enabled
UPDATE engine_cron
   SET is_enabled = %(is_enabled)s::boolean, due_at = %(due_at)s::timestamptz,
       updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid RETURNING id;

-- name: cron.delete
DELETE FROM engine_cron
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid RETURNING id;
