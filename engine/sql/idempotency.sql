-- name: idempotency.claim
-- Claims keys for runs and returns who holds them now. A key is free when its time is over or, if it
-- ends with its run, when that run is final. A run this statement cannot see yet is not final; the row
-- lock sees whether one was replayed by whoever held the key's row until now.
WITH wanted AS (
    SELECT * FROM unnest(%(tenant_ids)s::uuid[], %(digests)s::bytea[], %(run_ids)s::uuid[],
                         %(ttls_ms)s::bigint[], %(ends_with_runs)s::boolean[])
        AS u(tenant_id, digest, run_id, ttl_ms, ends_with_run)
), claimed AS (
    INSERT INTO engine_idempotencykey AS held (tenant_id, digest, run_id, expires_at, ends_with_run)
    SELECT tenant_id, digest, run_id,
           %(now)s::timestamptz + ttl_ms * interval '1 millisecond', ends_with_run
      FROM wanted ORDER BY 1, 2
    ON CONFLICT (tenant_id, digest) DO UPDATE
       SET (run_id, expires_at, ends_with_run) = (
            SELECT choice.run_id, choice.expires_at, choice.ends_with_run
              FROM (VALUES (true, excluded.run_id, excluded.expires_at, excluded.ends_with_run),
                           (false, held.run_id, held.expires_at, held.ends_with_run))
                   AS choice(is_new, run_id, expires_at, ends_with_run)
             WHERE choice.is_new = (
                   held.expires_at <= %(now)s::timestamptz
                   OR (held.ends_with_run AND EXISTS (
                       SELECT FROM engine_run r WHERE r.id = held.run_id AND r.status >= :Status.COMPLETED
                          FOR SHARE))))
    RETURNING tenant_id, digest, run_id
)
SELECT tenant_id, digest, run_id FROM claimed;

-- name: idempotency.delete_expired
DELETE FROM engine_idempotencykey WHERE expires_at <= %(now)s::timestamptz RETURNING run_id;
