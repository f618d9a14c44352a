-- name: resource_limit.take
-- Takes of what tenants may have within a window; refused as a whole beyond it.
SELECT tenants_take(%(tenant_ids)s::uuid[], %(amounts)s::bigint[], %(kind)s::text, %(most)s::bigint,
                    %(window_seconds)s::bigint, %(now)s::timestamptz);

-- name: resource_limit.lock
SELECT tenants_lock_limit(%(tenant_id)s::uuid, %(kind)s::text);

-- name: resource_limit.hold
-- Notes how much a tenant has; refused beyond what it may have.
SELECT tenants_hold(%(tenant_id)s::uuid, %(kind)s::text, %(value)s::bigint, %(amount)s::bigint, %(most)s::bigint);

-- name: resource_limit.rows
-- What a tenant's limits are where they are not those of the installation, and what it has taken.
SELECT resource, limit_value, alarm_value, value, window_began_at FROM tenants_resourcelimit
 WHERE tenant_id = %(tenant_id)s::uuid;

-- name: resource_limit.announce
-- Notes which limits are nearly reached (1) or reached (2) and have not been told of as that; returns them.
UPDATE tenants_resourcelimit l SET announced = found.level
  FROM (SELECT l.tenant_id, l.resource, coalesce(l.limit_value, d.most) AS most,
               (l.value >= coalesce(l.limit_value, d.most))::int
               + (l.value >= least(coalesce(l.alarm_value, l.limit_value, d.alarm),
                                   coalesce(l.limit_value, d.most)))::int AS level,
               l.window_began_at IS NULL
               OR l.window_began_at + make_interval(secs => d.window_seconds) > %(now)s::timestamptz AS is_open
          FROM tenants_resourcelimit l
          JOIN unnest(%(kinds)s::text[], %(mosts)s::bigint[], %(alarms)s::bigint[], %(windows)s::bigint[])
               AS d(kind, most, alarm, window_seconds) ON d.kind = l.resource) AS found
 WHERE l.tenant_id = found.tenant_id AND l.resource = found.resource
   AND ((found.is_open AND found.level > l.announced)
        OR (l.window_began_at IS NULL AND found.level < l.announced))
RETURNING l.tenant_id, l.resource, l.announced AS level, l.value, found.most;

-- name: resource_limit.count_crons
SELECT count(*) FROM engine_cron WHERE tenant_id = %(tenant_id)s::uuid;

-- name: resource_limit.count_schedules
-- Those that have not fired.
SELECT count(*) FROM engine_schedule WHERE tenant_id = %(tenant_id)s::uuid AND due_at IS NOT NULL;

-- name: resource_limit.count_workers
-- Those that listen and beat, and those that have just registered and will.
SELECT count(*) FROM engine_worker
 WHERE tenant_id = %(tenant_id)s::uuid
   AND ((is_active AND last_heartbeat_at > %(since)s::timestamptz)
        OR (last_listener_at IS NULL AND created_at > %(since)s::timestamptz));

-- name: resource_limit.count_slots
-- Those of the same workers, of all types.
SELECT coalesce(sum(slot.value::numeric), 0)::bigint AS slots
  FROM engine_worker w CROSS JOIN LATERAL jsonb_each_text(w.slots) AS slot
 WHERE w.tenant_id = %(tenant_id)s::uuid
   AND ((w.is_active AND w.last_heartbeat_at > %(since)s::timestamptz)
        OR (w.last_listener_at IS NULL AND w.created_at > %(since)s::timestamptz));

-- name: resource_limit.count_tokens
-- Those that are accepted, but for the server's own.
SELECT count(*) FROM tenants_apitoken
 WHERE tenant_id = %(tenant_id)s::uuid AND revoked_at IS NULL AND expires_at > %(now)s::timestamptz
   AND NOT is_internal;
