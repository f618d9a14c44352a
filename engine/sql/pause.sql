-- name: pause.set
-- Pauses a workflow, or gives its pause other settings.
UPDATE engine_workflow
   SET is_paused = true, paused_cron_behavior = %(cron)s::text,
       paused_scheduled_behavior = %(scheduled)s::text, paused_ttl_seconds = %(ttl)s::float8,
       updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid AND deleted_at IS NULL
RETURNING id;

-- name: pause.clear
UPDATE engine_workflow SET is_paused = false, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid AND deleted_at IS NULL
RETURNING id;

-- name: pause.of_tenant
-- The paused workflows of a tenant.
SELECT id FROM engine_workflow WHERE tenant_id = %(tenant_id)s::uuid AND is_paused;

-- name: pause.hold
-- Takes queued attempts of paused workflows out of the queue until the pause or their time ends. The
-- workflows stay locked, so that no task is held after its pause has ended.
WITH paused AS (
    SELECT id, tenant_id, paused_ttl_seconds FROM engine_workflow
     WHERE tenant_id = ANY(%(tenant_ids)s::uuid[]) AND is_paused ORDER BY id FOR SHARE
), wanted AS (
    SELECT t.id, p.paused_ttl_seconds
      FROM paused p
      JOIN engine_task t ON t.tenant_id = p.tenant_id AND t.workflow_id = p.id
       AND t.status = :Status.QUEUED AND NOT t.is_delayed
       AND t.action_id IN (SELECT s.action_id FROM engine_step s
                             JOIN engine_workflowversion v ON v.id = s.version_id
                            WHERE v.workflow_id = p.id)
     ORDER BY t.id FOR UPDATE OF t
)
UPDATE engine_task t
   SET is_delayed = true, is_held = true,
       due_at = t.created_at + make_interval(secs => w.paused_ttl_seconds)
  FROM wanted w WHERE t.id = w.id
RETURNING t.id, t.retry_count, t.tenant_id, t.run_id;

-- name: pause.move_ends
-- Attempts already held get the end that the new settings give them.
UPDATE engine_task
   SET due_at = created_at + make_interval(secs => %(ttl)s::float8)
 WHERE id = ANY(%(ids)s::uuid[]) AND is_held
RETURNING id;

-- name: pause.held
-- Attempts that a workflow's pause holds back.
SELECT id FROM engine_task
 WHERE tenant_id = %(tenant_id)s::uuid AND workflow_id = %(workflow_id)s::uuid AND is_held
 ORDER BY id;
