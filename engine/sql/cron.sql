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
                         priority, is_declared, is_enabled, due_at, missed, created_at, updated_at)
VALUES (%(id)s::uuid, %(tenant_id)s::uuid, %(workflow_id)s::uuid, %(name)s::text,
        %(expression)s::text, %(input)s::bytea, %(metadata)s::text::jsonb, %(priority)s::smallint,
        false, true, %(due_at)s::timestamptz, %(missed)s::smallint, %(now)s::timestamptz, %(now)s::timestamptz)
ON CONFLICT (workflow_id, name, expression) DO NOTHING
RETURNING id;

-- name: cron.due
-- Crons whose time has come, locked; another engine takes those that are locked already.
SELECT c.id, c.tenant_id, w.name AS workflow_name, c.expression, c.name, c.input,
       c.additional_metadata::text, c.priority, c.due_at, c.fired_at, c.created_at, c.missed,
       (SELECT v.id FROM engine_workflowversion v
         WHERE v.workflow_id = c.workflow_id ORDER BY v."order" DESC LIMIT 1) AS version_id,
       (w.is_paused AND w.paused_cron_behavior = 'DROP') OR EXISTS (
           SELECT FROM tenants_tenant t WHERE t.id = c.tenant_id AND t.archived_at IS NOT NULL) AS is_dropped
  FROM engine_cron c JOIN engine_workflow w ON w.id = c.workflow_id
 WHERE c.due_at <= %(now)s::timestamptz
   AND (%(only)s::uuid IS NULL OR c.tenant_id = %(only)s::uuid)
   AND c.tenant_id <> ALL (%(but)s::uuid[])
 ORDER BY c.due_at LIMIT %(limit)s::int
   FOR UPDATE OF c SKIP LOCKED;

-- name: cron.due_ids
-- Crons whose time has come, and nothing of them that could not be read.
SELECT id FROM engine_cron
 WHERE due_at <= %(now)s::timestamptz
   AND (%(only)s::uuid IS NULL OR tenant_id = %(only)s::uuid)
   AND tenant_id <> ALL (%(but)s::uuid[])
 ORDER BY due_at LIMIT %(limit)s::int;

-- name: cron.due_of
-- Those of some crons whose time has come, locked, but for those that another engine has.
SELECT c.id, c.tenant_id, w.name AS workflow_name, c.expression, c.name, c.input,
       c.additional_metadata::text, c.priority, c.due_at, c.fired_at, c.created_at, c.missed,
       (SELECT v.id FROM engine_workflowversion v
         WHERE v.workflow_id = c.workflow_id ORDER BY v."order" DESC LIMIT 1) AS version_id,
       (w.is_paused AND w.paused_cron_behavior = 'DROP') OR EXISTS (
           SELECT FROM tenants_tenant t WHERE t.id = c.tenant_id AND t.archived_at IS NOT NULL) AS is_dropped
  FROM engine_cron c JOIN engine_workflow w ON w.id = c.workflow_id
 WHERE c.id = ANY(%(ids)s::uuid[]) AND c.due_at <= %(now)s::timestamptz
 ORDER BY c.id
   FOR UPDATE OF c SKIP LOCKED;

-- name: cron.lock_due
-- What is needed to pass over the times of a due cron, locked.
SELECT expression, greatest(due_at, 'epoch') AS due_at, greatest(created_at, 'epoch') AS created_at
  FROM engine_cron
 WHERE id = %(id)s::uuid AND due_at <= %(now)s::timestamptz FOR UPDATE SKIP LOCKED;

-- name: cron.by_id
-- One cron, locked, with the latest version of its workflow.
SELECT c.id, c.tenant_id, w.name AS workflow_name, c.expression, c.name, c.input,
       c.additional_metadata::text, c.priority, c.due_at, c.fired_at, c.created_at, c.missed,
       (SELECT v.id FROM engine_workflowversion v
         WHERE v.workflow_id = c.workflow_id ORDER BY v."order" DESC LIMIT 1) AS version_id,
       (w.is_paused AND w.paused_cron_behavior = 'DROP') OR EXISTS (
           SELECT FROM tenants_tenant t WHERE t.id = c.tenant_id AND t.archived_at IS NOT NULL) AS is_dropped
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

-- name: cron.record_misses
-- Times for which crons did not fire. What goes on as it did before belongs to the entry there is, so
-- that a cron of every second fills one row; of each cron the last hundred entries are kept.
WITH given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(cron_ids)s::uuid[], %(causes)s::smallint[],
                         %(details)s::text[], %(counts)s::bigint[], %(first_ats)s::timestamptz[],
                         %(last_ats)s::timestamptz[])
        AS u(id, cron_id, cause, detail, count, first_at, last_at)
), newest AS (
    SELECT DISTINCT ON (m.cron_id) m.id, m.cron_id, m.cause, m.detail
      FROM engine_cronmiss m JOIN given g ON g.cron_id = m.cron_id
     ORDER BY m.cron_id, m.id DESC
), extended AS (
    UPDATE engine_cronmiss m
       SET count = m.count + g.count, last_at = greatest(m.last_at, g.last_at),
           recorded_at = %(now)s::timestamptz
      FROM newest n
      JOIN given g ON g.cron_id = n.cron_id AND g.cause = n.cause AND g.detail = n.detail
      JOIN engine_cron c ON c.id = n.cron_id
     WHERE m.id = n.id AND (c.fired_at IS NULL OR c.fired_at < m.last_at)
    RETURNING m.cron_id
), forgotten AS (
    DELETE FROM engine_cronmiss WHERE id IN (
        SELECT id FROM (SELECT m.id, row_number() OVER (PARTITION BY m.cron_id ORDER BY m.id DESC) AS place
                          FROM engine_cronmiss m JOIN given g ON g.cron_id = m.cron_id) placed
         WHERE place >= 100)
)
INSERT INTO engine_cronmiss (id, cron_id, cause, detail, count, first_at, last_at, recorded_at)
SELECT id, cron_id, cause, detail, count, first_at, last_at, %(now)s::timestamptz
  FROM given WHERE cron_id NOT IN (SELECT cron_id FROM extended)
RETURNING cron_id;

-- name: cron.forget_misses
-- Entries older than the time of this id; some at a time.
DELETE FROM engine_cronmiss WHERE id IN (
    SELECT id FROM engine_cronmiss WHERE id < %(before)s::uuid ORDER BY id LIMIT 10000)
RETURNING id;

-- name: cron.set_enabled
UPDATE engine_cron
   SET is_enabled = %(is_enabled)s::boolean, due_at = %(due_at)s::timestamptz,
       updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid RETURNING id;

-- name: cron.set_missed
UPDATE engine_cron SET missed = %(missed)s::smallint, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid RETURNING id;

-- name: cron.delete
DELETE FROM engine_cron
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid RETURNING id;
