-- name: rate_limit.put
-- A limit that clients set. Set again, it gets the new settings; what is left only ever gets less.
INSERT INTO engine_ratelimit AS r (
    tenant_id, key, limit_value, "window", value, refilled_at, is_dynamic, created_at, updated_at)
VALUES (%(tenant_id)s::uuid, %(key)s::text, %(limit_value)s::int, %(window)s::smallint,
        %(limit_value)s::int, %(now)s::timestamptz, false, %(now)s::timestamptz, %(now)s::timestamptz)
ON CONFLICT (tenant_id, key) DO UPDATE
   SET limit_value = excluded.limit_value, "window" = excluded."window", is_dynamic = false,
       value = least(r.value, excluded.limit_value), updated_at = excluded.updated_at
RETURNING 1;

-- name: rate_limit.pause
-- Nothing of the key is given out until then; a pause is never made shorter. Returns its end.
UPDATE engine_ratelimit
   SET paused_until = greatest(paused_until, %(until)s::timestamptz), updated_at = %(now)s::timestamptz
 WHERE tenant_id = %(tenant_id)s::uuid AND key = %(key)s::text
RETURNING paused_until;

-- name: rate_limit.delete
DELETE FROM engine_ratelimit
 WHERE tenant_id = %(tenant_id)s::uuid AND key = %(key)s::text
RETURNING key;

-- name: rate_limit.of_tenant
-- All limits of a tenant, for an owner rebuilding its memory.
SELECT key, limit_value, "window", value, refilled_at, paused_until, is_dynamic
  FROM engine_ratelimit WHERE tenant_id = %(tenant_id)s::uuid;

-- name: rate_limit.settings
-- The limits of a tenant that clients have a say in: set ones and paused ones.
SELECT key, limit_value, "window", value, refilled_at, paused_until, is_dynamic
  FROM engine_ratelimit
 WHERE tenant_id = %(tenant_id)s::uuid AND (NOT is_dynamic OR paused_until IS NOT NULL);

-- name: rate_limit.by_keys
-- Limits by key: what a hint from another process says was changed.
SELECT key, limit_value, "window", value, refilled_at, paused_until, is_dynamic
  FROM engine_ratelimit WHERE tenant_id = %(tenant_id)s::uuid AND key = ANY(%(keys)s::text[]);

-- name: rate_limit.consume
-- Units that tasks take, added to those taken before in the same window, in the transaction that assigns
-- the tasks. Units of a window that is over by now count no more. Limits that tasks bring along come to be
-- here; of one that clients set and somebody deleted meanwhile nothing is written.
WITH wanted AS (
    SELECT * FROM unnest(
        %(tenant_ids)s::uuid[], %(keys)s::text[], %(units)s::int[], %(sinces)s::float8[],
        %(limit_values)s::int[], %(windows)s::smallint[], %(dynamics)s::boolean[])
        WITH ORDINALITY
        AS u(tenant_id, key, units, since, limit_value, "window", is_dynamic, place)
), locked AS (
    SELECT w.* FROM engine_ratelimit r JOIN wanted w ON r.tenant_id = w.tenant_id AND r.key = w.key
     WHERE NOT w.is_dynamic ORDER BY w.place FOR UPDATE OF r
), set_by_clients AS (
    UPDATE engine_ratelimit r
       SET value = CASE WHEN r.refilled_at = to_timestamp(w.since) THEN r.value - w.units
                        WHEN r.refilled_at < to_timestamp(w.since) THEN w.limit_value - w.units
                        ELSE r.value END,
           refilled_at = greatest(r.refilled_at, to_timestamp(w.since))
      FROM locked w WHERE r.tenant_id = w.tenant_id AND r.key = w.key
)
INSERT INTO engine_ratelimit AS r (
    tenant_id, key, limit_value, "window", value, refilled_at, is_dynamic, created_at, updated_at)
SELECT tenant_id, key, limit_value, "window", limit_value - units, to_timestamp(since), true,
       %(now)s::timestamptz, %(now)s::timestamptz
  FROM wanted WHERE is_dynamic ORDER BY place
ON CONFLICT (tenant_id, key) DO UPDATE
   SET value = CASE WHEN r.refilled_at = excluded.refilled_at
                    THEN least(r.value, excluded.limit_value) - (excluded.limit_value - excluded.value)
                    WHEN r.refilled_at < excluded.refilled_at THEN excluded.value
                    ELSE r.value END,
       limit_value = CASE WHEN r.refilled_at < excluded.refilled_at THEN excluded.limit_value
                          ELSE least(r.limit_value, excluded.limit_value) END,
       "window" = CASE WHEN r.refilled_at < excluded.refilled_at THEN excluded."window"
                       ELSE greatest(r."window", excluded."window") END,
       refilled_at = greatest(r.refilled_at, excluded.refilled_at)
RETURNING 1;

-- name: rate_limit.forget_idle
-- Limits that tasks brought along and nobody has used since long after their windows ended.
DELETE FROM engine_ratelimit
 WHERE is_dynamic AND coalesce(paused_until, refilled_at) < %(idle_since)s::timestamptz
   AND refilled_at + make_interval(secs => (%(window_seconds)s::float8[])["window" + 1])
       < %(idle_since)s::timestamptz
RETURNING 1;
