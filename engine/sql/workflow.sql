-- name: workflow.lock_name
-- Serialises registrations of one workflow name of one tenant.
SELECT pg_advisory_xact_lock(hashtextextended(%(tenant_id)s::uuid::text || %(name)s::text, 0))::text;

-- name: workflow.latest
-- The live workflow of a name with its latest version.
SELECT w.id AS workflow_id, v.id AS version_id, v."order", v.checksum
  FROM engine_workflow w
  LEFT JOIN LATERAL (SELECT * FROM engine_workflowversion
                      WHERE workflow_id = w.id ORDER BY "order" DESC LIMIT 1) v ON true
 WHERE w.tenant_id = %(tenant_id)s::uuid AND w.name = %(name)s::text AND w.deleted_at IS NULL;

-- name: workflow.insert
INSERT INTO engine_workflow (id, tenant_id, name, description, created_at, updated_at)
VALUES (%(id)s::uuid, %(tenant_id)s::uuid, %(name)s::text, %(description)s::text,
        %(now)s::timestamptz, %(now)s::timestamptz)
RETURNING id;

-- name: workflow.touch
UPDATE engine_workflow SET description = %(description)s::text, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid RETURNING id;

-- name: workflow.insert_version
INSERT INTO engine_workflowversion (id, workflow_id, "order", checksum, definition, created_at)
VALUES (%(id)s::uuid, %(workflow_id)s::uuid, %(order)s::int, %(checksum)s::bytea,
        %(definition)s::text::jsonb, %(now)s::timestamptz)
RETURNING id;

-- name: workflow.insert_steps
INSERT INTO engine_step (id, version_id, ordinal, kind, readable_id, action_id)
SELECT id, %(version_id)s::uuid, ordinal, kind, readable_id, action_id
  FROM unnest(%(ids)s::uuid[], %(ordinals)s::smallint[], %(kinds)s::smallint[],
              %(readable_ids)s::text[], %(action_ids)s::text[])
       AS u(id, ordinal, kind, readable_id, action_id)
RETURNING id;

-- name: workflow.replace_triggers
-- The latest version's event triggers are the only live ones.
WITH dropped AS (
    DELETE FROM engine_eventtrigger
     WHERE workflow_id = %(workflow_id)s::uuid AND pattern <> ALL(%(patterns)s::text[])
)
INSERT INTO engine_eventtrigger (id, tenant_id, workflow_id, pattern, like_pattern)
SELECT id, %(tenant_id)s::uuid, %(workflow_id)s::uuid, pattern, like_pattern
  FROM unnest(%(ids)s::uuid[], %(patterns)s::text[], %(like_patterns)s::text[])
       AS u(id, pattern, like_pattern)
ON CONFLICT (workflow_id, pattern) DO NOTHING
RETURNING id;

-- name: workflow.delete
-- Soft: the name is free again and nothing starts it any more; its history stays.
WITH deleted AS (
    UPDATE engine_workflow SET deleted_at = %(now)s::timestamptz, updated_at = %(now)s::timestamptz
     WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid AND deleted_at IS NULL
    RETURNING id
), triggers AS (
    DELETE FROM engine_eventtrigger WHERE workflow_id IN (SELECT id FROM deleted)
), filters AS (
    DELETE FROM engine_filter WHERE workflow_id IN (SELECT id FROM deleted)
), crons AS (
    DELETE FROM engine_cron WHERE workflow_id IN (SELECT id FROM deleted)
), schedules AS (
    DELETE FROM engine_schedule
     WHERE workflow_id IN (SELECT id FROM deleted) AND due_at IS NOT NULL
)
SELECT id FROM deleted;

-- name: workflow.resolve
-- The latest versions of live workflows, by name.
SELECT w.name, (SELECT v.id FROM engine_workflowversion v
                 WHERE v.workflow_id = w.id ORDER BY v."order" DESC LIMIT 1) AS version_id
  FROM engine_workflow w
 WHERE w.tenant_id = %(tenant_id)s::uuid AND w.name = ANY(%(names)s::text[]) AND w.deleted_at IS NULL;

-- name: workflow.versions
-- Versions with their definition, workflow and steps, for the cache of immutable versions.
SELECT v.id AS version_id, w.id AS workflow_id, w.tenant_id, v.definition::text, s.ids AS step_ids
  FROM engine_workflowversion v
  JOIN engine_workflow w ON w.id = v.workflow_id
  JOIN LATERAL (SELECT array_agg(id ORDER BY ordinal) AS ids FROM engine_step
                 WHERE version_id = v.id) s ON true
 WHERE v.id = ANY(%(ids)s::uuid[]);

-- name: workflow.live
-- The workflow, unless it was deleted.
SELECT id FROM engine_workflow
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid AND deleted_at IS NULL;
