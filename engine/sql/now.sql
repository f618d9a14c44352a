-- name: now.facts
-- What there is to say of a tenant at this moment, in one round trip; lists are JSON.
SELECT
    EXISTS (SELECT FROM engine_run WHERE tenant_id = %(tenant_id)s::uuid) AS has_runs,
    EXISTS (SELECT FROM engine_lease l WHERE l.tenant_id = %(tenant_id)s::uuid
               AND l.engine_id IS NOT NULL AND l.expires_at > now()) AS is_scheduled,
    (SELECT count(*) FROM engine_engineprocess
      WHERE heartbeat_at > now() - interval '10 seconds') AS engines,
    (SELECT count(*) FROM engine_worker w
      WHERE w.tenant_id = %(tenant_id)s::uuid AND w.is_active
        AND w.last_heartbeat_at > %(alive_since)s::timestamptz) AS workers,
    (SELECT coalesce(json_agg(q ORDER BY q.oldest), '[]')::text FROM (
        SELECT t.action_id AS action, count(*) AS number, min(t.id::text) AS oldest,
               EXISTS (SELECT FROM engine_worker w
                        WHERE w.tenant_id = %(tenant_id)s::uuid AND w.is_active
                          AND w.last_heartbeat_at > %(alive_since)s::timestamptz
                          AND t.action_id = ANY(w.actions)) AS is_covered,
               (SELECT json_build_object('id', w.id, 'name', w.name, 'at', w.last_heartbeat_at)
                  FROM engine_worker w
                 WHERE w.tenant_id = %(tenant_id)s::uuid AND t.action_id = ANY(w.actions)
                   AND w.last_heartbeat_at IS NOT NULL
                 ORDER BY w.last_heartbeat_at DESC LIMIT 1) AS last_worker
          FROM engine_task t
         WHERE t.tenant_id = %(tenant_id)s::uuid AND t.status = :Status.QUEUED AND NOT t.is_delayed
         GROUP BY t.action_id ORDER BY min(t.id::text) LIMIT 100) q) AS waiting,
    (SELECT coalesce(json_agg(h ORDER BY h.hour), '[]')::text FROM (
        SELECT date_trunc('hour', minute, 'UTC') AS hour, status, sum(delta) AS number
          FROM engine_runtally
         WHERE tenant_id = %(tenant_id)s::uuid AND minute >= %(day_ago)s::timestamptz
         GROUP BY 1, 2) h) AS hours,
    (SELECT coalesce(json_agg(h), '[]')::text FROM (
        SELECT status, sum(delta) AS number FROM engine_runtally
         WHERE tenant_id = %(tenant_id)s::uuid AND minute >= %(hour_ago)s::timestamptz
         GROUP BY 1) h) AS last_hour,
    (SELECT count(*) FROM engine_errorgroup
      WHERE tenant_id = %(tenant_id)s::uuid
        AND (state = :ErrorState.OPEN
             OR (state = :ErrorState.MUTED AND muted_until <= now()))) AS open_errors,
    (SELECT coalesce(json_agg(m ORDER BY m.last_at DESC), '[]')::text FROM (
        SELECT c.id, c.name, c.expression, w.name AS workflow, sum(m.count) AS times,
               max(m.last_at) AS last_at, (array_agg(m.cause ORDER BY m.id DESC))[1] AS cause
          FROM engine_cronmiss m JOIN engine_cron c ON c.id = m.cron_id
          JOIN engine_workflow w ON w.id = c.workflow_id
         WHERE c.tenant_id = %(tenant_id)s::uuid AND m.last_at >= %(day_ago)s::timestamptz
         GROUP BY c.id, c.name, c.expression, w.name
         ORDER BY max(m.last_at) DESC LIMIT 20) m) AS missed,
    (SELECT coalesce(json_agg(p ORDER BY p.name), '[]')::text FROM (
        SELECT id, name FROM engine_workflow
         WHERE tenant_id = %(tenant_id)s::uuid AND is_paused AND deleted_at IS NULL
         ORDER BY name LIMIT 20) p) AS paused,
    (SELECT coalesce(json_agg(v ORDER BY v.at DESC), '[]')::text FROM (
        SELECT w.id, w.name, v."order" AS number, v.created_at AS at
          FROM engine_workflowversion v JOIN engine_workflow w ON w.id = v.workflow_id
         WHERE w.tenant_id = %(tenant_id)s::uuid AND w.deleted_at IS NULL
           AND v.created_at >= %(day_ago)s::timestamptz
         ORDER BY v.created_at DESC LIMIT 20) v) AS versions,
    (SELECT coalesce(json_agg(a ORDER BY a.id DESC), '[]')::text FROM (
        SELECT id, at, action, actor_name AS actor, resource_name AS name FROM tenants_auditentry
         WHERE %(with_audit)s::boolean AND tenant_id = %(tenant_id)s::uuid
           AND at >= %(day_ago)s::timestamptz
           AND resource_kind IN ('workflow', 'cron', 'rate_limit', 'worker', 'filter', 'webhook')
         ORDER BY id DESC LIMIT 20) a) AS audit,
    pg_database_size(current_database())::bigint AS database_bytes,
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections,
    current_setting('max_connections')::int AS most_connections;
