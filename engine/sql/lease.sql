-- name: lease.hold
-- Fails with HT001 unless this engine still owns all these tenants; holds them until the transaction ends.
SELECT engine_hold_leases(%(tenant_ids)s::uuid[], %(epochs)s::bigint[])::text;

-- name: lease.renew
-- Once a second: this engine's heartbeat, the renewal of its leases, and a survey of every tenant's
-- lease with the engines alive: how many, and a number that another set of them does not have. Tenants without a
-- lease row are free; archived ones nobody schedules.
WITH beat AS (
    INSERT INTO engine_engineprocess (id, host, started_at, heartbeat_at)
    VALUES (%(engine_id)s::uuid, %(host)s::text, now(), now())
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()
), renewed AS (
    UPDATE engine_lease SET expires_at = now() + make_interval(secs => %(lease_seconds)s::float8)
     WHERE engine_id = %(engine_id)s::uuid
), alive AS (
    SELECT count(*) + 1 AS engine_count,
           hashtextextended(coalesce(string_agg(id::text, ',' ORDER BY id), ''), 0) AS peers
      FROM engine_engineprocess
     WHERE id <> %(engine_id)s::uuid
       AND heartbeat_at > now() - make_interval(secs => %(lease_seconds)s::float8)
)
SELECT t.id AS tenant_id, l.engine_id, coalesce(l.epoch, 0) AS epoch,
       l.engine_id IS NULL OR l.expires_at < now() AS is_free, a.engine_count, a.peers
  FROM alive a LEFT JOIN tenants_tenant t ON t.archived_at IS NULL LEFT JOIN engine_lease l ON l.tenant_id = t.id;

-- name: lease.end_silent
-- Frees the leases of engines that died: their last heartbeat is old, and the session that says an engine is
-- there (lease.be_present) has ended. One without the other is a slow engine or a broken connection.
WITH silent AS (
    SELECT p.id FROM engine_engineprocess p
     WHERE p.id <> %(engine_id)s::uuid
       AND p.heartbeat_at < now() - make_interval(secs => %(silent_seconds)s::float8)
       AND NOT EXISTS (
           SELECT FROM pg_locks k
            WHERE k.locktype = 'advisory' AND k.objsubid = 2
              AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND k.classid = (%(presence)s::int)::oid AND k.objid = hashtext(p.id::text)::oid)
     ORDER BY p.id FOR UPDATE SKIP LOCKED
), ended AS (
    DELETE FROM engine_engineprocess p USING silent WHERE p.id = silent.id
), left_behind AS (
    SELECT l.tenant_id FROM engine_lease l JOIN silent ON silent.id = l.engine_id
     WHERE l.expires_at > now() ORDER BY l.tenant_id FOR NO KEY UPDATE OF l
)
UPDATE engine_lease l SET expires_at = now() - interval '1 millisecond' FROM left_behind
 WHERE l.tenant_id = left_behind.tenant_id RETURNING l.tenant_id;

-- name: lease.be_present
-- Says, for as long as the session lasts, that an engine is there. Shared: a session that ended without the
-- server having noticed must not keep its successor waiting.
SELECT pg_advisory_lock_shared(%(presence)s::int, hashtext((%(engine_id)s::uuid)::text))::text;

-- name: lease.make
-- Lease rows of tenants that have none yet.
INSERT INTO engine_lease (tenant_id, epoch) SELECT unnest(%(tenant_ids)s::uuid[]), 0
ON CONFLICT (tenant_id) DO NOTHING RETURNING tenant_id;

-- name: lease.take
-- Takes leases that are free, have run out, or are our own (a new epoch, to distrust the old one). A lease
-- that a write under the old epoch holds (a key-share lock) is left for the next time, so what a new owner
-- reads next is all there is.
UPDATE engine_lease l
   SET engine_id = %(engine_id)s::uuid, epoch = l.epoch + 1,
       expires_at = now() + make_interval(secs => %(lease_seconds)s::float8)
  FROM (SELECT tenant_id FROM engine_lease
         WHERE tenant_id = ANY(%(tenant_ids)s::uuid[]) 
           AND (engine_id IS NULL OR expires_at < now() OR engine_id = %(engine_id)s::uuid)
         ORDER BY tenant_id FOR UPDATE SKIP LOCKED) free
 WHERE l.tenant_id = free.tenant_id
RETURNING l.tenant_id, l.epoch;

-- name: lease.give_up
-- Frees leases of this engine: all of them at its end, or some to share tenants evenly.
UPDATE engine_lease SET engine_id = NULL, expires_at = NULL, epoch = epoch + 1
 WHERE engine_id = %(engine_id)s::uuid
   AND (%(tenant_ids)s::uuid[] IS NULL OR tenant_id = ANY(%(tenant_ids)s::uuid[]))
RETURNING tenant_id;

-- name: lease.end_engine
-- Removes a stopped engine, and engines nobody has heard of for an hour.
DELETE FROM engine_engineprocess
 WHERE id = %(engine_id)s::uuid OR heartbeat_at < now() - interval '1 hour' RETURNING id;

-- name: lease.is_held
-- Whether an engine schedules a tenant now.
SELECT EXISTS (SELECT FROM engine_lease
                WHERE tenant_id = %(tenant_id)s::uuid AND engine_id IS NOT NULL
                  AND expires_at > now());
